"""One nonlinear layer: each node maximises wᵀA(w)w, A the contrastive covariance of what its gate lets through.

Claim: For a homogeneous activation h(u) = h'(u)u, C_α[h(wᵀx)] = wᵀA(w)w with A(w) = C_α[x̃ʷ] and x̃ʷ = x h'(wᵀx), the
gated data. A layer of K nodes is K independent problems: tr C_α[f] = Σ_k w_kᵀA(w_k)w_k.
Source: poster, "1-layer nonlinear network". The factor q² for monomials h = u^q is derived.
Test: Both sides for five activations and four importances at random weights, against the literal double sum; the energy
of a layer against the sum over its nodes; a layer that climbs as one against nodes that climb alone. On data in two
dimensions the energy of every direction is drawn, and its maxima are compared with those that nodes find.
Refuted by: A difference beyond rounding; nodes that end elsewhere alone than together; a maximum of the drawn energy
where no node ends, or a node that ends where there is none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alphacl_fast import Dense, Gaussian, LeakyReLU, Monomial, NodeGaussian, Uniform, gated_cov, reference, theory
from alphacl_fast.experiments._claim import Figure, Numbers, Result, Rule, largest
from alphacl_fast.experiments._settings import Settings
from alphacl_fast.experiments._style import CYCLE, array

TITLE = "One layer: every node maximises wᵀA(w)w on its gated data"
ORDER = 4
_ACTIVATIONS: dict[str, Any] = {
    "linear": "linear",
    "ReLU": "relu",
    "leaky ReLU": LeakyReLU(0.2),
    "u²": Monomial(2),
    "u³": Monomial(3),
}
_TAU = 0.7
_DIRECTIONS = 720


def run(settings: Settings) -> Result:
    """The identities, the independence of nodes, and a landscape."""
    return settings.result(
        {
            "identity": settings.part("wᵀA(w)w = c² C_α[h]", lambda: _identity(settings)),
            "layer": settings.part("energy of a layer", lambda: _layer(settings)),
            "landscape": settings.part("energy of every direction", lambda: _landscape(settings)),
        },
        RULES,
        FIGURES,
    )


def _importances(x: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "uniform": Uniform(),
        "Gaussian": Gaussian(x[:, :2].copy(), _TAU),
        "node Gaussian": NodeGaussian(_TAU),
        "any matrix": Dense(rng.uniform(-0.3, 1, (len(x), len(x)))),
    }


def _identity(settings: Settings) -> Numbers:
    """Relative differences to the literal c² C_α[h(wᵀx)], the worst node's: of A from gated data, of gated_cov."""
    rng = np.random.default_rng(settings.seed)
    n, d, count = 90, 6, 5
    x = rng.standard_normal((n, d))
    x_aug = x + 0.4 * rng.standard_normal((n, d))
    weights = rng.standard_normal((count, d))
    pair = settings.hooks.pairing(x, x_aug)
    found: Numbers = {}
    for title, activation in _ACTIVATIONS.items():
        degree = getattr(activation, "q", 1)
        for name, alpha in _importances(x, rng).items():
            layer = gated_cov(*pair, weights, activation=activation, alpha=alpha)
            errors = []
            for w, a in zip(weights, layer, strict=True):
                outputs, others = (reference.activate(activation, view @ w)[:, None] for view in (x, x_aug))
                own = Gaussian(outputs[:, 0].copy(), _TAU) if name == "node Gaussian" else alpha
                truth = degree**2 * 2 * reference.energy(outputs, others, own)
                gated = [view * reference.gate(activation, view @ w)[:, None] for view in pair]
                mine = settings.hooks.contrastive_cov(*gated, settings.hooks.importance(own))
                errors.append([abs(w @ mine @ w - truth) / abs(truth), abs(w @ a @ w - truth) / abs(truth)])
            found[f"{title}, {name}"] = np.max(errors, axis=0)
    return found


