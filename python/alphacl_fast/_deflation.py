"""Further eigenpairs of matrices known by their products: the iteration again, what is known projected away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from alphacl_fast._backend import power_iteration_of_product
from alphacl_fast._standard_form import Array, Product


@dataclass(frozen=True)
class Options:
    """As of power_iteration."""

    tol: float
    max_iter: int
    lanczos: bool
    seed: int


class Pairs(NamedTuple):
    """Pair j of each of B matrices."""

    eigenvalue: Array  # (B,)
    vector: Array  # (B, d), of length 1
    residual: Array
    n_iter: Array
    converged: Array


class Deflation:
    """The top eigenpairs of B matrices one after the other, each orthogonal to those before it."""

    def __init__(self, product: Product, count: int, d: int, options: Options) -> None:
        self._product, self._options = product, options
        self.d, self.tol = d, options.tol
        self._known = np.zeros((count, 0, d))
        self.norm = np.zeros(count)  # ‖A‖₂ from below: the largest ‖Aq‖ of a unit q met

    def add(self, pairs: Pairs) -> Pairs:
        """Takes the next pair, found elsewhere."""
        self._measured(pairs.vector, np.arange(len(pairs.vector)))
        return self._kept(pairs)

    def next(self, v0: Array | None) -> Pairs:
        """The next pair, from starts (B, d) or from random ones."""
        count, order, d = self._known.shape
        options = self._options
        values, residuals = np.empty((2, count))
        vectors, steps, done = np.empty((count, d)), np.empty(count, np.int64), np.empty(count, np.bool_)
        power_iteration_of_product()(
            self._apart_product, count, d, self._start(v0, order), options.tol, options.max_iter, options.lanczos,
            options.seed, values, vectors, None, residuals, steps, done,
        )  # fmt: skip
        vectors = self._apart(vectors, np.arange(count))
        with np.errstate(invalid="ignore"):
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return self._kept(self._judged(vectors, steps))

    def _kept(self, pairs: Pairs) -> Pairs:
        v = np.nan_to_num(pairs.vector)
        lengths = np.linalg.norm(v, axis=1, keepdims=True)
        self._known = np.concatenate([self._known, (v / np.where(lengths > 0, lengths, 1))[:, None]], axis=1)
        return pairs

    def _start(self, v0: Array | None, order: int) -> Array:
        count, _, d = self._known.shape
        spare = np.random.default_rng([self._options.seed, order]).standard_normal((count, d))
        every = np.arange(count)
        spare = self._apart(spare, every)
        if v0 is None:
            return spare
        v0 = v0 / np.abs(v0).max(axis=1, keepdims=True)
        left = self._apart(v0, every)
        lost = np.linalg.norm(left, axis=1) < 1e-8 * np.linalg.norm(v0, axis=1)
        return np.where(lost[:, None], spare, left)

    def _apart(self, v: Array, which: Array) -> Array:
        """v without its part in what is known; twice, for what rounding leaves."""
        known = self._known[which]
        for _ in range(2):
            v = v - np.einsum("bk,bkd->bd", np.einsum("bkd,bd->bk", known, v), known)
        return v

    def _apart_product(self, v: Array, which: Array) -> Array:
        """PAv − ‖A‖ (I − P)v: what rounding leaves of the known vectors has the lowest eigenvalue."""
        moved = self._measured(v, which)
        along = v - self._apart(v, which)
        return self._apart(moved, which) - self.norm[which, None] * along

    def _measured(self, v: Array, which: Array) -> Array:
        with np.errstate(invalid="ignore", over="ignore"):
            moved = self._product(v, which)
            self.norm[which] = np.fmax(self.norm[which], np.linalg.norm(moved, axis=1))
        return moved

    def _judged(self, vectors: Array, steps: Array) -> Pairs:
        """λ and the residual of unit vectors, and whether it is below √(j + 1) tol ‖A‖: v ⊥ v_i, known to tol each."""
        order = self._known.shape[1]
        moved = self._measured(vectors, np.arange(len(vectors)))
        values = np.einsum("bd,bd->b", vectors, moved)
        residuals = np.linalg.norm(moved - values[:, None] * vectors, axis=1)
        converged = residuals <= np.sqrt(order + 1) * self._options.tol * self.norm
        return Pairs(values, vectors, residuals, steps, converged)


def several(search: Deflation, first: Pairs | None, k: int, gap: bool, v0: Array | None) -> tuple[Any, ...]:
    """Value (B, k), vector (B, k, d), gap or None, residual, n_iter, converged of the top k; v0: (B, k, d)."""
    pairs = [] if first is None else [search.add(first)]
    last = k == search.d
    wanted = k + int(gap and not last)
    while len(pairs) < wanted:
        order = len(pairs)
        pairs.append(search.next(v0[:, order] if v0 is not None and order < k else None))
    values, vectors, residuals, steps, done = (np.stack(part, axis=1) for part in zip(*pairs, strict=True))
    gaps = None
    if gap:
        if last:
            values, done = _with_end(values, -np.inf), _with_end(done, True)
        gaps = values[:, :k] - values[:, 1:]
        gaps[(gaps < 0) & (gaps >= -search.tol * search.norm[:, None])] = 0
        done = done[:, :k] & done[:, 1:]
    return values[:, :k], vectors[:, :k], gaps, residuals[:, :k], steps[:, :k], done[:, :k]


def _with_end(a: Array, value: Any) -> Array:
    return np.concatenate([a, np.full_like(a[:, :1], value)], axis=1)
