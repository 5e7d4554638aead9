"""Under a kernel importance the contrastive covariance is a sum of variances under adjusted densities.

Claim: For α_ij = Σ_l φ_l(x0_i) φ_l(x0_j), C_α[g] tends to Σ_l z_l² V_{p̃_l}[E_aug g], where p̃_l = p φ_l / z_l is an
adjusted density of the data. Augmentation enters by its mean alone.
Source: poster, "Connect C_α with regular variance"; arXiv 2206.01342, Lemma 1. The form without 0/0 is derived.
Test: A mixture of two Gaussians, three functions g of a noisy view, E_aug g in closed form and the right side by
quadrature. C_α of batches of growing size against it: the error should fall like N^(−1/2). On one batch the sum of the
first L terms against C_α: an identity, so the error should fall to rounding.
Refuted by: A slope of the error that is not −½; terms that do not add up to C_α of the same batch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from alphacl_fast import Gaussian, Uniform, theory
from alphacl_fast.experiments._claim import Figure, Numbers, Result, Rule, largest
from alphacl_fast.experiments._settings import Settings
from alphacl_fast.experiments._style import CYCLE, array, band

TITLE = "Kernel lemma: C_α is a sum of variances under adjusted densities"
ORDER = 3
_TAU = 0.5
_TAUS = (0.2, 0.5, 2.0)
_NOISE = 0.3  # of a view
_CENTRES, _WIDTHS, _SHARES = np.array([-1.0, 1.2]), np.array([0.5, 0.4]), np.array([0.45, 0.55])
_GRID = np.linspace(-4.5, 4.5, 1801)
_TERMS = 100


def run(settings: Settings) -> Result:
    """Errors against N, errors against the number of terms, the densities."""
    return settings.result(
        {
            "batches": settings.part("error against N", lambda: _batches(settings)),
            "terms": settings.part("error against terms", lambda: _terms(settings)),
            "densities": settings.part("adjusted densities", _densities),
        },
        RULES,
        FIGURES,
    )


def _density(u: np.ndarray) -> np.ndarray:
    """p(u) of the mixture."""
    z = (u[:, None] - _CENTRES) / _WIDTHS
    return (_SHARES * np.exp(-(z**2) / 2) / (_WIDTHS * math.sqrt(2 * math.pi))).sum(1)


def _sample(n: int, rng: np.random.Generator) -> np.ndarray:
    which = rng.choice(2, n, p=_SHARES)
    return _CENTRES[which] + _WIDTHS[which] * rng.standard_normal(n)


def _functions(x: np.ndarray) -> np.ndarray:
    """g(x) = (x, x², sin 3x): (N, 3)."""
    return np.stack([x, x**2, np.sin(3 * x)], 1)


def _mean_over_noise(u: np.ndarray) -> np.ndarray:
    """E_aug g at u, for views u + _NOISE · N(0, 1)."""
    return np.stack([u, u**2 + _NOISE**2, np.sin(3 * u) * math.exp(-9 * _NOISE**2 / 2)], 1)


def _limit(tau: float | None) -> np.ndarray:
    """Σ_l z_l E[φ_l ḡ ḡᵀ] − E[φ_l ḡ] E[φ_l ḡ]ᵀ, ḡ = E_aug g, by quadrature; tau None is uniform: one term, φ = 1."""
    weights = _density(_GRID) * (_GRID[1] - _GRID[0])
    phi = np.ones((len(_GRID), 1)) if tau is None else theory.kernel_features(_GRID, tau, _TERMS)
    g = _mean_over_noise(_GRID)
    z, first = weights @ phi, (weights[:, None] * phi).T @ g
    second = np.einsum("n,nl,na,nb->lab", weights, phi, g, g, optimize=True)
    return np.einsum("l,lab->ab", z, second) - first.T @ first


def _views(n: int, rng: np.random.Generator, settings: Settings) -> tuple[np.ndarray, ...]:
    """u of the samples, and g of both views."""
    u = _sample(n, rng)
    pair = settings.hooks.pairing(*(u + _NOISE * rng.standard_normal(n) for _ in range(2)))
    return u, _functions(pair[0]), _functions(pair[1])


def _batches(settings: Settings) -> Numbers:
    """Relative errors of C_α to its limit, (batches, sizes), and the slope of their root mean squares over N."""
    sizes = [2**k for k in range(6, settings.pick(13, 18), 2)]
    found: Numbers = {"sizes": sizes, "errors": {}, "slope": {}}
    for kind, tau in (("Gaussian", _TAU), ("uniform", None)):
        limit, rng = _limit(tau), np.random.default_rng([settings.seed, len(kind)])
        errors = []
        for _ in range(settings.pick(25, 60)):
            row = []
            for n in sizes:
                u, g, g_aug = _views(n, rng, settings)
                alpha = settings.hooks.importance(Uniform() if tau is None else Gaussian(u, tau))
                cov = settings.hooks.contrastive_cov(g, g_aug, alpha)
                row.append(np.linalg.norm(cov - limit) / np.linalg.norm(limit))
            errors.append(row)
        middle = np.sqrt((array(errors) ** 2).mean(0))
        found["errors"][kind] = errors
        found["slope"][kind] = float(np.polyfit(np.log(sizes), np.log(middle), 1)[0])
    return found


def _terms(settings: Settings) -> Numbers:
    """On one batch: ‖Σ_{l<L} − C_α‖/‖C_α‖ over L, for three τ."""
    u, g, g_aug = _views(2000, np.random.default_rng(settings.seed), settings)
    found: Numbers = {}
    for tau in _TAUS:
        sums = theory.kernel_decomposition(g, u, tau, _TERMS * 2, g_aug=g_aug).running_sum
        cov = settings.hooks.contrastive_cov(g, g_aug, settings.hooks.importance(Gaussian(u, tau)))
        found[str(tau)] = [float(np.linalg.norm(s - cov) / np.linalg.norm(cov)) for s in sums]
    return found


def _densities() -> Numbers:
    """p and p φ_l on a grid, and z_l."""
    grid = _GRID[::6]
    phi = theory.kernel_features(_GRID, _TAU, 9)
    z = (_density(_GRID) * (_GRID[1] - _GRID[0])) @ phi
    return {"u": grid, "p": _density(grid), "weighted": (_density(_GRID)[:, None] * phi)[::6].T, "z": z}


def _slope_off(kind: str) -> Any:
    return lambda n: None if n["batches"] is None else abs(n["batches"]["slope"][kind] + 0.5)


RULES = (
    Rule(
        "slope, Gaussian",
        "the error of C_α to the lemma's limit falls like N^(−1/2), Gaussian α: distance of the slope from −½",
        _slope_off("Gaussian"),
        "<",
        0.1,
    ),
    Rule(
        "slope, uniform", "the same for uniform α, whose limit is the plain variance", _slope_off("uniform"), "<", 0.1
    ),
    Rule(
        "all terms",
        "on one batch the terms of kernel_decomposition add up to C_α, the worst of three τ, relative",
        lambda n: None if n["terms"] is None else largest(errors[-1] for errors in n["terms"].values()),
        "<",
        1e-9,
    ),
)


def _draw_errors(axes: Any, numbers: Numbers) -> None:
    left, right = axes[0]
    found = numbers["batches"]
    for index, (kind, errors) in enumerate(found["errors"].items()):
        band(left, found["sizes"], errors, label=f"{kind} α, slope {found['slope'][kind]:.2f}", colour=CYCLE[index])
    guide = array(found["sizes"])
    left.plot(
        guide,
        1.5 * np.mean(array(found["errors"]["Gaussian"])[:, 0]) * np.sqrt(guide[0] / guide),
        ":",
        color="black",
        label="$N^{-1/2}$",
    )
    left.set(
        xscale="log",
        yscale="log",
        xlabel="samples N",
        ylabel="‖C_α[g] − limit‖, relative".replace("C_α", "$C_\\alpha$"),
    )
    left.legend()
    for index, (tau, errors) in enumerate(numbers["terms"].items()):
        right.semilogy(np.arange(1, len(errors) + 1), np.maximum(errors, 1e-17), color=CYCLE[index], label=f"τ = {tau}")
    right.axhline(1e-9, color="black", linestyle="--", linewidth=0.9)
    right.set(xlabel="terms L", ylabel="‖first L terms − $C_\\alpha$‖, relative")
    right.legend()


def _draw_densities(axes: Any, numbers: Numbers) -> None:
    found = numbers["densities"]
    for place, orders, title in (
        (axes[0, 0], (0, 2, 4, 8), "even l: $\\tilde p_l = p\\,\\phi_l/z_l$"),
        (axes[0, 1], (1, 3, 5), "odd l: $p\\,\\phi_l$"),
    ):
        if place is axes[0, 0]:
            place.fill_between(found["u"], found["p"], color="0.88", label="p")
        for index, order in enumerate(orders):
            scale = found["z"][order] if order % 2 == 0 else 1.0
            place.plot(
                found["u"],
                array(found["weighted"][order]) / scale,
                color=CYCLE[index],
                label=f"l = {order}, z = {found['z'][order]:.3f}",
            )
        place.set(xlabel="u", title=title, xlim=(-3, 3))
        place.axhline(0, color="0.6", linewidth=0.6)
        place.legend()
    axes[0, 0].set_ylabel("density")


FIGURES = (
    Figure(
        "errors",
        "Left: the difference between C_α of a batch and the limit of the lemma falls like N^(−1/2) (bands: all "
        "batches). Right: on one batch the sum over l reaches C_α to rounding; a narrow importance needs more terms.",
        _draw_errors,
        (1, 2),
        (7.2, 2.8),
        needs=("batches", "terms"),
    ),
    Figure(
        "densities",
        "The adjusted densities for τ = 0.5. Left: those of even l are densities; l = 0 keeps the data near 0, "
        "larger l move outwards: each term looks at another part of the data. Right: those of odd l change sign, so "
        "they are no densities and the lemma holds in the form without division.",
        _draw_densities,
        (1, 2),
        (7.2, 2.6),
        needs=("densities",),
    ),
)
