"""What the demo shows of the covariances: two tables with notes, and the rows of the picture."""

from __future__ import annotations

import numpy as np

from alphacl_fast._backend import build_info
from alphacl_fast.demo._covariances import CALLS_SECONDS, NUM_CALLS, TAU_FRACTION, Result
from alphacl_fast.demo._durations import duration
from alphacl_fast.demo._pictures import ImageRow

NUM_EIGENVALUES = 5  # printed
NUM_EIGENVECTORS = 6  # drawn
_VALUES = "{:<14} {:<18} {:>7} {:>9}  {}"
_TIMES = "{:<14} {:>6} {:>4}  {:<18} {:>9} {:>13} {:>7}"


def values_header() -> str:
    return _VALUES.format("data set", "importance", "tau", "energy", f"{NUM_EIGENVALUES} leading eigenvalues of C_α")


def values_row(result: Result) -> str:
    case = result.case
    return _VALUES.format(
        case.views.title,
        case.importance,
        "–" if case.tau is None else f"{case.tau:.4g}",
        f"{result.energy:.4g}",
        " ".join(f"{value:<9.4g}" for value in result.eigenvalues[:NUM_EIGENVALUES]).rstrip(),
    )


def times_table(results: list[Result]) -> str:
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


def footnotes(results: list[Result]) -> str:
    threads = build_info()["max_threads"]
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


def image_row(result: Result) -> ImageRow:
    case = result.case
    kind, *components = case.importance.split(", ")
    label = [*components, f"N = {len(case.views.x)}"]
    if case.tau is not None:
        label.append(f"$\\tau$ = {case.tau:.3g}")
    shown = range(min(NUM_EIGENVECTORS, len(result.eigenvalues)))
    return ImageRow(
        kind,
        label,
        [result.eigenvectors[:, k].reshape(case.views.side) for k in shown],
        [f"$\\lambda_{{{k + 1}}}$ = {result.eigenvalues[k]:.3g}" for k in shown],
    )
