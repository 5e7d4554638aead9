"""`tol` of the Gaussian importance bounds the error of every entry of α, however α is applied."""

import numpy as np
import pytest
from support import DTYPES, inside

import alphacl_fast as acl
from alphacl_fast import reference

N = 900
DEFAULT = {np.float32: 1e-6, np.float64: 1e-12}


def _features(m, dtype):
    return inside(np.random.default_rng([21, m]).standard_normal((N, m) if m else N), dtype)


def _sup_errors(alpha, dtype):
    truth = reference.dense_alpha(alpha, N)
    identity = np.eye(N, dtype=dtype)
    yield np.abs(alpha.to_dense().astype(float) - truth).max()
    yield np.abs(alpha.matmul(identity).astype(float) - truth).max()
    yield np.abs(alpha.matmul(identity[:, ::-1]).astype(float) - truth[:, ::-1]).max()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", range(-8, 9, 2))
@pytest.mark.parametrize("m", [0, 1, 3])
def test_default_tol_is_kept(m, exponent, dtype):
    alpha = acl.Gaussian(_features(m, dtype), 10.0**exponent)
    for error in _sup_errors(alpha, dtype):
        assert error <= DEFAULT[dtype]


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("exponent", [-6, -4, -3, -2, -1, 0, 1, 3])
def test_explicit_tol_is_kept(exponent, tol):
    alpha = acl.Gaussian(_features(0, np.float64), 10.0**exponent, tol=tol)
    for error in _sup_errors(alpha, np.float64):
        assert error <= tol


@pytest.mark.parametrize("exponent", [-3, -1, 1])
def test_row_sums_belong_to_the_same_alpha_as_the_products(exponent):
    """r = α1 from the same approximation: the Laplacian of a constant vector is 0 to rounding, whatever tol is."""
    alpha = acl.Gaussian(_features(0, np.float64), 10.0**exponent, tol=1e-3)
    ones = np.ones((N, 1))
    np.testing.assert_allclose(alpha.row_sums(), alpha.matmul(ones)[:, 0], rtol=1e-12)


def test_tol_is_no_reason_to_lose_the_sign():
    """Without augmentation C is positive semidefinite up to what tol leaves in α."""
    rng = np.random.default_rng(22)
    x = rng.standard_normal((2000, 4))
    for exponent in (-6, -3, -1, 1):
        c = acl.contrastive_cov(x, x, acl.Gaussian(rng.standard_normal(2000), 10.0**exponent, tol=1e-4))
        assert np.linalg.eigvalsh(c).min() > -1e-4 * np.trace(c)
