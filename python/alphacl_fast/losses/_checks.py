"""What a loss does with its arguments: checks them, widens half precision, reduces; how a module shows its options."""

from __future__ import annotations

import contextlib
from typing import Any

from alphacl_fast._arrays import number, positive, refuse_layout, refuse_transforms
from alphacl_fast._backend import is_in_host_memory, refuse_device, refuse_device_of_scalar
from alphacl_fast._optional import require

torch = require("torch")

_HALVES = (torch.bfloat16, torch.float16)
_FLOATS = frozenset((torch.float32, torch.float64, *_HALVES))
_REDUCTIONS = ("mean", "sum", "none")


def checked_features(name: str, z: Any, model: Any = None, *, rows: bool = True, ndim: int = 2) -> Any:
    """A float32 or float64 tensor with the samples as rows; half precision is widened."""
    if not isinstance(z, torch.Tensor):
        makes = {"ndarray": f": torch.from_numpy({name}) makes one", "list": f": torch.tensor({name}) makes one"}
        raise TypeError(f"{name}: expected a torch tensor, got {type(z).__name__}{makes.get(type(z).__name__, '')}")
    if z.dtype not in _FLOATS:
        remedy = "" if z.is_complex() else f": {name}.float() converts it"
        raise TypeError(f"{name}: expected float32, float64, bfloat16 or float16, got {z.dtype}{remedy}")
    if not torch.compiler.is_compiling():
        refuse_transforms(name, z)
    refuse_device(name, z.device.type)
    refuse_layout(name, z)
    shape = z.shape
    if len(shape) != ndim or shape[0] == 0 or shape[-1] == 0:
        raise ValueError(f"{name}: expected {ndim} axes, none of them empty, got shape {tuple(shape)}")
    if model is not None:
        other, of = model
        if z.dtype != of.dtype:
            raise TypeError(f"{name}: expected {of.dtype} like {other}, got {z.dtype}")
        if (shape != of.shape) if rows else (shape[-1] != of.shape[-1]):
            expected = f"shape {tuple(of.shape)}" if rows else f"{of.shape[-1]} features"
            raise ValueError(f"{name}: expected {expected} like {other}, got shape {tuple(shape)}")
    return z


def checked_views(**views: Any) -> None:
    """Features of the same samples, each by the name of its argument; all of them like the first."""
    first = None
    for name, z in views.items():
        checked_features(name, z, first)
        first = first or (name, z)


def without_autocast(z: Any) -> Any:
    """A context in which torch keeps the types that it is given, at no cost where it does so anyway."""
    device = z.device.type
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else contextlib.nullcontext()


def widen(z: Any) -> Any:
    return z.float() if z.dtype in _HALVES else z


def checked_reduction(reduction: str, known: tuple[str, ...] = _REDUCTIONS) -> str:
    if reduction not in known:
        raise ValueError(f"reduction: expected {', '.join(known[:-1])} or {known[-1]}, got {reduction!r}")
    return reduction


def inverse(name: str, temperature: Any) -> Any:
    """1/temperature in double: a number, or a tensor of no axes that may be learned."""
    if not isinstance(temperature, torch.Tensor):
        return 1 / positive(name, temperature)
    t = _scalar_tensor(name, temperature)
    if _can_be_read(t):
        positive(name, t.detach())
    return 1 / t


def scalar(name: str, value: Any) -> Any:
    """A scalar tensor or a number, as a tensor in double."""
    given = factor(name, value)
    return given if isinstance(given, torch.Tensor) else torch.tensor(given, dtype=torch.float64)


def factor(name: str, value: Any) -> Any:
    """A number, or a tensor of no axes in double that may be learned."""
    if not isinstance(value, torch.Tensor):
        return number(name, value)
    t = _scalar_tensor(name, value)
    if _can_be_read(t):
        number(name, t.detach())
    return t


def _scalar_tensor(name: str, t: Any) -> Any:
    """A real tensor of one number as double, without axes. Its value is not looked at."""
    if t.numel() != 1:
        raise ValueError(f"{name}: expected a scalar, got shape {tuple(t.shape)}")
    if t.is_complex() or t.dtype == torch.bool:
        raise TypeError(f"{name}: expected a real number, got {t.dtype}")
    refuse_device_of_scalar(name, t.device)
    if not torch.compiler.is_compiling():
        refuse_transforms(name, t)
    return t.reshape(()).double()


def _can_be_read(t: Any) -> bool:
    """Whether a value is there, and at no cost: another device would have to be waited for."""
    return not torch.compiler.is_compiling() and type(t) is torch.Tensor and is_in_host_memory(t)


def reduce(values: Any, reduction: str, like: Any) -> Any:
    if reduction == "mean":
        values = values.mean()
    elif reduction == "sum":
        values = values.sum()
    return values.to(torch.float64 if like.dtype == torch.float64 else torch.float32)


def options(module: Any) -> str:
    """The public attributes of a module, as its constructor takes them."""
    named = {**dict(module.named_parameters()), **dict(module.named_buffers()), **vars(module)}
    shown = [name for name in named if not name.startswith("_") and name not in ("training", "reduction")]
    return ", ".join(f"{name}={shown_value(named[name])}" for name in [*shown, "reduction"])


def shown_value(value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return repr(value)
    text = f"{value.item():.6g}" if is_in_host_memory(value) else f"tensor on {value.device}"
    return f"{text} (learned)" if isinstance(value, torch.nn.Parameter) else text
