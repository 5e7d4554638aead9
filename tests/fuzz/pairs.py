"""Sums over pairs and their gradients, by the compiled functions: log Σ_j e^{t_ij} and Σ_j ψ(o_i + t_ij).

Who calls them is a table of four functions: here numpy, in operators.py torch.
"""

import types

import numpy as np

from alphacl_fast import _cpu

from . import literal
from .alphas import typical_square
from .covariance import exact_type
from .data import laid_out, numpy_of, shape, size, values
from .judge import ROUNDINGS, SCORE, contract, eps, frobenius

_LAYOUTS = ("plain", "inside", "rows reversed", "every second row", "read-only", "memory-mapped", "expanded")


def _log_sums(left, right, scale, distances, skip, columns):
    rows, cols = np.full(len(left), np.nan), np.full(len(right), np.nan) if columns else None
    _cpu.pair_log_sums(left, right, scale, distances, skip, rows, cols)
    return rows, cols


def _log_sums_gradient(a, b, left, right, scale, rows, cols, distances, skip, columns):
    given = (rows, cols, a, b if columns else None)
    to_left, to_right = _gradients_of(left), _gradients_of(right)
    _cpu.pair_log_sums_gradient(left, right, scale, distances, skip, *given, to_left, to_right, np.empty(1))
    return to_left, to_right


def _sums_of_form(left, right, offset, scale, form, distances, skip):
    rows = np.full(len(left), np.nan)
    _cpu.pair_sums(left, right, scale, distances, skip, form, offset, rows)
    return rows


def _sums_gradient(a, left, right, offset, scale, form, distances, skip):
    to_left, to_right, to_offset = _gradients_of(left), _gradients_of(right), np.full(len(left), np.nan)
    to = to_left, to_right, np.empty(1), to_offset
    _cpu.pair_sums_gradient(left, right, scale, distances, skip, form, offset, a, *to)
    return to_left, to_right, to_offset


def _gradients_of(features):
    return None if features is None else np.full(features.shape, np.nan, features.dtype)


COMPILED = types.SimpleNamespace(
    log_sums=_log_sums, log_sums_gradient=_log_sums_gradient, sums=_sums_of_form, sums_gradient=_sums_gradient
)


class _Pairs:
    """Scores between left and right (None: within left) in one precision."""

    def __init__(self, left, right, scale, distances, kind):
        self.left = left.astype(kind)
        self.right = self.left if right is None else right.astype(kind)
        self.scale, self.distances = kind(scale), distances
        if distances:
            both = np.concatenate([self.left, self.right]) if right is not None else self.left
            squares = literal.squared_distances(both)
            self.t = -self.scale * (squares[: len(self.left), len(self.left) :] if right is not None else squares)
        else:
            self.t = self.scale * (self.left @ self.right.T)

    def gradients(self, slope):
        """Of left and right, from the derivatives by the scores."""
        left = self.scale * (slope @ self.right)
        right = self.scale * (slope.T @ self.left)
        if self.distances:
            columns = list(zip(self.left.T, self.right.T, strict=True))
            left = self.scale * np.stack([(slope * (b - a[:, None])).sum(1) for a, b in columns], 1)
            right = self.scale * np.stack([(slope * (a[:, None] - b)).sum(0) for a, b in columns], 1)
        return left, right

    def rounding(self, dtype):
        """8 eps (1 + what the terms of a score add up to), and what products may leave in a distance."""
        if self.distances:
            most, left = np.abs(self.t), SCORE[np.dtype(dtype)]
        else:
            most, left = abs(self.scale) * (np.abs(self.left) @ np.abs(self.right).T), 0.0
        return ROUNDINGS * eps(dtype) * (1 + np.asarray(most, float)) + left

    def absolute(self, omega):
        """What slopes off by ω_ij move in the gradients."""
        left, right, scale = (np.abs(np.asarray(a, float)) for a in (self.left, self.right, self.scale))
        if not self.distances:
            return scale * (omega @ right), scale * (omega.T @ left)
        columns = list(zip(np.asarray(self.left, float).T, np.asarray(self.right, float).T, strict=True))
        return tuple(
            scale * np.stack([(omega * np.abs(b - a[:, None])).sum(axis) for a, b in columns], 1) for axis in (1, 0)
        )


