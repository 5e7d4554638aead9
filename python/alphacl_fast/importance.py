"""Pairwise importances α. Each is a linear operator on N samples: row sums, column sums, products, a dense form.

The operations of the package take any of them as ``alpha``. Arrays are kept by reference and read at each call.
"""

from __future__ import annotations

import math
import sys
from typing import Any, ClassVar

import numpy as np

from alphacl_fast._arrays import (
    Operand,
    alongside,
    empty,
    is_array,
    is_tensor,
    is_traced,
    like,
    operand,
    refuse_grad,
    refuse_learned_importance,
    result,
    stacked,
    stand_in,
)
from alphacl_fast._backend import constructor_for
from alphacl_fast._parts import (
    FEATURES,
    FEATURES_OF_VIEWS,
    FORM,
    METHOD,
    Classes,
    Compressed,
    Csr,
    Doubles,
    Flag,
    MadeOfParts,
    NotNegative,
    Parts,
    Positive,
    Real,
    Rescaled,
    Rows,
    SecondView,
    Signs,
    Size,
    Tolerance,
    sup_error,
)

__all__ = [
    "Dense",
    "Direct",
    "Gaussian",
    "Importance",
    "InverseDistance",
    "Labels",
    "LowRank",
    "NodeGaussian",
    "PairImportance",
    "Sparse",
    "SquareRegularized",
    "Uniform",
]


class Importance(MadeOfParts):
    """Base of all importances: an (N, N) linear operator that is not stored as one.

    Subclasses name their parts, in the order of the constructor's arguments, and their compiled constructor, which
    takes the parts in that order. The first array is the data. What is computed otherwise overrides ``_operand`` and
    ``_compile``.
    """

    _kind = ""  # which definition it is: subclasses of an importance share that of their base
    _constructor = ""

    def _data(self) -> Any:
        """The array or tensor that the importance was made from."""
        return getattr(self, self._rows()[0])

    def _operand(self) -> Operand:
        name, rows = self._rows()
        return rows.operand(name, getattr(self, name))

    def _rows(self) -> tuple[str, Rows]:
        for name, part in self._parts.items():
            if isinstance(part, Rows):
                return name, part
        raise TypeError(f"{type(self).__name__}: expected a subclass of Importance that holds data, got the bare class")

    def _operand_for(self, model: Operand) -> Operand:
        """The operand of an operation over `model`'s samples."""
        return self._operand()

    def _compile(self, data: Operand) -> Any:
        if not self._constructor:
            raise TypeError(
                f"{type(self).__name__}: expected a subclass of Importance that computes, got the bare class"
            )
        arguments = [part.compiled(name, getattr(self, name), data) for name, part in self._parts.items()]
        return constructor_for(self._constructor, data)(*arguments)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, N)."""
        n = self._operand().shape[0]
        return n, n

    @property
    def dtype(self) -> Any:
        """float32 or float64, as a numpy or torch dtype like the data's."""
        return self._data().dtype

    def row_sums(self) -> Any:
        """r_i = Σ_j α_ij, (N,). Summed in double."""
        return self._sums("row_sums")

    def col_sums(self) -> Any:
        """c_j = Σ_i α_ij, (N,). Summed in double."""
        return self._sums("col_sums")

    def matmul(self, y: Any) -> Any:
        """αy, (N, q) for y of shape (N, q), (N,) for y of shape (N,); y like the data of the importance."""
        values = operand("y", y, ndim=(1, 2))
        data = self._operand_for(values)
        refuse_grad("matmul", values, data)
        like(values, data, shape=False)
        if values.shape[0] != data.shape[0]:
            raise ValueError(f"y: expected {data.shape[0]} rows like the importance, got shape {values.shape}")
        answer, array = result(values.shape, values)
        column = array.reshape(array.shape[0], -1)
        self._compile(data).matmul(values.array, column)
        return answer

    def to_dense(self) -> Any:
        """α as an (N, N) array. For tests and small N."""
        data = self._operand()
        refuse_grad("to_dense", data)
        answer, array = result((data.shape[0],) * 2, data)
        self._compile(data).to_dense(array)
        return answer

    def __matmul__(self, y: Any) -> Any:
        return self.matmul(y)

    def _sums(self, which: str) -> Any:
        data = self._operand()
        refuse_grad(which, data)
        wide = empty((data.shape[0],), np.float64, data)
        getattr(self._compile(data), which)(wide)
        answer, array = result((data.shape[0],), data)
        with np.errstate(over="ignore"):
            array[...] = wide
        return answer


