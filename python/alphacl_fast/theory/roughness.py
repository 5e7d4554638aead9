"""Local roughness: how fast A(v) changes around a node, measured, and in closed form where the density is known."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from alphacl_fast._arrays import from_host, given_back, like, on_host, operand, positive, refuse_grad
from alphacl_fast.theory._tangents import Array, Nearby, checked_search, largest_over_tangents, unit_nodes

__all__ = ["ReluRoughness", "local_roughness", "roughness_relu_density"]


def local_roughness(
    x: Any,
    x_aug: Any,
    weights: Any,
    *,
    activation: Any = "relu",
    alpha: Any = None,
    radius: float = 0.1,
    frozen: bool = True,
    directions: int = 32,
    seed: int = 0,
) -> Any:
    """ρ̂(w; δ) = max ‖(A(v) − A(w)) w‖ / ‖v − w‖ over unit v at the angle δ from w, for each of K nodes.

    x, x_aug : (N, d) float32 or float64, two augmented views. weights : (K, d), of any length but 0; w has length 1.
    activation, alpha : as for ``gated_cov``.
    radius : δ in radians, at most π/2. On N samples A(v) of a ReLU is piecewise constant, so that δ → 0 gives 0 almost
        everywhere: δ must be wide enough that many samples lie between the hyperplanes of v and w. On a density ρ̂ is
        off by O(δ) from its limit, more where τ is below (δ · the length of a sample)².
    frozen : with NodeGaussian, keep α as it is at w; else α is that of v. Only frozen, Gaussian is far below uniform.
    directions : tangent directions in the basis from which the maximum is built; 4 at a time, from ``seed``. Where it
        reaches d − 1 the basis is complete. Then the value is raised around the best direction in a few rounds. What
        comes out is the largest value met, a lower bound of the maximum. Few samples between the hyperplanes of v and
        w make it uneven: with a complete basis, d = 3, it was up to 11 % too low at N = 1000, five times at N = 100
        and δ = 0.03.

    Returns (K,), of x's kind and dtype. For d = 1 nothing is orthogonal to w, and it is 0. NaN in gives NaN out.
    Raises TypeError or ValueError naming the argument, what was expected and what came.
    Cost: ``directions`` + 24 products per node, 8Nd operations each; memory as GatedCovariance of 4K nodes and
    2 · directions · Kd numbers. No d × d matrix. Source: poster, "local roughness"; the finite radius: derived.
    """
    a, nodes, radius, directions, seed = checked_search(
        "local_roughness", x, x_aug, weights, activation, radius, directions, seed
    )
    if a.shape[1] == 1:
        finite = all(np.isfinite(on_host(f.array)).all() for f in (a, operand("x_aug", x_aug)))
        found = np.full(len(nodes), 0.0 if finite else np.nan)
    else:
        found = roughness_of(Nearby(x, x_aug, nodes, activation, alpha, radius, frozen), directions, seed)
    return given_back(from_host(found.astype(a.dtype), a), a.is_torch)


def roughness_of(near: Nearby, directions: int, seed: int) -> Array:
    """(K,) ρ̂ of the nodes of `near`, d ≥ 2."""
    return largest_over_tangents(
        near.weights,
        image=near.difference,
        value=lambda t, images: np.linalg.norm(images, axis=2),
        small=lambda basis, images: np.einsum("ksd,krd->ksr", images, images),
        # The gradient of ½‖Mt‖² is MᵀMt, with M of the basis.
        uphill=lambda basis, images, g: np.einsum("ks,ksd->kd", np.einsum("ksd,kd->ks", images, g), basis),
        directions=directions,
        seed=seed,
    )


class ReluRoughness(NamedTuple):
    """ρ of K ReLU nodes on a known density."""

    uniform: Any  # (K,) E[u] ‖Q‖₂
    gaussian: Any  # (K,) E[u exp(−u²/2τ)] ‖Q‖₂, α frozen


def roughness_relu_density(
    weights: Any, means: Any, covariances: Any, probabilities: Any = None, *, tau: float
) -> ReluRoughness:
    """ρ_uniform = E[u]‖Q‖₂, ρ_Gaussian = E[u e^(−u²/2τ)]‖Q‖₂ of u = max(wᵀx, 0), Q(w) = ∫_{wᵀx=0} x xᵀ p dS.

    p = Σ_c π_c N(μ_c, Σ_c), a mixture of Gaussians, both views equal (no augmentation), N → ∞ and then radius → 0.
    weights : (K, d), of any length but 0; w has length 1. means : (C, d). covariances : (C, d, d), positive
    definite. probabilities : (C,), positive; divided by their sum; None is 1/C each. All of one kind and dtype.
    tau : of NodeGaussian, in the unit of u².

    Returns ReluRoughness of the kind and dtype of weights; ``local_roughness`` measures the same on a sample.
    Raises TypeError or ValueError naming the argument, what was expected and what came.
    Cost: O(KCd² + Kd³), in float64 on the host. Source: derived. At v near w the gates of those near wᵀx = 0 change:
    (A(v) − A(w))w → −E_j[α_0j u_j] Q(v − w), α_0j the importance between a sample there (u = 0) and another.
    """
    w = operand("weights", weights, samples="node")
    mu, cov, share = _mixture(w, means, covariances, probabilities)
    tau = positive("tau", tau)
    nodes = unit_nodes(w)
    m = nodes @ mu.T  # (K, C) mean and variance of wᵀx
    along = np.einsum("cde,ke->kcd", cov, nodes)
    variance = np.einsum("kcd,kd->kc", along, nodes)
    if not (variance > 0).all():
        raise ValueError("covariances: expected positive definite matrices, got one without variance along a node")
    deviation = np.sqrt(variance)
    # Given wᵀx = 0: mean μ − Σw m/σ², covariance Σ − Σw(Σw)ᵀ/σ².
    boundary = mu - along * (m / variance)[..., None]
    left = cov - along[..., None] * along[..., None, :] / variance[..., None, None]
    density = share * np.exp(-0.5 * (m / deviation) ** 2) / (math.sqrt(2 * math.pi) * deviation)
    q = np.einsum("kc,kcde->kde", density, left + boundary[..., None] * boundary[..., None, :])
    norms = np.linalg.norm(q, 2, axis=(1, 2))
    uniform = (share * _mean_of_relu(m, deviation)).sum(axis=1)
    # e^(−u²/2τ) times N(m, σ²) is a Gaussian of mean mτ/(σ² + τ), variance σ²τ/(σ² + τ), and of less mass.
    kept = tau / (variance + tau)
    mass = np.sqrt(kept) * np.exp(-(m**2) / (2 * (variance + tau)))
    gaussian = (share * mass * _mean_of_relu(m * kept, deviation * np.sqrt(kept))).sum(axis=1)
    found = [(mean * norms).astype(w.dtype) for mean in (uniform, gaussian)]
    return ReluRoughness(*(given_back(from_host(f, w), w.is_torch) for f in found))


def _mixture(w: Any, means: Any, covariances: Any, probabilities: Any) -> tuple[Array, Array, Array]:
    """Means, covariances and shares of the mixture, checked, in float64."""
    mu, cov = operand("means", means, samples="component"), operand("covariances", covariances, ndim=(3,))
    share = None if probabilities is None else operand("probabilities", probabilities, ndim=(1,))
    d, count = w.shape[1], mu.shape[0]
    expected = [(mu, (count, d)), (cov, (count, d, d)), (share, (count,))]
    for given, shape in expected:
        if given is None:
            continue
        like(given, w, shape=False)
        refuse_grad("roughness_relu_density", given)
        if given.shape != shape:
            raise ValueError(f"{given.name}: expected shape {shape} for weights of shape {w.shape}, got {given.shape}")
    refuse_grad("roughness_relu_density", w)
    precision = np.finfo(cov.dtype).eps
    mu, cov = (on_host(a.array).astype(np.float64) for a in (mu, cov))
    if not np.isfinite(mu).all():
        raise ValueError("means: expected finite numbers, got NaN or infinity")
    _check_covariances(cov, 10 * d * precision)
    share = np.ones(count) if share is None else on_host(share.array).astype(np.float64)
    if not (np.isfinite(share).all() and (share > 0).all()):
        raise ValueError("probabilities: expected positive finite numbers")
    return mu, cov, share / share.sum()


def _check_covariances(cov: Array, rounding: float) -> None:
    """Refuses what is no covariance beyond `rounding`, relative to the largest entry of each."""
    if not np.isfinite(cov).all():
        raise ValueError("covariances: expected finite numbers, got NaN or infinity")
    allowed = rounding * np.abs(cov).max(axis=(1, 2), initial=0)
    if (np.abs(cov - cov.swapaxes(1, 2)).max(axis=(1, 2), initial=0) > allowed).any():
        raise ValueError("covariances: expected symmetric matrices, got one that is not")
    least = np.linalg.eigvalsh(cov).min(axis=1, initial=np.inf)
    if (least < -allowed).any():
        raise ValueError(f"covariances: expected positive definite matrices, got an eigenvalue of {least.min():.3g}")


def _mean_of_relu(mean: Array, deviation: Array) -> Array:
    """E[max(s, 0)] = mΦ(m/σ) + σφ(m/σ) for s ~ N(m, σ²)."""
    z = mean / deviation
    normal = 0.5 * np.vectorize(math.erfc)(-z / math.sqrt(2))
    return mean * normal + deviation * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
