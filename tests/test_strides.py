"""Inputs that are views: the result is that of a fresh contiguous copy, and the input stays as it was."""

import numpy as np
import pytest
from support import DTYPES, check, two_views

import alphacl_fast as acl


def _structured(a):
    """A column of records of an odd number of bytes: strides are no multiple of the item size."""
    records = np.zeros(len(a), dtype=[("tag", "u1"), ("row", a.dtype, (a.shape[1],))])
    records["row"] = a
    return records["row"]


def _misaligned(a):
    raw = np.zeros(a.nbytes + 1, np.uint8)
    view = raw[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def _every_second(a, axis):
    shape = list(a.shape)
    shape[axis] *= 2
    outer = np.full(shape, np.nan, a.dtype)
    view = outer[::2] if axis == 0 else outer[..., ::2]
    view[...] = a
    return view


VIEWS = {
    "contiguous": np.ascontiguousarray,
    "fortran": np.asfortranarray,
    "rows reversed": lambda a: a[::-1].copy()[::-1],
    "columns reversed": lambda a: a[:, ::-1].copy()[:, ::-1],
    "every second row": lambda a: _every_second(a, 0),
    "every second column": lambda a: _every_second(a, 1),
    "transposed": lambda a: a.T.copy().T,
    "structured": _structured,
    "misaligned": _misaligned,
}


def _readonly(a):
    a.flags.writeable = False
    return a


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("view", VIEWS)
def test_layout_of_x_does_not_matter(view, dtype):
    x, x_aug = two_views(67, 9, dtype)
    seen = VIEWS[view](x)
    np.testing.assert_array_equal(seen, x)
    np.testing.assert_allclose(
        acl.contrastive_cov(seen, x_aug), acl.contrastive_cov(x, x_aug), rtol=1e-5 if dtype == np.float32 else 1e-12
    )
    check(seen, VIEWS[view](x_aug))
    check(seen, x_aug)
    check(x, VIEWS[view](x_aug), acl.Gaussian(seen[:, 3], 0.5))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("view", VIEWS)
def test_layout_of_what_an_importance_is_made_of_does_not_matter(view, dtype):
    x, x_aug = two_views(67, 9, dtype)
    rng = np.random.default_rng(5)
    square = VIEWS[view](rng.standard_normal((67, 67)).astype(dtype))
    tall = VIEWS[view](rng.standard_normal((67, 5)).astype(dtype))
    check(x, x_aug, square)
    for alpha in (acl.LowRank(tall), acl.Gaussian(tall, 2.0), acl.Gaussian(tall[:, 1], 0.1), acl.Direct(tall)):
        check(x, x_aug, alpha)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_that_share_memory(dtype):
    row = np.arange(4, dtype=dtype)
    x = np.broadcast_to(row, (50, 4))
    x_aug = np.broadcast_to(row + dtype(1), (50, 4))
    check(x, x_aug)
    overlapping = np.lib.stride_tricks.sliding_window_view(np.sin(np.arange(70, dtype=dtype)), 8)
    check(overlapping, overlapping[::-1], acl.Gaussian(overlapping, 1.0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_array_in_every_place(dtype):
    x, _ = two_views(40, 40, dtype)
    for alpha in (None, x, acl.LowRank(x), acl.Gaussian(x, 9.0), acl.Direct(x, p=2, tau=9.0)):
        check(x, x, alpha)


@pytest.mark.parametrize("dtype", DTYPES)
def test_inputs_may_be_read_only_and_are_not_modified(dtype):
    x, x_aug = (_readonly(a.copy()) for a in two_views(300, 7, dtype))
    rng = np.random.default_rng(6)
    square = _readonly(rng.standard_normal((300, 300)).astype(dtype))
    tall = _readonly(rng.standard_normal((300, 4)).astype(dtype))
    arrays = (x, x_aug, square, tall)
    before = [a.tobytes() for a in arrays]
    for alpha in (
        None,
        square,
        acl.Dense(square),
        acl.LowRank(tall),
        acl.Gaussian(tall, 1.0),
        acl.Gaussian(tall[:, 0], 1e-4),
        acl.Direct(tall),
    ):
        check(x, x_aug, alpha)
        if hasattr(alpha, "matmul"):
            alpha.row_sums(), alpha.col_sums(), alpha.matmul(x), alpha.to_dense()
    assert [a.tobytes() for a in arrays] == before
