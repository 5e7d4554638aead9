"""Case 18: the gradient of λ_max(C_α), or of the gap below it, beside C_α itself.

Goal: at most 1.2 times the price of forming C_α.
"""

import numpy as np

from benchmarks import truth
from benchmarks.cases import gaussian
from benchmarks.harness import VARIANT, Case, Goal, Provider, Work, one_at_a_time, ours
from benchmarks.inputs import item_bytes

_COUNTS = {"top_eigenvalue": 1, "spectral_gap": 2}


def exact(inputs, sizes) -> np.ndarray:
    """dλ/dx_i = 1/N² [2 Σ_j α_ij (p_i − p_j) − (Σ_j α_ij)(p_i − p'_i)] vᵀ, p = x·v, in float64."""
    x, x_aug, f = (inputs[name].astype(np.float64) for name in ("x", "x_aug", "features"))
    n, tau = len(x), sizes["tau"]
    v = np.linalg.eigh(truth.gaussian(x, x_aug, f, tau))[1][:, : -1 - _COUNTS[sizes["of"]] : -1]
    p, half = (x - x.mean(0)) @ v, 0.5 * (f * f).sum(1)
    slope = np.empty(p.shape)
    for rows in truth.blocks(n):
        alpha = np.exp((f[rows] @ f.T - half[rows, None] - half) / tau)
        sums = alpha.sum(1)[:, None]
        slope[rows] = 2 * (sums * p[rows] - alpha @ p) - sums * ((x[rows] - x_aug[rows]) @ v)
    slope[:, 1:] *= -1  # the gap's second eigenvalue
    return slope @ v.T / n**2


def work(sizes):
    """N² m for the entries of α and N²/2 exponentials; N² for their sums, 2 N² for the product with each of k columns;
    4 N d k for x·v of two views, 2 N d (2k − 1) for the two results."""
    n, d, m, k = sizes["N"], sizes["d"], sizes["m"], _COUNTS[sizes["of"]]
    operations = n * n * (m + 1.0 + 2.0 * k) + 2.0 * n * d * (4 * k - 1)
    return Work(operations, item_bytes(sizes) * n * (4.0 * d + m), exps=0.5 * n * n)


def prepare(inputs, sizes):
    import torch

    import alphacl_fast as acl

    x, x_aug = (torch.from_numpy(inputs[name]).requires_grad_() for name in ("x", "x_aug"))
    alpha = acl.Gaussian(torch.from_numpy(inputs["features"]), sizes["tau"])
    value = getattr(acl.theory, sizes["of"])(x, x_aug, alpha)

    def call():
        gradient, _ = torch.autograd.grad(value, (x, x_aug), retain_graph=True)
        return gradient.numpy()

    return call


def form(inputs, sizes):
    """C_α, which is no gradient: its error means nothing."""
    call, nothing = gaussian.prepare(inputs, sizes), np.zeros(inputs["x"].shape)

    def formed():
        call()
        return nothing

    return formed


SIZES = {**gaussian.SIZES, "N": 4096, "of": "top_eigenvalue"}

CASE = Case(
    number=18,
    name="top-eigenvalue-gradient",
    title="gradient of theory.top_eigenvalue, Gaussian on features",
    sizes=SIZES,
    small={**SIZES, "N": 192, "d": 16, "m": 8},
    make=gaussian.make,
    truth=exact,
    work=work,
    providers=(*ours(prepare), Provider("forming C", VARIANT, form, ("alphacl_fast",))),
    goals=(Goal("speedup", 1 / 1.2, "forming C"),),
    sweep=one_at_a_time(SIZES, of=("spectral_gap",), N=(1024,), d=(64, 8)),
)
