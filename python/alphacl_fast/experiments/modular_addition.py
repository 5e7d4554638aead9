"""Beyond the poster: with an importance made of labels, nodes that learn sums or products become Fourier features.

Claim: With α = −ỸỸᵀ, Ỹ the centred one-hot targets of (a + b) mod M, the nodes h = u² on one-hot(a) ⊕ one-hot(b) have
maxima with a single frequency each, and all (M − 1)/2 frequencies are found. With the products ab of a finite
group of order n in place of sums, each maximum lies in one irreducible representation and has energy 1/(2n³D), D its
dimension over the reals.
Source: Derived for this project; the energy is the one that Tian's 2025 work on grokking studies. Not on the poster.
Test: Nodes climb from random starts on all M² pairs; α is low rank and signed, so that the cost is linear in the number
of pairs. The discrete Fourier transform of both halves of each maximum says how much of its power lies in one
frequency; projections on the blocks of representations say the same of a group. Beside it, random vectors.
Refuted by: A maximum whose power is spread over several frequencies or representations; a frequency or a
representation, other than the constants, that no node finds; an energy that is not that of its representation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from alphacl_fast import LowRank, Monomial, theory
from alphacl_fast.experiments import _groups
from alphacl_fast.experiments._claim import Figure, Numbers, Result, Rule, largest, least
from alphacl_fast.experiments._settings import Settings
from alphacl_fast.experiments._style import CYCLE, absent, array

TITLE = "Fourier features emerge on modular addition and in other groups"
ORDER = 10
_MODULI = {11: 200, 23: 200, 97: 500}  # nodes of each modulus
_GROUP_NODES, _STEPS = 300, 5000
_DRAWN = 5  # maxima in the picture
_GROUPS: dict[str, tuple[str, Callable[[], np.ndarray]]] = {
    "dihedral": ("D₅, symmetries of a pentagon", lambda: _groups.dihedral(5)),
    "symmetric": ("S₄, permutations of 4", lambda: _groups.symmetric(4)),
    "product": ("Z₄ × Z₆", lambda: _groups.direct_product(_groups.cyclic(4), _groups.cyclic(6))),
}


def run(settings: Settings) -> Result:
    """Moduli, then groups: the largest modulus, 9409 pairs, without --quick alone."""
    moduli = list(_MODULI)[: settings.pick(2, 3)]
    found = {str(m): settings.part(f"modulus {m}", lambda m=m: _modulus(m, settings)) for m in moduli}
    groups = {name: settings.part(f"group {name}", lambda name=name: _group(name, settings)) for name in _GROUPS}
    return settings.result({"moduli": found, "groups": groups}, RULES, FIGURES)


def _climb(table: np.ndarray, nodes: int, settings: Settings) -> theory.LocalMaxima:
    """Nodes u² from random starts on all pairs of a group; α = −ỸỸᵀ is never formed."""
    x, y = _groups.task(table)
    return theory.find_local_maxima(
        *settings.hooks.pairing(x, x),
        nodes,
        activation=Monomial(2),
        alpha=settings.hooks.importance(LowRank(y, signs=-np.ones(y.shape[1]))),
        max_iter=_STEPS,
        gap=False,
        seed=settings.seed,
        progress=False,
    )


def _modulus(modulus: int, settings: Settings) -> Numbers:
    """Of each node that has converged: its frequency, and the share of power in it; weights of each frequency."""
    ends = _climb(_groups.cyclic(modulus), _MODULI[modulus], settings)
    weights = ends.weights[ends.converged]
    shares = _shares(weights, modulus)
    chance = _shares(np.random.default_rng(settings.seed).standard_normal((200, 2 * modulus)), modulus)
    return {
        "pairs": modulus**2,
        "nodes": _MODULI[modulus],
        "not_converged": int((~ends.converged).sum()),
        "residual": float((ends.residual / ends.eigenvalue)[ends.converged].max(initial=0)),
        "shares": shares,
        "frequencies": sorted({int(k) + 1 for k in shares.argmax(1)}),
        "concentration": least(shares.max(1)) if len(shares) else 0.0,
        "chance": float(chance.max(1).mean()),
        "weights": weights[_first_of_each(shares), :modulus],
    }


def _group(name: str, settings: Settings) -> Numbers:
    """Of each node that has converged: the share of its power in each block, and its energy over that of the block."""
    title, table_of = _GROUPS[name]
    table = table_of()
    parts = _groups.blocks(table)
    ends = _climb(table, _GROUP_NODES, settings)
    shares, energies = _groups.shares(ends.weights[ends.converged], parts), ends.energy[ends.converged]
    chance = np.random.default_rng(settings.seed).standard_normal((200, 2 * len(table)))
    best = np.maximum(_groups.greatest_energies(parts)[shares.argmax(1)], np.finfo(float).tiny)
    return {
        "title": title,
        "order": len(table),
        "dimensions": [block.dimension for block in parts],
        "sizes": [block.basis.shape[1] for block in parts],
        "not_converged": int((~ends.converged).sum()),
        "residual": float((ends.residual / ends.eigenvalue)[ends.converged].max(initial=0)),
        "shares": shares,
        "missed": len(parts) - 1 - len(set(shares.argmax(1)) - {0}),
        "concentration": least(shares.max(1)) if len(shares) else 0.0,
        "chance": float(_groups.shares(chance, parts).max(1).mean()),
        "energies": energies,
        "energy_error": largest(np.abs(energies / best - 1)) if len(energies) else np.inf,
    }


def _shares(weights: np.ndarray, modulus: int) -> np.ndarray:
    """(P, (M − 1)/2): share of the power of both halves that lies in each frequency but 0."""
    halves = weights.reshape(len(weights), 2, modulus)
    power = (np.abs(np.fft.rfft(halves, axis=2)) ** 2).sum(1)
    power[:, 1:] *= 2  # the frequencies −k, which rfft leaves out as M is odd
    return power[:, 1:] / power.sum(1, keepdims=True)


def _first_of_each(shares: np.ndarray) -> list[int]:
    """One maximum per frequency, the first of each."""
    return [int(np.flatnonzero(shares.argmax(1) == k)[0]) for k in np.unique(shares.argmax(1))]


def _moduli(numbers: Numbers) -> list[tuple[int, Numbers]]:
    return [(int(m), found) for m, found in numbers["moduli"].items() if found is not None]


def _over(parts: str, worst: Callable[..., float], measure: Callable[[int, Numbers], float]) -> Any:
    """The worst of measure(number of the part, what was found); None where a part was left out."""

    def value(numbers: Numbers) -> float | None:
        found = numbers[parts]
        if None in found.values():
            return None
        return float(worst(measure(int(name) if name.isdigit() else 0, part) for name, part in found.items()))

    return value


RULES = (
    Rule(
        "one frequency",
        "share of a maximum's power in its frequency, the least of all maxima",
        _over("moduli", least, lambda _, found: found["concentration"]),
        ">",
        0.99,
    ),
    Rule(
        "all frequencies",
        "frequencies of (M − 1)/2 that no maximum has, the most",
        _over("moduli", largest, lambda m, found: (m - 1) // 2 - len(found["frequencies"])),
        "=",
        0,
    ),
    Rule(
        "one representation",
        "other groups: share of a maximum's power in one irreducible representation, the least of all maxima",
        _over("groups", least, lambda _, found: found["concentration"]),
        ">",
        0.99,
    ),
    Rule(
        "all representations",
        "other groups: irreducible representations, without the constants, that no maximum has, the most",
        _over("groups", largest, lambda _, found: found["missed"]),
        "=",
        0,
    ),
    Rule(
        "energy of a representation",
        "other groups: energies are 1/(2n³D), D the dimension of the representation, relative error",
        _over("groups", largest, lambda _, found: found["energy_error"]),
        "<",
        1e-6,
    ),
)


def _under_way(found: Numbers) -> str:
    return f", {found['not_converged']} nodes not converged" if found["not_converged"] else ""


def _draw_spectra(axes: Any, numbers: Numbers) -> None:
    left, right = axes[0]
    drawn = [(m, found) for m, found in _moduli(numbers) if len(found["shares"])]
    if not drawn:
        absent(left, "modular addition")
        absent(right, "modular addition")
        return
    modulus, found = drawn[-1]
    for index, w in enumerate(array(found["weights"])[:_DRAWN]):
        left.plot(np.arange(modulus), w / np.abs(w).max() - 2.4 * index, "o-", color=CYCLE[index], markersize=2.5)
    left.set(xlabel="a", yticks=[], title="weights on a of one maximum per frequency")
    image = _draw_shares(right, array(found["shares"]))
    right.set(xlabel="frequency", ylabel="maximum", title=f"share of power, M = {modulus}{_under_way(found)}")
    right.figure.colorbar(image, ax=right)


def _draw_shares(place: Any, shares: np.ndarray) -> Any:
    """Rows in the order of the column that has most of their power."""
    rows, columns = shares.shape
    return place.imshow(
        shares[np.argsort(shares.argmax(1), kind="stable")],
        aspect="auto",
        cmap="cividis",
        vmin=0,
        vmax=1,
        interpolation="nearest",
        extent=(0.5, columns + 0.5, rows, 0),
    )


def _draw_groups(axes: Any, numbers: Numbers) -> None:
    for (above, below), name in zip(axes.T, _GROUPS, strict=True):
        found = numbers["groups"][name]
        if found is None or not len(found["shares"]):
            absent(above, name)
            absent(below, name)
            continue
        shares, dimensions, n = array(found["shares"]), found["dimensions"], found["order"]
        places = np.arange(len(dimensions)) + 1
        image = _draw_shares(above, shares)
        above.figure.colorbar(image, ax=above, label="share of power")
        below.plot(places[1:], 1 / array(dimensions[1:]), "_", color=CYCLE[1], markersize=14)
        below.plot(shares.argmax(1) + 1, array(found["energies"]) * 2 * n**3, "o", color=CYCLE[0], markersize=3)
        above.set(title=found["title"] + _under_way(found), ylabel="maximum")
        below.set(xlabel="dimension D", ylabel="energy × 2n³", xlim=(0.5, len(dimensions) + 0.5), ylim=(0, 1.1))
        for place in (above, below):
            place.set_xticks(places, ["1*", *map(str, dimensions[1:])])


FIGURES = (
    Figure(
        "spectra",
        "Left: weights of nodes that learned (a + b) mod M are cosines. Right: each row is one maximum; all its "
        "power lies in one frequency, and every column has its rows.",
        _draw_spectra,
        (1, 2),
        (7.2, 2.8),
    ),
    Figure(
        "groups",
        "Nodes that learned to multiply in other groups. Above: each row is one maximum, each column an irreducible "
        "representation (1*: the constants, which the targets do not ask for); all power of a row lies in one. Below: "
        "the energies of the maxima (dots) are 1/(2n³D) (bars).",
        _draw_groups,
        (2, 3),
        (7.2, 4.6),
    ),
)
