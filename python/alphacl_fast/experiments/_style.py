"""How all pictures look, and how one is made: matplotlib without a window system."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from alphacl_fast._optional import require
from alphacl_fast.experiments._claim import Figure, Numbers
from alphacl_fast.plots import COLOURS

CYCLE = [COLOURS[name] for name in ("blue", "vermillion", "green", "orange", "purple", "sky", "black", "grey")]
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
        drawn.savefig(png, dpi=_DPI)
        text = io.StringIO()
        drawn.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return _inline(text.getvalue(), png.stem)


def _inline(svg: str, prefix: str) -> str:
    """Without the head of a file, and with ids of its own: several pictures stand in one document."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", svg)


def array(values: Any) -> np.ndarray:
    """Numbers as plain lists -> an array."""
    return np.asarray(values, np.float64)
