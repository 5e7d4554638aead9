"""_cuda.power_iteration, on the GPU or emulated on the CPU: against LAPACK, and against _cpu, product by product."""

import numpy as np
import pytest
from support import DTYPES
from support import torch as import_torch
from test_power_iteration import METHODS, TOL, assert_top, planted, with_spectrum

import alphacl_fast as acl

_cuda = pytest.importorskip("alphacl_fast._cuda", reason="built without ALPHACL_CUDA")
torch = import_torch()
DEVICE = "cpu" if _cuda.build_info()["toolkit"] == "emulated" else "cuda"


def top(a, v0=None, *, tol=None, max_iter=1000, method="lanczos", seed=0, gap=True):
    """As acl.power_iteration of matrices (B, d, d), by the kernels."""
    a = np.asarray(a)
    count, d = a.shape[:2]
    dtype = torch.from_numpy(a[:0].copy()).dtype
    values, gaps, residuals = (torch.empty(count, dtype=dtype, device=DEVICE) for _ in range(3))
    vectors = torch.empty((count, d), dtype=dtype, device=DEVICE)
    steps = torch.empty(count, dtype=torch.int64, device=DEVICE)
    done = torch.empty(count, dtype=torch.bool, device=DEVICE)
    found = (values, vectors, gaps if gap else None, residuals, steps, done)
    start = None if v0 is None else torch.tensor(v0, device=DEVICE)
    tol = TOL[a.dtype.type] if tol is None else tol
    _cuda.power_iteration(torch.tensor(a, device=DEVICE), start, tol, max_iter, method == "lanczos", seed, *found)
    return acl.TopEigenpairs(*(None if f is None else f.cpu().numpy() for f in found))


def one(found, k):
    return acl.TopEigenpairs(*(None if f is None else f[k] for f in found))


def assert_same(found, other):
    for ours, theirs in zip(found, other, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [1, 2, 3, 31, 33, 64, 65, 96, 129, 257])
def test_torch_lanczos_against_lapack(d, dtype):
    matrices = np.stack([planted(d, 0.3, dtype, seed) for seed in range(2)])
    found = top(matrices)
    for k, a in enumerate(matrices):
        assert_top(a, one(found, k))
        eigenvalues = np.linalg.eigvalsh(a.astype(np.float64))
        if d > 1:
            assert found.gap[k] == pytest.approx(eigenvalues[-1] - eigenvalues[-2], abs=0.01 * TOL[dtype])
        else:
            assert found.gap[k] == np.inf


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [1, 2, 3, 33, 65])
def test_torch_power_against_lapack(d, dtype):
    a = planted(d, 0.5, dtype)
    assert_top(a, one(top(a[None], method="power", gap=False), 0))


