"""Calls of the losses, and tensors that require grad, that must be refused; recipes as in invalid.py."""

import math

import numpy as np

import alphacl_fast as acl

from .bad import bad_positive, broken_tensor
from .invalid import subject_of
from .judge import check


def _z(case, n=6, m=3):
    import torch

    return torch.from_numpy(case.rng.standard_normal((n, m)).astype(case.dtype))


def _pairs(losses):
    """Losses of two sets of features and the names of these."""
    return {
        "nt_xent": (losses.nt_xent, ("z1", "z2")),
        "info_nce": (losses.info_nce, ("query", "positive_key")),
        "clip_loss": (lambda a, b: losses.clip_loss(a, b, 2.0), ("image_features", "text_features")),
        "siglip_loss": (lambda a, b: losses.siglip_loss(a, b, 2.0, 0.0), ("image_features", "text_features")),
        "InfoNCE": (losses.InfoNCE(tau=0.5), ("z", "z_aug")),
        "Triplet": (losses.Triplet(margin=1.0), ("z", "z_aug")),
        "alpha_cl_loss": (lambda a, b: losses.alpha_cl_loss(a, b, acl.Uniform()), ("z", "z_aug")),
    }


def _features(case):
    pairs, t = _pairs(acl.losses), _z(case)
    name = case.pick(list(pairs))
    function, names = pairs[name]
    how, broken = broken_tensor(case, t.numpy())
    both = (broken, t) if case.chance(0.5) else (t, broken)
    return f"{name}: features are {how}", names, lambda: function(*both)


def _temperature(case):
    t, bad = _z(case), bad_positive(case)
    function = case.pick([acl.losses.nt_xent, acl.losses.info_nce])
    return f"temperature={bad!r}", ("temperature",), lambda: function(t, t, temperature=bad)


def _tensor_temperature(case):
    import torch

    t = _z(case)
    ways = [torch.tensor(v) for v in (0.0, -1.0, math.nan, 1j, True)]
    bad = case.pick([*ways, torch.ones(2), torch.tensor(0.5, device="meta")])
    function = case.pick([acl.losses.nt_xent, acl.losses.info_nce])
    return f"temperature={bad!r}", ("temperature",), lambda: function(t, t, temperature=bad)


def _reduction(case):
    t, bad = _z(case), case.pick(["Mean", "", 3, "batchmean", ["mean"], b"mean"])
    name, call = case.pick(
        [
            ("nt_xent", lambda: acl.losses.nt_xent(t, t, reduction=bad)),
            ("info_nce", lambda: acl.losses.info_nce(t, t, reduction=bad)),
            ("InfoNCE", lambda: acl.losses.InfoNCE(tau=0.5)(t, t, reduction=bad)),
            ("alpha_cl_loss", lambda: acl.losses.alpha_cl_loss(t, t, acl.Uniform(), reduction=bad)),
        ]
    )
    return f"{name}(reduction={bad!r})", ("reduction",), call


def _negatives(case):
    import torch

    t = _z(case)
    shapes = [(4, 4), (5, 2, 3), (3,), (0, 3)]
    bad = case.pick([*(torch.ones(s, dtype=t.dtype) for s in shapes), t.numpy(), [1.0], 0.2, "x"])
    what = f"info_nce(negative_keys={str(bad)[:40]})"
    return what, ("negative_keys",), lambda: acl.losses.info_nce(t, t, bad)


def _parameters(case):
    losses, t, bad = acl.losses, _z(case), case.pick([math.nan, math.inf, "1", None, 1j, [1.0]])
    name, call = case.pick(
        [
            ("margin", lambda: losses.Triplet(margin=bad)),
            ("tau", lambda: losses.InfoNCE(tau=bad)),
            ("margin", lambda: losses.SoftTriplet(tau=1.0, margin=bad)),
            ("c", lambda: losses.ModifiedTriplet(c=bad)),
            ("eps", lambda: losses.InfoNCE(tau=1.0, eps=bad)),
            ("logit_scale", lambda: losses.clip_loss(t, t, bad)),
            ("logit_bias", lambda: losses.siglip_loss(t, t, 1.0, bad)),
        ]
    )
    return f"{name}={bad!r}", (name,), call


def _importance(case):
    import torch

    t = _z(case)
    bad = case.pick([acl.Direct, "uniform", 3, np.ones((6, 6)), torch.ones(5, 5, dtype=t.dtype), acl.NodeGaussian(1.0)])
    call = lambda: acl.losses.alpha_cl_loss(t, t, bad)  # noqa: E731
    return f"alpha_cl_loss(importance={str(bad)[:40]})", ("importance", "alpha"), call


def _grad(case):
    """Tensors that require grad where there is no derivative."""
    import torch

    t = _z(case).requires_grad_()
    plain = t.detach()
    name, call = case.pick(
        [
            ("x", lambda: acl.gated_cov(t, plain, plain)),
            ("omega", lambda: acl.gated_outer(plain, t)),
            ("weights", lambda: acl.GatedCovariance(plain, plain, t)),
            ("a", lambda: acl.power_iteration(t[:3, :3])),
            ("x_aug", lambda: acl.theory.find_local_maxima(plain, t, 2)),
            ("alpha", lambda: acl.contrastive_cov(plain, plain, t @ t.T)),
            ("features", lambda: acl.energy(plain, plain, acl.Gaussian(t, 1.0))),
            ("features", lambda: acl.Direct(t).row_sums()),
            ("tau", lambda: acl.Gaussian(plain, t[0, 0].abs())),
            ("tau", lambda: acl.losses.InfoNCE(tau=t[0, 0].abs())),
            ("x", lambda: acl.contrastive_cov(t, plain, out=torch.empty(3, 3, dtype=t.dtype))),
        ]
    )
    return f"{name} requires grad", (name, "alpha", "phi"), call


def forward_mode(case):
    """A directional derivative is right, or refused in words."""
    import torch

    a, b, along = _z(case).double(), _z(case).double(), _z(case).double()
    function = case.pick(
        [
            acl.energy,
            lambda p, q: acl.contrastive_cov(p, q).sum(),
            lambda p, q: acl.losses.alpha_cl_loss(p, q, acl.Uniform()),
            acl.losses.nt_xent,
            acl.losses.InfoNCE(tau=0.5),
            lambda p, q: acl.losses.siglip_loss(p, q, 2.0, 0.0),
        ]
    )
    leaf = a.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(leaf, b), leaf)
    expected = float((gradient * along).sum())
    try:
        if case.chance(0.5):
            _, tangent = torch.func.jvp(lambda p: function(p, b), (a,), (along,))
        else:
            with torch.autograd.forward_ad.dual_level():
                value = function(torch.autograd.forward_ad.make_dual(a, along), b)
                tangent = torch.autograd.forward_ad.unpack_dual(value).tangent
    except (RuntimeError, NotImplementedError, TypeError) as error:
        check(len(str(error)) > 20, f"an error without words: {error!r}")
        return
    check(tangent is not None, "the tangent was dropped in silence")
    check(abs(float(tangent) - expected) <= 1e-9 * (1 + abs(expected)), f"tangent {float(tangent)}, not {expected}")


SUBJECTS = {
    "forward_mode": forward_mode,
    "losses": subject_of(
        _features, _temperature, _tensor_temperature, _reduction, _negatives, _parameters, _importance
    ),
    "grads": subject_of(_grad),
}
