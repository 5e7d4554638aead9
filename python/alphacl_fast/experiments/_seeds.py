"""Verdicts over seeds: a mean in units of its standard error; climbs of which some have not ended."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from alphacl_fast import theory

MARGIN = 2  # standard errors that a difference has to be from 0


def in_standard_errors(differences: Any, other: float = 0.0) -> float | None:
    """mean/√(s²/R + other²) of R values, one per seed; None where R < 2, of which s is not known.

    other : a standard error that all seeds share, as that of the images which they are tested with.
    """
    values = np.asarray(differences, np.float64)
    if len(values) < 2:
        return None
    error = math.hypot(values.std(ddof=1) / math.sqrt(len(values)), other)
    return float(values.mean() / max(error, 1e-12))


def converged_alone(ends: theory.LocalMaxima) -> theory.LocalMaxima:
    """The same with group −1 for nodes that have not converged, groups counted anew: a node under way is no maximum."""
    kept = np.where(ends.converged, ends.group, -1)
    names = np.unique(kept[kept >= 0])
    return ends._replace(group=np.where(kept >= 0, np.searchsorted(names, kept), -1))
