"""power_iteration with k > 1 and with b: against LAPACK, for arrays, batches, layers and tensors."""

import numpy as np
import pytest
import scipy.linalg
from support import DTYPES, run_python, torch, two_views

import alphacl_fast as acl

TOL = {np.float32: 1e-5, np.float64: 1e-10}


def _batch(count, d, dtype=np.float64, seed=0):
    rng = np.random.default_rng([seed, d])
    a = rng.standard_normal((count, d, d)) / np.sqrt(d)
    return (a + a.swapaxes(1, 2)).astype(dtype)


def _definite(count, d, dtype=np.float64):
    a = _batch(count, d, seed=9)
    return (a @ a + 0.5 * np.eye(d)).astype(dtype)


def _assert_pairs(a, found, k, dtype, b=None):
    """Values of LAPACK, orthonormal vectors, true residuals."""
    for index, matrix in enumerate(a.astype(np.float64)):
        metric = np.eye(len(matrix)) if b is None else b[index % len(b)].astype(np.float64)
        expected = scipy.linalg.eigh(matrix, metric, eigvals_only=True)[::-1][:k]
        size = np.abs(scipy.linalg.eigh(matrix, metric, eigvals_only=True)).max()
        values, vectors = (part[index].astype(np.float64) for part in (found.eigenvalue, found.eigenvector))
        np.testing.assert_allclose(values, expected, atol=3 * TOL[dtype] * size)
        rounding = 1e-5 if dtype == np.float32 else 1e-9
        np.testing.assert_allclose(vectors @ metric @ vectors.T, np.eye(k), atol=10 * rounding)
        residuals = np.linalg.norm(vectors @ matrix - values[:, None] * (vectors @ metric), axis=1)
        np.testing.assert_allclose(found.residual[index], residuals, atol=rounding * size)
        largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
        assert (largest > 0).all()
    assert found.converged.all()


