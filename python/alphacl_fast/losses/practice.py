"""The losses that practitioners use, as functions and as modules: nt_xent, info_nce, clip_loss, siglip_loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from alphacl_fast._arrays import positive
from alphacl_fast._optional import require, torch_ops
from alphacl_fast.losses._checks import (
    checked_features,
    checked_reduction,
    checked_views,
    factor,
    inverse,
    options,
    reduce,
    scalar,
    shown_value,
    widen,
    without_autocast,
)

torch = require("torch")
functional = torch.nn.functional
_ops = torch_ops()
set_score_budget = _ops.set_score_budget


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


def _log_one_plus_exp(x: Any) -> Any:
    return torch.logaddexp(x, torch.zeros_like(x))


def nt_xent(z1: Any, z2: Any, *, temperature: Any = 0.5, normalize: bool = True, reduction: str = "mean") -> Any:
    """SimCLR's NT-Xent: −log [e^{s_i,i'} / Σ_{j≠i} e^{s_ij}] over the 2N rows of both views, s = cosine / temperature.

    z1, z2 : (N, m) features of the two views; rows are normalised unless told otherwise. temperature : a number > 0 or
    a scalar tensor, which may require grad. reduction : "mean" over 2N, "sum", or "none": (2N,), first those of z1.
    Equal to lightly's NTXentLoss and pytorch-metric-learning's. Cost: 4N²m operations forward, 12N²m for the
    gradient, or 8N²m where the scores are kept (`set_score_budget`), 2N² exponentials each; memory O(N m) and the
    scores that are kept. Source: SimCLR (arXiv 2002.05709).
    """
    checked_views(z1=z1, z2=z2)
    checked_reduction(reduction)
    scale = inverse("temperature", temperature)
    how = {"scale": scale, "within": True, "normalize": bool(normalize), "reduction": reduction}
    return _ops.contrasts(widen(z1), widen(z2), **how)


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

    Cost: 2NMm operations forward, 6NMm for the gradient, or 4NMm where the scores are kept (`set_score_budget`); memory
    O((N + M) m) and the scores that are kept. Source: CPC (arXiv 1807.03748).
    """
    checked_views(query=query, positive_key=positive_key)
    paired = isinstance(negative_keys, torch.Tensor) and negative_keys.ndim == 3
    if isinstance(negative_keys, (int, float, np.number)) or (
        isinstance(negative_keys, torch.Tensor) and negative_keys.ndim == 0
    ):
        raise TypeError(
            f"negative_keys: expected a torch tensor of keys, got {shown_value(negative_keys)}: "
            "if that is the temperature, write temperature=..."
        )
    if negative_keys is not None:
        checked_features("negative_keys", negative_keys, ("query", query), rows=False, ndim=3 if paired else 2)
        if paired and negative_keys.shape[0] != query.shape[0]:
            raise ValueError(
                f"negative_keys: expected {query.shape[0]} rows like query, got shape {tuple(negative_keys.shape)}"
            )
        if symmetric:
            raise ValueError("symmetric: expected False where negative_keys are given, got True")
    checked_reduction(reduction)
    scale = inverse("temperature", temperature)
    if not paired:
        how = {"scale": scale, "columns": bool(symmetric), "normalize": bool(normalize), "reduction": reduction}
        negatives = None if negative_keys is None else widen(negative_keys)
        return _ops.contrasts(widen(query), widen(positive_key), negatives, **how)
    with without_autocast(query):
        unit = (lambda z: functional.normalize(widen(z), dim=-1)) if normalize else widen
        q, k = unit(query), unit(positive_key)
        sums = torch.logsumexp(scale * torch.einsum("nm,nkm->nk", q, unit(negative_keys)).double(), 1)
        return reduce(_log_one_plus_exp(sums - scale * _dots(q, k)), reduction, query)


def clip_loss(image_features: Any, text_features: Any, logit_scale: Any, *, reduction: str = "mean") -> Any:
    """CLIP's loss: cross-entropy of the logits logit_scale · image·textᵀ by rows and by columns, their mean.

    image_features, text_features : (N, m), normalised by the caller as in open_clip. logit_scale : a number or a scalar
    tensor, the factor itself (exp of CLIP's parameter), which may require grad: any finite one, also 0 or negative.
    reduction : "mean" (equal to open_clip.ClipLoss's), "sum", or "none": (N,). Logits of float32 features are computed
    in double beyond some 200, so that large ones are as exact as the features.
    Cost: 2N²m operations and 2N² exponentials forward, 6N²m for the gradient, or 4N²m where the scores are kept
    (`set_score_budget`); memory O(N m) and the scores that are kept. Source: CLIP (arXiv 2103.00020).
    """
    checked_views(image_features=image_features, text_features=text_features)
    checked_reduction(reduction)
    scale = factor("logit_scale", logit_scale)
    how = {"scale": scale, "columns": True, "normalize": False, "reduction": reduction}
    return _ops.contrasts(widen(image_features), widen(text_features), **how)


def siglip_loss(
    image_features: Any, text_features: Any, logit_scale: Any, logit_bias: Any, *, reduction: str = "mean"
) -> Any:
    """SigLIP's loss: −(1/N) Σ_ij log σ(y_ij (logit_scale · image_i·text_j + logit_bias)), y_ij = 1 at i = j, else −1.

    image_features, text_features : (N, m), normalised by the caller as in open_clip. logit_scale, logit_bias : finite
    numbers or scalar tensors, which may require grad. reduction : "mean" (equal to open_clip.SigLipLoss's), "sum", or
    "none": (N,), the sums over j. Cost, memory and large logits as clip_loss. Source: SigLIP (arXiv 2303.15343).
    """
    checked_views(image_features=image_features, text_features=text_features)
    checked_reduction(reduction)
    with without_autocast(image_features):
        scale, bias = scalar("logit_scale", logit_scale), scalar("logit_bias", logit_bias)
        image, text = widen(image_features), widen(text_features)
        offset = bias.expand(image.shape[0])
        negatives = _ops.pair_sums(image, text, offset=offset, scale=scale, form="softplus", skip_diagonal=True)
        positives = _log_one_plus_exp(-(scale * _dots(image, text) + bias))
        return reduce(negatives + positives, reduction, image_features)


class _Learned(torch.nn.Module):
    """Base of the modules with a temperature: a Parameter is a parameter of the module, another tensor a buffer."""

    _function = ""  # what the module calls

    def __init__(self, temperature: Any, reduction: str) -> None:
        super().__init__()
        inverse("temperature", temperature)
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
        self.reduction = checked_reduction(reduction)

    def extra_repr(self) -> str:
        return options(self)


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
        self.reduction = checked_reduction(reduction)

    def forward(self, image_features: Any, text_features: Any, logit_scale: Any, reduction: str | None = None) -> Any:
        """See ``clip_loss``. reduction: None is the constructor's."""
        reduction = self.reduction if reduction is None else reduction
        return clip_loss(image_features, text_features, logit_scale, reduction=reduction)

    def extra_repr(self) -> str:
        return options(self)


class SigLIPLoss(torch.nn.Module):
    """``siglip_loss`` as a module."""

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = checked_reduction(reduction)

    def forward(
        self, image_features: Any, text_features: Any, logit_scale: Any, logit_bias: Any, reduction: str | None = None
    ) -> Any:
        """See ``siglip_loss``. reduction: None is the constructor's."""
        reduction = self.reduction if reduction is None else reduction
        return siglip_loss(image_features, text_features, logit_scale, logit_bias, reduction=reduction)

    def extra_repr(self) -> str:
        return options(self)
