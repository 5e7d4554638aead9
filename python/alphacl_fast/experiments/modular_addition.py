"""Beyond the poster: with an importance made of labels, nodes that learn modular addition become Fourier features.

Claim: With α = −ỸỸᵀ, Ỹ the centred one-hot targets of (a + b) mod M, the nodes h = u² on one-hot(a) ⊕ one-hot(b) have
maxima with a single frequency each, and all (M − 1)/2 frequencies are found.
Source: Derived for this project; the energy is the one that Tian's 2025 work on grokking studies. Not on the poster.
Test: Nodes climb from random starts on all M² pairs; the discrete Fourier transform of both halves of each maximum says
how much of its power lies in one frequency. Beside it, a random vector.
Refuted by: A maximum whose power is spread over several frequencies; a frequency that no node finds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alphacl_fast import Dense, Monomial, theory
from alphacl_fast.experiments._claim import Figure, Numbers, Result, Rule
from alphacl_fast.experiments._seeds import converged_alone
from alphacl_fast.experiments._settings import Settings
from alphacl_fast.experiments._style import CYCLE, absent, array

TITLE = "Fourier features emerge on modular addition"
ORDER = 10
_NODES, _STEPS = 200, 5000
_DRAWN = 5  # maxima in the picture


def run(settings: Settings) -> Result:
    """One modulus with --quick, two else."""
    moduli = settings.pick((11,), (11, 23))
    found = {str(m): settings.part(f"modulus {m}", lambda m=m: _learn(m, settings)) for m in moduli}
    return settings.result({"moduli": found}, RULES, FIGURES)


def _task(modulus: int) -> tuple[np.ndarray, np.ndarray]:
    """x: (M², 2M), one-hot(a) ⊕ one-hot(b) of all pairs, and Ỹ: (M², M), the centred one-hot sums."""
    a, b = np.divmod(np.arange(modulus**2), modulus)
    one = np.eye(modulus)
    return np.concatenate([one[a], one[b]], axis=1), one[(a + b) % modulus] - 1 / modulus


def _learn(modulus: int, settings: Settings) -> Numbers:
    """Of each distinct maximum: its weights, frequency, and the share of power in it."""
    x, y = _task(modulus)
    alpha = settings.hooks.importance(Dense(-y @ y.T))
    pair = settings.hooks.pairing(x, x)
    ends = theory.find_local_maxima(
        *pair,
        _NODES,
        activation=Monomial(2),
        alpha=alpha,
        max_iter=_STEPS,
        gap=False,
        seed=settings.seed,
        progress=False,
    )
    ends = converged_alone(ends)
    best = ends.best
    shares = _shares(ends.weights[best], modulus)
    chance = _shares(np.random.default_rng(settings.seed).standard_normal((200, 2 * modulus)), modulus)
    return {
        "maxima": ends.num_maxima,
        "not_converged": int((~ends.converged).sum()),
        "shares": shares,
        "frequencies": sorted({int(k) + 1 for k in shares.argmax(1)}),
        "concentration": min(shares.max(1), default=0.0),
        "chance": float(chance.max(1).mean()),
        "weights": ends.weights[best][:, :modulus][_first_of_each(shares)],
    }


def _shares(weights: np.ndarray, modulus: int) -> np.ndarray:
    """(P, (M − 1)/2): share of the power of both halves that lies in each frequency but 0."""
    halves = weights.reshape(len(weights), 2, modulus)
    power = (np.abs(np.fft.rfft(halves, axis=2)) ** 2).sum(1)
    return power[:, 1:] / power.sum(1, keepdims=True)


def _first_of_each(shares: np.ndarray) -> list[int]:
    """One maximum per frequency, the first of each."""
    return [int(np.flatnonzero(shares.argmax(1) == k)[0]) for k in np.unique(shares.argmax(1))]


def _found(numbers: Numbers) -> list[tuple[int, Numbers]]:
    return [(int(m), found) for m, found in numbers["moduli"].items() if found is not None]


def _of_all(measure: Any) -> Any:
    """Of (modulus, what was found), all of them; None where one was left out."""

    def value(numbers: Numbers) -> float | None:
        return None if None in numbers["moduli"].values() else float(measure(_found(numbers)))

    return value


RULES = (
    Rule(
        "one frequency",
        "share of a maximum's power in its frequency, the least of all maxima",
        _of_all(lambda all_of: min(found["concentration"] for _, found in all_of)),
        ">",
        0.99,
    ),
    Rule(
        "all frequencies",
        "frequencies of (M − 1)/2 that no maximum has, the most",
        _of_all(lambda all_of: max((m - 1) // 2 - len(found["frequencies"]) for m, found in all_of)),
        "=",
        0,
    ),
)


def _under_way(found: Numbers) -> str:
    return f", {found['not_converged']} nodes not converged" if found["not_converged"] else ""


def _draw(axes: Any, numbers: Numbers) -> None:
    left, right = axes[0]
    if not any(found["maxima"] for _, found in _found(numbers)):
        absent(left, "modular addition")
        absent(right, "modular addition")
        return
    modulus, found = [(m, found) for m, found in _found(numbers) if found["maxima"]][-1]
    for index, w in enumerate(array(found["weights"])[:_DRAWN]):
        left.plot(np.arange(modulus), w / np.abs(w).max() - 2.4 * index, "o-", color=CYCLE[index], markersize=2.5)
    left.set(xlabel="a", yticks=[], title="weights on a of one maximum per frequency")
    shares = array(found["shares"])
    image = right.imshow(
        shares[np.argsort(shares.argmax(1), kind="stable")],
        aspect="auto",
        cmap="cividis",
        vmin=0,
        vmax=1,
        interpolation="nearest",
        extent=(0.5, (modulus - 1) / 2 + 0.5, len(found["shares"]), 0),
    )
    right.set(xlabel="frequency", ylabel="maximum", title=f"share of power, M = {modulus}{_under_way(found)}")
    right.figure.colorbar(image, ax=right)


FIGURES = (
    Figure(
        "spectra",
        "Left: weights of nodes that learned (a + b) mod M are cosines. Right: each row is one maximum; all its "
        "power lies in one frequency, and every column has its rows.",
        _draw,
        (1, 2),
        (7.2, 2.8),
    ),
)
