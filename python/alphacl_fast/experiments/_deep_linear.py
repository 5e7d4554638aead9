"""A deep linear network, W = W_L … W_1 with ‖W_l‖_F = 1, that climbs E = ½ tr(W C Wᵀ)."""

from __future__ import annotations

import functools

import numpy as np

WIDTH = 6


def start(depth: int, d: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Layers (WIDTH, d), (WIDTH, WIDTH), …, at random."""
    return [_unit(rng.standard_normal((WIDTH, d if k == 0 else WIDTH))) for k in range(depth)]


def product(layers: list[np.ndarray], columns: int) -> np.ndarray:
    """The last layer times … times the first; the identity of no layers."""
    return functools.reduce(lambda done, layer: layer @ done, layers, np.eye(columns))


def climb(layers: list[np.ndarray], cov: np.ndarray) -> list[np.ndarray]:
    """One step of each layer in turn, W_l ← W_l + ∂E/∂W_l / ‖·‖, brought to length 1: E does not fall where C ⪰ 0."""
    layers = list(layers)
    for k in range(len(layers)):
        below = product(layers[:k], len(cov))
        above = product(layers[k + 1 :], WIDTH)
        slope = above.T @ above @ layers[k] @ below @ cov @ below.T
        layers[k] = _unit(layers[k] + _unit(slope))
    return layers


def _unit(w: np.ndarray) -> np.ndarray:
    return w / np.linalg.norm(w)
