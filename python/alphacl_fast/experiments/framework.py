"""α-CL is one framework: the losses differ in their pairwise importance alone.

Claim: Training with a contrastive loss is gradient ascent on the energy E_α, with α recomputed at each step and held
constant in the gradient. α comes from a minimisation with a regulariser (entropy, which gives InfoNCE's, or square), or
is given directly.
Source: poster, "α-CL: a unified framework"; arXiv 2201.12680, Theorems 1 and 2 (the factor −2N² is derived).
Test: The gradients of eight losses, by automatic differentiation of their literal formulas, against −2N² times the
gradient of the energy. InfoNCE's α against feasible changes of it, and against mirror descent on the objective with
entropy; the projection on the simplex against feasible changes, and by the conditions of a minimum with the square. One
encoder trained on digits four ways from the same start: by InfoNCE as a loss, by α-CL with the entropy's minimiser,
with the square's, with α given directly; a linear probe says what each learned.
Refuted by: A gradient that differs by more than rounding; a feasible change of α that lowers its objective;
trajectories of loss and α-CL that part; an α of the three whose gain over the encoder before training is below two
standard errors, or which ends at chance.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from alphacl_fast import Direct, SquareRegularized, datasets, reference
from alphacl_fast._optional import require
from alphacl_fast.experiments._claim import Figure, Numbers, Result, Rule, largest, least
from alphacl_fast.experiments._seeds import MARGIN, in_standard_errors
from alphacl_fast.experiments._settings import Settings
from alphacl_fast.experiments._style import CYCLE, array, band

TITLE = "One framework: a loss is an energy with an importance"
ORDER = 1
_TAU = 0.3
_SQUARE_TAU = 1.0
_CHANGES = 12  # of a minimiser
_WAYS = ("InfoNCE, the loss", "α-CL, entropy", "α-CL, square", "α-CL, direct")


def run(settings: Settings) -> Result:
    """The three parts of the test."""
    return settings.result(
        {
            "gradients": settings.part("gradients of eight losses", lambda: _gradients(settings)),
            "minimisers": settings.part("α as a minimiser", lambda: _minimisers(settings)),
            "training": settings.part("four trainings on digits", lambda: _training(settings)),
        },
        RULES,
        FIGURES,
    )


# Eight losses.


def _literal(torch: Any) -> dict[str, tuple[Any, Any]]:
    """name -> (loss of the package, L as a function of x_ij = d_i² − d_ij² with the pairs j ≠ i)."""
    from alphacl_fast import losses

    def total(phi: Any, psi: Any) -> Any:
        return lambda x, mask: phi((psi(x) * mask).sum(1)).sum()

    exp, log, relu = torch.exp, torch.log, torch.relu
    return {
        "InfoNCE": (losses.InfoNCE(tau=_TAU), total(lambda s: _TAU * log(1 + s), lambda x: exp(x / _TAU))),
        "MINE": (losses.MINE(), total(log, exp)),
        "Triplet": (losses.Triplet(0.5), total(lambda s: s, lambda x: relu(x + 0.5))),
        "SoftTriplet": (losses.SoftTriplet(0.4, 0.2), total(lambda s: 0.4 * log(1 + s), lambda x: exp(x / 0.4 + 0.2))),
        "NTuplet": (losses.NTuplet(), total(lambda s: log(1 + s), exp)),
        "Lifted": (losses.LiftedStructured(1.0), total(lambda s: relu(log(s)) ** 2, lambda x: exp(x + 1.0))),
        "ModifiedTriplet": (losses.ModifiedTriplet(2.0), total(lambda s: s, lambda x: torch.sigmoid(2.0 * x))),
        "Quadratic": (losses.Quadratic(), total(lambda s: s, lambda x: x)),
    }


def _gradients(settings: Settings) -> Numbers:
    """Of each loss and of −2N² E, at the features of a two-layer network, with respect to its weights."""
    torch = settings.torch()
    generator = torch.Generator().manual_seed(settings.seed)
    n = 64

    def normal(*shape: int) -> Any:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x = normal(n, 6)
    x_aug = x + 0.3 * normal(n, 6)
    theta = [normal(12, 6) / math.sqrt(6), normal(5, 12) / math.sqrt(12)]
    for weight in theta:
        weight.requires_grad_()

    def features(view: Any) -> Any:
        return torch.relu(view @ theta[0].T) @ theta[1].T

    mask = 1 - torch.eye(n, dtype=torch.float64)
    found: Numbers = {}
    for name, (loss, literal) in _literal(torch).items():
        z, z_aug = features(x), features(x_aug)
        d2 = 0.5 * (z[:, None] - z[None]).square().sum(-1)
        value = literal((0.5 * (z - z_aug).square().sum(1))[:, None] - d2, mask)
        pair = settings.hooks.pairing(z, z_aug)
        alpha = settings.hooks.importance(loss.importance(z.detach(), z_aug.detach()))
        energy = -2 * n * n * settings.hooks.energy(*pair, alpha)
        mine, theirs = (
            torch.cat([g.ravel() for g in torch.autograd.grad(e, theta, retain_graph=True)]).numpy()
            for e in (value, energy)
        )
        size = np.abs(mine).max()
        found[name] = {
            "error": float(np.linalg.norm(mine - theirs) / np.linalg.norm(mine)),
            "of_loss": mine / size,
            "of_energy": theirs / size,
        }
    return found


# Minimisers.


def _minimisers(settings: Settings) -> Numbers:
    """F(α) = Σ α_ij (d_ij² − d_i²) − R(α) about InfoNCE's α, R = τ entropy, and the square's, R = −τ/2 Σ α_ij²."""
    torch = settings.torch()
    from alphacl_fast.losses import InfoNCE

    rng = np.random.default_rng(settings.seed)
    n = 40
    z = rng.standard_normal((n, 4))
    z_aug = z + 0.4 * rng.standard_normal((n, 4))
    off = ~np.eye(n, dtype=bool)
    cost = (reference._squared_distances(z) / 2)[off].reshape(n, n - 1) - ((z - z_aug) ** 2).sum(1)[:, None] / 2
    views = torch.from_numpy(z), torch.from_numpy(z_aug)
    entropy, square = (
        np.asarray(settings.hooks.importance(alpha).to_dense())[off].reshape(n, n - 1)
        for alpha in (InfoNCE(tau=_TAU).importance(*views), SquareRegularized(z, tau=_SQUARE_TAU))
    )
    return {"entropy": _entropy_minimiser(entropy, cost, rng), "square": _square_minimiser(square, cost, rng)}


def _entropy_minimiser(alpha: np.ndarray, cost: np.ndarray, rng: np.random.Generator) -> Numbers:
    """Among α ≥ 0 with the row sums of the given one, which is positive: all feasible changes go both ways."""
    sums = alpha.sum(1, keepdims=True)

    def objective(a: np.ndarray) -> float:
        return float((a * cost).sum() + _TAU * np.where(a > 0, a * np.log(np.maximum(a, 1e-300)), 0).sum())

    mirror = sums * np.ones(alpha.shape) / alpha.shape[1]
    for _ in range(200):  # exponentiated gradient: α ← α^{1/2} e^{−cost/2τ}, to the row's sum
        mirror = np.sqrt(mirror) * np.exp(-(cost - cost.min(1, keepdims=True)) / (2 * _TAU))
        mirror *= sums / mirror.sum(1, keepdims=True)
    steps = np.linspace(-1, 1, 41)
    curves = []
    for _ in range(_CHANGES):
        way = alpha * rng.standard_normal(alpha.shape)
        way -= alpha * (way.sum(1, keepdims=True) / sums)  # the sums of rows stay
        way *= 0.9 / np.abs(way / alpha).max()  # and no entry becomes negative
        curves.append([objective(alpha + t * way) - objective(alpha) for t in steps])
    return {
        "steps": steps,
        "curves": curves,
        "lowest_change": float(np.min(curves)),
        "distance_to_mirror_descent": float(np.abs(mirror - alpha).max() / np.abs(alpha).max()),
    }


def _square_minimiser(alpha: np.ndarray, cost: np.ndarray, rng: np.random.Generator) -> Numbers:
    """Among α ≥ 0 with row sums 1: towards random points of the simplex, and the conditions of Karush, Kuhn and Tucker.

    With slope g_ij = d_ij² − d_i² + τ α_ij they are g_ij = min_j g_ij wherever α_ij > 0.
    """

    def objective(a: np.ndarray) -> float:
        return float((a * cost).sum() + _SQUARE_TAU / 2 * (a**2).sum())

    slope = cost + _SQUARE_TAU * alpha
    above = np.where(alpha > 0, slope - slope.min(1, keepdims=True), 0)
    steps = np.linspace(0, 1, 21)
    curves = []
    for _ in range(_CHANGES):
        # Points near the support, where the objective is almost as low, and points anywhere.
        way = rng.dirichlet(np.full(alpha.shape[1], 0.5), len(alpha)) * (alpha > 0 if rng.integers(2) else 1)
        way = way / way.sum(1, keepdims=True) - alpha
        curves.append([objective(alpha + t * way) - objective(alpha) for t in steps])
    return {
        "steps": steps,
        "curves": curves,
        "lowest_change": float(np.min(curves)),
        "infeasible": largest([np.abs(alpha.sum(1) - 1).max(), -alpha.min()]),
        "condition": float(above.max() / np.abs(slope).max()),
        "zeros": float((alpha == 0).mean()),
    }


# Training.


def _training(settings: Settings) -> Numbers:
    """Probe accuracies over the steps, (seeds, steps) per way, and how far apart loss and α-CL are."""
    torch = settings.torch()
    x, y, x_test, y_test = _digits_split(torch)
    steps = settings.pick(36, 600)
    seeds = range(settings.seed, settings.seed + 3)
    ends: dict[str, list[Any]] = {}
    found: Numbers = {"steps": list(range(0, steps + 1, steps // 6)), "accuracy": {}, "asked": len(y_test)}
    found["chance"] = 100 * float(torch.bincount(y_test).max()) / len(y_test)
    found["error_of_gain"] = {}  # standard error that the choice of test images leaves
    for way in _WAYS:
        runs = [_train(torch, way, x, y, x_test, y_test, steps, seed, settings) for seed in seeds]
        right = np.stack([answers for answers, _ in runs])  # (seeds, steps, images)
        found["accuracy"][way] = 100 * right.mean(2)
        gains = (right[:, -1].astype(float) - right[:, 0]).mean(0)
        found["error_of_gain"][way] = 100 * gains.std(ddof=1) / math.sqrt(len(gains))
        ends[way] = [end for _, end in runs]
    apart = [(a - b).norm() / a.norm() for a, b in zip(ends[_WAYS[0]], ends[_WAYS[1]], strict=True)]
    found["loss_and_entropy_apart"] = largest(map(float, apart))
    found["same_step_apart"] = _one_step_apart(torch, x, settings)
    return found


def _digits_split(torch: Any) -> tuple[Any, ...]:
    labels = require("sklearn.datasets", package="scikit-learn").load_digits().target
    x, y = torch.from_numpy(datasets.load_digits()).double(), torch.from_numpy(labels).long()
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(x)))
    known, asked = order[:1200], order[1200:]
    return x[known], y[known], x[asked], y[asked]


def _loss_of(way: str, settings: Settings) -> Any:
    from alphacl_fast.losses import AlphaCLLoss, InfoNCE

    entropy = InfoNCE(tau=0.1)
    alphas = {
        "α-CL, entropy": entropy.importance,
        "α-CL, square": lambda z, z_aug: SquareRegularized(z, tau=0.1),
        "α-CL, direct": lambda z, z_aug: Direct(z, p=4, tau=0.1),
    }
    if way == _WAYS[0]:
        return entropy
    return AlphaCLLoss(lambda z, z_aug: settings.hooks.importance(alphas[way](z, z_aug)))


def _encoder(torch: Any, seed: int) -> Any:
    torch.manual_seed(seed)
    nn = torch.nn
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32)).double()


def _features(torch: Any, encoder: Any, x: Any, generator: Any) -> tuple[Any, Any]:
    """Features of length 1 of two views: noise, and a contrast of its own."""
    views = []
    for _ in range(2):
        contrast = 0.5 + torch.rand(len(x), 1, generator=generator, dtype=x.dtype)
        view = x * contrast + 0.25 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
        views.append(torch.nn.functional.normalize(encoder(view), dim=1))
    return views[0], views[1]


def _train(
    torch: Any, way: str, x: Any, y: Any, x_test: Any, y_test: Any, steps: int, seed: int, settings: Settings
) -> tuple[np.ndarray, Any]:
    """Whether the probe is right on each test image, at seven steps, and the weights at the end."""
    encoder, loss = _encoder(torch, seed), _loss_of(way, settings)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.5, momentum=0.9)
    answers = [_probe(torch, encoder, x, y, x_test, y_test)]
    for step in range(1, steps + 1):
        rows = torch.randint(len(x), (256,), generator=generator)
        pair = settings.hooks.pairing(*_features(torch, encoder, x[rows], generator))
        optimizer.zero_grad()
        loss(*pair).backward()
        optimizer.step()
        if step % (steps // 6) == 0:
            answers.append(_probe(torch, encoder, x, y, x_test, y_test))
    return np.stack(answers), torch.cat([p.detach().ravel() for p in encoder.parameters()])


def _one_step_apart(torch: Any, x: Any, settings: Settings) -> float:
    """Relative difference of the gradients of InfoNCE and of its α-CL on one batch of digits."""
    gradients = []
    for way in _WAYS[:2]:
        encoder, generator = _encoder(torch, settings.seed), torch.Generator().manual_seed(settings.seed)
        _loss_of(way, settings)(*_features(torch, encoder, x[:256], generator)).backward()
        gradients.append(torch.cat([p.grad.ravel() for p in encoder.parameters()]))
    return float((gradients[0] - gradients[1]).norm() / gradients[0].norm())


def _probe(torch: Any, encoder: Any, x: Any, y: Any, x_test: Any, y_test: Any) -> np.ndarray:
    """On which test images a ridge regression on the labels, from the features of length 1, is right."""
    with torch.no_grad():
        known, asked = (torch.nn.functional.normalize(encoder(part), dim=1) for part in (x, x_test))
        mean = known.mean(0)
        known, asked = known - mean, asked - mean
        gram = known.T @ known + 1e-3 * len(x) * known.var() * torch.eye(known.shape[1], dtype=x.dtype)
        target = torch.nn.functional.one_hot(y, 10).double() - 0.1
        found = (asked @ torch.linalg.solve(gram, known.T @ target)).argmax(1)
        return (found == y_test).numpy()


def _least(measure: Any) -> Any:
    """Of measure(training, name), in standard errors, the least of the three α."""

    def value(numbers: Numbers) -> float | None:
        training = numbers["training"]
        found = [] if training is None else [measure(training, way) for way in _WAYS[1:]]
        return None if training is None or None in found else least(found)

    return value


def _gain(training: Numbers, way: str) -> float | None:
    """Of the probe by training; seeds have an error, and the test images, which are the same for all seeds."""
    runs = array(training["accuracy"][way])
    return in_standard_errors(runs[:, -1] - runs[:, 0], training["error_of_gain"][way])


def _above_chance(training: Numbers, way: str) -> float | None:
    """Of the probe at the end, with the error of a guess."""
    chance = training["chance"]
    images = math.sqrt(chance * (100 - chance) / training["asked"])
    return in_standard_errors(array(training["accuracy"][way])[:, -1] - chance, images)


def _of(numbers: Numbers, part: str, *names: str) -> Any:
    return None if numbers[part] is None else functools.reduce(lambda found, name: found[name], names, numbers[part])


RULES = (
    Rule(
        "eight gradients",
        "∇L = −2N² ∇E with α held constant, the worst of eight losses, relative",
        lambda n: None if n["gradients"] is None else largest(g["error"] for g in n["gradients"].values()),
        "<",
        1e-10,
    ),
    Rule(
        "no change is lower",
        "no feasible change of InfoNCE's α lowers its regularised objective, the lowest change",
        lambda n: _of(n, "minimisers", "entropy", "lowest_change"),
        ">",
        -1e-9,
    ),
    Rule(
        "mirror descent",
        "mirror descent on the objective ends at InfoNCE's α, largest difference, relative",
        lambda n: _of(n, "minimisers", "entropy", "distance_to_mirror_descent"),
        "<",
        1e-8,
    ),
    Rule(
        "square, feasible",
        "rows of the square's α lie in the simplex: the largest distance of a sum from 1, or of an entry below 0",
        lambda n: _of(n, "minimisers", "square", "infeasible"),
        "<",
        1e-12,
    ),
    Rule(
        "square, condition",
        "there the slope of its objective is the row's least wherever α_ij > 0, the largest excess, relative",
        lambda n: _of(n, "minimisers", "square", "condition"),
        "<",
        1e-12,
    ),
    Rule(
        "square, no change is lower",
        "no change of the square's α within the simplex lowers its objective, the lowest change",
        lambda n: _of(n, "minimisers", "square", "lowest_change"),
        ">",
        -1e-9,
    ),
    Rule(
        "same step",
        "on digits InfoNCE and α-CL with its minimiser have the same gradient, relative difference",
        lambda n: _of(n, "training", "same_step_apart"),
        "<",
        1e-10,
    ),
    Rule(
        "same end",
        "trained by InfoNCE and by its α-CL, encoders end at the same weights, the largest relative difference",
        lambda n: _of(n, "training", "loss_and_entropy_apart"),
        "<",
        1e-6,
    ),
    Rule(
        "all three teach",
        "entropy, square and direct α: probe accuracy above that before training, in standard errors, the least",
        _least(_gain),
        ">",
        MARGIN,
    ),
    Rule(
        "above chance",
        "the same accuracy above the share of the most frequent class, in standard errors, the least",
        _least(_above_chance),
        ">",
        MARGIN,
    ),
)


def _draw_gradients(axes: Any, numbers: Numbers) -> None:
    left, right = axes[0]
    found = numbers["gradients"]
    for index, (name, gradient) in enumerate(found.items()):
        left.plot(
            gradient["of_loss"], gradient["of_energy"], "os^Dv<>p"[index], color=CYCLE[index], label=name, alpha=0.6
        )
    left.plot([-1, 1], [-1, 1], "-", color="0.6", zorder=0)
    left.set(xlabel="∂L/∂θ, of the largest", ylabel="−2N² ∂E/∂θ, of the largest", title="each point is a weight θ")
    left.set(xticks=(-1, 0, 1), yticks=(-1, 0, 1))
    left.legend(ncols=2, loc="upper left", handletextpad=0.2, columnspacing=0.6)
    errors = [max(gradient["error"], 1e-17) for gradient in found.values()]
    right.barh(list(found), errors, color=CYCLE[: len(errors)], left=1e-18)
    right.axvline(1e-10, color="black", linestyle="--", linewidth=0.9)
    right.text(1e-10, -0.8, "bound ", ha="right", va="center", size=7)
    right.set(xscale="log", xlim=(1e-18, 1e-4), xlabel="‖∇L + 2N²∇E‖ / ‖∇L‖", title="difference")
    right.invert_yaxis()


def _draw_minimisers(axes: Any, numbers: Numbers) -> None:
    for place, name, label in zip(axes[0], ("entropy", "square"), ("InfoNCE's α", "the projection"), strict=True):
        found = numbers["minimisers"][name]
        for curve in found["curves"]:
            place.plot(found["steps"], curve, color=CYCLE[0], alpha=0.5, linewidth=1)
        place.plot([0], [0], "o", color=CYCLE[1], label=label)
        place.axhline(0, color="0.7", linewidth=0.7, zorder=0)
        place.set(xlabel="step t along a change δ that keeps all row sums", title=f"regulariser: {name}")
        place.legend()
    axes[0, 0].set_ylabel("F(α + tδ) − F(α)")


def _draw_training(axes: Any, numbers: Numbers) -> None:
    found = numbers["training"]
    for index, way in enumerate(_WAYS):
        band(
            axes[0, 0],
            found["steps"],
            found["accuracy"][way],
            label=way,
            colour=CYCLE[index],
            style=("-", "--", "-", "-")[index],
        )
    axes[0, 0].set(xlabel="steps", ylabel="linear probe, % right")
    axes[0, 0].legend()


FIGURES = (
    Figure(
        "gradients",
        "Gradients of eight losses with respect to the weights of a two-layer ReLU network, against those of the "
        "energy with each loss's own importance held constant. Left: all points lie on the diagonal. Right: they "
        "differ by rounding.",
        _draw_gradients,
        (1, 2),
        needs=("gradients",),
    ),
    Figure(
        "minimiser",
        f"The regularised objectives along {_CHANGES} random feasible changes of α: each curve has its minimum at "
        "t = 0. Left: entropy, at InfoNCE's own α. Right: square, at the projection on the simplex, most of whose "
        "entries are 0, so that changes go one way.",
        _draw_minimisers,
        (1, 2),
        (7.2, 2.6),
        needs=("minimisers",),
    ),
    Figure(
        "training",
        "One encoder trained on scikit-learn's digits from the same start and batches. InfoNCE as a loss and α-CL "
        "with the entropy's minimiser lie on each other; the square's minimiser and the α given directly learn as "
        "well. Bands: from the least to the greatest seed.",
        _draw_training,
        size=(4.6, 2.8),
        needs=("training",),
    ),
)
