"""power_iteration: the top eigenpairs of many symmetric matrices, as arrays or as a GatedCovariance."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from alphacl_fast._arrays import (
    Operand,
    contiguous,
    empty,
    given_back,
    is_tensor,
    like,
    on_host,
    operand,
    positive,
    refuse_grad,
)
from alphacl_fast._backend import backend_for
from alphacl_fast._gated import GatedCovariance

_DEFAULT_TOL = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-10}


class TopEigenpairs(NamedTuple):
    """The largest algebraic eigenpair of each of B matrices; the leading axis is missing for a single one."""

    eigenvalue: Any  # (B,)
    eigenvector: Any  # (B, d), of length 1; the first entry of largest magnitude is positive
    gap: Any  # (B,) λ1 − λ2, or None
    residual: Any  # (B,) ‖Av − λv‖ of this very λ and v
    n_iter: Any  # (B,) matrix-vector products
    converged: Any  # (B,) whether residual ≤ tol·‖A‖₂, and with gap=True λ2 too


def power_iteration(
    a: Any,
    *,
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
    v0 : start vectors, (d,) or (B, d) like a; None draws them from ``seed`` and the index of the matrix alone. A start
        without any part in the top eigenvector cannot find it: λ is then the largest of what the start contains.
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
    start = None if v0 is None else _start(v0, matrices, shape)

    count, d = (1 if len(shape) == 2 else shape[0]), shape[-1]
    values, residuals, gaps = (empty((count,), matrices.dtype, matrices) for _ in range(3))
    vectors = empty((count, d), matrices.dtype, matrices)
    steps, done = empty((count,), np.int64, matrices), empty((count,), np.bool_, matrices)
    options = (start, tol, max_iter, method == "lanczos", seed)
    found = (values, vectors, gaps if gap else None, residuals, steps, done)
    module = backend_for(matrices)
    if isinstance(a, GatedCovariance):
        a._operator.power_iteration(*options, *found)
    else:
        module.power_iteration(matrices.array.reshape(count, d, d), *options, *found)
    return _results(matrices.is_torch, len(shape) == 2, *found)


def at_least(name: str, value: Any, least: int) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}")
    if not least <= value < 2**63:
        raise ValueError(f"{name}: expected an integer of at least {least}, got {value}")
    return int(value)


def _start(v0: Any, matrices: Operand, of: tuple[int, ...]) -> Any:
    shape = of[:-1]
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
