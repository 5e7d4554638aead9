"""Markdown tables from the JSON lines: python benchmarks/table.py [FILE.jsonl] [--short]

--short: one row per case, as in the project's README.  A sweep gives one row per point.
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):
    sys.path[0] = str(ROOT)

from benchmarks.harness import NULL, OURS, PEER, TWIN  # noqa: E402
from benchmarks.report import bytes_text, conditions, point_text, points, ratio_text, seconds_text, verdicts  # noqa: E402

RESULTS = ROOT / "benchmarks/results"


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def fastest(group: list[dict], role: str) -> dict | None:
    finished = [r for r in group if r["role"] == role and r["seconds"]]
    return min(finished, key=lambda r: median(r["seconds"])) if finished else None


def size_text(record: dict) -> str:
    chosen = {key: value for key, value in record["sizes"].items() if isinstance(value, int)}  # steps may be measured
    kept = {key: value for key, value in chosen.items() if key in ("N", "d", "m", "K", "B", "steps")}
    return f"{record['title']}, " + " ".join(f"{key} = {value}" for key, value in kept.items()) + conditions(record)


def markdown(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def full(records: list[dict]) -> str:
    header = ("provider", "time", "time / ours (band)", "% of floor", "relative error", "peak extra memory", "compile")
    parts = []
    for group in points(records):
        first = group[0]
        floor = seconds_text(first["floor_seconds"])
        parts.append(
            f"**{first['number']}. {size_text(first)}**, {first['dtype']}, {first['threads']} threads, floor {floor}\n"
        )
        parts.append(markdown(header, [_row(record) for record in group]) + "\n")
    return "\n".join([*parts, footer(records)])


def _row(record: dict) -> tuple[str, ...]:
    end = bytes_text(record["peak_extra_bytes"]), seconds_text(record["compile_seconds"])
    if record["reason"]:
        return record["provider"], record["reason"], "–", "–", "–", *end
    percent, error = f"{record['percent_of_floor']:.1f}", f"{record['rel_error']:.1e}"
    ratio = ratio_text(record)
    return record["provider"], seconds_text(record["median_seconds"]), ratio, percent, error, *end


def short(records: list[dict]) -> str:
    """Ours, and how many times longer the fastest peer and the same algebra in numpy take."""
    header = ("", "time", "of the floor", "fastest peer takes", "our algebra in numpy takes", "extra memory", "error")
    rows = []
    for group in points(records):
        ours = next(r for r in group if r["role"] == OURS)
        percent = f"{ours['percent_of_floor']:.0f} %" if ours["seconds"] else "–"
        error = f"{ours['rel_error']:.0e}" if ours["seconds"] else "–"
        memory = bytes_text(ours["peak_extra_bytes"])
        peer, twin = (_times(group, role) for role in (PEER, TWIN))
        rows.append((size_text(ours), seconds_text(ours["median_seconds"]), percent, peer, twin, memory, error))
    return markdown(header, rows) + "\n\n" + footer(records)


def _times(group: list[dict], role: str) -> str:
    record = fastest(group, role)
    if record is None:
        return "none finishes" if any(r["role"] == role for r in group) else "–"
    name = f" ({record['provider']})" if role == PEER else ""
    return ratio_text(record).replace(" (", "× (", 1) + name


def sweep(records: list[dict]) -> str:
    names = list(dict.fromkeys(r["provider"] for r in records if r["role"] not in (OURS, NULL)))
    rows = []
    for group in points(records):
        ours = next(r for r in group if r["role"] == OURS)
        by_name = {r["provider"]: r for r in group}
        cells = (by_name[n]["reason"] or ratio_text(by_name[n]) if n in by_name else "" for n in names)
        percent = f"{ours['percent_of_floor']:.0f}" if ours["seconds"] else "–"
        rows.append((point_text(ours), seconds_text(ours["median_seconds"]), percent, *cells))
    table = markdown(("point", "ours", "% of floor", *(f"{name} / ours" for name in names)), rows)
    return "\n".join([table, "", *(f"- {line}" for line in verdicts(records)), "", footer(records)])


def footer(records: list[dict]) -> str:
    """The machine, its rates and the versions, once."""
    first = records[0]
    threads = sorted({r["threads"] for r in records})
    versions = ", ".join(f"{name} {version}" for name, version in first["versions"].items())
    rates = {kind: max(r["rates"][kind] for r in records if r["dtype"] == "float32") for kind in first["rates"]}
    return (
        f"{first['machine']['cpu']}, {first['machine']['cores']} cores, {' and '.join(map(str, threads))} threads, "
        f"ISA {first['isa']}; measured in the run: GEMM {rates['gemm'] / 1e9:.0f} GFLOP/s, "
        f"exp {rates['exp'] / 1e9:.1f} G/s, read {rates['read'] / 1e9:.0f} GB/s (float32). "
        f"{versions}. Band: {first['band']}."
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/table.py", description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=RESULTS / "cases.jsonl")
    parser.add_argument("--short", action="store_true")
    args = parser.parse_args(argv)
    records = read(args.file)
    print((sweep if records[0]["sweep"] else short if args.short else full)(records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
