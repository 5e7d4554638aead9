"""Identities of the source papers that hold exactly: Laplacian form, kernel lemma, adjoint."""

import math

import numpy as np
import pytest
from support import DTYPES, IMPORTANCES, importance, relative_error, two_views

import alphacl_fast as acl
from alphacl_fast import reference


@pytest.mark.parametrize("name", IMPORTANCES)
def test_double_sum_is_the_laplacian_form(name):
    """2N² C = Xᵀ diag(r + c) X − Xᵀ(α + αᵀ)X − Δᵀ diag(r) Δ, r = α1, c = αᵀ1, Δ = X − X'."""
    n = 150
    x, x_aug = two_views(n, 6, np.float64)
    alpha = importance(name, n, np.float64)
    a = reference.dense_alpha(alpha, n)
    r, c, delta = a.sum(axis=1), a.sum(axis=0), x - x_aug
    laplacian = x.T @ ((r + c)[:, None] * x) - x.T @ (a + a.T) @ x - delta.T @ (r[:, None] * delta)
    laplacian /= 2 * n**2
    assert relative_error(reference.contrastive_cov(x, x_aug, alpha), laplacian) < 1e-11
    assert relative_error(acl.contrastive_cov(x, x_aug, alpha), laplacian) < 1e-11


def test_the_operators_methods_give_the_laplacian_form():
    n = 150
    x, x_aug = two_views(n, 6, np.float64)
    for name in ("dense", "low_rank", "gaussian_scalar", "gaussian", "direct", "direct_raw"):
        alpha = importance(name, n, np.float64)
        r, c, delta = alpha.row_sums(), alpha.col_sums(), x - x_aug
        cross = x.T @ alpha.matmul(x)
        laplacian = x.T @ ((r + c)[:, None] * x) - cross - cross.T - delta.T @ (r[:, None] * delta)
        assert relative_error(acl.contrastive_cov(x, x_aug, alpha), laplacian / (2 * n**2)) < 1e-10


def _lemma_series(g, phi):
    """Σ_l z_l V_{p̃_l}[g] = Σ_l z_l E[φ_l g gᵀ] − E[φ_l g] E[φ_l g]ᵀ over the empirical distribution."""
    total = np.zeros((g.shape[1], g.shape[1]))
    for weight in phi.T:
        first = (weight[:, None] * g).mean(axis=0)
        total += weight.mean() * (weight[:, None] * g).T @ g / len(g) - np.outer(first, first)
    return total


def _gaussian_series(u, tau, terms):
    """φ_l(u) = exp(−u²/2τ) (u/√τ)^l / √l!, l < terms: (N, terms)."""
    s = u / math.sqrt(tau)
    phi = np.empty((len(u), terms))
    phi[:, 0] = np.exp(-(s**2) / 2)
    for order in range(1, terms):
        phi[:, order] = phi[:, order - 1] * s / math.sqrt(order)
    return phi


def test_kernel_lemma_for_a_signed_kernel():
    """For α = ΦΦᵀ, also signed and with z_l = 0, C_α[g] is the series: exactly, on the empirical distribution."""
    rng = np.random.default_rng(51)
    g = rng.standard_normal((400, 5))
    phi = rng.standard_normal((400, 4))
    phi[:, 2] -= phi[:, 2].mean()
    assert relative_error(acl.contrastive_cov(g, g, acl.LowRank(phi)), _lemma_series(g, phi)) < 1e-12


@pytest.mark.parametrize("tau", [0.5, 1.0, 7.0])
def test_kernel_lemma_series_of_the_gaussian(tau):
    rng = np.random.default_rng(52)
    u = rng.uniform(-3, 3, 1200)
    g = rng.standard_normal((1200, 4)) + np.sin(u)[:, None]
    series = _lemma_series(g, _gaussian_series(u, tau, 120))
    pairs = reference.contrastive_cov(g, g, reference.gaussian(u, tau))
    assert relative_error(pairs, series) < 1e-12
    assert relative_error(acl.contrastive_cov(g, g, acl.Gaussian(u, tau)), series) < 1e-11
    first = acl.contrastive_cov(g, g, acl.LowRank(_gaussian_series(u, tau, 120)))
    assert relative_error(first, series) < 1e-12


