"""Sums over all pairs of samples for contrastive learning: compiled, without an N x N array.

``contrastive_cov`` and ``energy`` compute the contrastive covariance and its trace for any pairwise importance of
``alphacl_fast.importance``. numpy arrays in give numpy arrays out, torch tensors in give torch tensors out.
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from alphacl_fast import activations, datasets, experiments, importance, reference, theory
from alphacl_fast._backend import build_info as _build_info
from alphacl_fast._contrastive_cov import contrastive_cov
from alphacl_fast._energy import energy
from alphacl_fast._gated import GatedCovariance, gated_cov, gated_outer
from alphacl_fast._optional import losses as _losses
from alphacl_fast._power_iteration import TopEigenpairs, power_iteration
from alphacl_fast._threads import get_num_threads, set_num_threads
from alphacl_fast.activations import LeakyReLU, Monomial
from alphacl_fast.importance import (
    Dense,
    Direct,
    Gaussian,
    InverseDistance,
    Labels,
    LowRank,
    NodeGaussian,
    Sparse,
    SquareRegularized,
    Uniform,
)

if _TYPE_CHECKING:
    from alphacl_fast import losses

__version__: str = _build_info()["version"]

__all__ = [
    "Dense",
    "Direct",
    "GatedCovariance",
    "Gaussian",
    "InverseDistance",
    "Labels",
    "LeakyReLU",
    "LowRank",
    "Monomial",
    "NodeGaussian",
    "Sparse",
    "SquareRegularized",
    "TopEigenpairs",
    "Uniform",
    "__version__",
    "activations",
    "contrastive_cov",
    "datasets",
    "energy",
    "experiments",
    "gated_cov",
    "gated_outer",
    "get_num_threads",
    "importance",
    "losses",
    "power_iteration",
    "reference",
    "set_num_threads",
    "theory",
]


def __getattr__(name: str) -> _Any:
    if name == "losses":
        return _losses()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "losses"})
