"""The top eigenvalues of a contrastive covariance, with their derivatives."""

from __future__ import annotations

from typing import Any

import torch

from alphacl_fast._power_iteration import power_iteration
from alphacl_fast._torch.once import once_differentiable
from alphacl_fast._torch.sums import constant_importance, run_contrastive_cov, run_laplacian_along

_TOL = 1e-12  # of the eigenvectors of C in float64: a gradient is as exact as they are


class _TopEigenvalues(torch.autograd.Function):
    """λ_j of C_α[x]; ∂λ_j = v_jᵀ dC v_j is twice the derivative of the energy of the scalar feature v_j · x."""

    @staticmethod
    def forward(ctx, x, x_aug, count, kind, numbers, *tensors):
        c = run_contrastive_cov(x, x_aug, kind, tensors, numbers)
        found = power_iteration(c.double(), k=count, tol=_TOL)
        vectors = found.eigenvector.reshape(count, -1).to(x.dtype)
        ctx.save_for_backward(x, x_aug, vectors, *tensors)
        ctx.alpha = kind, numbers
        return found.eigenvalue.reshape(count).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        x, x_aug, vectors, *tensors = ctx.saved_tensors
        kind, numbers = ctx.alpha
        scale = 1 / x.shape[0] ** 2

        def along(weights):
            return run_laplacian_along(x, x_aug, vectors, weights, kind, tensors, numbers)

        if torch._C._functorch.is_legacy_batchedtensor(grad):  # is_grads_batched, which operators with lists refuse
            of_each = [along(scale * row) for row in torch.eye(len(vectors), dtype=torch.float64, device=x.device)]
            views = (sum(g * part for g, part in zip(grad, parts, strict=True)) for parts in zip(*of_each, strict=True))
        else:
            views = along(scale * grad.double())
        return *views, None, None, None, *(None for _ in tensors)


def top_eigenvalues(x: torch.Tensor, x_aug: torch.Tensor, alpha: Any, count: int, function: str) -> torch.Tensor:
    """The `count` largest eigenvalues of C_α[x], with their derivative with respect to x and x_aug, α constant."""
    kind, tensors, numbers = constant_importance(alpha, "x", x, function)
    return _TopEigenvalues.apply(x, x_aug, count, kind, numbers, *tensors)
