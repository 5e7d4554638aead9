"""What an importance is made of: its arrays and its numbers.

A class of `importance` names its parts once, with what each of them is. From there come the checks of its constructor,
the arguments of its compiled constructor, its repr, and the tensors and floats that a torch operator takes it as.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from alphacl_fast._arrays import (
    NotAnArray,
    Operand,
    contiguous,
    integers,
    is_array,
    is_tensor,
    is_traced,
    number,
    operand,
    positive,
    refuse_grad,
)

METHODS = ("auto", "tiles", "fourier", "sorted")  # how a Gaussian is computed
FORMS = ("exponential", "hinge", "logistic", "softplus", "square")  # the ψ of a PairImportance, and of sums over pairs


class Data:
    """Arrays, as what torch takes apart: `tensors` of them, or none where they are `optional` and not there."""

    tensors: ClassVar[int] = 1
    optional: ClassVar[bool] = False

    def checked(self, name: str, value: Any) -> Any:
        """The value that the importance keeps; refuses others."""
        raise NotImplementedError

    def compiled(self, name: str, value: Any, data: Operand) -> Any:
        """What the compiled constructor is given."""
        raise NotImplementedError

    def apart(self, value: Any) -> list[Any]:
        return [] if value is None and self.optional else [value]

    def together(self, tensors: Sequence[Any]) -> Any:
        return tensors[0] if tensors else None


@dataclass(frozen=True)
class Rows(Data):
    """The data: one row, or one number, per sample. `columns` says what a column holds where there must be one."""

    ndim: tuple[int, ...] = (2,)
    columns: str = ""
    square: bool = False
    views: bool = False  # the second array of the importance, where there is one, is the other view

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
class SecondView(Data):
    """The other view of the data, `of` which it has the shape; None: there is one view. Compiled: whether there are
    two, since the importance stacks them."""

    of: str
    optional: ClassVar[bool] = True

    def checked(self, name: str, value: Any) -> Any:
        return value

    def compiled(self, name: str, value: Any, data: Operand) -> bool:
        return value is not None


@dataclass(frozen=True)
class Doubles(Data):
    """One float64 number per sample beside the data; the importance that they are part `of` checks how many."""

    of: str

    def checked(self, name: str, value: Any) -> Any:
        return value

    def compiled(self, name: str, value: Any, data: Operand) -> Any:
        given = operand(name, value, ndim=(1,))
        refuse_grad(self.of, given)
        return contiguous(given, data)


def _is_compiling() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.compiler.is_compiling())


@dataclass(frozen=True)
class Signs(Data):
    """One real number of any sign per column of the data, kept as float64; None: ones."""

    of: str
    optional: ClassVar[bool] = True

    def checked(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        kind = value.dtype if is_array(value) else type(value).__name__
        if _is_compiling() and not is_tensor(value):
            value = sys.modules["torch"].tensor(value, dtype=sys.modules["torch"].float64)
        if is_tensor(value):
            real = not (value.is_complex() or value.is_sparse)
            given = value.double() if real else value
        else:
            given = np.asarray(value)
            real = given.dtype.kind in "biuf"
            kind, given = (given.dtype, given.astype(np.float64, copy=False)) if real else (kind, given)
        if not real or isinstance(value, np.ma.MaskedArray):
            raise TypeError(f"{name}: expected real numbers, one per column of the factor, got {kind}")
        if given.ndim != 1:
            raise ValueError(f"{name}: expected one number per column of the factor, got shape {tuple(given.shape)}")
        return given

    def compiled(self, name: str, value: Any, data: Operand) -> Any:
        if value is None:
            return None
        given = operand(name, value, ndim=(1,))
        refuse_grad(self.of, given)
        return contiguous(given, data)


@dataclass(frozen=True)
class Classes(Data):
    """One integer per sample, of any dtype: only whether two are equal counts."""

    def checked(self, name: str, value: Any) -> Any:
        if is_traced(value):
            return value
        if not is_array(value):
            raise TypeError(f"{name}: expected an array or a tensor of integers, got {type(value).__name__}")
        dtype = str(value.dtype).removeprefix("torch.")
        if dtype != "bool" and not dtype.startswith(("int", "uint")):
            raise TypeError(f"{name}: expected integers, got {dtype}")
        if value.ndim != 1 or value.shape[0] == 0:
            raise ValueError(f"{name}: expected one integer per sample, got shape {tuple(value.shape)}")
        return value

    def compiled(self, name: str, value: Any, data: Operand) -> Any:
        return integers(name, value, data)


class Csr(NamedTuple):
    """A square sparse matrix in compressed rows: row i has the columns and values from starts[i] to starts[i + 1]."""

    starts: Any
    columns: Any
    values: Any

    @property
    def size(self) -> int:
        return int(self.starts.shape[0]) - 1

    def __repr__(self) -> str:
        n, dtype = self.size, str(self.values.dtype).removeprefix("torch.")
        return f"({n}, {n}) {dtype}, {self.values.shape[0]} entries"


@dataclass(frozen=True)
class Compressed(Data):
    """A square sparse matrix: of scipy, of torch in compressed rows, or a Csr that one was made into."""

    tensors: ClassVar[int] = 3

    def checked(self, name: str, value: Any) -> Csr:
        if isinstance(value, Csr):
            return value
        made = self._of_torch(name, value) if is_tensor(value) else self._of_scipy(name, value)
        self.values(name, made)
        return made

    def values(self, name: str, matrix: Csr) -> Operand:
        return operand(name, matrix.values, ndim=(1,), empty=True)

    def compiled(self, name: str, value: Csr, data: Operand) -> tuple[Any, Any, Any]:
        indices = [integers(name, a, data) for a in (value.starts, value.columns)]
        return indices[0], indices[1], contiguous(self.values(name, value), data)

    def apart(self, value: Csr) -> list[Any]:
        return list(value)

    def together(self, tensors: Sequence[Any]) -> Csr:
        return Csr(*tensors)

    @staticmethod
    def _of_torch(name: str, t: Any) -> Csr:
        if t.layout is not sys.modules["torch"].sparse_csr:
            raise TypeError(
                f"{name}: expected a sparse tensor in compressed rows, got layout {t.layout}: "
                + (f"use Dense({name})" if str(t.layout) == "torch.strided" else f"{name}.to_sparse_csr() converts it")
            )
        _check_square(name, tuple(t.shape))
        if t.values().ndim != 1:
            raise ValueError(f"{name}: expected entries that are numbers, got blocks of shape {t.values().shape[1:]}")
        return Csr(*map(_own, (t.crow_indices(), t.col_indices(), t.values())))

    @staticmethod
    def _of_scipy(name: str, value: Any) -> Csr:
        scipy_sparse = sys.modules.get("scipy.sparse")
        if scipy_sparse is None or not scipy_sparse.issparse(value):
            remedy = f": use Dense({name})" if is_array(value) else ""
            raise TypeError(f"{name}: expected a sparse matrix of scipy or torch, got {type(value).__name__}{remedy}")
        if value.dtype not in (np.float32, np.float64):
            raise TypeError(
                f"{name}: expected float32 or float64, got {value.dtype}: {name}.astype(np.float32) converts it"
            )
        _check_square(name, value.shape)
        rows = value.tocsr()
        return Csr(rows.indptr, rows.indices, rows.data)


def _own(t: Any) -> Any:
    """The same memory as a tensor that is no view of a sparse one, which torch.compile cannot look at."""
    if t.requires_grad:
        return t
    return t.new_empty(0).set_(t.untyped_storage(), t.storage_offset(), t.shape, t.stride())


def _check_square(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
        raise ValueError(f"{name}: expected a square (N, N) matrix, got shape {tuple(shape)}")


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
class Real(Number):
    """A finite number of any sign."""

    def checked(self, name: str, value: Any) -> float:
        return number(name, value)


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
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{name}: expected True or False, got {value!r}")
        return bool(value)

    def check_packed(self, name: str, number: float) -> None:
        _check_index(name, number, 2)

    def unpacked(self, number: float) -> bool:
        return bool(number)


@dataclass(frozen=True)
class NotNegative(Number):
    """A finite number >= 0."""

    def checked(self, name: str, value: Any) -> float:
        given = number(name, value)
        if given < 0:
            raise ValueError(f"{name}: expected a finite number >= 0, got {given}")
        return given


@dataclass(frozen=True)
class Rescaled(Number):
    """Whether rows are divided by their sums: no, yes, or by those over both views. Packed as 0, 1, 2."""

    values: ClassVar[tuple[bool | str, ...]] = (False, True, "both")

    def checked(self, name: str, value: Any) -> bool | str:
        if isinstance(value, (bool, np.bool_)):
            return bool(value)
        if not (isinstance(value, str) and value == "both"):
            raise TypeError(f"{name}: expected True, False or 'both', got {value!r}")
        return "both"

    def compiled(self, name: str, value: bool | str, data: Operand) -> bool:
        return value is not False

    def packed(self, value: bool | str) -> float:
        return float(self.values.index(value))

    def check_packed(self, name: str, number: float) -> None:
        _check_index(name, number, len(self.values))

    def unpacked(self, number: float) -> bool | str:
        return self.values[int(number)]


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


Part = Data | Number
Parts = Mapping[str, Part]

FEATURES = Rows(ndim=(1, 2), columns="feature")
FEATURES_OF_VIEWS = Rows(ndim=(1, 2), columns="feature", views=True)
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
