"""The two sums of the package, contrastive_cov and energy, and the operators of their gradients and of eigenvalues'.

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
from alphacl_fast._parts import Classes, Compressed, Data, Doubles, Number, Rows, SecondView, Signs, Size
from alphacl_fast._torch.once import once_differentiable
from alphacl_fast._torch.register import register
from alphacl_fast._torch.tensors import (
    array_of,
    check_doubles,
    check_integers,
    check_like,
    check_rows,
    check_shape,
    doubles_of,
    expect,
    new_doubles,
    new_like,
    new_rows,
)

# kind -> its tensors, and its numbers, by name
_ARRAYS: dict[str, dict[str, Data]] = {
    kind: {name: part for name, part in cls._parts.items() if isinstance(part, Data)}
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
        _double(a, x) if isinstance(part, (Doubles, Signs)) else _tensor("alpha", a, x_name)
        for name, part in _ARRAYS[kind].items()
        for a in part.apart(getattr(alpha, name))
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
    of_numbers = _NUMBERS[kind]
    parts = _grouped(kind, tensors)
    if len(numbers) != len(of_numbers):
        raise ValueError(f"numbers: expected {len(of_numbers)} for {kind} {tuple(of_numbers)}, got {len(numbers)}")
    for name, (part, group) in parts.items():
        _CHECKS[type(part)](name, part, group, x, x_name, tensors)
    n = x.shape[0]
    for (name, part), number in zip(of_numbers.items(), numbers, strict=True):
        if isinstance(part, Size):
            _check_size(name, number, n)
        else:
            part.check_packed(name, number)


def _grouped(kind: str, tensors: Sequence[torch.Tensor]) -> dict[str, tuple[Data, Sequence[torch.Tensor]]]:
    """The part and its tensors for each name; those that are optional come last and may be missing."""
    arrays = _ARRAYS[kind]
    most = sum(part.tensors for part in arrays.values())
    least = sum(part.tensors for part in arrays.values() if not part.optional)
    if not least <= len(tensors) <= most:
        count = f"{least}" if least == most else f"{least} or {most}"
        raise ValueError(f"tensors: expected {count} for {kind} {tuple(arrays)}, got {len(tensors)}")
    found, first = {}, 0
    for name, part in arrays.items():
        found[name] = part, tensors[first : first + part.tensors]
        first += part.tensors
    return found


def _check_samples(x: torch.Tensor, x_name: str, rows: Any) -> None:
    n = x.shape[0]
    expect(rows == n, ValueError, lambda: f"alpha: expected {n} samples like {x_name}, got {rows}")


def _check_rows(name, part, group, x, x_name, tensors):
    (t,) = group
    check_like("alpha", t, x_name, x)
    check_rows(name, t, part.ndim)
    _check_samples(x, x_name, t.shape[0] * (2 if part.views and len(tensors) > 1 else 1))
    if part.square:
        check_shape(name, t, (x.shape[0],) * 2)


def _check_second_view(name, part, group, x, x_name, tensors):
    for t in group:
        check_like(name, t, x_name, x)
        check_shape(name, t, tensors[0].shape, f" like {part.of}")


def _check_doubles(name, part, group, x, x_name, tensors):
    check_doubles(name, group[0], x.shape[0], x)


def _check_signs(name, part, group, x, x_name, tensors):
    for t in group:
        check_doubles(name, t, tensors[0].shape[1], x)


def _check_classes(name, part, group, x, x_name, tensors):
    check_integers(name, group[0], x)
    _check_samples(x, x_name, group[0].shape[0])


def _check_compressed(name, part, group, x, x_name, tensors):
    starts, columns, values = group
    check_integers(name, starts, x)
    check_integers(name, columns, x)
    check_like("alpha", values, x_name, x)
    check_shape(name, values, columns.shape)
    _check_samples(x, x_name, starts.shape[0] - 1)


# sort of part -> check(name, part, its tensors, x, name of x, all tensors)
_CHECKS: dict[type[Data], Callable[..., None]] = {
    Rows: _check_rows,
    SecondView: _check_second_view,
    Doubles: _check_doubles,
    Signs: _check_signs,
    Classes: _check_classes,
    Compressed: _check_compressed,
}


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


_check_views = _checked_views("x")


def _compiled(name: str, x: torch.Tensor, kind: str, tensors: Sequence[torch.Tensor], numbers: Sequence[float]) -> Any:
    """The compiled importance over the samples of x, an argument of this name."""
    arguments: dict[str, Any] = {}
    for part_name, (of_arrays, group) in _grouped(kind, tensors).items():
        arguments[part_name] = of_arrays.together([t.detach() for t in group])
    for (part_name, part), number in zip(_NUMBERS[kind].items(), numbers, strict=True):
        arguments[part_name] = part.unpacked(number)
    alpha = importances.KINDS[kind](**arguments)
    return importances.compile_for("this operator", alpha, operand(name, x.detach()))


def _contrastive_cov(x, x_aug, kind, tensors, numbers):
    out, to = new_like(x.new_empty((x.shape[1],) * 2))
    alpha = _compiled("x", x, kind, tensors, numbers)
    backend_for(x).contrastive_cov(array_of(x), array_of(x_aug), alpha, to)
    return out


def _energy(f, f_aug, kind, tensors, numbers):
    value, to = new_doubles(f, 1)
    alpha = _compiled("f", f, kind, tensors, numbers)
    backend_for(f).energy(array_of(f), array_of(f_aug), alpha, to)
    return value.reshape(()).to(f.dtype)


def _laplacian(x, x_aug, kind, tensors, numbers):
    (grad, to), (grad_aug, to_aug) = new_rows(x), new_rows(x)
    alpha = _compiled("x", x, kind, tensors, numbers)
    backend_for(x).laplacian_product(array_of(x), array_of(x_aug), alpha, to, to_aug)
    return grad, grad_aug


def _check_along(x, x_aug, vectors, weights, kind, tensors, numbers):
    _check_views(x, x_aug, kind, tensors, numbers)
    check_like("vectors", vectors, "x", x)
    check_rows("vectors", vectors, columns=False)
    check_shape("vectors", vectors, (vectors.shape[0], x.shape[1]))
    check_doubles("weights", weights, vectors.shape[0], x)


def _laplacian_along(x, x_aug, vectors, weights, kind, tensors, numbers):
    (grad, to), (grad_aug, to_aug) = new_rows(x), new_rows(x)
    alpha = _compiled("x", x, kind, tensors, numbers)
    along = array_of(vectors), doubles_of(weights)
    backend_for(x).laplacian_along(array_of(x), array_of(x_aug), alpha, *along, to, to_aug)
    return grad, grad_aug


_ALPHA = "str kind, Tensor[] tensors, float[] numbers"

run_contrastive_cov = register(
    f"contrastive_cov(Tensor x, Tensor x_aug, {_ALPHA}) -> Tensor",
    _check_views,
    _contrastive_cov,
    lambda x, *others: x.new_empty(x.shape[1], x.shape[1]),
)

_run_energy = register(
    f"energy(Tensor f, Tensor f_aug, {_ALPHA}) -> Tensor",
    _checked_views("f"),
    _energy,
    lambda f, *others: f.new_empty(()),
)

_run_laplacian = register(
    f"laplacian(Tensor x, Tensor x_aug, {_ALPHA}) -> (Tensor, Tensor)",
    _check_views,
    _laplacian,
    lambda x, *others: (x.new_empty(x.shape), x.new_empty(x.shape)),
)

run_laplacian_along = register(
    f"laplacian_along(Tensor x, Tensor x_aug, Tensor vectors, Tensor weights, {_ALPHA}) -> (Tensor, Tensor)",
    _check_along,
    _laplacian_along,
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
        return run_contrastive_cov(x, x_aug, kind, tensors, numbers)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        x, x_aug, *tensors = ctx.saved_tensors
        kind, numbers = ctx.alpha
        inter, intra = _run_laplacian(x, x_aug, kind, tensors, numbers)
        both = (grad + grad.mT) / (2 * x.shape[0] ** 2)
        return product(inter, both), product(intra, both), None, None, *(None for _ in tensors)


class _Energy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, f, f_aug, kind, numbers, *tensors):
        ctx.save_for_backward(f, f_aug, *tensors)
        ctx.alpha = kind, numbers
        return _run_energy(f, f_aug, kind, tensors, numbers)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        f, f_aug, *tensors = ctx.saved_tensors
        kind, numbers = ctx.alpha
        inter, intra = _run_laplacian(f, f_aug, kind, tensors, numbers)
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
