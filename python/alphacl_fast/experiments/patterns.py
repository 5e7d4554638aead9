"""Nonlinear nodes reach different patterns, and more nodes learn more patterns.

Claim: With a homogeneous nonlinear activation each node can converge to a different pattern, so that more nodes learn
more patterns; with a linear one all nodes learn the same, and more do not help.
Source: poster, "Homogenous nonlinear activation"; arXiv 2206.01342, section 4. The counts 1, M and 2M for categorical
latents, and their energies, are derived.
Test: K nodes climb from random starts; distinct maxima (0.1 rad apart) are counted among those of the first K that have
converged, over several seeds. Data: M categories e_1 … e_M with unequal probabilities, where a linear node has 1
maximum, ReLU has M of energy ½p_m(1 − p_m), and u² has 2M; then digits, Fashion-MNIST and patches, two noisy views,
whitened, rows of length 1.
Refuted by: Another number of maxima on the categories; linear nodes in more than one group; a number of patterns of
ReLU nodes that does not grow with K.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alphacl_fast import Monomial, theory
from alphacl_fast.experiments import _data
from alphacl_fast.experiments._claim import Figure, Numbers, Result, Rule
from alphacl_fast.experiments._seeds import converged_alone
from alphacl_fast.experiments._settings import Settings
from alphacl_fast.experiments._style import absent, array, sheet
from alphacl_fast.theory.plots import draw_coverage

TITLE = "Nonlinear nodes learn different patterns, more nodes more of them"
ORDER = 7
USES_DATA = True  # the images of --data
_COUNTS = np.array([36, 40, 44, 48, 52, 56, 60, 64])  # samples of each category
_KINDS: dict[str, Any] = {"linear": "linear", "relu": "relu", "square": Monomial(2)}
_TITLES = {"linear": "linear", "relu": "ReLU", "square": "u²"}
_EXPECTED = {"linear": 1, "relu": len(_COUNTS), "square": 2 * len(_COUNTS)}
_SETS = ("digits", "fashion", "data")
_FEW = 4  # nodes, with which more are compared
_SHOWN = 16


def run(settings: Settings) -> Result:
    """Categories, then images, seed by seed."""
    categories = settings.part("categories", lambda: _categories(settings))
    images: Numbers = {}
    seeds = range(settings.seed, settings.seed + settings.pick(2, 3))
    for name in _SETS:
        noted = len(settings.left_out)
        runs = [settings.part(f"{name}, seed {seed}", lambda n=name, s=seed: _learn(n, s, settings)) for seed in seeds]
        if all(runs):
            images[name] = _together(runs)
        del settings.left_out[noted + 1 :]  # one reason is enough
    return settings.result({"categories": categories, "images": images}, RULES, FIGURES)


def _coverage(group: np.ndarray, sizes: list[int]) -> list[int]:
    """Distinct maxima among the first K nodes, K of sizes."""
    return [len(np.unique(group[:size][group[:size] >= 0])) for size in sizes]


def _sizes(most: int) -> list[int]:
    """1, 2, 4, … most."""
    return [2**k for k in range(most.bit_length())]


def _categories(settings: Settings) -> Numbers:
    x = np.repeat(np.eye(len(_COUNTS)), _COUNTS, axis=0)
    pair = settings.hooks.pairing(x, x)
    p = _COUNTS / _COUNTS.sum()
    sizes = _sizes(settings.pick(512, 1024))
    found: Numbers = {"sizes": sizes, "coverage": {}, "maxima": {}, "not_converged": {}}
    for kind, activation in _KINDS.items():
        runs, under_way = [], []
        for seed in range(settings.seed, settings.seed + settings.pick(2, 10)):
            ends = theory.find_local_maxima(
                *pair,
                sizes[-1],
                activation=activation,
                alpha=settings.hooks.importance(None),
                max_iter=1000,
                gap=False,
                seed=seed,
                progress=False,
            )
            ends = converged_alone(ends)
            runs.append(_coverage(ends.group, sizes))
            under_way.append(int((~ends.converged).sum()))
            if kind == "relu":
                best = ends.energy[ends.best]
        found["coverage"][kind], found["maxima"][kind] = runs, sorted({run[-1] for run in runs})
        found["not_converged"][kind] = under_way
    truth = np.sort(p * (1 - p) / 2)[::-1]
    found["energy_error"] = float(np.abs(array(best) / truth - 1).max()) if len(best) == len(truth) else float("inf")
    return found


def _learn(name: str, seed: int, settings: Settings) -> Numbers:
    """Coverage of linear and ReLU nodes on a whitened set, and the patterns with the highest energies as images."""
    images = _data.images(name, settings, settings.pick(1000, 4000))
    if settings.quick:
        images = images.halved()
    white = theory.whiten(*settings.hooks.pairing(*images.views(seed)))
    nodes = settings.pick(48, 128)
    sizes = _sizes(nodes)
    found: Numbers = {"title": images.title, "side": images.side, "samples": len(white.x), "sizes": sizes}
    for kind in ("linear", "relu"):
        ends = theory.find_local_maxima(
            white.x,
            white.x_aug,
            nodes,
            activation=kind,
            alpha=settings.hooks.importance(None),
            max_iter=4000 if kind == "linear" else settings.pick(500, 1500),
            gap=False,
            seed=seed,
            progress=False,
        )
        ends = converged_alone(ends)
        shown = ends.best[:_SHOWN]
        found[kind] = {
            "coverage": _coverage(ends.group, sizes),
            "maxima": ends.num_maxima,
            "not_converged": int((~ends.converged).sum()),
            "patterns": (ends.weights[shown] @ white.inverse).astype(np.float32),
            "nodes": [int((ends.group == g).sum()) for g in range(len(shown))],
        }
    return found


def _together(runs: list[Numbers]) -> Numbers:
    """The seeds of one set: all coverages, the pictures of the first."""
    first = runs[0]
    found = {name: first[name] for name in ("title", "side", "samples", "sizes")}
    for kind in ("linear", "relu"):
        found[kind] = {
            "coverage": [run[kind]["coverage"] for run in runs],
            "maxima": [run[kind]["maxima"] for run in runs],
            "not_converged": [run[kind]["not_converged"] for run in runs],
            "patterns": first[kind]["patterns"],
            "nodes": first[kind]["nodes"],
        }
    return found


def _count(kind: str) -> Any:
    """The number of maxima on the categories; where seeds differ, the one furthest from what is expected."""

    def measure(numbers: Numbers) -> float | None:
        if numbers["categories"] is None:
            return None
        return float(max(numbers["categories"]["maxima"][kind], key=lambda count: abs(count - _EXPECTED[kind])))

    return measure


def _of_set(name: str, measure: Any) -> Any:
    return lambda numbers: None if name not in numbers["images"] else float(measure(numbers["images"][name]))


def _growth(found: Numbers) -> float:
    """Patterns of all nodes over those of the first few, ReLU, in the seed where it grows least."""
    few = found["sizes"].index(_FEW)
    return min(run[-1] / max(run[few], 1) for run in found["relu"]["coverage"])


def _rules_of(name: str, title: str) -> tuple[Rule, ...]:
    return (
        Rule(
            f"linear, {name}",
            f"{title}: patterns that all linear nodes find together, the number furthest from 1 over seeds",
            _of_set(name, lambda found: max(found["linear"]["maxima"], key=lambda count: abs(count - 1))),
            "=",
            1,
        ),
        Rule(
            f"ReLU, {name}",
            f"{title}: patterns that ReLU nodes find, the least over seeds",
            _of_set(name, lambda found: min(found["relu"]["maxima"])),
            ">",
            1,
        ),
        Rule(
            f"growth, {name}",
            f"{title}: patterns of all ReLU nodes over those of the first {_FEW}, the least over seeds",
            _of_set(name, _growth),
            ">",
            1,
        ),
    )


RULES = (
    *(
        Rule(
            f"categories, {_TITLES[kind]}",
            f"{len(_COUNTS)} categories, {_TITLES[kind]}: number of maxima found",
            _count(kind),
            "=",
            _EXPECTED[kind],
        )
        for kind in _KINDS
    ),
    Rule(
        "categories, energies",
        "the energies of ReLU nodes on categories are ½p(1 − p), relative error",
        lambda n: None if n["categories"] is None else n["categories"]["energy_error"],
        "<",
        1e-6,
    ),
    *_rules_of("digits", "digits"),
    *_rules_of("fashion", "Fashion-MNIST"),
    *_rules_of("data", "patches of the images of --data"),
)


def _draw_categories(axes: Any, numbers: Numbers) -> None:
    found = numbers["categories"]
    lines = draw_coverage(axes[0, 0], found["sizes"], {_TITLES[kind]: found["coverage"][kind] for kind in _KINDS})
    for line, kind, text in zip(lines, _KINDS, ("1", "M", "2M"), strict=True):
        axes[0, 0].axhline(_EXPECTED[kind], color=line.get_color(), linestyle=":", linewidth=1)
        axes[0, 0].text(1.05, _EXPECTED[kind] + 0.3, text, size=7)
    axes[0, 0].set(ylabel="distinct maxima", ylim=(0, None))
    axes[0, 0].legend(loc="center right")


def _draw_coverage(axes: Any, numbers: Numbers) -> None:
    for place, name in zip(axes[0], _SETS, strict=True):
        found = numbers["images"].get(name)
        if found is None:
            absent(place, name)
            continue
        draw_coverage(place, found["sizes"], {_TITLES[kind]: found[kind]["coverage"] for kind in ("relu", "linear")})
        place.set(title=f"{found['title']}\nN = {found['samples']}", ylim=(0, None))


def _draw_patterns(axes: Any, numbers: Numbers) -> None:
    for place, name in zip(axes[:, 0], _SETS, strict=True):
        found = numbers["images"].get(name)
        if found is None:
            absent(place, name)
            continue
        linear, relu = found["linear"], found["relu"]
        weights = [*linear["patterns"][:1], *relu["patterns"]][:_SHOWN]
        captions = [f"linear, {count}×" for count in linear["nodes"][:1]] + [f"ReLU, {c}×" for c in relu["nodes"]]
        if not weights:
            absent(place, name)
            continue
        sheet(place, weights, tuple(found["side"]), captions[:_SHOWN])
        under_way = linear["not_converged"][0] + relu["not_converged"][0]
        note = f"; {under_way} of {2 * found['sizes'][-1]} nodes have not converged" if under_way else ""
        place.set_title(f"{found['title']}: {linear['maxima'][0]} linear, {relu['maxima'][0]} ReLU{note}")


FIGURES = (
    Figure(
        "categories",
        "Distinct maxima found by K nodes on eight categories: one for linear nodes however many there are, M = 8 "
        "for ReLU, 2M = 16 for the square. Bands: from the least to the greatest seed.",
        _draw_categories,
        size=(4.2, 2.7),
        needs=("categories",),
    ),
    Figure(
        "coverage",
        "Distinct patterns that K nodes find on real images. Linear nodes stay at one; ReLU nodes find more, the "
        "more there are. Bands: from the least to the greatest seed.",
        _draw_coverage,
        (1, 3),
        (7.2, 2.5),
        needs=("images",),
    ),
    Figure(
        "patterns",
        "The patterns themselves, as weights on pixels (red positive, blue negative), the highest energy first, at "
        f"most {_SHOWN}; above each, how many nodes found it. Nodes that have not converged are not counted.",
        _draw_patterns,
        (3, 1),
        (7.2, 6.6),
        needs=("images",),
    ),
)
