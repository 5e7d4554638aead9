"""A Gaussian importance makes the landscape smoother: its local roughness is far below that of the uniform one.

Claim: The local roughness ρ(w), by which A(v)w changes near w, is much smaller under a Gaussian importance of the
node's own output than under the uniform one.
Source: poster, last theorem; arXiv 2206.01342, Theorem 5. For ReLU without augmentation ρ_uniform = E[u]‖Q‖ and, with α
frozen, ρ_Gaussian = E[u e^(−u²/2τ)]‖Q‖, u = h(wᵀx): derived.
Test: A mixture of two Gaussians on a fine grid of its quantiles; theory.local_roughness at two radii, extrapolated to
0, for several τ, against the closed form. α frozen at w is what the theorem is about; with α computed anew at v a
second term appears, which is measured too and shown beside it.
Refuted by: A measured value that differs from the closed form by more than one per cent; a Gaussian ρ that is not below
the uniform one, or does not fall with τ.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from alphacl_fast import NodeGaussian, theory
from alphacl_fast.experiments._claim import Figure, Numbers, Result, Rule, largest
from alphacl_fast.experiments._settings import Settings
from alphacl_fast.experiments._style import CYCLE, array

TITLE = "A Gaussian importance smooths: its roughness is far below the uniform one's"
ORDER = 6
_TAUS = (0.15, 0.5, 1.5, 5.0)
_RADII = (0.04, 0.02)
_CENTRE, _VARIANCES = 1.0, np.array([0.3, 0.6])  # of N((±1, 0), diag), half of the samples each
_NAMES = ("along the centres", "across them")  # the nodes e_1, e_2


def run(settings: Settings) -> Result:
    """Closed form and measurement over τ, two nodes."""
    x, nodes, hooks = _grid(settings.pick(500, 1000)), np.eye(2), settings.hooks
    pair = hooks.pairing(x, x)
    law = np.array([[_CENTRE, 0], [-_CENTRE, 0]]), np.stack([np.diag(_VARIANCES)] * 2)
    closed = [theory.roughness_relu_density(nodes, *law, tau=tau) for tau in _TAUS]

    def measured(alpha: Any, frozen: bool) -> np.ndarray:
        wide, narrow = (
            theory.local_roughness(*pair, nodes, alpha=hooks.importance(alpha), radius=r, frozen=frozen, directions=1)
            for r in _RADII
        )
        return 2 * narrow - wide  # what is linear in the radius drops out

    found: Numbers = {"taus": _TAUS, "closed": [c.gaussian for c in closed], "closed_uniform": closed[0].uniform}
    found["uniform"] = settings.part("uniform", lambda: measured(None, True))
    for name, frozen in (("frozen", True), ("recomputed", False)):
        runs = [
            settings.part(f"{name}, τ = {tau}", lambda t=tau, f=frozen: measured(NodeGaussian(t), f)) for tau in _TAUS
        ]
        found[name] = None if None in runs else runs
    return settings.result(found, RULES, FIGURES)


def _grid(side: int) -> np.ndarray:
    """side² points whose coordinates are quantiles of the mixture."""
    inverse = np.vectorize(NormalDist().inv_cdf)
    half, whole = (inverse((np.arange(n) + 0.5) / n) for n in (side // 2, side))
    first = _CENTRE + np.sqrt(_VARIANCES[0]) * half
    grid = np.meshgrid(np.concatenate([first, -first]), np.sqrt(_VARIANCES[1]) * whole, indexing="ij")
    return np.stack(grid, axis=-1).reshape(-1, 2)


def _measured(numbers: Numbers) -> bool:
    """Whether all that the rules need is there."""
    return None not in (numbers["uniform"], numbers["frozen"])


def _error(numbers: Numbers) -> float:
    """Of the measurement with frozen α, relative to the closed form, the worst."""
    gaussian = np.abs(array(numbers["frozen"]) / array(numbers["closed"]) - 1).max()
    uniform = np.abs(array(numbers["uniform"]) / array(numbers["closed_uniform"]) - 1).max()
    return largest([gaussian, uniform])


def _if_measured(measure: Any) -> Any:
    return lambda numbers: float(measure(numbers)) if _measured(numbers) else None


def _ratios(numbers: Numbers) -> np.ndarray:
    """ρ_Gaussian/ρ_uniform as measured, (τ, nodes), α frozen."""
    return array(numbers["frozen"]) / array(numbers["uniform"])


RULES = (
    Rule(
        "closed form",
        "measured ρ is the closed form, uniform and Gaussian with frozen α, the worst relative error",
        _if_measured(_error),
        "<",
        0.01,
    ),
    Rule(
        "below",
        "measured ρ_Gaussian/ρ_uniform with frozen α, the largest over τ and nodes",
        _if_measured(lambda n: _ratios(n).max()),
        "<",
        1,
    ),
    Rule(
        "far below",
        "the same at the smallest τ, the largest over nodes",
        _if_measured(lambda n: _ratios(n)[0].max()),
        "<",
        0.25,
    ),
    Rule(
        "falls with τ",
        "ρ_Gaussian rises with τ, the least step of the ratio",
        _if_measured(lambda n: np.diff(_ratios(n), axis=0).min()),
        ">",
        0,
    ),
)


def _draw(axes: Any, numbers: Numbers) -> None:
    taus = array(numbers["taus"])
    for k, name in enumerate(_NAMES):
        place = axes[0, k]
        place.axhline(numbers["closed_uniform"][k], color=CYCLE[1], label="uniform, closed form")
        place.plot(
            taus,
            [numbers["uniform"][k]] * len(taus),
            "s",
            color=CYCLE[1],
            markerfacecolor="white",
            label="uniform, measured",
        )
        place.plot(taus, array(numbers["closed"])[:, k], "-", color=CYCLE[0], label="Gaussian, frozen, closed form")
        place.plot(
            taus,
            array(numbers["frozen"])[:, k],
            "o",
            color=CYCLE[0],
            markerfacecolor="white",
            label="Gaussian, frozen, measured",
        )
        place.plot(
            taus, array(numbers["recomputed"])[:, k], "x--", color=CYCLE[2], label="Gaussian, recomputed, measured"
        )
        place.set(xscale="log", yscale="log", xlabel="τ", title=f"node {name}")
        place.set_xticks(taus, [f"{tau:g}" for tau in taus])
        place.minorticks_off()
        place.set_ylim(0.5 * array(numbers["frozen"])[:, k].min(), None)
    axes[0, 0].set_ylabel("local roughness ρ(w)")
    axes[0, 0].figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)


FIGURES = (
    Figure(
        "roughness",
        "Local roughness of two ReLU nodes against the width τ of the importance. With α frozen (blue) measurement "
        "and closed form agree, and a narrow Gaussian is far smoother than the uniform importance (vermillion). With "
        "α recomputed as w moves (dashed) it is not: the drift of α is rough itself, and the theorem does not speak "
        "of it.",
        _draw,
        (1, 2),
        (7.2, 3.2),
        needs=("uniform", "frozen", "recomputed"),
    ),
)
