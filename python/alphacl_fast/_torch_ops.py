"""The operators that torch knows: `torch.ops.alphacl_fast.*`, and the derivatives over them.

Imported only where torch is there. Scores and their sums are compiled code; what is saved for backward is the inputs
and one number per sample. Derivatives are themselves not differentiable.

An operator checks all that it reads, since anybody may call it; its fake, which torch.compile asks for shapes, makes
the same checks. They look at shapes, dtypes and devices alone, which a fake has too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from alphacl_fast import importance as importances
from alphacl_fast._arrays import is_array, operand, positive, refuse_transforms, transform_error
from alphacl_fast._backend import cpu

_library = torch.library.Library("alphacl_fast", "DEF")


def _register(schema: str, check: Callable[..., None], kernel: Callable[..., Any], fake: Callable[..., Any]) -> None:
    name = schema.partition("(")[0]

    def checked(of: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments):
            check(*arguments)
            return of(*arguments)

        return call

    _library.define(schema)
    _library.impl(name, checked(kernel), "CPU")
    _library.impl(name, _refusing_transforms(getattr(torch.ops.alphacl_fast, name).default), "Autograd")
    torch.library.register_vmap(f"alphacl_fast::{name}", _refuse_vmap, lib=_library)
    torch.library.register_fake(f"alphacl_fast::{name}", checked(fake), lib=_library)


def _refusing_transforms(op: Any) -> Callable[..., Any]:
    """The operator above autograd: compiled functions come here with what the public functions could not look at."""
    names = [argument.name for argument in op._schema.arguments]

    def call(*arguments):
        for name, argument in zip(names, arguments, strict=True):
            for t in argument if isinstance(argument, (list, tuple)) else (argument,):
                if isinstance(t, torch.Tensor):
                    refuse_transforms(name, t)
        with torch._C._AutoDispatchBelowAutograd():
            return op(*arguments)

    return call


def _refuse_vmap(info: Any, dims: Any, *arguments: Any) -> Any:
    raise transform_error("tensors")


def _expect(holds: Any, error: type[Exception], text: Callable[[], str]) -> None:
    """Raises unless it holds; what torch.compile does not know yet of its sizes it asserts itself, later."""
    if isinstance(holds, torch.SymBool):
        (torch._check_value if error is ValueError else torch._check_type)(holds, text)
    elif not holds:
        raise error(text())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _check_like(name: str, t: torch.Tensor, model_name: str, model: torch.Tensor) -> None:
    if t.dtype != model.dtype:
        raise TypeError(f"{name}: expected {_name(model.dtype)} like {model_name}, got {_name(t.dtype)}")
    if t.device != model.device:
        raise TypeError(f"{name}: expected a tensor on {model.device} like {model_name}, got {t.device}")


def _check_rows(name: str, t: torch.Tensor, ndim: tuple[int, ...] = (2,), *, columns: bool = True) -> None:
    """Features: float32 or float64, with rows and, where `columns`, something in them."""
    if t.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name}: expected float32 or float64, got {_name(t.dtype)}")
    if t.layout is not torch.strided:
        raise TypeError(f"{name}: expected a dense (strided) tensor, got layout {t.layout}")
    if t.ndim not in ndim:
        axes = " or ".join(str(n) for n in ndim)
        raise ValueError(f"{name}: expected a tensor with {axes} axes, got shape {tuple(t.shape)}")
    _expect(t.shape[0] > 0, ValueError, lambda: f"{name}: expected at least one sample, got shape {tuple(t.shape)}")
    if columns and t.ndim == 2:
        _expect(t.shape[1] > 0, ValueError, lambda: f"{name}: expected at least one column, got shape {tuple(t.shape)}")


def _check_shape(name: str, t: torch.Tensor, shape: Sequence[Any], like: str = "") -> None:
    def text() -> str:
        return f"{name}: expected shape {tuple(shape)}{like}, got {tuple(t.shape)}"

    _expect(t.ndim == len(shape), ValueError, text)
    for length, expected in zip(t.shape, shape, strict=True):
        _expect(length == expected, ValueError, text)


def _check_doubles(name: str, t: torch.Tensor, count: Any, model: torch.Tensor) -> None:
    """One number for each of `count` samples."""
    if t.dtype != torch.float64 or t.layout is not torch.strided:
        raise TypeError(f"{name}: expected a dense float64 tensor, got {_name(t.dtype)}, layout {t.layout}")
    if t.device != model.device:
        raise TypeError(f"{name}: expected a tensor on {model.device}, got {t.device}")
    _check_shape(name, t, (count,))


def _array(t: torch.Tensor) -> np.ndarray:
    return operand("features", t.detach()).array


def _doubles(t: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(t.detach().resolve_neg().numpy(), np.float64)


def _new(*shape: int) -> tuple[torch.Tensor, np.ndarray]:
    array = np.empty(shape)
    return torch.from_numpy(array), array


def _like(t: torch.Tensor) -> tuple[torch.Tensor, np.ndarray]:
    made = torch.empty(t.shape, dtype=t.dtype)
    return made, made.numpy()


# Pair sums. `right` None: the pairs within `left`, each sample with itself left out. skip_diagonal: pairs i, i are left
# out, or, without `right`, those of sample i of its first half and sample i of its second. Sums are float64 whatever
# the features are.


def _check_pairs(left, right, scale, distances, skip_diagonal):
    _check_rows("left", left)
    if not scale.dtype.is_floating_point:
        raise TypeError(f"scale: expected a floating-point tensor, got {_name(scale.dtype)}")
    _expect(scale.numel() == 1, ValueError, lambda: f"scale: expected a scalar, got shape {tuple(scale.shape)}")
    n = left.shape[0]
    if right is None:
        if skip_diagonal:
            _expect(n % 2 == 0, ValueError, lambda: f"skip_diagonal: expected two halves, got {n} samples")
        return
    _check_like("right", right, "left", left)
    _check_rows("right", right)
    _check_shape("right", right, (right.shape[0], left.shape[1]), " like left")
    if distances:
        raise ValueError("distances: expected False where right is given, got True")
    if skip_diagonal:
        _check_shape("right", right, left.shape, " like left where skip_diagonal")


def _check_columns(right, columns):
    if columns and right is None:
        raise ValueError("columns: expected False without right, got True")


def _check_form(form):
    if form not in _FORMS[1:]:
        raise ValueError(f"form: expected {', '.join(_FORMS[1:-1])} or {_FORMS[-1]}, got {form!r}")


def _check_pair_log_sums(left, right, scale, distances, skip_diagonal, columns):
    _check_pairs(left, right, scale, distances, skip_diagonal)
    _check_columns(right, columns)


def _check_pair_log_sums_backward(
    grad_rows, grad_cols, left, right, scale, rows, cols, distances, skip_diagonal, columns
):
    _check_pair_log_sums(left, right, scale, distances, skip_diagonal, columns)
    for name, sums in (("grad_rows", grad_rows), ("rows", rows)):
        _check_doubles(name, sums, left.shape[0], left)
    for name, sums in (("grad_cols", grad_cols), ("cols", cols)):
        _check_doubles(name, sums, right.shape[0] if columns else 0, left)


def _check_pair_sums(left, right, offset, scale, form, distances, skip_diagonal):
    _check_pairs(left, right, scale, distances, skip_diagonal)
    _check_form(form)
    _check_doubles("offset", offset, left.shape[0], left)


def _check_pair_sums_backward(grad_rows, left, right, offset, scale, form, distances, skip_diagonal):
    _check_pair_sums(left, right, offset, scale, form, distances, skip_diagonal)
    _check_doubles("grad_rows", grad_rows, left.shape[0], left)


def _pair_log_sums(left, right, scale, distances, skip_diagonal, columns):
    rows, to_rows = _new(left.shape[0])
    cols, to_cols = _new(right.shape[0] if columns else 0)
    cpu().pair_log_sums(
        _array(left),
        None if right is None else _array(right),
        float(scale),
        distances,
        skip_diagonal,
        to_rows,
        to_cols if columns else None,
    )
    return rows, cols


def _pair_log_sums_fake(left, right, scale, distances, skip_diagonal, columns):
    rows = left.new_empty(left.shape[0], dtype=torch.float64)
    return rows, left.new_empty(right.shape[0] if columns else 0, dtype=torch.float64)


def _pair_log_sums_backward(grad_rows, grad_cols, left, right, scale, rows, cols, distances, skip_diagonal, columns):
    grad_left, to_left = _like(left)
    grad_right, to_right = _like(left[:0] if right is None else right)
    of_scale = cpu().pair_log_sums_gradient(
        _array(left),
        None if right is None else _array(right),
        float(scale),
        distances,
        skip_diagonal,
        _doubles(rows),
        _doubles(cols) if columns else None,
        _doubles(grad_rows),
        _doubles(grad_cols) if columns else None,
        to_left,
        None if right is None else to_right,
    )
    return grad_left, grad_right, torch.tensor(of_scale, dtype=torch.float64)


def _gradients_fake(left, right):
    of_scale = left.new_empty((), dtype=torch.float64)
    return left.new_empty(left.shape), left.new_empty(left[:0].shape if right is None else right.shape), of_scale


_register(
    "pair_log_sums(Tensor left, Tensor? right, Tensor scale, bool distances, bool skip_diagonal, bool columns)"
    " -> (Tensor, Tensor)",
    _check_pair_log_sums,
    _pair_log_sums,
    _pair_log_sums_fake,
)
_register(
    "pair_log_sums_backward(Tensor grad_rows, Tensor grad_cols, Tensor left, Tensor? right, Tensor scale, Tensor rows,"
    " Tensor cols, bool distances, bool skip_diagonal, bool columns) -> (Tensor, Tensor, Tensor)",
    _check_pair_log_sums_backward,
    _pair_log_sums_backward,
    lambda grad_rows, grad_cols, left, right, *others: _gradients_fake(left, right),
)


def _pair_sums(left, right, offset, scale, form, distances, skip_diagonal):
    rows, to_rows = _new(left.shape[0])
    other = None if right is None else _array(right)
    cpu().pair_sums(_array(left), other, float(scale), distances, skip_diagonal, form, _doubles(offset), to_rows)
    return rows


def _pair_sums_backward(grad_rows, left, right, offset, scale, form, distances, skip_diagonal):
    grad_left, to_left = _like(left)
    grad_right, to_right = _like(left[:0] if right is None else right)
    grad_offset, to_offset = _new(left.shape[0])
    of_scale = cpu().pair_sums_gradient(
        _array(left),
        None if right is None else _array(right),
        float(scale),
        distances,
        skip_diagonal,
        form,
        _doubles(offset),
        _doubles(grad_rows),
        to_left,
        None if right is None else to_right,
        to_offset,
    )
    return grad_left, grad_right, torch.tensor(of_scale, dtype=torch.float64), grad_offset


_register(
    "pair_sums(Tensor left, Tensor? right, Tensor offset, Tensor scale, str form, bool distances, bool skip_diagonal)"
    " -> Tensor",
    _check_pair_sums,
    _pair_sums,
    lambda left, *others: left.new_empty(left.shape[0], dtype=torch.float64),
)
_register(
    "pair_sums_backward(Tensor grad_rows, Tensor left, Tensor? right, Tensor offset, Tensor scale, str form,"
    " bool distances, bool skip_diagonal) -> (Tensor, Tensor, Tensor, Tensor)",
    _check_pair_sums_backward,
    _pair_sums_backward,
    lambda grad_rows, left, right, offset, *others: (
        *_gradients_fake(left, right),
        left.new_empty(left.shape[0], dtype=torch.float64),
    ),
)


class _SecondDerivative(torch.autograd.Function):
    """Passes gradients on and refuses to be differentiated."""

    @staticmethod
    def forward(ctx, anchor, *gradients):
        return gradients

    @staticmethod
    def backward(ctx, *grads):
        raise RuntimeError(
            "alphacl_fast: contrastive_cov, energy and the losses are differentiable once; "
            "their gradients have no derivative of their own (create_graph=True)"
        )


def _once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """As torch's, but also where the incoming gradient is a constant: there torch's would give zeros in silence."""

    def once(ctx, *grads):
        with torch.no_grad():
            gradients = backward(ctx, *grads)
        if torch.compiler.is_compiling() or not torch.is_grad_enabled():
            return gradients
        anchor = next(t for t in (*grads, *ctx.saved_tensors) if t is not None and t.requires_grad)
        there = [k for k, g in enumerate(gradients) if g is not None]
        refused = iter(_SecondDerivative.apply(anchor, *(gradients[k] for k in there)))
        return tuple(next(refused) if k in there else None for k in range(len(gradients)))

    return once


class _PairLogSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx, left, right, scale, distances, skip_diagonal, columns):
        rows, cols = torch.ops.alphacl_fast.pair_log_sums(left, right, scale, distances, skip_diagonal, columns)
        ctx.save_for_backward(left, right, scale, rows, cols)
        ctx.options = distances, skip_diagonal, columns
        return rows, cols

    @staticmethod
    @_once_differentiable
    def backward(ctx, grad_rows, grad_cols):
        left, right, scale, rows, cols = ctx.saved_tensors
        grad_left, grad_right, grad_scale = torch.ops.alphacl_fast.pair_log_sums_backward(
            grad_rows, grad_cols, left, right, scale, rows, cols, *ctx.options
        )
        return grad_left, None if right is None else grad_right, grad_scale.to(scale.dtype), None, None, None


class _PairSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx, left, right, offset, scale, form, distances, skip_diagonal):
        ctx.save_for_backward(left, right, offset, scale)
        ctx.options = form, distances, skip_diagonal
        return torch.ops.alphacl_fast.pair_sums(left, right, offset, scale, form, distances, skip_diagonal)

    @staticmethod
    @_once_differentiable
    def backward(ctx, grad_rows):
        left, right, offset, scale = ctx.saved_tensors
        grad_left, grad_right, grad_scale, grad_offset = torch.ops.alphacl_fast.pair_sums_backward(
            grad_rows, left, right, offset, scale, *ctx.options
        )
        grad_scale = grad_scale.to(scale.dtype)
        return grad_left, None if right is None else grad_right, grad_offset, grad_scale, None, None, None


def _scale_tensor(scale: Any, left: torch.Tensor) -> torch.Tensor:
    return scale if isinstance(scale, torch.Tensor) else torch.tensor(scale, dtype=torch.float64, device=left.device)


def pair_log_sums(left, right=None, *, scale, distances=False, skip_diagonal=False, columns=False):
    """log Σ_j e^{t_ij} of the rows and, with `columns`, log Σ_i e^{t_ij}: float64, differentiable once."""
    return _PairLogSums.apply(left, right, _scale_tensor(scale, left), distances, skip_diagonal, columns)


def pair_sums(left, right=None, *, offset, scale, form, distances=False, skip_diagonal=False):
    """Σ_j ψ(offset_i + t_ij), ψ named by `form`: float64, differentiable once."""
    return _PairSums.apply(left, right, offset, _scale_tensor(scale, left), form, distances, skip_diagonal)


# The two sums of the package. An importance goes through torch as its name, its tensors and its numbers.

_METHODS = ("auto", "tiles", "fourier", "sorted")
_FORMS = ("exponential", "hinge", "logistic", "softplus", "square")

_PARTS = {  # the tensors and the numbers of each kind
    "Uniform": ((), ("size", "diagonal")),
    "Dense": (("alpha",), ()),
    "LowRank": (("phi",), ()),
    "Gaussian": (("features",), ("tau", "tol", "method")),
    "Direct": (("features",), ("p", "tau", "normalize")),
    "SquareRegularized": (("features",), ("tau",)),
    "PairImportance": (("features", "offset", "weight"), ("scale", "form")),
}


def _pack(alpha: Any, x_name: str, x: torch.Tensor) -> tuple[str, list[torch.Tensor], list[float]]:
    if is_array(alpha):
        return "Dense", [_tensor("alpha", alpha, x_name)], []
    if alpha is not None:
        importances.refuse_others(alpha)
    kind = "Uniform" if alpha is None else alpha._kind  # that of the base for a subclass
    if kind not in _PARTS:
        raise TypeError(f"alpha: expected an importance that torch knows, got {type(alpha).__name__}")
    if kind == "Uniform":
        if alpha is not None and alpha.size is not None and alpha.size != x.shape[0]:
            raise ValueError(f"alpha: expected {x.shape[0]} samples, got Uniform({alpha.size})")
        return kind, [], [0.0, float(alpha is None or alpha.diagonal)]
    tensors, numbers = _PARTS[kind]
    given = [(name, getattr(alpha, name)) for name in tensors]
    packed = [_double(a) if name in ("offset", "weight") else _tensor("alpha", a, x_name) for name, a in given]
    return kind, packed, [_packed(alpha, name) for name in numbers]


def _tensor(name: str, a: Any, like: str) -> torch.Tensor:
    if not isinstance(a, torch.Tensor):
        kind = "numpy array" if isinstance(a, np.ndarray) else type(a).__name__
        raise TypeError(f"{name}: expected a torch tensor like {like}, got a {kind}")
    return a


def _double(a: Any) -> torch.Tensor:
    if isinstance(a, torch.Tensor):
        return a
    # torch takes no negative strides, and warns of what is read-only; torch.compile copies for itself.
    return torch.from_numpy(a if torch.compiler.is_compiling() else np.require(a, requirements=("C", "A", "W")))


def _packed(alpha: Any, name: str) -> float:
    value = getattr(alpha, name)
    named = {"method": _METHODS, "form": _FORMS}.get(name)
    return float(named.index(value)) if named else float(value or 0.0)


def _check_alpha(x: torch.Tensor, x_name: str, kind: str, tensors: Sequence[torch.Tensor], numbers: Sequence[float]):
    if kind not in _PARTS:
        raise ValueError(f"kind: expected one of {', '.join(_PARTS)}, got {kind!r}")
    of_tensors, of_numbers = _PARTS[kind]
    for name, expected, got in (("tensors", of_tensors, tensors), ("numbers", of_numbers, numbers)):
        if len(got) != len(expected):
            raise ValueError(f"{name}: expected {len(expected)} for {kind} {expected}, got {len(got)}")
    n = x.shape[0]
    for name, t in zip(of_tensors, tensors, strict=True):
        if name in ("offset", "weight"):
            _check_doubles(name, t, n, x)
            continue
        _check_like("alpha", t, x_name, x)
        _check_rows(name, t, (1, 2) if name == "features" else (2,))
        rows = t.shape[0]
        _expect(rows == n, ValueError, lambda rows=rows: f"alpha: expected {n} samples like {x_name}, got {rows}")
        if kind == "Dense":
            _check_shape(name, t, (n, n))
    for name, number in zip(of_numbers, numbers, strict=True):
        _check_number(name, number, n)


def _check_number(name: str, number: float, n: Any) -> None:
    if name in ("tau", "p", "scale"):
        positive(name, number)
    elif name == "size":
        _expect(number == 0 or number == n, ValueError, lambda: f"size: expected 0 or {n}, got {number}")
    elif name == "tol":
        if number != 0:  # which stands for the default
            positive(name, number)
    else:
        count = {"method": len(_METHODS), "form": len(_FORMS)}.get(name, 2)
        if number not in range(count):
            raise ValueError(f"{name}: expected an integer from 0 to {count - 1}, got {number}")


def _checked_views(first: str) -> Callable[..., None]:
    def check(x, x_aug, kind, tensors, numbers):
        second = f"{first}_aug"
        _check_rows(first, x, columns=False)
        _check_like(second, x_aug, first, x)
        _check_rows(second, x_aug, columns=False)
        _check_shape(second, x_aug, x.shape, f" like {first}")
        _check_alpha(x, first, kind, tensors, numbers)

    return check


_UNPACK: dict[str, Callable[..., Any]] = {
    "Uniform": lambda size, diagonal: importances.Uniform(int(size) or None, diagonal=bool(diagonal)),
    "Dense": importances.Dense,
    "LowRank": importances.LowRank,
    "Gaussian": lambda f, tau, tol, method: importances.Gaussian(f, tau, tol=tol or None, method=_METHODS[int(method)]),
    "Direct": lambda f, p, tau, normalize: importances.Direct(f, p, tau, normalize=bool(normalize)),
    "SquareRegularized": importances.SquareRegularized,
    "PairImportance": lambda f, offset, weight, scale, form: importances.PairImportance(
        f, scale, _FORMS[int(form)], _doubles(offset), _doubles(weight)
    ),
}


def _compiled(x: torch.Tensor, kind: str, tensors: Sequence[torch.Tensor], numbers: Sequence[float]) -> Any:
    alpha = _UNPACK[kind](*(t.detach() for t in tensors), *numbers)
    return importances.compile_for("this operator", alpha, operand("x", x.detach()))


def _contrastive_cov(x, x_aug, kind, tensors, numbers):
    out = torch.empty((x.shape[1],) * 2, dtype=x.dtype)
    cpu().contrastive_cov(_array(x), _array(x_aug), _compiled(x, kind, tensors, numbers), out.numpy())
    return out


def _energy(f, f_aug, kind, tensors, numbers):
    value = cpu().energy(_array(f), _array(f_aug), _compiled(f, kind, tensors, numbers))
    return torch.tensor(value, dtype=torch.float64).to(f.dtype)


def _laplacian(x, x_aug, kind, tensors, numbers):
    (grad, to), (grad_aug, to_aug) = _like(x), _like(x)
    cpu().laplacian_product(_array(x), _array(x_aug), _compiled(x, kind, tensors, numbers), to, to_aug)
    return grad, grad_aug


_ALPHA = "str kind, Tensor[] tensors, float[] numbers"
_register(
    f"contrastive_cov(Tensor x, Tensor x_aug, {_ALPHA}) -> Tensor",
    _checked_views("x"),
    _contrastive_cov,
    lambda x, *others: x.new_empty(x.shape[1], x.shape[1]),
)
_register(
    f"energy(Tensor f, Tensor f_aug, {_ALPHA}) -> Tensor",
    _checked_views("f"),
    _energy,
    lambda f, *others: f.new_empty(()),
)
_register(
    f"laplacian(Tensor x, Tensor x_aug, {_ALPHA}) -> (Tensor, Tensor)",
    _checked_views("x"),
    _laplacian,
    lambda x, *others: (x.new_empty(x.shape), x.new_empty(x.shape)),
)


class _ContrastiveCov(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, x_aug, kind, numbers, *tensors):
        ctx.save_for_backward(x, x_aug, *tensors)
        ctx.alpha = kind, numbers
        return torch.ops.alphacl_fast.contrastive_cov(x, x_aug, kind, tensors, numbers)

    @staticmethod
    @_once_differentiable
    def backward(ctx, grad):
        x, x_aug, *tensors = ctx.saved_tensors
        kind, numbers = ctx.alpha
        inter, intra = torch.ops.alphacl_fast.laplacian(x, x_aug, kind, tensors, numbers)
        both = (grad + grad.mT) / (2 * x.shape[0] ** 2)
        return inter @ both, intra @ both, None, None, *(None for _ in tensors)


class _Energy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, f, f_aug, kind, numbers, *tensors):
        ctx.save_for_backward(f, f_aug, *tensors)
        ctx.alpha = kind, numbers
        return torch.ops.alphacl_fast.energy(f, f_aug, kind, tensors, numbers)

    @staticmethod
    @_once_differentiable
    def backward(ctx, grad):
        f, f_aug, *tensors = ctx.saved_tensors
        kind, numbers = ctx.alpha
        inter, intra = torch.ops.alphacl_fast.laplacian(f, f_aug, kind, tensors, numbers)
        scale = grad / (2 * f.shape[0] ** 2)
        return inter * scale, intra * scale, None, None, *(None for _ in tensors)


def _constant(alpha: Any, x_name: str, x: torch.Tensor, function: str) -> tuple[str, list[torch.Tensor], list[float]]:
    """α packed; there is no derivative with respect to it, and nothing may lose its gradient in silence."""
    packed = _pack(alpha, x_name, x)
    if torch.is_grad_enabled() and any(t.requires_grad for t in packed[1]):
        raise RuntimeError(f"alpha: requires grad, but {function} has no derivative with respect to it: detach it")
    return packed


def contrastive_cov(x: torch.Tensor, x_aug: torch.Tensor, alpha: Any) -> torch.Tensor:
    """C_α[x] with its derivative with respect to x and x_aug, α constant."""
    _tensor("x_aug", x_aug, "x")
    kind, tensors, numbers = _constant(alpha, "x", x, "contrastive_cov")
    return _ContrastiveCov.apply(x, x_aug, kind, numbers, *tensors)


def energy(f: torch.Tensor, f_aug: torch.Tensor, alpha: Any) -> torch.Tensor:
    """E_α with its derivative with respect to f and f_aug, α constant."""
    _tensor("f_aug", f_aug, "f")
    kind, tensors, numbers = _constant(alpha, "f", f, "energy")
    return _Energy.apply(f, f_aug, kind, numbers, *tensors)
