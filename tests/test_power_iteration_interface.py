"""power_iteration: kinds of arrays, starts, seeds, threads, errors, and the form over an operator."""

import numpy as np
import pytest
from support import DTYPES, run_python, torch
from test_power_iteration import METHODS, assert_top, planted

import alphacl_fast as acl
from alphacl_fast import _cpu


def batch(count, d, dtype, gap=0.1):
    return np.stack([planted(d, gap, dtype, seed) for seed in range(count)])


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [7, 33, 97])
def test_a_batch_is_its_matrices(d, dtype):
    a = batch(5, d, dtype)
    found = acl.power_iteration(a, gap=True)
    assert found.eigenvector.shape == (5, d)
    for b in range(5):
        assert_top(a[b], type(found)(*(values[b] for values in found)))
    assert_same((v[:1] for v in found), (np.asarray(v)[None] for v in acl.power_iteration(a[0], gap=True)))


def test_a_single_matrix_drops_the_leading_axis():
    found = acl.power_iteration(planted(9, 0.1, np.float32))
    assert found.eigenvector.shape == (9,)
    assert found.gap is None
    for value in (found.eigenvalue, found.residual, found.n_iter, found.converged):
        assert np.shape(value) == ()


def test_no_matrices_give_no_eigenpairs():
    found = acl.power_iteration(np.empty((0, 4, 4)), gap=True, v0=np.empty((0, 4)))
    assert [v.shape for v in found] == [(0,), (0, 4), (0,), (0,), (0,), (0,)]


@pytest.mark.parametrize("d", [33, 97])
def test_strides(d):
    a = batch(4, d, np.float64)
    expected = acl.power_iteration(a)
    outer = np.full((8, d + 3, d + 5), np.nan)
    outer[::2, 1:-2, 2:-3] = a
    for view in (outer[::2, 1:-2, 2:-3], np.asfortranarray(a), a[::-1].copy()[::-1], a.transpose(0, 2, 1)):
        assert_same(acl.power_iteration(view), expected)
    shared = acl.power_iteration(np.broadcast_to(a[0], a.shape), v0=np.ones((4, d)))
    assert len(set(shared.eigenvalue)) == 1


@pytest.mark.parametrize("d", [9, 100])
def test_only_the_lower_triangle_is_read(d):
    a = planted(d, 0.1, np.float64)
    hidden = a.copy()
    hidden[np.triu_indices(d, 1)] = np.nan
    assert_same(acl.power_iteration(hidden), acl.power_iteration(a))


@pytest.mark.parametrize("method", METHODS)
def test_a_good_start_saves_products(method):
    a = planted(97, 0.05, np.float64)
    found = acl.power_iteration(a, method=method)
    again = acl.power_iteration(a, method=method, v0=found.eigenvector)
    assert again.n_iter <= 3 < found.n_iter
    assert_top(a, again)
    assert_top(a, acl.power_iteration(a, method=method, v0=1e-200 * np.ones(97)))


@pytest.mark.parametrize("method", METHODS)
def test_a_start_without_the_top_finds_the_largest_that_it_has(method):
    a = np.diag([1.0, 2, 3, 4])
    found = acl.power_iteration(a, method=method, v0=np.array([1.0, 1, 1, 0]), gap=True)
    assert found.eigenvalue == pytest.approx(3)
    assert found.gap == pytest.approx(-1)


def test_seeds():
    a = np.zeros((3, 20, 20))
    a[...] = np.eye(20)
    one, same, other = (acl.power_iteration(a, seed=seed).eigenvector for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one[0], one[1])


DIGEST = """
import hashlib, numpy as np, alphacl_fast as acl
h = hashlib.sha256()
rng = np.random.default_rng(5)
for count, d in ((200, 5), (40, 33), (6, 130)):
    a = rng.standard_normal((count, d, d))
    for dtype in (np.float32, np.float64):
        for method in ("lanczos", "power"):
            for values in acl.power_iteration(a.astype(dtype), method=method, gap=True):
                h.update(values.tobytes())
print(h.hexdigest())
"""


def test_the_number_of_threads_changes_no_bit():
    assert len({run_python(DIGEST, OMP_NUM_THREADS=str(threads)).stdout for threads in (1, 2, 3, 8)}) == 1


