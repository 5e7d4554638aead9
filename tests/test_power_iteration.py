"""power_iteration against LAPACK: planted gaps, hostile spectra, both methods, both dtypes."""

import numpy as np
import pytest
from support import DTYPES

import alphacl_fast as acl

TOL = {np.float32: 1e-5, np.float64: 1e-10}
METHODS = ("lanczos", "power")


def with_spectrum(eigenvalues, dtype, seed=0):
    """A symmetric matrix with these eigenvalues and random eigenvectors."""
    d = len(eigenvalues)
    q, _ = np.linalg.qr(np.random.default_rng([seed, d]).standard_normal((d, d)))
    a = (q * np.asarray(eigenvalues, np.float64)) @ q.T
    return (0.5 * (a + a.T)).astype(dtype)


def planted(d, gap, dtype, seed=0):
    """Eigenvalues uniform in [−1, 1 − gap] with both ends taken, and 1."""
    rng = np.random.default_rng([seed, d])
    eigenvalues = rng.uniform(-1, 1 - gap, d)
    eigenvalues[-2:] = (1 - gap, 1) if d > 1 else 1
    return with_spectrum(eigenvalues, dtype, seed)


def assert_top(a, found, tol=None, converged=True):
    """λ, v and the residual of one matrix, checked in float64."""
    dtype = a.dtype.type
    tol = TOL[dtype] if tol is None else tol
    exact = a.astype(np.float64)
    eigenvalues = np.linalg.eigvalsh(exact)
    norm = np.abs(eigenvalues).max()
    v, value = found.eigenvector.astype(np.float64), float(found.eigenvalue)
    residual = np.linalg.norm(exact @ v - value * v)
    rounding = 100 * np.finfo(np.float64).eps * norm
    assert found.eigenvalue.dtype == found.eigenvector.dtype == found.residual.dtype == dtype
    assert abs(residual - found.residual) <= 1e-6 * residual + rounding
    assert found.eigenvector[np.argmax(np.abs(v))] > 0
    assert np.linalg.norm(v) == pytest.approx(1, abs=4 * float(np.finfo(dtype).eps))
    assert bool(found.converged) == converged
    if converged:
        assert residual <= tol * norm * (1 + 1e-9)
        assert abs(value - eigenvalues[-1]) <= tol * norm


