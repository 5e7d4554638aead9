"""Contrastive losses whole, as the compiled module computes them, and their gradients: without torch."""

import numpy as np
import pytest
from contrasts import CASES, SCALE, SHAPES, WAYS, Literal, options, room, setting
from support import DTYPES, TOL, inside

import alphacl_fast as acl
from alphacl_fast import _cpu


def computed(way, normalize, reduction, sets, grad, keep, scale=SCALE, apart=False, filled=True):
    """losses, and the gradients of left, right, negatives and the scale; rows of results lie apart in memory.

    apart: the scored rows of both views are given where they do not lie one behind the other. filled: whether scores
    are expected in the memory for them; where they are not, the gradient is not told of it.
    """
    left, _, negatives = sets
    how = scale, *options(way, normalize, reduction)
    losses, saved = room(way, reduction, len(left), 0 if negatives is None else len(negatives))
    losses, saved = np.full(losses, np.nan, left.dtype), np.full(saved, np.nan)
    kept = None
    if keep:
        n, columns = len(left), 0 if way == "within" else len(left if negatives is None else negatives)
        kept = np.full(_cpu.kept_scores(2 * n if way == "within" else n, columns), np.nan, left.dtype)
    units = np.full((sum(len(f) for f in sets if f is not None), left.shape[1]), np.nan, left.dtype)
    assert _cpu.contrasts(*sets, *how, units, saved, kept, losses) == (keep and filled)
    kept = kept if filled else None
    again = None if kept is None else kept.copy()
    grads = [None if f is None else inside(f * 0) for f in sets]
    of_scale = np.full(1, np.nan)
    scored = np.split(units, np.cumsum([len(f) for f in sets if f is not None]))
    scored = scored[0], inside(scored[1]) if apart else scored[1], None if negatives is None else scored[2]
    _cpu.contrasts_gradient(*scored, *how, saved, kept, grad, *grads, of_scale)
    assert again is None or np.array_equal(kept, again, equal_nan=True)  # a second gradient finds what the first did
    return losses, [*grads, of_scale[0]]


def problem(way, shape, dtype, reduction):
    rng, *sets = setting(way, shape, dtype)
    losses, _ = room(way, reduction, len(sets[0]), shape[1])
    return sets, np.asarray(rng.standard_normal(losses), dtype)


def assert_close(ours, true, naive, sets, grad):
    """The contract; where all of a gradient cancels, as on a row of one feature, of what it is a difference of."""
    dtype = grad.dtype
    shortest = min(1, *(np.linalg.norm(f, axis=1).min() for f in sets if f is not None))
    rounding = 8 * np.finfo(dtype).eps * SCALE * np.linalg.norm(grad) / shortest
    for found, truth, rough in zip(ours, (true.losses, *true.grads), (naive.losses, *naive.grads), strict=True):
        if truth is not None:
            error, allowed = np.linalg.norm(found - truth), TOL[dtype] * np.linalg.norm(truth)
            assert error <= allowed + 2 * np.linalg.norm(rough - truth) + rounding


@pytest.mark.parametrize("keep", [False, True], ids=["computed twice", "kept"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way, normalize, reduction", CASES)
def test_losses_and_gradients(way, normalize, reduction, dtype, keep):
    for shape in SHAPES:
        sets, grad = problem(way, shape, dtype, reduction)
        given = way, normalize, reduction, *sets, grad
        true = Literal(*given, np.longdouble)
        losses, grads = computed(way, normalize, reduction, sets, grad, keep)
        assert_close((losses, *grads), true, Literal(*given, dtype), sets, grad)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 3e37], ids=["", "gradients that overflow in float"])
def test_kept_scores_change_no_bit(way, dtype, size):
    for shape in ((200, 300, 5), (700, 70, 3)):
        sets, grad = problem(way, shape, dtype, "none")
        grad = grad * dtype(size)
        once, twice = (computed(way, True, "none", sets, grad, keep) for keep in (True, False))
        np.testing.assert_array_equal(once[0], twice[0])
        for kept, again in zip(once[1], twice[1], strict=True):
            assert kept is None or np.array_equal(kept, again)


@pytest.mark.parametrize("normalize", [False, True], ids=["as given", "normalised"])
@pytest.mark.parametrize("way", WAYS)
def test_scores_that_need_double_are_not_kept(way, normalize):
    """Float would round these scores, up to some 3000, to 2e-4; rows are still scaled to 1 in float."""
    sets, grad = problem(way, (66, 70, 5), np.float32, "none")
    given = way, normalize, "none"
    true = Literal(*given, *sets, grad, np.longdouble, scale=300.0)
    losses, grads = computed(*given, sets, grad, True, 300.0, filled=False)
    tol = 300 * 2e-7 if normalize else 1e-6
    np.testing.assert_allclose(losses, true.losses.astype(float), rtol=tol, atol=tol)
    for ours, truth in zip(grads[:3], true.grads[:3], strict=True):
        assert truth is None or np.linalg.norm(ours - truth) < tol * np.linalg.norm(truth)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way", WAYS)
def test_the_number_of_threads_changes_no_bit(way, dtype):
    for shape in (
        (900, 1100, 9),
        (600, 250, 2),
    ):  # the second is too little work for a second thread but within one set
        sets, grad = problem(way, shape, dtype, "none")
        try:
            results = []
            for count in (1, 3):
                acl.set_num_threads(count)
                results.append(computed(way, True, "none", sets, grad, True))
        finally:
            acl.set_num_threads(None)
        np.testing.assert_array_equal(results[0][0], results[1][0])
        for one, three in zip(results[0][1], results[1][1], strict=True):
            assert one is None or np.array_equal(one, three)


