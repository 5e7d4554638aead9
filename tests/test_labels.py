"""Labels: classes of every integer dtype, in any order and number; the literal sums; classes far from each other."""

import numpy as np
import pytest
from support import DTYPES, assert_contract, check, relative_error, run_python, two_views
from support import torch as import_torch

import alphacl_fast as acl
from alphacl_fast import reference

KINDS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")
WEIGHTS = ((1.0, 0.0), (0.0, 1.0), (-1.0, 1.0), (1.0, 1.0), (2.5, -1e-6), (1e-9, 1.0))


def _truth(name, x, x_aug, alpha, exact):
    return getattr(reference, name)(x, x_aug, alpha, dtype=exact)


@pytest.mark.parametrize("kind", KINDS)
def test_only_equality_counts(kind):
    """The smallest and the largest integers of a dtype are classes as any others."""
    x, x_aug = two_views(60, 4, np.float64)
    low, high = (0, 1) if kind == "bool" else (np.iinfo(kind).min, np.iinfo(kind).max)
    names = np.array([low, high, high // 2], kind)
    codes = np.arange(60) ** 2 % (2 if kind == "bool" else 3)
    expected = acl.contrastive_cov(x, x_aug, acl.Labels(codes, 1.5, -0.25))
    ours = acl.contrastive_cov(x, x_aug, acl.Labels(names[codes], 1.5, -0.25))
    np.testing.assert_allclose(ours, expected, rtol=1e-13, atol=1e-15)
    dense = np.where(codes[:, None] == codes, 1.5, -0.25)
    np.testing.assert_array_equal(acl.Labels(names[codes], 1.5, -0.25).to_dense(), dense)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("same, different", WEIGHTS)
@pytest.mark.parametrize("count", [1, 2, 7, 64, 300])
def test_sums(count, same, different, dtype):
    x, x_aug = two_views(300, 6, dtype)
    y = np.random.default_rng(count).integers(0, count, 300) * 7919 - 5
    check(x, x_aug, acl.Labels(y, same, different))
    check(x, x.copy(), acl.Labels(y, same, different))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("same, different", WEIGHTS)
def test_more_samples_than_a_run(same, different, dtype):
    """Classes of thousands of samples, added up in runs, against the closed form."""
    n = 5003
    x, x_aug = two_views(n, 3, dtype)
    y = np.random.default_rng(3).integers(0, 3, n)
    alpha = acl.Labels(y, same, different)
    wide, delta = x.astype(float), x.astype(float) - x_aug
    counts = np.bincount(y)
    r = same * counts[y] + different * (n - counts[y])
    sums = np.stack([wide[y == c].sum(0) for c in range(3)])
    products = (same - different) * sums.T @ sums + different * np.outer(wide.sum(0), wide.sum(0))
    truth = ((wide.T * r) @ wide * 2 - 2 * products - (delta.T * r) @ delta) / (2 * n * n)
    assert relative_error(acl.contrastive_cov(x, x_aug, alpha), truth) < (2e-6 if dtype == np.float32 else 1e-12)
    np.testing.assert_allclose(alpha.row_sums(), r, rtol=1e-14)
    expected = same * sums[y] + different * (wide.sum(0) - sums[y])
    assert relative_error(alpha.matmul(x), expected) < (1e-6 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spread", [1e-1, 1e-3, 1e-5])
def test_tight_classes_far_apart(spread, dtype):
    """Pairs within classes alone, which lie 1/spread of their size apart: no digit is lost, and in linear time."""
    rng = np.random.default_rng(8)
    y = np.arange(4000) % 5
    x = (rng.standard_normal((5, 4))[y] + spread * rng.standard_normal((4000, 4))).astype(dtype)
    exact = x.astype(np.longdouble)
    within = sum(
        (y == c).sum() * (exact[y == c] - exact[y == c].mean(0)).T @ (exact[y == c] - exact[y == c].mean(0))
        for c in range(5)
    )
    truth = within / np.longdouble(4000) ** 2
    ours = acl.contrastive_cov(x, x.copy(), acl.Labels(y))
    assert relative_error(ours, truth.astype(float)) < (1e-6 if dtype == np.float32 else 1e-13)
    assert abs(float(acl.energy(x, x.copy(), acl.Labels(y))) - float(truth.trace()) / 2) < 1e-6 * float(truth.trace())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_gated(activation, dtype):
    x, x_aug = two_views(150, 5, dtype)
    w = np.random.default_rng(4).standard_normal((3, 5)).astype(dtype)
    alpha = acl.Labels(np.arange(150) % 6 - 9, 1.0, -0.3)
    ours = acl.gated_cov(x, x_aug, w, activation=activation, alpha=alpha)
    truth = reference.gated_cov(x, x_aug, w, activation=activation, alpha=alpha)
    naive = reference.gated_cov(x, x_aug, w, activation=activation, alpha=alpha, dtype=dtype)
    for k in range(3):
        assert_contract(ours[k], truth[k], lambda k=k: naive[k], dtype)
    products = acl.GatedCovariance(x, x_aug, w, activation=activation, alpha=alpha).matmul(w)
    assert relative_error(products, np.einsum("kij,kj->ki", truth, w.astype(float))) < (
        3e-5 if dtype == np.float32 else 1e-12
    )


def test_same_bits_for_any_number_of_threads():
    code = """
import numpy as np, alphacl_fast as acl
rng = np.random.default_rng(0)
x, y = rng.standard_normal((9000, 7)), rng.integers(0, 4, 9000)
alpha = acl.Labels(y, 1.0, -0.1)
bits = set()
for threads in (1, 2, 5):
    acl.set_num_threads(threads)
    bits.add(acl.contrastive_cov(x, x + 1, alpha).tobytes() + alpha.matmul(x).tobytes())
assert len(bits) == 1
"""
    run_python(code)


def test_used_on_its_own_it_computes_in_double():
    alpha = acl.Labels(np.array([1, 2, 1], np.uint8), 2.0, 0.5)
    assert alpha.shape == (3, 3)
    assert alpha.dtype == np.float64
    np.testing.assert_array_equal(alpha.row_sums(), [4.5, 3.0, 4.5])
    assert alpha.matmul(np.ones((3, 2), np.float32)).dtype == np.float32
    assert repr(alpha) == "Labels(labels=(3,) uint8, same=2.0, different=0.5)"


@pytest.mark.parametrize(
    "labels, error, text",
    [
        (np.zeros(4), TypeError, "expected integers, got float64"),
        ([0, 1, 1, 0], TypeError, "expected an array or a tensor of integers, got list"),
        (np.zeros((4, 1), int), ValueError, r"expected one integer per sample, got shape \(4, 1\)"),
        (np.zeros(0, int), ValueError, r"expected one integer per sample, got shape \(0,\)"),
        (np.array(["a", "b"]), TypeError, "expected integers, got <U1"),
    ],
)
def test_labels_that_are_refused(labels, error, text):
    with pytest.raises(error, match=f"^labels: {text}$"):
        acl.Labels(labels)


def test_weights_that_are_refused():
    y = np.zeros(4, int)
    for bad in (np.nan, np.inf, "1", None, 1j):
        with pytest.raises((TypeError, ValueError), match=r"^same: expected a .*number, got "):
            acl.Labels(y, bad)
        with pytest.raises((TypeError, ValueError), match=r"^different: expected a .*number, got "):
            acl.Labels(y, 1.0, bad)


def test_other_samples_are_refused():
    x, x_aug = two_views(5, 2, np.float32)
    with pytest.raises(ValueError, match=r"^alpha: expected 5 samples like x, got 4$"):
        acl.contrastive_cov(x, x_aug, acl.Labels(np.zeros(4, int)))
    with pytest.raises(ValueError, match=r"^alpha: expected 5 samples like y, got 4$"):
        acl.Labels(np.zeros(4, int)).matmul(x)


def test_kinds_are_not_mixed_with_torch():
    torch = import_torch()
    x, x_aug = (torch.tensor(a) for a in two_views(5, 2, np.float32))
    with pytest.raises(TypeError, match=r"^alpha: expected a torch tensor like x, got a numpy array$"):
        acl.contrastive_cov(x, x_aug, acl.Labels(np.zeros(5, int)))
    with pytest.raises(TypeError, match=r"^alpha: expected a numpy array like x, got a torch tensor$"):
        acl.contrastive_cov(x.numpy(), x_aug.numpy(), acl.Labels(torch.zeros(5, dtype=torch.int32)))


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8", "bool"])
def test_torch_labels(kind):
    torch = import_torch()
    x, x_aug = two_views(40, 3, np.float32)
    y = (np.arange(40) % 3 - (0 if kind in ("uint8", "bool") else 1)).astype(kind)
    expected = acl.contrastive_cov(x, x_aug, acl.Labels(y, 1.0, 0.5))
    alpha = acl.Labels(torch.from_numpy(y), 1.0, 0.5)
    np.testing.assert_array_equal(acl.contrastive_cov(torch.tensor(x), torch.tensor(x_aug), alpha).numpy(), expected)
    assert alpha.row_sums().dtype == torch.float64


def test_torch_gradients():
    torch = import_torch()
    z, z_aug = (torch.tensor(a, requires_grad=True) for a in two_views(12, 3, np.float64))
    alpha = acl.Labels(torch.arange(12) % 3, 1.0, -0.5)
    assert torch.autograd.gradcheck(lambda a, b: acl.contrastive_cov(a, b, alpha), (z, z_aug))
    assert torch.autograd.gradcheck(lambda a, b: acl.energy(a, b, alpha), (z, z_aug))
