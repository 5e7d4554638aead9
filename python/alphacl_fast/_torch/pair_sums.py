"""The sums over pairs that the losses are made of, each with the operator of its gradients.

`right` None: the pairs within `left`, each sample with itself left out. skip_diagonal: pairs i, i are left out, or,
without `right`, those of sample i of its first half and sample i of its second. Sums are float64 whatever the features
are.
"""

from __future__ import annotations

from typing import Any

import torch

from alphacl_fast._backend import backend_for, refuse_elsewhere
from alphacl_fast._parts import FORMS
from alphacl_fast._torch.once import once_differentiable
from alphacl_fast._torch.register import register
from alphacl_fast._torch.tensors import (
    array_of,
    check_doubles,
    check_like,
    check_rows,
    check_shape,
    doubles_of,
    dtype_name,
    expect,
    new_doubles,
    new_like,
)


def check_scale(scale, left):
    refuse_elsewhere("scale", scale, "left", left)
    if not scale.dtype.is_floating_point:
        raise TypeError(f"scale: expected a floating-point tensor, got {dtype_name(scale.dtype)}")
    expect(scale.numel() == 1, ValueError, lambda: f"scale: expected a scalar, got shape {tuple(scale.shape)}")


def _check_pairs(left, right, scale, distances, skip_diagonal):
    check_rows("left", left)
    check_scale(scale, left)
    n = left.shape[0]
    if right is None:
        if skip_diagonal:
            expect(n % 2 == 0, ValueError, lambda: f"skip_diagonal: expected two halves, got {n} samples")
        return
    check_like("right", right, "left", left)
    check_rows("right", right)
    check_shape("right", right, (right.shape[0], left.shape[1]), " like left")
    if distances:
        raise ValueError("distances: expected False where right is given, got True")
    if skip_diagonal:
        check_shape("right", right, left.shape, " like left where skip_diagonal")


def _check_columns(right, columns):
    if columns and right is None:
        raise ValueError("columns: expected False without right, got True")


def _check_form(form):
    if form not in FORMS[1:]:
        raise ValueError(f"form: expected {', '.join(FORMS[1:-1])} or {FORMS[-1]}, got {form!r}")


def _check_pair_log_sums(left, right, scale, distances, skip_diagonal, columns):
    _check_pairs(left, right, scale, distances, skip_diagonal)
    _check_columns(right, columns)


def _check_pair_log_sums_backward(
    grad_rows, grad_cols, left, right, scale, rows, cols, distances, skip_diagonal, columns
):
    _check_pair_log_sums(left, right, scale, distances, skip_diagonal, columns)
    for name, sums in (("grad_rows", grad_rows), ("rows", rows)):
        check_doubles(name, sums, left.shape[0], left)
    for name, sums in (("grad_cols", grad_cols), ("cols", cols)):
        check_doubles(name, sums, right.shape[0] if columns else 0, left)


def _check_pair_sums(left, right, offset, scale, form, distances, skip_diagonal):
    _check_pairs(left, right, scale, distances, skip_diagonal)
    _check_form(form)
    check_doubles("offset", offset, left.shape[0], left)


def _check_pair_sums_backward(grad_rows, left, right, offset, scale, form, distances, skip_diagonal):
    _check_pair_sums(left, right, offset, scale, form, distances, skip_diagonal)
    check_doubles("grad_rows", grad_rows, left.shape[0], left)


def _pair_log_sums(left, right, scale, distances, skip_diagonal, columns):
    rows, to_rows = new_doubles(left, left.shape[0])
    cols, to_cols = new_doubles(left, right.shape[0] if columns else 0)
    backend_for(left).pair_log_sums(
        array_of(left),
        None if right is None else array_of(right),
        float(scale),
        distances,
        skip_diagonal,
        to_rows,
        to_cols if columns else None,
    )
    return rows, cols


def _pair_log_sums_fake(left, right, scale, distances, skip_diagonal, columns):
    rows = left.new_empty(left.shape[0], dtype=torch.float64)
    return rows, left.new_empty(right.shape[0] if columns else 0, dtype=torch.float64)


def _pair_log_sums_backward(grad_rows, grad_cols, left, right, scale, rows, cols, distances, skip_diagonal, columns):
    grad_left, to_left = new_like(left)
    grad_right, to_right = new_like(left[:0] if right is None else right)
    grad_scale, to_scale = new_doubles(left, 1)
    backend_for(left).pair_log_sums_gradient(
        array_of(left),
        None if right is None else array_of(right),
        float(scale),
        distances,
        skip_diagonal,
        doubles_of(rows),
        doubles_of(cols) if columns else None,
        doubles_of(grad_rows),
        doubles_of(grad_cols) if columns else None,
        to_left,
        None if right is None else to_right,
        to_scale,
    )
    return grad_left, grad_right, grad_scale.reshape(())


def _gradients_fake(left, right):
    of_scale = left.new_empty((), dtype=torch.float64)
    return left.new_empty(left.shape), left.new_empty(left[:0].shape if right is None else right.shape), of_scale


