"""theory.local_roughness and the closed forms: brute force, a known density (oracle h), frozen against recomputed."""

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import norm, qmc
from support import ACTIVATIONS, DTYPES, torch, two_views

import alphacl_fast as acl
from alphacl_fast import reference, theory

RADIUS = 0.3


def _ratio(x, x_aug, w, t, activation, alpha, frozen):
    """‖(A(v) − A(w)) w‖ / ‖v − w‖ by the definitions, for the tangent t."""
    v = np.cos(RADIUS) * w + np.sin(RADIUS) * t
    weights = reference.gaussian(reference.activate(activation, x @ w), alpha.tau) if alpha and frozen else alpha
    own = acl.Dense(weights) if isinstance(weights, np.ndarray) else weights
    before, after = (reference.gated_cov(x, x_aug, u[None], activation=activation, alpha=own)[0] for u in (w, v))
    return np.linalg.norm((after - before) @ w) / np.linalg.norm(v - w)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.parametrize("tau, frozen", [(None, True), (0.4, True), (0.4, False)])
def test_against_a_search_over_all_directions(tau, frozen, activation):
    x, x_aug = (np.array(v) for v in two_views(120, 3, np.float64, noise=0.2))
    w = np.array([0.6, 0.0, 0.8])
    alpha = None if tau is None else acl.NodeGaussian(tau)
    found = theory.local_roughness(
        x, x_aug, 2 * w[None], activation=activation, alpha=alpha, radius=RADIUS, frozen=frozen
    )
    first, second = np.array([0.8, 0.0, -0.6]), np.array([0.0, 1.0, 0.0])
    angles = np.linspace(0, 2 * np.pi, 73)[:-1]
    best = max(_ratio(x, x_aug, w, np.cos(a) * first + np.sin(a) * second, activation, alpha, frozen) for a in angles)
    # A(v) is piecewise constant in v: between two of 72 directions some gates change.
    assert found.shape == (1,)
    assert 0.93 * best - 1e-12 <= found[0] <= 1.07 * best + 1e-12


def _polar_sample(angles, radii):
    """A standard Gaussian of two features as a grid: equal angles, radii that keep the mean square of each share."""
    edges = -np.log1p(-np.arange(radii) / radii)  # of the quantiles of r²/2, which is exponential
    heights = np.append(np.exp(-edges) * (edges + 1), 0)
    r = np.sqrt(2 * radii * (heights[:-1] - heights[1:]))
    theta = 2 * np.pi * (np.arange(angles) + 0.37) / angles
    return np.einsum("dt,r->trd", [np.cos(theta), np.sin(theta)], r).reshape(-1, 2)


def _extrapolated(x, w, radius, alpha=None):
    """The limit of radius 0 from two radii: ρ̂ is off by O(radius) where the density slopes across the hyperplane."""
    near, far = (theory.local_roughness(x, x, w, alpha=alpha, radius=r) for r in (radius, 2 * radius))
    return 2 * near - far


def test_closed_forms_are_what_is_measured():
    """Oracle (h): 1 % on a large sample of a mixture, over τ. Its means are 0, where the grid has no sampling error."""
    w, means = np.array([[0.8, -0.6]]), np.zeros((2, 2))
    factors = np.array([[[1.0, 0.2], [0.4, 0.7]], [[0.6, -0.5], [0.1, 1.5]]])
    angles = (8000, 4800)
    x = np.concatenate([_polar_sample(count, 40) @ f.T for f, count in zip(factors, angles, strict=True)])
    covariances, shares = factors @ factors.swapaxes(1, 2), np.array(angles, float)
    for tau in (0.3, 3.0):
        expected = theory.roughness_relu_density(w, means, covariances, shares, tau=tau)
        np.testing.assert_allclose(_extrapolated(x, w, 0.02, acl.NodeGaussian(tau)), expected.gaussian, rtol=0.01)
        assert expected.gaussian < expected.uniform
    np.testing.assert_allclose(_extrapolated(x, w, 0.02), expected.uniform, rtol=0.01)
    small = theory.roughness_relu_density(w, means, covariances, shares, tau=0.01)
    assert small.gaussian < 0.1 * small.uniform


