"""power_iteration: the top eigenpairs of many symmetric matrices, as arrays or as a GatedCovariance."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from alphacl_fast._arrays import (
    Operand,
    contiguous,
    empty,
    from_host,
    given_back,
    is_tensor,
    like,
    on_host,
    operand,
    positive,
    refuse_grad,
)
from alphacl_fast._backend import backend_for
from alphacl_fast._deflation import Deflation, Options, Pairs, several
from alphacl_fast._gated import GatedCovariance
from alphacl_fast._standard_form import StandardForm

_DEFAULT_TOL = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-10}


class TopEigenpairs(NamedTuple):
    """The largest algebraic eigenpair of each of B matrices; the leading axis is missing for a single one.

    For k > 1 an axis of the k pairs, the highest first, follows that of the matrices: (B, k), (B, k, d).
    """

    eigenvalue: Any  # (B,)
    eigenvector: Any  # (B, d), of length 1 (vᵀBv = 1 with b); the first entry of largest magnitude is positive
    gap: Any  # (B,) λ1 − λ2, or None; for k > 1 λ_j − λ_{j+1} of each
    residual: Any  # (B,) ‖Av − λv‖ (‖Av − λBv‖ with b) of this very λ and v
    n_iter: Any  # (B,) matrix-vector products
    converged: Any  # (B,) whether residual ≤ tol·‖A‖₂, and with gap=True λ2 too


def power_iteration(
    a: Any,
    *,
    b: Any = None,
    k: int = 1,
    v0: Any = None,
    tol: float | None = None,
    max_iter: int = 1000,
    method: str = "lanczos",
    gap: bool = False,
    seed: int = 0,
) -> TopEigenpairs:
    """Av = λv for the largest algebraic eigenvalue λ of each symmetric matrix, also where a negative one is larger.

    a : (d, d) or (B, d, d) float32 or float64, numpy array or torch CPU tensor, or a GatedCovariance, whose
        matrices are then known by their products alone and go on in lock-step. Of arrays only the lower triangle is
        read (as numpy.linalg.eigh does), so an asymmetric matrix is not noticed.
    b : Av = λBv instead, B symmetric positive definite: (d, d) for all or (B, d, d), of a's kind and dtype. By
        B = LLᵀ the pairs are those of L⁻¹AL⁻ᵀ: ``tol``, ``gap`` and ``converged`` speak of it.
    k : pairs of each matrix, k ≤ d. Pair j is found in the complement of those before it, in float64 vectors on the
        host, all matrices in lock-step. Its residual is allowed √j · tol·‖A‖, and so is an order that is not strict.
    v0 : start vectors, (d,) or (B, d) like a, for k > 1 (k, d) or (B, k, d) as an earlier result has them; None draws
        them from ``seed`` and the index of the matrix alone. A start without any part in the top eigenvector cannot
        find it: λ is then the largest of what the start contains.
    tol : stop at ‖Av − λv‖ ≤ tol·‖A‖₂, with ‖A‖₂ estimated from below by the largest ‖Aq‖ of a unit vector met.
        Default 1e-5 for float32, 1e-10 for float64; a vector of float32 numbers itself leaves about 5e-8.
        Of eigenvalues that lie within some 10·tol·‖A‖₂ of each other any may come out. Of two that are g·tol·‖A‖₂
        apart the lower one comes out of at most about one random start in 5g, which has too little of the upper one.
    max_iter : bound of the products of each run; not converged is a result, not an error.
    method : "lanczos" (the whole basis kept orthogonal, started again from the best vector after 256 steps) or "power"
        (the literal v ← (A − σI)v/‖·‖, with σ ≤ 0 the lowest Rayleigh-Ritz value met, 0 as long as none is negative).
    gap : also compute λ1 − λ2, by a Lanczos run orthogonal to v: 0 for a double eigenvalue, +inf for d = 1, where
        nothing competes. Negative only if ``v0`` missed the top eigenvector.

    Returns TopEigenpairs of a's kind and dtype. ``residual`` is recomputed in float64 from the returned λ and v, and
    ``converged`` follows it. A matrix that is not finite gives NaN and converged False. The same bits for any number of
    threads. Not differentiable: tensors that require grad are refused.

    Raises TypeError or ValueError naming the argument, what was expected and what came.
    Cost: d² multiply-adds per product plus 2jd at step j of Lanczos; each matrix stays in the cache of one core.
    k and b add O(kd) a product, and for arrays a copy in float64; b O(d³) once.
    Memory: d²/2 + min(d, 256)·d numbers per thread; for a GatedCovariance K·min(d, 256)·d, at most about 128 MiB unless
    a basis of 16 vectors takes more, and its residuals are as exact as its products.
    Source: spec, top eigenpairs; poster, "top eigenvector of A(w)".
    """
    if isinstance(a, GatedCovariance):
        matrices, shape = a._x, a.shape
    else:
        matrices = operand("a", a, ndim=(2, 3), empty=True)
        shape = matrices.shape
        if shape[-1] != shape[-2] or shape[-1] == 0:
            raise ValueError(f"a: expected square matrices, (d, d) or (B, d, d), got shape {shape}")
        refuse_grad("power_iteration", matrices)
    tol = _DEFAULT_TOL[matrices.dtype] if tol is None else positive("tol", tol)
    max_iter = at_least("max_iter", max_iter, 1)
    seed = at_least("seed", seed, 0)
    if method not in ("lanczos", "power"):
        raise ValueError(f"method: expected lanczos or power, got {method!r}")
    k = at_least("k", k, 1)
    if k > shape[-1]:
        raise ValueError(f"k: expected at most {shape[-1]} pairs of matrices of shape {shape}, got {k}")
    form = None if b is None else _form(b, matrices, shape)
    start = None if v0 is None else _start(v0, matrices, shape, k)
    options = Options(tol, max_iter, method == "lanczos", seed)
    if k > 1 or form is not None:
        found = _several(a, matrices, form, k, start, options, gap)
        return _results(matrices.is_torch, len(shape) == 2, *(found if k > 1 else _one(found)))
    return _results(matrices.is_torch, len(shape) == 2, *_first(a, matrices, shape, start, options, gap))


def _first(a: Any, matrices: Operand, shape: tuple[int, ...], start: Any, options: Options, gap: bool) -> list[Any]:
    """The top pairs by one compiled call, (B, …) each."""
    count, d = (1 if len(shape) == 2 else shape[0]), shape[-1]
    values, residuals, gaps = (empty((count,), matrices.dtype, matrices) for _ in range(3))
    vectors = empty((count, d), matrices.dtype, matrices)
    steps, done = empty((count,), np.int64, matrices), empty((count,), np.bool_, matrices)
    arguments = (start, options.tol, options.max_iter, options.lanczos, options.seed)
    found = (values, vectors, gaps if gap else None, residuals, steps, done)
    module = backend_for(matrices)
    if isinstance(a, GatedCovariance):
        a._operator.power_iteration(*arguments, *found)
    else:
        module.power_iteration(matrices.array.reshape(count, d, d), *arguments, *found)
    return list(found)


def _several(
    a: Any, matrices: Operand, b: Operand | None, k: int, start: Any, options: Options, gap: bool
) -> list[Any]:
    """The top k pairs, (B, k, …) each, of the dtype and on the device of the matrices."""
    problem = StandardForm(a, matrices, b)
    v0 = None
    if start is not None:
        v0 = problem.starts(on_host(start).reshape(problem.count, k, problem.d).astype(np.float64))
    search = Deflation(problem.product, problem.count, problem.d, options)
    first = None if problem.layer is not None and b is not None else _first_of(problem, a, matrices, b, v0, options)
    values, y, gaps, residuals, steps, done = several(search, first, k, gap, v0)
    values, vectors, residuals = problem.back(values, y, residuals)
    gaps = None if gaps is None else np.ldexp(gaps, -problem.exponents[:, None])
    vectors = positive_form(vectors.astype(matrices.dtype))  # once rounded: two entries may have become equal
    found = [None if f is None else f.astype(matrices.dtype) for f in (values, vectors, gaps, residuals)]
    return [None if f is None else from_host(f, matrices) for f in (*found, steps, done)]


def positive_form(v: np.ndarray) -> np.ndarray:
    """(…, d) vectors whose first entry of largest magnitude is positive."""
    largest = np.take_along_axis(v, np.abs(v).argmax(axis=-1)[..., None], axis=-1)
    return np.where(largest < 0, -v, v)


def _first_of(
    problem: StandardForm, a: Any, matrices: Operand, b: Operand | None, v0: np.ndarray | None, options: Options
) -> Pairs:
    """The first pair of the standard problem, by the compiled call that serves k = 1."""
    array = b is not None
    of = Operand("a", problem.array, False, False) if array else matrices
    start = None if v0 is None else from_host(v0[:, 0].astype(of.dtype), of)
    found = _first(None if array else a, of, of.shape if array else a.shape, start, options, False)
    values, vectors, _, residuals, steps, done = (None if f is None else on_host(f) for f in found)
    shift = 0 if array else problem.exponents
    values, residuals = (np.ldexp(part.astype(np.float64), shift) for part in (values, residuals))
    return Pairs(values, vectors.astype(np.float64), residuals, steps, done)


def _one(found: list[Any]) -> list[Any]:
    return [None if f is None else f[:, 0] for f in found]


def at_least(name: str, value: Any, least: int) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}")
    if not least <= value < 2**63:
        raise ValueError(f"{name}: expected an integer of at least {least}, got {value}")
    return int(value)


def _form(b: Any, matrices: Operand, of: tuple[int, ...]) -> Operand:
    form = operand("b", b, ndim=(2, 3))
    like(form, matrices, shape=False)
    refuse_grad("power_iteration", form)
    if form.shape not in (of, of[-2:]):
        expected = " or ".join(str(shape) for shape in dict.fromkeys((of[-2:], of)))
        raise ValueError(f"b: expected shape {expected} for matrices of shape {of}, got {form.shape}")
    return form


def _start(v0: Any, matrices: Operand, of: tuple[int, ...], k: int) -> Any:
    shape = of[:-1] if k == 1 else (*of[:-2], k, of[-1])
    start = operand("v0", v0, ndim=(len(shape),), empty=True)
    like(start, matrices, shape=False)
    refuse_grad("power_iteration", start)
    if start.shape != shape:
        raise ValueError(f"v0: expected shape {shape} for matrices of shape {of}, got {start.shape}")
    rows = contiguous(start, matrices).reshape(-1, shape[-1])
    values = on_host(rows)
    if not np.isfinite(values).all():
        raise ValueError("v0: expected finite numbers, got NaN or infinity")
    if not values.any(axis=1).all():
        raise ValueError("v0: expected vectors other than 0, got a zero vector")
    return rows


def _results(is_torch: bool, single: bool, *arrays: Any) -> TopEigenpairs:
    found = [a if a is None or not single else a[0, ...] for a in arrays]
    found = [None if a is None else given_back(a if is_tensor(a) else np.asarray(a), is_torch) for a in found]
    if single and not is_torch:
        found = [a[()] if a is not None and a.ndim == 0 else a for a in found]
    return TopEigenpairs(*found)
