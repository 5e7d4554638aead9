"""The top eigenvalues of a contrastive covariance, with their derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from alphacl_fast._backend import is_in_host_memory
from alphacl_fast._power_iteration import power_iteration
from alphacl_fast._torch.once import once_differentiable
from alphacl_fast._torch.sums import constant_importance, product
from alphacl_fast._torch.tensors import dtype_name

_TOL = 1e-12  # of the eigenvectors of C in float64: a gradient is as exact as they are
_BLOCK = 2**18  # numbers of a block of rows, whose differences from the mean stay in the cache


def _projected(x: torch.Tensor, mean: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """(x − mean) vectorsᵀ."""
    rows = max(1, _BLOCK // x.shape[1])
    if len(x) <= rows or not is_in_host_memory(x):
        return product(x - mean, vectors.mT)
    projected, block = x.new_empty(x.shape[0], len(vectors)), x.new_empty(rows, x.shape[1])
    for view, out in zip(x.split(rows), projected.split(rows), strict=True):
        torch.mm(torch.sub(view, mean, out=block[: len(view)]), vectors.mT, out=out)
    return projected


def _outer(columns: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """columns · rows, a few of each."""
    if not is_in_host_memory(columns):
        return product(columns, rows)
    multiply = torch.mul if len(rows) == 1 else torch.mm
    # NumPy asks the system for large pages, torch does not: the first touch of small ones costs more than the product.
    memory = np.empty((columns.shape[0], rows.shape[1]), dtype_name(columns.dtype))
    try:
        return multiply(columns, rows, out=torch.from_numpy(memory))
    except RuntimeError:  # vmap: torch cannot write a batch of products into memory of ours
        return multiply(columns, rows)


class _TopEigenvalues(torch.autograd.Function):
    """λ_j of C_α[x]; ∂λ_j = v_jᵀ dC v_j is twice the derivative of the energy of the scalar feature v_j · x."""

    @staticmethod
    def forward(ctx, x, x_aug, count, kind, numbers, *tensors):
        c = torch.ops.alphacl_fast.contrastive_cov(x, x_aug, kind, tensors, numbers)
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
        # C depends on differences only; features with a mean would lose digits. That of a thousand rows will do.
        mean = x[:: max(1, len(x) // 1024)].mean(0)
        features, features_aug = (_projected(view, mean, vectors) for view in (x, x_aug))
        inter, intra = torch.ops.alphacl_fast.laplacian(features, features_aug, kind, tensors, numbers)
        scaled = grad[:, None] * vectors / x.shape[0] ** 2
        return _outer(inter, scaled), _outer(intra, scaled), None, None, None, *(None for _ in tensors)


def top_eigenvalues(x: torch.Tensor, x_aug: torch.Tensor, alpha: Any, count: int, function: str) -> torch.Tensor:
    """The `count` largest eigenvalues of C_α[x], with their derivative with respect to x and x_aug, α constant."""
    kind, tensors, numbers = constant_importance(alpha, "x", x, function)
    return _TopEigenvalues.apply(x, x_aug, count, kind, numbers, *tensors)
