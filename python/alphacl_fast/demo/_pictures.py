"""Pictures of signed images in labelled rows, side by side in blocks: red positive, blue negative, white zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alphacl_fast._optional import require
from alphacl_fast.theory.plots import draw_pattern

# Inches.
_CELL, _GAP = 0.95, 0.1
_ROW = 1.2
_TOP, _BOTTOM = 1.2, 0.62
_MARGIN, _LINE, _BETWEEN = 0.15, 0.16, 0.4
_DPI = 150  # widths in inches depend on it: glyphs are fitted to pixels

_TITLE = {"size": 14}
_NOTE = {"size": 8, "color": "0.35"}
_BLOCK = {"size": 11, "weight": "bold"}
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


@dataclass(frozen=True)
class ImageBlock:
    """Rows below each other, and a title over them."""

    title: str
    rows: Sequence[ImageRow]

    @property
    def columns(self) -> int:
        """Images in its longest row."""
        return max(len(row.images) for row in self.rows)

    def label_width(self) -> float:
        """Inches that the words to the left of its images take."""
        groups = [(row.group, _GROUP) for row in self.rows]
        return _widest(groups + [(line, _LABEL) for row in self.rows for line in row.label])


def write_blocks(path: Path, title: str, note: str, blocks: Sequence[ImageBlock]) -> None:
    """Write the blocks as a PNG. Each image is scaled to its own largest absolute value, symmetric about zero."""
    # Figure instead of pyplot: no window system, no global state; a PNG is drawn by Agg.
    figure_module = require("matplotlib.figure")
    captions = [(caption, _CAPTION) for block in blocks for row in block.rows for caption in row.captions]
    step = max(_CELL, _widest(captions)) + _GAP
    lefts, right = [], _MARGIN  # of each block's words
    for block in blocks:
        lefts.append(right)
        images = block.label_width() + _GAP + step * block.columns
        right += max(images, _widest([(block.title, _BLOCK)])) + _BETWEEN
    width = max(right - _BETWEEN, _MARGIN + _widest([(title, _TITLE), (note, _NOTE)])) + _MARGIN
    height = _TOP + _ROW * max(len(block.rows) for block in blocks) + _BOTTOM
    page = _Page(figure_module.Figure(figsize=(width, height)))
    page.text(_MARGIN, 0.28, title, _TITLE)
    page.text(_MARGIN, 0.56, note, _NOTE)
    for block, left in zip(blocks, lefts, strict=True):
        drawn = _draw_block(page, block, left, step)
    _draw_scale(page, drawn, height - 0.42)
    page.figure.savefig(path, dpi=_DPI)


@dataclass(frozen=True)
class _Page:
    """A figure in inches from its upper left corner."""

    figure: Any

    def axes(self, x: float, y: float, w: float, h: float) -> Any:
        width, height = self.figure.get_size_inches()
        return self.figure.add_axes((x / width, 1 - (y + h) / height, w / width, h / height))

    def text(self, x: float, y: float, words: str, style: dict[str, Any]) -> None:
        width, height = self.figure.get_size_inches()
        self.figure.text(x / width, 1 - y / height, words, va="center", **style)


def _draw_block(page: _Page, block: ImageBlock, left: float, step: float) -> Any:
    """Returns the image drawn last."""
    first = left + block.label_width() + _GAP + (step - _CELL) / 2
    page.text(left, _TOP - 0.34, block.title, _BLOCK)
    for index, row in enumerate(block.rows):
        y = _TOP + _ROW * index
        lines = [row.group, *row.label]
        for k, line in enumerate(lines):
            middle = y + _CELL / 2 + _LINE * (k - (len(lines) - 1) / 2)
            page.text(left, middle, line, _GROUP if k == 0 else _LABEL)
        for k, (image, caption) in enumerate(zip(row.images, row.captions, strict=True)):
            drawn = draw_pattern(page.axes(first + step * k, y, _CELL, _CELL), image, caption, **_CAPTION)
    return drawn


def _draw_scale(page: _Page, drawn: Any, y: float) -> None:
    scale = page.axes(_MARGIN + _GAP, y, 2 * _CELL, 0.1)
    page.figure.colorbar(drawn, cax=scale, orientation="horizontal", ticks=[-drawn.norm.vmax, 0, drawn.norm.vmax])
    scale.set_xticklabels(["−max", "0", "+max"], size=7)
    scale.tick_params(length=2, pad=2)
    scale.spines[:].set_visible(False)


def _widest(texts: Sequence[tuple[str, dict[str, Any]]]) -> float:
    """Inches that the widest of the texts takes, each in its style: what is measured runs into nothing."""
    figure = require("matplotlib.figure").Figure(dpi=_DPI)
    return max(figure.text(0, 0, text, **style).get_window_extent().width for text, style in texts) / figure.dpi
