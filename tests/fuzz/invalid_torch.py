"""Calls of the losses and of torch.ops.alphacl_fast.* that must be refused."""

import math

import numpy as np

import alphacl_fast as acl

from .invalid import _bad_positive, _broken_tensor, refused


def _z(case, n=6, m=3):
    return case.rng.standard_normal((n, m)).astype(case.dtype)


def losses(case):
    """Features, temperatures, reductions, keys."""
    import torch

    l, z = acl.losses, _z(case)
    t = torch.from_numpy(z)
    which = case.pick(["features", "temperature", "tensor temperature", "reduction", "negatives", "parameters", "importance"])
    two = {
        "nt_xent": (l.nt_xent, ("z1", "z2")),
        "info_nce": (l.info_nce, ("query", "positive_key")),
        "clip_loss": (lambda a, b: l.clip_loss(a, b, 2.0), ("image_features", "text_features")),
        "siglip_loss": (lambda a, b: l.siglip_loss(a, b, 2.0, 0.0), ("image_features", "text_features")),
        "InfoNCE": (l.InfoNCE(tau=0.5), ("z", "z_aug")),
        "Triplet": (l.Triplet(margin=1.0), ("z", "z_aug")),
        "alpha_cl_loss": (lambda a, b: l.alpha_cl_loss(a, b, acl.Uniform()), ("z", "z_aug")),
    }
    if which == "features":
        name = case.pick(list(two))
        function, names = two[name]
        how, broken = _broken_tensor(case, z)
        pair = (broken, t) if case.chance(0.5) else (t, broken)
        return refused(f"{name}: features are {how}", names, lambda: function(*pair))
    if which == "temperature":
        bad = _bad_positive(case)
        options = {"nt_xent": l.nt_xent, "info_nce": l.info_nce}
        name = case.pick(list(options))
        return refused(f"{name}(temperature={bad!r})", ("temperature",), lambda: options[name](t, t, temperature=bad))
    if which == "tensor temperature":
        bad = case.pick(
            [torch.tensor(v) for v in (0.0, -1.0, math.nan, 1j, True, 3)] + [torch.ones(2), torch.tensor(0.5, device="meta")]
        )
        if bad.dtype == torch.int64:
            return None
        return refused(f"nt_xent(temperature={bad!r})", ("temperature",), lambda: l.nt_xent(t, t, temperature=bad))
    if which == "reduction":
        bad = case.pick(["Mean", "", None, 3, "batchmean", ["mean"]])
        name = case.pick(["nt_xent", "info_nce", "InfoNCE", "alpha_cl_loss"])
        call = {
            "nt_xent": lambda: l.nt_xent(t, t, reduction=bad),
            "info_nce": lambda: l.info_nce(t, t, reduction=bad),
            "InfoNCE": lambda: l.InfoNCE(tau=0.5)(t, t, reduction=bad),
            "alpha_cl_loss": lambda: l.alpha_cl_loss(t, t, acl.Uniform(), reduction=bad),
        }[name]
        if bad is None and name == "InfoNCE":
            return None
        return refused(f"{name}(reduction={bad!r})", ("reduction",), call)
    if which == "negatives":
        bad = case.pick([torch.ones(4, 4, dtype=t.dtype), torch.ones(5, 2, 3, dtype=t.dtype), torch.ones(3, dtype=t.dtype), z, [1.0], 0.2, "x"])
        return refused(f"info_nce(negative_keys={str(bad)[:40]})", ("negative_keys",), lambda: l.info_nce(t, t, bad))
    if which == "parameters":
        bad = case.pick([math.nan, math.inf, "1", None, 1j, [1.0]])
        name, call = case.pick(
            [
                ("margin", lambda: l.Triplet(margin=bad)),
                ("tau", lambda: l.InfoNCE(tau=bad)),
                ("margin", lambda: l.SoftTriplet(tau=1.0, margin=bad)),
                ("c", lambda: l.ModifiedTriplet(c=bad)),
                ("eps", lambda: l.InfoNCE(tau=1.0, eps=bad)),
                ("logit_scale", lambda: l.clip_loss(t, t, bad)),
                ("logit_bias", lambda: l.siglip_loss(t, t, 1.0, bad)),
            ]
        )
        return refused(f"{name}={bad!r}", (name,), call)
    bad = case.pick([acl.Direct, "uniform", 3, None, np.ones((6, 6), case.dtype), torch.ones(5, 5, dtype=t.dtype), acl.NodeGaussian(1.0)])
    return refused(f"alpha_cl_loss(importance={str(bad)[:40]})", ("importance", "alpha"), lambda: l.alpha_cl_loss(t, t, bad))


def grads(case):
    """Tensors that require grad where there is no derivative."""
    import torch

    t = torch.from_numpy(_z(case)).requires_grad_()
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
            ("x", lambda: acl.contrastive_cov(t, plain, out=torch.empty(3, 3, dtype=t.dtype))),
        ]
    )
    return refused(f"{name} requires grad", (name, "alpha", "phi"), call)


