"""Sums whose terms are large and cancel each other, or are so small that a diagonal of 1 would swallow them."""

import numpy as np
import pytest
from support import DTYPES, assert_contract, check, torch

import alphacl_fast as acl
from alphacl_fast import reference

EXACT = {np.float32: np.float64, np.float64: np.longdouble}
SPREADS = (1e-1, 1e-2, 1e-3, 1e-4)


def _clusters(spread, dtype, n=200, d=4, seed=0):
    """Fours of neighbouring samples, by turns in one of two clusters 10 apart in every direction."""
    rng = np.random.default_rng(seed)
    return (10.0 * (np.arange(n) // 4 % 2)[:, None] + spread * rng.standard_normal((n, d))).astype(dtype)


def _four_cycles(dtype, n=200):
    """+1 −1 +1 −1 around every four samples: symmetric, all rows sum to 0."""
    cycle = np.array([[0, 1, 0, -1], [1, 0, -1, 0], [0, -1, 0, 1], [-1, 0, 1, 0]])
    return np.kron(np.eye(n // 4), cycle).astype(dtype)


def _centred_low_rank(dtype, n=200):
    """φ_l is +1, −1 by turns in cluster l and 0 elsewhere."""
    i = np.arange(n)
    return acl.LowRank(((i[:, None] // 4 % 2 == np.arange(2)) * (1.0 - 2 * (i % 2))[:, None]).astype(dtype))


def _antisymmetric(dtype, n=200):
    a = np.random.default_rng(1).standard_normal((n, n))
    return (a - a.T).astype(dtype)


def _signed_pairs(dtype, n=200):
    rng = np.random.default_rng(2)
    f = 30.0 * (np.arange(n) // 4 % 2)[:, None] + rng.standard_normal((n, 2))
    return acl.importance.PairImportance(
        f.astype(dtype), 0.7, "logistic", rng.standard_normal(n), (-1.0) ** np.arange(n)
    )


ALPHAS = {
    "four cycles": _four_cycles,
    "low rank": _centred_low_rank,
    "antisymmetric": _antisymmetric,
    "pairs": _signed_pairs,
}


def _gradients(x, x_aug, alpha, dtype):
    """∂energy/∂x and ∂energy/∂x_aug by their definition."""
    x, x_aug, alpha = x.astype(dtype), x_aug.astype(dtype), alpha.astype(dtype)
    beta, r = alpha + alpha.T, alpha.sum(1)[:, None]
    inter = np.stack([(row[:, None] * (own - x)).sum(0) for own, row in zip(x, beta, strict=True)])
    scale = dtype(1) / dtype(2 * len(x) ** 2)
    return scale * (inter - r * (x - x_aug)), scale * (r * (x - x_aug))


def _check_gradients(x, x_aug, alpha):
    dtype = x.dtype.type
    exact = EXACT[dtype]
    truth = _gradients(x, x_aug, reference.dense_alpha(alpha, len(x), dtype=exact), exact)
    naive = _gradients(x, x_aug, reference.dense_alpha(alpha, len(x), dtype=dtype), dtype)
    for operation in (acl.energy, lambda *a: 0.5 * acl.contrastive_cov(*a).trace()):
        views = [torch().tensor(v, requires_grad=True) for v in (x, x_aug)]
        operation(*views, _as_torch(alpha)).backward()
        for k, view in enumerate(views[: 1 if np.array_equal(x, x_aug) else 2]):
            assert_contract(view.grad.numpy(), truth[k], lambda k=k: naive[k], x.dtype)


def _as_torch(alpha):
    tensor = torch().tensor
    if isinstance(alpha, acl.LowRank):
        return acl.LowRank(tensor(alpha.phi))
    if isinstance(alpha, acl.importance.PairImportance):
        return type(alpha)(tensor(alpha.features), alpha.scale, alpha.form, alpha.offset, alpha.weight)
    if isinstance(alpha, acl.Gaussian):
        return acl.Gaussian(tensor(alpha.features), alpha.tau, method=alpha.method)
    return tensor(alpha)


def _check_gated(x, x_aug, w, activation, alpha):
    dtype = x.dtype
    ours = acl.gated_cov(x, x_aug, w, activation=activation, alpha=alpha)
    truth = reference.gated_cov(x, x_aug, w, activation=activation, alpha=alpha, dtype=EXACT[dtype.type])
    naive = reference.gated_cov(x, x_aug, w, activation=activation, alpha=alpha, dtype=dtype.type)
    for k in range(len(w)):
        assert_contract(ours[k], truth[k], lambda k=k: naive[k], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("name", ALPHAS)
def test_covariance_and_energy(name, spread, dtype):
    x = _clusters(spread, dtype)
    check(x, x.copy() if name != "antisymmetric" else _clusters(spread, dtype, seed=3), ALPHAS[name](dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("name", ALPHAS)
def test_gradients_in_torch(name, spread, dtype):
    x = _clusters(spread, dtype)
    _check_gradients(x, x.copy() if name != "antisymmetric" else _clusters(spread, dtype, seed=3), ALPHAS[name](dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("name", ["four cycles", "low rank", "pairs"])
def test_gated_covariance(name, activation, spread, dtype):
    x = _clusters(spread, dtype)
    _check_gated(
        x, x.copy(), np.array([[1, 0.3, 0.3, 0.2], [0.3, 0.4, -1, 0.2]], dtype), activation, ALPHAS[name](dtype)
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_four_cycles_of_samples_in_any_order(dtype):
    """More than a tile, and a β that has its terms of one sign far from those of the other."""
    order = np.random.default_rng(4).permutation(800)
    x = _clusters(1e-2, dtype, n=800)[order]
    alpha = np.ascontiguousarray(_four_cycles(dtype, n=800)[np.ix_(order, order)])
    truth = reference.contrastive_cov(x, x, alpha)
    naive = reference.contrastive_cov(x, x, alpha, dtype=dtype)
    assert_contract(acl.contrastive_cov(x, x, alpha), truth, lambda: naive, dtype)


@pytest.mark.parametrize("seed, n, p, d", [(2, 300, 2, 1), (18, 65, 3, 8), (20, 65, 8, 3), (9, 300, 3, 1)])
def test_low_rank_with_one_large_row(seed, n, p, d):
    """Its α_ii is in the degrees and in the products, and in no difference."""
    rng = np.random.default_rng([seed, n, p, d])
    x, phi = rng.standard_normal((n, d)), rng.standard_normal((n, p))
    phi[n // 2] *= 1e4
    check(x, x.copy(), acl.LowRank(phi))


@pytest.mark.parametrize("seed, n, p, d", [(16, 65, 2, 1), (10, 65, 2, 3)])
def test_low_rank_with_one_outlier(seed, n, p, d):
    rng = np.random.default_rng([seed, n, p, d])
    x, phi = rng.standard_normal((n, d)), rng.standard_normal((n, p))
    x[n // 2, 0] = 1e4
    check(x, x.copy(), acl.LowRank(phi))


FAR = {
    "all apart": lambda gap: gap * np.arange(1000.0),
    "pairs of equals": lambda gap: gap * (np.arange(1000) // 2).astype(float),
    "many equals": lambda gap: gap * (np.arange(1000) // 20).astype(float),
    "all but one": lambda gap: np.concatenate([gap * np.arange(-499.0, 500.0), [1e-3]]),
    "equals at the mean": lambda gap: np.concatenate([gap * np.arange(-300.0, 301.0), np.zeros(399)]),
    "few": lambda gap: gap * np.arange(3.0),
}


GAPS = [(np.float32, gap) for gap in (5.3, 6.0, 9.0, 13.0)] + [(np.float64, gap) for gap in (8.0, 9.0, 25.0)]


@pytest.mark.parametrize("dtype, gap", GAPS)
@pytest.mark.parametrize("kind", FAR)
def test_gradients_of_neighbours_beyond_tol_in_torch(kind, gap, dtype):
    f = FAR[kind](gap).astype(dtype)
    _check_gradients(f[:, None], f[:, None], acl.Gaussian(f, 1.0))


@pytest.mark.parametrize("dtype, gap", GAPS)
@pytest.mark.parametrize("kind", FAR)
def test_neighbours_beyond_tol(kind, gap, dtype):
    """Pairs that all weigh less than tol are the whole result where x_aug = x."""
    f = FAR[kind](gap).astype(dtype)
    x = f[:, None]
    alpha = acl.Gaussian(f, 1.0)
    weights = reference.gaussian(f, 1.0, dtype=EXACT[dtype])
    for name in ("contrastive_cov", "energy"):
        truth = getattr(reference, name)(x, x, weights, dtype=EXACT[dtype])
        naive = getattr(reference, name)(x, x, alpha, dtype=dtype)
        if truth.max() > np.finfo(dtype).tiny:
            assert_contract(getattr(acl, name)(x, x, alpha), truth, lambda naive=naive: naive, dtype)
    if kind != "few":
        _check_gated(x, x, np.ones((1, 1), dtype), "linear", acl.NodeGaussian(1.0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["linear", "relu", acl.LeakyReLU(0.1)])
def test_gated_differences_of_the_views_alone(activation, dtype):
    """α is nearly the identity: the two views of a sample are all there is, and they differ by a thousandth."""
    rng = np.random.default_rng(5)
    x = 3 + rng.standard_normal((33, 5))
    x_aug = x + 1e-3 * rng.standard_normal((33, 5))
    f = 11.0 * np.arange(33)
    w = rng.standard_normal((2, 5)).astype(dtype)
    for view in (x_aug, x):
        _check_gated(x.astype(dtype), view.astype(dtype), w, activation, acl.Gaussian(f.astype(dtype), 1.0))


def test_data_along_a_line_across_the_random_signs():
    """The size of the terms is probed with random signs; here their products with the data nearly vanish."""
    f = np.where(np.random.default_rng(6).random(900) < 0.5, 0.0, 7.0 * np.random.default_rng(7).integers(0, 50, 900))
    for direction in ([68, -120, 50], [68, 120, -52], [68, 120, 188], [-188, 120, 68]):
        x = f[:, None] * np.array(direction) / 70
        x += 1e-2 * np.random.default_rng(8).standard_normal(x.shape)
        alpha = acl.Gaussian(f, 1.0)
        weights = reference.gaussian(f, 1.0, dtype=np.longdouble)
        truth = reference.contrastive_cov(x, x, weights, dtype=np.longdouble)
        naive = reference.contrastive_cov(x, x, alpha)
        assert_contract(acl.contrastive_cov(x, x, alpha), truth, lambda naive=naive: naive, x.dtype)


@pytest.mark.parametrize("tau", [1.0, 0.3, 0.1, 0.03])
def test_float32_series_on_the_data_itself(tau):
    """Squares of moments in float32 lose more than tiles do."""
    for seed in range(4):
        f = np.repeat(np.random.default_rng(seed).standard_normal(86), 3)[:257].astype(np.float32)
        check(f[:, None], f[:, None].copy(), acl.Gaussian(f, tau, method="fourier"))


@pytest.mark.parametrize("columns", [2, 8, 20])
def test_data_that_changes_in_all_columns_alike(columns):
    """Samples along (1, …, 1), α among neighbours: ones and signs may be orthogonal, whatever the terms are."""
    x = (np.arange(384.0)[:, None] * columns + np.arange(columns)).astype(np.float32)
    check(x, x.copy(), acl.Gaussian(x, 2.0 * columns**3))


def test_entries_of_alpha_whose_squares_underflow():
    """α_ij of about 1e-177 among samples that differ by 1e-4 of their size: what cancels is seen all the same."""
    rng = np.random.default_rng(19)
    x = np.cumsum(rng.uniform(1, 1.2, (60, 1)), 0)
    alpha = acl.Gaussian(x[:, 0], 1 / (2 * 400.0))
    check(1 + 1e-6 * x, 1 + 1e-6 * x, alpha)
    _check_gated(1 + 1e-6 * x, 1 + 1e-6 * x, np.ones((1, 1)), "linear", alpha)
    _check_gated(
        1 + 1e-6 * x, 1 + 1e-6 * x, np.ones((1, 1)), "linear", reference.dense_alpha(alpha, 60, dtype=np.float64)
    )


def test_gradients_of_entries_whose_squares_underflow_in_torch():
    rng = np.random.default_rng(19)
    x = np.cumsum(rng.uniform(1, 1.2, (60, 1)), 0)
    _check_gradients(1 + 1e-6 * x, 1 + 1e-6 * x, acl.Gaussian(x[:, 0], 1 / (2 * 400.0)))


@pytest.mark.parametrize("scale", [1e-90, 1e90])
def test_data_whose_fourth_powers_leave_the_range(scale):
    x = 1e3 * (np.arange(60) % 2)[:, None] + 1e-3 * np.random.default_rng(20).standard_normal((60, 3))
    x, f = scale * x, np.arange(60) % 2 * 100.0
    alpha = acl.Gaussian(f, 1.0)
    truth = reference.contrastive_cov(x, x, alpha, dtype=np.longdouble)
    assert np.abs(acl.contrastive_cov(x, x, alpha) - truth).max() <= 1e-13 * np.abs(truth).max()
    product = acl.GatedCovariance(x, x, np.ones((1, 3)), activation="linear", alpha=alpha).matmul(np.ones((1, 3)))
    assert np.abs(product - truth.sum(0)).max() <= 1e-13 * np.abs(truth).max()