def _mask(n, other, within, skip):
    mask = np.ones((n, other), bool)
    if within:
        mask &= ~np.eye(n, dtype=bool)
        if skip:
            mask &= ~np.roll(np.eye(n, dtype=bool), n // 2, 1)
    elif skip:
        mask &= ~np.eye(n, dtype=bool)
    return mask


def _arguments(case):
    """left, right or None, scale, distances, skip_diagonal: as passed, in float64."""
    layouts = None if case.torch else _LAYOUTS
    n, m = shape(case, {4: 3e7, 8: 3e6}[case.dtype.itemsize], 600)
    within, skip = case.chance(0.5), case.chance(0.4)
    distances = within and case.chance(0.6)
    if within and skip:
        n += n % 2
    other = n if within or skip else size(case, 300)
    wide = np.asarray(values(case, "left", n, m)[0]).astype(case.dtype).astype(np.float64)
    left, right, wide_right = laid_out(case, "left", wide, layouts=layouts), None, None
    if not within:
        wide_right = np.asarray(values(case, "right", other, m)[0]).astype(case.dtype).astype(np.float64)
        right = laid_out(case, "right", wide_right, layouts=layouts)
    unit = typical_square(case, wide) if distances else max(1e-30, float((wide**2).sum(1).mean()))
    scale = case.power_of_ten(-2, 1.5) / unit if 1e-25 < unit < 1e25 else 1.0
    scale = float(case.dtype.type(scale))
    case.note(f"scale={scale!r} distances={distances} skip_diagonal={skip}")
    return left, right, wide, wide_right, scale, distances, skip


def judge_log_sums(case, calls):
    left, right, wide, wide_right, scale, distances, skip = _arguments(case)
    columns = right is not None and case.chance(0.5)
    rows, cols = calls.log_sums(left, right, scale, distances, skip, columns)
    truth, rough = (_Pairs(wide, wide_right, scale, distances, k) for k in (exact_type(case.dtype), case.dtype.type))
    mask = _mask(*truth.t.shape, right is None, skip)
    sums, share = literal.log_sum(truth.t, mask)
    naive, naive_share = literal.log_sum(rough.t, mask)
    e = truth.rounding(case.dtype)
    _sums("rows", rows, sums, naive, (share * e).sum(1), case)
    weight = case.rng.uniform(-1, 1, len(sums))
    slope, rough_slope = share * weight[:, None], naive_share * weight[:, None].astype(case.dtype)
    mean = (share * e).sum(1)[:, None]
    weight_cols = np.zeros(0)
    if columns:
        col_sums, col_share = literal.log_sum(truth.t, mask, 0)
        naive_cols, naive_col_share = literal.log_sum(rough.t, mask, 0)
        _sums("cols", cols, col_sums, naive_cols, (col_share * e).sum(0), case)
        weight_cols = case.rng.uniform(-1, 1, len(col_sums))
        slope = slope + col_share * weight_cols
        rough_slope = rough_slope + naive_col_share * weight_cols.astype(case.dtype)
        mean = mean + (col_share * e).sum(0)
        share = share + col_share
    if not (np.isfinite(sums).all() and (not columns or np.isfinite(col_sums).all())):
        return
    given = (left, right, scale, rows, cols, distances, skip, columns)
    found = calls.log_sums_gradient(weight, weight_cols, *given)
    moved = np.asarray(share, float) * (e + mean) + _lost(case)
    moved += 2 * np.abs(np.asarray(rough_slope, float) - np.asarray(slope, float))
    _gradients(found, truth, rough, slope, rough_slope, moved, right is None, case)


def _lost(case):
    """What a weight may be off by: below the normal numbers it becomes 0."""
    return float(np.finfo(case.dtype).smallest_normal)


def _sums(what, found, truth, naive, absolute, case):
    """Sums are float64 whatever the features are; only the accuracy of the features' type is asked for."""
    finite = np.isfinite(truth)
    found = numpy_of(found)
    if (np.isfinite(found) != finite).any():
        contract(what, found.astype(case.dtype), truth, lambda: naive, 0.0, case.dtype)
    contract(
        what, found[finite].astype(case.dtype), truth[finite], lambda: naive[finite],
        frobenius(absolute[finite]), case.dtype,
    )  # fmt: skip


def _gradients(found, truth, rough, slope, rough_slope, moved, within, case):
    true, naive, terms = truth.gradients(slope), rough.gradients(rough_slope), truth.absolute(moved)
    if within:
        true, naive, terms = ([g[0] + g[1]] for g in (true, naive, terms))
    for k in range(len(true)):
        contract(f"gradient {k}", numpy_of(found[k]), true[k], lambda k=k: naive[k], frobenius(terms[k]), case.dtype)


FORMS = {
    "hinge": (lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(x.dtype)),
    "logistic": (literal.logistic, lambda x: literal.logistic(x) * literal.logistic(-x)),
    "softplus": (literal.softplus, literal.logistic),
    "square": (lambda x: np.maximum(x, 0) ** 2 / 2, lambda x: np.maximum(x, 0)),
}


def judge_sums(case, calls):
    left, right, wide, wide_right, scale, distances, skip = _arguments(case)
    form = case.pick(list(FORMS))
    offset = case.rng.uniform(-3, 3, len(wide))
    case.note(form)
    rows = calls.sums(left, right, offset, scale, form, distances, skip)
    truth, rough = (_Pairs(wide, wide_right, scale, distances, k) for k in (exact_type(case.dtype), case.dtype.type))
    mask = _mask(*truth.t.shape, right is None, skip)
    (function, slope_of), kind, narrow = FORMS[form], exact_type(case.dtype), case.dtype.type
    x, rough_x = offset.astype(kind)[:, None] + truth.t, offset.astype(narrow)[:, None] + rough.t
    slope, rough_slope = slope_of(x) * mask, slope_of(rough_x) * mask
    e = truth.rounding(case.dtype) + ROUNDINGS * eps(case.dtype) * np.abs(offset)[:, None]
    # Rounding may turn a slope of 0 into 1 and back; within its reach both are right.
    doubt = mask * (form == "hinge") * (np.abs(np.asarray(x, float)) <= e)
    terms = (np.maximum(np.abs(slope), doubt) * e).sum(1)
    _sums("rows", rows, (function(x) * mask).sum(1), (function(rough_x) * mask).sum(1), terms, case)
    weight = case.rng.uniform(-1, 1, len(wide))
    found = calls.sums_gradient(weight, left, right, offset, scale, form, distances, skip)
    curve = np.asarray(mask * (np.asarray(slope, float) + (form == "square")), float)
    moved = np.abs(weight)[:, None] * (
        doubt + curve * e + 2 * np.abs(np.asarray(rough_slope, float) - np.asarray(slope, float)) + _lost(case)
    )
    by = weight[:, None].astype(kind)
    _gradients(found, truth, rough, slope * by, rough_slope * by.astype(narrow), moved, right is None, case)
    of_offset = numpy_of(found[2]).astype(case.dtype)
    contract(
        "gradient of the offset", of_offset, (slope * by).sum(1), lambda: (rough_slope * by.astype(narrow)).sum(1),
        frobenius(moved.sum(1)), case.dtype,
    )  # fmt: skip


def pair_log_sums(case):
    case.torch = False
    judge_log_sums(case, COMPILED)


def pair_sums(case):
    case.torch = False
    judge_sums(case, COMPILED)