def products_that_suffice(a, tol):
    """Of Lanczos in float64, from another start: until the residual of the top Ritz pair is at most tol · ‖A‖."""
    a = a.astype(np.float64)
    allowed = tol * np.abs(np.linalg.eigvalsh(a)).max()
    d = len(a)
    basis = np.zeros((d, d + 1))
    start = np.random.default_rng(d).standard_normal(d)
    basis[:, 0] = start / np.linalg.norm(start)
    t = np.zeros((d + 1, d + 1))
    for k in range(d):
        w = a @ basis[:, k]
        t[k, k] = basis[:, k] @ w
        for _ in range(2):
            w -= basis[:, : k + 1] @ (basis[:, : k + 1].T @ w)
        t[k, k + 1] = t[k + 1, k] = beta = np.linalg.norm(w)
        _, s = np.linalg.eigh(t[: k + 1, : k + 1])
        if beta * abs(s[-1, -1]) <= allowed:
            break
        basis[:, k + 1] = w / beta
    return k + 2  # one judges the answer


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [1, 2, 3, 15, 16, 17, 31, 33, 64, 65, 128, 257, 512])
def test_lanczos_against_lapack(d, dtype):
    for gap in (0.5, 0.1, 1e-2, 1e-3) if d < 512 else (0.1,):
        a = planted(d, gap, dtype)
        found = acl.power_iteration(a, gap=True)
        assert_top(a, found)
        if d > 1:
            eigenvalues = np.linalg.eigvalsh(a.astype(np.float64))
            assert found.gap == pytest.approx(eigenvalues[-1] - eigenvalues[-2], abs=0.01 * TOL[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d, gap", [(1, 0.5), (2, 0.1), (3, 0.5), (31, 0.1), (33, 0.5), (128, 0.1), (257, 1e-2)])
def test_power_against_lapack(d, gap, dtype):
    a = planted(d, gap, dtype)
    assert_top(a, acl.power_iteration(a, method="power", max_iter=20_000))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
def test_a_gap_of_a_thousandth_at_512(method, dtype):
    a = planted(512, 1e-3, dtype)
    assert_top(a, acl.power_iteration(a, method=method, max_iter=1000 if method == "lanczos" else 40_000))


@pytest.mark.parametrize("dtype, tol", [(np.float32, 1e-5), (np.float32, 1e-7), (np.float64, 1e-13)])
@pytest.mark.parametrize("width", [1e-2, 1e-4])
@pytest.mark.parametrize("lowest", [1, -1])
def test_eigenvalues_close_together(lowest, width, dtype, tol):
    """Of more than 150 such factors the characteristic polynomial leaves the range of a double."""
    eigenvalues = 1 + width * (np.random.default_rng(3).uniform(-1, 1 - 1e-3, 300))
    eigenvalues[0], eigenvalues[-1] = lowest / width if lowest < 0 else 1, 1 + width
    a = with_spectrum(eigenvalues, dtype)
    found = acl.power_iteration(a, tol=tol, max_iter=1000)
    assert_top(a, found, tol)
    assert found.n_iter <= products_that_suffice(a, tol) + 8


@pytest.mark.parametrize("tol", [1e-8, 1e-10, 1e-13])
@pytest.mark.parametrize("d, gap", [(12, 0.5), (64, 0.1), (64, 0.5), (128, 0.1), (128, 1e-2), (256, 0.1)])
def test_lanczos_stops_when_it_may(d, gap, tol):
    matrices = np.stack([planted(d, gap, np.float64, seed) for seed in range(4)])
    found = acl.power_iteration(matrices, tol=tol)
    assert found.converged.all()
    for a, n_iter in zip(matrices, found.n_iter, strict=True):
        assert n_iter <= products_that_suffice(a, tol) + 8


def test_a_random_start_with_next_to_nothing_of_the_top():
    """Of 20 000 starts in six dimensions one is nearly orthogonal to the top; then the second looks converged."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((20_000, 6, 6)))[0]
    eigenvalues = -np.array([1.67, 1.87, 3.47, 9.1, 11.7, 17.6])
    found = acl.power_iteration(((axes * eigenvalues) @ axes.transpose(0, 2, 1)).astype(np.float32))
    np.testing.assert_allclose(found.eigenvalue, -1.67, rtol=1e-4)


def test_the_second_of_close_eigenvalues_is_rarely_missed():
    spectrum = np.concatenate([[-5.005, -5.011, -5.0174], -np.linspace(5.036, 9.2, 29)])
    q = np.linalg.qr(np.random.default_rng(1).standard_normal((5000, 32, 32)))[0]
    a = (q * spectrum) @ q.transpose(0, 2, 1)
    found = acl.power_iteration((0.5 * (a + a.transpose(0, 2, 1))).astype(np.float32), gap=True, tol=1.2e-5)
    assert found.converged.all()
    # 58 tol ‖A‖ lie between the second and the third. With the tolerance of the first, 14 were missed.
    assert (np.abs(found.gap - 0.006) > 1e-3).sum() <= 4


@pytest.mark.parametrize("d", [2, 3, 5, 12])
def test_a_full_space_is_enough(d):
    rng = np.random.default_rng(d)
    matrices = rng.standard_normal((500, d, d))
    found = acl.power_iteration(matrices + matrices.transpose(0, 2, 1), tol=1e-13, max_iter=d + 1)
    assert found.converged.all()


def test_lanczos_needs_far_fewer_products():
    a = planted(257, 1e-2, np.float64)
    lanczos, power = (acl.power_iteration(a, method=m, max_iter=20_000).n_iter for m in METHODS)
    assert 5 * lanczos < power


def test_it_starts_again_when_the_basis_is_full():
    a = with_spectrum(np.cos(np.pi * np.arange(400, 0, -1) / 400), np.float64)
    found = acl.power_iteration(a, max_iter=10_000)
    assert found.n_iter > 513
    assert_top(a, found)


SPECTRA = {
    "larger negative": [-3.0, -1, 0, 0.5, 1],
    "as large negative": [-1.0, -0.5, 0.2, 0.3, 1],
    "nearly as large negative": [-0.999, 0.1, 0.2, 0.3, 1],
    "all negative": [-5.0, -4, -3, -2, -1],
    "far from zero": [100.0, 100.1, 100.5, 101, 103],
    "double top": [-1.0, 0, 0.5, 1, 1],
    "triple top": [-1.0, 0, 1, 1, 1],
    "multiple of one": [2.0] * 5,
    "negative multiple of one": [-2.0] * 5,
    "clustered": [0.0, 0.9, 0.9001, 0.9002, 1.0],
    "rank one": [0.0, 0, 0, 0, 2],
    "negative rank one": [-2.0, 0, 0, 0, 0],
    "zero": [0.0] * 5,
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("copies", [1, 14])
def test_hostile_spectra(name, method, dtype, copies):
    few = SPECTRA[name]
    eigenvalues = np.concatenate([np.repeat(few[:-2], copies), few[-2:]])
    for a in (with_spectrum(eigenvalues, dtype), np.diag(eigenvalues).astype(dtype)):
        # A residual of 1e-5 does not tell eigenvalues apart that differ by 1e-4.
        tol = 1e-6 if name == "clustered" and dtype == np.float32 else None
        found = acl.power_iteration(a, method=method, gap=True, max_iter=5000, tol=tol)
        assert_top(a, found, tol)
        norm = np.abs(few).max()
        assert found.gap >= 0
        assert found.gap == pytest.approx(few[-1] - few[-2], abs=(1e-5 if dtype == np.float32 else 1e-10) * norm)


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_by_one_has_nothing_to_compete(dtype):
    found = acl.power_iteration(np.array([[[-3]], [[0]], [[5]]], dtype), gap=True)
    np.testing.assert_array_equal(found.eigenvalue, [-3, 0, 5])
    np.testing.assert_array_equal(found.eigenvector, np.ones((3, 1)))
    np.testing.assert_array_equal(found.residual, 0)
    np.testing.assert_array_equal(found.gap, np.inf)
    assert found.converged.all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype, exponents", [(np.float32, (-30, -38, 30, 36)), (np.float64, (-150, -300, 150, 300))])
@pytest.mark.parametrize("d", [5, 97])
def test_scale_changes_nothing(d, dtype, exponents, method):
    a = planted(d, 0.2, dtype)
    for exponent in exponents:
        unit = a.dtype.type(10.0**exponent)
        scaled = acl.power_iteration(a * unit, gap=True, method=method)
        assert scaled.converged
        assert float(scaled.eigenvalue) / float(unit) == pytest.approx(1, abs=1e-5)
        assert float(scaled.gap) / float(unit) == pytest.approx(0.2, abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_not_converged_is_a_result(method):
    a = planted(257, 1e-3, np.float64)
    for max_iter in (1, 2, 5, 20):
        found = acl.power_iteration(a, method=method, max_iter=max_iter)
        assert found.n_iter <= max_iter
        assert_top(a, found, converged=False)


def test_float32_below_what_its_products_give():
    a = planted(257, 0.05, np.float32)
    found = acl.power_iteration(a, tol=2e-7)
    assert_top(a, found, tol=2e-7)


def test_a_tolerance_out_of_reach_ends():
    a = planted(65, 0.05, np.float32)
    found = acl.power_iteration(a, tol=1e-12)
    assert found.n_iter < 300
    assert_top(a, found, converged=False)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_gives_nan(bad, method):
    a = np.stack([planted(33, 0.2, np.float32)] * 3)
    a[1, 20, 7] = bad
    found = acl.power_iteration(a, method=method, gap=True)
    np.testing.assert_array_equal(found.converged, [True, False, True])
    for values in (found.eigenvalue, found.eigenvector, found.gap, found.residual):
        assert np.isnan(values[1]).all()
        assert np.isfinite(values[::2]).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("small", [1e-75, 1e-150, 1e-200])
def test_a_start_that_sees_small_eigenvalues_only(small, method):
    """Nothing of the top can be found from there; what is found is an eigenpair, and squares do not underflow."""
    found = acl.power_iteration(np.diag([1.0, small]), v0=np.array([0.0, 1.0]), method=method)
    assert found.eigenvalue == small
    np.testing.assert_array_equal(found.eigenvector, [0, 1])
    assert found.converged

    top = acl.power_iteration(np.diag([1.0, small]), v0=np.array([1.0, 0.0]), method=method, gap=True)
    assert top.eigenvalue == 1
    assert top.gap == 1
    assert top.converged


@pytest.mark.parametrize("small", [1e-75, 1e-150])
def test_a_start_that_sees_two_small_eigenvalues_only(small):
    three = acl.power_iteration(np.diag([1.0, small, 2 * small]), v0=np.array([0.0, 1.0, 1.0]))
    np.testing.assert_allclose(three.eigenvector, [0, 0, 1], atol=1e-9)
    assert three.eigenvalue == pytest.approx(2 * small)
    assert three.converged
