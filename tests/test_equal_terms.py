"""Samples that are ± one row: all terms of a sum are equal, so are their roundings, and these add up."""

import numpy as np
import pytest
import scipy.sparse
from support import torch

import alphacl_fast as acl


def _two_points(rng, n, d, share):
    return np.where(rng.random((n, 1)) < share, 1, -1) * rng.uniform(0.5, 2, (1, d))


def _error(ours, truth):
    return np.linalg.norm(ours - truth) / np.linalg.norm(truth)


def _two_columns(x):
    return acl.LowRank(np.column_stack([x[:, 0] > 0, np.ones(len(x), bool)]) + x[:1, :1])


_SUMS = {
    "outer": lambda x: acl.gated_outer(x, np.full((len(x), 1), 0.7, x.dtype)),
    "uniform": lambda x: acl.contrastive_cov(x, x, acl.Uniform()),
    "gates": lambda x: acl.gated_cov(x, x, np.ones((1, x.shape[1]), x.dtype)),
    "two columns": lambda x: acl.contrastive_cov(x, x, _two_columns(x)),
}


@pytest.mark.parametrize("d", [1, 20, 40, 130])
@pytest.mark.parametrize("name", _SUMS)
def test_float32_sums_of_equal_terms(name, d):
    worst = 0.0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = _two_points(rng, int(rng.integers(100, 700)), d, 0.5).astype(np.float32)
        worst = max(worst, _error(_SUMS[name](x), _SUMS[name](x.astype(np.float64))))
    assert worst < 1.95e-6  # 1e-6 and eight roundings; 8e-6 in chains of 192 terms


_OF_ONE_ROW = {
    "InverseDistance": lambda f: acl.InverseDistance(f, tau=0.05, normalize="both", features_aug=f.copy()),
    "Direct": lambda f: acl.Direct(f, tau=0.5, normalize=True),
    "Dense": lambda f: acl.Dense(np.full((len(f), len(f)), 1 / len(f))),
    "Sparse": lambda f: acl.Sparse(scipy.sparse.csr_array(np.full((len(f), len(f)), 1 / len(f)))),
}


@pytest.mark.parametrize("name", _OF_ONE_ROW)
def test_float64_sums_of_equal_entries(name):
    for n in (99, 500, 1000, 3000):
        alpha = _OF_ONE_ROW[name](np.ones((n, 3)))
        for sums in (alpha.row_sums(), alpha.col_sums()):
            assert abs(sums - 1).max() < 8e-16  # 1e-15 … 1e-13 where entries are added up one by one


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


def test_float64_products_from_differences_of_equal_terms():
    """Gated rows of two values, close to one another beside their length: the sum goes over the pairs."""
    n = 4000
    side = np.where(np.arange(n) % 2, 1, -1)[:, None]
    for seed in (5, 6, 7):
        rng = np.random.default_rng(seed)
        v = np.round(rng.standard_normal(5) * 2**20) / 2**26
        x, u = 10 + side * v, rng.standard_normal((1, 5))
        nodes = acl.GatedCovariance(
            x, x, np.ones((1, 5)), activation=acl.Monomial(2), alpha=acl.Dense(np.full((n, n), 0.7))
        )
        two = x[:2].astype(np.longdouble)
        half = np.subtract(*(2 * two.sum(1, keepdims=True) * two)) / 2
        truth = np.longdouble(0.7) * half * (half @ u[0])
        assert _error(nodes.matmul(u)[0], truth) < 1e-13  # seed 6: 4e-12 where pairs are added up one by one


def test_float64_gradients_from_differences_of_equal_terms_torch():
    """Two clusters far apart, of two points each; α joins samples of one cluster alone."""
    n = 4000
    cluster, side = np.arange(n) // 2 % 2, np.where(np.arange(n) % 2, 1, -1)[:, None]
    alpha = acl.Labels(torch().from_numpy(cluster), 0.7, 0.0)
    for seed in range(4):
        v = np.round(np.random.default_rng(seed).standard_normal(5) * 2**20) / 2**30
        x = torch().from_numpy(1024.0 * cluster[:, None] + side * v).requires_grad_()
        acl.energy(x, x.detach().clone(), alpha).backward()
        truth = np.longdouble(0.7) * (n / 2) * 2 * side * v / (2 * n**2)
        assert _error(x.grad.numpy(), truth) < 4e-15  # 1.5e-14 where samples are added up one by one


@pytest.mark.parametrize("columns", [1, 4, 5])
def test_float64_products_of_equal_terms(columns):
    for n in (500, 3000, 30_000):
        found = acl.LowRank(np.full((n, 1), 0.7)).matmul(np.full((n, columns), 0.7))
        truth = n * np.longdouble(0.7) ** 3
        assert abs(found / truth - 1).max() < 3e-15  # 1.4e-14 where terms are added up one by one


@pytest.mark.parametrize("columns", [1, 4, 5])
def test_float32_gradients_of_equal_entries_torch(columns):
    """Features that are one of three: 1/3 of the entries are 1, all others equal; their sums weigh x − x'."""
    n = 1500
    features = torch().eye(3)[torch().arange(n) % 3]
    generator = torch().Generator().manual_seed(2)
    x, x_aug = (torch().randn(n, columns, generator=generator).requires_grad_() for _ in range(2))
    (found,) = torch().autograd.grad(acl.energy(x, x_aug, acl.Gaussian(features, 0.9)), x_aug)
    a, b = (v.detach().double().requires_grad_() for v in (x, x_aug))
    (truth,) = torch().autograd.grad(acl.energy(a, b, acl.Gaussian(features.double(), 0.9)), b)
    assert _error(found.double().numpy(), truth.numpy()) < 1.2e-7  # 5e-7 where rows are added up in float32


@pytest.mark.parametrize("m", [500, 768])
@pytest.mark.parametrize("loss", ["nt_xent", "info_nce"])
def test_float32_losses_of_rows_of_one_size_and_sign_torch(loss, m):
    """Rows of ±1, a tenth of whose signs differ: most terms of a product round in the same direction."""
    rng = np.random.default_rng(m)
    a = np.where(rng.random((256, m)) < 0.1, -1, 1) * np.where(rng.random(m) < 0.5, -1, 1)
    b = np.where(rng.random(a.shape) < 0.05, -a, a)
    found, truth = (
        float(getattr(acl.losses, loss)(*(torch().from_numpy(z.astype(dtype)) for z in (a, b)), temperature=0.05))
        for dtype in (np.float32, np.float64)
    )
    assert abs(found / truth - 1) < 6e-6  # 1.2e-5 in one chain of 500 terms
