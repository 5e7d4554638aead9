"""Checks of arguments, and the way from numpy arrays and torch tensors to what the compiled code reads and back."""

from __future__ import annotations

import math
import sys
import warnings
from typing import Any, NamedTuple

import numpy as np

from alphacl_fast._backend import device_for, is_in_host_memory, refuse_device
from alphacl_fast._optional import require


class Operand(NamedTuple):
    """A checked argument: `array` shares memory with what was given unless its rows had to be made contiguous.

    array: what the compiled module of `device` reads, a numpy array for the CPU and a torch tensor for a GPU.
    """

    name: str
    array: Any
    is_torch: bool
    requires_grad: bool
    device: str = "cpu"

    @property
    def dtype(self) -> np.dtype:
        return _numpy_dtype(self.array)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def place(self) -> str:
        """The device with its number, as in "cuda:1"."""
        return self.device if isinstance(self.array, np.ndarray) else str(self.array.device)


class NotAnArray:
    """Base of what numpy would take for a scalar, and make arrays of objects of."""

    __array_ufunc__ = None

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        kind = type(self).__name__
        expected = ".to_dense() where all entries are wanted" if hasattr(self, "to_dense") else "use as it is"
        raise TypeError(f"{kind}: expected {expected}, got np.asarray")

    def __rmatmul__(self, y: Any) -> Any:
        kind = type(self).__name__
        if not hasattr(self, "matmul"):
            raise TypeError(f"{kind}: has no products, got y @ {kind}")
        raise TypeError(f"y: expected {kind} @ y, got y @ {kind}: the products are those with columns")


def is_tensor(a: Any) -> bool:
    """Whether `a` is a torch tensor; does not import torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(a, torch.Tensor)


def is_traced(a: Any) -> bool:
    """Whether torch.compile is looking: then nothing may be read from memory, and operators check for themselves."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.compiler.is_compiling() and isinstance(a, torch.Tensor)


def is_array(a: Any) -> bool:
    """Whether `a` is a numpy array (not a masked one, whose mask would be lost) or a torch tensor."""
    return is_tensor(a) or (isinstance(a, np.ndarray) and not isinstance(a, np.ma.MaskedArray))


def operand(
    name: str,
    a: Any,
    *,
    ndim: tuple[int, ...] = (2,),
    samples: str = "sample",
    columns: str = "",
    empty: bool = False,
) -> Operand:
    """A float32 or float64 array with the given number of axes and, unless it may be `empty`, at least one row.

    `samples` says what a row holds; `columns` what a column does, where there must be one.
    """
    if not is_array(a):
        raise TypeError(f"{name}: expected a numpy array or a torch tensor, got {type(a).__name__}{_remedy(name, a)}")
    tensor = is_tensor(a)
    dtype = str(a.dtype).removeprefix("torch.")
    if dtype not in ("float32", "float64"):
        raise TypeError(f"{name}: expected float32 or float64, got {dtype}{_remedy(name, a)}")
    array, requires_grad = _from_tensor(name, a) if tensor else (np.asarray(a), False)
    if array.ndim not in ndim:
        axes = " or ".join(str(n) for n in ndim)
        raise ValueError(f"{name}: expected an array with {axes} axes, got shape {tuple(array.shape)}")
    if array.shape[0] == 0 and not empty:
        raise ValueError(f"{name}: expected at least one {samples}, got shape {tuple(array.shape)}")
    if columns and array.ndim == 2 and array.shape[1] == 0:
        raise ValueError(f"{name}: expected at least one {columns}, got shape {tuple(array.shape)}")
    device = device_for(a)
    return Operand(name, readable(array, device), tensor, requires_grad, device)


def _numpy_dtype(a: Any) -> np.dtype:
    return np.dtype(str(a.dtype).removeprefix("torch."))


def _remedy(name: str, a: Any) -> str:
    """What makes an array that is taken out of `a`, where something does."""
    if is_tensor(a):
        return "" if a.is_complex() else f": {name}.float() converts it"
    if isinstance(a, np.ma.MaskedArray):
        return f": say what is behind the mask, {name}.filled(value)"
    if isinstance(a, np.ndarray):
        wide = a.dtype.kind == "f" and a.dtype.itemsize > 4
        plain = a.dtype.kind in "biuf" or a.dtype == object
        return f": np.asarray({name}, np.float{64 if wide else 32}) converts it" if plain else ""
    known = isinstance(a, (list, tuple)) or (hasattr(type(a), "__array__") and not isinstance(a, NotAnArray))
    return f": np.asarray({name}, np.float32) converts it" if known else ""


