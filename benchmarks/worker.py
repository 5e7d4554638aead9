"""The measuring process: python -m benchmarks.worker prepare|probe|rounds|rates SPEC.json

Runs one job for runner.py and writes one JSON event a line. A fresh process each, so that thread counts, peak memory
and crashes belong to one measurement; `rounds` holds all providers of a case in one process.
"""

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import re
import sys
from pathlib import Path
from time import perf_counter, sleep

import numpy as np

from benchmarks import machine, rates
from benchmarks.harness import Case, Provider, load_cases

SHORT = 0.1
"""Calls below this many seconds get one uncounted call before each measurement."""
SPAN = 0.02
"""A measurement repeats the call until it lasts about this long."""
WARM_N = 64


class Job:
    """The specification of a measurement, and the line by which its events leave."""

    def __init__(self, spec: dict) -> None:
        self.spec = spec
        self.case: Case | None = load_cases()[spec["case"]] if "case" in spec else None
        self.folder = Path(spec["folder"])
        self.line = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # KeOps and compilers print; only events may reach the reader

    def emit(self, event: str, **fields) -> None:
        self.line.write(json.dumps({"event": event, **fields}) + "\n")
        self.line.flush()

    def inputs(self, which: str = "inputs") -> tuple[dict[str, np.ndarray], dict]:
        folder = self.folder / which
        arrays = {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}
        return arrays, json.loads((folder / "sizes.json").read_text())


def reason_of(error: BaseException) -> str:
    """Why a provider failed, without the paths of this machine."""
    text = str(error)
    if isinstance(error, ImportError):
        return "not installed"
    if isinstance(error, MemoryError) or re.search(r"allocate memory|out of memory|bad_alloc", text):
        return "oom"
    text = re.sub(r"\S*/\S+", "…", " ".join(text.split()))
    return f"error: {type(error).__name__}: {text[:200]}"


def prepare(job: Job) -> None:
    """Inputs (also small ones of the same d, m, ... to warm up on) and, where wanted, the float64 truth."""
    for which, change in (("warm", {"N": WARM_N}), ("inputs", {})):
        sizes = {**job.spec["sizes"], **change}
        arrays, facts = job.case.make(sizes, np.random.default_rng(20 + job.case.number))
        folder = job.folder / which
        folder.mkdir()
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        sizes.update(facts)
        (folder / "sizes.json").write_text(json.dumps(sizes))
    job.emit("prepared", sizes=sizes, input_bytes=sum(array.nbytes for array in arrays.values()))
    if job.spec["truth"]:
        np.save(job.folder / "truth.npy", job.case.truth(arrays, sizes))
    job.emit("truth")


def ready_call(provider: Provider, arrays: dict, sizes: dict):
    for module in provider.needs:
        if importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(module)
    return provider.prepare(arrays, sizes)


def timed(call) -> tuple[float, object]:
    start = perf_counter()
    result = call()
    return perf_counter() - start, result


def probe(job: Job) -> None:
    """One provider in a process of its own: does it finish, with what peak memory, with what compile time?"""
    provider = job.case.provider(job.spec["providers"][0])
    machine.limit_memory()
    arrays, sizes = job.inputs()
    try:
        compile_seconds = None
        warm = ready_call(provider, arrays, sizes) if provider.compiles == "full" else None
        warm = warm or ready_call(provider, *job.inputs("warm"))
        first, second = timed(warm)[0], timed(warm)[0]
        if provider.compiles:
            compile_seconds = max(0.0, first - second)
        job.emit("warm")
        call = warm if provider.compiles == "full" else ready_call(provider, arrays, sizes)
        peak = machine.PeakMemory()
        seconds, _ = timed(call)
        growth = peak.growth()
        job.emit("probed", seconds=seconds, peak_extra_bytes=growth, compile_seconds=compile_seconds)
    except Exception as error:  # a peer may fail in any way; the way is the result
        job.emit("failed", provider=provider.name, reason=reason_of(error))


def rounds(job: Job) -> None:
    """Warm every provider, then time them in turn: forwards in even rounds, backwards in odd ones."""
    spec = job.spec
    machine.limit_memory()
    arrays, sizes = job.inputs()
    truth = np.load(job.folder / "truth.npy")
    ready = []
    for name in spec["providers"]:
        job.emit("start", provider=name)
        try:
            call = ready_call(job.case.provider(name), arrays, sizes)
            seconds, result = timed(call)
            error = job.case.error(result, truth)
            del result
            if seconds < 5.0 or job.case.provider(name).compiles:
                seconds, _ = timed(call)
        except Exception as failure:
            job.emit("failed", provider=name, reason=reason_of(failure))
            continue
        ready.append((name, call, seconds))
        job.emit("ready", provider=name, rel_error=error)
    job.emit("pause")
    before = rates.measure(sizes["dtype"], spec["quick"]) if spec["measure_rates"] else None
    gc.disable()
    for index in range(spec["rounds"]):
        for name, call, estimate in ready if index % 2 == 0 else reversed(ready):
            job.emit("start", provider=name)
            sleep(rates.PARK)
            if estimate < SHORT:
                call()
            repeats = 1 if spec["quick"] else max(1, round(SPAN / estimate))
            start = perf_counter()
            for _ in range(repeats):
                call()
            job.emit("measured", provider=name, seconds=(perf_counter() - start) / repeats)
    job.emit("pause")
    if before:
        job.emit("rates", rates=[before, rates.measure(sizes["dtype"], spec["quick"])])


def rates_only(job: Job) -> None:
    job.emit("rates", rates=[rates.measure(job.spec["dtype"], job.spec["quick"])])


def main(argv: list[str]) -> None:
    job = Job(json.loads(Path(argv[1]).read_text()))
    with contextlib.closing(job.line):
        {"prepare": prepare, "probe": probe, "rounds": rounds, "rates": rates_only}[argv[0]](job)
        job.emit("facts", build=machine.build_facts())


if __name__ == "__main__":
    main(sys.argv[1:])
