"""A whole loss −log [e^own / (e^own + Σ e^others)] as one node of torch's graph.

One call of compiled code goes from the features to the loss, one from its gradient to theirs; what lies between them is
the scored rows, a few numbers per row and, where they fit the budget, the scores. What torch traces goes through
operators, which compute the scores twice.
"""

from __future__ import annotations

import operator
from typing import Any

import torch

from alphacl_fast._arrays import memory_of
from alphacl_fast._backend import backend_for
from alphacl_fast._torch.once import once_differentiable
from alphacl_fast._torch.pair_sums import check_scale, scale_tensor
from alphacl_fast._torch.register import is_followed, register
from alphacl_fast._torch.tensors import (
    array_of,
    check_doubles,
    check_like,
    check_rows,
    check_shape,
    new_doubles,
    new_like,
)

_REDUCTIONS = ("none", "mean", "sum")
_budget = 32 << 20


def set_score_budget(size: int) -> int:
    """Sets how many bytes of scores a loss may keep for its gradient, and returns what it was: 32 MiB at first.

    nt_xent, info_nce and clip_loss keep the scores of a batch where they fit, and compute them twice where they do not:
    8N²m operations for a loss of two sets and its gradient in place of 6N²m, memory O(N m). 32 MiB hold those of some
    2500 queries and keys in float32. Values are the same to the bit. size : at least 0, where nothing is kept; of each
    loss that waits for its gradient, not of all of them.

    Raises TypeError or ValueError naming the argument. Applies to all threads, and to tensors of the CPU that torch
    does not trace. Between a forward pass under torch.utils.checkpoint and its repetition it has to stay the same.
    """
    global _budget
    if isinstance(size, bool) or not hasattr(size, "__index__"):
        raise TypeError(f"size: expected a number of bytes, got {type(size).__name__}")
    wanted = operator.index(size)
    if wanted < 0:
        raise ValueError(f"size: expected at least 0, got {wanted}")
    before, _budget = _budget, wanted
    return before


def _check(left, right, negatives, scale, within, columns, normalize, reduction):
    check_rows("left", left)
    check_scale(scale, left)
    check_like("right", right, "left", left)
    check_rows("right", right)
    check_shape("right", right, left.shape, " like left")
    if within and columns:
        raise ValueError("columns: expected False where within, got True")
    if reduction not in _REDUCTIONS:
        raise ValueError(f"reduction: expected {', '.join(_REDUCTIONS[:-1])} or {_REDUCTIONS[-1]}, got {reduction!r}")
    if negatives is None:
        return
    if within or columns:
        raise ValueError("negatives: expected None where within or columns, got a tensor")
    check_like("negatives", negatives, "left", left)
    check_rows("negatives", negatives)
    check_shape("negatives", negatives, (negatives.shape[0], left.shape[1]), " like left")


def _losses(left, within, reduction):
    """Shape of the losses."""
    return () if reduction != "none" else (2 * left.shape[0] if within else left.shape[0],)


def _saved(left, negatives):
    """How many numbers the losses leave for their gradient."""
    return 5 * left.shape[0] + (0 if negatives is None else negatives.shape[0])


def _check_backward(grad, left, right, negatives, scale, saved, within, columns, normalize, reduction):
    _check(left, right, negatives, scale, within, columns, normalize, reduction)
    check_like("grad", grad, "left", left)
    check_shape("grad", grad, _losses(left, within, reduction))
    check_doubles("saved", saved, _saved(left, negatives), left)


def _memory_for_scores(left, negatives, within):
    """For the compiled code to keep the scores in, where it keeps any and they fit the budget."""
    n = left.shape[0]
    columns = 0 if within else n if negatives is None else negatives.shape[0]
    count = backend_for(left).kept_scores(2 * n if within else n, columns)
    return left.new_empty(count) if 0 < count * left.element_size() <= _budget else None


def _sets(left, right, negatives):
    return array_of(left), array_of(right), None if negatives is None else array_of(negatives)


def _units(left, negatives, within, normalize):
    """Shape of the copies of the rows as they are scored, for one set and for rows of length 1; else there are none."""
    rows = 2 * left.shape[0] + (0 if negatives is None else negatives.shape[0])
    return rows if within or normalize else 0, left.shape[1]


def _forward(left, right, negatives, scale, within, columns, normalize, reduction, kept=None):
    """losses, units, saved, and `kept` if the scores are there."""
    losses = left.new_empty(_losses(left, within, reduction))
    units = left.new_empty(_units(left, negatives, within, normalize))
    saved, to_saved = new_doubles(left, _saved(left, negatives))
    filled = backend_for(left).contrasts(
        *_sets(left, right, negatives),
        float(scale),
        within,
        columns,
        normalize,
        reduction,
        memory_of(units) if within or normalize else None,
        to_saved,
        None if kept is None else memory_of(kept),
        memory_of(losses),
    )
    return losses, units, saved, kept if filled else None


def _forward_fake(left, right, negatives, scale, within, columns, normalize, reduction):
    losses = left.new_empty(_losses(left, within, reduction))
    units = left.new_empty(_units(left, negatives, within, normalize))
    return losses, units, left.new_empty(_saved(left, negatives), dtype=torch.float64)