def _layer(settings: Settings) -> Numbers:
    """Of a layer of ReLU nodes: its energy against the sum over the nodes, and what climbing together changes."""
    rng = np.random.default_rng(settings.seed)
    n, d, count = 400, 8, 12
    x = rng.standard_normal((n, d))
    x_aug = x + 0.3 * rng.standard_normal((n, d))
    alpha = Gaussian(x[:, 0].copy(), 1.0)
    weights = rng.standard_normal((count, d))
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    pair = settings.hooks.pairing(x, x_aug)
    outputs = [reference.activate("relu", view @ weights.T) for view in pair]
    whole = 2 * float(settings.hooks.energy(*outputs, settings.hooks.importance(alpha)))
    layer = gated_cov(x, x_aug, weights, alpha=alpha)
    nodes = np.einsum("ka,kab,kb->k", weights, layer, weights)
    together = theory.find_local_maxima(x, x_aug, alpha=alpha, weights0=weights, gap=False, progress=False)
    alone = [
        theory.find_local_maxima(x, x_aug, alpha=alpha, weights0=w[None], gap=False, progress=False).weights[0]
        for w in weights
    ]
    return {
        "nodes": nodes,
        "whole": whole,
        "sum_error": abs(whole - nodes.sum()) / abs(whole),
        "alone_apart": float(np.abs(together.weights - alone).max()),
    }


def _cloud(rng: np.random.Generator) -> np.ndarray:
    """Three clusters in the plane, more than a right angle apart."""
    angles = np.radians([20.0, 140.0, 255.0])
    lengths = np.array([2.2, 1.7, 1.9])
    centres = lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    return np.repeat(centres, 200, axis=0) + 0.3 * rng.standard_normal((600, 2))


def _landscape(settings: Settings) -> Numbers:
    """wᵀA(w)w of all directions of the plane, its maxima, and where nodes end, linear and ReLU."""
    rng = np.random.default_rng(settings.seed)
    x = _cloud(rng)
    x_aug = x + 0.1 * rng.standard_normal(x.shape)
    angles = np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS)
    directions = np.stack([np.cos(angles), np.sin(angles)], 1)
    found: Numbers = {"x": x.astype(np.float32), "degrees": np.degrees(angles), "kinds": {}}
    for activation in ("linear", "relu"):
        values = []
        for w in directions:
            gated = [v * reference.gate(activation, v @ w)[:, None] for v in settings.hooks.pairing(x, x_aug)]
            values.append(w @ settings.hooks.contrastive_cov(*gated, settings.hooks.importance(Uniform())) @ w)
        curve = array(values)
        peaks = np.flatnonzero((curve > np.roll(curve, 1)) & (curve >= np.roll(curve, -1)))
        ends = theory.find_local_maxima(
            x, x_aug, 200, activation=activation, gap=False, seed=settings.seed, progress=False
        )
        at = np.degrees(np.arctan2(ends.weights[:, 1], ends.weights[:, 0])) % 360
        apart = np.abs((at[:, None] - np.degrees(angles[peaks]) + 180) % 360 - 180)
        found["kinds"][activation] = {
            "curve": curve,
            "peaks": np.degrees(angles[peaks]),
            "nodes": np.unique(np.round(at, 2)),
            "node_off_peak": float(apart.min(axis=1).max()),
            "peak_without_node": float(apart.min(axis=0).max()),
        }
    return found


def _of(part: str, measure: Any) -> Any:
    return lambda numbers: None if numbers[part] is None else float(measure(numbers[part]))


def _over_kinds(name: str) -> Any:
    return _of("landscape", lambda found: largest(kind[name] for kind in found["kinds"].values()))


RULES = (
    Rule(
        "gated data",
        "wᵀC_α[x̃ʷ]w = c² C_α[h(wᵀx)], the worst of 20 cases, relative",
        _of("identity", lambda n: largest(e[0] for e in n.values())),
        "<",
        1e-9,
    ),
    Rule(
        "gated_cov",
        "gated_cov gives that A(w), the worst of 20 cases, relative",
        _of("identity", lambda n: largest(e[1] for e in n.values())),
        "<",
        1e-9,
    ),
    Rule(
        "sum over nodes",
        "tr C_α[f] = Σ_k w_kᵀA(w_k)w_k, relative difference",
        _of("layer", lambda n: n["sum_error"]),
        "<",
        1e-10,
    ),
    Rule(
        "independent",
        "a node ends at the same weights alone and in a layer, largest difference",
        _of("layer", lambda n: n["alone_apart"]),
        "<",
        1e-6,
    ),
    Rule(
        "nodes at maxima",
        "in the plane every node ends at a maximum of wᵀA(w)w, the furthest, degrees",
        _over_kinds("node_off_peak"),
        "<",
        2.0,
    ),
    Rule(
        "maxima have nodes",
        "in the plane every maximum is found by a node, the furthest, degrees",
        _over_kinds("peak_without_node"),
        "<",
        2.0,
    ),
)


