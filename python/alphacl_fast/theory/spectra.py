"""The spectrum of a covariance in three numbers: how many directions count, and how fast the rest falls off."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from alphacl_fast._arrays import from_host, given_back, on_host, operand, refuse_grad

__all__ = ["Spectrum", "spectrum"]


class Spectrum(NamedTuple):
    """Eigenvalues of a symmetric matrix and what they say together; the leading axis is missing for a single one."""

    eigenvalues: Any  # (B, d), the largest first
    effective_rank: Any  # (B,) exp(−Σ p_i log p_i), p_i = |λ_i| / Σ|λ|: 1 for rank one, d for the identity
    participation_ratio: Any  # (B,) (Σ|λ_i|)² / Σλ_i²: 1 to d as well, less moved by what is small
    decay_exponent: Any  # (B,) a of the least-squares fit λ_i ∝ i^(−a) over the positive eigenvalues; NaN below two


def spectrum(c: Any) -> Spectrum:
    """exp(−Σ p_i log p_i), (Σ|λ_i|)²/Σλ_i² and the a of λ_i ∝ i^(−a), of the eigenvalues λ_1 ≥ λ_2 ≥ … of C.

    c : (d, d) or (B, d, d) float32 or float64 symmetric; of each the lower triangle is read. C_α has negative
        eigenvalues where augmentation moves the data more than samples differ: the first two numbers take magnitudes.
        The fit takes log λ_i against log i over λ_i > d ε max|λ|, ε of the dtype; magnitudes below that are rounding.

    Returns Spectrum of c's kind and dtype. A matrix that is not finite gives NaN; the zero matrix gives effective rank
    and participation ratio 0. Not differentiable: tensors that require grad are refused.
    Raises TypeError or ValueError naming the argument, what was expected and what came.
    Cost: all eigenvalues by LAPACK, in float64 on the host, O(d³) each.
    Source: effective rank: Roy and Vetterli 2007 (RankMe, Garrido et al. 2023); participation ratio: Gao et al. 2017;
    decay exponent: Stringer et al. 2019 (α-ReQ, Agrawal et al. 2022).
    """
    a = operand("c", c, ndim=(2, 3), empty=True)
    refuse_grad("spectrum", a)
    if a.shape[-1] != a.shape[-2] or a.shape[-1] == 0:
        raise ValueError(f"c: expected square matrices, (d, d) or (B, d, d), got shape {a.shape}")
    d = a.shape[-1]
    matrices = on_host(a.array).reshape(-1, d, d).astype(np.float64)
    finite = np.isfinite(matrices).all(axis=(1, 2))
    values = np.linalg.eigvalsh(np.where(finite[:, None, None], matrices, 0))[:, ::-1]
    values = np.where(finite[:, None], values, np.nan)
    rounding = d * np.finfo(a.dtype).eps
    sizes = [_sizes(np.abs(v)) for v in values]
    exponents = [_decay_exponent(v, rounding * np.abs(v).max()) for v in values]
    found = [values, *np.array(sizes).reshape(-1, 2).T, np.array(exponents)]
    if len(a.shape) == 2:
        found = [f[0] for f in found]
    arrays = [np.asarray(f, a.dtype) for f in found]
    if not a.is_torch:
        return Spectrum(*(f[()] for f in arrays))
    return Spectrum(*(given_back(from_host(f, a), True).reshape(f.shape) for f in arrays))


def _sizes(magnitudes: np.ndarray) -> tuple[float, float]:
    """Effective rank and participation ratio."""
    largest = magnitudes.max()
    if not largest > 0:
        return largest, largest
    relative = magnitudes / largest  # no square overflows
    shares = relative / relative.sum()
    some = shares[shares > 0]
    return float(np.exp(-(some * np.log(some)).sum())), float(relative.sum() ** 2 / (relative**2).sum())


def _decay_exponent(values: np.ndarray, least: float) -> float:
    count = int((values > max(least, 0)).sum())
    if count < 2:
        return np.nan
    ranks = np.log(np.arange(1, count + 1))
    return float(-np.polyfit(ranks, np.log(values[:count]), 1)[0])
