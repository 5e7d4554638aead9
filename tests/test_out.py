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


# name -> (where `out` may lie, the arguments of gated_cov with that array among them)
GATED = {
    "x": lambda memory, x, w: (memory, x, w, None),
    "x_aug": lambda memory, x, w: (x, memory, w, None),
    "weights": lambda memory, x, w: (x, x + 1, memory[:8], None),
    "alpha": lambda memory, x, w: (x[:8], x[:8] + 1, w, memory[:8]),
    "features": lambda memory, x, w: (x, x + 1, w, acl.Gaussian(memory, 9.0)),
    "x0": lambda memory, x, w: (x, x + 1, w, acl.NodeGaussian(1.0, memory)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("where", GATED)
def test_out_of_gated_cov_may_overlap_an_input(where, dtype):
    rng = np.random.default_rng(93)
    flat = rng.standard_normal(8 * 8 * 8 + 3).astype(dtype)
    memory, out = flat[3:].reshape(64, 8), flat[:-3].reshape(8, 8, 8)
    x, w = rng.standard_normal((64, 8)).astype(dtype), rng.standard_normal((8, 8)).astype(dtype)
    *views, alpha = GATED[where](memory, x, w)
    expected = acl.gated_cov(*views, alpha=alpha)
    assert acl.gated_cov(*views, alpha=alpha, out=out) is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("where", ["x", "omega"])
def test_out_of_gated_outer_may_overlap_an_input(where):
    rng = np.random.default_rng(94)
    memory, other = rng.standard_normal((64, 8)), rng.standard_normal((64, 8))
    x, omega = (memory, other) if where == "x" else (other, memory)
    expected = acl.gated_outer(x, omega)
    out = memory.reshape(8, 8, 8)
    assert acl.gated_outer(x, omega, out=out) is out
    np.testing.assert_array_equal(out, expected)
