"""The two sums of the package, contrastive_cov and energy, and the one operator of their gradients.

An importance goes through torch as its kind, its tensors and its numbers: what its class says that it is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from alphacl_fast import importance as importances
from alphacl_fast._arrays import is_array, operand
from alphacl_fast._backend import backend_for, is_in_host_memory
from alphacl_fast._parts import Doubles, Number, Rows, Size
from alphacl_fast._torch.once import once_differentiable
from alphacl_fast._torch.register import register
from alphacl_fast._torch.tensors import (
    array_of,
    check_doubles,
    check_like,
    check_rows,
    check_shape,
    expect,
    new_like,
    scalar,
)

# kind -> its tensors, and its numbers, by name
_ARRAYS: dict[str, dict[str, Rows | Doubles]] = {
    kind: {name: part for name, part in cls._parts.items() if not isinstance(part, Number)}
    for kind, cls in importances.KINDS.items()
}
_NUMBERS: dict[str, dict[str, Number]] = {
    kind: {name: part for name, part in cls._parts.items() if isinstance(part, Number)}
    for kind, cls in importances.KINDS.items()
}


def _pack(alpha: Any, x_name: str, x: torch.Tensor) -> tuple[str, list[torch.Tensor], list[float]]:
    if is_array(alpha):
        return "Dense", [_tensor("alpha", alpha, x_name)], []
    if alpha is None:
        alpha = importances.Uniform()
    importances.refuse_others(alpha)
    kind = alpha._kind  # that of the base for a subclass
    if kind not in importances.KINDS:
        raise TypeError(f"alpha: expected an importance that torch knows, got {type(alpha).__name__}")
    if kind == "Uniform" and alpha.size is not None and alpha.size != x.shape[0]:
        raise ValueError(f"alpha: expected {x.shape[0]} samples, got Uniform({alpha.size})")
    tensors = [
        _double(getattr(alpha, name), x)
        if isinstance(part, Doubles)
        else _tensor("alpha", getattr(alpha, name), x_name)
        for name, part in _ARRAYS[kind].items()
    ]
    return kind, tensors, [part.packed(getattr(alpha, name)) for name, part in _NUMBERS[kind].items()]


def _tensor(name: str, a: Any, like: str) -> torch.Tensor:
    if not isinstance(a, torch.Tensor):
        kind = "numpy array" if isinstance(a, np.ndarray) else type(a).__name__
        raise TypeError(f"{name}: expected a torch tensor like {like}, got a {kind}")
    return a


def _double(a: Any, x: torch.Tensor) -> torch.Tensor:
    if isinstance(a, torch.Tensor):
        return a
    # torch takes no negative strides, and warns of what is read-only; torch.compile copies for itself.
    a = a if torch.compiler.is_compiling() else np.require(a, requirements=("C", "A", "W"))
    return torch.from_numpy(a).to(x.device)


def _check_alpha(x: torch.Tensor, x_name: str, kind: str, tensors: Sequence[torch.Tensor], numbers: Sequence[float]):
    if kind not in importances.KINDS:
        raise ValueError(f"kind: expected one of {', '.join(importances.KINDS)}, got {kind!r}")
    of_tensors, of_numbers = _ARRAYS[kind], _NUMBERS[kind]
    for name, expected, got in (("tensors", of_tensors, tensors), ("numbers", of_numbers, numbers)):
        if len(got) != len(expected):
            raise ValueError(f"{name}: expected {len(expected)} for {kind} {tuple(expected)}, got {len(got)}")
    n = x.shape[0]
    for (name, array), t in zip(of_tensors.items(), tensors, strict=True):
        if isinstance(array, Doubles):
            check_doubles(name, t, n, x)
            continue
        check_like("alpha", t, x_name, x)
        check_rows(name, t, array.ndim)
        rows = t.shape[0]
        expect(rows == n, ValueError, lambda rows=rows: f"alpha: expected {n} samples like {x_name}, got {rows}")
        if array.square:
            check_shape(name, t, (n, n))
    for (name, part), number in zip(of_numbers.items(), numbers, strict=True):
        if isinstance(part, Size):
            _check_size(name, number, n)
        else:
            part.check_packed(name, number)


def _check_size(name: str, number: float, n: Any) -> None:
    expect(number == 0 or number == n, ValueError, lambda: f"{name}: expected 0 or {n}, got {number}")


def _checked_views(first: str) -> Callable[..., None]:
    def check(x, x_aug, kind, tensors, numbers):
        second = f"{first}_aug"
        check_rows(first, x, columns=False)
        check_like(second, x_aug, first, x)
        check_rows(second, x_aug, columns=False)
        check_shape(second, x_aug, x.shape, f" like {first}")
        _check_alpha(x, first, kind, tensors, numbers)

    return check


def _compiled(name: str, x: torch.Tensor, kind: str, tensors: Sequence[torch.Tensor], numbers: Sequence[float]) -> Any:
    """The compiled importance over the samples of x, an argument of this name."""
    arguments: dict[str, Any] = {}
    for part_name, t in zip(_ARRAYS[kind], tensors, strict=True):
        arguments[part_name] = t.detach()
    for (part_name, part), number in zip(_NUMBERS[kind].items(), numbers, strict=True):
        arguments[part_name] = part.unpacked(number)
    alpha = importances.KINDS[kind](**arguments)
    return importances.compile_for("this operator", alpha, operand(name, x.detach()))


def _contrastive_cov(x, x_aug, kind, tensors, numbers):
    out, to = new_like(x.new_empty((x.shape[1],) * 2))
    alpha = _compiled("x", x, kind, tensors, numbers)
    backend_for(x).contrastive_cov(array_of("x", x), array_of("x_aug", x_aug), alpha, to)
    return out


def _energy(f, f_aug, kind, tensors, numbers):
    alpha = _compiled("f", f, kind, tensors, numbers)
    value = backend_for(f).energy(array_of("f", f), array_of("f_aug", f_aug), alpha)
    return scalar(value, f).to(f.dtype)


def _laplacian(x, x_aug, kind, tensors, numbers):
    (grad, to), (grad_aug, to_aug) = new_like(x), new_like(x)
    alpha = _compiled("x", x, kind, tensors, numbers)
    backend_for(x).laplacian_product(array_of("x", x), array_of("x_aug", x_aug), alpha, to, to_aug)
    return grad, grad_aug


_ALPHA = "str kind, Tensor[] tensors, float[] numbers"

register(
    f"contrastive_cov(Tensor x, Tensor x_aug, {_ALPHA}) -> Tensor",
    _checked_views("x"),
    _contrastive_cov,
    lambda x, *others: x.new_empty(x.shape[1], x.shape[1]),
)

register(
    f"energy(Tensor f, Tensor f_aug, {_ALPHA}) -> Tensor",
    _checked_views("f"),
    _energy,
    lambda f, *others: f.new_empty(()),
)

register(
    f"laplacian(Tensor x, Tensor x_aug, {_ALPHA}) -> (Tensor, Tensor)",
    _checked_views("x"),
    _laplacian,
    lambda x, *others: (x.new_empty(x.shape), x.new_empty(x.shape)),
)


def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """ab; on a GPU in double, since TF32 may be allowed there for float32."""
    return a @ b if is_in_host_memory(a) else (a.double() @ b.double()).to(a.dtype)


class _ContrastiveCov(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, x_aug, kind, numbers, *tensors):
        ctx.save_for_backward(x, x_aug, *tensors)
        ctx.alpha = kind, numbers
        return torch.ops.alphacl_fast.contrastive_cov(x, x_aug, kind, tensors, numbers)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        x, x_aug, *tensors = ctx.saved_tensors
        kind, numbers = ctx.alpha
        inter, intra = torch.ops.alphacl_fast.laplacian(x, x_aug, kind, tensors, numbers)
        both = (grad + grad.mT) / (2 * x.shape[0] ** 2)
        return product(inter, both), product(intra, both), None, None, *(None for _ in tensors)


class _Energy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, f, f_aug, kind, numbers, *tensors):
        ctx.save_for_backward(f, f_aug, *tensors)
        ctx.alpha = kind, numbers
        return torch.ops.alphacl_fast.energy(f, f_aug, kind, tensors, numbers)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        f, f_aug, *tensors = ctx.saved_tensors
        kind, numbers = ctx.alpha
        inter, intra = torch.ops.alphacl_fast.laplacian(f, f_aug, kind, tensors, numbers)
        scale = grad / (2 * f.shape[0] ** 2)
        return inter * scale, intra * scale, None, None, *(None for _ in tensors)


def constant_importance(
    alpha: Any, x_name: str, x: torch.Tensor, function: str
) -> tuple[str, list[torch.Tensor], list[float]]:
    """α packed; there is no derivative with respect to it, and nothing may lose its gradient in silence."""
    packed = _pack(alpha, x_name, x)
    if torch.is_grad_enabled() and any(t.requires_grad for t in packed[1]):
        raise RuntimeError(f"alpha: requires grad, but {function} has no derivative with respect to it: detach it")
    return packed


def contrastive_cov(x: torch.Tensor, x_aug: torch.Tensor, alpha: Any) -> torch.Tensor:
    """C_α[x] with its derivative with respect to x and x_aug, α constant."""
    _tensor("x_aug", x_aug, "x")
    kind, tensors, numbers = constant_importance(alpha, "x", x, "contrastive_cov")
    return _ContrastiveCov.apply(x, x_aug, kind, numbers, *tensors)


def energy(f: torch.Tensor, f_aug: torch.Tensor, alpha: Any) -> torch.Tensor:
    """E_α with its derivative with respect to f and f_aug, α constant."""
    _tensor("f_aug", f_aug, "f")
    kind, tensors, numbers = constant_importance(alpha, "f", f, "energy")
    return _Energy.apply(f, f_aug, kind, numbers, *tensors)
