"""The accuracy contract on data that breaks the short formula: offsets, outliers, duplicates, constants."""

import numpy as np
import pytest
from support import DTYPES, IMPORTANCES, check, importance, inside, relative_error, two_views

import alphacl_fast as acl
from alphacl_fast import reference

N, D = 259, 6


def _offset(x, x_aug):
    return x + 1e4, x_aug + 1e4


def _offset_per_column(x, x_aug):
    far = 10.0 ** np.arange(-2, D - 2)
    return x + far, x_aug + far


def _outliers(x, x_aug):
    scale = np.ones((N, 1))
    scale[::37] = 20
    return x * scale, x_aug * scale


def _duplicates(x, x_aug):
    keep = np.arange(N) % 7
    return x[keep], x_aug[keep]


def _constant_columns(x, x_aug):
    x, x_aug = x.copy(), x_aug.copy()
    x[:, 1] = x_aug[:, 1] = 3.3
    x[:, 4], x_aug[:, 4] = -1e3, -1e3 + 1
    return x, x_aug


def _all_equal(x, x_aug):
    return np.full_like(x, 1e4 / 3), x_aug + 1e4 / 3


def _scales_apart(x, x_aug):
    scale = 10.0 ** np.arange(-3, D - 3)
    return x * scale, x_aug * scale


def _tiny(x, x_aug):
    return x * 1e-15, x_aug * 1e-15


def _large(x, x_aug):
    return x * 1e15, x_aug * 1e15


