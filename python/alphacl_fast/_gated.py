"""A layer of K nodes: gated_outer, gated_cov and the operator GatedCovariance."""

from __future__ import annotations

from typing import Any

import numpy as np

from alphacl_fast._arrays import (
    NotAnArray,
    Operand,
    apart,
    empty,
    from_host,
    given_back,
    is_tensor,
    like,
    on_host,
    operand,
    refuse_grad,
    result,
)
from alphacl_fast._backend import backend_for, constructor_for
from alphacl_fast._optional import require
from alphacl_fast.activations import compiled_form
from alphacl_fast.importance import NodeGaussian, check


def gated_outer(x: Any, omega: Any, *, out: Any = None) -> Any:
    """out_k = Σ_i ω_ik x_i x_iᵀ, the weighted outer products of the samples for K nodes at once.

    x : (N, d) float32 or float64; omega : (N, K) like x, any sign; terms of weight 0 cost nothing.
    out : (K, d, d) C-contiguous array or tensor to write to; may overlap the inputs.

    Returns (K, d, d), each exactly symmetric; sums of 256 products at a time are added in double. NaN in gives NaN out
    where its weight is not 0.
    Raises TypeError or ValueError naming the argument, what was expected and what came.
    Cost: d² / 2 multiply-adds per weight that is not 0; memory O(d²) per thread beside the result.
    Source: spec "gated outer products"; derived.
    """
    a, w = operand("x", x), operand("omega", omega)
    like(w, a, shape=False)
    if w.shape[0] != a.shape[0]:
        raise ValueError(f"omega: expected {a.shape[0]} rows like x, got shape {w.shape}")
    refuse_grad("gated_outer", a, w)
    answer, array = result((w.shape[1], a.shape[1], a.shape[1]), a, out)
    to = apart(array, a.array, w.array)
    backend_for(a).gated_outer(a.array, w.array, to)
    if to is not array:
        array[...] = to
    return answer


def checked_layer(
    function: str, x: Any, x_aug: Any, weights: Any, activation: Any
) -> tuple[Operand, Operand, Operand, str, float]:
    """Data, nodes and activation, checked; the activation as the compiled code takes it."""
    a, b = operand("x", x), operand("x_aug", x_aug)
    like(b, a)
    w = _nodes(weights, a)
    name, parameter = compiled_form(activation)
    refuse_grad(function, a, b, w)
    return a, b, w, name, parameter


def _nodes(weights: Any, x: Operand) -> Operand:
    w = operand("weights", weights, samples="node")
    like(w, x, shape=False)
    if w.shape[1] != x.shape[1]:
        raise ValueError(f"weights: expected shape (K, {x.shape[1]}) for x of shape {x.shape}, got {w.shape}")
    return w


def gated_cov(x: Any, x_aug: Any, weights: Any, *, activation: Any = "relu", alpha: Any = None, out: Any = None) -> Any:
    """A(w_k) = C_α[x h'(w_kᵀx)], the contrastive covariance of the gated data of each of K nodes.

    x, x_aug : (N, d) float32 or float64, two augmented views; each is gated by its own pre-activation.
    weights : (K, d), the nodes. activation : "linear", "relu" (closed at 0), LeakyReLU(slope) or Monomial(q).
    alpha : an importance over the N samples shared by all nodes, or NodeGaussian(tau); None is uniform.
    out : (K, d, d) C-contiguous array or tensor to write to; may overlap the inputs.

    Returns (K, d, d), each exactly symmetric. wᵀA(w)w = c² C_α[h(wᵀx)], c = 1 (q for u^q). NaN in gives NaN out.
    Raises TypeError or ValueError naming the argument, what was expected and what came.
    Cost: per node Nd² multiply-adds times the share of open gates (uniform; plus Npd for a low-rank or scalar
    importance of rank p, (share · N)²(m + d) for tiles); memory O(N·min(K, 64)) beside data and result.
    Source: poster, "1-layer nonlinear network"; as a product of pairs of rows: derived.
    """
    a, b, w, name, parameter = checked_layer("gated_cov", x, x_aug, weights, activation)
    importance, data = _importance("gated_cov", alpha, a)
    answer, array = result((w.shape[0], a.shape[1], a.shape[1]), a, out)
    to = apart(array, a.array, b.array, w.array, data.array)
    backend_for(a).gated_cov(a.array, b.array, w.array, name, parameter, *importance, to)
    if to is not array:
        array[...] = to
    return answer


