"""Whitening of two views: the preparation with which nodes learn many patterns of real images."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from alphacl_fast._arrays import Operand, from_host, given_back, like, number, on_host, operand, refuse_grad

__all__ = ["Whitened", "whiten"]


class Whitened(NamedTuple):
    """Both views whitened, and the map that did it: x ↦ (x − mean) @ transform."""

    x: Any  # (N, d)
    x_aug: Any  # (N, d), by the map of the first view
    mean: Any  # (d,) of the first view
    transform: Any  # (d, d) (Σ + ridge·tr(Σ)/d · I)^(−1/2), symmetric
    inverse: Any  # (d, d) of transform: w @ inverse shows a node w among the data as they were


def whiten(x: Any, x_aug: Any, *, ridge: float = 0.03, unit_rows: bool = True) -> Whitened:
    """x ↦ (x − mean)(Σ + ε I)^(−1/2), Σ the covariance of x and ε = ridge · tr(Σ)/d; then each row by its length.

    x, x_aug : (N, d) float32 or float64, two augmented views, N ≥ 2. Mean and Σ are those of x, for both.
    ridge : share of the mean variance that is added to each direction's, so that those of noise alone are not blown
        up; larger leaves more of the spectrum of the data; 0 only where Σ is regular.
    unit_rows : bring each row to length 1 (a row of 0 stays).

    Without it the few directions of large variance are all that nodes find: of digits some two patterns, ten with it
    (docs/patterns.md). Views that differ by noise alone suit best; shifts blur what is small.
    Returns Whitened of x's kind and dtype. Not differentiable: tensors that require grad are refused.
    Raises TypeError or ValueError naming the argument, what was expected and what came; NaN in the data is refused.
    Cost: 3Nd² multiply-adds and one eigendecomposition, on the host in float64; memory O(Nd + d²).
    Source: ZCA whitening, Bell and Sejnowski 1997; the rows of length 1: derived.
    """
    a, b = operand("x", x, columns="feature"), operand("x_aug", x_aug)
    like(b, a)
    refuse_grad("whiten", a, b)
    ridge = number("ridge", ridge)
    if ridge < 0:
        raise ValueError(f"ridge: expected a number of at least 0, got {ridge}")
    first, second = _finite(a), _finite(b)
    if len(first) < 2:
        raise ValueError(f"x: expected at least two samples, got shape {a.shape}")
    mean = first.mean(axis=0)
    values, axes = np.linalg.eigh(np.atleast_2d(np.cov(first - mean, rowvar=False)))
    values = values + ridge * values.mean()
    if not values[-1] > 0:
        raise ValueError("x: expected samples that differ, got equal ones")
    # What eigh leaves, and the variance that rounding of the data, offset and all, gives to a direction without any.
    of_solver, of_data = 8 * np.finfo(np.float64).eps, 16 * float(np.finfo(a.dtype).eps) ** 2
    if not values[0] > len(values) * (of_solver * values[-1] + of_data * (values[-1] + (mean**2).max())):
        raise ValueError(f"ridge: expected one that makes the covariance of x regular, got {ridge}")
    scales = np.sqrt(values)
    transform, inverse = ((axes * scale) @ axes.T for scale in (1 / scales, scales))
    views = [((view - mean) @ transform).astype(a.dtype) for view in (first, second)]
    if unit_rows:
        views = [_unit_rows(view) for view in views]
    found = (*views, mean, transform, inverse)
    return Whitened(*(given_back(from_host(f.astype(a.dtype, copy=False), a), a.is_torch) for f in found))


def _finite(a: Operand) -> np.ndarray:
    array = on_host(a.array)
    if not np.isfinite(array).all():
        raise ValueError(f"{a.name}: expected finite numbers, got NaN or infinity")
    return array.astype(np.float64)  # a mean of many numbers in float32 has few digits


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)
