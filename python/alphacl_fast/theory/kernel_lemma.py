"""The kernel lemma: the contrastive covariance as a sum of variances under adjusted densities."""

from __future__ import annotations

import math
import sys
from typing import Any, NamedTuple

import numpy as np

from alphacl_fast._arrays import Operand, from_host, given_back, is_tensor, like, operand, positive, refuse_grad
from alphacl_fast._gated import gated_outer
from alphacl_fast._power_iteration import at_least

__all__ = ["KernelDecomposition", "kernel_decomposition", "kernel_features"]


class KernelDecomposition(NamedTuple):
    """The first L terms of C_α[g] = Σ_l z_l² V_l[g], α_ij = exp(−(u_i − u_j)²/2τ)."""

    z: Any  # (L,) z_l = E[φ_l(u)], the mass of the adjusted density p̃_l = p φ_l / z_l
    weighted_variance: Any  # (L, m, m) z_l² V_l[g] = z_l E[φ_l g gᵀ] − E[φ_l g] E[φ_l g]ᵀ
    running_sum: Any  # (L, m, m) the sum of terms 0 to l, which tends to C_α[g]


def kernel_features(u: Any, tau: float, num_terms: int) -> Any:
    """φ_l(u) = e^(−u²/2τ) (u/√τ)^l / √l!, l = 0 … L − 1: the factors of exp(−(u − u')²/2τ) = Σ_l φ_l(u) φ_l(u').

    u : (N,) float32 or float64. tau : in the unit of u². num_terms : L.
    φ_l(u)² is the Poisson probability of l at mean u²/τ: all of α is there once L exceeds max u²/τ by some
    max |u|/√τ. α does not change when u is shifted; the terms do, and u about 0 needs the fewest.

    Returns (N, L) of u's kind and dtype; computed in float64 by logarithms, so that neither l nor |u| overflows.
    As the factor of a low-rank importance they give α up to what is cut off. NaN in gives NaN out.
    Raises TypeError or ValueError naming the argument, what was expected and what came.
    Cost: NL exponentials. Source: poster, "Example of Kernel-like α"; the expansion is Taylor's of e^(uu'/τ).
    """
    a = operand("u", u, ndim=(1,))
    refuse_grad("kernel_features", a)
    tau, num_terms = positive("tau", tau), at_least("num_terms", num_terms, 1)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        phi = _as(_features(a, tau, num_terms), a.dtype)
    return given_back(phi, a.is_torch)


def kernel_decomposition(g: Any, u: Any, tau: float, num_terms: int, *, g_aug: Any = None) -> KernelDecomposition:
    """C_α[g] = Σ_l z_l² V_{p̃_l}[E_aug g], p̃_l = p φ_l / z_l, for α_ij = exp(−(u_i − u_j)²/2τ) = Σ_l φ_l(u_i) φ_l(u_j).

    g : (N, m) float32 or float64: outputs averaged over augmentations, or without any. With ``g_aug``, (N, m), g and
        g_aug are those of two views, and g gᵀ − ½ δδᵀ, δ = g − g', stands for the second moment of the average (their
        expectations are equal). u : (N,) scalars of the samples before augmentation, as h(wᵀx0).
    tau : in the unit of u². num_terms : L, see ``kernel_features``.

    The running sum tends to ``contrastive_cov(g, g_aug, Gaussian(u, tau))`` of the same N samples (g_aug = g where
    there is none), exactly; the lemma is N → ∞, at a rate of N^(−1/2). Terms of odd l may have z_l ≤ 0 where p̃_l is no
    density; the product formula needs none.
    Returns KernelDecomposition of g's kind and dtype, computed in float64. NaN in gives NaN out.
    Raises TypeError or ValueError naming the argument, what was expected and what came.
    Cost: NLm² multiply-adds; memory NL + Lm² numbers. Source: poster, "Connect C_α with regular variance".
    """
    a, scalars = operand("g", g, columns="output"), operand("u", u, ndim=(1,))
    like(scalars, a, shape=False)
    if scalars.shape[0] != a.shape[0]:
        raise ValueError(f"u: expected {a.shape[0]} entries like the rows of g, got {scalars.shape[0]}")
    b = None if g_aug is None else operand("g_aug", g_aug)
    if b is not None:
        like(b, a)
    refuse_grad("kernel_decomposition", a, scalars, *(() if b is None else (b,)))
    tau, num_terms = positive("tau", tau), at_least("num_terms", num_terms, 1)

    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        phi = _features(scalars, tau, num_terms)
        wide = _as(a.array, np.float64)
        moments = _moments(wide - wide.mean(0), phi)  # a common offset changes no variance
        z, first, second = moments[:, -1, -1], moments[:, :-1, -1], moments[:, :-1, :-1]
        if b is not None:
            wide_aug = _as(b.array, np.float64)
            second = second - gated_outer(wide - wide_aug, phi) / (2 * a.shape[0])
            xp = _namespace(wide)
            second = xp.where(xp.isfinite(wide_aug).all(), second, math.nan)  # gated_outer skips samples of weight 0
        terms = z[:, None, None] * second - first[:, :, None] * first[:, None, :]
        found = [_as(f, a.dtype) for f in (z, terms, terms.cumsum(0))]
    return KernelDecomposition(*(given_back(f, a.is_torch) for f in found))


def _moments(g: Any, phi: Any) -> Any:
    """E[φ_l (g, 1)(g, 1)ᵀ], (L, m + 1, m + 1): the second moments, the first and the masses in one pass."""
    xp = _namespace(g)
    return gated_outer(xp.concatenate([g, xp.ones_like(g[:, :1])], 1), phi) / len(g)


def _features(u: Operand, tau: float, num_terms: int) -> Any:
    """(N, L) φ_l(u) in float64, an array or tensor where u lies: e^(−v²/2 + l log|v| − ½ log l!), v = u/√τ."""
    v = _as(u.array, np.float64)[:, None] / math.sqrt(tau)
    xp = _namespace(v)
    orders = np.arange(num_terms, dtype=np.float64)
    halves = np.array([0.5 * math.lgamma(order + 1) for order in range(num_terms)])
    order, log_root = (from_host(f, u) for f in (orders, halves))
    size = xp.where(v == 0, xp.ones_like(v), xp.abs(v))
    phi = xp.exp(order * xp.log(size) - 0.5 * v * v - log_root)
    phi = xp.where((v < 0) & (order % 2 == 1), -phi, phi)
    return xp.where((v == 0) & (order > 0), xp.zeros_like(phi), phi)


def _namespace(a: Any) -> Any:
    """numpy or torch: what computes with an array."""
    return sys.modules["torch"] if is_tensor(a) else np


def _as(a: Any, dtype: Any) -> Any:
    """A numpy array or a tensor in another dtype."""
    if is_tensor(a):
        return a.to(getattr(sys.modules["torch"], np.dtype(dtype).name))
    return np.asarray(a, dtype)
