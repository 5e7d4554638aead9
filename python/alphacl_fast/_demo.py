"""`alphacl-fast demo`: what is learned from real images: contrastive covariances, patterns of nodes, a picture.

A direction that augmentation changes is subtracted from C_α, so the leading eigenvectors are patterns that survive it.
A Gaussian importance counts only pairs whose features are alike: the pattern that the features measure steps back,
and others lead.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alphacl_fast import Gaussian, Uniform, _cpu, _demo_patterns, contrastive_cov, datasets, energy
from alphacl_fast._durations import duration
from alphacl_fast._optional import require
from alphacl_fast._pictures import ImageRow, write_rows

SHIFT, NOISE = 1, 0.1  # of the two views, pixels and grey levels from 0 to 1
TAU_FRACTION = 0.1
NUM_COMPONENTS = 8  # of the Gaussian importance with several features
MAX_PAIRED = 8192  # images, where the cost is that of all pairs
MAX_DENSE_BYTES = 2**30  # of one N×N float32 array, in plain NumPy
NUM_CALLS, CALLS_SECONDS = 3, 1  # timed per case, the first limit that is reached
NUM_EIGENVALUES = 5  # printed
NUM_EIGENVECTORS = 8  # drawn
PICTURE_TITLE = "Leading eigenvectors of the contrastive covariance $C_\\alpha$, and what nodes learn"
PICTURE_NOTE = (
    "Patterns by which images differ and that augmentation leaves alone. "
    "Gaussian importance: only pairs alike in the principal components (PC) named count.\n"
    "Below: the maxima of the energy E to which linear and ReLU nodes climb, and how many nodes found each."
)


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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        choices=("all", "digits", "fashion", "patches"),
        default="all",
        help="scikit-learn's digits, Fashion-MNIST, patches of scikit-learn's photographs, or digits and Fashion-MNIST "
        "as far as they are installed; nodes learn from the first (default: %(default)s)",
    )
    parser.add_argument(
        "--fashion-dir",
        metavar="DIR",
        help=f"folder of Fashion-MNIST's idx files (default: {datasets.FASHION_MNIST_DIR})",
    )
    parser.add_argument(
        "--out", type=_picture, default="alphacl_demo.png", help="the picture to write (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    _require_writable(args.out)
    tqdm = require("tqdm").tqdm
    for package in ("matplotlib.figure", "threadpoolctl"):
        require(package)
    print(f"Two views of each image: shifts of up to {SHIFT} pixel, noise of {NOISE:g} (seed {args.seed}).\n")
    print(_values_header(), flush=True)
    results, first = [], None
    # disable=None: a bar on a terminal, none in a pipe.
    with tqdm(leave=False, disable=None, bar_format="{desc} [{elapsed}]") as bar:
        for views in _sets(args, bar):
            first = first or views
            for case in _cases(views, args.seed):
                bar.set_description_str(f"{views.title}: {case.importance}")
                results.append(_result(case))
                bar.write(_values_row(results[-1]))
    print(f"\n{_times_table(results)}\n\n{_notes(results)}\n\n{_demo_patterns.header()}", flush=True)
    some = first.sample(_demo_patterns.MAX_IMAGES, args.seed)
    learned = []
    for patterns in _demo_patterns.learn(some.title, some.side, some.images, args.seed):
        learned.append(patterns)
        print(_demo_patterns.row(patterns), flush=True)
    print(
        f"\npatterns: different maxima that {_demo_patterns.NUM_NODES} nodes found from random starts "
        f"on {len(some.images)} images,\n"
        "    with noise alone in the two views, whitened and brought to length 1.\n",
        flush=True,
    )
    rows = [*map(_image_row, results), *_demo_patterns.image_rows(learned)]
    write_rows(args.out, PICTURE_TITLE, PICTURE_NOTE, rows)
    print(f"The eigenvectors and patterns as images: {args.out}")


def _require_writable(path: Path) -> None:
    """OSError now rather than after minutes of work."""
    try:
        if path.exists():
            path.open("ab").close()
        else:
            tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise OSError(f"--out: cannot write {path}: {error.strerror}") from error


def _sets(args: argparse.Namespace, bar: Any) -> Iterator[Views]:
    if args.data == "patches":
        bar.set_description_str("reading photographs")
        yield _views("patches", datasets.load_patches(seed=args.seed), (8, 8), args.seed)
        return
    if args.data != "fashion":
        bar.set_description_str("reading digits")
        yield _views("digits", datasets.load_digits(), (8, 8), args.seed)
    if args.data == "digits":
        return
    bar.set_description_str("reading Fashion-MNIST")
    try:
        images = datasets.load_fashion_mnist(args.fashion_dir)
    except FileNotFoundError as error:
        if args.data == "fashion" or args.fashion_dir is not None:
            raise
        bar.write(f"left out: {error}")
        return
    yield _views("Fashion-MNIST", images, (28, 28), args.seed)


def _views(title: str, images: np.ndarray, side: tuple[int, int], seed: int) -> Views:
    """Augment, and find the principal components of the images before augmentation."""
    views = datasets.two_views(images.reshape(-1, *side), SHIFT, NOISE, seed)
    x, x_aug = (view.reshape(images.shape) for view in views)
    # Without augmentation and with uniform importance C_α is the covariance.
    _, directions = _eigenpairs(contrastive_cov(images, images))
    components = (images - images.mean(axis=0)) @ directions[:, :NUM_COMPONENTS].astype(images.dtype)
    return Views(title, side, images, x, x_aug, components)


def _cases(views: Views, seed: int) -> Iterator[Case]:
    yield Case(views, "uniform")
    first = views.components[:, 0]
    yield Case(views, "Gaussian, PC 1", first, _tau(first))
    sample = views.sample(MAX_PAIRED, seed)
    yield Case(sample, f"Gaussian, PC 1–{NUM_COMPONENTS}", sample.components, _tau(sample.components))


def _tau(features: np.ndarray) -> float:
    """TAU_FRACTION of the total variance, which is half the mean squared distance of two samples."""
    return TAU_FRACTION * float(np.var(features, axis=0, dtype=np.float64).sum())


def _result(case: Case) -> Result:
    x, x_aug = case.views.x, case.views.x_aug

    def importance() -> Uniform | Gaussian:
        return Uniform() if case.features is None else Gaussian(case.features, case.tau)

    seconds, cov = _timed(lambda: contrastive_cov(x, x_aug, importance()))
    numpy_seconds = None
    if case.features is None or 4 * len(x) ** 2 <= MAX_DENSE_BYTES:
        with require("threadpoolctl").threadpool_limits(_cpu.build_info()["max_threads"], "blas"):
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
    values, vectors = values[::-1], vectors[:, ::-1]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None], axis=0)
    return values, vectors * np.where(largest < 0, -1, 1)


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"expected a name that ends in .png, got {text}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"expected a name in an existing folder, got {text}")
    return path


_VALUES = "{:<14} {:<18} {:>7} {:>9}  {}"
_TIMES = "{:<14} {:>6} {:>4}  {:<18} {:>9} {:>13} {:>7}"


def _values_header() -> str:
    return _VALUES.format("data set", "importance", "tau", "energy", f"{NUM_EIGENVALUES} leading eigenvalues of C_α")


def _values_row(result: Result) -> str:
    case = result.case
    return _VALUES.format(
        case.views.title,
        case.importance,
        "–" if case.tau is None else f"{case.tau:.4g}",
        f"{result.energy:.4g}",
        " ".join(f"{value:<9.4g}" for value in result.eigenvalues[:NUM_EIGENVALUES]).rstrip(),
    )


def _times_table(results: list[Result]) -> str:
    lines = [_TIMES.format("data set", "N", "d", "importance", "time", "plain NumPy", "ratio")]
    for result in results:
        compared = result.numpy_seconds is not None
        lines.append(
            _TIMES.format(
                result.case.views.title,
                *result.case.views.x.shape,
                result.case.importance,
                duration(result.seconds),
                duration(result.numpy_seconds) if compared else "N×N too large",
                _ratio(result.numpy_seconds / result.seconds) if compared else "–",
            )
        )
    return "\n".join(lines)


def _ratio(ratio: float) -> str:
    return f"{ratio:.1f}×" if ratio < 99.95 else f"{ratio:.0f}×"


def _notes(results: list[Result]) -> str:
    threads = _cpu.build_info()["max_threads"]
    notes = [
        "PC: principal components of the images before augmentation, the features of the Gaussian importance;",
        f"    tau is {TAU_FRACTION:g} × their total variance.",
        f"time: the best of {NUM_CALLS} warm calls (fewer past {CALLS_SECONDS} s), threads: {threads}; no benchmark.",
        "plain NumPy: C_α in Laplacian form, with an N×N array where the importance is Gaussian;",
        f"    its matrix products (not its exponentials) take as many threads (numpy {np.__version__}).",
    ]
    all_images = {result.case.views.title: len(result.case.views.x) for result in reversed(results)}
    for result in results:
        title, count = result.case.views.title, len(result.case.views.x)
        if count < all_images[title]:
            notes.append(
                f"{title}, {result.case.importance}: {count} of its {all_images[title]} images, drawn at random, "
                "as here the time grows like N²."
            )
    return "\n".join(notes)


def _image_row(result: Result) -> ImageRow:
    case = result.case
    label = [case.importance, f"N = {len(case.views.x)}"]
    if case.tau is not None:
        label.append(f"$\\tau$ = {case.tau:.3g}")
    shown = range(min(NUM_EIGENVECTORS, len(result.eigenvalues)))
    return ImageRow(
        case.views.title,
        label,
        [result.eigenvectors[:, k].reshape(case.views.side) for k in shown],
        [f"$\\lambda_{{{k + 1}}}$ = {result.eigenvalues[k]:.3g}" for k in shown],
    )
