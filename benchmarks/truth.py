"""Float64 truth of the covariance cases, blockwise: centred Laplacian form, none of the package's code.

C = 1/(2 N^2) [ X^T diag(r + c) X - (S + S^T) - D^T diag(r) D ],  S = X^T (alpha X),  X centred, D = x - x_aug.
"""

from collections.abc import Callable, Iterator

import numpy as np

BLOCK = 512
CHEBYSHEV_LENGTH = 60.0
"""Range / sqrt(tau) up to which interpolation (under 350 nodes) replaces the N^2 sum of a scalar Gaussian."""


def blocks(n: int, size: int = BLOCK) -> Iterator[slice]:
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def _finish(x, x_aug, mean, row, col, cross) -> np.ndarray:
    total = -(cross + cross.T)
    for rows in blocks(len(x), 8192):
        centred = x[rows].astype(np.float64) - mean
        delta = x[rows].astype(np.float64) - x_aug[rows]
        total += centred.T @ (centred * (row + col)[rows, None])
        total -= delta.T @ (delta * row[rows, None])
    return total / (2.0 * len(x) ** 2)


def from_rows(x: np.ndarray, x_aug: np.ndarray, alpha_rows: Callable[[slice], np.ndarray]) -> np.ndarray:
    """Any importance whose rows can be had in float64, one block at a time: N^2 d operations."""
    n = len(x)
    mean = x.mean(axis=0, dtype=np.float64)
    centred = x - mean
    row, col, cross = np.empty(n), np.zeros(n), np.zeros((x.shape[1],) * 2)
    for rows in blocks(n):
        alpha = alpha_rows(rows)
        row[rows] = alpha.sum(axis=1)
        col += alpha.sum(axis=0)
        cross += centred[rows].T @ (alpha @ centred)
    return _finish(x, x_aug, mean, row, col, cross)


def dense(x, x_aug, alpha) -> np.ndarray:
    return from_rows(x, x_aug, lambda rows: alpha[rows].astype(np.float64))


def gaussian(x, x_aug, features, tau: float) -> np.ndarray:
    """alpha_ij = exp(-||f_i - f_j||^2 / (2 tau)), features (N, m) or (N,)."""
    f = features.astype(np.float64).reshape(len(x), -1)
    f = f - f.mean(axis=0)
    if f.shape[1] == 1:
        if np.ptp(f) <= CHEBYSHEV_LENGTH * np.sqrt(tau) and len(x) > 4096:
            return scalar_by_chebyshev(x, x_aug, f[:, 0], tau)
        return from_rows(x, x_aug, lambda rows: np.exp(-((f[rows] - f.T) ** 2) / (2.0 * tau)))
    half = 0.5 * (f * f).sum(axis=1)

    def alpha_rows(rows: slice) -> np.ndarray:
        exponent = np.minimum(f[rows] @ f.T - half[rows, None] - half, 0.0) / tau
        exponent[np.arange(exponent.shape[0]), np.arange(rows.start, rows.stop)] = 0.0
        return np.exp(exponent)

    return from_rows(x, x_aug, alpha_rows)


def scalar_by_chebyshev(x, x_aug, u: np.ndarray, tau: float) -> np.ndarray:
    """A scalar Gaussian at any N: alpha = B K B^T, barycentric interpolation at n Chebyshev points in both variables.

    The coefficients of exp(-(h^2/2)(s - t)^2) on [-1, 1] fall like exp(-k^2 / h^2): n = 5 L + 30 reaches 1e-15.
    """
    low, high = float(u.min()), float(u.max())
    half_length = max((high - low) / 2.0, 1e-300)
    n = int(5.0 * (high - low) / np.sqrt(tau)) + 30
    angle = (np.arange(n) + 0.5) * np.pi / n
    nodes, weights = np.cos(angle), np.sin(angle) * (-1.0) ** np.arange(n)
    kernel = np.exp(-((half_length * (nodes[:, None] - nodes)) ** 2) / (2.0 * tau))

    def basis(rows: slice) -> np.ndarray:
        gap = ((u[rows] - (low + high) / 2.0) / half_length)[:, None] - nodes
        hit = gap == 0.0
        terms = weights / np.where(hit, 1.0, gap)
        terms[hit.any(axis=1)] = hit[hit.any(axis=1)]
        return terms / terms.sum(axis=1, keepdims=True)

    mean = x.mean(axis=0, dtype=np.float64)
    sums, moments = np.zeros(n), np.zeros((n, x.shape[1]))
    for rows in blocks(len(x), 8192):
        b = basis(rows)
        sums += b.sum(axis=0)
        moments += b.T @ (x[rows].astype(np.float64) - mean)
    row = np.concatenate([basis(rows) @ (kernel @ sums) for rows in blocks(len(x), 8192)])
    return _finish(x, x_aug, mean, row, row, moments.T @ kernel @ moments)