class Uniform(Importance):
    """α_ij = 1; α_ii = 0 unless ``diagonal``.

    ``size`` is needed only to use the importance on its own; the operations take it from their data.
    Cost: O(N d²) for a covariance. Source: poster; spec "uniform".
    """

    _kind = "Uniform"
    _constructor = "uniform"
    _parts: ClassVar[Parts] = {"size": Size(), "diagonal": Flag()}

    def __init__(self, size: int | None = None, *, diagonal: bool = True) -> None:
        self.size: int | None = self._checked("size", size)
        self.diagonal: bool = self._checked("diagonal", diagonal)

    def _data(self) -> np.ndarray:
        if self.size is None:
            raise ValueError("size: expected Uniform(size) when it is used on its own, got no size")
        return np.broadcast_to(np.float64(1), (int(self.size), 1))

    def _operand(self) -> Operand:
        return operand("size", self._data())

    def _operand_for(self, model: Operand) -> Operand:
        if self.size is not None and self.size != model.shape[0]:
            raise ValueError(f"alpha: expected {model.shape[0]} samples like {model.name}, got Uniform({self.size})")
        return model


class Dense(Importance):
    """α as given: (N, N), any sign, not necessarily symmetric. A bare (N, N) array means this.

    Cost: N²d + 4Nd² multiply-adds; O(Nd) memory beside α.
    """

    _kind = "Dense"
    _constructor = "dense"
    _parts: ClassVar[Parts] = {"alpha": Rows(square=True)}

    def __init__(self, alpha: Any) -> None:
        self.alpha = self._checked("alpha", alpha)


class LowRank(Importance):
    """α = φ diag(s) φᵀ, φ: (N, p). Also any kernel with p explicit features (poster, kernel lemma).

    ``signs`` are the p numbers s, real and of any sign: an array, a tensor or a list, kept as float64. None: ones,
    α = φφᵀ. Cost: 2Npd + 2Nd² multiply-adds; O(pd) memory. Source: poster; signs: derived.
    """

    _kind = "LowRank"
    _constructor = "low_rank"
    _parts: ClassVar[Parts] = {"phi": Rows(columns="column"), "signs": Signs("LowRank")}

    def __init__(self, phi: Any, signs: Any = None) -> None:
        self.phi = self._checked("phi", phi)
        self.signs = self._checked("signs", signs)
        if self.signs is not None and self.signs.shape[0] != phi.shape[1]:
            raise ValueError(f"signs: expected {phi.shape[1]} numbers like columns of phi, got {self.signs.shape[0]}")


class Labels(Importance):
    """α_ij = same where y_i = y_j, else different; diagonal: same. y = labels: (N,) integers.

    Labels may be integers of any dtype and value: only whether two are equal counts. ``same`` and ``different`` are
    real numbers of any sign. Used on its own it computes in float64.
    Cost: O(Nq) for a product with q columns, 2Nd² multiply-adds for a covariance, by sums of classes; O(Nd) memory.
    Source: derived.
    """

    _kind = "Labels"
    _constructor = "labels"
    _parts: ClassVar[Parts] = {"labels": Classes(), "same": Real(), "different": Real()}

    def __init__(self, labels: Any, same: float = 1.0, different: float = 0.0) -> None:
        self.labels = self._checked("labels", labels)
        self.same: float = self._checked("same", same)
        self.different: float = self._checked("different", different)

    def _data(self) -> Any:
        return stand_in(self.labels, len(self.labels), np.float64)

    def _operand(self) -> Operand:
        return operand("labels", self._data())

    def _operand_for(self, model: Operand) -> Operand:
        alongside("alpha", self.labels, model)
        if len(self.labels) != model.shape[0]:
            raise ValueError(f"alpha: expected {model.shape[0]} samples like {model.name}, got {len(self.labels)}")
        return model


class Sparse(Importance):
    """α as a sparse (N, N) matrix of scipy (any format) or torch (compressed rows, CSR): any sign, not symmetric.

    Entries of one place add up, entries that are not there are 0. Matrices of scipy that are not in compressed rows are
    converted once, by their ``tocsr``; compressed rows are read where they are at each call, and never modified.
    Indices are checked before any work.
    Cost: nnz·q multiply-adds for a product with q columns, 2 nnz·d + 4Nd² for a covariance; O(nnz + Nd) memory.
    Source: derived.
    """

    _kind = "Sparse"
    _constructor = "sparse"
    _parts: ClassVar[Parts] = {"matrix": Compressed()}

    def __init__(self, matrix: Any) -> None:
        self.matrix: Csr = self._checked("matrix", matrix)

    def _data(self) -> Any:
        return self.matrix.values

    def _operand(self) -> Operand:
        values = Compressed().values("matrix", self.matrix)
        rows = stand_in(values.array, self.matrix.size, values.dtype)
        return Operand("matrix", rows, values.is_torch, values.requires_grad, values.device)

    def _compile(self, data: Operand) -> Any:
        parts = self._parts["matrix"].compiled("matrix", self.matrix, data)
        return constructor_for(self._constructor, data)(*parts)


