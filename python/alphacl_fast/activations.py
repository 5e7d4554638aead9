"""Homogeneous activations h: h'(u) u = h(u), or q h(u) for u^q. "linear" and "relu" go by their names."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

from alphacl_fast._arrays import number

__all__ = ["LeakyReLU", "Monomial"]


@dataclass(frozen=True)
class LeakyReLU:
    """h(u) = u for u > 0, slope · u otherwise; h'(0) = slope."""

    slope: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", number("slope", self.slope))


@dataclass(frozen=True)
class Monomial:
    """h(u) = u^q, q a positive integer; h'(u) u = q h(u)."""

    q: int

    def __post_init__(self) -> None:
        try:
            q = operator.index(self.q)
        except TypeError:
            raise TypeError(f"q: expected a positive integer, got {type(self.q).__name__}") from None
        if isinstance(self.q, bool):
            raise TypeError("q: expected a positive integer, got bool")
        if not 1 <= q <= 2**53:
            got = q if abs(q) < 2**63 else "one of many digits"
            raise ValueError(f"q: expected a positive integer up to 2^53, got {got}")
        object.__setattr__(self, "q", q)


def compiled_form(activation: Any) -> tuple[str, float]:
    """Name and parameter as the compiled code takes them."""
    if isinstance(activation, str) and activation in ("linear", "relu"):
        return activation, 0.0
    if isinstance(activation, LeakyReLU):
        return "leaky_relu", float(activation.slope)
    if isinstance(activation, Monomial):
        return "monomial", float(activation.q)
    raise ValueError(f"activation: expected 'linear', 'relu', LeakyReLU(slope) or Monomial(q), got {activation!r}")


def is_odd(activation: Any) -> bool:
    """Whether h(−u) = −h(u), so that w and −w are the same node."""
    if isinstance(activation, LeakyReLU):
        return activation.slope == 1
    return activation == "linear" or (isinstance(activation, Monomial) and activation.q % 2 == 1)
