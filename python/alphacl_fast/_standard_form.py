"""Av = λBv of arrays or of a layer as a standard problem, known by its products with float64 rows of the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from alphacl_fast._arrays import Operand, empty, from_host, on_host
from alphacl_fast._gated import GatedCovariance

Array = np.ndarray
Product = Callable[[Array, Array], Array]  # rows of v and the index of the matrix of each -> products


class StandardForm:
    """S = L⁻¹AL⁻ᵀ, B = LLᵀ, of each of `count` matrices (A itself without B): Sy = λy with y = Lᵀv.

    Arrays are formed and brought to entries of about 1 by 2^exponents; of a layer the products are composed.
    """

    def __init__(self, a: Any, matrices: Operand, b: Operand | None) -> None:
        self.layer = a if isinstance(a, GatedCovariance) else None
        self.count, self.d = (1, *a.shape)[-3:-1]
        self._b = None if b is None else lower_symmetric(b)
        if self._b is not None:
            self._factor, self._inverse = _cholesky(self._b)
        self.exponents = np.zeros(self.count, int)
        if self.layer is not None:
            self.array, self._plain = None, _layer_product(self.layer)
            self.product = self._plain if b is None else self._reduced
            return
        given = lower_symmetric(matrices)
        self._plain = _array_product(given)
        if b is not None:
            given = self._inverse @ given @ self._inverse.swapaxes(1, 2)
            given = 0.5 * (given + given.swapaxes(1, 2))
        peaks = np.abs(given).max(axis=(1, 2), initial=0)
        self.exponents = np.where(np.isfinite(peaks), -np.frexp(peaks)[1], 0)
        self.array = np.ldexp(given, self.exponents[:, None, None])
        self.product = _array_product(self.array)

    def starts(self, v: Array) -> Array:
        """y = Lᵀv of (B, k, d) start vectors."""
        return v if self._b is None else np.einsum("bji,bkj->bki", self._each(self._factor), v)

    def back(self, values: Array, y: Array, residuals: Array) -> tuple[Array, Array, Array]:
        """λ, v = L⁻ᵀy and ‖Av − λBv‖ from those of the standard problem, (B, k) and (B, k, d)."""
        values, residuals = (np.ldexp(part, -self.exponents[:, None]) for part in (values, residuals))
        if self._b is None:
            return values, y, residuals
        v = np.einsum("bji,bkj->bki", self._each(self._inverse), y)
        moved = np.stack([self._plain(v[:, j], np.arange(self.count)) for j in range(v.shape[1])], axis=1)
        weighted = np.einsum("bij,bkj->bki", self._each(self._b), v)
        return values, v, np.linalg.norm(moved - values[..., None] * weighted, axis=2)

    def _each(self, a: Array) -> Array:
        return np.broadcast_to(a, (self.count, self.d, self.d))

    def _reduced(self, y: Array, which: Array) -> Array:
        inverse = self._each(self._inverse)[which]
        return np.einsum("bij,bj->bi", inverse, self._plain(np.einsum("bji,bj->bi", inverse, y), which))


def lower_symmetric(matrices: Operand) -> Array:
    """(B, d, d) float64 from the lower triangles."""
    a = np.tril(on_host(matrices.array).astype(np.float64)).reshape(-1, *matrices.shape[-2:])
    return a + np.tril(a, -1).swapaxes(1, 2)


def _cholesky(b: Array) -> tuple[Array, Array]:
    """L and L⁻¹ of B = LLᵀ."""
    try:
        factor = np.linalg.cholesky(b)
    except np.linalg.LinAlgError:
        raise ValueError("b: expected symmetric positive definite matrices, got one that is not") from None
    return factor, np.linalg.inv(factor)


def _array_product(a: Array) -> Product:
    def product(v: Array, which: Array) -> Array:
        return np.einsum("bij,bj->bi", a if len(which) == len(a) else a[which], v)

    return product


def _layer_product(layer: GatedCovariance) -> Product:
    x = layer._x

    def product(v: Array, which: Array) -> Array:
        out = empty(v.shape, x.dtype, x)
        layer._multiply(from_host(v.astype(x.dtype), x), which, out)
        return on_host(out).astype(np.float64)

    return product
