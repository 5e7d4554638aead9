"""Sums over all pairs of samples for contrastive learning: compiled, without an N x N array.

``contrastive_cov`` and ``energy`` compute the contrastive covariance and its trace for any pairwise importance of
``alphacl_fast.importance``. numpy arrays in give numpy arrays out, torch tensors in give torch tensors out.
"""

import importlib as _importlib
from types import ModuleType as _ModuleType

from alphacl_fast import activations, importance, reference, theory
from alphacl_fast._contrastive_cov import contrastive_cov
from alphacl_fast._cpu import build_info as _build_info
from alphacl_fast._energy import energy
from alphacl_fast._gated import GatedCovariance, gated_cov, gated_outer
from alphacl_fast._power_iteration import TopEigenpairs, power_iteration
from alphacl_fast.activations import LeakyReLU, Monomial
from alphacl_fast.importance import Dense, Direct, Gaussian, LowRank, NodeGaussian, SquareRegularized, Uniform

__version__: str = _build_info()["version"]

__all__ = [
    "Dense",
    "Direct",
    "GatedCovariance",
    "Gaussian",
    "LeakyReLU",
    "LowRank",
    "Monomial",
    "NodeGaussian",
    "SquareRegularized",
    "TopEigenpairs",
    "Uniform",
    "__version__",
    "activations",
    "contrastive_cov",
    "energy",
    "gated_cov",
    "gated_outer",
    "importance",
    "losses",
    "power_iteration",
    "reference",
    "theory",
]


def __getattr__(name: str) -> _ModuleType:
    # The losses import torch: only when they are asked for.
    if name == "losses":
        return _importlib.import_module("alphacl_fast.losses")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