@pytest.mark.parametrize("method", ["lanczos", "power"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d, k", [(2, 2), (5, 3), (5, 5), (33, 4), (97, 6)])
def test_top_k_of_a_batch(d, k, dtype, method):
    a = _batch(4, d, dtype)
    options = {"method": method, "max_iter": 30_000}
    found = acl.power_iteration(a, k=k, **options)
    assert found.eigenvalue.shape == found.residual.shape == found.n_iter.shape == found.converged.shape == (4, k)
    assert found.eigenvector.shape == (4, k, d)
    assert found.gap is None
    assert found.eigenvalue.dtype == found.eigenvector.dtype == dtype
    _assert_pairs(a, found, k, dtype)
    # The first pair is the one of k = 1, to the bit.
    for many, one in zip(found, acl.power_iteration(a, **options), strict=True):
        if one is not None:
            np.testing.assert_array_equal(many[:, 0], one)


@pytest.mark.parametrize(
    "values", [[-1.0, -2, -3, -4], [5.0, -9, -9.5, -10], [1.0, 1, 1, -3], [2.0, 0, 0, 0], [0.0] * 4]
)
def test_spectra_that_are_negative_double_or_of_low_rank(values):
    """What is projected away has eigenvalue 0: it must not come out above a negative one, or again."""
    q = np.linalg.qr(np.random.default_rng(1).standard_normal((4, 4)))[0]
    a = (q * values) @ q.T
    for k in (2, 3, 4):
        found = acl.power_iteration(a, k=k, gap=True)
        np.testing.assert_allclose(found.eigenvalue, sorted(values)[::-1][:k], atol=1e-8)
        np.testing.assert_allclose(found.eigenvector @ found.eigenvector.T, np.eye(k), atol=1e-9)
        ends = [*sorted(values)[::-1], -np.inf]
        np.testing.assert_allclose(found.gap, -np.diff(ends)[:k], atol=1e-8)
        assert found.converged.all()


def test_gaps():
    a = _batch(3, 20)
    one, many = acl.power_iteration(a, gap=True), acl.power_iteration(a, k=3, gap=True)
    values = np.linalg.eigvalsh(a)[:, ::-1]
    np.testing.assert_allclose(many.gap, values[:, :3] - values[:, 1:4], rtol=1e-7)
    np.testing.assert_allclose(many.gap[:, 0], one.gap, rtol=1e-7)


@pytest.mark.parametrize("scale", [1e-160, 1e160])
def test_large_and_small_matrices(scale):
    a = _batch(2, 9) * scale
    found = acl.power_iteration(a, k=3)
    np.testing.assert_allclose(found.eigenvalue, np.linalg.eigvalsh(a)[:, :-4:-1], rtol=1e-8)
    assert found.converged.all()
    b = np.diag(np.arange(1.0, 10))
    found = acl.power_iteration(a[0], b=b, k=2)
    np.testing.assert_allclose(found.eigenvalue, scipy.linalg.eigh(a[0], b)[0][:-3:-1], rtol=1e-8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("shared", [True, False])
def test_generalised_pairs(shared, k, dtype):
    a, b = _batch(3, 12, dtype), _definite(3, 12, dtype)
    b = b[:1] if shared else b
    found = acl.power_iteration(a, b=b[0] if shared else b, k=k)
    if k == 1:
        assert found.eigenvalue.shape == (3,)
        found = acl.TopEigenpairs(*(None if f is None else f[:, None] for f in found))
    _assert_pairs(a, found, k, dtype, b)


def test_entries_of_one_magnitude_once_they_are_rounded():
    """Vectors along (1, ±1) up to rounding in double, either entry the larger one; with B the second is."""
    b = np.array([[0.30399680, -0.21369810], [-0.21369810, 0.38627967]], np.float32)
    for scale in np.linspace(1, 1.2, 200, dtype=np.float32):
        a = scale * np.array([[1, -1], [-1, 1]], np.float32)
        for form in (None, np.eye(2, dtype=np.float32), b):
            v = acl.power_iteration(a, b=form, k=2).eigenvector
            assert v.dtype == np.float32
            assert (v[[0, 1], np.abs(v).argmax(axis=1)] > 0).all()  # of equal ones, the first


def test_a_single_matrix_drops_the_leading_axis():
    a, b = _batch(1, 6)[0], _definite(1, 6)[0]
    assert acl.power_iteration(a, k=2).eigenvector.shape == (2, 6)
    assert acl.power_iteration(a, k=2, gap=True).gap.shape == (2,)
    assert acl.power_iteration(a, b=b).eigenvector.shape == (6,)
    assert isinstance(acl.power_iteration(a, b=b).eigenvalue, np.float64)


@pytest.mark.parametrize("b", [None, 1])
def test_a_warm_start_saves_products(b):
    a = _batch(3, 60)
    b = b and _definite(1, 60)[0]
    found = acl.power_iteration(a, b=b, k=3)
    again = acl.power_iteration(a, b=b, k=3, v0=found.eigenvector)
    assert (again.n_iter <= 3).all()
    assert (found.n_iter > 8).all()
    np.testing.assert_allclose(again.eigenvalue, found.eigenvalue, rtol=1e-9)
    # A start that is nothing but what is known already is replaced.
    same = np.repeat(found.eigenvector[:, :1], 3, axis=1).copy()
    np.testing.assert_allclose(acl.power_iteration(a, b=b, k=3, v0=same).eigenvalue, found.eigenvalue, rtol=1e-8)


def test_only_the_lower_triangles_are_read():
    a, b = _batch(2, 8), _definite(1, 8)[0]
    hidden = [m.copy() for m in (a, b)]
    for m in hidden:
        m[..., *np.triu_indices(8, 1)] = np.nan
    found, again = acl.power_iteration(a, b=b, k=2), acl.power_iteration(hidden[0], b=hidden[1], k=2)
    for mine, other in zip(found, again, strict=True):
        if mine is not None:
            np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("alpha", [None, acl.NodeGaussian(0.5)], ids=str)
def test_layers(alpha, dtype):
    x, x_aug = two_views(200, 7, dtype)
    w = np.random.default_rng(0).standard_normal((5, 7)).astype(dtype)
    layer = acl.GatedCovariance(x, x_aug, w, alpha=alpha)
    dense = layer.to_dense()
    _assert_pairs(dense, acl.power_iteration(layer, k=3), 3, dtype)
    b = _definite(5, 7, dtype)
    found = acl.power_iteration(layer, b=b, k=2, gap=True)
    _assert_pairs(dense, found, 2, dtype, b)
    one = acl.power_iteration(layer, b=b[0])
    _assert_pairs(dense, acl.TopEigenpairs(*(None if f is None else f[:, None] for f in one)), 1, dtype, b[:1])


def test_matrices_that_are_not_finite_and_no_matrices():
    a = _batch(3, 5)
    a[1, 3, 2] = np.nan
    found = acl.power_iteration(a, k=2, gap=True)
    assert np.isnan(found.eigenvalue[1]).all()
    assert np.isnan(found.gap[1]).all()
    np.testing.assert_array_equal(found.converged, [[True, True], [False, False], [True, True]])
    np.testing.assert_allclose(found.eigenvalue[2], np.linalg.eigvalsh(a[2])[:-3:-1], rtol=1e-9)
    b = np.where(np.isnan(a), np.nan, np.eye(5))
    np.testing.assert_array_equal(acl.power_iteration(np.nan_to_num(a), b=b).converged, [True, False, True])
    assert acl.power_iteration(a[:0], k=2).eigenvector.shape == (0, 2, 5)
    assert acl.power_iteration(a[:0], b=np.eye(5), k=2).eigenvalue.shape == (0, 2)


def test_too_few_products_are_a_result():
    found = acl.power_iteration(_batch(2, 80), k=3, max_iter=4)
    assert not found.converged.any()
    assert (found.n_iter <= 4).all()


DIGEST = """
import hashlib, numpy as np, alphacl_fast as acl
from test_deflation import _batch, _definite
h = hashlib.sha256()
found = acl.power_iteration(_batch(20, 33), k=3, gap=True)
for values in found + acl.power_iteration(_batch(4, 33), b=_definite(4, 33)):
    h.update(b"" if values is None else values.tobytes())
print(h.hexdigest())
"""


def test_the_number_of_threads_changes_no_bit():
    assert len({run_python(DIGEST, OMP_NUM_THREADS=str(threads)).stdout for threads in (1, 2, 3)}) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_in_torch_out(dtype):
    a, b = _batch(3, 10, dtype), _definite(1, 10, dtype)[0]
    for options in ({"k": 2, "gap": True}, {"b": b}):
        given = {key: torch().from_numpy(v) if key == "b" else v for key, v in options.items()}
        found = acl.power_iteration(torch().from_numpy(a), **given)
        for mine, expected in zip(found, acl.power_iteration(a, **options), strict=True):
            if expected is not None:
                assert isinstance(mine, torch().Tensor)
                np.testing.assert_array_equal(mine.numpy(), expected)
    with pytest.raises(RuntimeError, match="b: requires grad"):
        acl.power_iteration(torch().from_numpy(a), b=torch().from_numpy(b).requires_grad_())
    with pytest.raises(TypeError, match="b: expected a torch tensor like a"):
        acl.power_iteration(torch().from_numpy(a), b=b)


A = np.eye(3)
ERRORS = [
    (TypeError, "k: expected an integer, got float", lambda: acl.power_iteration(A, k=2.0)),
    (ValueError, "k: expected an integer of at least 1, got 0", lambda: acl.power_iteration(A, k=0)),
    (ValueError, r"k: expected at most 3 pairs .*, got 4", lambda: acl.power_iteration(A, k=4)),
    (ValueError, r"b: expected shape \(3, 3\) for .*, got \(2, 2\)", lambda: acl.power_iteration(A, b=A[:2, :2])),
    (ValueError, r"b: expected shape \(3, 3\) or \(1, 3, 3\) for", lambda: acl.power_iteration(A[None], b=A[:2])),
    (TypeError, "b: expected float64 like a, got float32", lambda: acl.power_iteration(A, b=A.astype("f4"))),
    (ValueError, "b: expected symmetric positive definite", lambda: acl.power_iteration(A, b=-A)),
    (ValueError, r"v0: expected shape \(2, 3\) .*, got \(3, 3\)", lambda: acl.power_iteration(A, k=2, v0=A)),
    (ValueError, "v0: expected an array with 2 axes", lambda: acl.power_iteration(A, k=2, v0=A[0])),
    (ValueError, "v0: .* got a zero vector", lambda: acl.power_iteration(A, k=2, v0=0 * A[:2])),
]


@pytest.mark.parametrize("kind, text, call", ERRORS, ids=[text for _, text, _ in ERRORS])
def test_errors(kind, text, call):
    with pytest.raises(kind, match=text):
        call()
