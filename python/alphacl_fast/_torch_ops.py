"""The operators that torch knows: `torch.ops.alphacl_fast.*`, and the derivatives over them.

Imported only where torch is there. Scores and their sums are compiled code; what is saved for backward is the inputs
and one number per sample. Derivatives are themselves not differentiable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from alphacl_fast import importance as importances
from alphacl_fast._arrays import operand
from alphacl_fast._backend import cpu

_library = torch.library.Library("alphacl_fast", "DEF")


def _register(schema: str, kernel: Callable[..., Any], fake: Callable[..., Any]) -> None:
    name = schema.partition("(")[0]
    _library.define(schema)
    _library.impl(name, kernel, "CPU")
    torch.library.register_fake(f"alphacl_fast::{name}", fake, lib=_library)


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
    _pair_log_sums,
    _pair_log_sums_fake,
)
_register(
    "pair_log_sums_backward(Tensor grad_rows, Tensor grad_cols, Tensor left, Tensor? right, Tensor scale, Tensor rows,"
    " Tensor cols, bool distances, bool skip_diagonal, bool columns) -> (Tensor, Tensor, Tensor)",
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
    _pair_sums,
    lambda left, *others: left.new_empty(left.shape[0], dtype=torch.float64),
)
_register(
    "pair_sums_backward(Tensor grad_rows, Tensor left, Tensor? right, Tensor offset, Tensor scale, str form,"
    " bool distances, bool skip_diagonal) -> (Tensor, Tensor, Tensor, Tensor)",
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


def _pack(alpha: Any) -> tuple[str, list[torch.Tensor], list[float]]:
    kind = type(alpha).__name__
    if alpha is None or kind == "Uniform":
        return "Uniform", [], [0.0 if alpha is None else float(alpha.size or 0), float(alpha is None or alpha.diagonal)]
    if isinstance(alpha, torch.Tensor):
        return "Dense", [alpha], []
    if kind == "Dense":
        return kind, [alpha.alpha], []
    if kind == "LowRank":
        return kind, [alpha.phi], []
    if kind == "Gaussian":
        return kind, [alpha.features], [alpha.tau, alpha.tol or 0.0, float(_METHODS.index(alpha.method))]
    if kind == "Direct":
        return kind, [alpha.features], [alpha.p, alpha.tau, float(alpha.normalize)]
    if kind == "SquareRegularized":
        return kind, [alpha.features], [alpha.tau]
    if kind == "PairImportance":
        numbers = [alpha.scale, float(_FORMS.index(alpha.form))]
        return kind, [alpha.features, torch.from_numpy(alpha.offset), torch.from_numpy(alpha.weight)], numbers
    raise TypeError(f"alpha: expected an importance or an (N, N) tensor, got {kind}")


_UNPACK: dict[str, Callable[..., Any]] = {
    "Uniform": lambda size, diagonal: importances.Uniform(int(size) or None, diagonal=bool(diagonal)),
    "Dense": importances.Dense,
    "LowRank": importances.LowRank,
    "Gaussian": lambda f, tau, tol, method: importances.Gaussian(f, tau, tol=tol or None, method=_METHODS[int(method)]),
    "Direct": lambda f, p, tau, normalize: importances.Direct(f, p, tau, normalize=bool(normalize)),
    "SquareRegularized": importances.SquareRegularized,
    "PairImportance": lambda f, offset, weight, scale, form: importances.PairImportance(
        f, scale, _FORMS[int(form)], offset.numpy(), weight.numpy()
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
    _contrastive_cov,
    lambda x, *others: x.new_empty(x.shape[1], x.shape[1]),
)
_register(f"energy(Tensor f, Tensor f_aug, {_ALPHA}) -> Tensor", _energy, lambda f, *others: f.new_empty(()))
_register(
    f"laplacian(Tensor x, Tensor x_aug, {_ALPHA}) -> (Tensor, Tensor)",
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


def contrastive_cov(x: torch.Tensor, x_aug: torch.Tensor, alpha: Any) -> torch.Tensor:
    """C_α[x] with its derivative with respect to x and x_aug, α constant."""
    kind, tensors, numbers = _pack(alpha)
    return _ContrastiveCov.apply(x, x_aug, kind, numbers, *tensors)


def energy(f: torch.Tensor, f_aug: torch.Tensor, alpha: Any) -> torch.Tensor:
    """E_α with its derivative with respect to f and f_aug, α constant."""
    kind, tensors, numbers = _pack(alpha)
    return _Energy.apply(f, f_aug, kind, numbers, *tensors)
