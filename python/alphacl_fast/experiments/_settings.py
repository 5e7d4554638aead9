"""What a claim is run with: its size, seed and data, the steps that are kept, and where a test may plant a fault."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from alphacl_fast._contrastive_cov import contrastive_cov
from alphacl_fast._energy import energy
from alphacl_fast._optional import MissingPackageError, require
from alphacl_fast._power_iteration import at_least
from alphacl_fast.experiments._claim import Figure, Numbers, Result, Rule


def _same_views(x: Any, x_aug: Any) -> tuple[Any, Any]:
    return x, x_aug


def _same_importance(alpha: Any) -> Any:
    return alpha


@dataclass(frozen=True)
class Hooks:
    """What every claim takes its pairs, importances and sums from; a test passes one that is wrong on purpose."""

    pairing: Callable[[Any, Any], tuple[Any, Any]] = _same_views
    importance: Callable[[Any], Any] = _same_importance
    contrastive_cov: Callable[..., Any] = contrastive_cov
    energy: Callable[..., Any] = energy


class Parts(Protocol):
    """Where finished parts of a claim are kept, so that an interruption loses only the part in hand."""

    def get(self, name: str) -> tuple[Any, float] | None: ...
    def put(self, name: str, value: Any, seconds: float) -> None: ...


class MissingDataError(LookupError):
    """A set of data that this run was not given; the message says which and how to give it."""


@dataclass
class Settings:
    """One claim's run. data: a folder or an archive of images in class folders; threads: None as OpenMP has it.

    watch: told the name of each part when it begins. Raises TypeError or ValueError naming the argument.
    """

    quick: bool = False
    seed: int = 0
    data: Path | None = None
    threads: int | None = None
    hooks: Hooks = field(default_factory=Hooks)
    parts: Parts | None = None
    watch: Callable[[str], None] = lambda name: None
    left_out: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.quick, bool):
            raise TypeError(f"quick: expected True or False, got {self.quick!r}")
        self.seed = at_least("seed", self.seed, 0)
        if self.threads is not None:
            self.threads = at_least("threads", self.threads, 1)
        if self.data is not None:
            self.data = Path(self.data)
            if not self.data.exists():
                raise ValueError(f"data: expected a folder or an archive that exists, got {self.data}")

    def pick(self, quick: Any, full: Any) -> Any:
        """A size: the first with --quick, else the second."""
        return quick if self.quick else full

    def torch(self) -> Any:
        """PyTorch, with as many threads as were asked for."""
        torch = require("torch")
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return torch

    def part(self, name: str, compute: Callable[[], Any]) -> Any:
        """The plain value of `compute()`, or what an earlier run has kept; None, and a note, where data lacks."""
        kept = self.parts.get(name) if self.parts else None
        if kept is None:
            self.watch(name)
            start = time.perf_counter()
            try:
                value = plain(compute())
            except (MissingDataError, MissingPackageError, FileNotFoundError) as reason:
                self.left_out.append(f"{name}: {reason}")
                return None
            kept = value, time.perf_counter() - start
            if self.parts:
                self.parts.put(name, *kept)
        value, self.seconds[name] = kept
        return value

    def result(self, numbers: Numbers, rules: Sequence[Rule], figures: Sequence[Figure]) -> Result:
        """The claim's answer, with what was left out and how long each part took."""
        return Result(plain(numbers), rules, figures, tuple(self.left_out), dict(self.seconds))


def plain(value: Any) -> Any:
    """As JSON has it: arrays become lists, numbers Python's; float32 keeps the six digits that it has."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        if value.dtype == np.float32:
            value = np.vectorize(lambda v: float(f"{v:.6g}"), otypes=[float])(value) if value.size else value
        return value.tolist()
    if isinstance(value, np.generic):
        return float(f"{value:.6g}") if isinstance(value, np.float32) else value.item()
    return value