@pytest.mark.parametrize("dtype, tol", [(np.float32, 1e-5), (np.float32, 1e-7), (np.float64, 1e-13)])
@pytest.mark.parametrize("lowest", [1, -1])
def test_torch_eigenvalues_close_together(lowest, dtype, tol):
    """More than one basis of them, and a polynomial that leaves the range of a double."""
    eigenvalues = 1 + 1e-3 * np.random.default_rng(3).uniform(-1, 1 - 1e-3, 300)
    eigenvalues[0], eigenvalues[-1] = -1e3 if lowest < 0 else 1, 1 + 1e-3
    a = with_spectrum(eigenvalues, dtype)
    assert_top(a, one(top(a[None], tol=tol, gap=False), 0), tol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("d, seed", [(2, 0), (17, 1), (40, 2), (128, 3)])
def test_torch_as_many_products_as_on_the_cpu(d, seed, method, dtype):
    rng = np.random.default_rng([seed, d])
    a = rng.standard_normal((3, d, d))
    a = (a @ a.transpose(0, 2, 1) / d).astype(dtype)
    a[1] = planted(d, 0.2, dtype, seed)
    ours = top(a, method=method, max_iter=300, seed=seed)
    theirs = acl.power_iteration(a, method=method, max_iter=300, gap=True, seed=seed)
    np.testing.assert_allclose(ours.n_iter, theirs.n_iter, rtol=0.1, atol=3)
    np.testing.assert_array_equal(ours.converged, theirs.converged)
    allowed, done = TOL[dtype] * np.abs(np.linalg.eigvalsh(a.astype(np.float64))).max(), ours.converged
    np.testing.assert_allclose(ours.eigenvalue[done], theirs.eigenvalue[done], atol=allowed)
    np.testing.assert_allclose(ours.gap[done], theirs.gap[done], atol=2 * allowed)


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_a_basis_that_is_full_starts_again(dtype):
    """After 256 steps: eigenvalues as dense at the top as those of a path, which Lanczos cannot tell apart sooner."""
    eigenvalues = np.cos(np.linspace(np.pi, 0, 400))
    eigenvalues[-1] += 1e-4
    a = with_spectrum(eigenvalues, dtype)
    ours = top(a[None], tol=1e-7, gap=False)
    theirs = acl.power_iteration(a, tol=1e-7)
    assert theirs.n_iter > 257
    assert abs(ours.n_iter[0] - theirs.n_iter) <= 0.1 * theirs.n_iter
    assert_top(a, one(ours, 0), 1e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
def test_torch_starts(method, dtype):
    d = 50
    a = np.stack([planted(d, 0.3, dtype, seed) for seed in range(3)])
    cold = top(a, method=method, gap=False)
    warm = top(a, cold.eigenvector, method=method, gap=False)
    assert warm.converged.all()
    assert (warm.n_iter < cold.n_iter).all()
    huge = top(a, cold.eigenvector * dtype(2.0 ** (100 if dtype == np.float32 else 1000)), method=method, gap=False)
    assert_same(warm, huge)


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_seeds_and_places(dtype):
    """Start vectors depend on the seed and on the place in the batch, the rest on the matrix alone."""
    a = planted(33, 0.2, dtype)
    found = top(np.stack([a, a, a]))
    assert_same(one(found, 0), one(top(np.stack([a, -a, 2 * a])), 0))
    assert_same(one(found, 0), one(top(a[None]), 0))
    assert not np.array_equal(found.residual[0], found.residual[1])
    assert not np.array_equal(found.residual[0], top(a[None], seed=1).residual[0])


@pytest.mark.parametrize("method", METHODS)
def test_torch_the_same_bits_again(method):
    a = np.stack([planted(65, 0.3, np.float32, seed) for seed in range(4)])
    assert_same(top(a, method=method), top(a, method=method))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("share", [-0.95, -0.3, 0.3, 0.95])
def test_torch_powers_of_two_change_nothing(share, method, dtype):
    exponent = int(share * np.finfo(dtype).maxexp)
    a = planted(34, 0.3, dtype)
    small, large = top(a[None], method=method), top(np.ldexp(a, exponent)[None], method=method)
    rounding = 16 * np.finfo(dtype).eps  # what comes close to the least number loses digits
    for name in ("eigenvalue", "gap"):
        np.testing.assert_allclose(np.ldexp(getattr(large, name), -exponent), getattr(small, name), rtol=100 * rounding)
    np.testing.assert_allclose(large.eigenvector, small.eigenvector, atol=rounding)
    np.testing.assert_array_equal(large.n_iter, small.n_iter)
    assert large.converged.all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
def test_torch_not_finite(method, dtype):
    a = np.stack([planted(33, 0.3, dtype) for _ in range(4)])
    a[0, 7, 3], a[1, 32, 32], a[2, 20, 0] = np.nan, np.inf, -np.inf
    found = top(a, method=method)
    for k in range(3):
        assert np.isnan([found.eigenvalue[k], found.gap[k], found.residual[k]]).all()
        assert np.isnan(found.eigenvector[k]).all()
    np.testing.assert_array_equal(found.n_iter[:3], 0)
    np.testing.assert_array_equal(found.converged, [False, False, False, True])
    assert_top(a[3], one(found, 3))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("max_iter", [1, 2, 3, 7])
def test_torch_max_iter_is_a_result(max_iter, method, dtype):
    a = planted(65, 1e-3, dtype)
    ours = top(a[None], method=method, max_iter=max_iter, gap=False)
    theirs = acl.power_iteration(a, method=method, max_iter=max_iter)
    assert ours.n_iter[0] == theirs.n_iter == max_iter
    assert_top(a, one(ours, 0), converged=False)


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_spectra_at_the_edge(dtype):
    """Zeros, the unit matrix, a double top eigenvalue, all negative ones, an even pair of signs."""
    rows = [np.zeros(20), np.ones(20), [*np.linspace(-1, 0, 18), 1, 1], np.linspace(-3, -1, 20), [-1] * 10 + [1] * 10]
    a = np.stack([with_spectrum(row, dtype) for row in rows])
    found = top(a)
    assert found.converged.all()
    np.testing.assert_allclose(found.eigenvalue, [0, 1, 1, -1, 1], atol=3 * TOL[dtype])
    np.testing.assert_allclose(found.gap, [0, 0, 0, 2 / 19, 0], atol=3 * TOL[dtype])


def test_torch_only_the_lower_triangle_is_read_with_any_strides():
    a = np.stack([planted(33, 0.3, np.float64, seed) for seed in range(3)])
    outer = torch.full((3, 40, 50), float("nan"), dtype=torch.float64, device=DEVICE)
    lower = np.where(np.tri(33, dtype=bool), a, np.nan)
    outer[:, 2:35, 5:38] = torch.tensor(lower, device=DEVICE)
    found = [torch.empty(3, dtype=torch.float64, device=DEVICE) for _ in range(2)]
    vectors = torch.empty((3, 33), dtype=torch.float64, device=DEVICE)
    steps, done = (torch.empty(3, dtype=t, device=DEVICE) for t in (torch.int64, torch.bool))
    inner = outer[:, 2:35, 5:38]
    _cuda.power_iteration(inner, None, 1e-10, 100, True, 0, found[0], vectors, None, found[1], steps, done)
    whole = top(a, max_iter=100, gap=False)
    np.testing.assert_array_equal(found[0].cpu().numpy(), whole.eigenvalue)
    np.testing.assert_array_equal(vectors.cpu().numpy(), whole.eigenvector)
    shared = top(np.broadcast_to(a[0], (2, 33, 33)), max_iter=100)
    assert shared.eigenvalue[0] == whole.eigenvalue[0]


def test_torch_no_matrices():
    assert top(np.empty((0, 5, 5), np.float32)).eigenvalue.shape == (0,)


@pytest.mark.parametrize(
    "change, text",
    [
        ({"a": torch.zeros(3, 4)}, r"a: expected shape \(B, d, d\), got shape \(3, 4\)"),
        ({"a": torch.zeros(2, 0, 0)}, r"a: expected shape \(B, d, d\), got shape \(2, 0, 0\)"),
        ({"a": torch.zeros(2, 3, 3).mT.expand(2, 3, 3)}, r"a: expected rows of adjacent entries, got strides"),
        ({"a": torch.zeros(2, 3, 3, dtype=torch.float16)}, "a: expected float32 or float64, got float16"),
        ({"v0": torch.zeros(2, 4)}, r"v0: expected shape \(2, 3\), got \(2, 4\)"),
        ({"gap": torch.zeros(3)}, r"gap: expected shape \(2,\), got \(3,\)"),
        ({"eigenvector": torch.zeros(3, 2).mT}, "eigenvector: expected a contiguous tensor"),
        ({"n_iter": torch.zeros(2)}, "n_iter: expected int64, got float32"),
        ({"tol": 0.0}, "tol: expected a positive finite number"),
        ({"max_iter": 0}, "max_iter: expected at least 1, got 0"),
    ],
)
def test_torch_arguments_are_checked(change, text):
    arguments = {
        "a": torch.zeros(2, 3, 3),
        "v0": None,
        "tol": 1e-5,
        "max_iter": 10,
        "lanczos": True,
        "seed": 0,
        "eigenvalue": torch.zeros(2),
        "eigenvector": torch.zeros(2, 3),
        "gap": None,
        "residual": torch.zeros(2),
        "n_iter": torch.zeros(2, dtype=torch.int64),
        "converged": torch.zeros(2, dtype=torch.bool),
    } | change
    on_device = {k: v.to(DEVICE) if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
    with pytest.raises(ValueError, match=text):
        _cuda.power_iteration(**on_device)