class GatedCovariance(NotAnArray):
    """A(w_k) = C_α[x h'(w_kᵀx)] of K nodes, by products alone: nothing of size K·d² is formed.

    2N² A v = Σ_i x_i g_i (D_i a_i − ((α + αᵀ)a)_i − R_i δ_i) + x'_i g'_i R_i δ_i
    with g = h'(x·w), a = g (x·v), δ = a − a'; what has a prime belongs to the other view.

    Arguments as for ``gated_cov``. ``alpha_weights``, (K, d): with NodeGaussian the nodes whose outputs α compares,
    when they are others than ``weights``: α frozen there. Arrays are kept by reference and must not change while the
    object lives.
    Cost: 8NdK operations per product of all nodes; with NodeGaussian 8NpK more for p moments (a cosine series, or
    sorted blocks per node where tau is small); a shared importance adds its product with K columns.
    A float32 product that is small beside the terms it is a difference of is computed again in double, a float64 one
    from the differences of all pairs where N² · max(2d, 64) times the nodes concerned is below 4e10.
    Copies and pickles hold the arguments and are computed anew from them, to the same bits.
    Memory: pre-activations up to 2^26 numbers are kept between products, else computed again; blocks of nodes x N,
    about 2^24 numbers an array. Worth it where fewer than about d/4 products are needed.
    Source: spec, "matrix-free A_k v_k"; derived.
    """

    def __init__(
        self,
        x: Any,
        x_aug: Any,
        weights: Any,
        *,
        activation: Any = "relu",
        alpha: Any = None,
        alpha_weights: Any = None,
    ) -> None:
        a, b, w, name, parameter = checked_layer("GatedCovariance", x, x_aug, weights, activation)
        outputs = None
        if alpha_weights is not None:
            if not isinstance(alpha, NodeGaussian):
                raise ValueError("alpha_weights: expected None where alpha does not depend on the nodes")
            outputs = operand("alpha_weights", alpha_weights, samples="node")
            like(outputs, w)
            refuse_grad("GatedCovariance", outputs)
        self._x, self._weights = a, w
        # Without what is of their graphs: products, copies and pickles are constants.
        self._arguments = (*(t.detach() if is_tensor(t) else t for t in (x, x_aug)), activation, alpha)
        self._alpha_weights = alpha_weights.detach() if is_tensor(alpha_weights) else alpha_weights
        self._operator = constructor_for("GatedOperator", a)(
            a.array, b.array, w.array, name, parameter, *importance_arguments("GatedCovariance", alpha, a),
            *(() if outputs is None else (outputs.array,)),
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, int, int]:
        """(K, d, d)."""
        k, d = self._weights.shape
        return k, d, d

    @property
    def dtype(self) -> Any:
        """float32 or float64, as a numpy or torch dtype like the data's."""
        return self._arguments[0].dtype

    def matmul(self, v: Any) -> Any:
        """A(w_k) v_k for all k: (K, d) -> (K, d). NaN in gives NaN out."""
        vectors = self._vectors(v)
        answer, array = result(vectors.shape, self._x)
        self._multiply(vectors.array, np.arange(self.shape[0]), array)
        return answer

    def __matmul__(self, v: Any) -> Any:
        return self.matmul(v)

    def quadratic(self, v: Any) -> Any:
        """v_kᵀ A(w_k) v_k for all k: (K, d) -> (K,). At v = w it is c² C_α[h(wᵀx)]."""
        vectors = self._vectors(v)
        products = empty(vectors.shape, vectors.dtype, self._x)
        self._multiply(vectors.array, np.arange(self.shape[0]), products)
        answer, array = result(vectors.shape[:1], self._x)
        if is_tensor(products):
            array[...] = (vectors.array.double() * products.double()).sum(1)
        else:
            np.einsum("kd,kd->k", vectors.array, products, dtype=np.float64, out=array, casting="same_kind")
        return answer

    def to_dense(self) -> Any:
        """The matrices themselves, (K, d, d): by ``gated_cov``, or by d products where α is that of other nodes."""
        x, x_aug, activation, alpha = self._arguments
        if self._alpha_weights is None:
            return gated_cov(x, x_aug, self._given_weights(), activation=activation, alpha=alpha)
        answer, array = result(self.shape, self._x)
        count, d, _ = self.shape
        for j in range(d):
            unit, column = (empty((count, d), self._x.dtype, self._x) for _ in range(2))
            unit[...] = 0
            unit[:, j] = 1
            self._multiply(unit, np.arange(count), column)
            array[:, :, j] = column
        array[...] = 0.5 * (array + array.swapaxes(1, 2))
        return answer

    def with_weights(self, weights: Any) -> GatedCovariance:
        """The same data, activation and importance for other nodes, (K', d)."""
        w = _nodes(weights, self._x)
        refuse_grad("GatedCovariance", w)
        other = object.__new__(GatedCovariance)
        if self._alpha_weights is not None and w.shape != self._weights.shape:
            raise ValueError(f"weights: expected shape {self._weights.shape} like alpha_weights, got {w.shape}")
        other._x, other._weights, other._arguments = self._x, w, self._arguments
        other._alpha_weights = self._alpha_weights
        other._operator = self._operator.with_weights(w.array)
        return other

    def as_linear_operator(self, k: int) -> Any:
        """A(w_k) as a scipy.sparse.linalg.LinearOperator, (d, d), symmetric. Needs scipy."""
        linalg = require("scipy.sparse.linalg", package="scipy")
        count, d, _ = self.shape
        if not isinstance(k, (int, np.integer)) or isinstance(k, bool):
            raise TypeError(f"k: expected the index of a node, got {type(k).__name__}")
        if not 0 <= k < count:
            raise ValueError(f"k: expected the index of one of {count} nodes, got {k}")
        which = np.array([k])

        def product(v: np.ndarray) -> np.ndarray:
            out = empty((1, d), self._x.dtype, self._x)
            self._multiply(from_host(np.asarray(v).reshape(1, d).astype(self._x.dtype), self._x), which, out)
            return on_host(out)[0]

        return linalg.LinearOperator((d, d), matvec=product, rmatvec=product, dtype=self._x.dtype)

    def __repr__(self) -> str:
        k, d, _ = self.shape
        return f"GatedCovariance({k} nodes, {d} x {d}, {self._x.shape[0]} samples, {self._x.dtype})"

    def __reduce__(self) -> tuple[Any, ...]:
        x, x_aug, activation, alpha = self._arguments
        return _rebuilt, (type(self), x, x_aug, self._given_weights(), activation, alpha, self._alpha_weights)

    def _vectors(self, v: Any) -> Operand:
        vectors = operand("v", v, samples="node")
        like(vectors, self._x, shape=False)
        refuse_grad("GatedCovariance", vectors)
        if vectors.shape != self._weights.shape:
            raise ValueError(f"v: expected shape {self._weights.shape} like the weights, got {vectors.shape}")
        return vectors

    def _multiply(self, v: np.ndarray, which: np.ndarray, out: np.ndarray) -> None:
        backend_for(self._x)  # tells of a fork since the operator was made
        self._operator.matmul(v, which, out)

    def _given_weights(self) -> Any:
        return given_back(self._weights.array, self._x.is_torch)


def _rebuilt(cls: type, x: Any, x_aug: Any, weights: Any, activation: Any, alpha: Any, alpha_weights: Any) -> Any:
    return cls(x, x_aug, weights, activation=activation, alpha=alpha, alpha_weights=alpha_weights)


def importance_arguments(function: str, alpha: Any, x: Operand) -> tuple[Any, ...]:
    """What the compiled objects of a layer take as importance: one shared by the nodes, or their own Gaussian."""
    return _importance(function, alpha, x)[0]


def _importance(function: str, alpha: Any, x: Operand) -> tuple[tuple[Any, ...], Operand]:
    """The same, and the data that it reads."""
    if not isinstance(alpha, NodeGaussian):
        found, data = check(function, alpha, x)
        return (found._compile(data),), data
    x0 = alpha.inputs(x)
    refuse_grad(function, x0)
    return (None if alpha.x0 is None else x0.array, alpha.tau, alpha.sup_error(x.dtype)), x0
