"""torch.ops.alphacl_fast.* called directly: sums over pairs, their gradients, the sums of an importance."""

import types

import numpy as np
import torch

import alphacl_fast as acl
from alphacl_fast import reference
from alphacl_fast._parts import FORMS

from .alphas import sparse_tensor, typical_square
from .covariance import _literal_gradient, absolute_term, dense_pair, exact_type, gradient_terms, views
from .data import laid_out, numpy_of
from .judge import ROUNDINGS, contract, eps
from .pairs import judge_log_sums, judge_sums

acl.losses  # noqa: B018  registers the operators

KINDS = (
    "Uniform", "Dense", "LowRank", "Labels", "Sparse", "Direct", "Gaussian", "InverseDistance", "SquareRegularized",
    "PairImportance",
)  # fmt: skip


def _log_sums(left, right, scale, *how):
    return torch.ops.alphacl_fast.pair_log_sums(left, right, _scalar(scale), *how)


def _log_sums_gradient(a, b, left, right, scale, *given):
    a, b = torch.from_numpy(a), torch.from_numpy(b)
    return torch.ops.alphacl_fast.pair_log_sums_backward(a, b, left, right, _scalar(scale), *given)[:2]


def _sums(left, right, offset, scale, *how):
    return torch.ops.alphacl_fast.pair_sums(left, right, torch.from_numpy(offset), _scalar(scale), *how)


def _sums_gradient(a, left, right, offset, scale, *how):
    a, offset = torch.from_numpy(a), torch.from_numpy(offset)
    to_left, to_right, _, to_offset = torch.ops.alphacl_fast.pair_sums_backward(
        a, left, right, offset, _scalar(scale), *how
    )
    return to_left, to_right, to_offset


def _scalar(value):
    return torch.tensor(value, dtype=torch.float64)


_OPERATORS = types.SimpleNamespace(
    log_sums=_log_sums, log_sums_gradient=_log_sums_gradient, sums=_sums, sums_gradient=_sums_gradient
)


def pair_log_sums(case):
    case.torch = True
    judge_log_sums(case, _OPERATORS)


def pair_sums(case):
    case.torch = True
    judge_sums(case, _OPERATORS)


def _packed(case, n, wide):
    """kind, tensors and numbers as the operators take them, and the importance that they mean."""
    kind = case.pick(KINDS)
    if kind == "Uniform":
        diagonal = case.chance(0.5)
        return kind, [], [case.pick([0.0, float(n)]), float(diagonal)], acl.Uniform(diagonal=diagonal)
    if kind == "Dense":
        a = laid_out(case, "alpha", case.rng.standard_normal((n, n)))
        return kind, [a], [], acl.Dense(a)
    if kind == "Labels":
        y, same, different = laid_out(case, "labels", case.rng.integers(-3, 4, n), np.int64), 0.5, -2.0
        return kind, [y], [same, different], acl.Labels(y, same, different)
    if kind == "Sparse":
        columns = case.rng.integers(0, n, 3 * n)
        values = case.rng.standard_normal(3 * n).astype(case.dtype)
        alpha = acl.Sparse(sparse_tensor(3 * np.arange(n + 1), columns, values, n))
        return kind, list(alpha.matrix), [], alpha
    f = laid_out(case, "features", wide[:, : min(3, wide.shape[1])])
    tau = float(case.dtype.type(typical_square(case, wide)))
    tau = tau if 1e-25 < tau < 1e25 else 1.0
    if kind == "PairImportance":
        form = case.pick(FORMS)
        # The exponential's offset is minus the logarithm of a normaliser: scores are not positive.
        offset = -5 * case.rng.random(n) if form == "exponential" else 3 * case.rng.standard_normal(n)
        weight = case.rng.uniform(-1, 2, n)
        alpha = acl.importance.PairImportance(f, 1 / tau, form, offset, weight)
        return kind, [f, torch.from_numpy(offset), torch.from_numpy(weight)], [1 / tau, FORMS.index(form)], alpha
    numbers, alpha = {
        "LowRank": lambda: ([], acl.LowRank(f, _some_signs(case, f.shape[1]))),
        "Direct": lambda: ([2.0, tau, 1.0, 0.0], acl.Direct(f, 2.0, tau)),
        "InverseDistance": lambda: ([2.0, tau, 1.0, 0.0, 0.0], acl.InverseDistance(f, 2.0, tau)),
        "Gaussian": lambda: ([tau, 0.0, 0.0], acl.Gaussian(f, tau)),
        "SquareRegularized": lambda: ([tau], acl.SquareRegularized(f, tau)),
    }[kind]()
    return kind, [f, alpha.signs] if getattr(alpha, "signs", None) is not None else [f], numbers, alpha


def _some_signs(case, p):
    return torch.from_numpy(case.rng.standard_normal(p)) if case.chance(0.5) else None


def sums_of_importances(case):
    """contrastive_cov, energy and both Laplacian products by their operators."""
    ops = torch.ops.alphacl_fast
    case.torch = True
    x, x_aug, wide, wide_aug, _ = views(case)
    n = len(wide)
    kind, tensors, numbers, alpha = _packed(case, n, wide)
    case.note(f"{kind} {numbers}")
    packed = (kind, tensors, numbers)
    exact, rough = dense_pair(alpha, n, case.dtype)
    which, narrow = exact_type(case.dtype), case.dtype.type
    absolute = absolute_term(alpha, exact, rough, wide, wide_aug, case.dtype)
    here, here_aug = wide.astype(narrow), wide_aug.astype(narrow)
    for name, define, scale in (("contrastive_cov", reference.contrastive_cov, 1.0), ("energy", reference.energy, 0.5)):
        contract(
            name, numpy_of(getattr(ops, name)(x, x_aug, *packed)), define(wide, wide_aug, exact, dtype=which),
            lambda define=define: define(here, here_aug, rough, dtype=narrow), scale * absolute, case.dtype,
        )  # fmt: skip
    identity = np.eye(wide.shape[1])
    true, naive = _literal_gradient(wide, wide_aug, exact, identity, which), None
    weights = ROUNDINGS * eps(case.dtype) * np.abs(exact) + 2 * np.abs(rough - exact)
    terms = gradient_terms(weights, wide, wide_aug, case.dtype)
    naive = _literal_gradient(here, here_aug, rough, identity.astype(narrow), narrow)
    for k, found in enumerate(ops.laplacian(x, x_aug, *packed)):
        contract(f"laplacian {k}", numpy_of(found), true[k], lambda k=k: naive[k], terms[k], case.dtype)
    d = wide.shape[1]
    rows = np.linalg.qr(case.rng.standard_normal((d, d)))[0][: case.pick([1, 2, 5])].astype(case.dtype)
    vectors, signs = laid_out(case, "vectors", rows), case.rng.standard_normal(len(rows))
    both = (rows.astype(which).T * signs) @ rows
    found = ops.laplacian_along(x, x_aug, vectors, torch.from_numpy(signs), *packed)
    for k, size in enumerate(np.linalg.norm(signs, np.inf) * np.array(terms)):
        contract(
            f"laplacian_along {k}", numpy_of(found[k]), true[k] @ both, lambda k=k: naive[k] @ both.astype(narrow),
            size, case.dtype,
        )  # fmt: skip
