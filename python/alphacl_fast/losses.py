"""Contrastive losses over all pairs of a batch, in torch, without an N x N array.

The eight losses of P1 (arXiv 2201.12680), each ``L_i = φ(ξ_i)`` with ``ξ_i = Σ_{j≠i} ψ(d_i² − d_ij²)``,
``d_ij² = ½‖z_i − z_j‖²`` and ``d_i² = ½‖z_i − z'_i‖²``, and the losses that practitioners use: ``nt_xent``,
``info_nce``, ``clip_loss``, ``siglip_loss``. Features are float32 or float64; bfloat16 and float16 are accepted,
computed and returned in float32, under autocast too. Values and gradients take O(N m) memory. Losses are
differentiable once, in reverse: a second derivative, a forward-mode tangent and the transforms of torch.func are
refused with an error.

Temperatures, ``logit_scale`` and ``logit_bias`` are numbers or scalar tensors, which may require grad. Their type and
shape are always checked, their values (finite, a temperature positive) where that makes no device wait: of numbers and
of plain CPU tensors, not while torch.compile is tracing.
"""

from __future__ import annotations

import math
from typing import Any, Never

import numpy as np

from alphacl_fast._arrays import number, positive, refuse_transforms
from alphacl_fast._optional import require, torch_ops
from alphacl_fast.importance import Dense, Importance, PairImportance, Uniform

torch = require("torch")
functional = torch.nn.functional
_ops = torch_ops()

__all__ = [
    "MINE",
    "AlphaCLLoss",
    "ClipLoss",
    "InfoNCE",
    "InfoNCELoss",
    "LiftedStructured",
    "ModifiedTriplet",
    "NTXentLoss",
    "NTuplet",
    "Quadratic",
    "SigLIPLoss",
    "SoftTriplet",
    "Triplet",
    "alpha_cl_loss",
    "clip_loss",
    "info_nce",
    "nt_xent",
    "siglip_loss",
]

_FLOATS = (torch.float32, torch.float64)
_HALVES = (torch.bfloat16, torch.float16)
_REDUCTIONS = ("mean", "sum", "none")


def _features(name: str, z: Any, model: Any = None, *, rows: bool = True, ndim: int = 2) -> Any:
    """A float32 or float64 tensor with the samples as rows; half precision is widened."""
    if not isinstance(z, torch.Tensor):
        makes = {"ndarray": f": torch.from_numpy({name}) makes one", "list": f": torch.tensor({name}) makes one"}
        raise TypeError(f"{name}: expected a torch tensor, got {type(z).__name__}{makes.get(type(z).__name__, '')}")
    if z.dtype not in _FLOATS + _HALVES:
        remedy = "" if z.is_complex() else f": {name}.float() converts it"
        raise TypeError(f"{name}: expected float32, float64, bfloat16 or float16, got {z.dtype}{remedy}")
    if not torch.compiler.is_compiling():
        refuse_transforms(name, z)
    if z.device.type != "cpu":
        kind = z.device.type.upper()
        raise TypeError(f"{name}: {kind} tensor given but this build has no {kind} backend: copy it with {name}.cpu()")
    if z.layout is not torch.strided:
        raise TypeError(f"{name}: expected a dense (strided) tensor, got layout {z.layout}")
    if z.ndim != ndim or z.shape[0] == 0 or z.shape[-1] == 0:
        raise ValueError(f"{name}: expected {ndim} axes, none of them empty, got shape {tuple(z.shape)}")
    if model is not None:
        other, of = model
        if z.dtype != of.dtype:
            raise TypeError(f"{name}: expected {of.dtype} like {other}, got {z.dtype}")
        if (z.shape != of.shape) if rows else (z.shape[-1] != of.shape[-1]):
            expected = f"shape {tuple(of.shape)}" if rows else f"{of.shape[-1]} features"
            raise ValueError(f"{name}: expected {expected} like {other}, got shape {tuple(z.shape)}")
    return z


def _widen(z: Any) -> Any:
    return z.float() if z.dtype in _HALVES else z


def _checked_reduction(reduction: str, known: tuple[str, ...] = _REDUCTIONS) -> str:
    if reduction not in known:
        raise ValueError(f"reduction: expected {', '.join(known[:-1])} or {known[-1]}, got {reduction!r}")
    return reduction


