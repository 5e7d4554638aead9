"""NaN in gives NaN out; infinities give something that is not finite; nothing hangs or crashes."""

import numpy as np
import pytest
from support import DTYPES, IMPORTANCES, importance, run_python, two_views

import alphacl_fast as acl
from alphacl_fast import reference

BAD = (np.nan, np.inf, -np.inf)
SIZES = (2, 33, 700)


def _spoil(a, bad):
    a = a.copy()
    a[(len(a) // 2, *(s - 1 for s in a.shape[1:]))] = bad
    return a


def _assert_spoilt(c, truth):
    """Not finite wherever the definition is not, and right (or NaN) elsewhere."""
    assert np.isnan(c[~np.isfinite(truth)]).all()
    rest = np.isfinite(truth) & ~np.isnan(c)
    np.testing.assert_allclose(c[rest], truth[rest], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", BAD)
def test_the_centre_is_taken_from_some_rows_only(bad, dtype):
    """Of many samples not all are read for the common shift: what is not finite there counts all the same."""
    x, x_aug = two_views(3001, 3, dtype)
    x[1501, 1] = bad
    for alpha in (None, acl.Gaussian(x_aug[:, 0], 0.5), acl.Gaussian(x_aug, 2.0)):
        c = acl.contrastive_cov(x, x_aug, alpha)
        assert np.isnan(c[1]).all()
        assert not np.isfinite(acl.energy(x, x_aug, alpha))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", IMPORTANCES)
def test_nan_in_a_view(name, n, dtype):
    alpha = importance(name, n, dtype)
    x, x_aug = two_views(n, 4, dtype)
    for views in ((_spoil(x, np.nan), x_aug), (x, _spoil(x_aug, np.nan))):
        c = acl.contrastive_cov(*views, alpha)
        truth = reference.contrastive_cov(*views, alpha)
        assert np.isnan(truth).any()
        _assert_spoilt(c, truth)
        assert np.isnan(acl.energy(*views, alpha))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", IMPORTANCES)
def test_infinity_in_a_view(name, bad, dtype):
    n = 40
    alpha = importance(name, n, dtype)
    x, x_aug = two_views(n, 3, dtype)
    for views in ((_spoil(x, bad), x_aug), (x, _spoil(x_aug, bad)), (_spoil(x, bad), _spoil(x_aug, bad))):
        c = acl.contrastive_cov(*views, alpha)
        assert not np.isfinite(c[-1, -1])
        assert not np.isfinite(acl.energy(*views, alpha))


def _spoilt_importances(n, dtype, bad):
    rng = np.random.default_rng(61)
    wide = _spoil(rng.standard_normal((n, 3)).astype(dtype), bad)
    scalars = _spoil(rng.standard_normal(n).astype(dtype), bad)
    yield "gaussian", acl.Gaussian(wide, 1.0)
    for tau in (1e-8, 1e-3, 1.0, 1e8):
        yield f"gaussian scalar {tau}", acl.Gaussian(scalars, tau)
    yield "direct", acl.Direct(wide)
    yield "direct raw", acl.Direct(wide, p=2, normalize=False)
    yield "direct odd", acl.Direct(wide, p=3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("n", [1, 2, 33, 1500])
def test_non_finite_features(n, bad, dtype):
    x, x_aug = two_views(n, 3, dtype)
    for label, alpha in _spoilt_importances(n, dtype, bad):
        assert np.isnan(acl.contrastive_cov(x, x_aug, alpha)).all(), label
        assert np.isnan(acl.energy(x, x_aug, alpha)), label
        for sums in (alpha.row_sums(), alpha.col_sums()):
            assert np.isnan(sums).all(), label
        assert np.isnan(alpha.matmul(x)).all(), label
        if n < 100:
            dense = alpha.to_dense()
            assert np.isnan(dense[n // 2, np.arange(n) != n // 2]).all(), label


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", BAD)
def test_non_finite_weights(bad, dtype):
    n = 150
    x, x_aug = two_views(n, 3, dtype)
    rng = np.random.default_rng(62)
    dense = _spoil(rng.standard_normal((n, n)).astype(dtype), bad)
    phi = _spoil(rng.standard_normal((n, 2)).astype(dtype), bad)
    for alpha in (dense, acl.Dense(dense), acl.LowRank(phi)):
        assert not np.isfinite(acl.contrastive_cov(x, x_aug, alpha)).any()
        assert not np.isfinite(acl.energy(x, x_aug, alpha))


@pytest.mark.parametrize("dtype", DTYPES)
def test_everything_non_finite(dtype):
    for bad in BAD:
        x = np.full((70, 3), bad, dtype)
        for alpha in (None, acl.Gaussian(x, 1.0), acl.Gaussian(x[:, 0], 1e-3), acl.Direct(x), acl.LowRank(x)):
            assert np.isnan(acl.contrastive_cov(x, x, alpha)).all()
            assert np.isnan(acl.energy(x, x, alpha))


def test_overflow_is_not_silent():
    """Squares beyond the range of the dtype end as inf or NaN, not as a number."""
    x = np.array([[1e30, 0], [-1e30, 1]], np.float32)
    assert not np.isfinite(acl.contrastive_cov(x, x)[0, 0])
    assert not np.isfinite(acl.energy(x, x))


def test_features_near_the_largest_number_do_not_hang():
    run_python(
        """
import numpy as np
import alphacl_fast as acl
x = np.random.default_rng(0).standard_normal((2000, 2))
for dtype in (np.float32, np.float64):
    big = float(np.finfo(dtype).max)
    for f in (np.linspace(-big, big, 2000), np.geomspace(1e-30, big, 2000), np.where(np.arange(2000) % 2, big, 0)):
        f = f.astype(dtype)
        for tau in (5e-324, 1e-30, 1.0, 1e30, 1e308):
            y = x.astype(dtype)
            acl.contrastive_cov(y, y, acl.Gaussian(f, tau))
            acl.contrastive_cov(y[:200], y[:200], acl.Direct(f[:200, None], tau=tau))
print("done")
"""
    )
