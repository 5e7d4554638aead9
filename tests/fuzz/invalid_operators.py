"""Sizes and dtypes that do not fit, given to torch.ops.alphacl_fast.* by a stranger, or by torch.compile."""

import numpy as np
import torch

import alphacl_fast as acl

from .invalid import subject_of

acl.losses  # noqa: B018  registers the operators
_ops = torch.ops.alphacl_fast
_NAMES = (
    "x x_aug f f_aug alpha features left right offset scale rows cols grad_rows grad_cols skip_diagonal distances form"
    " kind tensors numbers importance negatives reduction saved grad vectors weights"
).split()
_ONE, _NONE = torch.tensor(1.0, dtype=torch.float64), torch.ones(0, dtype=torch.float64)
_UNIFORM = ("Uniform", [], [0.0, 1.0])


class _Tensors:
    """z: (n, m) and what does not go with it."""

    def __init__(self, case):
        n, m = int(case.rng.integers(2, 70)), int(case.rng.integers(1, 20))
        other, count = n + int(case.pick([-1, 1, 100])), int(case.pick([1, 3, n - 1, n + 1]))
        self.n, self.count = n, count if count not in (0, n) else n + 1
        make = lambda *shape: torch.from_numpy(case.rng.standard_normal(shape).astype(case.dtype))  # noqa: E731
        self.z, self.wide, self.short = make(n, m), make(n, m + 1), make(max(1, other), m)
        self.swapped = self.z.double() if case.dtype == np.float32 else self.z.float()
        self.ones, self.few = (torch.ones(k, dtype=torch.float64) for k in (n, self.count))
        self.direct = ("Direct", [self.z], [4.0, 0.5, 1.0, 0.0])


def _of_importances(t):
    z = t.z
    return {
        "energy: x_aug of other rows": lambda: _ops.energy(z, t.short, *_UNIFORM),
        "energy: x_aug of other width": lambda: _ops.energy(z, t.wide, *_UNIFORM),
        "energy: x_aug of other dtype": lambda: _ops.energy(z, t.swapped, *_UNIFORM),
        "contrastive_cov: x_aug of other rows": lambda: _ops.contrastive_cov(z, t.short, *t.direct),
        "contrastive_cov: phi of other rows": lambda: _ops.contrastive_cov(z, z, "LowRank", [t.short], []),
        "contrastive_cov: an unknown importance": lambda: _ops.contrastive_cov(z, z, "Nothing", [], []),
        "contrastive_cov: numbers missing": lambda: _ops.contrastive_cov(z, z, "Direct", [z], [4.0]),
        "contrastive_cov: tensors missing": lambda: _ops.contrastive_cov(z, z, "Direct", [], [4.0, 0.5, 1.0, 0.0]),
        "laplacian: x_aug of other rows": lambda: _ops.laplacian(z, t.short, *t.direct),
        "laplacian: x_aug of other width": lambda: _ops.laplacian(z, t.wide, *t.direct),
        "laplacian_along: x_aug of other rows": lambda: _ops.laplacian_along(z, t.short, z[:1], _ONE[None], *t.direct),
        "laplacian_along: vectors of other width": lambda: _ops.laplacian_along(z, z, t.wide, t.ones, *t.direct),
        "laplacian_along: vectors of other dtype": lambda: _ops.laplacian_along(z, z, t.swapped, t.ones, *t.direct),
        "laplacian_along: a vector": lambda: _ops.laplacian_along(z, z, z[:, 0], t.ones, *t.direct),
        "laplacian_along: other weights": lambda: _ops.laplacian_along(z, z, z, t.few, *t.direct),
    }


