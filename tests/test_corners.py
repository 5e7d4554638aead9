"""Corners that once went wrong, each with the input that showed it."""

import numpy as np
import pytest
from support import DTYPES, assert_contract, check, run_python, torch, two_views

import alphacl_fast as acl
from alphacl_fast import reference


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_of_a_sample_without_weight(dtype):
    """0 · NaN is NaN, as in the literal sum: a row of α that sums to 0 does not hide its sample."""
    x, x_aug = two_views(5, 3, dtype)
    alpha = np.ones((5, 5), dtype)
    alpha[2] = 0
    x_aug[2, 1] = np.nan
    assert np.isnan(acl.contrastive_cov(x, x_aug, alpha)[1]).all()
    assert np.isnan(acl.energy(x, x_aug, alpha))
    alone, alone_aug = two_views(1, 3, dtype)
    alone_aug[0, 0] = np.nan
    assert np.isnan(acl.contrastive_cov(alone, alone_aug, acl.Direct(alone))[0]).all()


@pytest.mark.parametrize("tau", [1e-45, 1e-40, 1e-300, 5e-324])
@pytest.mark.parametrize("dtype", DTYPES)
def test_constant_features_at_any_tau(dtype, tau):
    """1/τ is not a float there, and 0 · inf would be NaN."""
    f = np.full((50, 6), 3, dtype)
    np.testing.assert_array_equal(acl.Gaussian(f, tau).to_dense(), 1)
    np.testing.assert_array_equal(acl.Gaussian(f[:, 0], tau, method="tiles").to_dense(), 1)


def test_a_series_that_would_be_too_long_is_refused():
    f = np.linspace(0, 1, 300)
    with pytest.raises(ValueError, match=r"method: expected auto, sorted or tiles .* got fourier"):
        acl.Gaussian(f, 1e-12, method="fourier").row_sums()


def test_smallest_tol():
    f = np.linspace(0, 1, 400)
    ours = acl.Gaussian(f, 0.1, tol=5e-324).to_dense()
    np.testing.assert_allclose(ours, reference.gaussian(f, 0.1), atol=1e-14)


def test_low_rank_without_columns():
    with pytest.raises(ValueError, match=r"phi: expected at least one column, got shape \(4, 0\)"):
        acl.LowRank(np.zeros((4, 0)))


def test_dense_alpha_replaced_by_another_shape():
    x, x_aug = two_views(5, 2, np.float64)
    alpha = acl.Dense(np.ones((5, 5)))
    alpha.alpha = np.ones((5, 4))
    with pytest.raises(ValueError, match=r"alpha: expected a square \(N, N\) array, got shape \(5, 4\)"):
        acl.contrastive_cov(x, x_aug, alpha)


def test_out_that_is_a_negated_torch_view():
    t = torch()
    x = t.randn(6, 3)
    out = t.zeros(3, 3, dtype=t.complex64).conj().imag
    assert out.is_neg()
    with pytest.raises(ValueError, match="out: expected a tensor in memory of its own, got a negated view"):
        acl.contrastive_cov(x, x, out=out)


def test_isa_is_asked_for_once():
    run_python(
        "import os, alphacl_fast._cpu as c\n"
        "before = c.build_info()['isa']\n"
        "os.environ['ALPHACL_FAST_ISA'] = 'no such set'\n"
        "assert c.build_info()['isa'] == before\n"
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_only_small_entries_of_alpha_count(dtype):
    """x is constant where α is large: all of C comes from entries of e^(−1/0.06)."""
    f = np.random.default_rng(5).integers(0, 10, 1500).astype(dtype)
    x = f[:, None]
    alpha = acl.Gaussian(f, 0.03)
    truth = reference.contrastive_cov(x, x, alpha)
    ours = acl.contrastive_cov(x, x, alpha)
    if dtype == np.float64:  # the documented bound of an entry, 1e-12, against entries of 6e-8
        np.testing.assert_allclose(ours, truth, rtol=1e-5)
    else:
        assert_contract(ours, truth, lambda: reference.contrastive_cov(x, x, alpha, dtype=dtype), dtype)


def test_fork_after_torch_used_the_threads():
    """A child of a parent that used torch's threads alone must not hang."""
    done = run_python(
        "import os, warnings\n"
        "import numpy as np\n"
        "import alphacl_fast as acl\n"
        "warnings.simplefilter('ignore')\n"
        "import torch\n"
        "torch.exp(torch.ones(3000, 3000)).sum()\n"
        "x = np.random.default_rng(0).standard_normal((4000, 32))\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    acl.contrastive_cov(x, x + 1)\n"
        "    os._exit(7)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7\n"
        "torch.exp(torch.ones(3000, 3000)).sum()\n"
        "acl.contrastive_cov(x, x + 1)\n"
        "print('ended')\n",
        timeout=60,
    )
    assert "ended" in done.stdout


def test_uniform_low_rank_and_ones_agree():
    x, x_aug = two_views(700, 9, np.float32)
    for alpha in (None, acl.LowRank(np.ones((700, 1), np.float32)), np.ones((700, 700), np.float32)):
        check(x, x_aug, alpha)