COMPARE = """
import numpy as np
from test_power_iteration import DTYPES, assert_top, planted
import alphacl_fast as acl
for dtype in DTYPES:
    for d in (1, 2, 15, 33, 64, 65, 129):
        for method in ("lanczos", "power"):
            a = planted(d, 0.2, dtype)
            assert_top(a, acl.power_iteration(a, method=method))
    assert_top(a, acl.power_iteration(a, tol=1e-6), tol=1e-6)
print("all good")
"""


@pytest.mark.parametrize("isa", _cpu.supported_isas())
def test_every_instruction_set(isa):
    assert "all good" in run_python(COMPARE, ALPHACL_FAST_ISA=isa).stdout


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_in_torch_out(dtype):
    a = batch(3, 20, dtype)
    t = torch().from_numpy(a)
    for given, expected in ((t, a), (t[1], a[1])):
        found = acl.power_iteration(given, gap=True)
        assert all(isinstance(v, torch().Tensor) for v in found)
        assert found.eigenvector.dtype == t.dtype
        assert found.converged.dtype == torch().bool
        assert_same(found, acl.power_iteration(expected, gap=True))
    assert acl.power_iteration(t, v0=torch().ones(3, 20, dtype=t.dtype)).gap is None
    with pytest.raises(RuntimeError, match="a: requires grad"):
        acl.power_iteration(t.clone().requires_grad_())
    with pytest.raises(TypeError, match="v0: expected a torch tensor like a"):
        acl.power_iteration(t, v0=np.ones((3, 20), dtype))


A = np.eye(3)
ERRORS = [
    (TypeError, "a: expected a numpy array or a torch tensor, got list", lambda: acl.power_iteration([[1.0]])),
    (TypeError, "a: expected float32 or float64, got complex128", lambda: acl.power_iteration(A + 0j)),
    (TypeError, "a: expected float32 or float64, got object", lambda: acl.power_iteration(A.astype(object))),
    (ValueError, r"a: expected an array with 2 or 3 axes, got shape \(3,\)", lambda: acl.power_iteration(A[0])),
    (ValueError, r"a: expected square matrices, .*, got shape \(2, 3\)", lambda: acl.power_iteration(A[:2])),
    (ValueError, r"a: expected square matrices, .*, got shape \(0, 0\)", lambda: acl.power_iteration(A[:0, :0])),
    (ValueError, "tol: expected a positive finite number, got 0.0", lambda: acl.power_iteration(A, tol=0)),
    (TypeError, "tol: expected a positive number, got str", lambda: acl.power_iteration(A, tol="small")),
    (ValueError, "max_iter: expected an integer of at least 1, got 0", lambda: acl.power_iteration(A, max_iter=0)),
    (TypeError, "max_iter: expected an integer, got float", lambda: acl.power_iteration(A, max_iter=1e3)),
    (TypeError, "seed: expected an integer, got bool", lambda: acl.power_iteration(A, seed=True)),
    (ValueError, "seed: expected an integer of at least 0, got -1", lambda: acl.power_iteration(A, seed=-1)),
    (ValueError, "method: expected lanczos or power, got 'qr'", lambda: acl.power_iteration(A, method="qr")),
    (ValueError, r"v0: expected shape \(3,\) .*, got \(2,\)", lambda: acl.power_iteration(A, v0=A[0, :2])),
    (ValueError, r"v0: expected an array with 1 axes", lambda: acl.power_iteration(A, v0=A)),
    (TypeError, "v0: expected float64 like a, got float32", lambda: acl.power_iteration(A, v0=A[0].astype("f4"))),
    (ValueError, "v0: expected finite numbers", lambda: acl.power_iteration(A, v0=np.array([1, np.nan, 0]))),
    (ValueError, "v0: .* got a zero vector", lambda: acl.power_iteration(A[None], v0=np.zeros((1, 3)))),
]


@pytest.mark.parametrize("kind, text, call", ERRORS, ids=[text for _, text, _ in ERRORS])
def test_errors(kind, text, call):
    with pytest.raises(kind, match=text):
        call()


