"""What an importance is made of: its arrays and its numbers.

A class of `importance` names its parts once, with what each of them is. From there come the checks of its constructor,
the arguments of its compiled constructor, its repr, and the tensors and floats that a torch operator takes it as.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from alphacl_fast._arrays import NotAnArray, Operand, contiguous, is_array, is_traced, operand, positive, refuse_grad

METHODS = ("auto", "tiles", "fourier", "sorted")  # how a Gaussian is computed
FORMS = ("exponential", "hinge", "logistic", "softplus", "square")  # the ψ of a PairImportance, and of sums over pairs


@dataclass(frozen=True)
class Rows:
    """The data: one row, or one number, per sample. `columns` says what a column holds where there must be one."""

    ndim: tuple[int, ...] = (2,)
    columns: str = ""
    square: bool = False

    def operand(self, name: str, value: Any) -> Operand:
        given = operand(name, value, ndim=self.ndim, columns=self.columns)
        if self.square and given.shape[0] != given.shape[1]:
            raise ValueError(f"{name}: expected a square (N, N) array, got shape {given.shape}")
        return given

    def checked(self, name: str, value: Any) -> Any:
        if not is_traced(value):
            self.operand(name, value)
        return value

    def compiled(self, name: str, value: Any, data: Operand) -> Any:
        return data.array


@dataclass(frozen=True)
class Doubles:
    """One float64 number per sample beside the data; the importance that they are part `of` checks how many."""

    of: str

    def checked(self, name: str, value: Any) -> Any:
        return value

    def compiled(self, name: str, value: Any, data: Operand) -> Any:
        given = operand(name, value, ndim=(1,))
        refuse_grad(self.of, given)
        return contiguous(given, data)


class Number:
    """A number, or what a torch operator can take as one. Most go to the compiled code as they are."""

    def checked(self, name: str, value: Any) -> Any:
        """The value that the importance keeps; refuses others."""
        raise NotImplementedError

    def compiled(self, name: str, value: Any, data: Operand) -> Any:
        return value

    def packed(self, value: Any) -> float:
        return float(value)

    def check_packed(self, name: str, number: float) -> None:
        self.checked(name, number)

    def unpacked(self, number: float) -> Any:
        return number


@dataclass(frozen=True)
class Positive(Number):
    """A positive finite number."""

    def checked(self, name: str, value: Any) -> float:
        return positive(name, value)


@dataclass(frozen=True)
class Tolerance(Number):
    """The error allowed in an entry of α: a positive number, or None for the default of the dtype. Packed as 0."""

    def checked(self, name: str, value: Any) -> float | None:
        return None if value is None else positive(name, value)

    def compiled(self, name: str, value: float | None, data: Operand) -> float:
        return sup_error(value, data.dtype)

    def packed(self, value: float | None) -> float:
        return float(value or 0.0)

    def check_packed(self, name: str, number: float) -> None:
        self.checked(name, number if number != 0 else None)

    def unpacked(self, number: float) -> float | None:
        return number or None


@dataclass(frozen=True)
class Choice(Number):
    """One of a few words, packed as its index. `expected` is how an error lists them."""

    words: tuple[str, ...]
    expected: str

    def checked(self, name: str, value: Any) -> str:
        if value not in self.words:
            raise ValueError(f"{name}: expected {self.expected}, got {value!r}")
        return value

    def packed(self, value: str) -> float:
        return float(self.words.index(value))

    def check_packed(self, name: str, number: float) -> None:
        _check_index(name, number, len(self.words))

    def unpacked(self, number: float) -> str:
        return self.words[int(number)]


@dataclass(frozen=True)
class Flag(Number):
    """Yes or no."""

    def checked(self, name: str, value: Any) -> bool:
        return bool(value)

    def check_packed(self, name: str, number: float) -> None:
        _check_index(name, number, 2)

    def unpacked(self, number: float) -> bool:
        return bool(number)


@dataclass(frozen=True)
class Size(Number):
    """The number of samples; None takes it from the data, as the compiled code and the operators always do."""

    def checked(self, name: str, value: Any) -> int | None:
        if value is not None and (not isinstance(value, (int, np.integer)) or isinstance(value, bool)):
            raise TypeError(f"{name}: expected a number of samples, got {type(value).__name__}")
        if value is not None and value < 1:
            raise ValueError(f"{name}: expected at least one sample, got {value}")
        return value

    def compiled(self, name: str, value: int | None, data: Operand) -> int:
        return data.shape[0]

    def packed(self, value: int | None) -> float:
        return 0.0

    def unpacked(self, number: float) -> int | None:
        return int(number) or None


Part = Rows | Doubles | Number
Parts = Mapping[str, Part]

FEATURES = Rows(ndim=(1, 2), columns="feature")
METHOD = Choice(METHODS, f"{', '.join(METHODS[:-1])} or {METHODS[-1]}")
FORM = Choice(FORMS, f"one of {', '.join(FORMS)}")


class MadeOfParts(NotAnArray):
    """Base of what names its parts: in the order, and by the names, of the constructor's arguments."""

    _parts: ClassVar[Parts] = {}

    def _checked(self, name: str, value: Any) -> Any:
        return self._parts[name].checked(name, value)

    def __repr__(self) -> str:
        """Name and arguments, then what a subclass has added; of arrays their shape and dtype."""
        shown = []
        held = vars(self)
        for name in dict.fromkeys((*(part for part in self._parts if part in held), *held)):
            value = held[name]
            if is_array(value):
                shown.append(f"{name}={tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}")
            elif value is not None and not name.startswith("_"):
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def sup_error(tol: float | None, dtype: np.dtype) -> float:
    """What the compiled code may leave in an entry of α, for a tolerance."""
    if tol is None:
        # Far below the documented bound, so that sums over pairs keep the accuracy of their type at any tau.
        return 5e-8 if dtype == np.float32 else 1e-15
    return 0.5 * min(max(tol, 1e-15), 0.1)


def _check_index(name: str, number: float, count: int) -> None:
    if number not in range(count):
        raise ValueError(f"{name}: expected an integer from 0 to {count - 1}, got {number}")
