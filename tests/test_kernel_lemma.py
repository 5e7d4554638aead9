"""theory.kernel_decomposition: oracle (e), exactness at any N, convergence in terms and in N, extreme scalars."""

import numpy as np
import pytest
from scipy.stats import poisson
from support import DTYPES, torch, two_views

import alphacl_fast as acl
from alphacl_fast import theory


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tau", [0.1, 1.0, 30.0])
def test_the_sum_is_the_covariance_of_the_same_samples(dtype, tau):
    g, g_aug = two_views(200, 3, dtype)
    g, g_aug = g + dtype(50), g_aug + dtype(50)
    u = two_views(200, 1, dtype, seed=1)[0][:, 0]
    for other in (None, g_aug):
        found = theory.kernel_decomposition(g, u, tau, 400, g_aug=other)
        expected = acl.contrastive_cov(g, g if other is None else other, acl.Gaussian(u, tau))
        assert found.running_sum.dtype == dtype
        rtol = 1e-4 if dtype == np.float32 else 1e-10
        np.testing.assert_allclose(found.running_sum[-1], expected, rtol=rtol, atol=rtol * np.abs(expected).max())


def test_terms_are_the_variances_under_the_adjusted_densities():
    """z_l² V_{p̃_l}[g], literally, for even l where p̃_l = p φ_l / z_l is a density."""
    g, _ = two_views(300, 2, np.float64)
    u, tau = two_views(300, 1, np.float64, seed=1)[0][:, 0], 0.7
    found = theory.kernel_decomposition(g, u, tau, 6)
    phi = theory.kernel_features(u, tau, 6)
    np.testing.assert_allclose(phi[:, 2], np.exp(-(u**2) / 1.4) * u**2 / tau / np.sqrt(2), rtol=1e-12)
    for order in (0, 2, 4):
        z = phi[:, order].mean()
        p = phi[:, order] / phi[:, order].sum()
        mean = p @ g
        variance = (p[:, None] * (g - mean)).T @ (g - mean)
        assert found.z[order] == pytest.approx(z)
        np.testing.assert_allclose(found.weighted_variance[order], z**2 * variance, rtol=1e-10)
    np.testing.assert_allclose(found.running_sum, np.cumsum(found.weighted_variance, axis=0))


def test_convergence_in_the_number_of_terms():
    """Below max u²/τ terms much is missing; some √ beyond it nothing is; partial sums never fall."""
    u = np.linspace(-3, 3, 301)
    g, tau = np.stack([u, np.sin(3 * u)], axis=1), 0.5
    expected = acl.contrastive_cov(g, g, acl.Gaussian(u, tau))
    found = theory.kernel_decomposition(g, u, tau, 80)
    errors = np.linalg.norm(found.running_sum - expected, axis=(1, 2)) / np.linalg.norm(expected)
    assert errors[2] > 0.2
    assert errors[60] < 1e-9
    traces = np.trace(found.running_sum[1::2], axis1=1, axis2=2)
    assert (np.diff(traces) > -1e-12).all()


def _sample(rng, n):
    """Latents on a line, two noisy views of two functions of them."""
    u = rng.standard_normal(n)
    clean = np.stack([u, u**2], axis=1)
    return u, *(clean + 0.3 * rng.standard_normal((n, 2)) for _ in range(2))


def test_convergence_in_the_number_of_samples():
    """Oracle (e): C_α of N samples tends to the lemma's ½E[K (ḡ − ḡ')(ḡ − ḡ')ᵀ] like N^(−1/2)."""
    nodes, share = np.polynomial.hermite_e.hermegauss(120)
    share = share / share.sum()
    tau = 0.5
    clean = np.stack([nodes, nodes**2], axis=1)
    kernel = share[:, None] * np.exp(-((nodes[:, None] - nodes) ** 2) / (2 * tau)) * share
    differences = clean[:, None] - clean
    limit = 0.5 * np.einsum("ij,ijk,ijl->kl", kernel, differences, differences)
    errors = []
    for n in (100, 400, 1600, 6400):
        some = [_sample(np.random.default_rng([n, seed]), n) for seed in range(100)]
        found = [acl.contrastive_cov(g, g_aug, acl.Gaussian(u, tau)) for u, g, g_aug in some]
        errors.append(np.sqrt(np.mean([np.sum((c - limit) ** 2) for c in found])))
    rate = -np.polyfit(np.log([100, 400, 1600, 6400]), np.log(errors), 1)[0]
    assert 0.45 < rate < 0.55, errors
    u, g, g_aug = _sample(np.random.default_rng(0), 200_000)
    series = theory.kernel_decomposition(g, u, tau, 150, g_aug=g_aug).running_sum[-1]
    np.testing.assert_allclose(series, limit, atol=0.02 * np.linalg.norm(limit))


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1.0, 40.0, 1e150])
def test_squares_of_the_features_are_poisson_probabilities(scale):
    u = scale * np.array([0.0, 1.0, -1.0, 0.3])
    phi = theory.kernel_features(u, 1.0, 3000)
    expected = poisson.pmf(np.arange(3000), np.minimum(u[:, None] ** 2, 1e300))
    np.testing.assert_allclose(phi**2, expected, rtol=1e-9, atol=1e-280)
    np.testing.assert_array_equal(np.sign(phi[2, 1::2]), -np.sign(phi[1, 1::2]))
    np.testing.assert_array_equal(phi[0], np.eye(1, 3000)[0])


