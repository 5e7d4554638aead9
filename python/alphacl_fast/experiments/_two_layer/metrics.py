"""Whether nodes have become detectors of single tokens: χ₊ over the tokens that patterns use, χ₋ over all others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alphacl_fast.experiments._two_layer.data import WILDCARD


def chi(weights: np.ndarray, patterns: Sequence[Sequence[int]], linear: bool = False) -> tuple[float, float]:
    """(χ₊, χ₋), 1 where each token has a node of its own; weights: (K, M, T), of node m at location k.

    max_m w_kma/(‖w_km‖ + max(max|W_k|/1000, 1e-6)), or of |w_kma| for linear nodes, whose sign means nothing; the mean
    over tokens, then over locations. A location without such tokens is left out; NaN where all are.
    """
    used = _used(weights, patterns)
    weights = np.asarray(weights, np.float64)
    floor = np.maximum(np.abs(weights).max((1, 2)) / 1000, 1e-6)
    share = (np.abs(weights) if linear else weights) / (np.linalg.norm(weights, axis=2) + floor[:, None])[..., None]
    best = share.max(1)
    return _mean(best, used), _mean(best, ~used)


def _used(weights: np.ndarray, patterns: Sequence[Sequence[int]]) -> np.ndarray:
    """(K, T): whether some pattern has token a at location k."""
    table = np.asarray(patterns)
    used = np.zeros((weights.shape[0], weights.shape[2]), bool)
    row, k = np.nonzero(table != WILDCARD)
    used[k, table[row, k]] = True
    return used


def _mean(best: np.ndarray, which: np.ndarray) -> float:
    rows = [values[chosen].mean() for values, chosen in zip(best, which, strict=True) if chosen.any()]
    return float(np.mean(rows)) if rows else float("nan")
