"""The eight losses of P1 with their importances, and the energy of any importance as a loss."""

from __future__ import annotations

import math
from typing import Any, Never

from alphacl_fast._arrays import number, positive
from alphacl_fast._optional import require, torch_ops
from alphacl_fast.importance import Dense, Importance, PairImportance, Uniform, over_both_views
from alphacl_fast.losses._checks import checked_reduction, checked_views, options, reduce, widen, without_autocast

torch = require("torch")
_ops = torch_ops()


def _half_square(a: Any, b: Any) -> Any:
    """½‖a_i − b_i‖² of the rows, in double like the distances between samples."""
    delta = a.double() - b
    return 0.5 * (delta * delta).sum(-1)


class _PairLoss(torch.nn.Module):
    """L_i = φ(ξ_i), ξ_i = Σ_{j≠i} ψ(d_i² − d_ij²). Subclasses say what ξ and φ are."""

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = checked_reduction(reduction)

    def forward(self, z: Any, z_aug: Any, reduction: str | None = None) -> Any:
        """The loss of features z: (N, m) and z_aug: (N, m) of the other view; negatives are the other rows of z.

        reduction: "mean" and "sum" give a scalar, "none" the (N,) losses of the samples; None is the constructor's.
        Raises TypeError or ValueError naming the argument. Cost: 2N²m operations and ½N² exponentials, twice that more
        for the gradient.
        """
        checked_views(z=z, z_aug=z_aug)
        reduction = checked_reduction(self.reduction if reduction is None else reduction)
        with without_autocast(z):
            return reduce(self._values(widen(z), widen(z_aug)), reduction, z)

    def importance(self, z: Any, z_aug: Any) -> Importance:
        """α_ij = φ'(ξ_i) ψ'(d_i² − d_ij²), diagonal 0: ∇L = −2N² ∇E_α for L = Σ_i L_i, α held constant (P1, Thm. 1)."""
        checked_views(z=z, z_aug=z_aug)
        with torch.no_grad(), without_autocast(z):
            return self._importance(widen(z.detach()), widen(z_aug.detach()))

    def extra_repr(self) -> str:
        return options(self)

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
    called with detached features. With a loss's own α the gradient is the loss's (P1, Theorem 1). Over both views,
    ``lambda z, z_aug: Direct(z, normalize="both", features_aug=z_aug)``, N is 2N: anchors are samples of both views.
    reduction : "mean" or "sum".

    Cost: that of the importance; memory O(N m). Source: P1, α-CL; the scale: derived.
    """
    checked_views(z=z, z_aug=z_aug)
    _checked_importance(importance)
    checked_reduction(reduction, ("mean", "sum"))
    with without_autocast(z):
        f, f_aug = widen(z), widen(z_aug)
        alpha = importance
        if callable(alpha) and not isinstance(alpha, Importance):
            with torch.no_grad():
                alpha = alpha(f.detach(), f_aug.detach())
        elif isinstance(alpha, torch.Tensor):
            alpha = Dense(alpha.detach())
        f, f_aug = over_both_views(alpha, f, f_aug)
        n = f.shape[0]
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
        self.reduction = checked_reduction(reduction, ("mean", "sum"))

    def forward(self, z: Any, z_aug: Any, reduction: str | None = None) -> Any:
        """Σ_ij α_ij (d_i² − d_ij²)/N; see ``alpha_cl_loss``. reduction: None is the constructor's."""
        return alpha_cl_loss(z, z_aug, self.pairwise_importance, self.reduction if reduction is None else reduction)

    def extra_repr(self) -> str:
        return f"importance={self.pairwise_importance!r}, reduction={self.reduction!r}"