def test_kernel_lemma_on_a_distribution_and_on_batches_of_it():
    """½ E[K (g − g')(g − g')ᵀ] over a law on 12 points = a batch in its proportions = a large random batch."""
    rng = np.random.default_rng(53)
    counts = rng.integers(1, 400, 12)
    law = counts / counts.sum()
    u, g = rng.uniform(-2, 2, 12), rng.standard_normal((12, 3))
    kernel = np.exp(-((u[:, None] - u) ** 2) / (2 * 0.8))
    differences = g[:, None, :] - g[None, :, :]
    truth = 0.5 * np.einsum("a,b,ab,abi,abj->ij", law, law, kernel, differences, differences)
    exact = np.repeat(np.arange(12), counts)
    assert relative_error(acl.contrastive_cov(g[exact], g[exact], acl.Gaussian(u[exact], 0.8)), truth) < 1e-11
    batch = rng.choice(12, 200_000, p=law)
    assert relative_error(acl.contrastive_cov(g[batch], g[batch], acl.Gaussian(u[batch], 0.8)), truth) < 0.02


def test_kernel_lemma_averages_the_augmentation_out():
    """C_α[g] → Σ z_l V[E_aug g]: the noise of two independent views cancels in a large batch."""
    rng = np.random.default_rng(54)
    n, tau = 200_000, 0.5
    u = rng.standard_normal(n)
    clean = np.stack([u, u**2, np.sin(3 * u)], axis=1)
    x, x_aug = (clean + 0.5 * rng.standard_normal((n, 3)) for _ in range(2))
    truth = _lemma_series(clean, _gaussian_series(u, tau, 150))
    assert relative_error(acl.contrastive_cov(x, x_aug, acl.Gaussian(u, tau)), truth) < 0.02


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", IMPORTANCES)
def test_adjoint(name, dtype):
    """⟨C_α(x), M⟩ = 1/(2N²) Σ_ij α_ij [(x_i − x_j)ᵀM(x_i − x_j) − (x_i − x'_i)ᵀM(x_i − x'_i)]."""
    n, d = 90, 7
    x, x_aug = two_views(n, d, dtype)
    m = np.random.default_rng(55).standard_normal((d, d))
    alpha = importance(name, n, dtype)
    a, x64, intra = reference.dense_alpha(alpha, n), x.astype(float), x.astype(float) - x_aug
    inter = x64[:, None, :] - x64[None, :, :]
    forms = np.einsum("ija,ab,ijb->ij", inter, m, inter) - np.einsum("ia,ab,ib->i", intra, m, intra)[:, None]
    right = (a * forms).sum() / (2 * n**2)
    size = (np.abs(a) * np.abs(forms)).sum() / (2 * n**2)
    left = (acl.contrastive_cov(x, x_aug, alpha).astype(float) * m).sum()
    assert abs(left - right) <= (1e-6 if dtype == np.float32 else 1e-13) * size


def test_categorical_latents_have_one_positive_direction():
    """x ∈ {e_1..e_M} with probabilities p: C = diag(p) − ppᵀ, with Gaussian α on x times exp(−1/τ) off the diagonal."""
    counts = np.array([1, 5, 20, 40, 34])
    x = np.repeat(np.eye(5), counts, axis=0)
    p = counts / 100
    np.testing.assert_allclose(acl.contrastive_cov(x, x), np.diag(p) - np.outer(p, p), atol=1e-15)
    factor = math.exp(-2 / (2 * 0.7))
    np.testing.assert_allclose(
        acl.contrastive_cov(x, x, acl.Gaussian(x, 0.7)), factor * (np.diag(p) - np.outer(p, p)), atol=1e-14
    )
