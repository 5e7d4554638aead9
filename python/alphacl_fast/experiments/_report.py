"""The report: verdicts on top, then each claim with its pictures (vectors, inside the file), numbers and times."""

from __future__ import annotations

import html
import json
from pathlib import Path
from types import ModuleType

import numpy as np

from alphacl_fast._info import info
from alphacl_fast.experiments._claim import Result, Verdict
from alphacl_fast.experiments._folder import claim, claims, sections
from alphacl_fast.experiments._style import render

_MOST_VALUES = 40  # of a list that is printed whole
_CSS = """
:root { --ink: #1b1b1b; --soft: #5c5c5c; --line: #d9d9d9; --yes: #0072b2; --no: #d55e00; --none: #767676; }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); max-width: 62rem; margin: 2rem auto;
padding: 0 1rem; }
h1 { font-size: 1.7rem; line-height: 1.25; }
h2 { font-size: 1.25rem; margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1.2rem; }
.soft, figcaption { color: var(--soft); font-size: .9rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; } th { text-align: left; font-weight: 600; }
th, td { padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n { white-space: nowrap; font-variant-numeric: tabular-nums; }
.holds { color: var(--yes); font-weight: 600; } .fails { color: #fff; background: var(--no); font-weight: 700;
padding: 0 .35rem; } .left { color: var(--none); } td.v { white-space: nowrap; }
figure { margin: 1.5rem 0; } svg { max-width: 100%; height: auto; display: block; } dt { font-weight: 600; }
dd { margin: 0 0 .5rem 0; } pre { overflow-x: auto; font-size: .78rem; background: #f6f6f6; padding: .6rem; }
a { color: var(--yes); } caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
"""


def write_report(folder: Path, results: dict[str, Result], facts: dict[str, str]) -> Path:
    """DIR/report.html, which needs no other file, the pictures as DIR/figures/*.png and DIR/verdicts.json."""
    modules = {name: claim(name) for name in results}
    body = [_head(results, facts), _table(modules, results)]
    body += [_section(name, modules[name], result, folder) for name, result in results.items()]
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Contrastive learning, claim by claim</title><style>{_CSS}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )
    _remove_other_pictures(folder / "figures", results)
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    summary = {
        n: [{"rule": v.rule.name, "value": v.value, "verdict": v.word} for v in r.verdicts] for n, r in results.items()
    }
    (folder / "verdicts.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def _remove_other_pictures(folder: Path, results: dict[str, Result]) -> None:
    """A claim's picture that this report has not drawn was drawn with other settings or other data."""
    for name in claims():
        for figure in claim(name).FIGURES:
            if name not in results or not figure.drawable(results[name].numbers):
                (folder / f"{name}-{figure.name}.png").unlink(missing_ok=True)


def _head(results: dict[str, Result], facts: dict[str, str]) -> str:
    verdicts = [verdict for result in results.values() for verdict in result.verdicts]
    counts = {word: sum(v.word == word for v in verdicts) for word in ("holds", "fails", "left out")}
    build = info()
    seconds = sum(sum(result.seconds.values()) for result in results.values())
    facts = {
        **facts,
        "computing, in all": f"{seconds:.0f} s",
        "alphacl-fast": build["version"],
        "numpy": build["numpy"],
        "instruction set": build["isa"],
    }
    return (
        "<h1>What a one-layer network learns from contrast: the poster, claim by claim</h1>"
        f"<p>{counts['holds']} rules hold, {counts['fails']} fail, {counts['left out']} were left out. "
        "Every verdict is a comparison of a number that this run computed with a bound that was there before.</p>"
        f'<p class="soft">{" · ".join(f"{_text(k)}: {_text(v)}" for k, v in facts.items())}</p>'
    )


def _table(modules: dict[str, ModuleType], results: dict[str, Result]) -> str:
    rows = []
    for name, result in results.items():
        for index, verdict in enumerate(result.verdicts):
            first = f'<a href="#{name}">{modules[name].ORDER}. {_text(modules[name].TITLE)}</a>' if index == 0 else ""
            rows.append(f"<tr><td>{first}</td>{_cells(verdict)}</tr>")
    head = "<tr><th>claim</th><th>what holds</th><th>measured</th><th>verdict</th></tr>"
    return f"<table><caption>Verdicts</caption><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def _cells(v: Verdict) -> str:
    kind = {"holds": "holds", "fails": "fails", "left out": "left"}[v.word]
    sign = {"holds": "✓ ", "fails": "✗ ", "left out": ""}[v.word]
    return (
        f'<td>{_text(v.rule.statement)}</td><td class="n">{_text(v.as_text())}</td>'
        f'<td class="v"><span class="{kind}">{sign}{v.word}</span></td>'
    )


def _section(name: str, module: ModuleType, result: Result, folder: Path) -> str:
    parts = [f'<section id="{name}"><h2>{module.ORDER}. {_text(module.TITLE)}</h2>']
    parts.append("<dl>" + "".join(f"<dt>{k}</dt><dd>{_text(v)}</dd>" for k, v in sections(module).items()) + "</dl>")
    for figure in result.figures:
        if figure.drawable(result.numbers):
            svg = render(figure, result.numbers, folder / "figures" / f"{name}-{figure.name}.png")
            parts.append(f"<figure>{svg}<figcaption>{_text(figure.caption)}</figcaption></figure>")
    if result.left_out:
        parts.append("<p>Left out:</p><ul>" + "".join(f"<li>{_text(r)}</li>" for r in result.left_out) + "</ul>")
    rows = "".join(f"<tr><td>{_text(v.rule.name)}</td>{_cells(v)}</tr>" for v in result.verdicts)
    parts.append(f"<table><tbody>{rows}</tbody></table>")
    times = ", ".join(f"{_text(part)} {seconds:.1f} s" for part, seconds in result.seconds.items())
    numbers = _text(json.dumps(_short(result.numbers), ensure_ascii=False, indent=1))
    parts.append(f'<p class="soft">Time: {times}</p><details><summary>Numbers</summary><pre>{numbers}</pre></details>')
    return "\n".join(parts) + "</section>"


def _short(value: object) -> object:
    """Long lists by their sizes; claims/*.json has them whole."""
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, list):
        shape = np.shape(value) if _regular(value) else (len(value),)
        if int(np.prod(shape)) > _MOST_VALUES:
            return f"list of {'×'.join(map(str, shape))}"
        return [_short(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _regular(value: list) -> bool:
    try:
        return np.asarray(value).dtype != object
    except ValueError:
        return False


def _text(value: object) -> str:
    return html.escape(str(value))
