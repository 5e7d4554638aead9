"""What C_α[x] is known to be without computing it: symmetric, permutation invariant, bilinear, semidefinite."""

import numpy as np
import pytest
import scipy.sparse
from support import DTYPES, IMPORTANCES, importance, relative_error, two_views

import alphacl_fast as acl

NONNEGATIVE = (
    "none",
    "uniform",
    "gaussian_scalar",
    "gaussian",
    "direct",
    "direct_raw",
    "inverse_distance",
    "pair_logistic",
    "pair_exponential",
)
CLOSE = {np.float32: 1e-5, np.float64: 1e-12}


def _permuted(alpha, order):
    """The same importance of the samples in another order."""
    if alpha is None or isinstance(alpha, acl.Uniform):
        return alpha
    if isinstance(alpha, np.ndarray):
        return alpha[np.ix_(order, order)]
    if isinstance(alpha, acl.Dense):
        return acl.Dense(alpha.alpha[np.ix_(order, order)])
    if isinstance(alpha, acl.LowRank):
        return acl.LowRank(alpha.phi[order], alpha.signs)
    if isinstance(alpha, acl.Labels):
        return acl.Labels(alpha.labels[order], alpha.same, alpha.different)
    if isinstance(alpha, acl.Sparse):
        starts, columns, values = alpha.matrix
        return acl.Sparse(scipy.sparse.csr_array((values, columns, starts), alpha.shape)[order][:, order])
    if isinstance(alpha, acl.Gaussian):
        return acl.Gaussian(alpha.features[order], alpha.tau)
    if isinstance(alpha, acl.InverseDistance):
        return acl.InverseDistance(alpha.features[order], alpha.p, alpha.tau, alpha.q)
    if isinstance(alpha, acl.SquareRegularized):
        return acl.SquareRegularized(alpha.features[order], alpha.tau)
    if isinstance(alpha, acl.importance.PairImportance):
        rows = (alpha.offset[order], alpha.weight[order])
        return acl.importance.PairImportance(alpha.features[order], alpha.scale, alpha.form, *rows)
    return acl.Direct(alpha.features[order], alpha.p, alpha.tau, normalize=alpha.normalize)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n, d", [(5, 33), (130, 130), (700, 31)])
@pytest.mark.parametrize("name", IMPORTANCES)
def test_exactly_symmetric(name, n, d, dtype):
    c = acl.contrastive_cov(*two_views(n, d, dtype), importance(name, n, dtype))
    np.testing.assert_array_equal(c, c.T)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", IMPORTANCES)
def test_order_of_the_samples_does_not_matter(name, dtype):
    n = 640
    x, x_aug = two_views(n, 7, dtype)
    alpha = importance(name, n, dtype)
    order = np.random.default_rng(41).permutation(n)
    plain = acl.contrastive_cov(x, x_aug, alpha)
    permuted = acl.contrastive_cov(x[order], x_aug[order], _permuted(alpha, order))
    assert relative_error(permuted, plain.astype(float)) < 100 * CLOSE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NONNEGATIVE)
def test_positive_semidefinite_without_augmentation(name, dtype):
    n = 400
    x, _ = two_views(n, 9, dtype)
    c = acl.contrastive_cov(x, x, importance(name, n, dtype)).astype(float)
    assert np.linalg.eigvalsh(c).min() >= -CLOSE[dtype] * np.trace(c)


@pytest.mark.parametrize("name", NONNEGATIVE)
def test_negative_semidefinite_when_the_samples_are_equal(name):
    _, noise = two_views(50, 4, np.float64)
    c = acl.contrastive_cov(np.zeros((50, 4)), noise, importance(name, 50, np.float64))
    assert np.linalg.eigvalsh(c).max() <= 1e-12 * -np.trace(c)


def test_linear_in_alpha_and_deaf_to_its_antisymmetric_inter_part():
    x, x_aug = two_views(90, 5, np.float64)
    a, b = np.random.default_rng(42).standard_normal((2, 90, 90))
    together = acl.contrastive_cov(x, x_aug, 2 * a - 3 * b)
    np.testing.assert_allclose(
        together, 2 * acl.contrastive_cov(x, x_aug, a) - 3 * acl.contrastive_cov(x, x_aug, b), atol=1e-12
    )
    np.testing.assert_allclose(acl.contrastive_cov(x, x, a), acl.contrastive_cov(x, x, a.T), atol=1e-13)
    np.testing.assert_allclose(acl.contrastive_cov(x, x, a - a.T), 0, atol=1e-13)


def test_the_rows_of_alpha_weigh_the_second_term():
    """Row sums, not column sums: α with one row of ones weighs only that sample's augmentation."""
    x, x_aug = two_views(20, 3, np.float64)
    row = np.zeros((20, 20))
    row[4] = 1
    intra = x[4] - x_aug[4]
    difference = acl.contrastive_cov(x, x_aug, row) - acl.contrastive_cov(x, x, row)
    np.testing.assert_allclose(difference, -20 * np.outer(intra, intra) / (2 * 20**2), atol=1e-15)
    difference = acl.contrastive_cov(x, x_aug, row.T) - acl.contrastive_cov(x, x, row.T)
    every = (x - x_aug).T @ (x - x_aug)
    np.testing.assert_allclose(difference, -every / (2 * 20**2), atol=1e-15)


def test_the_diagonal_of_alpha_weighs_only_the_second_term():
    x, x_aug = two_views(20, 3, np.float64)
    weights = np.random.default_rng(43).standard_normal(20)
    intra = x - x_aug
    np.testing.assert_allclose(
        acl.contrastive_cov(x, x_aug, np.diag(weights)), -(intra.T * weights) @ intra / (2 * 20**2), atol=1e-15
    )


def test_energy_is_half_the_trace():
    for name in IMPORTANCES:
        x, x_aug = two_views(300, 6, np.float64)
        alpha = importance(name, 300, np.float64)
        half_trace = np.trace(acl.contrastive_cov(x, x_aug, alpha)) / 2
        np.testing.assert_allclose(acl.energy(x, x_aug, alpha), half_trace, rtol=1e-11)
