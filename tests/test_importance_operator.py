"""An importance is a linear operator: its methods against the dense α of the reference."""

import numpy as np
import pytest
import scipy.sparse
from support import DTYPES, assert_contract, inside

import alphacl_fast as acl
from alphacl_fast import reference

SIZES = (1, 2, 33, 129, 600)


def _normal(n, dtype, *shape):
    return inside(np.random.default_rng([31, n]).standard_normal((n, *shape)), dtype)


def _sparse(n, dtype):
    a = _normal(n, dtype, n)
    return scipy.sparse.csr_array(np.where(np.abs(a) > 1, a, 0))


IMPORTANCES = {
    "dense": lambda n, dtype: acl.Dense(_normal(n, dtype, n)),
    "low_rank": lambda n, dtype: acl.LowRank(_normal(n, dtype, 3)),
    "low_rank_1": lambda n, dtype: acl.LowRank(_normal(n, dtype, 1)),
    "low_rank_wide": lambda n, dtype: acl.LowRank(_normal(n, dtype, 70)),
    "low_rank_signed": lambda n, dtype: acl.LowRank(_normal(n, dtype, 4), [1.0, -2.0, 0.25, -1e-3]),
    "low_rank_negative": lambda n, dtype: acl.LowRank(_normal(n, dtype, 2), [-1, -1]),
    "labels": lambda n, dtype: acl.Labels(np.arange(n) ** 2 % 7, 1.5, 0.5),
    "labels_apart": lambda n, dtype: acl.Labels(np.arange(n), 1.0, -0.5),
    "labels_one": lambda n, dtype: acl.Labels(np.full(n, -3)),
    "sparse": lambda n, dtype: acl.Sparse(_sparse(n, dtype)),
    "sparse_empty": lambda n, dtype: acl.Sparse(scipy.sparse.csr_array((n, n), dtype=dtype)),
    "gaussian_scalar": lambda n, dtype: acl.Gaussian(_normal(n, dtype), 0.2),
    "gaussian_scalar_tiny_tau": lambda n, dtype: acl.Gaussian(_normal(n, dtype), 1e-7),
    "gaussian_scalar_huge_tau": lambda n, dtype: acl.Gaussian(_normal(n, dtype), 1e7),
    "gaussian_column": lambda n, dtype: acl.Gaussian(_normal(n, dtype, 1), 0.2),
    "gaussian": lambda n, dtype: acl.Gaussian(_normal(n, dtype, 6), 3.0),
}
for _p in (1, 2, 2.5, 3, 4):
    for _normalize in (True, False):
        IMPORTANCES[f"direct_{_p}_{_normalize}"] = lambda n, dtype, p=_p, normalize=_normalize: acl.Direct(
            _normal(n, dtype, 4), p=p, tau=1.5, normalize=normalize
        )
        IMPORTANCES[f"inverse_{_p}_{_normalize}"] = lambda n, dtype, p=_p, normalize=_normalize: acl.InverseDistance(
            _normal(n, dtype, 4), p=p, tau=0.5, q=1.5, normalize=normalize
        )
IMPORTANCES["inverse_tiny_tau"] = lambda n, dtype: acl.InverseDistance(_normal(n, dtype, 2), p=2, tau=1e-12)
IMPORTANCES["direct_eps"] = lambda n, dtype: acl.Direct(_normal(n, dtype, 4), p=2, eps=0.2)
IMPORTANCES["direct_scalar"] = lambda n, dtype: acl.Direct(_normal(n, dtype))
IMPORTANCES["direct_tiny_tau"] = lambda n, dtype: acl.Direct(_normal(n, dtype, 2), tau=1e-8)
IMPORTANCES["direct_tiny_tau_raw"] = lambda n, dtype: acl.Direct(_normal(n, dtype, 2), tau=1e-8, normalize=False)
IMPORTANCES["direct_huge_tau"] = lambda n, dtype: acl.Direct(_normal(n, dtype, 2), tau=1e8)


def _assert_close(ours, apply, alpha, n, dtype):
    """The accuracy contract for α applied to something."""
    truth = apply(reference.dense_alpha(alpha, n))
    assert_contract(ours, truth, lambda: apply(reference.dense_alpha(alpha, n, dtype=dtype)).astype(dtype), dtype)


cases = pytest.mark.parametrize(
    "name, n, dtype", [(name, n, dtype) for name in IMPORTANCES for n in SIZES for dtype in DTYPES]
)


@cases
def test_row_and_column_sums(name, n, dtype):
    alpha = IMPORTANCES[name](n, dtype)
    _assert_close(alpha.row_sums(), lambda a: a.sum(axis=1), alpha, n, alpha.dtype)
    _assert_close(alpha.col_sums(), lambda a: a.sum(axis=0), alpha, n, alpha.dtype)


@cases
def test_matmul(name, n, dtype):
    alpha = IMPORTANCES[name](n, dtype)
    rng = np.random.default_rng(32)
    for width in (1, 2, 19):
        y = inside(rng.standard_normal((n, width)), dtype)
        _assert_close(alpha.matmul(y), lambda a, y=y: a @ y.astype(a.dtype), alpha, n, dtype)


