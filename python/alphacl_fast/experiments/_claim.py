"""What a claim yields: numbers, rules that judge them, figures that draw them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Numbers = dict[str, Any]
_RELATIONS = {"<": operator.lt, "≤": operator.le, ">": operator.gt, "≥": operator.ge, "=": operator.eq}


@dataclass(frozen=True)
class Rule:
    """`measure(numbers) relation bound`: a verdict without words. A measure of parts that were left out is None."""

    name: str
    statement: str  # what holds where the rule does
    measure: Callable[[Numbers], float | None]
    relation: str
    bound: float

    def judge(self, numbers: Numbers) -> Verdict:
        """The rule applied; NaN never passes."""
        value = self.measure(numbers)
        passed = None if value is None else bool(_RELATIONS[self.relation](value, self.bound))
        return Verdict(self, None if value is None else float(value), passed)


@dataclass(frozen=True)
class Verdict:
    """A rule and what was measured; passed is None where the data was left out."""

    rule: Rule
    value: float | None
    passed: bool | None

    @property
    def word(self) -> str:
        """What the report prints."""
        return {None: "left out", True: "holds", False: "fails"}[self.passed]

    def as_text(self) -> str:
        """The comparison: 3.1e-15 < 1e-10."""
        shown = "–" if self.value is None else number(self.value)
        return f"{shown} {self.rule.relation} {number(self.rule.bound)}"


@dataclass(frozen=True)
class Figure:
    """A picture: `draw(axes, numbers)` on an array of axes of `layout` rows and columns; size in inches.

    The caption says what to see. Without the numbers named in `needs` there is no picture.
    """

    name: str
    caption: str
    draw: Callable[[Any, Numbers], None]
    layout: tuple[int, int] = (1, 1)
    size: tuple[float, float] = (7.2, 3.0)
    needs: Sequence[str] = ()

    def drawable(self, numbers: Numbers) -> bool:
        """Whether all that the picture needs was computed."""
        return all(numbers.get(name) is not None for name in self.needs)


@dataclass(frozen=True)
class Result:
    """What a claim's `run` returns. numbers: plain (JSON) values; seconds: of each part that was computed."""

    numbers: Numbers
    rules: Sequence[Rule]
    figures: Sequence[Figure]
    left_out: Sequence[str] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def verdicts(self) -> list[Verdict]:
        """One per rule, computed from the numbers."""
        return [rule.judge(self.numbers) for rule in self.rules]

    @property
    def passed(self) -> bool:
        """Whether no rule fails."""
        return all(verdict.passed is not False for verdict in self.verdicts)


def largest(values: Iterable[float]) -> float:
    """NaN where one of them is, which max() may skip."""
    return float(np.max(np.array(list(values), float)))


def least(values: Iterable[float]) -> float:
    """NaN where one of them is, which min() may skip."""
    return float(np.min(np.array(list(values), float)))


def number(value: float) -> str:
    """Four digits, or a whole number as one."""
    if math.isfinite(value) and value == round(value) and abs(value) < 1e6:
        return str(round(value))
    return f"{value:.4g}" if not 0 < abs(value) < 1e-3 else f"{value:.1e}"
