"""NaN or infinity in one entry: not finite comes out where the definition is not, and everything ends."""

import numpy as np

import alphacl_fast as acl

from .alphas import importance
from .case import HAS_TORCH
from .data import laid_out, numpy_of, size, values
from .judge import check
from .nodes import activation, nodes


def _spoil(case, a, bad):
    a = np.array(a)
    a[tuple(int(case.rng.integers(0, s)) for s in a.shape)] = bad
    return a


def _views(case, bad):
    n, d = size(case, 300, 2), size(case, 33)
    x = np.asarray(values(case, "x", n, d, kinds=["normal", "integer", "clustered"])[0])
    x_aug = x + case.rng.standard_normal((n, d))
    which = case.pick(["x", "x_aug"])
    case.note(f"{bad} in {which}")
    spoilt = {"x": x, "x_aug": x_aug}
    spoilt[which] = _spoil(case, spoilt[which], bad)
    clean = np.nan_to_num(spoilt["x"], nan=0, posinf=0, neginf=0)
    return laid_out(case, "x", spoilt["x"]), laid_out(case, "x_aug", spoilt["x_aug"]), clean


def non_finite(case):
    bad = case.pick([np.nan, np.inf, -np.inf], [3, 1, 1])
    subject = case.pick([_covariance, _layer, _eigen, *([_losses] if HAS_TORCH else [])])
    with np.errstate(all="ignore"):
        subject(case, bad)


def _covariance(case, bad):
    x, x_aug, clean = _views(case, bad)
    alpha = importance(case, len(clean), clean, kinds=["none", "Gaussian", "Gaussian of scalars", "Direct", "Uniform"])
    c, e = numpy_of(acl.contrastive_cov(x, x_aug, alpha)), numpy_of(acl.energy(x, x_aug, alpha))
    check(not np.isfinite(c).all(), "contrastive_cov: finite")
    check(not np.isfinite(e), f"energy: {e}")


def _layer(case, bad):
    x, x_aug, clean = _views(case, np.nan)
    act = activation(case)
    k = size(case, 9)
    w = laid_out(case, "weights", nodes(case, "weights", k, clean.shape[1]))
    tau = case.power_of_ten(-4, 2)
    alpha = (
        acl.NodeGaussian(tau) if case.chance(0.5) else importance(case, len(clean), clean, kinds=["none", "Gaussian"])
    )
    matrices = numpy_of(acl.gated_cov(x, x_aug, w, activation=act, alpha=alpha))
    check(np.isnan(matrices).any(axis=(1, 2)).all(), "gated_cov: a node without NaN")
    products = numpy_of(acl.GatedCovariance(x, x_aug, w, activation=act, alpha=alpha).matmul(w))
    check(np.isnan(products).any(axis=1).all(), "GatedCovariance.matmul: a node without NaN")
    found = acl.theory.find_local_maxima(x, x_aug, k, activation=act, alpha=alpha, max_iter=5, progress=False)
    check(not numpy_of(found.converged).any(), "find_local_maxima: converged on NaN")
    check(not np.isfinite(numpy_of(found.energy)).any(), f"find_local_maxima: energy {found.energy}")


def _eigen(case, bad):
    d, count = size(case, 40), size(case, 5)
    a = case.rng.standard_normal((count, d, d))
    a = a + a.transpose(0, 2, 1)
    at = int(case.rng.integers(0, count))
    row = int(case.rng.integers(0, d))
    a[at, row, int(case.rng.integers(0, row + 1))] = bad
    method = case.pick(["lanczos", "power"])
    case.note(f"{count} x {d} x {d}, {bad}, {method}")
    found = acl.power_iteration(laid_out(case, "a", a), method=method, gap=True)
    others = np.arange(count) != at
    for part in (found.eigenvalue, found.eigenvector, found.residual):
        check(np.isnan(numpy_of(part)[at]).all(), f"power_iteration: {numpy_of(part)[at]} of a spoilt matrix")
        check(np.isfinite(numpy_of(part)[others]).all(), "power_iteration: another matrix is spoilt")
    check(not numpy_of(found.converged)[at], "power_iteration: converged on NaN")


def _losses(case, bad):
    case.torch = True
    x, x_aug, _ = _views(case, np.nan)
    tau = case.power_of_ten(-2, 1)
    losses = acl.losses
    name, loss = case.pick(
        [
            ("InfoNCE", losses.InfoNCE(tau=tau)),
            ("MINE", losses.MINE()),
            ("Triplet", losses.Triplet(margin=tau)),
            ("SoftTriplet", losses.SoftTriplet(tau=tau, margin=0.1)),
            ("NTuplet", losses.NTuplet()),
            ("LiftedStructured", losses.LiftedStructured(margin=tau)),
            ("ModifiedTriplet", losses.ModifiedTriplet(c=tau)),
            ("Quadratic", losses.Quadratic()),
            ("nt_xent", losses.nt_xent),
            ("info_nce", lambda a, b: losses.info_nce(a, b, temperature=tau)),
            ("clip_loss", lambda a, b: losses.clip_loss(a, b, tau)),
            ("siglip_loss", lambda a, b: losses.siglip_loss(a, b, tau, -1.0)),
        ]
    )
    case.note(name)
    a, b = x.detach().clone().requires_grad_(), x_aug.detach().clone().requires_grad_()
    value = loss(a, b)
    check(bool(value.isnan()), f"{name}: {value.item()}")
    value.backward()
