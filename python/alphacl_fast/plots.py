"""Pictures of patterns, spectra and curves on a matplotlib axis that the caller owns; colours for colour-blind readers.

figure, axes = plt.subplots()
plots.patterns(axes, found.weights, side=(8, 8))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["COLOURS", "band", "patterns", "spectrum"]

# Okabe and Ito's colours, in an order whose greys differ too.
COLOURS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "black": "#000000",
    "grey": "#8A8A8A",
}


def patterns(axes: Any, weights: Any, side: tuple[int, int], *, columns: int = 8, labels: Sequence[str] = ()) -> None:
    """One small image per row of weights, (P, height·width) or (P, height·width·3): red positive, blue negative.

    Each is scaled to its own largest absolute value, symmetric about zero; colour images (three channels, last axis)
    are scaled to [0, 1]. labels : written below the images, one each. The axis is left without ticks.
    Raises ValueError naming weights where the sizes do not fit.
    """
    weights = np.asarray(weights, np.float64)
    height, width = side
    if weights.ndim != 2 or weights.shape[1] not in (height * width, 3 * height * width):
        raise ValueError(f"weights: expected shape (P, {height * width}) for side {side}, got {weights.shape}")
    colour = weights.shape[1] == 3 * height * width
    count = len(weights)
    columns = max(1, min(columns, count))
    rows = -(-count // columns)
    gap, foot = max(1, width // 8), (max(2, height // 3) if labels else max(1, height // 8))
    sheet = np.full(
        (rows * (height + foot), columns * (width + gap) - gap, 3)
        if colour
        else (rows * (height + foot), columns * (width + gap) - gap),
        np.nan,
    )
    for k, weight in enumerate(weights):
        top, left = (k // columns) * (height + foot), (k % columns) * (width + gap)
        largest = np.abs(weight).max() or 1.0
        image = 0.5 + 0.5 * weight / largest if colour else weight / largest
        sheet[top : top + height, left : left + width] = image.reshape((*side, 3) if colour else side)
        if k < len(labels):
            place = (left + width / 2 - 0.5, top + height - 0.3)
            axes.text(*place, labels[k], size=6, ha="center", va="top", color="0.25")
    sheet = np.where(np.isnan(sheet), 1.0, sheet) if colour else np.ma.masked_invalid(sheet)
    axes.imshow(sheet, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[], xlim=(-0.5, sheet.shape[1] - 0.5))
    axes.spines[:].set_visible(False)


def spectrum(axes: Any, eigenvalues: Any, *, label: str | None = None, colour: str = COLOURS["blue"]) -> None:
    """λ_1 ≥ λ_2 ≥ … against k, both axes logarithmic; eigenvalues ≤ 0 are not drawn."""
    values = np.sort(np.asarray(eigenvalues, np.float64).ravel())[::-1]
    values = values[values > 0]
    axes.loglog(np.arange(1, len(values) + 1), values, "-", color=colour, label=label)
    axes.set(xlabel="k", ylabel="eigenvalue $\\lambda_k$")


def band(
    axes: Any, x: Any, runs: Any, *, label: str | None = None, colour: str = COLOURS["blue"], style: str = "-"
) -> None:
    """The mean of runs, (R, len(x)), as a line, and from the least to the greatest as a band about it."""
    x, runs = np.asarray(x, np.float64), np.atleast_2d(np.asarray(runs, np.float64))
    if runs.shape[1] != len(x):
        raise ValueError(f"runs: expected shape (R, {len(x)}) like x, got {runs.shape}")
    axes.fill_between(x, runs.min(0), runs.max(0), color=colour, alpha=0.2, linewidth=0)
    axes.plot(x, runs.mean(0), style, color=colour, label=label)
