"""Linear networks learn one direction: contrastive learning is PCA of C_α.

Claim: With a linear network, deep or not, maximising E_α finds the top eigenvector of the contrastive covariance. All K
linear nodes converge to it, so more nodes do not help.
Source: poster, "Linear activation" and "CL can be shown to perform like PCA"; arXiv 2201.12680, Theorems 3 and 4. The
optimum ½λ_max under layers of Frobenius norm 1 is derived.
Test: Linear networks of depth 1 to 5 with layers of norm 1 climb E_α from random starts; their energies against ½λ_max
of the literal double sum. Then 100 linear nodes climb from random starts on real images, with uniform and with Gaussian
importance; they are compared with the top eigenvector of C_α, found without them.
Refuted by: A depth whose energy ends above ½λ_max, or all of whose starts end below it; nodes in more than one group,
or at an angle with the top eigenvector.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alphacl_fast import Gaussian, Uniform, reference, theory
from alphacl_fast.experiments import _data, _deep_linear
from alphacl_fast.experiments._claim import Figure, Numbers, Result, Rule, largest
from alphacl_fast.experiments._settings import Settings
from alphacl_fast.experiments._style import CYCLE, absent, array, band, sheet
from alphacl_fast.theory.plots import draw_spectra

TITLE = "Linear networks: contrastive learning is PCA of C_α"
ORDER = 2
USES_DATA = True  # the images of --data
_DEPTHS = (1, 2, 3, 5)
_STEPS = 400
_SETS = ("digits", "fashion", "patches", "data")
_NODES = 100
_IMPORTANCES = ("uniform", "Gaussian")


def run(settings: Settings) -> Result:
    """Deep networks on generated data, nodes on images."""
    images = {name: settings.part(f"100 linear nodes, {name}", lambda n=name: _nodes(n, settings)) for name in _SETS}
    deep = settings.part("deep linear networks", lambda: _deep(settings))
    return settings.result({"deep": deep, "images": {k: v for k, v in images.items() if v}}, RULES, FIGURES)


def _deep(settings: Settings) -> Numbers:
    """E/(½λ_max) over the steps, depth by depth, from several starts; λ_max is that of the literal double sum."""
    rng = np.random.default_rng(settings.seed)
    n, d = 160, 10
    x = rng.standard_normal((n, d)) * np.linspace(2.0, 0.5, d)
    x_aug = x + 0.3 * rng.standard_normal((n, d))
    alpha = Gaussian(x[:, :3].copy(), tau=4.0)
    values, vectors = np.linalg.eigh(reference.contrastive_cov(x, x_aug, alpha))
    pair, weighed = settings.hooks.pairing(x, x_aug), settings.hooks.importance(alpha)
    cov = settings.hooks.contrastive_cov(*pair, weighed)
    found: Numbers = {"shares": {}, "alignment": {}}
    for depth in _DEPTHS:
        shares, alignment = [], []
        for _ in range(settings.pick(4, 10)):
            layers = _deep_linear.start(depth, d, rng)
            curve = []
            for _ in range(_STEPS):
                w = _deep_linear.product(layers, d)
                curve.append(0.5 * float(np.sum(w @ cov * w)))
                layers = _deep_linear.climb(layers, cov)
            w = _deep_linear.product(layers, d)
            curve.append(float(settings.hooks.energy(pair[0] @ w.T, pair[1] @ w.T, weighed)))
            shares.append(array(curve) / (values[-1] / 2))
            alignment.append(float(np.linalg.norm(w @ vectors[:, -1]) / np.linalg.norm(w)))
        found["shares"][str(depth)], found["alignment"][str(depth)] = shares, alignment
    return found


def _nodes(name: str, settings: Settings) -> Numbers:
    """Per importance: how many maxima the nodes found, their angles with the top eigenvector, pictures of both."""
    images = _data.images(name, settings, settings.pick(1000, 5000))
    x, x_aug = images.views(settings.seed)
    found: Numbers = {"title": images.title, "side": images.side, "samples": len(x)}
    first = _first_component(x)
    alphas = (Uniform(), Gaussian(first, 0.1 * float(first.var())))
    pair = settings.hooks.pairing(x, x_aug)
    for kind, alpha in zip(_IMPORTANCES, alphas, strict=True):
        cov = settings.hooks.contrastive_cov(*pair, settings.hooks.importance(alpha)).astype(np.float64)
        values, vectors = np.linalg.eigh(cov)
        ends = theory.find_local_maxima(
            x,
            x_aug,
            _NODES,
            activation="linear",
            alpha=alpha,
            max_iter=3000,
            gap=False,
            seed=settings.seed,
            progress=False,
        )
        cosines = np.minimum(np.abs(ends.weights.astype(np.float64) @ vectors[:, -1]), 1)
        middle = ends.weights * np.sign(ends.weights @ ends.weights[0])[:, None]
        found[kind] = {
            "maxima": ends.num_maxima,
            "converged": int(ends.converged.sum()),
            "degrees": np.degrees(np.arccos(cosines)),
            "eigenvalues": values[::-1],
            "reached": float(np.median(ends.eigenvalue)),
            "eigenvector": (vectors[:, -1] * np.sign(vectors[:, -1] @ ends.weights[0])).astype(np.float32),
            "pattern": middle.mean(0),
        }
    return found


def _first_component(x: np.ndarray) -> np.ndarray:
    """Scores of the first principal component, the feature of the Gaussian importance."""
    centred = x - x.mean(0)
    return (centred @ np.linalg.eigh(centred.T @ centred)[1][:, -1]).astype(np.float32)


def _ends(numbers: Numbers, pick: Any) -> float | None:
    if numbers["deep"] is None:
        return None
    return float(pick(array(list(numbers["deep"]["shares"].values()))[:, :, -1]))


def _worst(numbers: Numbers, name: str, measure: Any) -> float | None:
    """Over both importances of one set."""
    found = numbers["images"].get(name)
    return None if found is None else largest(measure(found[kind]) for kind in _IMPORTANCES)


def _rules_of(name: str, title: str) -> tuple[Rule, Rule]:
    return (
        Rule(
            f"one maximum, {name}",
            f"{title}: number of maxima that {_NODES} linear nodes find, the most of both importances",
            lambda n: _worst(n, name, lambda found: found["maxima"]),
            "=",
            1,
        ),
        Rule(
            f"top eigenvector, {name}",
            f"{title}: largest angle of a node with the top eigenvector of C_α, degrees",
            lambda n: _worst(n, name, lambda found: largest(found["degrees"])),
            "<",
            2.0,
        ),
    )


RULES = (
    Rule(
        "not above",
        "the energy of no deep linear network ends above ½λ_max(C_α), the highest share, less 1",
        lambda n: _ends(n, lambda shares: shares.max() - 1),
        "<",
        1e-9,
    ),
    Rule(
        "optimum reached",
        "each depth's best start reaches ½λ_max(C_α), the share of the worst depth",
        lambda n: _ends(n, lambda shares: shares.max(axis=1).min()),
        ">",
        0.999,
    ),
    *_rules_of("digits", "digits"),
    *_rules_of("fashion", "Fashion-MNIST"),
    *_rules_of("patches", "patches of photographs"),
    *_rules_of("data", "patches of the images of --data"),
)


def _draw_deep(axes: Any, numbers: Numbers) -> None:
    steps = np.arange(_STEPS + 1)
    for index, (depth, runs) in enumerate(numbers["deep"]["shares"].items()):
        band(axes[0, 0], steps + 1, runs, label=f"depth {depth}", colour=CYCLE[index])
    axes[0, 0].axhline(1, color="black", linestyle=":", linewidth=1)
    axes[0, 0].text(1.1, 1.02, "the top eigenvector of $C_\\alpha$", size=7)
    axes[0, 0].set(xscale="log", xlabel="steps", ylabel="energy, share of $\\lambda_{max}/2$", ylim=(None, 1.12))
    axes[0, 0].legend(loc="lower right")


def _draw_images(axes: Any, numbers: Numbers) -> None:
    for column, name in zip(axes.T, _SETS, strict=True):
        found = numbers["images"].get(name)
        if found is None:
            absent(column[0], name)
            column[1].set_axis_off()
            continue
        rows = [found[kind][what] for kind in _IMPORTANCES for what in ("eigenvector", "pattern")]
        captions = [f"{what}, {kind}" for kind in ("unif.", "Gauss.") for what in ("PCA", "nodes")]
        sheet(column[0], rows, tuple(found["side"]), captions, columns=2)
        column[0].set_title(f"{found['title']}\nN = {found['samples']}")
        lines = draw_spectra(column[1], {kind: found[kind]["eigenvalues"] for kind in _IMPORTANCES})
        for line, kind in zip(lines, _IMPORTANCES, strict=True):
            line.set(marker="")
            column[1].plot([1], [found[kind]["reached"]], "o", color=line.get_color(), markerfacecolor="white")


FIGURES = (
    Figure(
        "deep",
        "Energy of deep linear networks, as a share of ½λ_max(C_α), from random starts (bands: from the least to the "
        "greatest). Every depth climbs to 1 and none above it: the network becomes the top eigenvector.",
        _draw_deep,
        size=(4.6, 2.8),
        needs=("deep",),
    ),
    Figure(
        "images",
        f"What {_NODES} linear nodes learn on real images. Top: the top eigenvector of C_α, computed by an "
        "eigensolver (PCA), and the mean of all nodes: the same image, for uniform and for Gaussian importance. "
        "Bottom: the spectrum of C_α; the circle is the eigenvalue at which the nodes ended.",
        _draw_images,
        (2, 4),
        (7.2, 3.9),
        needs=("images",),
    ),
)
