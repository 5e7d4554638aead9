"""What a run says at its end: each line, each goal, each loss."""

from collections.abc import Iterable
from statistics import median

from benchmarks.harness import NULL, OURS, PEER, Case, Goal


def seconds_text(value: float | None) -> str:
    if value is None:
        return "–"
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1.0:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e6:.2g} µs"


def bytes_text(value: int | None) -> str:
    if value is None:
        return "–"
    return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.1f} MiB"


def ratio_text(record: dict) -> str:
    ratio = record["ratio_to_ours"]
    if ratio is None or record["role"] == OURS:
        return "–"
    return f"{number(ratio['median'])} ({number(ratio['low'])}–{number(ratio['high'])})"


def number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def describe(record: dict) -> str:
    if record["reason"]:
        return f"  {record['provider']:<20} {record['reason']}"
    percent = f"{record['percent_of_floor']:.0f} %"
    return (
        f"  {record['provider']:<20} {seconds_text(record['median_seconds']):>9}  ×ours {ratio_text(record):<20}"
        f" floor {percent:>5}  error {record['rel_error']:.1e}  extra {bytes_text(record['peak_extra_bytes'])}"
    )


def point_text(record: dict) -> str:
    sizes = ", ".join(f"{key}={_size(value)}" for key, value in record["sizes"].items() if key != "range")
    return f"{record['case']} {sizes}, {record['dtype']}, {record['threads']} threads{conditions(record)}"


def conditions(record: dict) -> str:
    """What was not as usual."""
    busy = f", beside {record['busy']} busy processes" if record.get("busy") else ""
    isa = f", {record['isa']}" if record.get("isa_asked") else ""
    return isa + busy


def points(records: list[dict]) -> list[list[dict]]:
    """Records of the same point, in the order of their first."""
    groups: dict[str, list[dict]] = {}
    for record in records:
        groups.setdefault(point_text(record), []).append(record)
    return list(groups.values())


def _size(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def goal_line(case: Case, goal: Goal, records: list[dict]) -> tuple[bool, str]:
    """Met or not, and the line that says so."""
    ours = next(r for r in records if r["role"] == OURS)
    if not ours["seconds"]:
        return False, f"goal missed: {case.name}: ours failed ({ours['reason']})"
    if goal.kind == "percent_of_floor":
        value = ours["percent_of_floor"]
        met, text = value >= goal.value, f"{value:.0f} % of the floor, wanted {goal.value:g} %"
    elif goal.kind == "peak_over_input":
        if ours["peak_extra_bytes"] is None:
            return False, f"goal missed: {case.name}: peak memory was not measured"
        value = ours["peak_extra_bytes"] / ours["input_bytes"]
        met, text = value < goal.value, f"peak extra memory {value:.3g} × input, wanted below {goal.value:g}"
    else:
        against = [r for r in records if r["seconds"] and r["role"] == PEER]
        if goal.versus:
            against = [r for r in records if r["seconds"] and r["provider"] == goal.versus]
        if not against:
            return False, f"goal missed: {case.name}: no peer to compare with finished"
        peer = min(against, key=lambda r: median(r["seconds"]))
        ratio = peer["ratio_to_ours"]
        met = ratio["median"] >= goal.value and (goal.value <= 1.0 or ratio["low"] > 1.0)
        text = f"{ratio_text(peer)} × {peer['provider']}, wanted {goal.value:g}"
    return met, f"goal {'met' if met else 'missed'}: {case.name}: {text}"


def null_warnings(records: Iterable[dict]) -> list[str]:
    """Ours against ours must show nothing."""
    lines = []
    for record in records:
        ratio = record["ratio_to_ours"]
        if record["role"] == NULL and ratio and not ratio["low"] <= 1.0 <= ratio["high"]:
            lines.append(f"null run differs, distrust this line: {point_text(record)}: {ratio_text(record)}")
    return lines


def verdicts(records: Iterable[dict]) -> list[str]:
    """A count of wins, draws and losses over all providers, then every loss and every draw."""
    compared = [r for r in records if r["ratio_to_ours"] and r["role"] not in (OURS, NULL)]
    lost = [r for r in compared if r["ratio_to_ours"]["high"] < 1.0]
    drawn = [r for r in compared if r["ratio_to_ours"]["low"] <= 1.0 <= r["ratio_to_ours"]["high"]]
    won = len(compared) - len(lost) - len(drawn)
    lines = [f"{len(compared)} comparisons: {won} won, {len(drawn)} drawn, {len(lost)} lost"]
    for word, group in (("lost", lost), ("drawn", drawn)):
        group.sort(key=lambda r: r["ratio_to_ours"]["median"])
        lines += [f"{word} to {r['provider']} at {ratio_text(r)}: {point_text(r)}" for r in group]
    return lines
