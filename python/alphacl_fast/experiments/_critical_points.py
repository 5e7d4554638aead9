"""Problems with many critical points A(w)w = λw, and what becomes of a node that is pushed off one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from alphacl_fast import Gaussian, LeakyReLU, contrastive_cov, gated_cov, reference, theory
from alphacl_fast.experiments._claim import Numbers

PUSH = 0.05  # radians
_PUSHES = 24
_MOST_STEPS = 100
_RESIDUAL = 1e-7


def clusters(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """d + 1 clusters at the corners of a simplex, of unequal weight: wᵀx = 0 passes between them."""
    corners = np.eye(d + 1) - 1 / (d + 1)
    corners = corners @ np.linalg.svd(corners)[2][:d].T
    corners /= np.linalg.norm(corners, axis=1, keepdims=True)
    which = rng.choice(d + 1, n, p=np.arange(d + 1, 2 * d + 2) / np.arange(d + 1, 2 * d + 2).sum())
    return corners[which] + 0.08 * rng.standard_normal((n, d))


def cloud(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """One Gaussian, off the origin: every hyperplane passes through it."""
    return 0.4 * rng.standard_normal(d) + rng.standard_normal((n, d)) * np.linspace(1.5, 0.5, d)


PROBLEMS = (
    ("clusters, ReLU", clusters, "relu"),
    ("cloud, ReLU", cloud, "relu"),
    ("cloud, leaky ReLU", cloud, LeakyReLU(0.5)),
    ("cloud, linear", cloud, "linear"),
)


@dataclass(frozen=True)
class Problem:
    """Two views, an activation and an importance (None: uniform): what the nodes climb."""

    x: np.ndarray
    x_aug: np.ndarray
    activation: Any
    alpha: Any = None

    def matrix(self, w: np.ndarray) -> np.ndarray:
        """A(w)."""
        return gated_cov(self.x, self.x_aug, w[None], activation=self.activation, alpha=self.alpha)[0]

    def climbed(self, **options: Any) -> theory.LocalMaxima:
        """Where nodes end."""
        given = {"activation": self.activation, "alpha": self.alpha, "gap": False, "progress": False}
        return theory.find_local_maxima(self.x, self.x_aug, **given, **options)

    def energies(self, weights: np.ndarray, energy: Callable[..., Any]) -> list[float]:
        """½ C_α[h(wᵀx)] of each row of weights, by `energy`."""
        first, second = (reference.activate(self.activation, view @ weights.T) for view in (self.x, self.x_aug))
        return [float(energy(f[:, None], g[:, None], self.alpha)) for f, g in zip(first.T, second.T, strict=True)]


def critical_points(problem: Problem, starts: int, seed: int) -> np.ndarray:
    """(P, d): where nodes end that climb, and fixed points of w ← k-th eigenvector of A(w), k = 2, 3: saddles."""
    rng = np.random.default_rng(seed)
    count, d = problem.x.shape
    ends = problem.climbed(num_nodes=4 * starts, max_iter=3000, seed=seed)
    # A maximum of a sample may lie where a gate switches, with a residual of order 1/N.
    climbed = ends.weights[ends.residual < 2 / count * ends.eigenvalue]
    fixed = [
        _fixed_point(problem, w / np.linalg.norm(w), rank) for rank in (2, 3) for w in rng.standard_normal((starts, d))
    ]
    found: list[np.ndarray] = []
    for w in [*climbed, *(w for w in fixed if w is not None)]:
        if all(abs(w @ u) < 1 - 1e-6 for u in found):
            found.append(w)
    return np.stack(found)


def _fixed_point(problem: Problem, w: np.ndarray, rank: int) -> np.ndarray | None:
    for _ in range(_MOST_STEPS):
        v = np.linalg.eigh(problem.matrix(w))[1][:, -rank]
        v = v * (np.sign(v @ w) or 1)
        if np.linalg.norm(v - w) < _RESIDUAL:
            return v
        w = (v + w) / np.linalg.norm(v + w)  # halfway: whole steps cycle between gates
    return None


def pushed(problem: Problem, w: np.ndarray, seed: int, energy: Callable[..., Any]) -> Numbers:
    """At PUSH radians off w, in random directions and along both signs of the complement's top eigenvector.

    gain: the largest of the energy, relative; end: how far from w a node ends that climbs from there, in radians.
    """
    rng = np.random.default_rng(seed)
    a, apart = problem.matrix(w), np.eye(len(w)) - np.outer(w, w)
    top = np.linalg.eigh(apart @ a @ apart - np.abs(a).sum() * np.outer(w, w))[1][:, -1]
    ways = np.concatenate([rng.standard_normal((_PUSHES, len(w))) @ apart, [top, -top]])
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    near = np.cos(PUSH) * w + np.sin(PUSH) * ways
    before, *after = problem.energies(np.concatenate([w[None], near]), energy)
    ends = problem.climbed(weights0=near, max_iter=2000).weights
    ends = ends * np.where(ends @ w < 0, -1, 1)[:, None] if problem.activation == "linear" else ends
    return {
        "gain": max(after) / before - 1,
        "end": float(np.arccos(np.clip(ends @ w, -1, 1)).max()),
    }


def weighted(rng: np.random.Generator) -> Problem:
    """A linear problem whose importance is a Gaussian, and whose direction of most variance augmentation takes away."""
    x = rng.standard_normal((800, 5)) * np.array([2.0, 1.4, 1.0, 0.8, 0.6])
    x_aug = x + rng.standard_normal(x.shape) * np.array([2.6, 0.3, 0.3, 0.3, 0.3])
    return Problem(x, x_aug, "linear", Gaussian(x[:, 4].copy(), 0.5))


def isotropic(d: int) -> Problem:
    """±e_k for all k, once each: C_α = I/d, where every direction is as good as any other."""
    x = np.concatenate([np.eye(d), -np.eye(d)])
    assert np.allclose(contrastive_cov(x, x), np.eye(d) / d)
    return Problem(x, x, "linear")