def _reduce(values: Any, reduction: str, like: Any) -> Any:
    if reduction == "mean":
        values = values.mean()
    elif reduction == "sum":
        values = values.sum()
    return values.to(torch.float64 if like.dtype == torch.float64 else torch.float32)


def _half_square(a: Any, b: Any) -> Any:
    """½‖a_i − b_i‖² of the rows, in double like the distances between samples."""
    delta = a.double() - b
    return 0.5 * (delta * delta).sum(-1)


def _options(module: Any) -> str:
    """The public attributes of a module, as its constructor takes them."""
    named = {**dict(module.named_parameters()), **dict(module.named_buffers()), **vars(module)}
    shown = [name for name in named if not name.startswith("_") and name not in ("training", "reduction")]
    return ", ".join(f"{name}={_shown(named[name])}" for name in [*shown, "reduction"])


def _shown(value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return repr(value)
    text = f"{value.item():.6g}" if value.device.type == "cpu" else f"tensor on {value.device}"
    return f"{text} (learned)" if isinstance(value, torch.nn.Parameter) else text


class _PairLoss(torch.nn.Module):
    """L_i = φ(ξ_i), ξ_i = Σ_{j≠i} ψ(d_i² − d_ij²). Subclasses say what ξ and φ are."""

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = _checked_reduction(reduction)

    def forward(self, z: Any, z_aug: Any, reduction: str | None = None) -> Any:
        """The loss of features z: (N, m) and z_aug: (N, m) of the other view; negatives are the other rows of z.

        reduction: "mean" and "sum" give a scalar, "none" the (N,) losses of the samples; None is the constructor's.
        Raises TypeError or ValueError naming the argument. Cost: 2N²m operations and ½N² exponentials, twice that more
        for the gradient.
        """
        _features("z", z)
        _features("z_aug", z_aug, ("z", z))
        reduction = _checked_reduction(self.reduction if reduction is None else reduction)
        with torch.autocast(z.device.type, enabled=False):
            return _reduce(self._values(_widen(z), _widen(z_aug)), reduction, z)

    def importance(self, z: Any, z_aug: Any) -> Importance:
        """α_ij = φ'(ξ_i) ψ'(d_i² − d_ij²), diagonal 0: ∇L = −2N² ∇E_α for L = Σ_i L_i, α held constant (P1, Thm. 1)."""
        _features("z", z)
        _features("z_aug", z_aug, ("z", z))
        with torch.no_grad(), torch.autocast(z.device.type, enabled=False):
            return self._importance(_widen(z.detach()), _widen(z_aug.detach()))

    def extra_repr(self) -> str:
        return _options(self)

    def _values(self, z: Any, z_aug: Any) -> Any:
        raise NotImplementedError

    def _importance(self, z: Any, z_aug: Any) -> Importance:
        raise NotImplementedError


class _Exponential(_PairLoss):
    """ψ(x) = e^{x/τ + margin}: everything over log ξ_i = d_i²/τ + margin + log Σ_{j≠i} e^{−d_ij²/τ}."""

    tau = 1.0
    margin = 0.0

    def _phi(self, log_xi: Any) -> Any:
        """φ as a function of log ξ."""
        raise NotImplementedError

    def _slope(self, log_xi: Any) -> Any:
        """Its derivative, φ'(ξ) ξ: written out, since torch.compile does not look into torch.autograd.grad."""
        raise NotImplementedError

    def _log_xi(self, z: Any, z_aug: Any) -> tuple[Any, Any]:
        sums, _ = _ops.pair_log_sums(z, scale=1 / self.tau, distances=True)
        return _half_square(z, z_aug) * (1 / self.tau) + self.margin + sums, sums

    def _values(self, z: Any, z_aug: Any) -> Any:
        return self._phi(self._log_xi(z, z_aug)[0])

    def _importance(self, z: Any, z_aug: Any) -> Importance:
        log_xi, sums = self._log_xi(z, z_aug)
        return PairImportance(z, 1 / self.tau, "exponential", -sums, self._slope(log_xi) / self.tau)


class InfoNCE(_Exponential):
    """L_i = −τ log [e^{−d_i²/τ} / (ε e^{−d_i²/τ} + Σ_{j≠i} e^{−d_ij²/τ})]: φ = τ log(ε + x), ψ = e^{x/τ}.

    tau > 0 in the unit of a squared feature; eps ≥ 0, 1 is MoCo's, 0 is DCL. Options by keyword: ``InfoNCELoss`` is the
    loss of queries and keys. Source: P1.
    """

    def __init__(self, *refused: Never, tau: float = 0.5, eps: float = 1.0, reduction: str = "mean") -> None:
        if refused:
            raise TypeError(
                "InfoNCE: expected tau by keyword, InfoNCE(tau=0.5), got it by position: for InfoNCE of queries and "
                "keys, as in info-nce-pytorch, use InfoNCELoss(temperature=0.1)"
            )
        super().__init__(reduction=reduction)
        self.tau = positive("tau", tau)
        self.eps = number("eps", eps)
        if self.eps < 0:
            raise ValueError(f"eps: expected a number that is not negative, got {self.eps}")

    def _phi(self, log_xi: Any) -> Any:
        if self.eps == 0:
            return self.tau * log_xi
        return self.tau * torch.logaddexp(log_xi, torch.full_like(log_xi, math.log(self.eps)))

    def _slope(self, log_xi: Any) -> Any:
        if self.eps == 0:
            return torch.full_like(log_xi, self.tau)
        return self.tau * torch.sigmoid(log_xi - math.log(self.eps))


class MINE(_Exponential):
    """L_i = log Σ_{j≠i} e^{d_i² − d_ij²}: φ = log x, ψ = e^x. Source: P1."""

    def _phi(self, log_xi: Any) -> Any:
        return log_xi + 0

    def _slope(self, log_xi: Any) -> Any:
        return torch.ones_like(log_xi)


class SoftTriplet(_Exponential):
    """L_i = τ log(1 + Σ_{j≠i} e^{(d_i² − d_ij²)/τ + margin}): φ = τ log(1 + x), ψ = e^{x/τ + margin}. Source: P1."""

    def __init__(self, tau: float, margin: float, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.tau = positive("tau", tau)
        self.margin = number("margin", margin)

    def _phi(self, log_xi: Any) -> Any:
        return self.tau * torch.logaddexp(log_xi, torch.zeros_like(log_xi))

    def _slope(self, log_xi: Any) -> Any:
        return self.tau * torch.sigmoid(log_xi)


class NTuplet(_Exponential):
    """L_i = log(1 + Σ_{j≠i} e^{d_i² − d_ij²}), the (N + 1)-tuplet loss: φ = log(1 + x), ψ = e^x. Source: P1."""

    def _phi(self, log_xi: Any) -> Any:
        return torch.logaddexp(log_xi, torch.zeros_like(log_xi))

    def _slope(self, log_xi: Any) -> Any:
        return torch.sigmoid(log_xi)


class LiftedStructured(_Exponential):
    """L_i = [log Σ_{j≠i} e^{d_i² − d_ij² + margin}]₊²: φ = [log x]₊², ψ = e^{x + margin}. Source: P1."""

    def __init__(self, margin: float, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.margin = number("margin", margin)

    def _phi(self, log_xi: Any) -> Any:
        return torch.relu(log_xi) ** 2

    def _slope(self, log_xi: Any) -> Any:
        return 2 * torch.relu(log_xi)


class Triplet(_PairLoss):
    """L_i = Σ_{j≠i} [d_i² − d_ij² + margin]₊: φ = x, ψ = [x + margin]₊. Distances in double. Source: P1."""

    def __init__(self, margin: float, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.margin = number("margin", margin)

    def _offset(self, z: Any, z_aug: Any) -> Any:
        return _half_square(z, z_aug) + self.margin

    def _values(self, z: Any, z_aug: Any) -> Any:
        return _ops.pair_sums(z, offset=self._offset(z, z_aug), scale=1.0, form="hinge", distances=True)

    def _importance(self, z: Any, z_aug: Any) -> Importance:
        offset = self._offset(z, z_aug)
        return PairImportance(z, 1.0, "hinge", offset, torch.ones_like(offset))


class ModifiedTriplet(_PairLoss):
    """L_i = Σ_{j≠i} σ(c (d_i² − d_ij²)): φ = x, ψ = σ(c x), σ the logistic function; c > 0. Source: P1."""

    def __init__(self, c: float, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.c = positive("c", c)

    def _values(self, z: Any, z_aug: Any) -> Any:
        offset = self.c * _half_square(z, z_aug)
        return _ops.pair_sums(z, offset=offset, scale=self.c, form="logistic", distances=True)

    def _importance(self, z: Any, z_aug: Any) -> Importance:
        offset = self.c * _half_square(z, z_aug)
        return PairImportance(z, self.c, "logistic", offset, torch.full_like(offset, self.c))


class Quadratic(_PairLoss):
    """L_i = Σ_{j≠i} (d_i² − d_ij²): φ = ψ = x, α = 1. Linear in N. Source: P1, "quadratic", triplet contrastive."""

    def _values(self, z: Any, z_aug: Any) -> Any:
        n = z.shape[0]
        # From one of the samples first: the mean of what lies far off is rounded.
        near = z.double() - z[0].detach()
        squares = _half_square(near, near.mean(0))
        # Σ_j ½‖z_i − z_j‖² = N s_i + Σ_j s_j with s_i = ½‖z_i − z̄‖².
        return (n - 1) * _half_square(z, z_aug) - (n * squares + squares.sum())

    def _importance(self, z: Any, z_aug: Any) -> Importance:
        return Uniform(len(z), diagonal=False)


def alpha_cl_loss(z: Any, z_aug: Any, importance: Any, reduction: str = "mean") -> Any:
    """Σ_ij α_ij (d_i² − d_ij²) = −2N² E_{sg(α)}[z] ("sum"), or that over N ("mean"): α-CL's energy, to be minimised.

    z, z_aug : (N, m) features of both views. importance : an importance over the N samples, an (N, N) tensor, or a
    function of (z, z_aug) that returns one (a loss's ``importance`` is one); α is held constant, so a function is
    called with detached features. With a loss's own α the gradient is the loss's (P1, Theorem 1).
    reduction : "mean" or "sum".

    Cost: that of the importance; memory O(N m). Source: P1, α-CL; the scale: derived.
    """
    _features("z", z)
    _features("z_aug", z_aug, ("z", z))
    _checked_importance(importance)
    _checked_reduction(reduction, ("mean", "sum"))
    with torch.autocast(z.device.type, enabled=False):
        f, f_aug = _widen(z), _widen(z_aug)
        alpha = importance
        if callable(alpha) and not isinstance(alpha, Importance):
            with torch.no_grad():
                alpha = alpha(f.detach(), f_aug.detach())
        elif isinstance(alpha, torch.Tensor):
            alpha = Dense(alpha.detach())
        n = z.shape[0]
        return (-2.0 * n if reduction == "mean" else -2.0 * n * n) * _energy(f, f_aug, alpha)


def _checked_importance(importance: Any) -> Any:
    if isinstance(importance, type):
        kind = importance.__name__
        raise TypeError(
            f"importance: expected an importance, an (N, N) tensor or a function, got the class {kind}: "
            f"pass lambda z, z_aug: {kind}(z)"
        )
    if isinstance(importance, _PairLoss):
        raise TypeError(
            "importance: expected an importance, an (N, N) tensor or a function, got the loss "
            f"{importance!r}: pass its .importance"
        )
    return importance


def _energy(f: Any, f_aug: Any, alpha: Any) -> Any:
    from alphacl_fast._energy import energy

    return energy(f, f_aug, alpha)


class AlphaCLLoss(torch.nn.Module):
    """``alpha_cl_loss`` with a fixed importance or function. reduction: "mean" or "sum"."""

    def __init__(self, importance: Any, *, reduction: str = "mean") -> None:
        super().__init__()
        self.pairwise_importance = _checked_importance(importance)
        self.reduction = _checked_reduction(reduction, ("mean", "sum"))

    def forward(self, z: Any, z_aug: Any, reduction: str | None = None) -> Any:
        """Σ_ij α_ij (d_i² − d_ij²)/N; see ``alpha_cl_loss``. reduction: None is the constructor's."""
        return alpha_cl_loss(z, z_aug, self.pairwise_importance, self.reduction if reduction is None else reduction)

    def extra_repr(self) -> str:
        return f"importance={self.pairwise_importance!r}, reduction={self.reduction!r}"


def _inverse(name: str, temperature: Any) -> Any:
    """1/temperature in double: a number, or a tensor of no axes that may be learned."""
    if not isinstance(temperature, torch.Tensor):
        return 1 / positive(name, temperature)
    t = _scalar_tensor(name, temperature)
    if _can_be_read(t):
        positive(name, t.detach())
    return 1 / t


def _scalar(name: str, value: Any) -> Any:
    """A scalar tensor or a number, in double."""
    if not isinstance(value, torch.Tensor):
        return torch.tensor(number(name, value), dtype=torch.float64)
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
    if t.device.type != "cpu":
        raise TypeError(f"{name}: expected a number or a tensor on the CPU, like the features, got one on {t.device}")
    if not torch.compiler.is_compiling():
        refuse_transforms(name, t)
    return t.reshape(()).double()


def _can_be_read(t: Any) -> bool:
    """Whether a value is there, and at no cost: another device would have to be waited for."""
    return not torch.compiler.is_compiling() and type(t) is torch.Tensor and t.device.type == "cpu"


class _Dots(torch.autograd.Function):
    """Σ_c a_ic b_ic in double; what is saved stays in the features' own type."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a.to(torch.float64, copy=True).mul_(b).sum(-1)

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved_tensors
        weight = grad[:, None].to(a.dtype)
        return weight * b, weight * a


def _dots(a: Any, b: Any) -> Any:
    return _Dots.apply(a, b)


def nt_xent(z1: Any, z2: Any, *, temperature: Any = 0.5, normalize: bool = True, reduction: str = "mean") -> Any:
    """SimCLR's NT-Xent: −log [e^{s_i,i'} / Σ_{j≠i} e^{s_ij}] over the 2N rows of both views, s = cosine / temperature.

    z1, z2 : (N, m) features of the two views; rows are normalised unless told otherwise. temperature : a number > 0 or
    a scalar tensor, which may require grad. reduction : "mean" over 2N, "sum", or "none": (2N,), first those of z1.
    Equal to lightly's NTXentLoss and pytorch-metric-learning's. Cost: 4N²m operations forward, 12N²m for the
    gradient, 2N² exponentials each; memory O(N m). Source: SimCLR (arXiv 2002.05709).
    """
    _features("z1", z1)
    _features("z2", z2, ("z1", z1))
    _checked_reduction(reduction)
    with torch.autocast(z1.device.type, enabled=False):
        scale = _inverse("temperature", temperature)
        a, b = _widen(z1), _widen(z2)
        if normalize:
            a, b = functional.normalize(a, dim=1), functional.normalize(b, dim=1)
        # The partner is left out of the sum: log(1 + e^(others − own)) keeps the digits of a small loss.
        own = scale * _dots(a, b)
        others, _ = _ops.pair_log_sums(torch.cat([a, b]), scale=scale, skip_diagonal=True)
        return _reduce(_log_one_plus_exp(others - torch.cat([own, own])), reduction, z1)


def info_nce(
    query: Any,
    positive_key: Any,
    negative_keys: Any = None,
    *,
    temperature: Any = 0.1,
    symmetric: bool = False,
    normalize: bool = True,
    reduction: str = "mean",
) -> Any:
    """−log [e^{q_i·k_i/T} / (e^{q_i·k_i/T} + Σ_j e^{q_i·n_j/T})]: InfoNCE with keys.

    query, positive_key : (N, m). negative_keys : None takes the other positive keys; (M, m) serves all queries
    ("unpaired"); (N, M, m) gives each query its own ("paired", M dot products per query in plain torch, in the type of
    the features).
    symmetric : the mean of both directions, without negative_keys only. Rows are normalised unless told otherwise.
    temperature : a number > 0 or a scalar tensor, which may require grad. Equal to info-nce-pytorch's.

    Cost: 2NMm operations forward, 6NMm for the gradient; memory O((N + M) m). Source: CPC (arXiv 1807.03748).
    """
    _features("query", query)
    _features("positive_key", positive_key, ("query", query))
    paired = isinstance(negative_keys, torch.Tensor) and negative_keys.ndim == 3
    if isinstance(negative_keys, (int, float, np.number)) or (
        isinstance(negative_keys, torch.Tensor) and negative_keys.ndim == 0
    ):
        raise TypeError(
            f"negative_keys: expected a torch tensor of keys, got {_shown(negative_keys)}: "
            "if that is the temperature, write temperature=..."
        )
    if negative_keys is not None:
        _features("negative_keys", negative_keys, ("query", query), rows=False, ndim=3 if paired else 2)
        if paired and negative_keys.shape[0] != query.shape[0]:
            raise ValueError(
                f"negative_keys: expected {query.shape[0]} rows like query, got shape {tuple(negative_keys.shape)}"
            )
        if symmetric:
            raise ValueError("symmetric: expected False where negative_keys are given, got True")
    _checked_reduction(reduction)
    with torch.autocast(query.device.type, enabled=False):
        scale = _inverse("temperature", temperature)
        unit = (lambda z: functional.normalize(_widen(z), dim=-1)) if normalize else _widen
        q, k = unit(query), unit(positive_key)
        own = scale * _dots(q, k)
        if paired:
            sums = torch.logsumexp(scale * torch.einsum("nm,nkm->nk", q, unit(negative_keys)).double(), 1)
        elif negative_keys is not None:
            sums, _ = _ops.pair_log_sums(q, unit(negative_keys), scale=scale)
        else:
            sums, back = _ops.pair_log_sums(q, k, scale=scale, skip_diagonal=True, columns=symmetric)
            if symmetric:
                both = torch.stack([_log_one_plus_exp(sums - own), _log_one_plus_exp(back - own)])
                return _reduce(both.mean(0), reduction, query)
        return _reduce(_log_one_plus_exp(sums - own), reduction, query)


def _log_one_plus_exp(x: Any) -> Any:
    return torch.logaddexp(x, torch.zeros_like(x))


def clip_loss(image_features: Any, text_features: Any, logit_scale: Any, *, reduction: str = "mean") -> Any:
    """CLIP's loss: cross-entropy of the logits logit_scale · image·textᵀ by rows and by columns, their mean.

    image_features, text_features : (N, m), normalised by the caller as in open_clip. logit_scale : a number or a scalar
    tensor, the factor itself (exp of CLIP's parameter), which may require grad: any finite one, also 0 or negative.
    reduction : "mean" (equal to open_clip.ClipLoss's), "sum", or "none": (N,). Logits of float32 features are computed
    in double beyond some 200, so that large ones are as exact as the features.
    Cost: 2N²m operations and 2N² exponentials forward, 6N²m for the gradient; memory O(N m).
    Source: CLIP (arXiv 2103.00020).
    """
    _features("image_features", image_features)
    _features("text_features", text_features, ("image_features", image_features))
    _checked_reduction(reduction)
    with torch.autocast(image_features.device.type, enabled=False):
        scale = _scalar("logit_scale", logit_scale)
        image, text = _widen(image_features), _widen(text_features)
        rows, cols = _ops.pair_log_sums(image, text, scale=scale, skip_diagonal=True, columns=True)
        own = scale * _dots(image, text)
        both = 0.5 * (_log_one_plus_exp(rows - own) + _log_one_plus_exp(cols - own))
        return _reduce(both, reduction, image_features)


def siglip_loss(
    image_features: Any, text_features: Any, logit_scale: Any, logit_bias: Any, *, reduction: str = "mean"
) -> Any:
    """SigLIP's loss: −(1/N) Σ_ij log σ(y_ij (logit_scale · image_i·text_j + logit_bias)), y_ij = 1 at i = j, else −1.

    image_features, text_features : (N, m), normalised by the caller as in open_clip. logit_scale, logit_bias : finite
    numbers or scalar tensors, which may require grad. reduction : "mean" (equal to open_clip.SigLipLoss's), "sum", or
    "none": (N,), the sums over j. Cost, memory and large logits as clip_loss. Source: SigLIP (arXiv 2303.15343).
    """
    _features("image_features", image_features)
    _features("text_features", text_features, ("image_features", image_features))
    _checked_reduction(reduction)
    with torch.autocast(image_features.device.type, enabled=False):
        scale, bias = _scalar("logit_scale", logit_scale), _scalar("logit_bias", logit_bias)
        image, text = _widen(image_features), _widen(text_features)
        offset = bias.expand(image.shape[0])
        negatives = _ops.pair_sums(image, text, offset=offset, scale=scale, form="softplus", skip_diagonal=True)
        positives = _log_one_plus_exp(-(scale * _dots(image, text) + bias))
        return _reduce(negatives + positives, reduction, image_features)


class _Learned(torch.nn.Module):
    """Base of the modules with a temperature: a Parameter is a parameter of the module, another tensor a buffer."""

    _function = ""  # what the module calls

    def __init__(self, temperature: Any, reduction: str) -> None:
        super().__init__()
        _inverse("temperature", temperature)
        if isinstance(temperature, torch.nn.Parameter):
            self.temperature = temperature
        elif isinstance(temperature, torch.Tensor):
            if temperature.requires_grad:
                raise RuntimeError(
                    "temperature: requires grad, but is no parameter, which an optimizer would learn: "
                    f"pass nn.Parameter(...), or give temperature= to {self._function} at each call"
                )
            self.register_buffer("temperature", temperature)
        else:
            self.temperature = positive("temperature", temperature)
        self.reduction = _checked_reduction(reduction)

    def extra_repr(self) -> str:
        return _options(self)


class NTXentLoss(_Learned):
    """``nt_xent`` as a module, whose temperature may be an ``nn.Parameter``. Options by keyword."""

    _function = "nt_xent"

    def __init__(self, temperature: Any = 0.5, *, normalize: bool = True, reduction: str = "mean") -> None:
        super().__init__(temperature, reduction)
        self.normalize = bool(normalize)

    def forward(self, z1: Any, z2: Any, reduction: str | None = None) -> Any:
        """See ``nt_xent``. reduction: None is the constructor's."""
        reduction = self.reduction if reduction is None else reduction
        return nt_xent(z1, z2, temperature=self.temperature, normalize=self.normalize, reduction=reduction)


class InfoNCELoss(_Learned):
    """``info_nce`` as a module, whose temperature may be an ``nn.Parameter``. Options by keyword."""

    _function = "info_nce"

    def __init__(
        self, temperature: Any = 0.1, *, symmetric: bool = False, normalize: bool = True, reduction: str = "mean"
    ) -> None:
        super().__init__(temperature, reduction)
        self.symmetric = bool(symmetric)
        self.normalize = bool(normalize)

    def forward(self, query: Any, positive_key: Any, negative_keys: Any = None, reduction: str | None = None) -> Any:
        """See ``info_nce``. reduction: None is the constructor's."""
        return info_nce(
            query,
            positive_key,
            negative_keys,
            temperature=self.temperature,
            symmetric=self.symmetric,
            normalize=self.normalize,
            reduction=self.reduction if reduction is None else reduction,
        )


class ClipLoss(torch.nn.Module):
    """``clip_loss`` as a module."""

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = _checked_reduction(reduction)

    def forward(self, image_features: Any, text_features: Any, logit_scale: Any, reduction: str | None = None) -> Any:
        """See ``clip_loss``. reduction: None is the constructor's."""
        reduction = self.reduction if reduction is None else reduction
        return clip_loss(image_features, text_features, logit_scale, reduction=reduction)

    def extra_repr(self) -> str:
        return _options(self)


class SigLIPLoss(torch.nn.Module):
    """``siglip_loss`` as a module."""

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = _checked_reduction(reduction)

    def forward(
        self, image_features: Any, text_features: Any, logit_scale: Any, logit_bias: Any, reduction: str | None = None
    ) -> Any:
        """See ``siglip_loss``. reduction: None is the constructor's."""
        reduction = self.reduction if reduction is None else reduction
        return siglip_loss(image_features, text_features, logit_scale, logit_bias, reduction=reduction)

    def extra_repr(self) -> str:
        return _options(self)
