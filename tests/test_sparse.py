"""Sparse: every format of scipy, compressed rows of torch, entries of one place, indices that are wrong, neighbours."""

import numpy as np
import pytest
import scipy.sparse
from support import DTYPES, assert_contract, check, relative_error, sparse_csr, two_views
from support import torch as import_torch

import alphacl_fast as acl
from alphacl_fast import reference
from alphacl_fast._parts import Csr


def _few(n, dtype, seed=0, per_row=5):
    rng = np.random.default_rng([seed, n])
    return (rng.standard_normal((n, n)) * (rng.random((n, n)) < per_row / n)).astype(dtype)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("make", [scipy.sparse.csr_matrix, scipy.sparse.csr_array])
def test_formats_of_scipy(make, kind):
    a = _few(40, np.float64)
    given = make(a).asformat(kind)
    before = given.toarray()
    alpha = acl.Sparse(given)
    np.testing.assert_array_equal(alpha.to_dense(), a)
    x, x_aug = two_views(40, 3, np.float64)
    np.testing.assert_array_equal(
        acl.contrastive_cov(x, x_aug, alpha), acl.contrastive_cov(x, x_aug, acl.Sparse(scipy.sparse.csr_array(a)))
    )
    np.testing.assert_array_equal(given.toarray(), before)


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_compressed_rows_are_read_where_they_are(index):
    a = scipy.sparse.csr_array(_few(30, np.float32))
    a.indptr, a.indices = a.indptr.astype(index), a.indices.astype(index)
    alpha = acl.Sparse(a)
    before = alpha.to_dense()
    a.data *= 2
    np.testing.assert_array_equal(alpha.to_dense(), 2 * before)