def test_closed_forms_in_more_features():
    """Four features and means off the hyperplane, where a sample leaves some per cent."""
    rng = np.random.default_rng(0)
    factors = 0.5 * rng.standard_normal((2, 4, 4)) + np.eye(4)
    means, shares = 0.5 * rng.standard_normal((2, 4)), np.array([0.625, 0.375])
    points = qmc.Sobol(5, seed=0).random(2**18)
    component = (points[:, 4] > shares[0]).astype(int)
    x = means[component] + np.einsum("nde,ne->nd", factors[component], norm.ppf(points[:, :4]))
    w = np.random.default_rng(5).standard_normal((2, 4))
    expected = theory.roughness_relu_density(w, means, factors @ factors.swapaxes(1, 2), shares, tau=2.0)
    np.testing.assert_allclose(_extrapolated(x, w, 0.03), expected.uniform, rtol=0.05)
    np.testing.assert_allclose(_extrapolated(x, w, 0.03, acl.NodeGaussian(2.0)), expected.gaussian, rtol=0.05)


def test_closed_forms_of_one_standard_gaussian():
    """E[u] = φ(0), Q = φ(0) (I − wwᵀ); E[u e^(−u²/2τ)] = φ(0) τ/(1 + τ)."""
    found = theory.roughness_relu_density(np.eye(3)[:2], np.zeros((1, 3)), np.eye(3)[None], tau=0.25)
    np.testing.assert_allclose(found.uniform, 1 / (2 * np.pi), rtol=1e-12)
    np.testing.assert_allclose(found.gaussian, 0.2 / (2 * np.pi), rtol=1e-12)


def test_closed_forms_against_quadrature():
    means, covariances = np.array([[0.3, -1.0], [2.0, 0.5]]), np.array([np.diag([1.0, 0.5]), [[2, 0.7], [0.7, 1]]])
    w, tau = np.array([[0.0, 3.0]]), 0.7
    share = np.array([0.25, 0.75])
    found = theory.roughness_relu_density(w, means, covariances, np.array([1.0, 3.0]), tau=tau)
    u = np.linspace(0, 20, 200_001)
    density = sum(p * norm.pdf(u, m[1], np.sqrt(c[1, 1])) for p, m, c in zip(share, means, covariances, strict=True))
    # Q has one entry: ∫ x₁² p(x₁, 0) dx₁.
    line = np.linspace(-20, 20, 200_001)
    at_zero = 0.0
    for p, m, c in zip(share, means, covariances, strict=True):
        centred = np.stack([line - m[0], np.full_like(line, -m[1])])
        exponent = -0.5 * np.einsum("dn,de,en->n", centred, np.linalg.inv(c), centred)
        at_zero = at_zero + p * np.exp(exponent) / (2 * np.pi * np.sqrt(np.linalg.det(c)))
    q = trapezoid(line**2 * at_zero, line)
    assert found.uniform[0] == pytest.approx(trapezoid(u * density, u) * q, rel=1e-7)
    assert found.gaussian[0] == pytest.approx(trapezoid(u * np.exp(-(u**2) / (2 * tau)) * density, u) * q, rel=1e-7)


def test_many_features_need_more_than_random_directions():
    """d = 60, M of rank one: a random direction has 1/√59 of it; the basis is built of images and finds it."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4000, 60))
    x[:, 1] *= 8
    w = np.eye(60)[:1]
    found = theory.local_roughness(x, x, w, radius=0.1, directions=12)
    by_hand = theory.local_roughness(x[:, :2].copy(), x[:, :2].copy(), w[:, :2].copy(), radius=0.1)
    assert found[0] >= 0.97 * by_hand[0]


def test_frozen_and_recomputed_differ():
    """With α recomputed a second drift appears: the Gaussian's small roughness is a statement about frozen α."""
    x, _ = two_views(3000, 4, np.float64)
    w = np.eye(4)[:2]
    frozen, free = (
        theory.local_roughness(x, x, w, alpha=acl.NodeGaussian(0.05), frozen=f, radius=0.1) for f in (True, False)
    )
    assert (free > 1.5 * frozen).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_linear_nodes_are_smooth(dtype):
    x, x_aug = two_views(200, 5, dtype)
    found = theory.local_roughness(x, x_aug, np.eye(5, dtype=dtype), activation="linear")
    assert found.dtype == dtype
    np.testing.assert_allclose(found, 0, atol=1e-5 if dtype == np.float32 else 1e-13)


