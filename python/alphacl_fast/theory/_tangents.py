"""The largest value over the directions t ⊥ w of each node: what roughness and curvature have in common.

Both come from an image of t that is linear in t up to the finite radius: a basis of tangents is grown from images of
tangents, the best combination follows from a small matrix, and the true value is then raised around the best.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from alphacl_fast._arrays import Operand, from_host, given_back, on_host, operand, positive
from alphacl_fast._gated import GatedCovariance, checked_layer
from alphacl_fast._power_iteration import at_least
from alphacl_fast.importance import NodeGaussian

BLOCK = 4  # directions of a node that are tried together
ASCENTS = 4  # rounds around the best direction

Array = np.ndarray


class Nearby:
    """A(v)w of nodes w for v at the angle `radius` from w, by products alone, on float64 arrays of the host."""

    def __init__(
        self, x: Any, x_aug: Any, weights: Array, activation: Any, alpha: Any, radius: float, frozen: bool
    ) -> None:
        self.weights = weights
        self._angle = radius
        self._model = operand("x", x)
        self._nodes = self._given(np.repeat(weights, BLOCK, axis=0))
        at = self._nodes if frozen and isinstance(alpha, NodeGaussian) else None
        self._layer = GatedCovariance(x, x_aug, self._nodes, activation=activation, alpha=alpha, alpha_weights=at)
        self.here = self.product(np.repeat(weights[:, None], BLOCK, axis=1))

    def product(self, t: Array) -> Array:
        """A(w) t."""
        return self._host(self._layer.matmul(self._given(t.reshape(-1, t.shape[-1])))).reshape(t.shape)

    def difference(self, t: Array) -> Array:
        """(A(v) − A(w)) w / ‖v − w‖ for v = cos(radius) w + sin(radius) t, t: (K, BLOCK, d) unit tangents."""
        v = np.cos(self._angle) * self.weights[:, None] + np.sin(self._angle) * t
        layer = self._layer.with_weights(self._given(v.reshape(-1, t.shape[-1])))
        moved = self._host(layer.matmul(self._nodes)).reshape(t.shape)
        return (moved - self.here) / (2 * np.sin(self._angle / 2))

    def derivative(self, t: Array) -> Array:
        """M t = ∂_v[A(v)w] t, by the central difference over the radius."""
        return (self.difference(t) - self.difference(-t)) / (2 * np.cos(self._angle / 2))

    def _given(self, a: Array) -> Any:
        return given(a, self._model)

    @staticmethod
    def _host(a: Any) -> Array:
        return on_host(operand("product", a).array).astype(np.float64)


def given(a: Array, model: Operand) -> Any:
    """An array of the host as a caller of the kind of `model` passes it."""
    return given_back(from_host(a.astype(model.dtype), model), model.is_torch)


def checked_search(
    function: str, x: Any, x_aug: Any, weights: Any, activation: Any, radius: Any, directions: Any, seed: Any
) -> tuple[Operand, Array, float, int, int]:
    """What a search around nodes takes, checked: x, the nodes at length 1, radius, directions and seed."""
    a, _, w, _, _ = checked_layer(function, x, x_aug, weights, activation)
    angle = positive("radius", radius)
    if angle > math.pi / 2:
        raise ValueError(f"radius: expected an angle up to π/2, got {angle}")
    return a, unit_nodes(w), angle, at_least("directions", directions, 1), at_least("seed", seed, 0)


def unit_nodes(weights: Operand) -> Array:
    """(K, d) float64, each row with length 1."""
    rows = on_host(weights.array).astype(np.float64)
    if not (np.isfinite(rows).all() and rows.any(axis=1).all()):
        raise ValueError(f"{weights.name}: expected finite vectors other than 0")
    rows = rows / np.abs(rows).max(axis=1, keepdims=True)  # no square overflows
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def largest_over_tangents(
    w: Array,
    image: Callable[[Array], Array],
    value: Callable[[Array, Array], Array],
    small: Callable[[Array, Array], Array],
    uphill: Callable[[Array, Array, Array], Array],
    directions: int,
    seed: int,
) -> Array:
    """(K,) the largest value(t, image(t)) found over unit t ⊥ w; NaN where an image is not finite.

    image: (K, BLOCK, d) → the same. small: a basis (K, s, d) and its images → (K, s, s), the quadratic form of
    combinations where the image is linear. uphill: (basis, images, image of t) → (K, d), a direction of ascent.
    """
    count, d = w.shape
    dimension = min(d - 1, directions)
    rng = np.random.default_rng(seed)
    best = _Best(count, d, image, value)
    basis = images = np.empty((count, 0, d))
    block = rng.standard_normal((count, BLOCK, d))
    while basis.shape[1] < dimension:
        fresh = _orthonormal(block, basis, w, rng)[:, : dimension - basis.shape[1]]
        # Always BLOCK directions, for which the layer is made; −t is another one.
        spare = -fresh[:, :1].repeat(BLOCK - fresh.shape[1], axis=1)
        block = best.tried(np.concatenate([fresh, spare], axis=1))
        basis = np.concatenate([basis, fresh], axis=1)
        images = np.concatenate([images, block[:, : fresh.shape[1]]], axis=1)
    if d == 2:
        return best.result()  # t and −t are all there are
    vectors = np.linalg.eigh(small(basis, images))[1][:, :, ::-1]
    top = np.einsum("ksr,ksd->krd", vectors[:, :, np.arange(BLOCK // 2) % dimension], basis)
    best.tried(np.concatenate([top, -top], axis=1))
    for ascent in range(ASCENTS):
        across = _apart(uphill(basis, images, best.image), np.stack([w, best.tangent], axis=1))
        lost = np.linalg.norm(across, axis=1, keepdims=True) < 1e-6  # at the top, where only rounding is left
        steps = 2.0 ** -np.arange(BLOCK)[:, None] / (1 + ascent)
        best.tried(_unit(best.tangent[:, None] + steps * np.where(lost, 0, _unit(across))[:, None]))
    return best.result()


class _Best:
    """The best direction of each node so far, its image and its value."""

    def __init__(self, count: int, d: int, image: Callable[[Array], Array], value: Callable[[Array, Array], Array]):
        self._image, self._value = image, value
        self.tangent, self.image = np.zeros((count, d)), np.zeros((count, d))
        self.value = np.full(count, -np.inf)
        self.finite = np.ones(count, bool)

    def result(self) -> Array:
        return np.where(self.finite, self.value, np.nan)

    def tried(self, t: Array) -> Array:
        """The images of (K, R, d) directions, which are kept where they are better."""
        images = self._image(t)
        finite = np.isfinite(images).all(axis=(1, 2))
        self.finite &= finite
        images = np.where(finite[:, None, None], images, 0)
        values = self._value(t, images)
        which = values.argmax(axis=1)
        rows = np.arange(len(values))
        better = values[rows, which] > self.value
        self.value = np.where(better, values[rows, which], self.value)
        self.tangent = np.where(better[:, None], t[rows, which], self.tangent)
        self.image = np.where(better[:, None], images[rows, which], self.image)
        return images


def _unit(v: Array) -> Array:
    lengths = np.linalg.norm(v, axis=-1, keepdims=True)
    return v / np.where(lengths > 0, lengths, 1)


def _orthonormal(block: Array, basis: Array, w: Array, rng: np.random.Generator) -> Array:
    """Orthonormal tangents, one after the other, from a block; random ones where nothing of the block is left."""
    known = first = np.concatenate([w[:, None], basis], axis=1)
    for column in range(min(block.shape[1], w.shape[1] - first.shape[1])):
        v, spare = _apart(block[:, column], known), _apart(rng.standard_normal(w.shape), known)
        lost = np.linalg.norm(v, axis=1, keepdims=True) < 1e-6
        known = np.concatenate([known, _unit(np.where(lost, spare, v))[:, None]], axis=1)
    return known[:, first.shape[1] :]


def _apart(v: Array, known: Array) -> Array:
    """The part of v / ‖v‖ that is orthogonal to the rows of `known`, (K, s, d): twice, for what rounding leaves."""
    left = _unit(v)
    for _ in range(2):
        left = left - np.einsum("ks,ksd->kd", np.einsum("ksd,kd->ks", known, left), known)
    return left
