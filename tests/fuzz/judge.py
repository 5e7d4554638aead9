"""The judge: the accuracy contract with an absolute term, and what an error may look like.

    ‖ours − truth‖_F ≤ 2 ‖naive − truth‖_F + tol · ‖truth‖_F + absolute

truth is the literal sum in a wider type, naive the same sum in the type of the inputs, tol = 1e-6 (float32) or 1e-13
(float64). naive may be right by luck, and truth 0 by cancellation; what then is still allowed is what eight
roundings of every term of the literal sum move, in the unit of the result. For a covariance that is

    absolute = 1/(2N²) Σ_ij ω_ij (‖x_i − x_j‖² + ‖x_i − x'_i‖²),   ω_ij = 8 eps |α_ij| + 2 |naive α_ij − α_ij|,

half of it for an energy; for a product with v times ‖v‖; for Σ_i ω_i x_i x_iᵀ it is 8 eps Σ_i |ω_i| ‖x_i‖². Differences
of samples stand there, not samples: an offset or a distance between clusters that α does not join is worth nothing.
In float32, where double is at hand, eight roundings in double of the centred samples are allowed beside it:
8 eps64/(2N²) Σ_ij |α_ij| (‖x_i‖² + ‖x_j‖²) (WIDE).
The losses have their own terms, in family.py and scores.py: eight roundings of each score.
"""

import math

import numpy as np

TOL = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-13}
# Packed rows are rounded twice, each product and chain of sums again, in float32 also α or its series.
ROUNDINGS = 8
# Of a product in float64, and roundings of its terms: a BLAS adds up to some hundred samples one after the other, and
# equal terms round alike. In float32 such sums are made again in double.
PRODUCT_TOL = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-12}
CHAINED = {np.dtype(np.float32): ROUNDINGS, np.dtype(np.float64): 64}
# What rounding in double of the centred samples may move, as a factor of Σ_ij |α_ij| (‖x_i‖² + ‖x_j‖²)/(2N²).
WIDE = {np.dtype(np.float32): ROUNDINGS * 2.0**-52, np.dtype(np.float64): 0.0}

# What is allowed in a score made of a distance; docs/losses.md.
SCORE = {np.dtype(np.float32): 2e-6, np.dtype(np.float64): 2e-13}


class Finding(Exception):
    """The package broke a promise."""


def eps(dtype):
    return float(np.finfo(dtype).eps)


def frobenius(a):
    """‖a‖_F without overflow or underflow of the squares."""
    a = np.asarray(a)
    largest = np.abs(a).max(initial=0)
    if not (largest > 0 and np.isfinite(largest)):
        return float(largest)
    return float(np.sqrt(((a / largest) ** 2).sum()) * largest)


def underflow(dtype, count):
    """What is lost where `count` numbers, or products on the way to them, fall below the normal numbers."""
    info = np.finfo(dtype)
    return math.sqrt(count) * float(info.smallest_normal) + 4 * count * float(info.smallest_subnormal)


def contract(what, ours, truth, naive, absolute, dtype, *, tol=None):
    """Raises a Finding unless the contract holds; naive() is called only where the other two terms do not do.

    Where the truth or one of its terms leaves the range of the type nothing is asked but that this shows.
    """
    ours, truth, dtype = np.asarray(ours), np.asarray(truth), np.dtype(dtype)
    if ours.dtype != dtype:
        raise Finding(f"{what}: expected {dtype} like the inputs, got {ours.dtype}")
    if ours.shape != truth.shape:
        raise Finding(f"{what}: expected shape {truth.shape}, got {ours.shape}")
    finite = np.isfinite(truth)
    if not finite.all():
        if np.isfinite(ours[~finite]).any():
            raise Finding(f"{what}: finite where the definition is not: {ours[~finite].ravel()[:4]}")
        return
    if absolute == math.inf:
        return  # the formula itself overflows in that type, so that twice its error is everything
    if math.isnan(absolute):
        raise ValueError(f"{what}: the absolute term is NaN")
    largest = max(frobenius(truth), absolute / (ROUNDINGS * eps(dtype)))
    if largest > float(np.finfo(dtype).max) / 8:
        return
    error = frobenius(ours.astype(truth.dtype) - truth) if np.isfinite(ours).all() else math.inf
    tol = TOL[dtype] if tol is None else tol
    allowed = tol * frobenius(truth) + absolute + underflow(dtype, max(1, truth.size))
    if error <= allowed:
        return
    rough = naive().astype(truth.dtype) - truth
    naive_error = frobenius(rough) if np.isfinite(rough).all() else math.inf
    if not error <= allowed + 2 * naive_error:
        raise Finding(
            f"{what}: error {error:.3e} > allowed {allowed + 2 * naive_error:.3e} "
            f"(‖truth‖ {frobenius(truth):.3e}, naive off by {naive_error:.3e}, absolute term {absolute:.3e})"
        )


def same_bits(what, a, b):
    if np.asarray(a).tobytes() != np.asarray(b).tobytes():
        raise Finding(f"{what}: other bits")


def check(condition, text):
    if not condition:
        raise Finding(text)
