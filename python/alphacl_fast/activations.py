"""Homogeneous activations h: h'(u) u = h(u), or q h(u) for u^q. "linear" and "relu" go by their names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

__all__ = ["LeakyReLU", "Monomial"]


@dataclass(frozen=True)
class LeakyReLU:
    """h(u) = u for u > 0, slope · u otherwise; h'(0) = slope."""

    slope: float

    def __post_init__(self) -> None:
        if isinstance(self.slope, (str, bytes, bool)) or not hasattr(self.slope, "__float__"):
            raise TypeError(f"slope: expected a finite number, got {type(self.slope).__name__}")
        if not math.isfinite(self.slope):
            raise ValueError(f"slope: expected a finite number, got {self.slope}")


@dataclass(frozen=True)
class Monomial:
    """h(u) = u^q, q a positive integer; h'(u) u = q h(u)."""

    q: int

    def __post_init__(self) -> None:
        if isinstance(self.q, bool) or not hasattr(self.q, "__index__"):
            raise TypeError(f"q: expected a positive integer, got {type(self.q).__name__}")
        if self.q < 1:
            raise ValueError(f"q: expected a positive integer, got {self.q}")


def compiled_form(activation: Any) -> tuple[str, float]:
    """Name and parameter as the compiled code takes them."""
    if isinstance(activation, str) and activation in ("linear", "relu"):
        return activation, 0.0
    if isinstance(activation, LeakyReLU):
        return "leaky_relu", float(activation.slope)
    if isinstance(activation, Monomial):
        return "monomial", float(activation.q)
    raise ValueError(f"activation: expected 'linear', 'relu', LeakyReLU(slope) or Monomial(q), got {activation!r}")
