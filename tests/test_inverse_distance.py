"""InverseDistance: powers and temperatures far apart, the kernels of the field that it is, what is refused."""

import numpy as np
import pytest
from support import DTYPES, assert_contract, check, two_views

import alphacl_fast as acl
from alphacl_fast import reference

POWERS = [(2, 1), (4, 1), (1, 2), (3, 0.5), (0.5, 1.5), (2, 6)]


def test_literal():
    z = np.random.default_rng(1).standard_normal((9, 3))
    alpha = acl.InverseDistance(z, p=3, tau=0.7, q=1.5).to_dense()
    for i in range(9):
        for j in range(9):
            d = np.sqrt(((z[i] - z[j]) ** 2).sum() / 2)
            expected = 0 if i == j else 1 / (d**3 + 0.7) ** 1.5
            assert abs(alpha[i, j] - expected) <= 1e-14 * expected


def test_kernels_of_the_field():
    """p = 2, q = ½: inverse multiquadric; p = 2: rational quadratic; τ → 0: inverse distance weighting."""
    z = np.random.default_rng(2).standard_normal((12, 2))
    square = ((z[:, None] - z) ** 2).sum(-1)
    off = ~np.eye(12, dtype=bool)

    def entries(*options):
        return acl.InverseDistance(z, *options).to_dense()[off]

    np.testing.assert_allclose(entries(2, 0.5, 0.5), (1 / np.sqrt(square / 2 + 0.5))[off], rtol=1e-14)
    np.testing.assert_allclose(entries(2, 3.0, 1.5) * 3.0**1.5, ((1 + square / 6) ** -1.5)[off], rtol=1e-13)
    np.testing.assert_allclose(entries(3, 1e-60, 1), (square[off] / 2) ** -1.5, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p, q", POWERS)
@pytest.mark.parametrize("tau", [1e-6, 0.3, 1e4])
@pytest.mark.parametrize("normalize, eps", [(False, 0.0), (True, 0.0), (True, 0.05)])
def test_sums_and_entries(p, q, tau, normalize, eps, dtype):
    x, x_aug = two_views(140, 6, dtype)
    alpha = acl.InverseDistance(x[:, :5], p, tau, q, normalize=normalize, eps=eps)
    check(x, x_aug, alpha)
    truth = reference.dense_alpha(alpha, 140)
    assert_contract(alpha.to_dense(), truth, lambda: reference.dense_alpha(alpha, 140, dtype=dtype), dtype)
    sums = truth.sum(1)
    assert_contract(alpha.row_sums(), sums, lambda: sums.astype(dtype), dtype)
    if normalize and eps == 0:
        np.testing.assert_allclose(alpha.row_sums(), 1, rtol=1e-6 if dtype == np.float32 else 1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_far_from_the_origin_and_far_apart(dtype):
    """Products of features of length 1e3 would lose what lies close together; rows far from all others sum to 1."""
    rng = np.random.default_rng(3)
    f = rng.standard_normal((90, 5))
    f[:45] += 1e3
    f[-1] += 1e6
    f = f.astype(dtype)
    x, x_aug = two_views(90, 4, dtype)
    for q, normalize in ((1, False), (3, True)):
        alpha = acl.InverseDistance(f, 2, 1e-4, q, normalize=normalize)
        check(x, x_aug, alpha)
    np.testing.assert_allclose(alpha.row_sums(), 1, rtol=1e-6)


def test_equal_features_have_the_largest_entry():
    z = np.ones((5, 3))
    alpha = acl.InverseDistance(z, 4, 0.25, 2).to_dense()
    np.testing.assert_allclose(alpha, 16 * (1 - np.eye(5)), rtol=1e-15)
    np.testing.assert_array_equal(acl.InverseDistance(z[:1]).to_dense(), [[0.0]])


def test_errors():
    z = np.eye(4)
    for name, options in (("p", {"p": 0}), ("tau", {"tau": -1.0}), ("q", {"q": 0.0}), ("q", {"q": np.inf})):
        with pytest.raises(ValueError, match=rf"^{name}: expected a positive finite number"):
            acl.InverseDistance(z, **options)
    with pytest.raises(ValueError, match=r"^tau: expected tau\^\(-q\) below 1.8e308, got tau=1e-160 and q=2.0"):
        acl.InverseDistance(z, tau=1e-160, q=2)
    with pytest.raises(ValueError, match=r"^alpha: expected 3 samples like x, got 4"):
        acl.contrastive_cov(z[:3], z[:3], acl.InverseDistance(z))
