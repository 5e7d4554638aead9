"""The sums of pairs behind the losses, and their gradients, against their definition: without torch.

t_ij = scale · f_i·g_j or −scale · ½‖f_i − f_j‖²; rows_i = log Σ_j e^{t_ij}, or Σ_j ψ(offset_i + t_ij).
"""

import numpy as np
import pytest
from support import DTYPES, TOL, assert_contract, frobenius, inside

from alphacl_fast import _cpu

SCALE = 0.37
WAYS = ("within", "within, halves", "distances", "distances, halves", "two sets", "two sets, no diagonal")
SHAPES = [(1, 1, 1), (2, 3, 1), (9, 5, 3), (66, 131, 33), (300, 257, 20)]

# form -> (ψ, ψ'), in the dtype of the argument
FORMS = {
    "hinge": (lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(x.dtype)),
    "logistic": (lambda x: 1 / (1 + np.exp(-x)), lambda x: 1 / (1 + np.exp(-x)) / (1 + np.exp(x))),
    "softplus": (lambda x: np.logaddexp(0, x).astype(x.dtype), lambda x: 1 / (1 + np.exp(-x))),
    "square": (lambda x: np.maximum(x, 0) ** 2 / 2, lambda x: np.maximum(x, 0)),
}


class Literal:
    """Scores of all pairs in the dtype asked for, and how weights on them reach the features."""

    def __init__(self, way, left, right, dtype):
        self.way = way
        self.f = np.asarray(left, dtype)
        self.g = self.f if right is None else np.asarray(right, dtype)
        self.scale = dtype(SCALE)
        if way.startswith("distances"):
            self.scores = -self.scale / 2 * ((self.f[:, None] - self.g) ** 2).sum(2)
        else:
            self.scores = self.scale * (self.f @ self.g.T)
        self.counted = np.ones(self.scores.shape, bool)
        if way != "two sets":
            np.fill_diagonal(self.counted, False)
        if way.endswith("halves"):
            half = len(self.f) // 2
            np.fill_diagonal(self.counted[half:], False)
            np.fill_diagonal(self.counted[:, half:], False)

    def log_sums(self, axis):
        with np.errstate(divide="ignore"):
            scores = np.where(self.counted, self.scores, -np.inf)
            peak = scores.max(axis, keepdims=True)
            peak[~np.isfinite(peak)] = 0
            sums = np.exp(scores - peak).sum(axis, keepdims=True)
            return np.squeeze(np.log(sums) + peak, axis)

    def shares(self, rows, cols):
        """e^{t_ij} over the sum of its row, and over that of its column; none where nothing is summed."""
        rows, cols = (np.where(np.isfinite(sums), sums, 0) for sums in (rows, cols))
        scores = np.where(self.counted, self.scores, -np.inf)
        return np.exp(scores - rows[:, None]), np.exp(scores - cols)

    def gradients(self, weight):
        """Of Σ_ij weight_ij t_ij with respect to left and right."""
        weight = weight * self.counted
        if self.way.startswith("two sets"):
            return self.scale * (weight @ self.g), self.scale * (weight.T @ self.f)
        both = weight + weight.T
        if self.way.startswith("distances"):
            return -self.scale * (both[:, :, None] * (self.f[:, None] - self.f)).sum(1), None
        return self.scale * (both @ self.f), None


def setting(way, shape, dtype):
    """Features as slices of larger arrays, and the arguments that every sum begins with."""
    n, n_right, m = shape
    rng = np.random.default_rng([n, n_right, m])
    n += n % 2 if way.endswith("halves") else 0
    left = inside(rng.standard_normal((n, m)), dtype)
    right = inside(rng.standard_normal((n_right, m)), dtype) if way.startswith("two sets") else None
    return rng, left, right, (left, right, SCALE, way.startswith("distances"), way.endswith(("halves", "no diagonal")))


def assert_inside(slice_):
    """Nothing was written beside the slice."""
    outer = slice_.base
    assert np.isnan(outer).sum() == outer.size - slice_.size


def wider(dtype):
    return np.float64 if dtype == np.float32 else np.longdouble


def over_grid(test):
    for name, values in (("dtype", DTYPES), ("shape", SHAPES)):
        test = pytest.mark.parametrize(name, values, ids=str if name == "shape" else None)(test)
    return test


