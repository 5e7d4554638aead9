"""The operators that torch knows: `torch.ops.alphacl_fast.*`, and the derivatives of what they compute.

Imported only where torch is there. Scores and their sums are compiled code; what is saved for backward is the features,
a few numbers per sample and, within a budget, the scores of small batches. Derivatives are themselves not
differentiable.

An operator checks all that it reads, since anybody may call it; its fake, which torch.compile asks for shapes, makes
the same checks. They look at shapes, dtypes and devices alone, which a fake has too.
"""

from alphacl_fast._torch.contrasts import contrasts, set_score_budget
from alphacl_fast._torch.eigenvalues import top_eigenvalues
from alphacl_fast._torch.pair_sums import pair_log_sums, pair_sums
from alphacl_fast._torch.sums import contrastive_cov, energy

__all__ = [
    "contrastive_cov",
    "contrasts",
    "energy",
    "pair_log_sums",
    "pair_sums",
    "set_score_budget",
    "top_eigenvalues",
]
