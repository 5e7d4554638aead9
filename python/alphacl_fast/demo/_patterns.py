"""The part of the demo that learns: K nodes climb the energy of real images, once linear and once with a ReLU.

A linear node knows one maximum, the leading eigenvector of C_α, and all K of them find it. A ReLU node sees only the
images that open its gate, so it has many, and K nodes find many of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from alphacl_fast import datasets, theory
from alphacl_fast.demo._covariances import principal_axes
from alphacl_fast.demo._durations import duration
from alphacl_fast.demo._pictures import ImageRow

NUM_NODES = 300
MAX_IMAGES = 2000
MAX_STEPS = 1000
NOISE = 0.1  # of the two views, grey levels from 0 to 1; no shift, which would blur the patterns of small images
MAX_COMPONENTS = 64  # leading principal components in which nodes see images of more pixels
PER_ROW = 6  # patterns in a row of the picture
NUM_ROWS = 2
LISTED = 5  # energies in the table


@dataclass(frozen=True)
class Patterns:
    """The different maxima that the nodes of one activation found, the highest energy first."""

    title: str
    activation: str
    side: tuple[int, int]
    images: np.ndarray  # (P, d), the weights in pixels
    energies: np.ndarray  # (P,)
    nodes: np.ndarray  # (P,) how many found it
    converged: int
    steps: int
    seconds: float


def learn(title: str, side: tuple[int, int], images: np.ndarray, seed: int) -> Iterator[Patterns]:
    """Linear, then ReLU nodes on two noisy, whitened views of images, (N, d) float32; alpha is uniform."""
    views = datasets.two_views(images.reshape(-1, *side), 0, NOISE, seed)
    axes = _axes(images)
    x, x_aug = (view.reshape(images.shape) @ axes for view in views)
    white = theory.whiten(x, x_aug)
    for activation in ("linear", "relu"):
        start = time.perf_counter()
        found = theory.find_local_maxima(
            white.x, white.x_aug, NUM_NODES, activation=activation, max_iter=MAX_STEPS, gap=False, seed=seed
        )
        seconds = time.perf_counter() - start
        best = found.best
        yield Patterns(
            title,
            activation,
            side,
            found.weights[best] @ white.inverse @ axes.T,
            found.energy[best],
            np.bincount(found.group[found.group >= 0], minlength=len(best)),
            int(found.converged.sum()),
            int(found.steps.max()),
            seconds,
        )


def _axes(images: np.ndarray) -> np.ndarray:
    """(d, r) orthonormal columns: all pixels of small images, the leading principal axes of others."""
    pixels = images.shape[1]
    return np.eye(pixels, dtype=images.dtype) if pixels <= MAX_COMPONENTS else principal_axes(images, MAX_COMPONENTS)


_ROW = "{:<14} {:<10} {:>5} {:>9} {:>10} {:>6} {:>11}  {}"


def header() -> str:
    return _ROW.format("data set", "activation", "nodes", "patterns", "converged", "steps", "time", "highest energies")


def row(p: Patterns) -> str:
    return _ROW.format(
        p.title,
        p.activation,
        NUM_NODES,
        len(p.images),
        p.converged,
        p.steps,
        duration(p.seconds),
        " ".join(f"{energy:.4g}" for energy in p.energies[:LISTED]),
    )


def footnote() -> str:
    return (
        f"patterns: different maxima that {NUM_NODES} nodes found from random starts on at most {MAX_IMAGES} images,\n"
        "    with noise alone in the two views, whitened and brought to length 1; images of more than "
        f"{MAX_COMPONENTS} pixels in\n    their {MAX_COMPONENTS} leading principal components."
    )


def image_rows(learned: list[Patterns]) -> list[ImageRow]:
    """One row of the linear pattern, up to NUM_ROWS of those of the ReLU nodes, each with energy and nodes."""
    rows = []
    for p in learned:
        label = [f"{NUM_NODES} nodes", f"{len(p.images)} pattern{'s' if len(p.images) != 1 else ''}"]
        for first in range(0, min(len(p.images), PER_ROW * NUM_ROWS), PER_ROW):
            shown = range(first, min(first + PER_ROW, len(p.images)))
            rows.append(
                ImageRow(
                    {"linear": "linear nodes", "relu": "ReLU nodes"}[p.activation] if first == 0 else "",
                    label if first == 0 else [],
                    [p.images[k].reshape(p.side) for k in shown],
                    [f"E = {p.energies[k]:.2g}, {p.nodes[k]}×" for k in shown],
                )
            )
    return rows
