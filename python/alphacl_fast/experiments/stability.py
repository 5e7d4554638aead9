"""Critical points are not all local optima: those whose gap is larger than the local roughness are.

Claim: If A(w)w = λw and λ_gap(w) > ρ(w), where λ_gap is λ minus the next eigenvalue and ρ the local roughness, then w
is stable, a local maximum. Critical points with a smaller gap may be saddles.
Source: poster, "Critical points ≠ local optima"; arXiv 2206.01342, Theorem 3. That the converse is false is derived.
Test: Many critical points of four problems, maxima and saddles, with gap and roughness by theory.stability (roughness
at a radius of 0.1 rad, since A(w) is piecewise constant on samples). Each is pushed by 0.05 rad in 26 directions; it is
stable if no push gains energy and every node climbs back. Planted: the top and the second eigenvector of a linear node
(a saddle), with a Gaussian importance and an augmentation that takes the direction of most variance away, and data that
is the same in all directions (gap 0, nothing is stable).
Refuted by: A certified point (gap > ρ) that gains energy when pushed, or does not come back; a planted point that is
not what it was planted as.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alphacl_fast import reference, theory
from alphacl_fast.experiments import _critical_points as points
from alphacl_fast.experiments._claim import Figure, Numbers, Result, Rule, largest
from alphacl_fast.experiments._settings import Settings
from alphacl_fast.experiments._style import CYCLE, array

TITLE = "Critical points are not all local optima; a large gap makes one"
ORDER = 5
_RADIUS = 0.1
_GAIN = 1e-9  # of the energy, relative: rounding
_BACK = points.PUSH / 2  # radians: nearer than it was pushed


def run(settings: Settings) -> Result:
    """Critical points of each problem, then the planted ones."""
    found = {
        title: settings.part(title, lambda m=make, a=activation: _problem(m, a, settings))
        for title, make, activation in points.PROBLEMS
    }
    planted = settings.part("planted points", lambda: _planted(settings))
    return settings.result({"problems": found, "planted": planted}, RULES, FIGURES)


def _problem(make: Any, activation: Any, settings: Settings) -> Numbers:
    rng = np.random.default_rng(settings.seed)
    x = make(rng, settings.pick(1500, 5000), 5)
    problem = points.Problem(x, x + 0.05 * rng.standard_normal(x.shape), activation)
    return _judged(problem, points.critical_points(problem, settings.pick(4, 20), settings.seed), settings)


def _judged(problem: points.Problem, weights: np.ndarray, settings: Settings) -> Numbers:
    """What theory.stability says of critical points, and what pushes say."""
    hooks, seed = settings.hooks, settings.seed
    pair, alpha = hooks.pairing(problem.x, problem.x_aug), hooks.importance(problem.alpha)
    said = theory.stability(*pair, weights, activation=problem.activation, alpha=alpha, radius=_RADIUS, seed=seed)
    seen = [points.pushed(problem, w, seed, hooks.energy) for w in weights]
    return {
        "gap": said.gap,
        "roughness": said.roughness,
        "eigenvalue": said.eigenvalue,
        "residual": said.residual,
        "certified": said.certified,
        "jacobian_top": said.jacobian_top,
        "gain": [push["gain"] for push in seen],
        "end": [push["end"] for push in seen],
        "stable": [push["gain"] <= _GAIN and push["end"] < _BACK for push in seen],
    }


def _planted(settings: Settings) -> Numbers:
    """A maximum and a saddle: two eigenvectors of a linear node; a degenerate maximum: any direction of isotropic data.

    The eigenvectors are those of the literal double sum.
    """
    linear = points.weighted(np.random.default_rng(settings.seed))
    vectors = np.linalg.eigh(reference.contrastive_cov(linear.x, linear.x_aug, linear.alpha))[1]
    top_two = np.ascontiguousarray(vectors[:, :-3:-1].T)
    return {
        "linear": _judged(linear, top_two, settings),
        "degenerate": _judged(points.isotropic(5), np.eye(5)[:1], settings),
    }


def _groups(numbers: Numbers) -> list[Numbers]:
    """Those of the problems, then the planted ones; parts that were left out are not there."""
    groups = [*numbers["problems"].values(), *(numbers["planted"] or {}).values()]
    return [group for group in groups if group is not None]


def _count(certified: bool, stable: bool) -> Any:
    """Critical points of such a kind; None where a part was left out."""

    def value(numbers: Numbers) -> float | None:
        if None in (*numbers["problems"].values(), numbers["planted"]):
            return None
        kinds = [pair for g in _groups(numbers) for pair in zip(g["certified"], g["stable"], strict=True)]
        return float(kinds.count((certified, stable)))

    return value


def _of_planted(measure: Any) -> Any:
    return lambda numbers: None if numbers["planted"] is None else float(measure(numbers["planted"]))


def _residual(planted: Numbers) -> float:
    return largest(np.max(array(group["residual"]) / array(group["eigenvalue"])) for group in planted.values())


def _top(name: str, index: int) -> Any:
    """The largest eigenvalue of the tangent Jacobian of one planted point, of λ."""
    return _of_planted(lambda planted: planted[name]["jacobian_top"][index] / planted[name]["eigenvalue"][index])


RULES = (
    Rule(
        "no counterexample",
        "certified critical points (gap > ρ) that are not stable when pushed",
        _count(certified=True, stable=False),
        "=",
        0,
    ),
    Rule(
        "certified",
        "critical points that are certified, so that the first rule is about something",
        _count(certified=True, stable=True),
        "≥",
        5,
    ),
    Rule("unstable exist", "critical points that are no local optima", _count(certified=False, stable=False), "≥", 5),
    Rule(
        "sufficient only",
        "critical points that are stable without being certified: the converse is false",
        _count(certified=False, stable=True),
        "≥",
        1,
    ),
    Rule(
        "planted critical",
        "planted points are critical: ‖A(w)w − λw‖, of λ, the largest",
        _of_planted(_residual),
        "<",
        1e-9,
    ),
    Rule(
        "planted maximum",
        "the top eigenvector of a linear node is certified",
        _of_planted(lambda planted: planted["linear"]["certified"][0]),
        "=",
        1,
    ),
    Rule(
        "planted maximum, pushed",
        "what the energy of that node gains by a push, relative, the most",
        _of_planted(lambda planted: planted["linear"]["gain"][0]),
        "≤",
        _GAIN,
    ),
    Rule(
        "planted saddle",
        "the second eigenvector of a linear node: largest eigenvalue of the tangent Jacobian, of λ",
        _top("linear", 1),
        ">",
        0.1,
    ),
    Rule(
        "planted degenerate",
        "data that is the same in all directions: largest eigenvalue of the tangent Jacobian, of λ",
        lambda n: None if (top := _top("degenerate", 0)(n)) is None else abs(top),
        "<",
        1e-6,
    ),
)


def _draw(axes: Any, numbers: Numbers) -> None:
    left, right = axes[0]
    groups = {
        **{title: found for title, found in numbers["problems"].items() if found is not None},
        "planted": {
            k: np.concatenate([group[k] for group in numbers["planted"].values()])
            for k in ("gap", "roughness", "eigenvalue", "stable", "jacobian_top", "gain")
        },
    }
    for index, (title, found) in enumerate(groups.items()):
        scale, stable = array(found["eigenvalue"]), np.array(found["stable"], bool)
        rough, gap = array(found["roughness"]) / scale, array(found["gap"]) / scale
        top, gain = array(found["jacobian_top"]) / scale, array(found["gain"])
        for chosen, filled in ((stable, True), (~stable, False)):
            style = {"color": CYCLE[index], "markerfacecolor": CYCLE[index] if filled else "white", "linestyle": "none"}
            left.plot(
                rough[chosen], gap[chosen], "os^Dv"[index], label=title if filled or not stable.any() else None, **style
            )
            right.plot(top[chosen], gain[chosen], "os^Dv"[index], **style)
    most = 1.3 * max(left.get_xlim()[1], 0.1)
    left.fill_between([0, most], [0, most], 1.3, color=CYCLE[0], alpha=0.1, linewidth=0)
    left.plot([0, most], [0, most], "-", color="0.4", linewidth=0.8)
    left.text(0.45 * most, 1.18, "certified: gap > ρ̂", size=7, va="center")
    left.set(xlabel="roughness ρ̂ / λ", ylabel="gap / λ", xlim=(-0.03 * most, most), ylim=(None, 1.3))
    left.axhline(0, color="0.7", linewidth=0.7)
    left.legend(loc="lower right")
    right.axhline(0, color="0.7", linewidth=0.7)
    right.axvline(0, color="0.7", linewidth=0.7)
    right.set_yscale("symlog", linthresh=1e-4)
    right.set(xlabel="top eigenvalue of the tangent Jacobian / λ", ylabel="largest gain of energy by a push")


FIGURES = (
    Figure(
        "stability",
        "Critical points; filled: stable when pushed, open: not. Left: above the diagonal, where the gap is larger "
        "than the roughness, all are stable; below it there are both, so the criterion is sufficient only. Right: "
        "the sign of the tangent Jacobian's top eigenvalue tells which pushes gain energy.",
        _draw,
        (1, 2),
        (7.2, 3.2),
        needs=("planted",),
    ),
)