def _draw_identity(axes: Any, numbers: Numbers) -> None:
    names = list(numbers["identity"])
    errors = np.maximum(array(list(numbers["identity"].values())), 1e-18)
    place = np.arange(len(names))
    axes[0, 0].plot(errors[:, 0], place, "o", color=CYCLE[0], label="gated data, then $C_\\alpha$")
    axes[0, 0].plot(errors[:, 1], place, "x", color=CYCLE[1], label="gated_cov")
    axes[0, 0].axvline(1e-9, color="black", linestyle="--", linewidth=0.9)
    axes[0, 0].set(yticks=place, yticklabels=names, xscale="log", xlim=(1e-18, 1e-7))
    axes[0, 0].set(xlabel="$|w^T A(w)w - c^2 C_\\alpha[h(w^T x)]|$, relative")
    axes[0, 0].tick_params(axis="y", labelsize=6)
    axes[0, 0].invert_yaxis()
    axes[0, 0].figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    found = numbers["layer"]
    axes[0, 1].bar(range(1, len(found["nodes"]) + 1), found["nodes"], color=CYCLE[0], label="$w_k^T A(w_k) w_k$")
    axes[0, 1].step(
        np.arange(len(found["nodes"]) + 1) + 0.5, np.cumsum([0, *found["nodes"]]), color=CYCLE[4], label="their sum"
    )
    axes[0, 1].axhline(
        found["whole"], color=CYCLE[1], linestyle="--", label="$\\mathrm{tr}\\, C_\\alpha[f]$ of the layer"
    )
    axes[0, 1].set(xlabel="node k", ylabel="energy", ylim=(0, 1.35 * found["whole"]))
    axes[0, 1].legend(loc="upper left", ncols=2)


def _draw_landscape(axes: Any, numbers: Numbers) -> None:
    found = numbers["landscape"]
    points, best = array(found["x"]), np.radians(_best(found))
    w = np.array([np.cos(best), np.sin(best)])
    left, right = axes[0]
    is_open = points @ w > 0
    left.plot(*points[~is_open].T, ".", color="0.75", markersize=3, label="gate closed: x̃ = 0")
    left.plot(*points[is_open].T, ".", color=CYCLE[4], markersize=3, label="gate open: x̃ = x")
    left.annotate("", xy=2.6 * w, xytext=(0, 0), arrowprops={"arrowstyle": "-|>", "color": "black"})
    left.text(*(2.9 * w), "w", ha="center", va="center")
    edge = 3 * np.array([-w[1], w[0]])
    left.plot(*np.stack([-edge, edge], axis=1), ":", color="0.4", linewidth=1)
    left.set(
        aspect="equal",
        xlim=(-3.2, 3.2),
        ylim=(-3.2, 4.2),
        xlabel="$x_1$",
        ylabel="$x_2$",
        title="gated data of one ReLU node",
    )
    left.legend(loc="upper center", ncols=2, handletextpad=0.1, columnspacing=0.5)
    for kind, colour, title in zip(found["kinds"].values(), CYCLE, ("linear", "ReLU"), strict=False):
        right.plot(found["degrees"], kind["curve"], color=colour, label=f"{title}: {len(kind['peaks'])} maxima")
        heights = np.interp(kind["nodes"], found["degrees"], kind["curve"])
        right.plot(kind["nodes"], heights, "o", color=colour, markerfacecolor="white")
    right.set(
        xlabel="direction of w, degrees",
        ylabel="$w^T A(w) w$",
        xticks=range(0, 361, 90),
        title="energy of every direction; ○ where nodes end",
    )
    right.set_ylim(0, 1.25 * max(max(kind["curve"]) for kind in found["kinds"].values()))
    right.legend(loc="upper center", ncols=2)


def _best(found: Numbers) -> float:
    """The direction of highest energy, degrees."""
    return float(found["degrees"][int(np.argmax(found["kinds"]["relu"]["curve"]))])


FIGURES = (
    Figure(
        "landscape",
        "Left: three clusters, and what the gate of one ReLU node lets through. Right: wᵀA(w)w of all directions. "
        "The linear node has one maximum and its mirror image; the ReLU node has more, since A changes with w. "
        "Circles, where 200 nodes ended, lie on the maxima.",
        _draw_landscape,
        (1, 2),
        (7.2, 3.1),
        needs=("landscape",),
    ),
    Figure(
        "identity",
        "Left: the identity holds to rounding for every activation and importance (dashed: the bound). Right: the "
        "energy of a layer of 12 ReLU nodes is the sum of the energies of its nodes.",
        _draw_identity,
        (1, 2),
        (7.2, 3.4),
        needs=("identity", "layer"),
    ),
)
