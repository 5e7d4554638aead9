"""The part of the demo that computes: two views of images, their covariances with three importances, the time taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from alphacl_fast import Gaussian, Uniform, contrastive_cov, datasets, energy
from alphacl_fast._backend import build_info
from alphacl_fast._optional import require
from alphacl_fast._power_iteration import positive_form

SHIFT, NOISE = 1, 0.1  # of the two views, pixels and grey levels from 0 to 1
TAU_FRACTION = 0.1
NUM_COMPONENTS = 8  # of the Gaussian importance with several features
MAX_PAIRED = 8192  # images, where the cost is that of all pairs
MAX_DENSE_BYTES = 2**30  # of one N×N float32 array, in plain NumPy
NUM_CALLS, CALLS_SECONDS = 3, 1  # timed per case, the first limit that is reached


@dataclass(frozen=True)
class Views:
    """Images, two views of them, (N, d) float32, and their principal components, (N, NUM_COMPONENTS)."""

    title: str
    side: tuple[int, int]
    images: np.ndarray
    x: np.ndarray
    x_aug: np.ndarray
    components: np.ndarray

    def sample(self, count: int, seed: int) -> Views:
        """`count` of the images, drawn from the seed and in their order; all of them when there are no more."""
        if count >= len(self.x):
            return self
        rows = np.sort(np.random.default_rng(seed).choice(len(self.x), count, replace=False))
        return Views(self.title, self.side, self.images[rows], self.x[rows], self.x_aug[rows], self.components[rows])


@dataclass(frozen=True)
class Case:
    """One covariance to compute: one line of the table, one row of the picture."""

    views: Views
    importance: str
    features: np.ndarray | None = None  # None: uniform
    tau: float | None = None


@dataclass(frozen=True)
class Result:
    """Eigenpairs of C_α in descending order, eigenvectors as columns; E_α; times in seconds."""

    case: Case
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    energy: float
    seconds: float
    numpy_seconds: float | None  # None: its N×N array would be too large


def views_of(title: str, images: np.ndarray, side: tuple[int, int], seed: int) -> Views:
    """Augment, and find the principal components of the images before augmentation."""
    views = datasets.two_views(images.reshape(-1, *side), SHIFT, NOISE, seed)
    x, x_aug = (view.reshape(images.shape) for view in views)
    components = (images - images.mean(axis=0)) @ principal_axes(images, NUM_COMPONENTS)
    return Views(title, side, images, x, x_aug, components)


def principal_axes(images: np.ndarray, count: int) -> np.ndarray:
    """(d, count) orthonormal columns, the leading principal axes of images, (N, d)."""
    # Without augmentation and with uniform importance C_α is the covariance.
    _, directions = _eigenpairs(contrastive_cov(images, images))
    return directions[:, :count].astype(images.dtype)


def cases_of(views: Views, seed: int) -> Iterator[Case]:
    yield Case(views, "uniform")
    first = views.components[:, 0]
    yield Case(views, "Gaussian, PC 1", first, _tau(first))
    sample = views.sample(MAX_PAIRED, seed)
    yield Case(sample, f"Gaussian, PC 1–{NUM_COMPONENTS}", sample.components, _tau(sample.components))


def _tau(features: np.ndarray) -> float:
    """TAU_FRACTION of the total variance, which is half the mean squared distance of two samples."""
    return TAU_FRACTION * float(np.var(features, axis=0, dtype=np.float64).sum())


def result_of(case: Case) -> Result:
    x, x_aug = case.views.x, case.views.x_aug

    def importance() -> Uniform | Gaussian:
        return Uniform() if case.features is None else Gaussian(case.features, case.tau)

    seconds, cov = _timed(lambda: contrastive_cov(x, x_aug, importance()))
    numpy_seconds = None
    if case.features is None or 4 * len(x) ** 2 <= MAX_DENSE_BYTES:
        with require("threadpoolctl").threadpool_limits(build_info()["max_threads"], "blas"):
            numpy_seconds, _ = _timed(lambda: _plain_numpy(x, x_aug, case.features, case.tau))
    eigenvalues, eigenvectors = _eigenpairs(cov)
    return Result(case, eigenvalues, eigenvectors, float(energy(x, x_aug, importance())), seconds, numpy_seconds)


def _timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Shortest of up to NUM_CALLS calls after one that is not counted, and what that one returned."""
    answer = function()
    times: list[float] = []
    while len(times) < NUM_CALLS and sum(times) < CALLS_SECONDS:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times), answer


def _plain_numpy(x: np.ndarray, x_aug: np.ndarray, features: np.ndarray | None, tau: float | None) -> np.ndarray:
    """C_α in Laplacian form as one writes it in NumPy, α symmetric: one N×N array, unless α is uniform."""
    n = len(x)
    x, delta = x - x.mean(axis=0), x - x_aug
    if features is None:
        return x.T @ x / n - delta.T @ delta / (2 * n)
    features = features.reshape(n, -1)
    squares = (features**2).sum(axis=1) / (2 * tau)
    alpha = features @ (features / tau).T
    alpha -= squares[:, None]
    alpha -= squares
    np.exp(np.minimum(alpha, 0, out=alpha), out=alpha)
    sums = alpha.sum(axis=1)[:, None]
    return ((sums * x).T @ x - x.T @ (alpha @ x) - (sums * delta).T @ delta / 2) / n**2


def _eigenpairs(cov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, largest first, and eigenvectors as columns, the largest entry of each positive."""
    values, vectors = np.linalg.eigh(cov.astype(np.float64))
    return values[::-1], positive_form(vectors.T[::-1]).T
