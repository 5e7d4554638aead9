"""A whole loss −log [e^own / (e^own + Σ e^others)] as one node of torch's graph, for losses of small batches too.

Rows u_i of one set or two, normalised on the way in if asked for; x = log Σ_j e^{scale·u_i·u_j} − own_i over the pairs
other than the own one; the loss is log(1 + e^x), which keeps the digits of a small one. With w = loss' of each x,

    ∂/∂u_i = (gradient of Σ w · log-sums) − w_i · scale · partner_i,    ∂/∂f = (g − (g·u) u)/‖f‖ for g = ∂/∂u.
"""

from __future__ import annotations

from typing import Any

import torch

from alphacl_fast._torch.once import once_differentiable
from alphacl_fast._torch.pair_sums import scale_tensor

_LEAST_LENGTH = 1e-12  # torch.nn.functional.normalize's


def _wide(f):
    return f.float() if f.dtype in (torch.bfloat16, torch.float16) else f


def _unit(f):
    """The rows over their lengths, and the lengths."""
    lengths = torch.linalg.vector_norm(f, dim=1, keepdim=True).clamp_min_(_LEAST_LENGTH)
    return f / lengths, lengths


def _through_unit(grad, u, lengths):
    """The gradient with respect to the rows that became u; in the memory of `grad`."""
    along = (grad * u).sum(1, keepdim=True) * (lengths > _LEAST_LENGTH)
    return grad.sub_(along * u).div_(lengths)


class _Contrasts(torch.autograd.Function):
    @staticmethod
    def forward(ctx, left, right, negatives, scale, within, columns, normalize, reduction):
        n = left.shape[0]
        sets = [torch.cat([_wide(left), _wide(right)])] if within else [_wide(left), _wide(right)]
        if negatives is not None:
            sets.append(_wide(negatives))
        lengths = []
        if normalize:
            sets, lengths = zip(*map(_unit, sets), strict=True)
        u, v = (sets[0][:n], sets[0][n:]) if within else sets[:2]
        dots = u.to(torch.float64, copy=True).mul_(v).sum(1)
        others = None if within else sets[-1]
        sums = torch.ops.alphacl_fast.pair_log_sums(sets[0], others, scale, False, negatives is None, columns)
        rows, cols = sums
        x = (torch.stack(sums) if columns else rows.view(-1, n)) - scale * dots
        loss = torch.logaddexp(x, torch.zeros_like(x))
        loss = loss.mean(0) if columns else loss.reshape(-1)
        ctx.save_for_backward(left, right, negatives, scale, dots, x, rows, cols, *sets, *lengths)
        ctx.options = within, columns, len(sets), reduction
        if reduction != "none":
            loss = loss.mean() if reduction == "mean" else loss.sum()
        return loss.to(sets[0].dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        within, columns, count, reduction = ctx.options
        left, right, negatives, scale, dots, x, rows, cols, *others = ctx.saved_tensors
        sets, lengths = others[:count], others[count:]
        n = left.shape[0]
        weights = grad.to(torch.float64) / (rows.numel() if reduction == "mean" else 1)
        weights = torch.sigmoid(x) * (weights.reshape(-1, n) if reduction == "none" else weights)
        if columns:
            weights /= 2
        of_own = weights.sum(0)
        of_rows, of_cols = weights if columns else (weights.reshape(-1), cols)
        first, last, of_scale = torch.ops.alphacl_fast.pair_log_sums_backward(
            of_rows,
            of_cols,
            sets[0],
            None if within else sets[-1],
            scale,
            rows,
            cols,
            False,
            negatives is None,
            columns,
        )
        of_scale = of_scale - torch.dot(of_own, dots)
        own = (of_own * scale).to(first.dtype)[:, None]
        if within:
            grads = [first]
            first[:n].addcmul_(own, sets[0][n:], value=-1)
            first[n:].addcmul_(own, sets[0][:n], value=-1)
        else:
            grads = [first, last] if negatives is None else [first, torch.zeros_like(sets[1]), last]
            grads[0].addcmul_(own, sets[1], value=-1)
            grads[1].addcmul_(own, sets[0], value=-1)
        if lengths:
            grads = [_through_unit(*each) for each in zip(grads, sets, lengths, strict=True)]
        if within:
            grads = [first[:n], first[n:]]
        of_negatives = None if negatives is None else grads[2].to(negatives.dtype)
        of_features = grads[0].to(left.dtype), grads[1].to(right.dtype), of_negatives
        return *of_features, of_scale.to(scale.dtype), None, None, None, None


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
    """The loss of the pairs i, i of two sets (N, m); float32 of half precision.

    within : all 2N rows are anchors and everybody's others; else those of `left` are anchors, and `right` the others,
    or `negatives` (M, m) where they are given. columns : the mean with the loss whose anchors are the rows of `right`.
    """
    return _Contrasts.apply(left, right, negatives, scale_tensor(scale), within, columns, normalize, reduction)
