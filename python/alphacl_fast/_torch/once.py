"""Derivatives that are not differentiable themselves, and say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class _SecondDerivative(torch.autograd.Function):
    """Passes gradients on and refuses to be differentiated."""

    @staticmethod
    def forward(ctx, anchor, *gradients):
        return gradients

    @staticmethod
    def backward(ctx, *grads):
        raise RuntimeError(
            "alphacl_fast: contrastive_cov, energy and the losses are differentiable once; "
            "their gradients have no derivative of their own (create_graph=True)"
        )


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """As torch's, but also where the incoming gradient is a constant: there torch's would give zeros in silence."""

    def once(ctx, *grads):
        if not torch.is_grad_enabled():
            return backward(ctx, *grads)
        with torch.no_grad():
            gradients = backward(ctx, *grads)
        if torch.compiler.is_compiling():
            return gradients
        anchor = next(t for t in (*grads, *ctx.saved_tensors) if t is not None and t.requires_grad)
        there = [k for k, g in enumerate(gradients) if g is not None]
        refused = iter(_SecondDerivative.apply(anchor, *(gradients[k] for k in there)))
        return tuple(next(refused) if k in there else None for k in range(len(gradients)))

    return once