def of_product(a, *, method="lanczos", gap=False, max_iter=1000, tol=None, v0=None):
    """The form over an operator, which is only told products."""
    count, d = a.shape[:2]
    calls = []

    def product(v, active):
        calls.append(len(active))
        return np.einsum("kij,kj->ki", a[active], v)

    values, residuals, gaps = np.empty((3, count), a.dtype)
    vectors, steps, done = np.empty((count, d), a.dtype), np.empty(count, np.int64), np.empty(count, np.bool_)
    name = "power_iteration_of_product" + ("_f32" if a.dtype == np.float32 else "_f64")
    tol = tol or (1e-5 if a.dtype == np.float32 else 1e-10)
    getattr(_cpu, name)(
        product, count, d, v0, tol, max_iter, method == "lanczos", 0, values, vectors, gaps if gap else None, residuals,
        steps, done,
    )  # fmt: skip
    return acl.TopEigenpairs(values, vectors, gaps if gap else None, residuals, steps, done), calls


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [1, 2, 33, 97])
def test_operator_form(d, dtype, method):
    a = np.stack([planted(d, gap, dtype, seed) for seed, gap in enumerate((0.5, 0.1, 0.02))]) * dtype(1e-15)
    found, calls = of_product(a, method=method, gap=True, max_iter=5000)
    expected = acl.power_iteration(a, method=method, gap=True, max_iter=5000)
    assert found.converged.all()
    norm = np.linalg.norm(a[0], 2)
    tol = 1e-5 if dtype == np.float32 else 1e-10
    for b in range(3):
        v = found.eigenvector[b].astype(np.float64)
        assert np.linalg.norm(a[b] @ v - found.eigenvalue[b].astype(np.float64) * v) <= 1.05 * tol * norm
    np.testing.assert_allclose(found.eigenvalue, expected.eigenvalue, rtol=1e-6)
    np.testing.assert_allclose(found.gap, expected.gap, rtol=1e-4 if dtype == np.float32 else 1e-8)
    assert sum(calls) == found.n_iter.sum()
    assert len(calls) <= 2 * found.n_iter.max()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("share", [0.05, 0.79, 0.81, 0.95])
def test_a_start_that_is_good_enough_is_taken(share, dtype):
    """A residual of `share` times what is allowed: one product to see it and one to judge it."""
    d, tol = 60, 1e-5 if dtype == np.float32 else 1e-10
    rng = np.random.default_rng(7)
    q = np.linalg.qr(rng.standard_normal((d, d)))[0]
    values = np.concatenate([[2.0], rng.uniform(0, 1, d - 1)])
    a = ((q * values) @ q.T).astype(dtype)
    values, q = np.linalg.eigh(a.astype(np.float64))
    # A v − λv of v = top + e · another is (other − top) e beside ‖A‖ = top.
    v0 = q[:, -1] + share * tol * values[-1] / (values[-1] - values[0]) * q[:, 0]
    found, _ = of_product(a[None], v0=v0[None].astype(dtype))
    assert found.converged.all()
    assert (found.n_iter <= 3).all()


def test_operator_form_reports_what_is_not_finite():
    a = batch(3, 20, np.float64)
    a[1, 4, 4] = np.nan
    found, _ = of_product(a, gap=True)
    np.testing.assert_array_equal(found.converged, [True, False, True])
    assert np.isnan(found.eigenvalue[1])
    assert np.isnan(found.gap[1])


def test_an_error_of_the_operator_arrives():
    def product(v, active):
        raise KeyError("mine")

    empty = np.empty(1)
    with pytest.raises(KeyError, match="mine"):
        _cpu.power_iteration_of_product_f64(
            product, 1, 3, None, 1e-9, 9, True, 0, empty, np.empty((1, 3)), None, empty, np.empty(1, np.int64),
            np.empty(1, np.bool_),
        )  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_first_of_equal_entries_is_positive(dtype):
    """(1, −1)/√2: which entry was larger before the last rounding must not decide the sign."""
    a = np.array([[2, -5], [-5, 2]], dtype)
    for seed in range(40):
        for method in ("lanczos", "power"):
            v = acl.power_iteration(a, method=method, seed=seed).eigenvector
            assert v[np.argmax(np.abs(v))] > 0