class Gaussian(Importance):
    """α_ij = exp(−‖f_i − f_j‖² / (2τ)), f = features: (N, m) or (N,); diagonal 1.

    ``tau`` has the unit of a squared feature. ``tol`` bounds the error of an entry of α (default 1e-6 for float32,
    1e-12 for float64). ``method`` says how: "auto" takes the cheapest; "tiles" evaluates all pairs; "fourier" (one
    cosine series, rank p ≈ 1 + (q/π)(L + q) with L the range over √τ and q = √(2 ln 1/tol)) and "sorted" (blocks of
    q√τ, cost independent of τ) are for scalars and linear in N. Where all neighbours are so far apart that α is below
    tol, "auto" keeps its digits all the same, down to the smallest normal number of the dtype (1e-38, 2e-308).
    Features that are not finite give NaN. Cost: N²(m + d) + ½N² exponentials by tiles, O(N(m + d)) memory;
    2Npd + 2Nd² for scalars. Source: poster "Gaussian"; the linear-time forms: derived.
    """

    _kind = "Gaussian"
    _constructor = "gaussian"
    _parts: ClassVar[Parts] = {"features": FEATURES, "tau": Positive(), "tol": Tolerance(), "method": METHOD}

    def __init__(self, features: Any, tau: float, *, tol: float | None = None, method: str = "auto") -> None:
        self.features = self._checked("features", features)
        self.method: str = self._checked("method", method)
        shape = tuple(features.shape)
        if method in ("fourier", "sorted") and len(shape) == 2 and shape[1] != 1:
            raise ValueError(f"method: expected auto or tiles for features of shape {shape}, got {method!r}")
        self.tau: float = self._checked("tau", tau)
        self.tol: float | None = self._checked("tol", tol)


class _OfDistances(Importance):
    """An importance e_ij of distances between features; rows may be divided by their sums, of one view or of both."""

    _of_distances: ClassVar[Parts] = {"features": FEATURES_OF_VIEWS, "p": Positive(), "tau": Positive()}
    _of_sums: ClassVar[Parts] = {
        "normalize": Rescaled(),
        "features_aug": SecondView("features"),
        "eps": NotNegative(),
    }

    def _hold_distances(self, features: Any, p: float, tau: float) -> None:
        self.features = self._checked("features", features)
        self.p: float = self._checked("p", p)
        self.tau: float = self._checked("tau", tau)

    def _hold_rows(self, normalize: bool | str, features_aug: Any, eps: float) -> None:
        """What rows are divided by: checked together, since each depends on the others."""
        self.normalize: bool | str = self._checked("normalize", normalize)
        self.features_aug = self._checked("features_aug", features_aug)
        self.eps: float = self._checked("eps", eps)
        if self.eps > 0 and self.normalize is False:
            raise ValueError(f"eps: expected 0 where rows are not divided by their sums, got {self.eps}")
        if (self.normalize == "both") != (features_aug is not None):
            got = "None" if features_aug is None else f"an array with normalize={self.normalize}"
            raise ValueError(f"features_aug: expected the other view where normalize='both', else None, got {got}")
        if features_aug is not None and not is_traced(features_aug):
            like(operand("features_aug", features_aug, ndim=(1, 2)), FEATURES.operand("features", self.features))

    def _operand(self) -> Operand:
        first = FEATURES.operand("features", self.features)
        if self.features_aug is None:
            return first
        second = operand("features_aug", self.features_aug, ndim=(1, 2))
        like(second, first)
        return stacked(first, second)


