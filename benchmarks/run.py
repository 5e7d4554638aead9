"""Runs the benchmark: python benchmarks/run.py [CASE ...] [--sweep | --quick] [--out FILE.jsonl]

CASE is a number or a name; without one, all cases run. See README.md in this folder.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: make `benchmarks` importable, and not its files
    sys.path[0] = str(ROOT)

from benchmarks import machine  # noqa: E402
from benchmarks.harness import Case, load_cases  # noqa: E402
from benchmarks.report import describe, goal_line, null_warnings, point_text, points, verdicts  # noqa: E402
from benchmarks.runner import Options, run_case, write  # noqa: E402


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help="number or name; default: all")
    parser.add_argument("--rounds", type=int, default=8, help="an even number, at least 8 (default: 8)")
    parser.add_argument("--threads", type=int, nargs="+", help="thread counts (default: 2; with --sweep: 1 2)")
    parser.add_argument("--isa", nargs="+", help="instruction sets, one after the other (default: the machine's best)")
    parser.add_argument("--busy", type=int, default=0, help="processes that keep a core busy meanwhile (default: 0)")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for one call of a provider")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does everything run?")
    parser.add_argument("--sweep", action="store_true", help="many sizes around each case, and the cases that we lose")
    parser.add_argument("--list", action="store_true", help="list cases and providers, then stop")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="other sizes, e.g. N=1024 d=32")
    parser.add_argument("--out", type=Path, help="JSON lines (default: results/cases.jsonl or sweep.jsonl)")
    parser.add_argument("--verbose", action="store_true", help="show what the measuring processes print")
    options = parser.parse_args(argv)
    if options.rounds < 8 or options.rounds % 2:
        parser.error(f"--rounds: expected an even number of at least 8, got {options.rounds}")
    known = machine.isas()
    for isa in options.isa or []:
        if isa not in known:
            parser.error(f"--isa: expected {', '.join(known)}, got {isa}; put cases before it")
    if options.busy < 0:
        parser.error(f"--busy: expected at least 0, got {options.busy}")
    if options.quick and options.sweep:
        parser.error("--quick and --sweep exclude each other")
    options.set = {name: _value(text) for name, _, text in (item.partition("=") for item in options.set)}
    options.threads = options.threads or ([1, 2] if options.sweep else [2])
    options.isa = options.isa or [None]
    return options


def _value(text: str) -> object:
    """A JSON value where it is one, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def chosen_cases(wanted: list[str]) -> list[Case]:
    cases = load_cases()
    by_number: dict[str, list[Case]] = {}
    for case in cases.values():
        by_number.setdefault(str(case.number), []).append(case)
    unknown = [name for name in wanted if name not in cases and name not in by_number]
    if unknown:
        raise SystemExit(f"unknown case {unknown[0]!r}; there are {', '.join(cases)}")
    chosen = [[cases[name]] if name in cases else by_number[name] for name in wanted]
    return [case for group in chosen for case in group] or list(cases.values())


def main(argv: list[str] | None = None) -> int:
    """0 when every case ran with ours in it; goals missed do not fail a run."""
    args = parse(argv)
    cases = chosen_cases(args.cases)
    if args.list:
        for case in cases:
            print(f"{case.number:>2} {case.name}: {', '.join(p.name for p in case.providers)}")
        return 0
    default = ROOT / "benchmarks/results" / ("sweep.jsonl" if args.sweep else "cases.jsonl")
    out = args.out or (None if args.quick else default)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("")
    load = os.getloadavg()[0]
    if load > 0.5 and not args.quick:
        print(f"load average {load:.1f} before the run: these timings are not to be trusted")
    everything: list[dict] = []
    with tempfile.TemporaryDirectory() as cache, machine.busy_processes(args.busy):
        for threads, isa in itertools.product(args.threads, args.isa):
            options = Options(args.rounds, threads, args.timeout, args.quick, args.sweep, args.verbose, isa=isa)
            options.cache, options.load, options.busy = cache, load, args.busy
            for case in cases:
                for sizes in case.sweep if args.sweep else (case.small if args.quick else case.sizes,):
                    records = run_case(case, {**sizes, **args.set}, options)
                    everything += records
                    print(point_text(records[0]), *map(describe, records), sep="\n", flush=True)
                    if out:
                        write(records, out)
    conclude(cases, everything, args)
    return 0 if all(record["seconds"] for record in everything if record["role"] == "ours") else 1


def conclude(cases: list[Case], records: list[dict], args: argparse.Namespace) -> None:
    if args.quick:
        return
    print(*null_warnings(records), *verdicts(records), sep="\n")
    if args.sweep or args.set or args.busy:  # goals hold at the sizes of the cases, on an idle machine
        return
    for case in cases:
        for point in points([r for r in records if r["case"] == case.name]):
            for goal in case.goals:
                print(goal_line(case, goal, point)[1])


if __name__ == "__main__":
    sys.exit(main())