def transform_error(name: str) -> RuntimeError:
    return RuntimeError(
        f"{name}: is used inside a transform of torch.func (grad, vmap, jvp), which alphacl_fast does not support: "
        "take derivatives by backward() or torch.autograd.grad"
    )


def refuse_transforms(name: str, t: Any) -> None:
    """Refuses what torch.func and forward-mode derivatives put in place of a tensor: they would be lost in silence."""
    torch = sys.modules["torch"]
    if torch._C._functorch.peek_interpreter_stack() is not None:
        raise transform_error(name)
    if torch.autograd.forward_ad.unpack_dual(t).tangent is not None:
        raise RuntimeError(
            f"{name}: carries a tangent, but alphacl_fast has no forward-mode derivatives: "
            f"use backward() where there is one, or pass {name} without its tangent"
        )


def refuse_layout(name: str, t: Any) -> None:
    """Refuses a sparse tensor."""
    if t.layout is not sys.modules["torch"].strided:
        raise TypeError(f"{name}: expected a dense (strided) tensor, got layout {t.layout}")


def _from_tensor(name: str, t: Any) -> tuple[Any, bool]:
    """The memory of a tensor, as a numpy array where it is the CPU's, and whether it requires grad here."""
    torch = sys.modules["torch"]
    refuse_transforms(name, t)
    refuse_device(name, t.device.type, " to the CPU")
    refuse_layout(name, t)
    plain = t.detach().resolve_neg()
    requires_grad = bool(t.requires_grad and torch.is_grad_enabled())
    return (plain.numpy() if is_in_host_memory(t) else plain), requires_grad


def readable(a: Any, device: str) -> Any:
    """What the compiled module of `device` reads: rows of adjacent entries, a numpy array or, on a GPU, a tensor."""
    if device == "cpu":
        return _with_contiguous_rows(a)
    if isinstance(a, np.ndarray):
        return tensor_over(_with_contiguous_rows(a))
    return a if a.ndim < 2 or a.shape[-1] <= 1 or a.stride(-1) == 1 else a.contiguous()