def test_one_feature_and_values_that_are_not_finite():
    x = np.array([[1.0], [-2.0], [0.5]])
    np.testing.assert_array_equal(theory.local_roughness(x, x, np.array([[3.0]])), [0])
    x, x_aug = (np.array(v) for v in two_views(50, 3, np.float64))
    x[4, 1] = np.nan
    assert np.isnan(theory.local_roughness(x, x_aug, np.eye(3))).all()


def test_every_size_of_basis():
    x, x_aug = two_views(300, 7, np.float64)
    values = [theory.local_roughness(x, x_aug, np.eye(7)[:1], directions=k, radius=0.2)[0] for k in range(1, 9)]
    assert values[6] == values[7] == values[5]  # d − 1 directions are all
    assert min(values) >= 0.6 * max(values)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_in_torch_out(dtype):
    x, x_aug = (torch().from_numpy(np.array(v)) for v in two_views(80, 4, dtype))
    w = torch().eye(4, dtype=x.dtype)[:2]
    alpha = acl.NodeGaussian(0.5)
    found = theory.local_roughness(x, x_aug, w, alpha=alpha)
    expected = theory.local_roughness(x.numpy(), x_aug.numpy(), w.numpy(), alpha=alpha)
    assert isinstance(found, torch().Tensor)
    np.testing.assert_array_equal(found.numpy(), expected)
    mixture = (torch().zeros(1, 4, dtype=x.dtype), torch().eye(4, dtype=x.dtype)[None])
    density = theory.roughness_relu_density(w, *mixture, tau=1.0)
    assert density.uniform.dtype == x.dtype
    with pytest.raises(RuntimeError, match="x: requires grad, but local_roughness has no derivative"):
        theory.local_roughness(x.requires_grad_(), x_aug, w)


X, W = np.arange(12.0).reshape(4, 3) ** 2, np.eye(3)
M, C = np.zeros((2, 3)), np.stack([np.eye(3)] * 2)
ERRORS = [
    ("radius: expected a positive finite number, got 0.0", lambda: theory.local_roughness(X, X, W, radius=0)),
    ("radius: expected an angle up to π/2, got 2.0", lambda: theory.local_roughness(X, X, W, radius=2)),
    ("weights: expected finite vectors other than 0", lambda: theory.local_roughness(X, X, 0 * W)),
    (r"weights: expected shape \(K, 3\)", lambda: theory.local_roughness(X, X, W[:, :2])),
    ("directions: expected an integer of at least 1, got 0", lambda: theory.local_roughness(X, X, W, directions=0)),
    ("activation: expected 'linear'", lambda: theory.local_roughness(X, X, W, activation="tanh")),
    ("tau: expected a positive finite number", lambda: theory.roughness_relu_density(W, M, C, tau=0)),
    (r"means: expected shape \(2, 3\)", lambda: theory.roughness_relu_density(W, M[:, :2], C, tau=1)),
    (r"covariances: expected shape \(2, 3, 3\)", lambda: theory.roughness_relu_density(W, M, C[:1], tau=1)),
    ("covariances: expected positive definite", lambda: theory.roughness_relu_density(W, M, 0 * C, tau=1)),
    (
        "covariances: expected positive definite matrices, got an eigenvalue of -1",
        lambda: theory.roughness_relu_density(W[:1], M, C * np.diag([1, 1, -1]), tau=1),
    ),
    ("covariances: expected symmetric", lambda: theory.roughness_relu_density(W, M, C + np.eye(3, k=1), tau=1)),
    ("covariances: expected finite", lambda: theory.roughness_relu_density(W, M, C * np.nan, tau=1)),
    ("means: expected finite numbers, got NaN", lambda: theory.roughness_relu_density(W, M + np.nan, C, tau=1)),
    (r"probabilities: expected shape \(2,\)", lambda: theory.roughness_relu_density(W, M, C, np.ones(3), tau=1)),
    ("probabilities: expected positive", lambda: theory.roughness_relu_density(W, M, C, np.zeros(2), tau=1)),
]


@pytest.mark.parametrize("text, call", ERRORS, ids=[text for text, _ in ERRORS])
def test_errors(text, call):
    with pytest.raises(ValueError, match=text):
        call()