class Direct(_OfDistances):
    """α_ij = exp(−d_ij^p / τ), d_ij² = ½‖f_i − f_j‖², diagonal 0; divided by its row sum when ``normalize``.

    f = features: (N, m) or (N,); ``tau`` has the unit of d^p. With eps rows are divided by Σ_k α_ik + eps·n, n the
    number of terms of the sum. Cost: N²(m + d) + ½N² exponentials (N²m and as many exponentials more when normalised);
    O(N(m + d)) memory. Source: P1, α-CL-direct.

    ``normalize="both"`` is the importance of α-CL-direct as its author runs it, over the 2N samples y = (f; f') of both
    views, f' = ``features_aug``, of the shape of f: α is (2N, 2N), 0 between the two views of a sample too, and n =
    2N − 2. C_α[x] is then that of the 2N samples (x; x') whose other views are (x'; x); ``contrastive_cov``, ``energy``
    and ``alpha_cl_loss`` stack N samples themselves, others are given 2N. (x_i, x_j), (x_i, x'_j) and (x'_i, x'_j) have
    weights of their own, so no (N, N) importance is the same. Cost as for 2N samples.
    """

    _kind = "Direct"
    _constructor = "direct"
    _parts: ClassVar[Parts] = _OfDistances._of_distances | _OfDistances._of_sums

    def __init__(
        self,
        features: Any,
        p: float = 4,
        tau: float = 0.5,
        *,
        normalize: bool | str = True,
        features_aug: Any = None,
        eps: float = 0.0,
    ) -> None:
        self._hold_distances(features, p, tau)
        self._hold_rows(normalize, features_aug, eps)


class InverseDistance(_OfDistances):
    """α_ij = 1/(d_ij^p + τ)^q, d_ij² = ½‖f_i − f_j‖², diagonal 0; divided by its row sum when ``normalize``.

    f = features: (N, m) or (N,); ``tau`` has the unit of d^p, and τ^(−q), the largest that an entry can be, has to be
    below 1.8e308; an entry below 2e-308 of it counts as 0. normalize, features_aug and eps as in ``Direct``.
    p = 2 is the inverse multiquadric kernel, τ → 0 inverse distance weighting.
    Cost: N²(m + d) + ½N² logarithms and exponentials, in double for float32 too (N²m and as many more when
    normalised); O(N(m + d)) memory. Source: the public code of P1, "inverse".
    """

    _kind = "InverseDistance"
    _constructor = "inverse_distance"
    _parts: ClassVar[Parts] = _OfDistances._of_distances | {"q": Positive()} | _OfDistances._of_sums

    def __init__(
        self,
        features: Any,
        p: float = 4,
        tau: float = 0.5,
        q: float = 1,
        *,
        normalize: bool | str = False,
        features_aug: Any = None,
        eps: float = 0.0,
    ) -> None:
        self._hold_distances(features, p, tau)
        self.q: float = self._checked("q", q)
        if -self.q * math.log(self.tau) > math.log(sys.float_info.max):
            raise ValueError(f"tau: expected tau^(-q) below 1.8e308, got tau={self.tau} and q={self.q}")
        self._hold_rows(normalize, features_aug, eps)


class SquareRegularized(Importance):
    """Rows are Euclidean projections on the simplex: α_ij = [μ_i − d_ij²]₊/τ with Σ_j α_ij = 1, diagonal 0.

    d_ij² = ½‖f_i − f_j‖², f = features: (N, m) or (N,); ``tau`` has the unit of a squared feature. α_i minimises
    Σ_j α_ij d_ij² + (τ/2) Σ_j α_ij² over the simplex; μ_i is exact (active sets), from its row alone.
    Cost: N²m for the thresholds and N²(m + d) for an operation, memory O(N(m + d)). Source: P1, square
    regularisation; the projection there is off by one, here rows sum to 1.
    """

    _kind = "SquareRegularized"
    _constructor = "square_regularized"
    _parts: ClassVar[Parts] = {"features": FEATURES, "tau": Positive()}

    def __init__(self, features: Any, tau: float) -> None:
        self.features = self._checked("features", features)
        self.tau: float = self._checked("tau", tau)


class PairImportance(Importance):
    """α_ij = w_i ψ'(o_i − s·d_ij²), d_ij² = ½‖f_i − f_j‖², diagonal 0: the importance of a pair loss.

    form: "exponential" (o_i minus the logarithm of a normaliser), "hinge", "logistic", "softplus" or "square", the ψ;
    offset o and weight w: (N,) float64 arrays or tensors; scale s > 0. ``losses.<Loss>.importance`` makes it.
    Cost: N²(m + d) and N² exponentials, memory O(N(m + d)). Source: P1, Theorem 1.
    """

    _kind = "PairImportance"
    _constructor = "pair"
    _parts: ClassVar[Parts] = {
        "features": FEATURES,
        "scale": Positive(),
        "form": FORM,
        "offset": Doubles("PairImportance"),
        "weight": Doubles("PairImportance"),
    }

    def __init__(self, features: Any, scale: float, form: str, offset: np.ndarray, weight: np.ndarray) -> None:
        self.features = self._checked("features", features)
        self.scale: float = self._checked("scale", scale)
        self.form: str = self._checked("form", form)
        for name, a in (("offset", offset), ("weight", weight)):
            double = is_array(a) and str(a.dtype).removeprefix("torch.") == "float64"
            if not double or tuple(a.shape) != (len(features),):
                got = f"{a.dtype} {tuple(a.shape)}" if is_array(a) else type(a).__name__
                raise ValueError(f"{name}: expected a float64 array or tensor of shape ({len(features)},), got {got}")
        self.offset = offset
        self.weight = weight


