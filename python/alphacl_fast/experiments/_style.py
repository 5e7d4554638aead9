"""How all pictures look, and how one is made: matplotlib without a window system."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from alphacl_fast._optional import require
from alphacl_fast.experiments._claim import Figure, Numbers
from alphacl_fast.theory.plots import PALETTE, draw_pattern

CYCLE = [*PALETTE, "#8A8A8A"]
_RC = {
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "axes.grid": False,
    "svg.hashsalt": "alphacl",  # the same picture has the same bytes
    "svg.fonttype": "path",
}
_DPI = 150


def render(figure: Figure, numbers: Numbers, png: Path) -> str:
    """Draw one figure: a PNG file, and the text of an SVG whose ids begin with the name of that file."""
    matplotlib = require("matplotlib")
    figures, cycler = require("matplotlib.figure"), require("cycler")
    with matplotlib.rc_context({**_RC, "axes.prop_cycle": cycler.cycler(color=CYCLE)}):
        drawn = figures.Figure(figsize=figure.size, layout="constrained")
        axes = drawn.subplots(*figure.layout, squeeze=False)
        figure.draw(axes, numbers)
        # Laid out once for both files: a layout takes longer than the drawing.
        drawn.get_layout_engine().execute(drawn)
        drawn.set_layout_engine("none")
        drawn.savefig(png, dpi=_DPI)
        text = io.StringIO()
        drawn.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return _inline(text.getvalue(), png.stem)


def _inline(svg: str, prefix: str) -> str:
    """Without the head of a file, and with ids of its own: several pictures stand in one document."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", svg)


def band(axes: Any, x: Any, runs: Any, *, label: str | None = None, colour: str = CYCLE[0], style: str = "-") -> None:
    """The mean of runs, (R, len(x)), as a line, and from the least to the greatest as a band about it."""
    runs = np.atleast_2d(array(runs))
    axes.fill_between(x, runs.min(0), runs.max(0), color=colour, alpha=0.2, linewidth=0)
    axes.plot(x, runs.mean(0), style, color=colour, label=label)


def sheet(axes: Any, weights: Any, side: tuple[int, int], captions: list[str], columns: int = 8) -> None:
    """Images of the rows of weights side by side, each with its caption."""
    columns = min(columns, len(weights))
    rows = -(-len(weights) // columns)
    for k, (weight, caption) in enumerate(zip(array(weights), captions, strict=True)):
        place = [(k % columns) / columns, 1 - (k // columns + 1) / rows, 0.9 / columns, 0.8 / rows]
        inset = axes.inset_axes(place)
        draw_pattern(inset, weight.reshape(side), caption, size=6)
        inset.set_aspect("equal")
    axes.set_axis_off()


def absent(axes: Any, name: str) -> None:
    """In place of a picture of data that this run was not given."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, f"{name}:\nleft out", ha="center", va="center", color="0.5", transform=axes.transAxes)


def array(values: Any) -> np.ndarray:
    """Numbers as plain lists -> an array."""
    return np.asarray(values, np.float64)
