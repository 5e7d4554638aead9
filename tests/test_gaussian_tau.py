"""Gaussian importance for τ from 1e-8 to 1e8 × the variance: one contract across all methods of computing it."""

import numpy as np
import pytest
from support import DTYPES, check, inside, two_views

import alphacl_fast as acl

EXPONENTS = range(-8, 9)
COV = ("contrastive_cov",)


def _scalars(kind, n):
    rng = np.random.default_rng(11)
    return {
        "normal": lambda: rng.standard_normal(n),
        "uniform": lambda: rng.uniform(-1, 1, n),
        "heavy tails": lambda: rng.standard_cauchy(n),
        "two clusters": lambda: np.where(np.arange(n) % 3 == 0, 1e3, -1.0) + rng.standard_normal(n),
        "duplicates": lambda: np.repeat(rng.standard_normal(-(-n // 10)), 10)[:n],
        "integers": lambda: rng.integers(-5, 6, n).astype(float),
        "sorted": lambda: np.sort(rng.standard_normal(n)),
        "one outlier": lambda: np.append(rng.standard_normal(n - 1), 1e4),
        "relu": lambda: np.maximum(rng.standard_normal(n), 0),
    }[kind]()


KINDS = ("normal", "uniform", "heavy tails", "two clusters", "duplicates", "integers", "sorted", "one outlier", "relu")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_scalar_features_independent_of_x(exponent, dtype):
    n = 1600
    x, x_aug = two_views(n, 3, dtype)
    f = inside(_scalars("normal", n), dtype)
    check(x, x_aug, acl.Gaussian(f, 10.0**exponent * float(np.var(f.astype(float)))))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", EXPONENTS[::2])
def test_scalar_features_equal_to_a_column_of_x(exponent, dtype):
    n = 1600
    x, x_aug = two_views(n, 3, dtype, seed=1)
    check(x, x_aug, acl.Gaussian(x[:, 1], 10.0**exponent * float(np.var(x[:, 1].astype(float)))), COV)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", [-8, -5, -3, -2, 0, 3])
@pytest.mark.parametrize("kind", KINDS[1:])
def test_distributions_of_scalar_features(kind, exponent, dtype):
    n = 1000
    x, x_aug = two_views(n, 2, dtype, seed=2)
    f = inside(_scalars(kind, n), dtype)
    check(x, x_aug, acl.Gaussian(f, 10.0**exponent * float(np.var(f.astype(float)))), COV)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("m", [1, 2, 8])
def test_vector_features(m, exponent, dtype):
    n = 600
    x, x_aug = two_views(n, 4, dtype, seed=3)
    f = inside(np.random.default_rng(m).standard_normal((n, m)), dtype)
    check(x, x_aug, acl.Gaussian(f, 10.0**exponent * m), COV)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", EXPONENTS[::2])
@pytest.mark.parametrize("m", [1, 2, 8])
def test_without_augmentation(m, exponent, dtype):
    """Nothing but pairs of different samples is left: for tiny τ a small part of what α x weighs."""
    n = 700
    x, _ = two_views(n, 3, dtype, seed=7)
    f = inside(np.random.default_rng([7, m]).standard_normal((n, m)), dtype)
    check(x, x, acl.Gaussian(f, 10.0**exponent), COV)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "method, exponent",
    [(method, exponent) for method in ("tiles", "sorted") for exponent in (-8, -5, -3, -2, -1, 0, 2)]
    + [("fourier", exponent) for exponent in (-3, -2, -1, 0, 2, 8)],
)
def test_every_method(method, exponent, dtype):
    n = 900
    x, x_aug = two_views(n, 3, dtype, seed=8)
    f = inside(_scalars("normal", n), dtype)
    check(x, x_aug, acl.Gaussian(f, 10.0**exponent, method=method), COV)
    check(x, x_aug, acl.Gaussian(f[:, None], 10.0**exponent, method=method), COV)


@pytest.mark.parametrize(
    "dtype, reach", [(np.float32, 1e2), (np.float32, 1e3), (np.float32, 1e4), (np.float64, 1e2), (np.float64, 1e3)]
)
def test_clusters_at_both_ends_of_a_long_series(reach, dtype):
    x, x_aug = two_views(400, 3, dtype, seed=9)
    f = np.random.default_rng(9).standard_normal(400)
    f[::2] += reach
    check(x, x_aug, acl.Gaussian(inside(f, dtype), 1.0, method="fourier"), COV)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tau", [1e-30, 1e-4, 1.0, 1e30])
def test_constant_scalar_features_are_the_uniform_importance(tau, dtype):
    x, x_aug = two_views(1200, 3, dtype)
    f = np.full(1200, 1e4 / 3, dtype)
    check(x, x_aug, acl.Gaussian(f, tau))
    np.testing.assert_allclose(
        acl.contrastive_cov(x, x_aug, acl.Gaussian(f, tau)),
        acl.contrastive_cov(x, x_aug),
        rtol=1e-5 if dtype == np.float32 else 1e-12,
        atol=1e-6 if dtype == np.float32 else 1e-12,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 3, 31, 33, 129, 257, 1025])
@pytest.mark.parametrize("exponent", [-8, -3, 0, 3, 8])
def test_few_scalars(n, exponent, dtype):
    x, x_aug = two_views(n, 2, dtype, seed=4)
    f = inside(_scalars("normal", n), dtype)
    check(x, x_aug, acl.Gaussian(f, 10.0**exponent))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [1, 2, 17, 50])
@pytest.mark.parametrize("exponent", [-7, -4, -1, 1])
def test_columns_of_x_beside_scalar_features(d, exponent, dtype):
    n = 1100
    x, x_aug = two_views(n, d, dtype, seed=5)
    check(x, x_aug, acl.Gaussian(inside(_scalars("normal", n), dtype), 10.0**exponent), COV)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", [-8, -5, -2, 1])
def test_far_from_zero(exponent, dtype):
    n = 1000
    x, x_aug = two_views(n, 2, dtype, seed=6)
    f = inside(1e4 + _scalars("normal", n), dtype)
    check(x, x_aug, acl.Gaussian(f, 10.0**exponent), COV)
    f = inside(1e4 + np.random.default_rng(6).standard_normal((n, 3)), dtype)
    check(x, x_aug, acl.Gaussian(f, 10.0**exponent), COV)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", [-8, -6, -4, -3, -2, 0])
@pytest.mark.parametrize("n", [2, 40, 700])
def test_samples_on_a_curve_without_augmentation(n, exponent, dtype):
    """x is a function of the features: only near samples count, and the Laplacian form would lose their differences."""
    t = np.random.default_rng(13).standard_normal(n)
    x = np.stack([t, np.sin(3 * t), t * t], axis=1).astype(dtype)
    check(x, x.copy(), acl.Gaussian(x[:, 0], 10.0**exponent * float(np.var(t))))