@cases
def test_to_dense_shape_and_dtype(name, n, dtype):
    alpha = IMPORTANCES[name](n, dtype)
    assert tuple(alpha.shape) == (n, n)
    assert alpha.dtype == (np.float64 if isinstance(alpha, acl.Labels) else dtype)
    _assert_close(alpha.to_dense(), lambda a: a, alpha, n, alpha.dtype)
    if name.startswith("direct"):
        assert not np.diagonal(alpha.to_dense()).any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_matmul_with_a_vector_and_with_no_columns(dtype):
    for make in IMPORTANCES.values():
        alpha = make(33, dtype)
        y = np.linspace(-1, 1, 33, dtype=dtype)
        np.testing.assert_allclose(alpha.matmul(y), alpha.matmul(y[:, None])[:, 0], rtol=1e-5, atol=1e-5)
        assert alpha.matmul(np.zeros((33, 0), dtype)).shape == (33, 0)


def test_arguments_are_kept_as_attributes():
    z = np.random.default_rng(33).standard_normal((5, 2))
    gaussian = acl.Gaussian(z, 0.3, tol=1e-9)
    np.testing.assert_array_equal(gaussian.features, z)
    assert (gaussian.tau, gaussian.tol) == (0.3, 1e-9)
    direct = acl.Direct(z)
    np.testing.assert_array_equal(direct.features, z)
    assert (direct.p, direct.tau, direct.normalize) == (4, 0.5, True)
    np.testing.assert_array_equal(acl.LowRank(z).phi, z)
    np.testing.assert_array_equal(acl.Dense(z @ z.T).alpha, z @ z.T)


@pytest.mark.parametrize(
    "make",
    [lambda z: acl.Gaussian(z, 1.0), lambda z: acl.Gaussian(z[:, 0], 1.0), acl.Direct, acl.LowRank],
    ids=["Gaussian", "Gaussian scalar", "Direct", "LowRank"],
)
def test_arrays_are_kept_by_reference_and_read_at_each_call(make):
    z = np.random.default_rng(35).standard_normal((9, 2))
    alpha = make(z)
    before = alpha.to_dense()
    z *= 1.5
    assert not np.array_equal(alpha.to_dense(), before)
    np.testing.assert_array_equal(alpha.to_dense(), make(z.copy()).to_dense())


@pytest.mark.parametrize("dtype", DTYPES)
def test_uniform_with_a_size(dtype):
    alpha = acl.Uniform(33)
    y = _normal(33, dtype, 4)
    assert alpha.shape == (33, 33)
    np.testing.assert_array_equal(alpha.row_sums(), np.full(33, 33.0))
    np.testing.assert_array_equal(alpha.col_sums(), np.full(33, 33.0))
    np.testing.assert_array_equal(alpha.to_dense(), np.ones((33, 33)))
    product = alpha.matmul(y)
    assert product.dtype == dtype
    np.testing.assert_allclose(
        product, np.ones((33, 33)) @ y.astype(float), rtol=1e-5 if dtype == np.float32 else 1e-13
    )
    np.testing.assert_array_equal(acl.contrastive_cov(y, -y, alpha), acl.contrastive_cov(y, -y))


@pytest.mark.parametrize("dtype", DTYPES)
def test_uniform_without_its_diagonal(dtype):
    alpha, dense = acl.Uniform(33, diagonal=False), 1 - np.eye(33)
    y = _normal(33, dtype, 4)
    np.testing.assert_array_equal(alpha.row_sums(), dense.sum(1))
    np.testing.assert_array_equal(alpha.col_sums(), dense.sum(0))
    np.testing.assert_array_equal(alpha.to_dense(), dense)
    assert_contract(alpha.matmul(y), dense @ y.astype(float), lambda: dense.astype(dtype) @ y, dtype)


def test_the_operator_at_is_matmul():
    for make in IMPORTANCES.values():
        alpha = make(33, np.float64)
        y = _normal(33, np.float64, 4)
        np.testing.assert_array_equal(alpha @ y, alpha.matmul(y))


def test_the_classes_stand_in_their_module_and_at_top_level():
    for name in ("Uniform", "Dense", "LowRank", "Gaussian", "Direct"):
        assert getattr(acl, name) is getattr(acl.importance, name)


@pytest.mark.parametrize("normalize", [True, False])
def test_direct_at_extreme_temperatures(normalize):
    """Tiny τ: all weight on the nearest neighbour, or none; huge τ: every other sample alike. Never 0/0."""
    z = np.random.default_rng(34).standard_normal((300, 3))
    cold = acl.Direct(z, tau=1e-300, normalize=normalize).to_dense()
    hot = acl.Direct(z, tau=1e300, normalize=normalize).to_dense()
    np.testing.assert_allclose(cold.sum(axis=1), 1.0 if normalize else 0.0, rtol=1e-12)
    np.testing.assert_allclose(hot.sum(axis=1), 1.0 if normalize else 299.0, rtol=1e-12)


def test_direct_of_duplicates_shares_the_weight():
    z = np.repeat(np.eye(3), 2, axis=0)
    alpha = acl.Direct(z, tau=1e-9).to_dense()
    np.testing.assert_allclose(alpha, np.kron(np.eye(3), [[0, 1], [1, 0]]), atol=1e-15)