def tensor_over(a: np.ndarray) -> Any:
    """A torch tensor over the memory of an array, which may be read-only; a copy where rows run backwards."""
    torch = require("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the compiled code writes to results alone
        return torch.from_numpy(a if min(a.strides, default=0) >= 0 else a.copy())


def _with_contiguous_rows(a: np.ndarray) -> np.ndarray:
    flags = a.flags
    if flags.c_contiguous and flags.aligned:
        return a
    item = a.itemsize
    rows_contiguous = a.ndim == 1 or a.shape[-1] <= 1 or a.strides[-1] == item
    whole = all(stride % item == 0 for stride in a.strides[:2])
    # Not ascontiguousarray, which leaves a contiguous array on a misaligned address where it is.
    return a if rows_contiguous and whole and flags.aligned else np.require(a, requirements=("C", "A"))


def like(given: Operand, model: Operand, *, shape: bool = True) -> None:
    """`given` has the kind, dtype and (unless told otherwise) shape of `model`."""
    if given.is_torch != model.is_torch:
        raise TypeError(f"{given.name}: expected a {_kind(model)} like {model.name}, got a {_kind(given)}")
    if given.dtype != model.dtype:
        raise TypeError(f"{given.name}: expected {model.dtype} like {model.name}, got {given.dtype}")
    _same_place(given.name, given.place, model)
    if shape and given.shape != model.shape:
        raise ValueError(f"{given.name}: expected shape {model.shape} like {model.name}, got {given.shape}")


def alongside(name: str, a: Any, model: Operand) -> None:
    """`a`, an array or a tensor of any dtype, has the kind and the place of `model`."""
    if is_tensor(a) != model.is_torch:
        kind = "torch tensor" if is_tensor(a) else "numpy array"
        raise TypeError(f"{name}: expected a {_kind(model)} like {model.name}, got a {kind}")
    if is_tensor(a):
        refuse_device(name, a.device.type)
        _same_place(name, place_of(a), model)


def place_of(t: Any) -> str:
    """The device of a tensor as an operand names its own."""
    return device_for(t) if device_for(t) == "cpu" else str(t.device)


def _same_place(name: str, place: str, model: Operand) -> None:
    if place != model.place:
        raise TypeError(f"{name}: expected a tensor on {model.place} like {model.name}, got one on {place}")


def _kind(a: Operand) -> str:
    return "torch tensor" if a.is_torch else "numpy array"


def refuse_grad(function: str, *operands: Operand) -> None:
    """What has no derivative refuses: a result cut off from its graph in silence would be wrong."""
    for a in operands:
        if a.requires_grad:
            raise RuntimeError(
                f"{a.name}: requires grad, but {function} has no derivative here: call {a.name}.detach()"
            )


def refuse_learned_importance(function: str, data: Operand) -> None:
    """The operations hold α constant: features that expect a gradient would wait in vain."""
    if data.requires_grad:
        raise RuntimeError(
            f"{data.name}: requires grad, but {function} holds the importance constant (stop gradient): "
            f"make it from {data.name}.detach(); alpha_cl_loss also takes a function, lambda z, z_aug: Direct(z)"
        )


def stacked(first: Operand, second: Operand) -> Operand:
    """The rows of two operands, one below the other: a copy."""
    pair = first.array, second.array
    if isinstance(first.array, np.ndarray):
        # Of rows that are all one in memory numpy makes columns: the order of axes is that of the strides.
        both = np.ascontiguousarray(np.concatenate(pair))
    else:
        both = sys.modules["torch"].cat(pair)
    return first._replace(array=both, requires_grad=first.requires_grad or second.requires_grad)


def empty(shape: tuple[int, ...], dtype: Any, model: Operand) -> Any:
    """Uninitialised memory for the compiled module that computes with `model`."""
    if model.device == "cpu":
        return np.empty(shape, dtype)
    torch = sys.modules["torch"]
    return torch.empty(shape, dtype=getattr(torch, np.dtype(dtype).name), device=model.array.device)


def stand_in(model: Any, rows: int, dtype: Any) -> Any:
    """(rows, 1) numbers of a dtype that take no memory, of the kind and on the device of an array or a tensor."""
    if is_tensor(model):
        torch = sys.modules["torch"]
        return torch.zeros((), dtype=getattr(torch, np.dtype(dtype).name), device=model.device).expand(rows, 1)
    return np.broadcast_to(np.zeros((), dtype), (rows, 1))


def memory_of(t: Any) -> Any:
    """What the compiled module of a tensor's device writes to: the tensor, or a numpy array over its memory."""
    return t.numpy() if device_for(t) == "cpu" else t


def integers(name: str, a: Any, model: Operand) -> Any:
    """Integers of any dtype without gaps, as int64 where `model` lies; those beyond it keep what tells them apart."""
    tensor = is_tensor(a)
    if tensor:
        refuse_transforms(name, a)
        _same_place(name, place_of(a), model)
        if not is_in_host_memory(a):
            return a.detach().resolve_neg().to(sys.modules["torch"].int64).contiguous()
        a = a.detach().resolve_neg().numpy()
    wide = np.require(a.astype(np.int64, copy=False), requirements=("C", "A"))
    return wide if model.device == "cpu" else tensor_over(wide).to(model.array.device)


def contiguous(given: Operand, model: Operand) -> Any:
    """The array of an operand without gaps, where `model` lies."""
    if given.is_torch:
        _same_place(given.name, given.place, model)
    if model.device == "cpu":
        return np.ascontiguousarray(given.array)
    tensor = given.array if is_tensor(given.array) else tensor_over(given.array)
    return tensor.to(model.array.device).contiguous()


def from_host(a: np.ndarray, model: Operand) -> Any:
    """An array of the host as the compiled module that computes with `model` reads it."""
    return contiguous(Operand("", a, False, False), model)


def on_host(a: Any) -> np.ndarray:
    """The numbers of an array of a compiled module; those of a GPU are copied, which waits for it."""
    return a.cpu().numpy() if is_tensor(a) else a


def given_back(a: Any, is_torch: bool) -> Any:
    """An array of a compiled module as the caller gets it: of the kind that was given."""
    if is_tensor(a):
        return a if is_torch else a.numpy()
    return sys.modules["torch"].from_numpy(a) if is_torch else a


def result(shape: tuple[int, ...], model: Operand, out: Any = None) -> tuple[Any, Any]:
    """What to return and the array to write it through: `out` when given and fit, else new memory."""
    if out is None:
        array = empty(shape, model.dtype, model)
        return given_back(array, model.is_torch), array
    if not is_array(out):
        raise TypeError(f"out: expected a {_kind(model)} like {model.name}, got {type(out).__name__}")
    if is_tensor(out) != model.is_torch:
        raise TypeError(f"out: expected a {_kind(model)} like {model.name}, got the other kind")
    if is_tensor(out) and out.requires_grad:
        raise RuntimeError("out: expected a tensor that does not require grad, got one that does")
    if is_tensor(out):
        _same_place("out", str(out.device), model)
    if is_tensor(out) and out.is_neg():
        raise ValueError("out: expected a tensor in memory of its own, got a negated view")
    array = _from_tensor("out", out)[0] if is_tensor(out) else out
    if _numpy_dtype(array) != model.dtype:
        raise TypeError(f"out: expected {model.dtype} like {model.name}, got {_numpy_dtype(array)}")
    if tuple(array.shape) != shape:
        raise ValueError(f"out: expected shape {shape}, got {tuple(array.shape)}")
    if is_tensor(array):
        if not array.is_contiguous():
            raise ValueError(f"out: expected a contiguous tensor, got strides {array.stride()}")
        return out, array
    if not array.flags.writeable:
        raise ValueError("out: expected a writeable array, got a read-only one")
    if not (array.flags.c_contiguous and array.flags.aligned):
        raise ValueError(f"out: expected a C-contiguous array, got strides {array.strides}")
    return out, array if model.device == "cpu" else tensor_over(array)


def apart(array: Any, *inputs: Any) -> Any:
    """`array`, or new memory like it where an input that is read while it is written may lie under it."""
    if not is_tensor(array):
        return np.empty_like(array) if any(np.may_share_memory(array, a) for a in inputs) else array
    begin, end = _span(array)
    shared = any(start < end and begin < stop for start, stop in map(_span, inputs))
    return sys.modules["torch"].empty_like(array) if shared else array


def _span(t: Any) -> tuple[int, int]:
    """The addresses between which a tensor's numbers lie."""
    steps = sum((length - 1) * stride for length, stride in zip(t.shape, t.stride(), strict=True))
    return t.data_ptr(), t.data_ptr() + (0 if t.numel() == 0 else steps + 1) * t.element_size()


def number(name: str, value: Any, sign: str = "") -> float:
    """A finite real number that is a constant: a tensor that is to be learned is refused."""
    if type(value) is float:  # first: torch.compile knows no more of one that varies than its type
        found = value
    else:
        found = _read_number(name, value, sign)
    if not -math.inf < found < math.inf:
        raise ValueError(f"{name}: expected a {sign}finite number, got {found}")
    return found


def _read_number(name: str, value: Any, sign: str) -> float:
    if is_tensor(value):
        value = _constant(name, value)
    kind = type(value).__name__
    if isinstance(value, (str, bytes, bool, np.bool_, complex, np.complexfloating)) or not hasattr(value, "__float__"):
        raise TypeError(f"{name}: expected a {sign}number, got {kind}")
    if getattr(value, "shape", ()) != ():
        raise TypeError(f"{name}: expected a {sign}number, got {kind} of shape {tuple(value.shape)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name}: expected a {sign}finite number, got one beyond float64") from None
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected a {sign}number, got {kind}") from None


def _constant(name: str, t: Any) -> Any:
    """The Python number in a tensor of no axes, or the tensor itself where it holds more than one."""
    refuse_transforms(name, t)
    if t.requires_grad and sys.modules["torch"].is_grad_enabled():
        raise RuntimeError(f"{name}: requires grad, but is a constant here, which is not learned: pass {name}.item()")
    return t.item() if t.ndim == 0 else t


def positive(name: str, value: Any) -> float:
    """A positive finite number."""
    found = number(name, value, "positive ")
    if not found > 0:
        raise ValueError(f"{name}: expected a positive finite number, got {found}")
    return found
