"""Measures one case at one set of sizes and makes its JSON records, one per provider."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import machine, rates
from benchmarks.harness import NULL, OURS, Case, Sizes
from benchmarks.stats import band_kind, ratio_band
from benchmarks.supervise import Outcome, run_worker

PREPARE_LIMIT = 1800.0
COMPILE_ALLOWANCE = 300.0


@dataclass
class Options:
    rounds: int
    threads: int
    timeout: float
    quick: bool = False
    sweep: bool = False
    verbose: bool = False
    say: Callable[[str], None] = print
    cache: str = ""
    load: float = 0.0
    isa: str | None = None
    busy: int = 0
    rates: dict = field(default_factory=dict)


def measure_rates(dtype: str, options: Options) -> list[dict]:
    """The machine's rates, measured once per dtype and thread count of a sweep."""
    key = (dtype, options.threads, options.isa)
    if key not in options.rates:
        with tempfile.TemporaryDirectory() as folder:
            spec = {"folder": folder, "cache": options.cache, "threads": options.threads, "dtype": dtype}
            spec["isa"] = options.isa
            outcome = run_worker("rates", {**spec, "quick": options.quick}, {"": 300.0}, options.verbose)
        if not outcome.first("rates"):
            raise RuntimeError(f"the machine's rates could not be measured: {outcome.failure}")
        options.rates[key] = outcome.first("rates")["rates"]
    return options.rates[key]


def _specification(case: Case, sizes: Sizes, folder: str, options: Options, truth: bool = True) -> dict:
    return {
        "case": case.name,
        "folder": folder,
        "cache": options.cache,
        "sizes": sizes,
        "threads": options.threads,
        "isa": options.isa,
        "rounds": options.rounds,
        "quick": options.quick,
        "measure_rates": not options.sweep,
        "truth": truth,
    }


def _prepare(spec: dict, options: Options) -> Outcome:
    prepared = run_worker("prepare", spec, {"": PREPARE_LIMIT}, options.verbose)
    if not prepared.first("truth"):
        raise RuntimeError(f"{spec['case']}: inputs or truth could not be made: {prepared.failure}")
    return prepared


def peak_memory(case: Case, sizes: Sizes, names: list[str], options: Options) -> dict[str, dict]:
    """One call of each provider in a process of its own: `peak_extra_bytes` and `compile_seconds`, or the `reason`."""
    with tempfile.TemporaryDirectory() as folder:
        spec = _specification(case, sizes, folder, options, truth=False)
        _prepare(spec, options)
        results: dict[str, dict] = {name: {} for name in names}
        _probe_all(case, spec, results, options)
    return results


def run_case(case: Case, sizes: Sizes, options: Options) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        spec = _specification(case, sizes, folder, options)
        prepared = _prepare(spec, options)
        providers = [p for p in case.providers if not options.sweep or sizes.get("N", sizes.get("B", 0)) <= p.sweep_to]
        results: dict[str, dict] = {p.name: {"seconds": []} for p in providers}
        if options.quick:
            for provider in providers:
                if provider.compiles:
                    results[provider.name]["reason"] = "skipped: --quick compiles nothing"
        if not options.sweep:
            _probe_all(case, spec, results, options)
        rates_found, build = _rounds_all(spec, results, options)
    measured = measure_rates(sizes["dtype"], options) if options.sweep else rates_found
    facts = {**prepared.first("prepared"), "build": build, "rates": measured}
    return [_record(case, name, results, facts, options) for name in results]


def _probe_all(case: Case, spec: dict, results: dict, options: Options) -> None:
    """Memory of every provider in its own process; those that fail there stay out of the rounds."""
    for name, result in results.items():
        provider = case.provider(name)
        if provider.role == NULL or "reason" in result or (options.quick and provider.role != OURS):
            continue
        options.say(f"  {case.name}: {name} alone")
        allowance = COMPILE_ALLOWANCE if provider.compiles else 0.0
        limits = {"begin": options.timeout + allowance, "": options.timeout}
        outcome = run_worker("probe", {**spec, "providers": [name]}, limits, options.verbose)
        failed, probed = outcome.first("failed"), outcome.first("probed")
        if probed:
            result["peak_extra_bytes"] = probed["peak_extra_bytes"]
            result["compile_seconds"] = probed["compile_seconds"]
        else:
            result["reason"] = failed["reason"] if failed else outcome.failure


def _rounds_all(spec: dict, results: dict, options: Options) -> tuple[list[dict] | None, dict]:
    """Interleaved rounds; a provider that hangs or kills the process is named, left out, and the rest starts anew."""
    compiling = any(result.get("compile_seconds") for result in results.values())
    limits = {"start": options.timeout + (COMPILE_ALLOWANCE if compiling else 0.0), "": 300.0}
    while True:
        names = [name for name, result in results.items() if "reason" not in result]
        options.say(f"  {spec['case']}: {spec['rounds']} rounds of {', '.join(names)}")
        outcome = run_worker("rounds", {**spec, "providers": names}, limits, options.verbose)
        for failed in outcome.all("failed"):
            results[failed["provider"]]["reason"] = failed["reason"]
        if outcome.failure is None:
            break
        turn = next((e for e in reversed(outcome.events) if e["event"] in ("start", "pause")), {"event": "pause"})
        if turn["event"] == "pause":
            raise RuntimeError(f"{spec['case']}: the measuring process ended between providers: {outcome.failure}")
        results[turn["provider"]]["reason"] = outcome.failure
    _collect(outcome, results)
    found = outcome.first("rates")
    return found["rates"] if found else None, outcome.first("facts")["build"]


def _collect(outcome: Outcome, results: dict) -> None:
    for event in outcome.all("ready"):
        results[event["provider"]]["rel_error"] = event["rel_error"]
    for event in outcome.all("measured"):
        results[event["provider"]]["seconds"].append(event["seconds"])


def _record(case: Case, name: str, results: dict, facts: dict, options: Options) -> dict:
    result = results[name]
    seconds, ours = result["seconds"], results["ours"]["seconds"]
    best = rates.best(*facts["rates"])
    floor = case.work(facts["sizes"]).floor_seconds(best)
    middle = median(seconds) if seconds else None
    return {
        "case": case.name,
        "number": case.number,
        "title": case.title,
        "provider": name,
        "role": case.provider(name).role,
        "sweep": options.sweep,
        "quick": options.quick,
        "sizes": {key: value for key, value in facts["sizes"].items() if key != "dtype"},
        "dtype": facts["sizes"]["dtype"],
        "threads": options.threads,
        "seconds": seconds,
        "median_seconds": middle,
        "ratio_to_ours": ratio_band(seconds, ours) if seconds and ours else None,
        "band": band_kind(len(seconds)) if seconds else None,
        "floor_seconds": floor,
        "percent_of_floor": 100.0 * floor / middle if middle else None,
        "rel_error": result.get("rel_error"),
        "peak_extra_bytes": result.get("peak_extra_bytes"),
        "input_bytes": facts["input_bytes"],
        "compile_seconds": result.get("compile_seconds"),
        "reason": result.get("reason"),
        "rates": best,
        "rates_by_code": facts["rates"],
        "machine": machine.processor(),
        "load_before": options.load,
        "busy": options.busy,
        "isa_asked": options.isa is not None,
        "versions": machine.versions(),
        "isa": facts["build"].get("isa"),
        "build": facts["build"],
    }


def write(records: list[dict], path: Path) -> None:
    with path.open("a", encoding="utf-8") as out:
        for record in records:
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
