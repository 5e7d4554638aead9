"""The list of subjects: the name of a function, and what makes and judges a call of it."""

from . import covariance, eigenpairs, invalid, invalid_out, nodes, non_finite, operator_calls, pairs, several_eigenpairs
from .case import HAS_TORCH

SUBJECTS = {
    "contrastive_cov": covariance.contrastive_cov,
    "energy": covariance.energy,
    "over_both_views": covariance.over_both_views,
    "gated_outer": nodes.gated_outer,
    "gated_cov": nodes.gated_cov,
    "GatedCovariance": nodes.gated_covariance,
    "power_iteration": eigenpairs.power_iteration,
    "several_eigenpairs": several_eigenpairs.several_eigenpairs,
    "find_local_maxima": eigenpairs.find_local_maxima,
    "pair_log_sums": pairs.pair_log_sums,
    "pair_sums": pairs.pair_sums,
    "importances": operator_calls.importances,
    "non_finite": non_finite.non_finite,
}
SUBJECTS |= {f"invalid.{name}": subject for name, subject in (invalid.SUBJECTS | invalid_out.SUBJECTS).items()}
if HAS_TORCH:
    from . import family, invalid_operators, invalid_torch, operators, scores

    SUBJECTS |= {
        "gradient": covariance.gradient,
        "family": family.family,
        "alpha_cl_loss": family.alpha_cl_loss,
        "nt_xent": scores.nt_xent,
        "info_nce": scores.info_nce,
        "clip_loss": scores.clip_loss,
        "siglip_loss": scores.siglip_loss,
        "ops.pair_log_sums": operators.pair_log_sums,
        "ops.pair_sums": operators.pair_sums,
        "ops.sums_of_importances": operators.sums_of_importances,
    }
    SUBJECTS |= {
        f"invalid.{name}": subject for name, subject in (invalid_torch.SUBJECTS | invalid_operators.SUBJECTS).items()
    }