# The importances over the samples, by the kind that they and their subclasses carry.
KINDS: dict[str, type[Importance]] = {
    kind._kind: kind
    for kind in (
        Uniform, Dense, LowRank, Labels, Sparse, Gaussian, Direct, InverseDistance, SquareRegularized, PairImportance
    )
}  # fmt: skip


class NodeGaussian(MadeOfParts):
    """For node k: α_ij = exp(−(h(w_kᵀx0_i) − h(w_kᵀx0_j))² / (2τ)), each node's own scalar output.

    For the gated functions only, which know the nodes. ``x0``: (N, d), the samples before augmentation; None means x.
    ``tau`` has the unit of a squared output; ``tol`` bounds the error of an entry of α as in Gaussian; entries
    below it keep their digits where there are no others.
    Cost: linear in N per node. Source: poster, "Gaussian".
    """

    _kind = "NodeGaussian"
    _parts: ClassVar[Parts] = {"tau": Positive(), "x0": Rows(), "tol": Tolerance()}

    def __init__(self, tau: float, x0: Any = None, *, tol: float | None = None) -> None:
        if x0 is not None:
            operand("x0", x0)
        self.x0 = x0
        self.tau: float = self._checked("tau", tau)
        self.tol: float | None = self._checked("tol", tol)

    def inputs(self, x: Operand) -> Operand:
        """x0, checked against the first view."""
        if self.x0 is None:
            return x
        x0 = operand("x0", self.x0)
        like(x0, x)
        return x0

    def sup_error(self, dtype: np.dtype) -> float:
        """What the compiled code may leave in an entry of α."""
        return sup_error(self.tol, dtype)


def refuse_others(alpha: Any) -> None:
    """Refuses what is not an importance over the samples."""
    if isinstance(alpha, NodeGaussian):
        raise TypeError(
            "alpha: expected an importance over the samples, got NodeGaussian, which belongs to the nodes of "
            "gated_cov, GatedCovariance and theory: use Gaussian(f, tau) for outputs f of one node"
        )
    if isinstance(alpha, type):
        raise TypeError(
            f"alpha: expected an importance or an (N, N) array, got the class {alpha.__name__}: make one of it, "
            f"{alpha.__name__}(...)"
        )
    if not isinstance(alpha, Importance):
        raise TypeError(f"alpha: expected an importance or an (N, N) array, got {type(alpha).__name__}")


def check(function: str, alpha: Any, x: Operand) -> tuple[Any, Operand]:
    """The importance that `alpha` means and its data, fit for the samples of `x`. None is uniform, an array Dense."""
    if alpha is None:
        alpha = Uniform()
    elif is_array(alpha):
        alpha = Dense(alpha)
    else:
        refuse_others(alpha)
    data = alpha._operand_for(x)
    if data is not x:
        named = Operand("alpha", data.array, data.is_torch, data.requires_grad, data.device)
        like(named, x, shape=False)
        if named.shape[0] != x.shape[0]:
            both = getattr(alpha, "features_aug", None) is not None
            hint = f", those of both views: stack {x.name} and its other view" if both else ""
            raise ValueError(f"alpha: expected {x.shape[0]} samples like {x.name}, got {named.shape[0]}{hint}")
        refuse_learned_importance(function, data)
    return alpha, data


def over_both_views(alpha: Any, x: Any, x_aug: Any) -> tuple[Any, Any]:
    """(x; x') and (x'; x) where α is over both views of the N samples of x; else x and x' as they are."""
    if getattr(alpha, "features_aug", None) is None or not (is_array(x) and is_array(x_aug)):
        return x, x_aug
    place = [(is_tensor(a), a.dtype, tuple(a.shape), getattr(a, "device", None)) for a in (x, x_aug)]
    if place[0] != place[1] or x.ndim == 0 or len(x) != len(alpha.features):
        return x, x_aug  # 2N samples already, or refused with a reason
    stack = sys.modules["torch"].cat if is_tensor(x) else np.concatenate
    return stack((x, x_aug)), stack((x_aug, x))


def compile_for(function: str, alpha: Any, x: Operand) -> Any:
    """The compiled importance over the samples of `x`."""
    found, data = check(function, alpha, x)
    return found._compile(data)
