"""Beyond the poster: two layers learn the hidden tokens of patterns, if they are nonlinear, and many nodes learn more.

Claim: Trained by InfoNCE on samples of hidden patterns, the nodes of a two-layer ReLU network become detectors of the
tokens that patterns use (χ₊ near 1) and of no others (χ₋ near 0), if there are more nodes than tokens; linear nodes do
not. BatchNorm keeps nodes from the other tokens (χ₋ falls); it does not raise χ₊, and with few nodes it lowers it.
Without augmentation nodes learn all tokens alike; the quadratic loss learns fewer of those that count. On real images
cut into a grid, many ReLU nodes come nearer to the patches that occur than linear ones do, and reach a lower loss.
Source: arXiv 2206.01342, section 5, and the author's public code and its log, which are replayed; that linear nodes
cannot learn diverse patterns and that many nodes are a brute-force way to find many optima is in that paper's abstract.
What BatchNorm, augmentation and the quadratic loss do is measured here.
Test: The public run again, from the same seed: its logged losses, then χ₊ and χ₋. Then runs that differ from it in one
thing each: activation with and without BatchNorm and with β nodes per token, loss, P tokens per location, G patterns,
augmentation. Differences are those of runs with the same seed, in standard errors of their mean. In images no tokens
are known: P centres of the patches at a location stand for those of patterns (χ₊), the same with their pixels shuffled
for the others (χ₋), judged at the greatest β. Whether χ₊ rises with β is drawn, not judged: on Fashion-MNIST it
falls in so few steps. G and wildcards have no meaning there.
Refuted by: A loss that is not the logged one to 1e-5; a χ₊ of ReLU nodes that is not above that of linear ones where
there are more nodes than tokens, or does not rise with β, or is not above that under the quadratic loss; a χ₋ that does
not fall with BatchNorm or with augmentation; on images, a χ₊ of ReLU nodes not above their χ₋ or that of linear ones,
or a loss not lower: each by two standard errors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alphacl_fast._power_iteration import at_least
from alphacl_fast.experiments._claim import Figure, Numbers, Result, Rule, largest, least
from alphacl_fast.experiments._seeds import MARGIN, in_standard_errors
from alphacl_fast.experiments._settings import Settings
from alphacl_fast.experiments._style import CYCLE, array, band
from alphacl_fast.experiments._two_layer import on_images
from alphacl_fast.experiments._two_layer.setting import Setting
from alphacl_fast.experiments._two_layer.train import train

TITLE = "Two layers: nonlinear nodes become detectors of the tokens of patterns"
ORDER = 9
_LOGGED = {  # loss of a step in the author's public log
    0: 2.595567226409912,
    500: 1.5258710384368896,
    1000: 1.5300947427749634,
    1500: 1.5061111450195312,
    2000: 1.4396307468414307,
    2500: 1.5044890642166138,
    3000: 1.4585031270980835,
    3500: 1.472838282585144,
    4000: 1.421286940574646,
    4500: 1.341599464416504,
    4999: 1.5294005870819092,
}
_LOGGED_CHI = {"chi_plus": 0.9982131123542786, "chi_minus": 0.002630201866850257}  # its last line, after 5000 steps
_BETAS = (1, 2, 5, 10)
_GRID: dict[str, Numbers] = {  # with --quick without the last one
    "ReLU, BatchNorm": {},
    "ReLU": {"batch_norm": False},
    "linear, BatchNorm": {"activation": "linear"},
    "linear": {"activation": "linear", "batch_norm": False},
}
_SWEEPS: dict[str, tuple[str, tuple[Any, ...]]] = {  # name in Setting, what it is in the paper, values
    "tokens_per_loc": ("P, tokens per location", (2, 5, 10)),
    "num_patterns": ("G, patterns", (10, 40, 160)),
    "aug_degree": ("wildcards drawn anew", (0, 1, 3, 5)),
    "loss": ("loss", ("infonce", "quadratic")),
    "backprop_var": ("variance in the gradient", (False, True)),
}


@dataclass(frozen=True)
class Replay:
    """losses[t]: of the batch of step t, t = 0 … steps, before its update; χ₊ and χ₋ after the last update."""

    losses: dict[int, float]
    chi_plus: float
    chi_minus: float


def replay_public_log(steps: int = 5000, *, seed: int = 1) -> Replay:
    """The author's public run: same patterns, batches, initial weights and updates for a seed, in float32.

    losses has one entry more than there are updates; for seed 1 they agree with the log to rounding: 2.595567 at step
    0, 1.525871 at step 500. Needs torch, for the initial weights alone: batches and steps are compiled.
    Raises ValueError or TypeError naming the argument. Cost: about a quarter of a millisecond a step.
    Source: arXiv 2206.01342, section 5, and its public code.
    """
    at_least("steps", steps, 1)
    at_least("seed", seed, 0)
    done = train(Setting(), steps, seed)
    return Replay(dict(enumerate(done.losses)), done.chi_plus, done.chi_minus)


def run(settings: Settings) -> Result:
    """The replay, activations with and without BatchNorm over β, then, without --quick, one change at a time."""
    replay = settings.part("public log", lambda: _replayed(settings))
    if replay is None:  # one reason is enough
        return settings.result({"replay": None, "grid": None, "sweeps": {}, "images": None}, RULES, FIGURES)
    seeds = range(settings.seed, settings.seed + settings.pick(3, 5))
    betas = settings.pick(_BETAS[::2], _BETAS)
    grid = {
        name: _sweep(settings, seeds, {f"{name}, β = {beta}": {**_GRID[name], "beta": beta} for beta in betas})
        for name in settings.pick(tuple(_GRID)[:3], tuple(_GRID))
    }
    sweeps = {
        name: _sweep(settings, seeds[:3], {f"{title} = {value}": {name: value} for value in values})
        for name, (title, values) in settings.pick({}, _SWEEPS).items()
    }
    found = {"replay": replay, "steps": _steps(settings), "sweeps": sweeps, "images": on_images.run(settings)}
    found["grid"] = None if None in grid.values() else {"betas": betas, "runs": grid}
    return settings.result(found, RULES, FIGURES)


def _steps(settings: Settings) -> int:
    return settings.pick(1500, 5000)


def _replayed(settings: Settings) -> Numbers:
    done = train(Setting(), 5000, 1, settings.hooks.pairing)
    return {
        "losses": done.losses,
        "error": largest(abs(done.losses[step] - logged) for step, logged in _LOGGED.items()),
        "chi_plus": done.chi_plus,
        "chi_minus": done.chi_minus,
    }


def _sweep(settings: Settings, seeds: range, changes: dict[str, Numbers]) -> Numbers | None:
    """χ₊, χ₋, last losses of each change of the public setting, (seeds, changes); None where one was left out."""
    runs = [
        [
            settings.part(f"{label}, seed {seed}", lambda c=change, s=seed: _measured(settings, c, s))
            for label, change in changes.items()
        ]
        for seed in seeds
    ]
    if not all(all(row) for row in runs):
        return None
    return {name: [[cell[name] for cell in row] for row in runs] for name in ("chi_plus", "chi_minus", "loss")}


def _measured(settings: Settings, change: Numbers, seed: int) -> Numbers:
    done = train(replace(Setting(), **change), _steps(settings), seed, settings.hooks.pairing)
    return {"chi_plus": done.chi_plus, "chi_minus": done.chi_minus, "loss": float(np.mean(done.losses[-50:]))}


def _of_grid(differences: Any) -> Any:
    """Of arrays name -> (seeds, β) the differences, (seeds,) or (seeds, β), in standard errors; the least over β."""

    def value(numbers: Numbers) -> float | None:
        if numbers["grid"] is None:
            return None
        runs = numbers["grid"]["runs"]
        found = differences({name: {k: array(v) for k, v in run.items()} for name, run in runs.items()})
        columns = found.reshape(len(found), -1).T
        return None if len(found) < 2 else least(in_standard_errors(column) for column in columns)

    return value


def _of_sweep(name: str, chi: str) -> Any:
    """The first value of a sweep minus the last, in standard errors."""

    def value(numbers: Numbers) -> float | None:
        run = numbers["sweeps"].get(name)
        return None if run is None else in_standard_errors(array(run[chi])[:, 0] - array(run[chi])[:, -1])

    return value


def _of_replay(measure: Any) -> Any:
    return lambda numbers: None if numbers["replay"] is None else measure(numbers["replay"])


def _apart(replay: Numbers) -> float:
    """From the χ of the log, the larger of the two."""
    return largest(abs(replay[name] - logged) for name, logged in _LOGGED_CHI.items())


RULES = (
    Rule(
        "logged losses",
        "loss of the public run at steps 0, 500, …, 4500 and 4999, largest difference from the author's log",
        _of_replay(lambda replay: replay["error"]),
        "<",
        1e-5,
    ),
    Rule(
        "logged χ",
        "χ₊ and χ₋ after 5000 steps of the public run, largest difference from the author's log",
        _of_replay(_apart),
        "<",
        1e-4,
    ),
    Rule("tokens of patterns", "public run: χ₊ at its end", _of_replay(lambda replay: replay["chi_plus"]), ">", 0.95),
    Rule("no other tokens", "public run: χ₋ at its end", _of_replay(lambda replay: replay["chi_minus"]), "<", 0.05),
    Rule(
        "ReLU above linear",
        "χ₊ of ReLU minus that of linear nodes, with BatchNorm, in standard errors over seeds, the least over β > 1",
        _of_grid(lambda r: (r["ReLU, BatchNorm"]["chi_plus"] - r["linear, BatchNorm"]["chi_plus"])[:, 1:]),
        ">",
        MARGIN,
    ),
    Rule(
        "BatchNorm keeps others out",
        "χ₋ of ReLU nodes without BatchNorm minus with, the mean over β, in standard errors over seeds",
        _of_grid(lambda r: (r["ReLU"]["chi_minus"] - r["ReLU, BatchNorm"]["chi_minus"]).mean(1)),
        ">",
        MARGIN,
    ),
    Rule(
        "more nodes help",
        "χ₊ of ReLU nodes with BatchNorm at the greatest β minus at β = 1, in standard errors over seeds",
        _of_grid(lambda r: r["ReLU, BatchNorm"]["chi_plus"][:, -1] - r["ReLU, BatchNorm"]["chi_plus"][:, 0]),
        ">",
        MARGIN,
    ),
    Rule(
        "augmentation decides",
        "χ₋ with no wildcard drawn anew minus with all, in standard errors over seeds",
        _of_sweep("aug_degree", "chi_minus"),
        ">",
        MARGIN,
    ),
    Rule(
        "InfoNCE above quadratic",
        "χ₊ under InfoNCE minus under the quadratic loss, in standard errors over seeds",
        _of_sweep("loss", "chi_plus"),
        ">",
        MARGIN,
    ),
    *on_images.RULES,
)


def _draw_replay(axes: Any, numbers: Numbers) -> None:
    place, losses = axes[0, 0], array(numbers["replay"]["losses"])
    place.plot(losses, color="0.75", linewidth=0.5, label="each batch")
    window = max(1, len(losses) // 50)
    smooth = np.convolve(losses, np.ones(window) / window, "valid")
    place.plot(np.arange(len(smooth)) + window / 2, smooth, color=CYCLE[0], label=f"mean of {window} batches")
    place.plot(list(_LOGGED), list(_LOGGED.values()), "o", color=CYCLE[1], label="the author's log")
    place.set(xlabel="step", ylabel="loss")
    place.legend()


def _draw_grid(axes: Any, numbers: Numbers) -> None:
    betas = numbers["grid"]["betas"]
    for place, chi, title in zip(
        axes[0], ("chi_plus", "chi_minus"), ("χ₊, tokens of patterns", "χ₋, other tokens"), strict=True
    ):
        for index, (name, run) in enumerate(numbers["grid"]["runs"].items()):
            style = "-" if "BatchNorm" in name else "--"
            band(place, betas, run[chi], label=name, colour=CYCLE[index // 2], style=style)
        place.set_xscale("log")
        place.set_xticks(betas, [str(beta) for beta in betas])
        place.minorticks_off()
        place.set(xlabel="nodes per token, β", title=title, ylim=(0, 1.02))
    axes[0, 0].legend(loc="lower right")


_STATEMENTS = {  # of a row of the table: what the paper says, in its abstract
    "ReLU, BatchNorm": "“the presence of nonlinearity can lead to many local optima”",
    "linear, BatchNorm": "“linear activation is proven not capable of learning specialized weights”",
    "β": "many parameters: “a brute-force way to find these local optima”",
}


def _rows(numbers: Numbers) -> list[tuple[str, ...]]:
    """What was changed, χ₊, χ₋ as mean ± deviation over seeds, what the paper says."""
    rows = []
    betas = numbers["grid"]["betas"]
    for name, run in numbers["grid"]["runs"].items():
        for column, beta in enumerate(betas):
            said = _STATEMENTS.get(name, "") if column == 0 else ""
            said = _STATEMENTS["β"] if name == "ReLU, BatchNorm" and column == len(betas) - 1 else said
            rows.append((f"{name}, β = {beta}", *_cells(run, column), said))
    for name, run in numbers["sweeps"].items():
        title, values = _SWEEPS[name]
        if run is not None:
            rows += [(f"{title} = {value}", *_cells(run, column), "") for column, value in enumerate(values)]
    return rows


def _cells(run: Numbers, column: int) -> tuple[str, str]:
    found = (array(run[chi])[:, column] for chi in ("chi_plus", "chi_minus"))
    # + 0: no −0.000.
    plus, minus = (f"{v.mean().round(3) + 0:.3f}" + f" ± {v.std():.3f}" * (len(v) > 1) for v in found)
    return plus, minus


def _draw_table(axes: Any, numbers: Numbers) -> None:
    place, rows = axes[0, 0], _rows(numbers)
    place.set_axis_off()
    place.set(xlim=(0, 1), ylim=(len(rows) + 0.5, -1))
    for x, word in zip(_COLUMNS, ("run", "χ₊", "χ₋", "the paper, abstract"), strict=True):
        place.text(x, -0.5, word, weight="bold", va="center")
    for y, row in enumerate(rows):
        for x, word in zip(_COLUMNS, row, strict=True):
            place.text(x, y + 0.5, word, va="center", size=7)


_COLUMNS = (0.0, 0.3, 0.44, 0.58)

FIGURES = (
    Figure(
        "replay",
        "Loss of the public run, replayed from its seed. The logged losses (vermillion) lie on it.",
        _draw_replay,
        size=(4.2, 2.6),
        needs=("replay",),
    ),
    Figure(
        "beta",
        "Left: how well the tokens that patterns use have a node of their own (1: perfectly). Right: the same of all "
        "other tokens, which should have none. ReLU nodes (blue) become detectors if there are many; linear ones "
        "(vermillion) do not. BatchNorm (solid) keeps ReLU nodes from other tokens. Bands: from the least to the "
        "greatest seed.",
        _draw_grid,
        (1, 2),
        (7.2, 2.9),
        needs=("grid",),
    ),
    Figure(
        "table",
        "χ₊ and χ₋ of all runs, mean and standard deviation over seeds. Each row differs from the public run in what "
        "it names: ReLU, BatchNorm, β = 5, P = 5, G = 40, all 5 wildcards drawn anew, InfoNCE, variance a constant in "
        "the gradient.",
        _draw_table,
        size=(7.2, 6.6),
        needs=("grid",),
    ),
    *on_images.FIGURES,
)
