"""contrastive_cov: checks, the result array, one compiled call; under torch its differentiable operator."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from alphacl_fast._arrays import Operand, empty, given_back, is_traced, like, operand, refuse_grad, result
from alphacl_fast._backend import backend_for
from alphacl_fast._optional import torch_ops as _torch_ops
from alphacl_fast._parts import Csr
from alphacl_fast.importance import Sparse, check, compile_for, over_both_views


def contrastive_cov(x: Any, x_aug: Any, alpha: Any = None, *, out: Any = None, parts: bool = False) -> Any:
    """C_α[x] = 1/(2N²) Σ_ij α_ij [(x_i − x_j)(x_i − x_j)ᵀ − (x_i − x'_i)(x_i − x'_i)ᵀ], the contrastive covariance.

    x, x_aug : (N, d) float32 or float64, two augmented views x and x' of N samples; numpy arrays or torch CPU tensors.
    alpha : an importance over the N samples, or an (N, N) array; None is uniform (α = 1). One over both views, as
    ``Direct(z, normalize="both", features_aug=z_aug)``, means C of the 2N samples (x; x') with other views (x'; x).
    out : (d, d) C-contiguous array or tensor to write to; may overlap the inputs.
    parts : return (inter, intra), the two sums of C = inter − intra: over pairs of samples, and over pairs of views.

    Returns C, (d, d), of the inputs' kind and dtype, exactly symmetric, in the unit of x squared. The sum runs over all
    i and j; NaN in gives NaN out. Differentiable once in torch with respect to x and x_aug; α is a constant there
    (stop gradient), and tensors in it that require grad are refused; the same for each part.

    Raises TypeError or ValueError naming the argument, what was expected and what came.
    Cost: 2Nd² multiply-adds for uniform α, N²d + 4Nd² for tiles, up to a second or two more where digits cancel
    (docs/importances.md); memory O(Nd + d²), never N².
    Source: poster, "contrastive covariance"; Laplacian form and shift: derived.
    """
    x, x_aug = over_both_views(alpha, x, x_aug)
    if parts:
        if out is not None or is_traced(x):
            got = "out=" if out is not None else "True under torch.compile"
            raise TypeError(f"parts: expected False, or a call without out= and torch.compile, got {got}")
        return _parts(x, x_aug, alpha)
    if is_traced(x):
        if out is not None:
            raise TypeError(
                "out: expected None under torch.compile, where the result is new memory, got one to write to"
            )
        return _torch_ops().contrastive_cov(x, x_aug, alpha)
    a, b = operand("x", x), operand("x_aug", x_aug)
    like(b, a)
    if out is not None:
        refuse_grad("contrastive_cov(out=...)", a, b)
    elif a.requires_grad or b.requires_grad:
        check("contrastive_cov", alpha, a)
        return _torch_ops().contrastive_cov(x, x_aug, alpha)
    answer, array = result((a.shape[1],) * 2, a, out)
    backend_for(a).contrastive_cov(a.array, b.array, compile_for("contrastive_cov", alpha, a), array)
    return answer


def _parts(x: Any, x_aug: Any, alpha: Any) -> tuple[Any, Any]:
    """Both sums as covariances: where x' is x there is no other, and diag(r) joins no two samples."""
    a = operand("x", x)
    like(operand("x_aug", x_aug), a)
    found, data = check("contrastive_cov", alpha, a)
    rows = _diagonal(found._compile(data), a)
    return contrastive_cov(x, x, alpha), 0 - contrastive_cov(x, x_aug, rows)


def _diagonal(alpha: Any, x: Operand) -> Sparse:
    """diag(r), r the row sums of a compiled importance."""
    n = x.shape[0]
    wide = empty((n,), np.float64, x)
    alpha.row_sums(wide)
    sums, lines = empty((n,), x.dtype, x), empty((n + 1,), np.int64, x)
    with np.errstate(over="ignore"):
        sums[...] = wide
    lines[...] = sys.modules["torch"].arange(n + 1) if x.device != "cpu" else np.arange(n + 1)
    starts, columns, values = (given_back(part, x.is_torch) for part in (lines, lines[:-1], sums))
    return Sparse(Csr(starts, columns, values))
