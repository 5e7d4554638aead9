"""Machine rates at the thread count of the run: GEMM operations, exponentials and bytes read per second.

Each rate is the best of several codes in one process, so the floor is as low as anything here can make it.
"""

import importlib.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, sleep

import numpy as np

from benchmarks import machine

PARK = 0.05
"""Idle seconds before a measurement: threads of another library's pool stop spinning."""


def best_rate(call: Callable[[], object], amount: float, repeats: int) -> float:
    """amount / the shortest of `repeats` calls, after one that is not counted."""
    sleep(PARK)
    call()
    shortest = float("inf")
    for _ in range(repeats):
        start = perf_counter()
        call()
        shortest = min(shortest, perf_counter() - start)
    return amount / shortest


def gemm_rates(dtype: str, quick: bool) -> dict[str, float]:
    """Operations per second of n x n matrix products."""
    n, repeats = (256, 3) if quick else (3072, 6)
    a = np.random.default_rng(0).standard_normal((n, n)).astype(dtype)
    out = np.empty_like(a)
    found = {"numpy": best_rate(lambda: np.matmul(a, a, out=out), 2.0 * n**3, repeats)}
    torch = _torch()
    if torch:
        ta, tout = torch.from_numpy(a), torch.from_numpy(out)
        found["torch"] = best_rate(lambda: torch.mm(ta, ta, out=tout), 2.0 * n**3, repeats)
    core = machine.package_core()
    if hasattr(core, "_gemm_gflops"):
        found["alphacl_fast"] = 1e9 * max(core._gemm_gflops(dtype, n // 2, repeats) for _ in range(2))
    return found


def exp_rates(dtype: str, quick: bool) -> dict[str, float]:
    """Exponentials per second of arguments that stay in cache."""
    repeats, inner = (3, 4) if quick else (20, 16)
    count = machine.threads()
    parts = [np.linspace(-20.0, 0.0, 32768).astype(dtype) for _ in range(count)]
    outs = [np.empty_like(part) for part in parts]
    total = float(inner * count * 32768)
    with ThreadPoolExecutor(count) as pool:

        def job(part: np.ndarray, out: np.ndarray) -> None:
            for _ in range(inner):
                np.exp(part, out=out)

        found = {"numpy": best_rate(lambda: list(pool.map(job, parts, outs)), total, repeats)}
    torch = _torch()
    if torch:
        argument = torch.from_numpy(np.concatenate(parts))
        out = torch.empty_like(argument)
        found["torch"] = best_rate(lambda: [torch.exp(argument, out=out) for _ in range(inner)], total, repeats)
    core = machine.package_core()
    if hasattr(core, "_exp_rate"):
        found["alphacl_fast"] = max(core._exp_rate(dtype) for _ in range(2))
    return found


def read_rates(quick: bool) -> dict[str, float]:
    """Bytes per second read from an array far larger than any cache."""
    array = np.ones((1 << 20) if quick else (1 << 27), dtype=np.float32)
    count = machine.threads()
    parts = np.array_split(array, count)
    with ThreadPoolExecutor(count) as pool:
        found = {"numpy": best_rate(lambda: list(pool.map(np.max, parts)), array.nbytes, 5)}
    torch = _torch()
    if torch:
        tensor = torch.from_numpy(array)
        found["torch"] = best_rate(tensor.sum, array.nbytes, 5)
    return found


def measure(dtype: str, quick: bool = False) -> dict[str, dict[str, float]]:
    return {"gemm": gemm_rates(dtype, quick), "exp": exp_rates(dtype, quick), "read": read_rates(quick)}


def best(*measurements: dict[str, dict[str, float]]) -> dict[str, float]:
    """The highest rate of each kind over codes and measurements."""
    return {kind: max(max(m[kind].values()) for m in measurements) for kind in ("gemm", "exp", "read")}


def _torch():
    return importlib.import_module("torch") if importlib.util.find_spec("torch") else None