def operators(case):
    """Sizes and dtypes that do not fit, given to the operators by a stranger."""
    import torch

    acl.losses  # noqa: B018  registers them
    ops, kind = torch.ops.alphacl_fast, getattr(torch, case.dtype.name)
    n, m = int(case.rng.integers(2, 70)), int(case.rng.integers(1, 20))
    other = n + int(case.pick([-1, 1, 100]))
    z, short = torch.randn(n, m, dtype=kind), torch.randn(other, m, dtype=kind)
    wide = torch.randn(n, m + 1, dtype=kind)
    swapped = z.double() if kind == torch.float32 else z.float()
    scale, ones = torch.tensor(1.0, dtype=torch.float64), torch.ones(n, dtype=torch.float64)
    few = torch.ones(case.pick([1, 3, n - 1, n + 1][: 3 if n > 4 else 4]) if n > 4 else n + 1, dtype=torch.float64)
    empty = torch.ones(0, dtype=torch.float64)
    direct = ("Direct", [z], [4.0, 0.5, 1.0])
    calls = {
        "energy: x_aug of other rows": lambda: ops.energy(z, short, "Uniform", [], [0.0, 1.0]),
        "energy: x_aug of other width": lambda: ops.energy(z, wide, "Uniform", [], [0.0, 1.0]),
        "energy: x_aug of other dtype": lambda: ops.energy(z, swapped, "Uniform", [], [0.0, 1.0]),
        "contrastive_cov: x_aug of other rows": lambda: ops.contrastive_cov(z, short, *direct),
        "contrastive_cov: features of other rows": lambda: ops.contrastive_cov(z, z, "Direct", [short], [4.0, 0.5, 1.0]),
        "contrastive_cov: an unknown importance": lambda: ops.contrastive_cov(z, z, "Nothing", [], []),
        "contrastive_cov: numbers missing": lambda: ops.contrastive_cov(z, z, "Direct", [z], [4.0]),
        "contrastive_cov: tensors missing": lambda: ops.contrastive_cov(z, z, "Direct", [], [4.0, 0.5, 1.0]),
        "laplacian: x_aug of other rows": lambda: ops.laplacian(z, short, *direct),
        "laplacian: x_aug of other width": lambda: ops.laplacian(z, wide, *direct),
        "pair_log_sums: right of other width": lambda: ops.pair_log_sums(z, wide, scale, False, False, False),
        "pair_log_sums: right of other dtype": lambda: ops.pair_log_sums(z, swapped, scale, False, False, False),
        "pair_log_sums: skip_diagonal of other rows": lambda: ops.pair_log_sums(z, short, scale, False, True, False),
        "pair_log_sums: distances with right": lambda: ops.pair_log_sums(z, short, scale, True, False, False),
        "pair_log_sums: a vector": lambda: ops.pair_log_sums(z[:, 0], None, scale, False, False, False),
        "pair_log_sums: two scales": lambda: ops.pair_log_sums(z, None, few.repeat(2), False, False, False),
        "pair_sums: offset of other rows": lambda: ops.pair_sums(z, None, few, scale, "softplus", False, False),
        "pair_sums: an unknown form": lambda: ops.pair_sums(z, None, ones, scale, "nothing", False, False),
        "pair_sums: right of other width": lambda: ops.pair_sums(z, wide, ones, scale, "softplus", False, False),
        "pair_sums: distances with right": lambda: ops.pair_sums(z, short, ones, scale, "softplus", True, False),
        "pair_log_sums_backward: rows too few": lambda: ops.pair_log_sums_backward(
            ones, empty, z, None, scale, few, empty, False, False, False
        ),
        "pair_log_sums_backward: grad_rows too few": lambda: ops.pair_log_sums_backward(
            few, empty, z, None, scale, ones, empty, False, False, False
        ),
        "pair_log_sums_backward: cols too few": lambda: ops.pair_log_sums_backward(
            ones, ones, z, z, scale, ones, few, False, False, True
        ),
        "pair_log_sums_backward: right of other width": lambda: ops.pair_log_sums_backward(
            ones, empty, z, wide, scale, ones, empty, False, False, False
        ),
        "pair_sums_backward: grad_rows too few": lambda: ops.pair_sums_backward(
            few, z, None, ones, scale, "softplus", False, False
        ),
        "pair_sums_backward: offset too few": lambda: ops.pair_sums_backward(
            ones, z, None, few, scale, "softplus", False, False
        ),
        "compiled energy of other rows": lambda: _compiled(acl.energy, z, short),
        "compiled contrastive_cov of other width": lambda: _compiled(acl.contrastive_cov, z, wide),
        "compiled contrastive_cov of other dtype": lambda: _compiled(acl.contrastive_cov, z, swapped),
    }
    if n % 2:
        calls["pair_log_sums: partners of an odd number"] = lambda: ops.pair_log_sums(z, None, scale, False, True, False)
    what = case.pick(list(calls))
    case.note(f"{what} n={n} m={m} other={other} few={len(few)}")
    names = (
        "x x_aug f f_aug alpha features left right offset scale rows cols grad_rows grad_cols skip_diagonal distances form "
        "kind tensors numbers importance"
    ).split()
    return refused(what, names, calls[what])


def _compiled(function, a, b):
    import torch

    torch.compiler.reset()
    return torch.compile(lambda p, q: function(p, q), backend="eager")(a, b)


SUBJECTS = {"losses": losses, "grads": grads, "operators": operators}
