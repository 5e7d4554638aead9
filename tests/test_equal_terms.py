"""Samples that are ± one row: all terms of a sum are equal, so are their roundings, and these add up."""

import numpy as np
import pytest

import alphacl_fast as acl


def _two_points(rng, n, d, share):
    return np.where(rng.random((n, 1)) < share, 1, -1) * rng.uniform(0.5, 2, (1, d))


def _error(ours, truth):
    return np.linalg.norm(ours - truth) / np.linalg.norm(truth)


_SUMS = {
    "outer": lambda x, d: acl.gated_outer(x, np.full((len(x), 1), 0.7, x.dtype)),
    "uniform": lambda x, d: acl.contrastive_cov(x, x, acl.Uniform()),
    "gates": lambda x, d: acl.gated_cov(x, x, np.ones((1, d), x.dtype)),
    "two columns": lambda x, d: acl.contrastive_cov(
        x, x, acl.LowRank(np.column_stack([x[:, 0] > 0, x[:, 0] < 9]) + x[:1, :1])
    ),
}


@pytest.mark.parametrize("d", [1, 20, 40, 130])
@pytest.mark.parametrize("name", _SUMS)
def test_float32_sums_of_equal_terms(name, d):
    worst = 0.0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = _two_points(rng, int(rng.integers(100, 700)), d, 0.5).astype(np.float32)
        worst = max(worst, _error(_SUMS[name](x, d), _SUMS[name](x.astype(np.float64), d)))
    assert worst < 1.95e-6  # 1e-6 and eight roundings; 8e-6 in chains of 192 terms


@pytest.mark.parametrize("d", [1, 20])
def test_float64_row_sums_of_equal_terms(d):
    # Only pairs of opposite samples count, each q (2v)(2v)ᵀ, beside minuends 1/q times as large.
    q = 0.02
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x = _two_points(rng, int(rng.integers(300, 1000)), d, 0.5)
        n, positive = len(x), x[:, 0] > 0
        sides = np.column_stack([positive, ~positive]) * np.sqrt(1 - q)
        alpha = acl.LowRank(np.column_stack([np.full(n, np.sqrt(q)), sides]))
        pairs = 2 * positive.sum() * (n - positive.sum())
        truth = pairs * q / (2 * n**2) * np.outer(2 * x[0], 2 * x[0])
        assert _error(acl.contrastive_cov(x, x, alpha), truth) < 5e-14  # 2e-13 where columns are added up one by one
        assert abs(acl.energy(x, x, alpha) / (np.trace(truth) / 2) - 1) < 5e-14
