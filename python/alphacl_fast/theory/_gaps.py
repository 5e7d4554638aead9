"""The gap between the eigenvalue of a node and the next of its matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from alphacl_fast._arrays import empty, from_host, on_host
from alphacl_fast._gated import GatedCovariance

# Of ‖A‖: to what gaps are known, and where a climb ends.
DEFAULT_TOL = {np.dtype(np.float32): 1e-4, np.dtype(np.float64): 1e-8}


def eigenvalue_gaps(
    layer: GatedCovariance, w: Any, values: np.ndarray, residuals: np.ndarray, tol: float, max_iter: int, seed: int
) -> Any:
    """λ minus the largest eigenvalue of PAP on the complement of w, P = I − wwᵀ; NaN where that has not converged."""
    x, count = layer._x, len(w)
    second, found = empty((count,), x.dtype, x), empty((count,), np.bool_, x)
    sizes = from_host(np.hypot(values, residuals), x)
    layer._operator.top_eigenvalue_apart(w, sizes, tol, max_iter, seed, second, found)
    gaps = np.where(on_host(found), values - on_host(second), np.nan)
    return from_host(gaps.astype(x.dtype, copy=False), x)
