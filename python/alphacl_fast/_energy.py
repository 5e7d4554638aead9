"""energy: checks and one compiled call; under torch its differentiable operator."""

from __future__ import annotations

from typing import Any

import numpy as np

from alphacl_fast._arrays import empty, is_traced, like, operand, result
from alphacl_fast._backend import backend_for
from alphacl_fast._optional import torch_ops as _torch_ops
from alphacl_fast.importance import check, compile_for, over_both_views


def energy(f: Any, f_aug: Any, alpha: Any = None) -> Any:
    """E_α = ½ tr C_α[f] = 1/(4N²) Σ_ij α_ij [‖f_i − f_j‖² − ‖f_i − f'_i‖²], without forming C.

    f, f_aug : (N, m) float32 or float64, the outputs for two augmented views; numpy arrays or torch CPU tensors.
    alpha : an importance over the N samples, or an (N, N) array; None is uniform (α = 1). One over both views, as
    ``Direct(z, normalize="both", features_aug=z_aug)``, means E of the 2N samples (f; f') with other views (f'; f).

    Returns a scalar of the inputs' kind and dtype (a numpy scalar or a 0-d tensor), in the unit of f squared; training
    in α-CL maximises it. NaN in gives NaN out. Differentiable once in torch (backward) with respect to f, f_aug; α is
    a constant there (stop gradient), and tensors in it that require grad are refused.

    Raises TypeError or ValueError naming the argument, what was expected and what came.
    Cost: O(Nm) for uniform α, N²m multiply-adds for tiles, up to a second or two more where digits cancel
    (docs/importances.md); memory O(Nm). Source: poster, "α-CL".
    """
    f, f_aug = over_both_views(alpha, f, f_aug)
    if is_traced(f):
        return _torch_ops().energy(f, f_aug, alpha)
    a, b = operand("f", f), operand("f_aug", f_aug)
    like(b, a)
    if a.requires_grad or b.requires_grad:
        check("energy", alpha, a)
        return _torch_ops().energy(f, f_aug, alpha)
    value = empty((1,), np.float64, a)
    backend_for(a).energy(a.array, b.array, compile_for("energy", alpha, a), value)
    answer, array = result((), a)
    with np.errstate(over="ignore"):  # a value beyond float32 is inf, as a sum of the inputs would be
        array[...] = value[0]
    return answer if a.is_torch else array[()]