_run_log_sums = register(
    "pair_log_sums(Tensor left, Tensor? right, Tensor scale, bool distances, bool skip_diagonal, bool columns)"
    " -> (Tensor, Tensor)",
    _check_pair_log_sums,
    _pair_log_sums,
    _pair_log_sums_fake,
)

_run_log_sums_backward = register(
    "pair_log_sums_backward(Tensor grad_rows, Tensor grad_cols, Tensor left, Tensor? right, Tensor scale, Tensor rows,"
    " Tensor cols, bool distances, bool skip_diagonal, bool columns) -> (Tensor, Tensor, Tensor)",
    _check_pair_log_sums_backward,
    _pair_log_sums_backward,
    lambda grad_rows, grad_cols, left, right, *others: _gradients_fake(left, right),
)


def _pair_sums(left, right, offset, scale, form, distances, skip_diagonal):
    rows, to_rows = new_doubles(left, left.shape[0])
    backend_for(left).pair_sums(
        array_of(left),
        None if right is None else array_of(right),
        float(scale),
        distances,
        skip_diagonal,
        form,
        doubles_of(offset),
        to_rows,
    )
    return rows


def _pair_sums_backward(grad_rows, left, right, offset, scale, form, distances, skip_diagonal):
    grad_left, to_left = new_like(left)
    grad_right, to_right = new_like(left[:0] if right is None else right)
    grad_scale, to_scale = new_doubles(left, 1)
    grad_offset, to_offset = new_doubles(left, left.shape[0])
    backend_for(left).pair_sums_gradient(
        array_of(left),
        None if right is None else array_of(right),
        float(scale),
        distances,
        skip_diagonal,
        form,
        doubles_of(offset),
        doubles_of(grad_rows),
        to_left,
        None if right is None else to_right,
        to_scale,
        to_offset,
    )
    return grad_left, grad_right, grad_scale.reshape(()), grad_offset


_run_sums = register(
    "pair_sums(Tensor left, Tensor? right, Tensor offset, Tensor scale, str form, bool distances, bool skip_diagonal)"
    " -> Tensor",
    _check_pair_sums,
    _pair_sums,
    lambda left, *others: left.new_empty(left.shape[0], dtype=torch.float64),
)

_run_sums_backward = register(
    "pair_sums_backward(Tensor grad_rows, Tensor left, Tensor? right, Tensor offset, Tensor scale, str form,"
    " bool distances, bool skip_diagonal) -> (Tensor, Tensor, Tensor, Tensor)",
    _check_pair_sums_backward,
    _pair_sums_backward,
    lambda grad_rows, left, right, offset, *others: (
        *_gradients_fake(left, right),
        left.new_empty(left.shape[0], dtype=torch.float64),
    ),
)


class _PairLogSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx, left, right, scale, distances, skip_diagonal, columns):
        rows, cols = _run_log_sums(left, right, scale, distances, skip_diagonal, columns)
        ctx.save_for_backward(left, right, scale, rows, cols)
        ctx.options = distances, skip_diagonal, columns
        return rows, cols

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_rows, grad_cols):
        left, right, scale, rows, cols = ctx.saved_tensors
        grad_left, grad_right, grad_scale = _run_log_sums_backward(
            grad_rows, grad_cols, left, right, scale, rows, cols, *ctx.options
        )
        return grad_left, None if right is None else grad_right, grad_scale.to(scale.dtype), None, None, None


class _PairSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx, left, right, offset, scale, form, distances, skip_diagonal):
        ctx.save_for_backward(left, right, offset, scale)
        ctx.options = form, distances, skip_diagonal
        return _run_sums(left, right, offset, scale, form, distances, skip_diagonal)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_rows):
        left, right, offset, scale = ctx.saved_tensors
        grad_left, grad_right, grad_scale, grad_offset = _run_sums_backward(
            grad_rows, left, right, offset, scale, *ctx.options
        )
        grad_scale = grad_scale.to(scale.dtype)
        return grad_left, None if right is None else grad_right, grad_offset, grad_scale, None, None, None


def scale_tensor(scale: Any) -> torch.Tensor:
    # On the CPU, where reading it waits for nothing.
    return scale if isinstance(scale, torch.Tensor) else torch.tensor(scale, dtype=torch.float64)


def pair_log_sums(left, right=None, *, scale, distances=False, skip_diagonal=False, columns=False):
    """log Σ_j e^{t_ij} of the rows and, with `columns`, log Σ_i e^{t_ij}: float64, differentiable once."""
    return _PairLogSums.apply(left, right, scale_tensor(scale), distances, skip_diagonal, columns)


def pair_sums(left, right=None, *, offset, scale, form, distances=False, skip_diagonal=False):
    """Σ_j ψ(offset_i + t_ij), ψ named by `form`: float64, differentiable once."""
    return _PairSums.apply(left, right, offset, scale_tensor(scale), form, distances, skip_diagonal)