def _of_pairs(t):
    z, no = t.z, False
    calls = {
        "pair_log_sums: right of other width": lambda: _ops.pair_log_sums(z, t.wide, _ONE, no, no, no),
        "pair_log_sums: right of other dtype": lambda: _ops.pair_log_sums(z, t.swapped, _ONE, no, no, no),
        "pair_log_sums: skip_diagonal of other rows": lambda: _ops.pair_log_sums(z, t.short, _ONE, no, True, no),
        "pair_log_sums: distances with right": lambda: _ops.pair_log_sums(z, t.short, _ONE, True, no, no),
        "pair_log_sums: a vector": lambda: _ops.pair_log_sums(z[:, 0], None, _ONE, no, no, no),
        "pair_log_sums: two scales": lambda: _ops.pair_log_sums(z, None, t.ones, no, no, no),
        "pair_sums: offset of other rows": lambda: _ops.pair_sums(z, None, t.few, _ONE, "softplus", no, no),
        "pair_sums: an unknown form": lambda: _ops.pair_sums(z, None, t.ones, _ONE, "nothing", no, no),
        "pair_sums: right of other width": lambda: _ops.pair_sums(z, t.wide, t.ones, _ONE, "softplus", no, no),
        "pair_sums: distances with right": lambda: _ops.pair_sums(z, t.short, t.ones, _ONE, "softplus", True, no),
    }
    how = (_ONE, no, no, True, "mean")
    calls |= {
        "contrasts: right of other rows": lambda: _ops.contrasts(z, t.short, None, *how),
        "contrasts: right of other width": lambda: _ops.contrasts(z, t.wide, None, *how),
        "contrasts: negatives of other width": lambda: _ops.contrasts(z, z, t.wide, *how),
        "contrasts: negatives of other dtype": lambda: _ops.contrasts(z, z, t.swapped, *how),
        "contrasts: an unknown reduction": lambda: _ops.contrasts(z, z, None, *how[:-1], "nothing"),
    }
    if t.n % 2:
        calls["pair_log_sums: partners of an odd number"] = lambda: _ops.pair_log_sums(z, None, _ONE, no, True, no)
    return calls


def _of_derivatives(t):
    z, ones, few, no = t.z, t.ones, t.few, False
    log_sums, sums = _ops.pair_log_sums_backward, _ops.pair_sums_backward
    loss, how = _ops.contrasts_backward, (no, no, True, "sum")
    saved, one = torch.ones(5 * t.n, dtype=torch.float64), z.new_ones(())
    return {
        "contrasts_backward: saved": lambda: loss(one, z, z, None, _ONE, ones, *how),
        "contrasts_backward: grad": lambda: loss(z.new_ones(2), z, z, None, _ONE, saved, *how),
        "contrasts_backward: right": lambda: loss(one, z, t.wide, None, _ONE, saved, *how),
        "pair_log_sums_backward: rows": lambda: log_sums(ones, _NONE, z, None, _ONE, few, _NONE, no, no, no),
        "pair_log_sums_backward: grad_rows": lambda: log_sums(few, _NONE, z, None, _ONE, ones, _NONE, no, no, no),
        "pair_log_sums_backward: cols": lambda: log_sums(ones, ones, z, z, _ONE, ones, few, no, no, True),
        "pair_log_sums_backward: grad_cols": lambda: log_sums(ones, few, z, z, _ONE, ones, ones, no, no, True),
        "pair_log_sums_backward: right": lambda: log_sums(ones, _NONE, z, t.wide, _ONE, ones, _NONE, no, no, no),
        "pair_sums_backward: grad_rows": lambda: sums(few, z, None, ones, _ONE, "softplus", no, no),
        "pair_sums_backward: offset": lambda: sums(ones, z, None, few, _ONE, "softplus", no, no),
        "pair_sums_backward: right": lambda: sums(ones, z, t.wide, ones, _ONE, "softplus", no, no),
    }


def _compiled(function, a, b):
    torch.compiler.reset()
    return torch.compile(lambda p, q: (function(p, q),), backend="eager")(a, b)


def _of_compiled(t):
    return {
        "compiled energy: other rows": lambda: _compiled(acl.energy, t.z, t.short),
        "compiled energy: other dtype": lambda: _compiled(acl.energy, t.z, t.swapped),
        "compiled contrastive_cov: other width": lambda: _compiled(acl.contrastive_cov, t.z, t.wide),
    }


def _recipe(calls_of):
    def recipe(case):
        tensors = _Tensors(case)
        calls = calls_of(tensors)
        what = case.pick(list(calls))
        case.note(f"{tuple(tensors.z.shape)}, short {len(tensors.short)}, few {tensors.count}")
        return what, _NAMES, calls[what]

    return recipe


_RECIPES = [_recipe(calls) for calls in (_of_importances, _of_pairs, _of_derivatives)]
SUBJECTS = {"operators": subject_of(*_RECIPES * 3, _recipe(_of_compiled))}
