"""Pictures over a matplotlib axis: patterns as images, spectra, coverage curves; colours that colour-blind people tell.

A function takes an axis, draws on it and returns what it drew. Nothing here imports matplotlib: an axis knows how.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from alphacl_fast._power_iteration import at_least

__all__ = ["PALETTE", "draw_coverage", "draw_pattern", "draw_patterns", "draw_spectra"]

# Okabe and Ito 2008 without yellow, which is pale on white; in an order in which the first five differ most to all.
PALETTE = ("#0072B2", "#D55E00", "#56B4E9", "#000000", "#E69F00", "#CC79A7", "#009E73")
_SIGNED = "RdBu_r"  # red positive, blue negative, white zero


def draw_pattern(axis: Any, image: Any, caption: str = "", **style: Any) -> Any:
    """One signed image, red positive and blue negative, scaled to its largest magnitude so that white is 0.

    image : (H, W). caption : over the image; ``style`` is that of its text. Returns the AxesImage.
    """
    picture = _array("image", image, 2)
    limit = _largest(picture)
    drawn = axis.imshow(picture, cmap=_SIGNED, vmin=-limit, vmax=limit, aspect="auto")
    axis.set(xticks=[], yticks=[])
    axis.set_title(caption, **{"pad": 2.5, **style})
    axis.spines[:].set(color="0.75", linewidth=0.5)
    return drawn


def draw_patterns(axis: Any, patterns: Any, side: tuple[int, int], *, columns: int = 8) -> Any:
    """Patterns on one axis, `columns` in a row however few there are, each scaled to its own largest magnitude.

    patterns : (P, d), the weights of nodes or eigenvectors as rows; side : (H, W), H · W = d. Returns the AxesImage.
    """
    rows = _array("patterns", patterns, 2)
    height, width = _sides(side, rows.shape[1])
    columns = at_least("columns", columns, 1)
    # NaN between the images is drawn as nothing.
    sheet = np.full((math.ceil(len(rows) / columns) * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for index, row in enumerate(rows):
        top, left = (index // columns) * (height + 1), (index % columns) * (width + 1)
        sheet[top : top + height, left : left + width] = row.reshape(height, width) / _largest(row)
    drawn = axis.imshow(sheet, cmap=_SIGNED, vmin=-1, vmax=1, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    return drawn


def _largest(picture: np.ndarray) -> float:
    """The largest finite magnitude, or 1 where there is none but 0."""
    return float(np.abs(picture[np.isfinite(picture)]).max(initial=0)) or 1.0


def draw_spectra(axis: Any, spectra: Mapping[str, Any]) -> list[Any]:
    """Positive eigenvalues against their rank, both logarithmic, one line for each label; a power law is straight.

    spectra : label -> (d,) eigenvalues in any order; those that are not positive have no logarithm and are left out.
    Returns the lines.
    """
    lines = []
    for index, (label, given) in enumerate(spectra.items()):
        values = np.sort(_array(label, given, 1))[::-1]
        values = values[values > 0]
        style = {"color": PALETTE[index % len(PALETTE)], "marker": "o", "markersize": 3, "linewidth": 1.2}
        lines += axis.plot(np.arange(1, len(values) + 1), values, label=label, **style)
    axis.set(xscale="log", yscale="log", xlabel="rank $i$", ylabel="eigenvalue $\\lambda_i$")
    _finish(axis)
    return lines


def draw_coverage(axis: Any, num_nodes: Sequence[int], found: Mapping[str, Any], *, total: int | None = None) -> list:
    """Different patterns found against the number of nodes: the mean over seeds, and a band from the least to the most.

    num_nodes : (P,). found : label -> (S, P) counts, one row for each seed. total : a dotted line at all patterns
    that there are. Returns the lines of the means.
    """
    nodes = _array("num_nodes", num_nodes, 1)
    if not (nodes > 0).all():
        raise ValueError(f"num_nodes: expected positive numbers, got {nodes.min():g}")
    lines = []
    for index, (label, given) in enumerate(found.items()):
        counts = _array(label, given, 2)
        if counts.shape[1] != len(nodes):
            raise ValueError(f"{label}: expected {len(nodes)} columns like num_nodes, got shape {counts.shape}")
        color = PALETTE[index % len(PALETTE)]
        lines += axis.plot(nodes, counts.mean(axis=0), color=color, marker="o", markersize=3, label=label)
        axis.fill_between(nodes, counts.min(axis=0), counts.max(axis=0), color=color, alpha=0.2, linewidth=0)
    if total is not None:
        axis.axhline(total, color="0.4", linestyle=":", linewidth=1)
    axis.set(xscale="log", xlabel="nodes $K$", ylabel="different patterns")
    _finish(axis)
    return lines


def _finish(axis: Any) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)


def _sides(side: Any, pixels: int) -> tuple[int, int]:
    """(H, W) of images with so many pixels."""
    if not isinstance(side, (Sequence, np.ndarray)) or len(side) != 2:
        raise ValueError(f"side: expected (H, W), got {side!r}")
    height, width = (at_least("side", length, 1) for length in side)
    if height * width != pixels:
        raise ValueError(f"side: expected (H, W) with H · W = {pixels} like the patterns, got {tuple(side)}")
    return height, width


def _array(name: str, given: Any, ndim: int) -> np.ndarray:
    """A float64 array of the host; tensors are copied to it."""
    a = given.detach().cpu().numpy() if hasattr(given, "detach") else np.asarray(given)
    if a.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected real numbers, got {a.dtype}")
    if a.ndim != ndim or a.size == 0:
        raise ValueError(f"{name}: expected an array with {ndim} axes that is not empty, got shape {a.shape}")
    return a.astype(np.float64)
