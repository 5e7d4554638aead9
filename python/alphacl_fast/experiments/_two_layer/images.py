"""The two-layer network on real images cut into a grid: a location holds a patch of pixels in place of a token."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from alphacl_fast import datasets
from alphacl_fast._optional import require
from alphacl_fast.experiments._two_layer.setting import Setting
from alphacl_fast.experiments._two_layer.train import Pairing

SHIFT, NOISE = 1, 0.1  # of the two views, pixels and grey levels from 0 to 1
PATTERNS = 5  # P, kinds of patches that count at a location
_CHUNK = 50  # batches augmented at once


class Cut:
    """Images, (N, H, W) in [0, 1], and the grid of locations into which they are cut."""

    def __init__(self, images: np.ndarray, grid: tuple[int, int]) -> None:
        self.images, self.grid = images, grid

    @cached_property
    def _usual(self) -> tuple[np.ndarray, float]:
        """The mean patch of each location, and the root mean square of what is left without it."""
        rows = cut(self.images, self.grid)
        mean = rows.mean(axis=0)
        return mean, float(np.sqrt(((rows - mean) ** 2).sum(axis=2).mean()))

    def patches(self, images: np.ndarray) -> np.ndarray:
        """(N, K, d) of images: less the mean patch of the location, of mean squared length 1 as a one-hot token."""
        mean, scale = self._usual
        return (cut(images, self.grid) - mean) / np.float32(scale)

    def setting(self, **change: Any) -> Setting:
        """The public setting with the locations of the grid and pixels in place of tokens."""
        pixels = self.images[0].size // (self.grid[0] * self.grid[1])
        sizes = {"num_loc": self.grid[0] * self.grid[1], "num_tokens": pixels, "tokens_per_loc": PATTERNS}
        return Setting(**sizes, num_patterns=1, pattern_len=1, aug_degree=0, **change)

    def kinds(self) -> np.ndarray:
        """(K, P, d) of length 1: centres of the directions of the patches at a location."""
        cluster = require("sklearn.cluster", package="scikit-learn")
        patches = self.patches(self.images)
        found = []
        for k in range(patches.shape[1]):
            means = cluster.KMeans(PATTERNS, n_init=4, random_state=0).fit(_unit(patches[:, k]))
            found.append(_unit(means.cluster_centers_))
        return np.stack(found)


def cut(images: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """(N, H, W) -> (N, K, d), locations and the pixels of each row by row."""
    count, height, width = images.shape
    rows, columns = height // grid[0], width // grid[1]
    blocks = images.reshape(count, grid[0], rows, grid[1], columns).swapaxes(2, 3)
    return blocks.reshape(count, grid[0] * grid[1], rows * columns)


def train(data: Cut, setting: Setting, steps: int, seed: int, pairing: Pairing) -> tuple[np.ndarray, list[float]]:
    """Weights (K, M, d) after `steps` updates, and the losses before them; views are drawn anew each time."""
    torch = require("torch")
    from alphacl_fast.experiments._two_layer import model

    network = model.TwoLayer(setting, torch.Generator().manual_seed(seed + 2))
    trainer, rng, losses = model.Trainer(network), np.random.default_rng(seed), []
    for done in range(0, steps, _CHUNK):
        count = min(_CHUNK, steps - done)
        rows = rng.integers(0, len(data.images), count * setting.batch)
        views = datasets.two_views(data.images[rows], SHIFT, NOISE, int(rng.integers(2**32)))
        pair = pairing(*(data.patches(view) for view in views))
        losses += trainer.steps(*(view.reshape(count, setting.batch, *view.shape[1:]) for view in pair))
    return network.first.detach().numpy().transpose(0, 2, 1), losses


def similarities(weights: np.ndarray, directions: np.ndarray, linear: bool) -> np.ndarray:
    """(K, P, M) w·u/(‖w‖ + max(max|W_k|/1000, 1e-6)), u of length 1; magnitudes for linear nodes: as χ of tokens."""
    floor = np.maximum(np.abs(weights).max((1, 2)) / 1000, 1e-6)
    lengths = np.linalg.norm(weights, axis=2) + floor[:, None]
    found = np.einsum("kpd,kmd->kpm", directions, weights) / lengths[:, None]
    return np.abs(found) if linear else found


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)