def _backward(
    grad, left, right, negatives, scale, saved, within, columns, normalize, reduction, kept=None, of_negatives=True
):
    """Gradients of left, right, negatives (None unless there are any, and wanted) and the scale."""
    grad_left, to_left = new_like(left)
    grad_right, to_right = new_like(right)
    grad_negatives = to_negatives = None
    if negatives is not None and of_negatives:
        grad_negatives, to_negatives = new_like(negatives)
    grad_scale, to_scale = new_doubles(left, 1)
    backend_for(left).contrasts_gradient(
        *_sets(left, right, negatives),
        float(scale),
        within,
        columns,
        normalize,
        reduction,
        memory_of(saved),
        None if kept is None else memory_of(kept),
        memory_of(grad.detach().resolve_neg().contiguous()),
        to_left,
        to_right,
        to_negatives,
        to_scale,
    )
    return grad_left, grad_right, grad_negatives, grad_scale


def _backward_operator(grad, left, right, negatives, scale, saved, *how):
    of_left, of_right, of_negatives, of_scale = _backward(
        grad, left, right, negatives, scale, saved.resolve_neg().contiguous(), *how
    )
    return of_left, of_right, left.new_empty(0) if negatives is None else of_negatives, of_scale.reshape(())


def _backward_fake(grad, left, right, negatives, *others):
    of_negatives = left.new_empty(0 if negatives is None else negatives.shape)
    of_scale = left.new_empty((), dtype=torch.float64)
    return left.new_empty(left.shape), left.new_empty(left.shape), of_negatives, of_scale


_HOW = "bool within, bool columns, bool normalize, str reduction"
register(
    f"contrasts(Tensor left, Tensor right, Tensor? negatives, Tensor scale, {_HOW}) -> (Tensor, Tensor, Tensor)",
    _check,
    lambda *arguments: _forward(*arguments)[:3],
    _forward_fake,
)
register(
    "contrasts_backward(Tensor grad, Tensor left, Tensor right, Tensor? negatives, Tensor scale, Tensor saved,"
    f" {_HOW}) -> (Tensor, Tensor, Tensor, Tensor)",
    _check_backward,
    _backward_operator,
    _backward_fake,
)


class _Contrasts(torch.autograd.Function):
    @staticmethod
    def forward(ctx, left, right, negatives, scale, keep, *how):
        within, _, normalize, _ = how
        kept = None
        if is_followed(left, right, negatives, scale):
            losses, units, saved = torch.ops.alphacl_fast.contrasts(left, right, negatives, scale_tensor(scale), *how)
        else:
            check_like("right", right, "left", left)
            if negatives is not None:
                check_like("negatives", negatives, "left", left)
            keep = keep and any(ctx.needs_input_grad)
            kept = _memory_for_scores(left, negatives, within) if keep else None
            losses, units, saved, kept = _forward(left, right, negatives, scale, *how, kept)
        sets = (units,) if within or normalize else (left, right, negatives)
        tensor = scale if isinstance(scale, torch.Tensor) else None
        ctx.save_for_backward(_anchor(left, right, negatives, tensor, sets), tensor, saved, kept, *sets)
        ctx.how, ctx.scale, ctx.samples = how, None if tensor is not None else scale, left.shape[0]
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        _, scale, saved, kept, *sets = ctx.saved_tensors
        if len(sets) == 1:
            left, right, negatives = sets[0].tensor_split((ctx.samples, 2 * ctx.samples))
            sets = left, right, negatives if negatives.shape[0] else None
        number = ctx.scale if scale is None else scale
        if is_followed(grad, saved, *sets, number):
            given = grad, *sets, scale_tensor(number), saved
            gradients = torch.ops.alphacl_fast.contrasts_backward(*given, *ctx.how)
        else:
            gradients = _backward(grad, *sets, number, saved, *ctx.how, kept, ctx.needs_input_grad[2])
        of_left, of_right, of_negatives, of_scale = gradients
        of_scale = of_scale.reshape(()).to(scale.dtype) if ctx.needs_input_grad[3] else None
        return of_left, of_right, None if sets[2] is None else of_negatives, of_scale, *5 * (None,)


def _anchor(left, right, negatives, scale, sets):
    """What a second derivative is refused over: an input that requires grad, unless one is saved anyway."""
    if len(sets) > 1 or (scale is not None and scale.requires_grad):
        return None
    return next((f for f in (left, right, negatives) if f is not None and f.requires_grad), None)


def contrasts(
    left: Any,
    right: Any,
    negatives: Any = None,
    *,
    scale: Any,
    within: bool = False,
    columns: bool = False,
    normalize: bool,
    reduction: str,
) -> Any:
    """The loss of the pairs i, i of two sets (N, m).

    within : all 2N rows are anchors and everybody's others; else those of `left` are anchors, and `right` the others,
    or `negatives` (M, m) where they are given. columns : the mean with the loss whose anchors are the rows of `right`.
    """
    keep = torch.is_grad_enabled()
    return _Contrasts.apply(left, right, negatives, scale, keep, within, columns, normalize, reduction)
