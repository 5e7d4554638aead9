from __future__ import annotations

from typing import Any

from alphacl_fast._arrays import like, operand, refuse_grad, result
from alphacl_fast._backend import cpu
from alphacl_fast.importance import compile_for


def contrastive_cov(x: Any, x_aug: Any, alpha: Any = None, *, out: Any = None) -> Any:
    """C_α[x] = 1/(2N²) Σ_ij α_ij [(x_i − x_j)(x_i − x_j)ᵀ − (x_i − x'_i)(x_i − x'_i)ᵀ], the contrastive covariance.

    x, x_aug : (N, d) float32 or float64, two augmented views x and x' of N samples; numpy arrays or torch CPU tensors.
    alpha : an importance over the N samples, or an (N, N) array; None is uniform (α = 1).
    out : (d, d) C-contiguous array or tensor to write to; may overlap the inputs.

    Returns C, (d, d), of the inputs' kind and dtype, exactly symmetric, in the unit of x squared. The sum runs over all
    i and j; NaN in gives NaN out. Not differentiable: tensors that require grad are refused.

    Raises TypeError or ValueError naming the argument, what was expected and what came.
    Cost: 2Nd² multiply-adds for uniform α, N²d + 4Nd² for tiles; memory O(Nd + d²), never N².
    Source: poster, "contrastive covariance"; Laplacian form and shift: derived.
    """
    a, b = operand("x", x), operand("x_aug", x_aug)
    like(b, a)
    refuse_grad("contrastive_cov", a, b)
    answer, array = result((a.shape[1],) * 2, a, out)
    cpu().contrastive_cov(a.array, b.array, compile_for("contrastive_cov", alpha, a), array)
    return answer