def test_features_are_a_factor_of_alpha():
    u = two_views(100, 1, np.float64)[0][:, 0]
    phi = theory.kernel_features(u, 0.3, 200)
    np.testing.assert_allclose(acl.LowRank(phi).to_dense(), acl.Gaussian(u, 0.3).to_dense(), atol=1e-11)


def test_nan_in_nan_out():
    g, u = two_views(20, 2, np.float64)[0].copy(), np.linspace(0, 1, 20)
    g[3, 1] = np.nan
    assert np.isnan(theory.kernel_decomposition(g, u, 1.0, 3).running_sum[:, 1]).all()
    u[2] = np.inf
    assert np.isnan(theory.kernel_features(u, 1.0, 3)[2]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_in_torch_out(dtype):
    g, g_aug = (torch().from_numpy(np.array(v)) for v in two_views(60, 3, dtype))
    u = g[:, 0].clone()
    found = theory.kernel_decomposition(g, u, 0.5, 20, g_aug=g_aug)
    expected = theory.kernel_decomposition(g.numpy(), u.numpy(), 0.5, 20, g_aug=g_aug.numpy())
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.dtype == g.dtype
        np.testing.assert_array_equal(mine.numpy(), theirs)
    np.testing.assert_array_equal(theory.kernel_features(u, 0.5, 4).numpy(), theory.kernel_features(u.numpy(), 0.5, 4))
    with pytest.raises(RuntimeError, match="g: requires grad"):
        theory.kernel_decomposition(g.requires_grad_(), u, 0.5, 20)


G, U = np.ones((4, 2)), np.ones(4)
ERRORS = [
    (ValueError, "tau: expected a positive finite number", lambda: theory.kernel_decomposition(G, U, 0, 3)),
    (ValueError, "num_terms: expected an integer of at least 1", lambda: theory.kernel_decomposition(G, U, 1, 0)),
    (
        ValueError,
        "u: expected 4 entries like the rows of g, got 3",
        lambda: theory.kernel_decomposition(G, U[1:], 1, 3),
    ),
    (ValueError, r"g_aug: expected shape \(4, 2\)", lambda: theory.kernel_decomposition(G, U, 1, 3, g_aug=G[1:])),
    (TypeError, "u: expected float64 like g", lambda: theory.kernel_decomposition(G, U.astype("f4"), 1, 3)),
    (ValueError, "u: expected an array with 1 axes", lambda: theory.kernel_features(G, 1, 3)),
    (ValueError, "g: expected at least one output", lambda: theory.kernel_decomposition(G[:, :0], U, 1, 3)),
]


@pytest.mark.parametrize("kind, text, call", ERRORS, ids=[text for _, text, _ in ERRORS])
def test_errors(kind, text, call):
    with pytest.raises(kind, match=text):
        call()


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_second_view_that_is_not_finite_where_no_feature_counts(bad, kind):
    """exp(−u²/2τ) of the last sample underflows to 0."""
    u, g = np.r_[np.linspace(-1, 1, 9), 60.0], np.linspace(0, 1, 10)[:, None]
    g_aug = g.copy()
    assert np.isfinite(theory.kernel_decomposition(g, u, 1.0, 4, g_aug=g_aug).running_sum).all()
    g_aug[-1] = bad
    given = torch().from_numpy if kind == "torch" else np.asarray
    found = theory.kernel_decomposition(given(g), given(u), 1.0, 4, g_aug=given(g_aug))
    assert np.isnan(np.asarray(found.running_sum)).all()
