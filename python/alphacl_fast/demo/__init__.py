"""`alphacl-fast demo`: what is learned from real images: contrastive covariances, patterns of nodes, a picture.

A direction that augmentation changes is subtracted from C_α, so the leading eigenvectors are patterns that survive it.
A Gaussian importance counts only pairs whose features are alike: the pattern that the features measure steps back,
and others lead.
"""

from alphacl_fast.demo._command import add_arguments, run

__all__ = ["add_arguments", "run"]
