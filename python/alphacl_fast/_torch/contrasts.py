"""A whole loss −log [e^own / (e^own + Σ e^others)] as one node of torch's graph, for losses of small batches too.

Rows u_i of up to three sets, normalised on the way in if asked for. The own score of pair i is scale · u_i·partner_i,
and x_i = log Σ_j e^{scale · u_i·u_j} − own_i over the others j. The loss is log(1 + e^x), which keeps the digits of a
small one. With w_i the derivative with respect to the x_i of both partners, summed,

    ∂/∂u_i = (gradient of the log-sums) − w_i · scale · partner_i,    ∂/∂f = (g − (g·u) u)/‖f‖ for g = ∂/∂u, u = f/‖f‖.
"""

from __future__ import annotations

from typing import Any

import torch

from alphacl_fast._torch.once import once_differentiable
from alphacl_fast._torch.pair_sums import scale_tensor

_LEAST_LENGTH = 1e-12  # torch.nn.functional.normalize's


def log_one_plus_exp(x: torch.Tensor) -> torch.Tensor:
    return torch.logaddexp(x, torch.zeros_like(x))


def _unit(f):
    """The rows over their lengths, and the lengths."""
    lengths = torch.linalg.vector_norm(f, dim=1, keepdim=True).clamp_min_(_LEAST_LENGTH)
    return f / lengths, lengths


def _through_unit(grad, u, lengths):
    """The gradient with respect to the rows that became u, in memory of its own."""
    along = (grad * u).sum(1, keepdim=True) * (lengths > _LEAST_LENGTH)
    return (grad - along * u).div_(lengths)


class _Contrasts(torch.autograd.Function):
    @staticmethod
    def forward(ctx, left, right, negatives, scale, within, columns, normalize, reduction):
        n = left.shape[0]
        sets = [torch.cat([left, right])] if within else [f for f in (left, right, negatives) if f is not None]
        lengths = []
        if normalize:
            sets, lengths = zip(*map(_unit, sets), strict=True)
        mine, partner = (sets[0][:n], sets[0][n:]) if within else sets[:2]
        dots = mine.to(torch.float64, copy=True).mul_(partner).sum(1)
        rows, cols = torch.ops.alphacl_fast.pair_log_sums(
            sets[0], None if within else sets[-1], scale, False, negatives is None, columns
        )
        x = (torch.stack([rows, cols]) if columns else rows.view(-1, n)) - scale * dots
        loss = log_one_plus_exp(x).mean(0) if columns else log_one_plus_exp(x.reshape(-1))
        # What a second derivative is refused over: an input that requires grad.
        anchor = next((f for f in (scale, left, right, negatives) if f is not None and f.requires_grad), None)
        ctx.save_for_backward(anchor, scale, dots, x, rows, cols, *sets, *lengths)
        ctx.options = within, columns, negatives is not None, len(sets), reduction
        if reduction != "none":
            loss = loss.mean() if reduction == "mean" else loss.sum()
        return loss.to(left.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        within, columns, has_negatives, count, reduction = ctx.options
        _, scale, dots, x, rows, cols, *rest = ctx.saved_tensors
        sets, lengths = rest[:count], rest[count:]
        n = dots.shape[0]
        weights = grad.to(torch.float64) / (rows.numel() if reduction == "mean" else 1)
        weights = torch.sigmoid(x) * (weights.reshape(-1, n) if reduction == "none" else weights)
        if columns:
            weights /= 2
        of_pairs = weights.sum(0)
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
            not has_negatives,
            columns,
        )
        of_scale = (of_scale - torch.dot(of_pairs, dots)).to(scale.dtype)
        own = (of_pairs * scale).to(first.dtype)[:, None]

        def of_features(k, grad):
            return _through_unit(grad, sets[k], lengths[k]) if lengths else grad

        if within:
            first[:n].addcmul_(own, sets[0][n:], value=-1)
            first[n:].addcmul_(own, sets[0][:n], value=-1)
            both = of_features(0, first)
            return both[:n].clone(), both[n:].clone(), None, of_scale, None, None, None, None
        wanted = ctx.needs_input_grad
        of_left = of_features(0, first.addcmul_(own, sets[1], value=-1)) if wanted[0] else None
        of_right = of_negatives = None
        if wanted[1]:
            of_right = of_features(1, -own * sets[0] if has_negatives else last.addcmul_(own, sets[0], value=-1))
        if wanted[2]:
            of_negatives = of_features(2, last)
        return of_left, of_right, of_negatives, of_scale, None, None, None, None


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
    return _Contrasts.apply(left, right, negatives, scale_tensor(scale), within, columns, normalize, reduction)
