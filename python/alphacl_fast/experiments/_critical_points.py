"""Problems with many critical points A(w)w = λw, and what becomes of a node that is pushed off one."""

from __future__ import annotations

from typing import Any

import numpy as np

from alphacl_fast import LeakyReLU, contrastive_cov, energy, gated_cov, reference, theory
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


def critical_points(x: np.ndarray, x_aug: np.ndarray, activation: Any, starts: int, seed: int) -> np.ndarray:
    """(P, d): where nodes end that climb, and fixed points of w ← k-th eigenvector of A(w), k = 2, 3: saddles."""
    rng = np.random.default_rng(seed)
    ends = theory.find_local_maxima(
        x, x_aug, 4 * starts, activation=activation, max_iter=3000, gap=False, seed=seed, progress=False
    )
    # A maximum of a sample may lie where a gate switches, with a residual of order 1/N.
    climbed = ends.weights[ends.residual < 2 / len(x) * ends.eigenvalue]
    fixed = [
        _fixed_point(x, x_aug, w / np.linalg.norm(w), activation, rank)
        for rank in (2, 3)
        for w in rng.standard_normal((starts, x.shape[1]))
    ]
    found: list[np.ndarray] = []
    for w in [*climbed, *(w for w in fixed if w is not None)]:
        if all(abs(w @ u) < 1 - 1e-6 for u in found):
            found.append(w)
    return np.stack(found)


def _fixed_point(x: np.ndarray, x_aug: np.ndarray, w: np.ndarray, activation: Any, rank: int) -> np.ndarray | None:
    for _ in range(_MOST_STEPS):
        v = np.linalg.eigh(gated_cov(x, x_aug, w[None], activation=activation)[0])[1][:, -rank]
        v = v * (np.sign(v @ w) or 1)
        if np.linalg.norm(v - w) < _RESIDUAL:
            return v
        w = (v + w) / np.linalg.norm(v + w)  # halfway: whole steps cycle between gates
    return None


def pushed(x: np.ndarray, x_aug: np.ndarray, w: np.ndarray, activation: Any, seed: int) -> Numbers:
    """At PUSH radians off w, in random directions and along both signs of the complement's top eigenvector.

    gain: the largest of the energy, relative; end: how far from w a node ends that climbs from there, in radians.
    """
    rng = np.random.default_rng(seed)
    a = gated_cov(x, x_aug, w[None], activation=activation)[0]
    apart = np.eye(len(w)) - np.outer(w, w)
    top = np.linalg.eigh(apart @ a @ apart - np.abs(a).sum() * np.outer(w, w))[1][:, -1]
    ways = np.concatenate([rng.standard_normal((_PUSHES, len(w))) @ apart, [top, -top]])
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    near = np.cos(PUSH) * w + np.sin(PUSH) * ways
    before = _energy(x, x_aug, w, activation)
    gains = [_energy(x, x_aug, v, activation) / before - 1 for v in near]
    ends = theory.find_local_maxima(
        x, x_aug, activation=activation, weights0=near, max_iter=2000, gap=False, progress=False
    ).weights
    ends = ends * np.where(ends @ w < 0, -1, 1)[:, None] if activation == "linear" else ends
    return {
        "gain": float(np.max(gains)),
        "end": float(np.arccos(np.clip(ends @ w, -1, 1)).max()),
    }


def _energy(x: np.ndarray, x_aug: np.ndarray, w: np.ndarray, activation: Any) -> float:
    """½ C_α[h(wᵀx)], α uniform."""
    return float(energy(*(reference.activate(activation, view @ w)[:, None] for view in (x, x_aug))))


def isotropic(d: int) -> np.ndarray:
    """±e_k for all k, once each: C_α = I/d, where every direction is as good as any other."""
    x = np.concatenate([np.eye(d), -np.eye(d)])
    assert np.allclose(contrastive_cov(x, x), np.eye(d) / d)
    return x
