"""theory.spectrum: closed forms of effective rank, participation ratio and decay exponent."""

import numpy as np
import pytest
from support import DTYPES, torch

import alphacl_fast as acl
from alphacl_fast import theory


def _with_eigenvalues(values, dtype=np.float64, seed=0):
    q = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(values),) * 2))[0]
    return ((q * values) @ q.T).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rank", [1, 3, 10])
def test_equal_eigenvalues_count_themselves(rank, dtype):
    found = theory.spectrum(_with_eigenvalues(np.repeat([2.0, 0.0], [rank, 10 - rank]), dtype))
    rtol = 1e-4 if dtype == np.float32 else 1e-9
    assert found.effective_rank == pytest.approx(rank, rel=rtol)
    assert found.participation_ratio == pytest.approx(rank, rel=rtol)
    assert found.effective_rank.dtype == found.eigenvalues.dtype == dtype


def test_closed_forms():
    values = np.array([4.0, 2.0, 1.0, 1.0])
    found = theory.spectrum(_with_eigenvalues(values))
    np.testing.assert_allclose(found.eigenvalues, values, rtol=1e-12)
    assert found.effective_rank == pytest.approx(2**1.75)  # entropy 1/2·1 + 1/4·2 + 2·1/8·3 bits
    assert found.participation_ratio == pytest.approx(64 / 22)


@pytest.mark.parametrize("exponent", [0.0, 0.7, 2.0])
def test_a_power_law_is_found_again(exponent):
    values = 3 * np.arange(1, 41.0) ** -exponent
    assert theory.spectrum(_with_eigenvalues(values)).decay_exponent == pytest.approx(exponent, abs=1e-9)
    # What is zero or negative does not enter the fit.
    more = np.concatenate([values, [0, 0, -0.5]])
    assert theory.spectrum(_with_eigenvalues(more)).decay_exponent == pytest.approx(exponent, abs=1e-9)


def test_negative_eigenvalues_count_by_magnitude():
    found = theory.spectrum(np.diag([1.0, -1.0]))
    assert found.effective_rank == pytest.approx(2)
    assert found.participation_ratio == pytest.approx(2)
    assert np.isnan(found.decay_exponent)


def test_extremes():
    zero = theory.spectrum(np.zeros((3, 3)))
    assert zero.effective_rank == zero.participation_ratio == 0
    assert np.isnan(zero.decay_exponent)
    assert theory.spectrum(np.diag([1e300, 1e300])).participation_ratio == pytest.approx(2)
    bad = theory.spectrum(np.array([np.eye(2), [[1, 0], [np.nan, 1]]]))
    assert np.isnan(bad.effective_rank[1])
    assert np.isnan(bad.participation_ratio[1])
    assert bad.effective_rank[0] == pytest.approx(2)


def test_many_matrices_and_the_lower_triangle():
    matrices = np.stack([_with_eigenvalues(np.arange(1, 6.0), seed=s) * (s + 1) for s in range(3)])
    hidden = matrices.copy()
    hidden[:, *np.triu_indices(5, 1)] = 7
    found = theory.spectrum(hidden)
    assert found.eigenvalues.shape == (3, 5)
    for s in range(3):
        for mine, alone in zip(found, theory.spectrum(matrices[s]), strict=True):
            np.testing.assert_allclose(mine[s], alone, rtol=1e-12)


def test_torch_in_torch_out():
    c = torch().from_numpy(_with_eigenvalues(np.arange(1, 6.0)))
    for given in (c, c[None]):
        for found, expected in zip(theory.spectrum(given), theory.spectrum(given.numpy()), strict=True):
            assert isinstance(found, torch().Tensor)
            np.testing.assert_array_equal(found.numpy(), expected)
    with pytest.raises(RuntimeError, match="c: requires grad, but spectrum has no derivative"):
        theory.spectrum(c.requires_grad_())


def test_errors():
    with pytest.raises(ValueError, match=r"c: expected square matrices, .*, got shape \(2, 3\)"):
        theory.spectrum(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"c: expected square matrices, .*, got shape \(0, 0\)"):
        theory.spectrum(np.ones((0, 0)))
    with pytest.raises(TypeError, match="c: expected float32 or float64, got int64"):
        theory.spectrum(np.eye(2, dtype=np.int64))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_fit_leaves_rounding_out(dtype):
    """Of three directions beside a large negative eigenvalue, and of no direction at all."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((50, 50)))[0]
    x = rng.standard_normal((400, 3)) * [1, 0.8, 0.6] @ axes[:3]
    x_aug = x + 30 * rng.standard_normal((400, 1)) * axes[10]
    found = theory.spectrum(acl.contrastive_cov(x.astype(dtype), x_aug.astype(dtype)))
    three = theory.spectrum(np.diag(found.eigenvalues[:3]))
    assert found.decay_exponent == pytest.approx(three.decay_exponent, rel=1e-3)
    same = np.ones((10, 50), dtype)
    assert np.isnan(theory.spectrum(acl.contrastive_cov(same, same + rng.standard_normal((10, 50)).astype(dtype)))[3])
