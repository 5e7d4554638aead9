"""What a case and a provider are; everything that runs them is in runner.py and worker.py."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

OURS, NULL, PEER, TWIN, VARIANT = "ours", "null", "peer", "our algebra", "variant"
"""Roles. TWIN is our algebra written in another library: it splits the gain of the algorithm from the gain of the
kernel. VARIANT is the package with another method. "Fastest peer" means the fastest PEER; losses to any are printed."""

Inputs = Mapping[str, np.ndarray]
Sizes = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """Minimal work: arithmetic `operations` that a GEMM could do, `bytes` from memory, `exps` exponentials."""

    operations: float
    bytes: float
    exps: float = 0.0

    def floor_seconds(self, rates: Mapping[str, float]) -> float:
        """max(operations / GEMM rate, bytes / bandwidth) + exps / exp rate."""
        streamed = max(self.operations / rates["gemm"], self.bytes / rates["read"])
        return streamed + self.exps / rates["exp"]


@dataclass(frozen=True)
class Provider:
    """One way to compute a case. `prepare(inputs, sizes)` is not timed and returns the call that is.

    needs: modules that must be importable.  compiles: None, "slice" (compiling does not depend on N, so it is done on a
    small input) or "full" (done at the size itself); its time is reported apart.  sweep_to: largest N (or B) at
    which --sweep includes it (0: never), for peers that take gigabytes or compile anew at every point.
    """

    name: str
    role: str
    prepare: Callable[[Inputs, Sizes], Callable[[], Any]]
    needs: tuple[str, ...] = ()
    compiles: str | None = None
    sweep_to: float = float("inf")


@dataclass(frozen=True)
class Goal:
    """kind: "speedup" (median ratio, at least `value`), "percent_of_floor" (at least) or "peak_over_input" (below).

    versus: the provider that a speedup is against; None: the fastest peer that finished.
    """

    kind: str
    value: float
    versus: str | None = None


def frobenius_error(result: Any, truth: np.ndarray) -> float:
    """||result - truth||_F / ||truth||_F in float64."""
    difference = np.asarray(result, dtype=np.float64) - truth
    return float(np.linalg.norm(difference) / np.linalg.norm(truth))


@dataclass(frozen=True)
class Case:
    """One line of the speed table.

    make(sizes, rng) -> (inputs, facts): arrays, and what the sizes imply (tau, ...); the facts join the sizes.
    truth(inputs, sizes): the float64 answer.  work(sizes): the floor's Work.  error(result, truth): shown beside time.
    small: the sizes of --quick.  sweep: overrides of `sizes`, one dictionary per point.
    """

    number: int
    name: str
    title: str
    sizes: Sizes
    small: Sizes
    make: Callable[[Sizes, np.random.Generator], tuple[dict[str, np.ndarray], Sizes]]
    truth: Callable[[Inputs, Sizes], np.ndarray]
    work: Callable[[Sizes], Work]
    providers: tuple[Provider, ...]
    goals: tuple[Goal, ...] = ()
    error: Callable[[Any, np.ndarray], float] = frobenius_error
    sweep: tuple[Sizes, ...] = field(default=())

    def provider(self, name: str) -> Provider:
        return next(p for p in self.providers if p.name == name)


def ours(prepare: Callable[[Inputs, Sizes], Callable[[], Any]]) -> tuple[Provider, Provider]:
    """The package, twice: the second is the null run, which must show nothing."""
    needs = ("alphacl_fast",)
    return Provider("ours", OURS, prepare, needs), Provider("ours again", NULL, prepare, needs)


def one_at_a_time(base: Sizes, **ranges: tuple) -> tuple[Sizes, ...]:
    """The base and every point that differs from it in one named size."""
    points = [base]
    for name, values in ranges.items():
        points += [{**base, name: value} for value in values if base.get(name) != value]
    return tuple(points)


def load_cases() -> dict[str, Case]:
    """Every CASE of benchmarks/cases/*.py by name, in the order of their numbers."""
    package = importlib.import_module("benchmarks.cases")
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    cases = [importlib.import_module(f"benchmarks.cases.{name}").CASE for name in names]
    return {case.name: case for case in sorted(cases, key=lambda case: case.number)}
