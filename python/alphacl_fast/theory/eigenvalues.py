"""λ_max and the spectral gap of a contrastive covariance, with derivatives in torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from alphacl_fast._arrays import like, operand
from alphacl_fast._contrastive_cov import contrastive_cov
from alphacl_fast._optional import torch_ops
from alphacl_fast._power_iteration import power_iteration
from alphacl_fast.importance import check

__all__ = ["spectral_gap", "top_eigenvalue"]


def top_eigenvalue(x: Any, x_aug: Any, alpha: Any = None) -> Any:
    """λ_max(C_α[x]), the largest algebraic eigenvalue; ∂λ = vᵀ dC v = 2 dE_α[v · x], with v its eigenvector.

    x, x_aug : (N, d) float32 or float64, two augmented views. alpha : as for ``contrastive_cov``.

    Returns a scalar of the inputs' kind and dtype. Differentiable once in torch (backward) with respect to x and x_aug;
    α is a constant there (stop gradient). Where λ_max is a multiple eigenvalue it has no derivative: what comes out
    is that along one of its eigenvectors. NaN in gives NaN out.
    Raises TypeError or ValueError naming the argument, what was expected and what came.
    Cost: forward that of C_α and some dozens of products with it, d² each. Backward 4Nd multiply-adds beside the
    Laplacian of α applied to one column: O(N) for uniform α, Np for rank p, and the entries of α for tiles, N²m/2 with
    as many exponentials as C_α, which takes N²(m + d)/2 + 2Nd² multiply-adds. Measured on two cores, over the
    time to form C_α: 0.4 to 0.5 for d = 256, 0.7 to 1.1 for d = 64, 0.9 to 1.2 for d = 8 and 16. Where that time is
    below 2 ms, up to twice it: torch's call of a derivative takes 0.1 ms, and what it writes is as large as the data.
    Source: the derivative of a simple eigenvalue (Hellmann–Feynman); as an energy: derived.
    """
    return _top("top_eigenvalue", x, x_aug, alpha, 1)[0]


def spectral_gap(x: Any, x_aug: Any, alpha: Any = None) -> Any:
    """λ_1 − λ_2 of C_α[x], its two largest eigenvalues; its derivative is the difference of theirs.

    Arguments, result, errors and cost as for ``top_eigenvalue``, with two columns in place of one; d ≥ 2.
    """
    a = operand("x", x)
    if a.shape[1] < 2:
        raise ValueError(f"x: expected at least two features, got shape {a.shape}")
    first, second = _top("spectral_gap", x, x_aug, alpha, 2)
    return abs(first - second)  # a double eigenvalue may come in either order


def _top(function: str, x: Any, x_aug: Any, alpha: Any, count: int) -> Any:
    a, b = operand("x", x, columns="feature"), operand("x_aug", x_aug)
    like(b, a)
    check(function, alpha, a)
    if a.is_torch:
        return torch_ops().top_eigenvalues(x, x_aug, alpha, count, function)
    found = power_iteration(contrastive_cov(x, x_aug, alpha).astype(np.float64), k=count, tol=1e-12)
    return found.eigenvalue.reshape(count).astype(a.dtype)