HARD = (
    _offset,
    _offset_per_column,
    _outliers,
    _duplicates,
    _constant_columns,
    _all_equal,
    _scales_apart,
    _tiny,
    _large,
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("harden", HARD, ids=lambda f: f.__name__[1:])
@pytest.mark.parametrize("name", IMPORTANCES)
def test_hard_data(name, harden, dtype):
    x, x_aug = harden(*two_views(N, D, np.float64))
    check(inside(x, dtype), inside(x_aug, dtype), importance(name, N, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("harden", (*HARD[:1], *HARD[2:6]), ids=lambda f: f.__name__[1:])
def test_hard_features(harden, dtype):
    x, x_aug = two_views(N, D, dtype)
    z = harden(*two_views(N, D, np.float64, seed=3))[0].astype(dtype)
    for alpha in (
        acl.Gaussian(z, 4.0),
        acl.Gaussian(z[:, 0], 0.1),
        acl.Gaussian(z[:, 4], 1e-3),
        acl.Direct(z, p=2, tau=2.0),
        acl.Direct(z, tau=30.0, normalize=False),
    ):
        check(x, x_aug, alpha)


@pytest.mark.parametrize("name", IMPORTANCES)
def test_an_offset_in_float64_changes_nothing(name):
    """Adding 1e3 to every entry changes the float64 result by less than 1e-10 relative."""
    x, x_aug = two_views(700, 5, np.float64)
    alpha = importance(name, 700, np.float64)
    c = acl.contrastive_cov(x, x_aug, alpha)
    assert relative_error(acl.contrastive_cov(x + 1e3, x_aug + 1e3, alpha), c) < 1e-10
    e = acl.energy(x, x_aug, alpha)
    assert abs(acl.energy(x + 1e3, x_aug + 1e3, alpha) - e) < 1e-10 * abs(e)


@pytest.mark.parametrize("kind", ["gaussian", "gaussian_scalar", "direct"])
def test_an_offset_of_the_features_changes_nothing(kind):
    x, x_aug = two_views(700, 5, np.float64)
    z = np.random.default_rng(8).standard_normal((700, 3))
    make = {
        "gaussian": lambda z: acl.Gaussian(z, 1.0),
        "gaussian_scalar": lambda z: acl.Gaussian(z[:, 0], 0.01),
        "direct": acl.Direct,
    }[kind]
    plain = acl.contrastive_cov(x, x_aug, make(z))
    assert relative_error(acl.contrastive_cov(x, x_aug, make(z + 1e3)), plain) < 1e-10


def test_float32_error_is_relative_to_the_spread_not_to_the_mean():
    """Mean 1e4, spread 1: the float32 data, upcast, is the truth; the offset must not cost digits."""
    rng = np.random.default_rng(9)
    x = (1e4 + rng.standard_normal((2000, 8))).astype(np.float32)
    x_aug = (x + 0.4 * rng.standard_normal((2000, 8))).astype(np.float32)
    for alpha in (None, acl.Gaussian(x[:, 0], 0.1), acl.Gaussian(x, 8.0)):
        truth = reference.contrastive_cov(x, x_aug, alpha)
        assert relative_error(acl.contrastive_cov(x, x_aug, alpha), truth) < 2e-6


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("symmetric", [True, False])
def test_importance_within_clusters_far_apart(symmetric, dtype):
    """α joins samples of one cluster only: of the distances between clusters nothing may be left."""
    rng = np.random.default_rng(14)
    cluster = rng.integers(0, 4, 600)
    x = (1e4 * cluster[:, None] + rng.standard_normal((600, 5))).astype(dtype)
    alpha = (cluster[:, None] == cluster) * rng.uniform(-0.5, 1, (600, 600))
    check(x, x.copy(), (alpha + alpha.T if symmetric else alpha).astype(dtype))


@pytest.mark.parametrize("probability", [0.5, 0.3, 0.07])
def test_many_equal_samples_do_not_add_up_one_rounding(probability):
    """x − mean of ones and zeros has two values; in float32 hundreds of equal products would err in one direction."""
    rng = np.random.default_rng(15)
    x = (rng.random((4000, 3)) < probability).astype(np.float32)
    for alpha in (None, acl.LowRank(np.ones((4000, 1), np.float32)), acl.Uniform(diagonal=False)):
        assert relative_error(acl.contrastive_cov(x, x, alpha), reference.contrastive_cov(x, x, alpha)) < 2e-7
        truth = reference.energy(x, x, alpha)
        assert abs(acl.energy(x, x, alpha) - truth) < 2e-7 * abs(truth)


def test_normalised_rows_of_equal_features():
    """All α_ij are 1/(N − 1): hundreds of equal numbers, added up in float32, would err in one direction."""
    rng = np.random.default_rng(16)
    for n in (383, 512, 1023):
        f = np.repeat(rng.standard_normal((1, 7)), n, 0).astype(np.float32)
        x = np.eye(3, dtype=np.float32)[rng.integers(0, 3, n)]
        alpha = acl.Direct(f, 4, 0.03, normalize=True)
        assert relative_error(acl.contrastive_cov(x, x, alpha), reference.contrastive_cov(x, x, alpha)) < 3e-7


def test_ternary_features_by_a_series():
    """Few different samples: the roundings of a long sum of equal products in float32 have one sign."""
    x = np.random.default_rng(17).integers(-1, 2, (383, 1)).astype(np.float32)
    alpha = acl.Gaussian(x, 0.67, method="fourier")
    truth = reference.energy(x, x, alpha)
    assert abs(acl.energy(x, x, alpha) - truth) < 5e-7 * truth
    weights = reference.dense_alpha(alpha, len(x), dtype=np.float64)
    assert np.abs(alpha.matmul(x) - weights @ x).max() < 2e-7 * weights.sum(1).max()


def test_sums_that_leave_float32_on_the_way():
    """Σ_ij α_ij x_i x_jᵀ overflows, C, which is that over 2N², does not."""
    rng = np.random.default_rng(18)
    x = (3e12 * rng.standard_normal((40, 3))).astype(np.float32)
    alpha = acl.LowRank((1e6 * (1 + rng.random((40, 2)))).astype(np.float32))
    check(x, x.copy(), alpha)
    w = np.eye(3, dtype=np.float32)
    truth = reference.gated_cov(x, x, w, activation="linear", alpha=alpha)
    assert relative_error(acl.gated_cov(x, x, w, activation="linear", alpha=alpha), truth) < 1e-6


@pytest.mark.parametrize("activation", ["linear", acl.LeakyReLU(-2.0), acl.LeakyReLU(0.5)], ids=str)
def test_gated_ternary_samples(activation):
    """Three different samples: the sums of a tile are short chains where there are few columns."""
    rng = np.random.default_rng(0)
    w = np.ones((1, 1), np.float32)
    for n in (200, 500, 983):
        x = rng.integers(-1, 2, (n, 1)).astype(np.float32)
        for alpha in (None, acl.NodeGaussian(26.6), acl.NodeGaussian(1.0)):
            truth = reference.gated_cov(x, x, w, activation=activation, alpha=alpha)
            assert relative_error(acl.gated_cov(x, x, w, activation=activation, alpha=alpha), truth) < 1e-6
