"""Checks of an operator's tensors, and the way from them to what the compiled code reads and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from alphacl_fast._arrays import memory_of, readable, refuse_layout
from alphacl_fast._backend import device_for, is_in_host_memory


def expect(holds: Any, error: type[Exception], text: Callable[[], str]) -> None:
    """Raises unless it holds; what torch.compile does not know yet of its sizes it asserts itself, later."""
    if isinstance(holds, torch.SymBool):
        (torch._check_value if error is ValueError else torch._check_type)(holds, text)
    elif not holds:
        raise error(text())


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def check_like(name: str, t: torch.Tensor, model_name: str, model: torch.Tensor) -> None:
    if t.dtype != model.dtype:
        raise TypeError(f"{name}: expected {dtype_name(model.dtype)} like {model_name}, got {dtype_name(t.dtype)}")
    if t.device != model.device:
        raise TypeError(f"{name}: expected a tensor on {model.device} like {model_name}, got {t.device}")


def check_rows(name: str, t: torch.Tensor, ndim: tuple[int, ...] = (2,), *, columns: bool = True) -> None:
    """Features: float32 or float64, with rows and, where `columns`, something in them."""
    if t.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name}: expected float32 or float64, got {dtype_name(t.dtype)}")
    refuse_layout(name, t)
    if t.ndim not in ndim:
        axes = " or ".join(str(n) for n in ndim)
        raise ValueError(f"{name}: expected a tensor with {axes} axes, got shape {tuple(t.shape)}")
    expect(t.shape[0] > 0, ValueError, lambda: f"{name}: expected at least one sample, got shape {tuple(t.shape)}")
    if columns and t.ndim == 2:
        expect(t.shape[1] > 0, ValueError, lambda: f"{name}: expected at least one column, got shape {tuple(t.shape)}")


def check_shape(name: str, t: torch.Tensor, shape: Sequence[Any], like: str = "") -> None:
    def text() -> str:
        return f"{name}: expected shape {tuple(shape)}{like}, got {tuple(t.shape)}"

    expect(t.ndim == len(shape), ValueError, text)
    for length, expected in zip(t.shape, shape, strict=True):
        expect(length == expected, ValueError, text)


def check_doubles(name: str, t: torch.Tensor, count: Any, model: torch.Tensor) -> None:
    """One number for each of `count` samples."""
    if t.dtype != torch.float64 or t.layout is not torch.strided:
        raise TypeError(f"{name}: expected a dense float64 tensor, got {dtype_name(t.dtype)}, layout {t.layout}")
    if t.device != model.device:
        raise TypeError(f"{name}: expected a tensor on {model.device}, got {t.device}")
    check_shape(name, t, (count,))


def check_integers(name: str, t: torch.Tensor, model: torch.Tensor) -> None:
    """One axis of integers, or of truths, which are told apart as integers are."""
    if t.dtype.is_floating_point or t.dtype.is_complex or t.layout is not torch.strided:
        raise TypeError(f"{name}: expected a dense tensor of integers, got {dtype_name(t.dtype)}, layout {t.layout}")
    if t.device != model.device:
        raise TypeError(f"{name}: expected a tensor on {model.device}, got {t.device}")
    expect(t.ndim == 1, ValueError, lambda: f"{name}: expected a tensor with 1 axis, got shape {tuple(t.shape)}")


def array_of(t: torch.Tensor) -> Any:
    """What the compiled code reads of checked features."""
    return readable(memory_of(t.detach().resolve_neg()), device_for(t))


def doubles_of(t: torch.Tensor) -> Any:
    return memory_of(t.detach().resolve_neg().to(torch.float64).contiguous())


def new_doubles(model: torch.Tensor, *shape: int) -> tuple[torch.Tensor, Any]:
    """float64 memory where `model` lies, and what the compiled code writes to."""
    made = torch.empty(shape, dtype=torch.float64, device=model.device)
    return made, memory_of(made)


def new_rows(model: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """As new_like. NumPy asks the system for large pages, torch does not: to touch small ones first takes longer than
    to compute what goes there."""
    if not is_in_host_memory(model):
        return new_like(model)
    made = torch.from_numpy(np.empty(model.shape, dtype_name(model.dtype)))
    return made, memory_of(made)


def new_like(t: torch.Tensor) -> tuple[torch.Tensor, Any]:
    made = torch.empty_like(t, memory_format=torch.contiguous_format)
    return made, memory_of(made)