@over_grid
@pytest.mark.parametrize(
    "way, columns", [*((way, False) for way in WAYS), *((way, True) for way in WAYS if way.startswith("two sets"))]
)
def test_log_sums(dtype, way, shape, columns):
    rng, left, right, pairs = setting(way, shape, dtype)
    n = len(left)
    rows = np.full(n, np.nan)
    cols = np.full(len(right), np.nan) if columns else None
    _cpu.pair_log_sums(*pairs, rows, cols)
    truth, naive = (Literal(way, left, right, kind) for kind in (wider(dtype), dtype))
    for ours, axis in ((rows, 1), *([(cols, 0)] if columns else [])):
        exact = truth.log_sums(axis)
        empty = ~np.isfinite(exact)
        np.testing.assert_array_equal(ours[empty], -np.inf)
        assert_contract(ours[~empty].astype(dtype), exact[~empty], lambda a=axis, e=empty: naive.log_sums(a)[~e], dtype)

    a, b = rng.standard_normal(n), rng.standard_normal(len(right)) if columns else None
    to_left, to_right = inside(left * 0), None if right is None else inside(right * 0)
    _cpu.pair_log_sums_gradient(*pairs, rows, cols, a, b, to_left, to_right, np.empty(1))

    def literal(sums):
        of_rows, of_cols = sums.shares(sums.log_sums(1), sums.log_sums(0))
        kind = sums.scores.dtype
        weight = a.astype(kind)[:, None] * of_rows
        return sums.gradients(weight + b.astype(kind) * of_cols if columns else weight)

    compare((to_left, to_right), literal(truth), lambda: literal(naive), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("far", [1.0, 30.0, 40.0, 1e3, 1e5])
@pytest.mark.parametrize("way", WAYS)
def test_log_sums_that_lie_far_apart(dtype, way, far):
    """The last sample, which a tile may hold alone or with itself alone, is far from all others."""
    for size in (64, 65, 66, 96, 97, 129, 193, 257, 513):
        rng, left, right, pairs = setting(way, (size, size, 5), dtype)
        n = len(left)
        left[-1] = far
        if right is not None:
            right[-1] = -far
        columns = right is not None
        rows, cols = np.full(n, np.nan), np.full(n, np.nan) if columns else None
        _cpu.pair_log_sums(*pairs, rows, cols)
        truth = Literal(way, left, right, np.float64)
        known_to = 10 * np.finfo(dtype).eps * np.abs(truth.scores).max()  # what the rounding of a score means
        for ours, axis in ((rows, 1), *([(cols, 0)] if columns else [])):
            np.testing.assert_allclose(ours, truth.log_sums(axis), rtol=TOL[np.dtype(dtype)], atol=known_to)

        a, b = rng.standard_normal(n), rng.standard_normal(n) if columns else None
        to_left, to_right = inside(left * 0), None if right is None else inside(right * 0)
        _cpu.pair_log_sums_gradient(*pairs, rows, cols, a, b, to_left, to_right, np.empty(1))
        of_rows, of_cols = truth.shares(truth.log_sums(1), truth.log_sums(0))
        gradients = truth.gradients(a[:, None] * of_rows + (b * of_cols if columns else 0))
        for ours, expected in zip((to_left, to_right), gradients, strict=True):
            if ours is not None:
                assert np.isfinite(ours).all()
                allowed = (TOL[np.dtype(dtype)] + known_to) * frobenius(expected)
                assert frobenius(ours - expected) <= allowed, n


@over_grid
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", FORMS)
def test_sums(dtype, way, shape, form):
    rng, left, right, pairs = setting(way, shape, dtype)
    offset, a = rng.standard_normal((2, len(left)))
    offset = offset.astype(dtype).astype(np.float64)  # so that the literal sum in `dtype` has the same hinges
    rows = np.full(len(left), np.nan)
    _cpu.pair_sums(*pairs, form, offset, rows)
    truth, naive = (Literal(way, left, right, kind) for kind in (wider(dtype), dtype))

    def arguments(sums):
        return offset.astype(sums.scores.dtype)[:, None] + sums.scores

    def literal_rows(sums):
        return (FORMS[form][0](arguments(sums)) * sums.counted).sum(1)

    assert_contract(rows.astype(dtype), literal_rows(truth), lambda: literal_rows(naive), dtype)

    to_left, to_right = inside(left * 0), None if right is None else inside(right * 0)
    to_offset = np.full(len(left), np.nan)
    _cpu.pair_sums_gradient(*pairs, form, offset, a, to_left, to_right, np.empty(1), to_offset)

    def literal(sums):
        weight = a.astype(sums.scores.dtype)[:, None] * FORMS[form][1](arguments(sums)) * sums.counted
        return *sums.gradients(weight), weight.sum(1)

    compare((to_left, to_right, to_offset.astype(dtype)), literal(truth), lambda: literal(naive), dtype)


def compare(ours, truths, naive, dtype):
    for k, (result, truth) in enumerate(zip(ours, truths, strict=True)):
        assert (result is None) == (truth is None)
        if result is not None:
            assert_contract(result, truth, lambda k=k: naive()[k], dtype)
            if result.ndim == 2:
                assert_inside(result)


@pytest.mark.parametrize("form", ["exponential", "cosine"])
def test_a_form_without_a_sum_is_refused(form):
    _, left, _, pairs = setting("within", (4, 4, 2), np.float64)
    numbers = np.zeros(4)
    with pytest.raises(ValueError, match="form: expected"):
        _cpu.pair_sums(*pairs, form, numbers, numbers.copy())
    with pytest.raises(ValueError, match="form: expected"):
        _cpu.pair_sums_gradient(*pairs, form, numbers, numbers, left.copy(), None, np.empty(1), numbers.copy())


def test_halves_of_an_odd_number_of_samples_are_refused():
    *_, pairs = setting("within", (3, 3, 2), np.float64)
    with pytest.raises(ValueError, match="skip_diagonal: expected two halves, got 3 samples"):
        _cpu.pair_log_sums(*pairs[:-1], True, np.zeros(3), None)
