"""numpy and its BLAS with our algebra: centring, Laplacian form, half-GEMM tiles, Fourier features for scalars.

GEMMs run on the BLAS's threads, element-wise passes on a pool of as many. What is left between these and the package is
the gain of its kernels.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from benchmarks import machine
from benchmarks.harness import PEER, TWIN, Inputs, Provider, Sizes
from benchmarks.peers.fourier import feature_count, frequencies
from benchmarks.truth import blocks

TILE = 256
CHUNK = 1 << 16
"""Elements of one pass: with several passes over a chunk, it stays in the L2 cache of a core."""


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(machine.threads())


def over_rows(job: Callable[[slice], None], rows: int, width: int) -> None:
    """job(slice) over chunks of rows, on all threads."""
    parts = list(blocks(rows, max(1, CHUNK // max(1, width))))
    if len(parts) == 1 or machine.threads() == 1:
        for part in parts:
            job(part)
    else:
        list(_pool().map(job, parts))


def half_gemm(x: np.ndarray, tile: Callable[[slice], np.ndarray]):
    """M = X^T (U X) with U's rows from tile(rows) (their columns start at rows.start); U's row and column sums."""
    n, d = x.shape
    row, col, total = np.zeros(n), np.zeros(n), np.zeros((d, d))
    for rows in blocks(n, TILE):
        u = tile(rows)
        ones = np.ones(u.shape[1], dtype=u.dtype)
        row[rows] += u @ ones
        col[rows.start :] += ones[: len(u)] @ u
        total += x[rows].T @ (u @ x[rows.start :])
    return total, row, col


def weighted_gram(y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Y^T diag(weight) Y; by syrk (half the operations) where no weight is negative."""
    weight = weight.astype(y.dtype)[:, None]
    if weight.min() < 0:
        return y.T @ (y * weight)
    scaled = y * np.sqrt(weight)
    return scaled.T @ scaled


def _finish(x, x_aug_centred, row, col, quadratic) -> np.ndarray:
    gram = weighted_gram(x, row + col) - weighted_gram(x - x_aug_centred, row)
    return ((gram - quadratic) / (2.0 * len(x) ** 2)).astype(x.dtype)


def _centre(x: np.ndarray, x_aug: np.ndarray):
    mean = x.mean(axis=0, dtype=np.float64).astype(x.dtype)
    return x - mean, x_aug - mean


def dense(x, x_aug, alpha) -> np.ndarray:
    """beta = alpha + alpha^T, its upper half only; alpha's own sums by two matrix-vector products."""
    x, x_aug = _centre(x, x_aug)

    def tile(rows: slice) -> np.ndarray:
        right, below = alpha[rows, rows.start :], alpha[rows.start :, rows].T
        u = np.empty_like(right, order="C")
        columns = list(blocks(u.shape[1], TILE))
        list(_pool().map(lambda c: np.add(right[:, c], below[:, c], out=u[:, c]), columns))
        square = u[:, : len(u)]
        square[:] = np.triu(square, 1) + 0.5 * np.diag(np.diag(square))
        return u

    half, _, _ = half_gemm(x, tile)
    ones = np.ones(len(x), dtype=x.dtype)
    return _finish(x, x_aug, alpha @ ones, ones @ alpha, half + half.T)


def gaussian_tiles(x, x_aug, features, tau: float) -> np.ndarray:
    """exp of a product [f, -|f|^2/2, 1][f, 1, -|f|^2/2]^T (differences for scalars); beta = 2 alpha."""
    x, x_aug = _centre(x, x_aug)
    f = (features - features.mean(axis=0)) * x.dtype.type(tau**-0.5)
    if f.ndim == 2:
        half_norm, ones = -0.5 * (f * f).sum(axis=1, keepdims=True), np.ones((len(f), 1), dtype=f.dtype)
        left, right = np.hstack([f, half_norm, ones]), np.hstack([f, ones, half_norm]).T.copy()

    def tile(rows: slice) -> np.ndarray:
        shape = (len(f[rows]), len(f) - rows.start)
        u = left[rows] @ right[:, rows.start :] if f.ndim == 2 else np.empty(shape, dtype=f.dtype)

        def passes(part: slice) -> None:
            chunk = u[part]
            if f.ndim == 1:
                np.subtract(f[rows][part, None], f[rows.start :], out=chunk)
                chunk *= chunk
                chunk *= f.dtype.type(-0.5)
            np.minimum(chunk, 0, out=chunk)
            np.exp(chunk, out=chunk)

        over_rows(passes, *u.shape)
        u[:, : len(u)] = np.triu(u[:, : len(u)], 1)
        np.fill_diagonal(u, 0.5)
        return u

    half, row, col = half_gemm(x, tile)
    return _finish(x, x_aug, row + col, row + col, 2.0 * (half + half.T))