@pytest.mark.parametrize("keep", [False, True], ids=["computed twice", "kept"])
@pytest.mark.parametrize("way", WAYS)
def test_rows_of_zeros_have_finite_gradients(way, keep):
    sets, grad = problem(way, (66, 70, 3), np.float32, "mean")
    for f in sets:
        if f is not None:
            f[3] = 0
    true = Literal(way, True, "mean", *sets, grad, np.longdouble)
    losses, grads = computed(way, True, "mean", sets, grad, keep)
    np.testing.assert_allclose(losses, true.losses.astype(float), rtol=1e-6)
    for ours, truth in zip(grads, true.grads, strict=True):
        if truth is not None:
            np.testing.assert_allclose(
                ours, np.asarray(truth).astype(float), rtol=1e-4, atol=1e-6 * np.abs(truth).max()
            )


@pytest.mark.parametrize("way", WAYS)
def test_long_and_short_rows_are_scaled_to_one(way):
    """Their squares leave the range of float32."""
    sets, grad = problem(way, (66, 70, 5), np.float32, "none")
    here = computed(way, True, "none", sets, grad, True)
    for factor in (1e30, 1e-10):
        there = computed(way, True, "none", [None if f is None else f * np.float32(factor) for f in sets], grad, True)
        np.testing.assert_allclose(there[0], here[0], rtol=1e-5)
        assert all(np.isfinite(g).all() for g in there[1] if g is not None)


@pytest.mark.parametrize("keep", [False, True], ids=["computed twice", "kept"])
@pytest.mark.parametrize("way", WAYS)
def test_nan_in_gives_nan_out(way, keep):
    sets, grad = problem(way, (66, 70, 3), np.float32, "none")
    sets[1][5, 1] = np.nan
    losses, grads = computed(way, True, "none", sets, grad, keep)
    assert np.isnan(losses[5])
    assert np.isnan(grads[1][5]).all()
    assert way == "negatives" or np.isnan(losses).all()


@pytest.mark.parametrize("way", WAYS)
def test_where_the_rows_lie_changes_no_bit(way):
    sets, grad = problem(way, (66, 70, 5), np.float32, "none")
    together, apart = (computed(way, True, "none", sets, grad, True, apart=apart) for apart in (False, True))
    for one, other in zip(together[1], apart[1], strict=True):
        assert one is None or np.array_equal(one, other)
    # Without memory for them, the scored rows are the core's own affair.
    losses, saved = np.empty(len(grad), np.float32), np.empty(room(way, "none", 66, 70)[1])
    _cpu.contrasts(*sets, SCALE, *options(way, True, "none"), None, saved, None, losses)
    np.testing.assert_array_equal(losses, together[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way", [way for way in WAYS if way != "within"])
def test_scores_of_rows_as_they_lie(way, dtype):
    """Rows apart, backwards, and one row for all: as their copies, to the bit."""
    sets, grad = problem(way, (66, 70, 5), dtype, "none")
    layouts = (inside, lambda f: f[::-1].copy()[::-1], lambda f: np.broadcast_to(f[:1], f.shape))
    for layout in layouts:
        there = [None if f is None else layout(f) for f in sets]
        here = [None if f is None else f.copy() for f in there]
        results = []
        for left, right, negatives in (there, here):
            how = SCALE, *options(way, False, "none")
            losses, saved = np.empty(66, dtype), np.empty(room(way, "none", 66, 0 if negatives is None else 70)[1])
            _cpu.contrasts(left, right, negatives, *how, None, saved, None, losses)
            grads = [None if f is None else np.empty(f.shape, dtype) for f in here]
            _cpu.contrasts_gradient(left, right, negatives, *how, saved, None, grad, *grads, np.empty(1))
            results.append([losses, *grads])
        for one, other in zip(*results, strict=True):
            assert one is None or np.array_equal(one, other)


def test_negatives_without_a_gradient():
    """Those of a queue need none; the others keep their bits."""
    sets, grad = problem("negatives", (66, 200, 5), np.float32, "mean")
    whole = computed("negatives", True, "mean", sets, grad, True)[1]
    how, units = (SCALE, *options("negatives", True, "mean")), np.empty((332, 5), np.float32)
    losses, saved = np.empty((), np.float32), np.empty(room("negatives", "mean", 66, 200)[1])
    _cpu.contrasts(*sets, *how, units, saved, None, losses)
    grads, scale = [np.empty((66, 5), np.float32) for _ in range(2)], np.empty(1)
    _cpu.contrasts_gradient(units[:66], units[66:132], units[132:], *how, saved, None, grad, *grads, None, scale)
    for one, other in zip((*whole[:2], whole[3]), (*grads, scale[0]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_room_for_scores():
    """Tiles of 64 samples, each with 16 numbers between its rows; of one set those on and above the diagonal."""
    tile = 64 * (64 + 16)
    assert _cpu.kept_scores(1, 1) == _cpu.kept_scores(64, 0) == _cpu.kept_scores(64, 64) == tile
    assert _cpu.kept_scores(65, 64) == 2 * tile
    assert _cpu.kept_scores(129, 0) == 6 * tile
    for rows, columns in ((0, 1), (1, -1)):
        with pytest.raises(ValueError, match=r"^(rows|columns): expected at least"):
            _cpu.kept_scores(rows, columns)
