"""The sets of images that claims use, as rows of pixels, and two views of them."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alphacl_fast import datasets
from alphacl_fast.experiments._settings import MissingDataError, Settings

NOISE = 0.1  # of the two views, grey levels from 0 to 1


@dataclass(frozen=True)
class Images:
    """Rows of pixels, (N, height·width) float32 in [0, 1]; patches are less their mean."""

    title: str
    side: tuple[int, int]
    pixels: np.ndarray

    def halved(self) -> Images:
        """Each 2×2 pixels as one, where the images are larger than 16 pixels."""
        height, width = self.side
        if height <= 16:
            return self
        blocks = self.pixels.reshape(-1, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
        return Images(self.title, (height // 2, width // 2), blocks.reshape(len(blocks), -1))

    def views(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Two views with noise alone; a shift would blur the patterns of small images."""
        pair = datasets.two_views(self.pixels.reshape(-1, *self.side), 0, NOISE, seed)
        first, second = (view.reshape(self.pixels.shape) for view in pair)
        return first, second


def images(name: str, settings: Settings, count: int) -> Images:
    """At most `count` images of a set, drawn from the seed. Raises MissingDataError where --data is needed."""
    title, side, pixels = _SETS[name](settings)
    if len(pixels) > count:
        pixels = pixels[np.sort(np.random.default_rng(settings.seed).choice(len(pixels), count, replace=False))]
    return Images(title, side, pixels)


def _digits(settings: Settings) -> tuple[str, tuple[int, int], np.ndarray]:
    return "digits", (8, 8), datasets.load_digits()


def _fashion(settings: Settings) -> tuple[str, tuple[int, int], np.ndarray]:
    return "Fashion-MNIST", (28, 28), datasets.load_fashion_mnist()


def _patches(settings: Settings) -> tuple[str, tuple[int, int], np.ndarray]:
    return "photographs", (8, 8), _contrasts(datasets.load_patches(seed=settings.seed))


def _given(settings: Settings) -> tuple[str, tuple[int, int], np.ndarray]:
    """Grey patches of 8×8 of the images of --data, one from each, where it falls."""
    pixels, _ = read_given(settings.data, "train")
    grey = pixels.mean(axis=1, dtype=np.float32) / np.float32(255)
    corners = np.random.default_rng(settings.seed).integers(0, np.subtract(grey.shape[1:], 7), (len(grey), 2))
    windows = np.lib.stride_tricks.sliding_window_view(grey, (8, 8), axis=(1, 2))
    patches = windows[np.arange(len(grey)), corners[:, 0], corners[:, 1]].reshape(-1, 64)
    return title_of(settings.data), (8, 8), _contrasts(patches)


def _contrasts(patches: np.ndarray) -> np.ndarray:
    """Less the brightness of each patch, which else is the only pattern that counts."""
    return patches - patches.mean(axis=1, keepdims=True)


_SETS: dict[str, Callable[[Settings], tuple[str, tuple[int, int], np.ndarray]]] = {
    "digits": _digits,
    "fashion": _fashion,
    "patches": _patches,
    "data": _given,
}


def title_of(data: Path | None) -> str:
    """How a report names the images of --data; a copy in JPEG is not the original."""
    if data is None:
        return "images of --data"
    name = data.name.lower().replace("-", "")
    return "CIFAR-10 (JPEG copy)" if re.search("cifar10(?![0-9])", name) and "jp" in name else data.name


def check_given(data: Path) -> None:
    """Refuses images that the claims cannot use before any of them is run."""
    try:
        pixels, _ = read_given(data, "train")
        with contextlib.suppress(FileNotFoundError):  # the claim that needs them is left out
            datasets.check_one_shape(data, pixels, read_given(data, "test")[0])
    except (FileNotFoundError, ValueError) as error:
        raise OSError(f"--data: {error}") from error
    if min(pixels.shape[2:]) < 8:
        raise OSError(f"--data: expected images of 8×8 pixels or more, got {pixels.shape[2]}×{pixels.shape[3]}")
    if len(pixels) < 2:
        raise OSError(f"--data: expected two images or more, got {len(pixels)}")


@functools.lru_cache(maxsize=2)
def read_given(data: Path | None, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, C, H, W) uint8 and labels of --data, in an order that mixes the classes, which are those of train."""
    if data is None:
        raise MissingDataError("no images were given: name a folder or an archive with --data")
    try:
        classes = datasets.image_classes(data, "train")
    except FileNotFoundError:
        classes = None
    place = split if classes is not None or split == "test" else None
    pixels, labels = datasets.read_image_folder(data, place, classes)
    order = np.random.default_rng(0).permutation(len(pixels))
    return pixels[order], labels[order]
