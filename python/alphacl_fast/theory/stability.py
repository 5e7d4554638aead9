"""Whether a critical point of a node is a local maximum: the criterion of the poster, and the tangent Jacobian."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from alphacl_fast._arrays import Operand, from_host, given_back, on_host, operand, positive
from alphacl_fast._gated import GatedCovariance
from alphacl_fast._power_iteration import at_least
from alphacl_fast.theory._gaps import DEFAULT_TOL, eigenvalue_gaps
from alphacl_fast.theory._tangents import Array, Nearby, checked_search, given, largest_over_tangents
from alphacl_fast.theory.roughness import roughness_of

__all__ = ["Stability", "stability"]


class Stability(NamedTuple):
    """What is known of K nodes w, each of length 1."""

    eigenvalue: Any  # (K,) λ = wᵀA(w)w
    gap: Any  # (K,) λ minus the largest eigenvalue of A(w) in the complement of w; +inf where d = 1
    residual: Any  # (K,) ‖A(w)w − λw‖: all else speaks of critical points, where it is small
    roughness: Any  # (K,) ρ̂(w; radius), as of local_roughness
    certified: Any  # (K,) bool: gap > roughness, by more than the gap is known to; False says nothing
    jacobian_top: Any  # (K,) the largest tᵀJt met; above 0: no maximum; −inf where d = 1


def stability(
    x: Any,
    x_aug: Any,
    weights: Any,
    *,
    activation: Any = "relu",
    alpha: Any = None,
    radius: float = 0.1,
    frozen: bool = True,
    directions: int = 32,
    tol: float | None = None,
    max_iter: int = 1000,
    seed: int = 0,
) -> Stability:
    """A(w)w = λw and λ_gap(w) > ρ(w) ⇒ w is a local maximum; sharper: sym(J) < 0, J = P(A − λI + M)P, P = I − wwᵀ.

    M = ∂_v[A(v)w] at v = w, by central differences at the angle ``radius``. The criterion is sufficient only: a node
    that is not certified may well be stable. For ReLU and frozen α, J is the Hessian of the energy on the sphere.

    x, x_aug, weights, activation, alpha, radius, frozen, directions, seed : as for ``local_roughness``. J is not linear
        in the direction at a finite radius: jacobian_top is the largest tᵀJ(t)t met over unit t ⊥ w, a lower bound of
        the maximum, from the same number of directions. Roughness and jacobian_top are lower bounds, so that certified
        and a jacobian_top below 0 are evidence, no proof; the more so the fewer samples and directions there are.
    tol, max_iter : of the gap, by Lanczos in the complement of w, known to tol·‖A‖, for which the Frobenius norm
        stands here, estimated where ``directions`` are fewer than d − 1; NaN after max_iter products.
        Default tol 1e-4 for float32, 1e-8 for float64.

    Returns Stability of x's kind and dtype. NaN in gives NaN out and certified False.
    Raises TypeError or ValueError naming the argument, what was expected and what came.
    Cost: 4 (directions + 24) products per node for roughness and Jacobian, some dozens for the gap; no d × d matrix.
    Source: poster, "Critical points ≠ local optima"; J: derived.
    """
    a, nodes, radius, directions, seed = checked_search(
        "stability", x, x_aug, weights, activation, radius, directions, seed
    )
    tol = DEFAULT_TOL[a.dtype] if tol is None else positive("tol", tol)
    max_iter = at_least("max_iter", max_iter, 1)
    units = given(nodes, a)
    layer = GatedCovariance(x, x_aug, units, activation=activation, alpha=alpha)
    products = on_host(operand("product", layer.matmul(units)).array).astype(np.float64)
    values = np.einsum("kd,kd->k", nodes, products)
    residuals = np.linalg.norm(products - values[:, None] * nodes, axis=1)
    gaps = _gaps(layer, a, nodes, values, residuals, tol, max_iter, seed)
    norms = np.hypot(values, residuals)  # ‖A(w)w‖
    if a.shape[1] == 1:
        finite = np.isfinite(values)
        rough, top = np.where(finite, 0, np.nan), np.where(finite, -np.inf, np.nan)
    else:
        near = Nearby(x, x_aug, nodes, activation, alpha, radius, frozen)
        rough = roughness_of(near, directions, seed)
        top, across = _jacobian_top(near, values, directions, seed)
        norms = np.hypot(norms, across)
    certified = gaps > rough + tol * norms
    found = [f.astype(a.dtype) for f in (values, gaps, residuals, rough)] + [certified, top.astype(a.dtype)]
    return Stability(*(given_back(from_host(f, a), a.is_torch) for f in found))


def _gaps(
    layer: GatedCovariance, x: Operand, w: Array, values: Array, residuals: Array, tol: float, max_iter: int, seed: int
) -> Array:
    at, value, residual = (f.astype(x.dtype) for f in (w, values, residuals))
    found = eigenvalue_gaps(layer, from_host(at, x), value, residual, tol, max_iter, seed)
    return on_host(found).astype(np.float64)


def _jacobian_top(near: Nearby, values: Array, directions: int, seed: int) -> tuple[Array, Array]:
    """(K,) the largest tᵀJ(t)t over unit t ⊥ w, d ≥ 2; and ‖AP‖_F, from the ‖At‖ of a basis."""
    w = near.weights
    dimension = min(w.shape[1] - 1, directions)
    squares = np.empty((len(w), 0))  # ‖At‖² of the directions of the basis, which come first

    def image(t: Array) -> Array:
        nonlocal squares
        product = near.product(t)
        fresh = product[:, : dimension - squares.shape[1]]
        squares = np.concatenate([squares, (fresh**2).sum(axis=2)], axis=1)
        moved = product - values[:, None, None] * t + near.derivative(t)
        return moved - np.einsum("krd,kd->kr", moved, w)[..., None] * w[:, None]

    def small(basis: Array, images: Array) -> Array:
        form = np.einsum("ksd,krd->ksr", basis, images)
        return 0.5 * (form + form.swapaxes(1, 2))

    top = largest_over_tangents(
        w,
        image=image,
        value=lambda t, images: np.einsum("krd,krd->kr", t, images),
        small=small,
        uphill=lambda basis, images, g: g,
        directions=directions,
        seed=seed,
    )
    return top, np.sqrt((w.shape[1] - 1) * squares.mean(axis=1))
