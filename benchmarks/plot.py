"""Figures from the JSON lines: python benchmarks/plot.py [FILE.jsonl ...]  ->  FILE.svg beside each

Cases: time per provider, the spread over the rounds, the floor. Sweep: time / ours against each size that varies.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):
    sys.path[0] = str(ROOT)

import matplotlib  # noqa: E402

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "alphacl_fast"

from matplotlib import pyplot as plt  # noqa: E402

from benchmarks.harness import NULL, OURS, PEER, TWIN, VARIANT  # noqa: E402
from benchmarks.report import number  # noqa: E402
from benchmarks.table import RESULTS, points, read, size_text  # noqa: E402

COLOURS = {OURS: "#1b6ca8", NULL: "#7fb3d5", PEER: "#b0b0b0", TWIN: "#e0a030", VARIANT: "#60a060"}


def case_figure(records: list[dict]) -> plt.Figure:
    groups = points(records)
    heights = [0.3 * len(group) + 0.8 for group in groups]
    figure, axes = plt.subplots(
        len(groups), figsize=(8, sum(heights)), height_ratios=heights, squeeze=False, layout="constrained"
    )
    for axis, group in zip(axes[:, 0], groups, strict=True):
        finished = [r["median_seconds"] for r in group if r["seconds"]] + [group[0]["floor_seconds"]]
        left = 0.5 * min(finished)
        for place, record in enumerate(group):
            _bar(axis, place, record, left)
        axis.axvline(group[0]["floor_seconds"], color="black", linestyle="--", linewidth=1)
        axis.set(xscale="log", xlim=(left, 30 * max(finished)), yticks=range(len(group)))
        axis.set_yticklabels([record["provider"] for record in group])
        axis.set_title(f"{size_text(group[0])} (dashed: floor)", fontsize=10, loc="left")
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1, 0].set_xlabel("seconds")
    return figure


def _bar(axis: plt.Axes, place: int, record: dict, left: float) -> None:
    if not record["seconds"]:
        axis.text(left * 1.1, place, record["reason"], va="center", fontsize=8, style="italic")
        return
    middle, seconds = record["median_seconds"], record["seconds"]
    axis.barh(place, middle - left, left=left, color=COLOURS[record["role"]])
    axis.hlines(place, min(seconds), max(seconds), color="black", linewidth=1)
    ratio = record["ratio_to_ours"]
    if ratio and record["role"] not in (OURS, NULL):
        axis.text(max(seconds) * 1.1, place, f"{number(ratio['median'])} × ours", va="center", fontsize=8)


def swept(records: list[dict]) -> list[tuple[str, int, str, list[dict]]]:
    """(case, threads, size, its records) for every size that takes four values or more while the others stay put."""
    panels = []
    for case in dict.fromkeys(r["case"] for r in records):
        mine = [{**r["sizes"], "record": r} for r in records if r["case"] == case and r["dtype"] == "float32"]
        for name in ("N", "d", "m", "K", "B", "tau", "tau_over_variance"):
            rivals = {"record", "range", name} | ({"tau"} if "tau_over_variance" in mine[0] else set())
            if name not in mine[0] or (name == "tau" and "tau_over_variance" in mine[0]):
                continue
            families: dict[tuple, list[dict]] = {}
            for sizes in mine:
                rest = tuple((k, v) for k, v in sizes.items() if k not in rivals)
                families.setdefault((sizes["record"]["threads"], rest), []).append(sizes["record"])
            for (threads, rest), family in families.items():
                if len({r["sizes"][name] for r in family}) >= 4:
                    fixed = ", ".join(f"{k} = {v:.3g}" if isinstance(v, float) else f"{k} = {v}" for k, v in rest)
                    panels.append((f"{case}, {fixed}", threads, name, family))
    return panels


def sweep_figure(records: list[dict]) -> plt.Figure:
    panels = swept(records)
    columns = 3
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(13, 3.2 * rows), squeeze=False, layout="constrained")
    names = list(dict.fromkeys(r["provider"] for r in records if r["role"] != OURS))
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (title, threads, name, family) in zip(axes.flat, panels, strict=False):
        for index, provider in enumerate(names):
            _line(axis, [r for r in family if r["provider"] == provider and r["ratio_to_ours"]], name, f"C{index}")
        axis.axhline(1.0, color="black", linewidth=1)
        axis.set(xscale="log", yscale="log", xlabel=name)
        axis.set_title(f"{title}\n{threads} thread{'s' if threads > 1 else ''}", fontsize=8)
    handles = [plt.Line2D([], [], color=f"C{index}", marker="o", label=name) for index, name in enumerate(names)]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(names), fontsize=9)
    figure.supylabel("time / ours (above 1: ours is faster)")
    return figure


def _line(axis: plt.Axes, line: list[dict], name: str, colour: str) -> None:
    line = sorted(line, key=lambda r: r["sizes"][name])
    at, ratios = [r["sizes"][name] for r in line], [r["ratio_to_ours"] for r in line]
    axis.plot(at, [r["median"] for r in ratios], color=colour, marker="o", markersize=3)
    axis.fill_between(at, [r["low"] for r in ratios], [r["high"] for r in ratios], color=colour, alpha=0.2, linewidth=0)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/plot.py", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="default: cases.jsonl and sweep.jsonl in results/")
    args = parser.parse_args(argv)
    for path in args.files or sorted(RESULTS.glob("*.jsonl")):
        records = read(path)
        figure = (sweep_figure if records[0]["sweep"] else case_figure)(records)
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None, "Creator": None})
        plt.close(figure)
        print(f"wrote {path.with_suffix('.svg').name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
