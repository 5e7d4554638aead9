"""SquareRegularized: projections on the simplex for every τ that a float has, on data that makes distances cancel."""

import numpy as np
import pytest
from support import DTYPES, TOL, assert_contract, frobenius, inside
from support import torch as import_torch

import alphacl_fast as acl
from alphacl_fast import reference
from alphacl_fast._parts import FORMS

SMALLEST = np.finfo(np.float64).tiny
TAUS = (SMALLEST, 1e-300, 1e-100, 1e-15, 1e-12, 1e-6, 0.5, 1e6, 1e100, 1e300)


def _cluster(rng, n, m):
    return rng.standard_normal((4, m))[rng.integers(4, size=n)] * 10 + 1e-4 * rng.standard_normal((n, m))


# name -> features of n samples
DATA = {
    "normal": lambda rng, n, m: rng.standard_normal((n, m)),
    "large": lambda rng, n, m: 1e3 * rng.standard_normal((n, m)),
    "tiny": lambda rng, n, m: 1e-30 * rng.standard_normal((n, m)),
    "far off": lambda rng, n, m: 1e3 + 1e-2 * rng.standard_normal((n, m)),
    "clusters": _cluster,
    "duplicates": lambda rng, n, m: rng.standard_normal((n // 5 + 1, m))[rng.integers(n // 5 + 1, size=n)],
    "integers": lambda rng, n, m: rng.integers(-2, 3, (n, m)),
    "one-hot": lambda rng, n, m: np.eye(m)[rng.integers(m, size=n)],
    "heavy-tailed": lambda rng, n, m: rng.standard_cauchy((n, m)),
    "equal": lambda rng, n, m: np.full((n, m), 1e3 / 3),
}
EXACT = ("integers", "one-hot", "equal")  # whose distances no arithmetic rounds


def _features(kind, n, m, dtype):
    return inside(DATA[kind](np.random.default_rng([n, m]), n, m), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("n, m", [(1, 3), (2, 8), (3, 1), (65, 5), (200, 8), (385, 20)])
def test_rows_sum_to_one(n, m, kind, dtype):
    f = _features(kind, n, m, dtype)
    for tau in TAUS:
        alpha = acl.SquareRegularized(f, tau)
        dense = np.asarray(alpha.to_dense(), float)
        assert (dense >= 0).all()
        assert not np.diagonal(dense).any()
        near = {"rtol": 0, "atol": 1e-6 if dtype == np.float32 else 1e-12, "err_msg": str(tau)}
        np.testing.assert_allclose(dense.sum(1), float(n > 1), **near)
        np.testing.assert_allclose(alpha.row_sums(), float(n > 1), **near)
        np.testing.assert_allclose(alpha.col_sums(), dense.sum(0), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("n, m", [(2, 8), (3, 1), (65, 5), (130, 16)])
def test_entries(n, m, kind, dtype):
    """Where distances are rounded, τ far below their last digit asks for more than any arithmetic in double has."""
    f = _features(kind, n, m, dtype)
    rng = np.random.default_rng(n)
    y = inside(rng.standard_normal((n, 3)), dtype)
    exact = np.longdouble if dtype == np.float64 else np.float64
    for tau in TAUS if kind in EXACT else (1e-6, 0.5, 1e6):
        alpha = acl.SquareRegularized(f, tau)
        truth = reference.square_regularized(f, tau, dtype=exact)

        def naive(tau=tau):
            # 1e100 is no float32.
            return reference.square_regularized(f, tau, dtype=dtype if 1e-30 < tau < 1e30 else None)

        assert_contract(alpha.to_dense(), truth, naive, dtype)
        assert_contract(alpha.matmul(y), truth @ y, lambda: (naive() @ y).astype(dtype), dtype)


def _at_small_tau(tau, dtype):
    """Each sample sees its nearest alone: integers, so that all see the same distances."""
    f = _features("integers", 130, 4, dtype)
    rng = np.random.default_rng(5)
    x, x_aug = (inside(rng.standard_normal((130, 6)), dtype) for _ in range(2))
    return f, x, x_aug, reference.square_regularized(f, tau), 2e-6 if dtype == np.float32 else 1e-12


over_small_tau = pytest.mark.parametrize("tau", [SMALLEST, 1e-12, 0.3])


@pytest.mark.parametrize("dtype", DTYPES)
@over_small_tau
def test_operations_at_small_tau(tau, dtype):
    f, x, x_aug, dense, tol = _at_small_tau(tau, dtype)
    alpha = acl.SquareRegularized(f, tau)
    for operation in ("contrastive_cov", "energy"):
        truth = getattr(reference, operation)(x, x_aug, dense)
        assert frobenius(getattr(acl, operation)(x, x_aug, alpha) - truth) <= tol * frobenius(truth)


@pytest.mark.parametrize("dtype", DTYPES)
@over_small_tau
def test_gradient_in_torch_at_small_tau(tau, dtype):
    torch = import_torch()
    f, x, x_aug, dense, tol = _at_small_tau(tau, dtype)
    z, z_aug = (torch.tensor(a, requires_grad=True) for a in (x, x_aug))
    alpha = acl.SquareRegularized(torch.from_numpy(f), tau)
    found = torch.autograd.grad(acl.losses.alpha_cl_loss(z, z_aug, alpha, "sum"), (z, z_aug))
    wide, wide_aug = x.astype(float), x_aug.astype(float)
    intra = dense.sum(1)[:, None] * (wide - wide_aug)
    both = dense + dense.T
    inter = both.sum(1)[:, None] * wide - both @ wide
    for ours, truth in zip(found, (intra - inter, -intra), strict=True):
        assert frobenius(ours.numpy() - truth) <= tol * frobenius(truth)


@pytest.mark.parametrize("dtype", DTYPES)
def test_ties_share_the_row(dtype):
    """All partners at one distance, whatever the distance and τ: each gets the same part of the row."""
    f = np.eye(9, dtype=dtype) * 1000
    expected = (1 - np.eye(9)) / 8
    for tau in TAUS:
        np.testing.assert_allclose(acl.SquareRegularized(f, tau).to_dense(), expected, rtol=1e-6, err_msg=str(tau))


def test_features_that_are_not_finite_give_nan():
    f = np.ones((5, 2))
    f[3, 1] = np.nan
    assert np.isnan(acl.SquareRegularized(f, 0.5).row_sums()).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tau", [1e-6, 0.3, 50.0, 1e6])
@pytest.mark.parametrize("n", [1, 2, 3, 33, 257])
def test_simplex_projection(n, tau, dtype):
    """Oracle (d): the KKT conditions: rows ≥ 0 with sum 1, and d_ij² + τ α_ij = μ_i where α_ij > 0, ≥ μ_i elsewhere."""
    f = np.random.default_rng([n, 5]).standard_normal((n, 3)).astype(dtype)
    alpha = np.asarray(acl.SquareRegularized(f, tau).to_dense(), float)
    assert (np.diag(alpha) == 0).all()
    if n == 1:
        return
    eps = 1e-6 if dtype == np.float32 else 1e-12
    assert (alpha >= 0).all()
    np.testing.assert_allclose(alpha.sum(1), 1, atol=max(eps, 20 * eps / tau if tau < 1 else 0))
    d2 = 0.5 * ((f[:, None].astype(float) - f[None]) ** 2).sum(-1)
    for i in range(n):
        others = np.arange(n) != i
        level, open_ = (d2[i] + tau * alpha[i])[others], alpha[i, others] > 0
        assert np.ptp(level[open_]) <= 50 * eps * max(1, tau) + 1e-9 * (dtype == np.float64)
        assert (level[~open_] >= level[open_].max() - 50 * eps * max(1, tau)).all()


def test_simplex_projection_of_duplicates():
    f = np.zeros((40, 2))
    np.testing.assert_allclose(acl.SquareRegularized(f, 0.1).to_dense(), (1 - np.eye(40)) / 39)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(4))
def test_gated_covariance_of_near_neighbours_far_from_the_mean(seed, dtype):
    """Sums over the open samples cancel to 1e-6: their α have to be those of the degrees, to the bit."""
    x, weights = _near_neighbours(seed, dtype)
    _check_gated(x, weights, acl.SquareRegularized(np.ascontiguousarray(x[:, :8]), 0.0024))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", FORMS)
def test_gated_covariance_of_near_neighbours_by_importances_of_losses(form, dtype):
    x, weights = _near_neighbours(0, dtype)
    f, ones = np.ascontiguousarray(x[:, :8]), np.ones(9)
    _check_gated(x, weights, acl.importance.PairImportance(f, 400.0, form, 5 * ones, ones))


def _near_neighbours(seed, dtype):
    rng = np.random.default_rng([7, seed])
    centres, noise = rng.standard_normal((4, 65)), rng.standard_normal((9, 65))
    x = (29 * centres[np.arange(9) % 4] + 0.025 * noise).astype(dtype)
    return x, rng.standard_normal((16, 65)).astype(dtype)


def _check_gated(x, weights, alpha):
    found = acl.gated_cov(x, x, weights, activation="relu", alpha=alpha)
    truths = reference.gated_cov(x, x, weights, activation="relu", alpha=alpha)
    assert frobenius(truths) > 0
    for ours, truth in zip(found, truths, strict=True):
        assert frobenius(ours - truth) <= TOL[x.dtype] * frobenius(truth)
