"""Pictures of signed images in labelled rows: red positive, blue negative, white zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from alphacl_fast._optional import require
from alphacl_fast.theory.plots import draw_pattern

# Inches.
_CELL, _GAP = 0.95, 0.1
_ROW, _GROUP_GAP = 1.2, 0.22
_TOP, _BOTTOM = 0.9, 0.62
_MARGIN, _LINE = 0.15, 0.16
_DPI = 150  # widths in inches depend on it: glyphs are fitted to pixels

_TITLE = {"size": 14}
_NOTE = {"size": 8, "color": "0.35"}
_GROUP = {"size": 9, "weight": "bold"}
_LABEL = {"size": 8}
_CAPTION = {"size": 7.5}


@dataclass(frozen=True)
class ImageRow:
    """Images side by side with a caption over each; `group` in bold and `label` stand to their left."""

    group: str
    label: Sequence[str]
    images: Sequence[np.ndarray]
    captions: Sequence[str]


def write_rows(path: Path, title: str, note: str, rows: Sequence[ImageRow]) -> None:
    """Write the rows as a PNG. Each image is scaled to its own largest absolute value, symmetric about zero."""
    # Figure instead of pyplot: no window system, no global state; a PNG is drawn by Agg.
    figure_module = require("matplotlib.figure")
    columns = max(len(row.images) for row in rows)
    gaps = np.cumsum([0] + [_GROUP_GAP * (above.group != row.group) for above, row in pairwise(rows)])
    groups, labels = [(row.group, _GROUP) for row in rows], [(line, _LABEL) for row in rows for line in row.label]
    step = max(_CELL, _widest([(caption, _CAPTION) for row in rows for caption in row.captions])) + _GAP
    left = _MARGIN + _widest(groups + labels) + _GAP + (step - _CELL) / 2
    width = max(left + step * columns, _MARGIN + _widest([(title, _TITLE), (note, _NOTE)])) + _MARGIN
    height = _TOP + _ROW * len(rows) + gaps[-1] + _BOTTOM
    figure = figure_module.Figure(figsize=(width, height))

    def box(x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
        """Inches from the upper left corner -> fractions of the figure."""
        return x / width, 1 - (y + h) / height, w / width, h / height

    def text(x: float, y: float, words: str, **style: object) -> None:
        figure.text(x / width, 1 - y / height, words, va="center", **style)

    text(_MARGIN, 0.28, title, **_TITLE)
    text(_MARGIN, 0.56, note, **_NOTE)
    for index, (row, gap) in enumerate(zip(rows, gaps, strict=True)):
        y = _TOP + _ROW * index + gap
        lines = [row.group, *row.label]
        for k, line in enumerate(lines):
            middle = y + _CELL / 2 + _LINE * (k - (len(lines) - 1) / 2)
            text(_MARGIN, middle, line, **(_GROUP if k == 0 else _LABEL))
        for k, (image, caption) in enumerate(zip(row.images, row.captions, strict=True)):
            axes = figure.add_axes(box(left + step * k, y, _CELL, _CELL))
            drawn = draw_pattern(axes, image, caption, **_CAPTION)
    scale = figure.add_axes(box(left, height - 0.42, 2 * _CELL, 0.1))
    figure.colorbar(drawn, cax=scale, orientation="horizontal", ticks=[-drawn.norm.vmax, 0, drawn.norm.vmax])
    scale.set_xticklabels(["−max", "0", "+max"], size=7)
    scale.tick_params(length=2, pad=2)
    scale.spines[:].set_visible(False)
    figure.savefig(path, dpi=_DPI)


def _widest(texts: Sequence[tuple[str, dict[str, Any]]]) -> float:
    """Inches that the widest of the texts takes, each in its style: what is measured runs into nothing."""
    figure = require("matplotlib.figure").Figure(dpi=_DPI)
    return max(figure.text(0, 0, text, **style).get_window_extent().width for text, style in texts) / figure.dpi
