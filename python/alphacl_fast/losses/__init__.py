"""Contrastive losses over all pairs of a batch, in torch, in memory linear in N.

The eight losses of P1 (arXiv 2201.12680), each ``L_i = φ(ξ_i)`` with ``ξ_i = Σ_{j≠i} ψ(d_i² − d_ij²)``,
``d_ij² = ½‖z_i − z_j‖²`` and ``d_i² = ½‖z_i − z'_i‖²``, and the losses that practitioners use: ``nt_xent``,
``info_nce``, ``clip_loss``, ``siglip_loss``. Features are float32 or float64; bfloat16 and float16 are accepted,
computed and returned in float32, under autocast too. Values and gradients take O(N m) memory and, of
``nt_xent``, ``info_nce`` and ``clip_loss``, the scores that ``set_score_budget`` allows. Losses are differentiable
once, in reverse: a second derivative, a forward-mode tangent and the transforms of torch.func are refused with an
error.

Temperatures, ``logit_scale`` and ``logit_bias`` are numbers or scalar tensors, which may require grad. Their type and
shape are always checked, their values (finite, a temperature positive) where that makes no device wait: of numbers and
of plain CPU tensors, not while torch.compile is tracing.
"""

from alphacl_fast.losses.family import (
    MINE,
    AlphaCLLoss,
    InfoNCE,
    LiftedStructured,
    ModifiedTriplet,
    NTuplet,
    Quadratic,
    SoftTriplet,
    Triplet,
    alpha_cl_loss,
)
from alphacl_fast.losses.practice import (
    ClipLoss,
    InfoNCELoss,
    NTXentLoss,
    SigLIPLoss,
    clip_loss,
    info_nce,
    nt_xent,
    set_score_budget,
    siglip_loss,
)

__all__ = [
    "MINE",
    "AlphaCLLoss",
    "ClipLoss",
    "InfoNCE",
    "InfoNCELoss",
    "LiftedStructured",
    "ModifiedTriplet",
    "NTXentLoss",
    "NTuplet",
    "Quadratic",
    "SigLIPLoss",
    "SoftTriplet",
    "Triplet",
    "alpha_cl_loss",
    "clip_loss",
    "info_nce",
    "nt_xent",
    "set_score_budget",
    "siglip_loss",
]