@pytest.mark.parametrize("dtype", DTYPES)
def test_entries_of_one_place_add_up(dtype):
    """Unsorted columns, places twice, zeros that are there, rows and columns without any."""
    starts, columns = np.array([0, 4, 4, 7, 9]), np.array([3, 0, 3, 1, 2, 2, 2, 0, 0])
    values = np.array([1, 2, 0.5, 0, -1, 3, 0.25, 1, -1], dtype)
    alpha = acl.Sparse(scipy.sparse.csr_array((values, columns, starts), (4, 4)))
    dense = np.array([[2, 0, 0, 1.5], [0, 0, 0, 0], [0, 0, 2.25, 0], [0, 0, 0, 0]], dtype)
    np.testing.assert_array_equal(alpha.to_dense(), dense)
    np.testing.assert_array_equal(alpha.row_sums(), dense.sum(1))
    np.testing.assert_array_equal(alpha.col_sums(), dense.sum(0))
    x, x_aug = two_views(4, 3, dtype)
    check(x, x_aug, alpha)
    assert_contract(alpha.matmul(x), dense.astype(float) @ x, lambda: dense @ x, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n, d, per_row", [(1, 1, 1), (2, 3, 1), (65, 5, 3), (300, 20, 10), (300, 2, 300)])
def test_sums(n, d, per_row, dtype):
    a = _few(n, dtype, per_row=per_row)
    x, x_aug = two_views(n, d, dtype)
    for matrix in (a, np.abs(a), a - a.T):
        check(x, x_aug, acl.Sparse(scipy.sparse.csr_array(matrix)))
    check(x, x.copy(), acl.Sparse(scipy.sparse.csr_array(a)))
    antisymmetric = acl.Sparse(scipy.sparse.csr_array(a - a.T))
    assert not acl.contrastive_cov(x, x.copy(), antisymmetric).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spread", [1e-1, 1e-3, 1e-5])
def test_neighbours_much_closer_than_the_data_is_wide(spread, dtype):
    """A ring of samples, each joined to the next: differences are summed, so nothing cancels."""
    n = 3000
    x = np.stack([np.cos(np.arange(n) * 2 * np.pi / n), np.sin(np.arange(n) * 2 * np.pi / n)], 1)
    x = np.concatenate([x / spread, np.random.default_rng(5).standard_normal((n, 2))], 1).astype(dtype)
    joined = scipy.sparse.csr_array((np.ones(n, dtype), (np.arange(n), (np.arange(n) + 1) % n)), (n, n))
    steps = x.astype(np.longdouble) - np.roll(x, -1, 0).astype(np.longdouble)
    truth = (steps.T @ steps / (2 * np.longdouble(n) ** 2)).astype(float)
    ours = acl.contrastive_cov(x, x.copy(), acl.Sparse(joined))
    assert relative_error(ours, truth) < (1e-6 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_gated(activation, dtype):
    x, x_aug = two_views(150, 5, dtype)
    w = np.random.default_rng(4).standard_normal((3, 5)).astype(dtype)
    alpha = acl.Sparse(scipy.sparse.csr_array(_few(150, dtype)))
    ours = acl.gated_cov(x, x_aug, w, activation=activation, alpha=alpha)
    truth = reference.gated_cov(x, x_aug, w, activation=activation, alpha=alpha)
    naive = reference.gated_cov(x, x_aug, w, activation=activation, alpha=alpha, dtype=dtype)
    for k in range(3):
        assert_contract(ours[k], truth[k], lambda k=k: naive[k], dtype)
    found = acl.theory.find_local_maxima(x, x_aug, 2, activation=activation, alpha=alpha, max_iter=3, progress=False)
    assert found.weights.shape == (2, 5)


BROKEN = {
    "a column beyond N": Csr(np.array([0, 1, 2]), np.array([0, 2]), np.ones(2)),
    "a negative column": Csr(np.array([0, 1, 2]), np.array([0, -1]), np.ones(2)),
    "starts that fall": Csr(np.array([0, 2, 1]), np.array([0, 1]), np.ones(2)),
    "starts beyond the entries": Csr(np.array([0, 1, 3]), np.array([0, 1]), np.ones(2)),
    "starts that begin late": Csr(np.array([1, 1, 2]), np.array([0, 1]), np.ones(2)),
    "huge starts": Csr(np.array([0, 2**62, 2]), np.array([0, 1]), np.ones(2)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_indices_are_checked_before_any_work(name):
    x, x_aug = two_views(2, 2, np.float64)
    with pytest.raises(ValueError, match=r"^matrix: expected "):
        acl.contrastive_cov(x, x_aug, acl.Sparse(BROKEN[name]))


@pytest.mark.parametrize(
    "matrix, error, text",
    [
        (np.eye(3), TypeError, r"expected a sparse matrix of scipy or torch, got ndarray: use Dense\(matrix\)"),
        ([[1.0]], TypeError, "expected a sparse matrix of scipy or torch, got list"),
        (scipy.sparse.csr_array((2, 3)), ValueError, r"expected a square \(N, N\) matrix, got shape \(2, 3\)"),
        (scipy.sparse.csr_array((2, 2), dtype=int), TypeError, r"expected float32 or float64, got int64: .*astype.*"),
        (scipy.sparse.csr_array((2, 2), dtype=complex), TypeError, r"expected float32 or float64, got complex128.*"),
    ],
)
def test_matrices_that_are_refused(matrix, error, text):
    with pytest.raises(error, match=f"^matrix: {text}$"):
        acl.Sparse(matrix)


def test_another_dtype_or_size_is_refused():
    x, x_aug = two_views(5, 2, np.float32)
    with pytest.raises(TypeError, match=r"^alpha: expected float32 like x, got float64$"):
        acl.contrastive_cov(x, x_aug, acl.Sparse(scipy.sparse.csr_array(np.eye(5))))
    with pytest.raises(ValueError, match=r"^alpha: expected 5 samples like x, got 4$"):
        acl.contrastive_cov(x, x_aug, acl.Sparse(scipy.sparse.csr_array(np.eye(4, dtype=np.float32))))


def test_repr():
    alpha = acl.Sparse(scipy.sparse.csr_array(np.eye(5, dtype=np.float32)))
    assert repr(alpha) == "Sparse(matrix=(5, 5) float32, 5 entries)"
    assert alpha.shape == (5, 5)
    assert alpha.dtype == np.float32


def test_torch_tensors():
    torch = import_torch()
    a = _few(40, np.float32)
    x, x_aug = two_views(40, 3, np.float32)
    expected = acl.contrastive_cov(x, x_aug, acl.Sparse(scipy.sparse.csr_array(a)))
    alpha = acl.Sparse(sparse_csr(torch.from_numpy(a)))
    ours = acl.contrastive_cov(torch.tensor(x), torch.tensor(x_aug), alpha)
    np.testing.assert_array_equal(ours.numpy(), expected)
    assert torch.equal(alpha.to_dense(), torch.from_numpy(a))
    with pytest.raises(TypeError, match=r"^x: expected|^alpha: expected a torch tensor like x, got a numpy array$"):
        acl.contrastive_cov(torch.tensor(x), torch.tensor(x_aug), acl.Sparse(scipy.sparse.csr_array(a)))
    with pytest.raises(
        TypeError, match=r"^matrix: expected a sparse tensor in compressed rows, .* use Dense\(matrix\)$"
    ):
        acl.Sparse(torch.from_numpy(a))
    with pytest.raises(TypeError, match=r"^matrix: expected a sparse tensor .*: matrix.to_sparse_csr\(\) converts it$"):
        acl.Sparse(torch.from_numpy(a).to_sparse())


def test_torch_gradients():
    torch = import_torch()
    z, z_aug = (torch.tensor(a, requires_grad=True) for a in two_views(12, 3, np.float64))
    alpha = acl.Sparse(sparse_csr(torch.from_numpy(_few(12, np.float64))))
    assert torch.autograd.gradcheck(lambda a, b: acl.contrastive_cov(a, b, alpha), (z, z_aug))
    assert torch.autograd.gradcheck(lambda a, b: acl.energy(a, b, alpha), (z, z_aug))


def test_torch_matrices_that_require_grad_are_refused():
    torch = import_torch()
    z, z_aug = (torch.tensor(a) for a in two_views(12, 3, np.float64))
    alpha = acl.Sparse(sparse_csr(torch.from_numpy(_few(12, np.float64))).requires_grad_())
    with pytest.raises(RuntimeError, match=r"requires grad.*\.detach\(\)"):
        acl.contrastive_cov(z, z_aug, alpha)
