"""out=: filled and returned, refused unless it is exactly right, allowed to share memory with the inputs."""

import numpy as np
import pytest
from support import DTYPES, IMPORTANCES, importance, two_views

import alphacl_fast as acl

X, X_AUG = two_views(40, 5, np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", IMPORTANCES)
def test_out_is_filled_and_returned(name, dtype):
    x, x_aug = two_views(150, 9, dtype)
    alpha = importance(name, 150, dtype)
    out = np.full((9, 9), np.nan, dtype)
    assert acl.contrastive_cov(x, x_aug, alpha, out=out) is out
    np.testing.assert_array_equal(out, acl.contrastive_cov(x, x_aug, alpha))


def test_out_may_be_a_block_of_a_larger_contiguous_array():
    stack = np.zeros((3, 5, 5))
    acl.contrastive_cov(X, X_AUG, out=stack[1])
    np.testing.assert_array_equal(stack[1], acl.contrastive_cov(X, X_AUG))
    assert not stack[0].any()
    assert not stack[2].any()


def test_result_is_a_new_array_without_out():
    first = acl.contrastive_cov(X, X_AUG)
    kept = first.copy()
    acl.contrastive_cov(X_AUG, 2 * X)
    np.testing.assert_array_equal(first, kept)
    assert first.flags.owndata or first.base is not None
    assert first.flags.c_contiguous
    assert first.flags.writeable


def test_shape():
    for bad in ((5, 6), (25,), (6, 6), (1, 5, 5)):
        with pytest.raises(ValueError, match=r"^out: expected .*\(5, 5\).*got \("):
            acl.contrastive_cov(X, X_AUG, out=np.zeros(bad))


def test_dtype():
    for bad in (np.float32, np.int64, np.complex128, object):
        with pytest.raises(TypeError, match=rf"^out: expected .*float64.*got .*{np.dtype(bad)}"):
            acl.contrastive_cov(X, X_AUG, out=np.zeros((5, 5), bad))


def test_container():
    for bad in ([[0.0] * 5] * 5, bytearray(200), "out"):
        with pytest.raises(TypeError, match=rf"^out: expected .*got .*{type(bad).__name__}"):
            acl.contrastive_cov(X, X_AUG, out=bad)


@pytest.mark.parametrize(
    "bad",
    [np.zeros((10, 10))[:5, :5], np.zeros((5, 10))[:, ::2], np.zeros((5, 5), order="F"), np.zeros((5, 5))[::-1]],
    ids=["block", "strided", "fortran", "reversed"],
)
def test_not_contiguous(bad):
    with pytest.raises(ValueError, match=r"^out: expected .*contiguous.*got "):
        acl.contrastive_cov(X, X_AUG, out=bad)


def test_read_only():
    bad = np.zeros((5, 5))
    bad.flags.writeable = False
    with pytest.raises(ValueError, match=r"^out: expected .*writ(e)?able.*got .*read-only"):
        acl.contrastive_cov(X, X_AUG, out=bad)
    assert not bad.any()


def test_a_refused_call_leaves_out_alone():
    out = np.full((5, 5), 7.0)
    with pytest.raises(ValueError, match="x_aug"):
        acl.contrastive_cov(X, X_AUG[:, :4], out=out)
    assert (out == 7).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("where", ["x", "x_aug", "alpha", "phi", "features", "scalars"])
def test_out_may_overlap_an_input(where, dtype):
    """The result is that of untouched inputs, whatever of them lies under `out`."""
    n = d = 36
    rng = np.random.default_rng(91)

    def inputs(memory):
        rest = rng.standard_normal((3, n, d)).astype(dtype)
        held = {"x": rest[0], "x_aug": rest[1]} | {where: memory}
        alpha = {
            "alpha": lambda: memory,
            "phi": lambda: acl.LowRank(memory),
            "features": lambda: acl.Gaussian(memory, 9.0),
            "scalars": lambda: acl.Gaussian(memory[:, 4], 0.5),
        }.get(where, lambda: None)()
        return held["x"], held["x_aug"], alpha

    memory = rng.standard_normal((n, d)).astype(dtype)
    x, x_aug, alpha = inputs(memory)
    expected = acl.contrastive_cov(x, x_aug, alpha)
    assert acl.contrastive_cov(x, x_aug, alpha, out=memory) is memory
    np.testing.assert_array_equal(memory, expected)


def test_out_may_overlap_an_input_partly():
    memory = np.random.default_rng(92).standard_normal(40 * 5 + 7)
    x = memory[7:].reshape(40, 5)
    out = memory[:25].reshape(5, 5)
    expected = acl.contrastive_cov(x, X_AUG)
    np.testing.assert_array_equal(acl.contrastive_cov(x, X_AUG, out=out), expected)
