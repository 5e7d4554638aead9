"""What the two-layer network learns of real images: runs, rules and pictures of the claim `two_layer`."""

from __future__ import annotations

from typing import Any

import numpy as np

from alphacl_fast.experiments import _data
from alphacl_fast.experiments._claim import Figure, Numbers, Rule
from alphacl_fast.experiments._seeds import MARGIN, in_standard_errors
from alphacl_fast.experiments._settings import Settings
from alphacl_fast.experiments._style import CYCLE, absent, array, band
from alphacl_fast.experiments._two_layer.images import Cut, similarities, train
from alphacl_fast.theory import spectrum

_GRIDS = {"digits": (2, 2), "fashion": (4, 4)}  # locations; Fashion-MNIST without --quick alone
_TITLES = {"digits": "digits", "fashion": "Fashion-MNIST"}
_BETAS = (1, 5)
_RUNS: dict[str, Numbers] = {  # with --quick without the last one
    "ReLU, BatchNorm": {},
    "linear, BatchNorm": {"activation": "linear"},
    "ReLU": {"batch_norm": False},
}
_MEASURES = ("chi_plus", "chi_minus", "rank", "loss")
_SEEDS = 3


def run(settings: Settings) -> Numbers | None:
    """Of each set the measures of all runs, (seeds, β)."""
    names = settings.pick(("digits",), tuple(_GRIDS))
    found = {name: settings.part(f"{name} in a grid", lambda name=name: _of_set(name, settings)) for name in names}
    return found if any(found.values()) else None


def _steps(settings: Settings) -> int:
    return settings.pick(120, 400)


def _of_set(name: str, settings: Settings) -> Numbers:
    settings.torch()
    images = _data.images(name, settings, 5000)
    data = Cut(images.pixels.reshape(-1, *images.side), _GRIDS[name])
    kinds = data.kinds()
    betas = settings.pick(_BETAS[-1:], _BETAS)
    found: Numbers = {"betas": betas, "runs": {}}
    for run, change in tuple(_RUNS.items())[: settings.pick(2, 3)]:
        cells = [
            [_measured(data, kinds, {**change, "beta": beta}, seed, settings) for beta in betas]
            for seed in range(settings.seed, settings.seed + _SEEDS)
        ]
        found["runs"][run] = {m: [[cell[m] for cell in row] for row in cells] for m in _MEASURES}
    return found


def _measured(data: Cut, kinds: np.ndarray, change: Numbers, seed: int, settings: Settings) -> Numbers:
    """χ₊ of the kinds of patches, χ₋ of the same with their pixels shuffled, rank and loss."""
    setting = data.setting(**change)
    weights, losses = train(data, setting, _steps(settings), seed, settings.hooks.pairing)
    order = np.random.default_rng(0).permuted(np.broadcast_to(np.arange(kinds.shape[2]), kinds.shape), axis=2)
    shuffled = np.take_along_axis(kinds, order, axis=2)
    linear = setting.activation == "linear"
    return {
        "chi_plus": similarities(weights, kinds, linear).max(2).mean(),
        "chi_minus": similarities(weights, shuffled, linear).max(2).mean(),
        "rank": _rank(weights),
        "loss": np.mean(losses[-50:]),
    }


def _rank(weights: np.ndarray) -> float:
    """Effective rank of the directions of the nodes at a location, mean over locations: how many they span evenly."""
    directions = weights / np.maximum(np.linalg.norm(weights, axis=2, keepdims=True), 1e-30)
    return float(np.mean(spectrum(directions.swapaxes(1, 2) @ directions).effective_rank))


def _judged(name: str, measure: Any) -> Any:
    """What `measure` makes of the runs at the greatest β, one number per seed, in standard errors of its mean."""

    def value(numbers: Numbers) -> float | None:
        found = (numbers["images"] or {}).get(name)
        if found is None:
            return None
        last = {run: {m: array(v)[:, -1] for m, v in ms.items()} for run, ms in found["runs"].items()}
        return in_standard_errors(measure(last))

    return value


def _rules_of(name: str) -> tuple[Rule, ...]:
    title = f"{_TITLES[name]} in a grid"
    relu, linear = "ReLU, BatchNorm", "linear, BatchNorm"
    sure = "in standard errors over seeds"
    return (
        Rule(
            f"patches that occur, {name}",
            f"{title}: χ₊ minus χ₋ of ReLU nodes, {sure}",
            _judged(name, lambda runs: runs[relu]["chi_plus"] - runs[relu]["chi_minus"]),
            ">",
            MARGIN,
        ),
        Rule(
            f"ReLU above linear, {name}",
            f"{title}: χ₊ of ReLU minus that of linear nodes, {sure}",
            _judged(name, lambda runs: runs[relu]["chi_plus"] - runs[linear]["chi_plus"]),
            ">",
            MARGIN,
        ),
        Rule(
            f"lower loss, {name}",
            f"{title}: loss of linear nodes minus that of ReLU nodes, {sure}",
            _judged(name, lambda runs: runs[linear]["loss"] - runs[relu]["loss"]),
            ">",
            MARGIN,
        ),
    )


RULES = (*_rules_of("digits"), *_rules_of("fashion"))


def _draw_measures(axes: Any, numbers: Numbers) -> None:
    for column, name in enumerate(_GRIDS):
        found = (numbers["images"] or {}).get(name)
        above, below = axes[:, column]
        if found is None:
            absent(above, _TITLES[name])
            absent(below, _TITLES[name])
            continue
        for index, (run, measures) in enumerate(found["runs"].items()):
            band(above, found["betas"], measures["chi_plus"], label=run, colour=CYCLE[index], style="o-")
            band(above, found["betas"], measures["chi_minus"], colour=CYCLE[index], style="x:")
            band(below, found["betas"], measures["rank"], colour=CYCLE[index], style="o-")
        rows, columns = _GRIDS[name]
        above.set(title=f"{_TITLES[name]}, {rows}×{columns} locations", ylim=(0, 1))
        below.set(
            xlabel="nodes per kind of patch, β", ylim=(0, 1.1 * max(np.max(m["rank"]) for m in found["runs"].values()))
        )
        for place in (above, below):
            place.set_xscale("log")
            place.set_xticks(found["betas"], [str(beta) for beta in found["betas"]])
            place.minorticks_off()
    axes[0, 0].set_ylabel("χ₊ (dots), χ₋ (crosses)")
    axes[1, 0].set_ylabel("effective rank of nodes")
    axes[0, 0].legend(loc="lower right")


FIGURES = (
    Figure(
        "images",
        "Real images cut into a grid, one location per patch. Above: how near the nearest node comes to the kinds of "
        "patches that occur at its location (χ₊) and to the same with their pixels shuffled (χ₋). Below: how many "
        "directions the nodes of a location span. Bands: from the least to the greatest seed.",
        _draw_measures,
        (2, 2),
        (7.2, 4.2),
        needs=("images",),
    ),
)