def gaussian_fourier(x, x_aug, u, tau: float) -> np.ndarray:
    """alpha = Phi Phi^T with trapezoid-rule Fourier features; linear in N, everything in cache-sized blocks of rows."""
    tol = 1e-6 if x.dtype == np.float32 else 1e-12
    if feature_count(float(np.ptp(u)), tau, tol) > len(u) // 2:
        return gaussian_tiles(x, x_aug, u, tau)
    centre = x.dtype.type((float(u.min()) + float(u.max())) / 2.0)
    omega, weight = frequencies(float(np.ptp(u)), tau, tol)
    omega, root = omega.astype(x.dtype), np.sqrt(weight).astype(x.dtype)

    def phi(rows: slice) -> np.ndarray:
        angle = (u[rows] - centre)[:, None] * omega
        out = np.empty((len(angle), 2 * len(omega)), dtype=x.dtype)

        def passes(part: slice) -> None:
            np.multiply(np.cos(angle[part]), root, out=out[part, : len(omega)])
            np.multiply(np.sin(angle[part]), root, out=out[part, len(omega) :])

        over_rows(passes, *out.shape)
        return out

    mean = x.mean(axis=0, dtype=np.float64).astype(x.dtype)
    d, size = x.shape[1], 4096
    sums, moments = np.zeros(2 * len(omega)), np.zeros((2 * len(omega), d))
    kept = {}
    for rows in blocks(len(x), size):
        features = phi(rows)
        if len(x) <= 16 * size:
            kept[rows.start] = features
        sums += np.ones(len(features), dtype=x.dtype) @ features
        moments += features.T @ (x[rows] - mean)
    gram = np.zeros((d, d))
    for rows in blocks(len(x), size):
        features = kept[rows.start] if kept else phi(rows)
        row = np.maximum(features @ sums.astype(x.dtype), 0)
        centred = x[rows] - mean
        gram += weighted_gram(centred, 2 * row) - weighted_gram(x[rows] - x_aug[rows], row)
    return ((gram - 2.0 * moments.T @ moments) / (2.0 * len(x) ** 2)).astype(x.dtype)


def dense_laplacian(x, x_aug, alpha) -> np.ndarray:
    """The plain Laplacian form: one full GEMM with alpha."""
    x, x_aug = _centre(x, x_aug)
    cross, ones = x.T @ (alpha @ x), np.ones(len(x), dtype=x.dtype)
    return _finish(x, x_aug, alpha @ ones, ones @ alpha, cross + cross.T)


def _dense(function: Callable) -> Callable:
    return lambda inputs, sizes: lambda: function(inputs["x"], inputs["x_aug"], inputs["alpha"])


def _gaussian(function: Callable) -> Callable:
    def prepare(inputs: Inputs, sizes: Sizes) -> Callable:
        return lambda: function(inputs["x"], inputs["x_aug"], inputs["features"], sizes["tau"])

    return prepare


DENSE = (
    Provider("numpy", PEER, _dense(dense_laplacian)),
    Provider("numpy, our algebra", TWIN, _dense(dense)),
)
GAUSSIAN = (Provider("numpy, our algebra", TWIN, _gaussian(gaussian_tiles)),)
SCALAR = (Provider("numpy, our algebra", TWIN, _gaussian(gaussian_fourier)),)
