"""contrastive_cov and energy: arrays and tensors, out=, compiled by torch, their derivatives."""

import numpy as np

import alphacl_fast as acl
from alphacl_fast import reference

from .alphas import importance, left_in_alpha
from .alphas import over_both_views as over_both
from .data import laid_out, numpy_of, second_view, shape, values
from .judge import ROUNDINGS, WIDE, check, contract, eps, frobenius, same_bits

_EXTENDED = 4_000_000  # operations of a truth in numpy.longdouble, which has no BLAS
_BUDGET = {4: 4e7, 8: 4e6}


def exact_type(dtype):
    return np.longdouble if dtype == np.float64 else np.float64


def views(case, budget=None):
    """Two views, as passed and in float64."""
    if budget is None:
        budget = _BUDGET[case.dtype.itemsize] * (1 if case.chance(0.95) else 10)
    n, d = shape(case, budget)
    wide, kind = values(case, "x", n, d)
    wide = np.asarray(wide).astype(case.dtype).astype(np.float64)
    x = laid_out(case, "x", wide)
    if case.chance(0.15):
        case.note("x_aug is x")
        return x, x, wide, wide, kind
    wide_aug = second_view(case, wide).astype(case.dtype).astype(np.float64)
    return x, laid_out(case, "x_aug", wide_aug), wide, wide_aug, kind


def pair_terms(weights, x, x_aug):
    """1/(2N²) Σ_ij ω_ij (‖x_i − x_j‖² + ‖x_i − x'_i‖²)."""
    n = len(x)
    squares = sum(((column[:, None] - column) ** 2 for column in x.T), np.zeros((n, n)))
    intra = ((x - x_aug) ** 2).sum(1)
    return float(((squares + intra[:, None]) * weights).sum() / (2 * n * n))


def absolute_term(alpha, weights, naive_weights, x, x_aug, dtype):
    """The absolute term of the judge for a covariance; `weights` and `naive_weights`: α in both types."""
    rounding = ROUNDINGS * eps(dtype) * np.abs(weights) + 2 * np.abs(naive_weights - weights)
    total = pair_terms(rounding + left_in_alpha(alpha, dtype), x, x_aug)
    degrees = np.abs(weights).sum(0) + np.abs(weights).sum(1)
    return total + WIDE[np.dtype(dtype)] * float((degrees * _lengths(x) ** 2).sum()) / (2 * len(x) ** 2)


def _lengths(x):
    """‖x_i − mean‖."""
    return np.linalg.norm(x - x.mean(0), axis=1)


def dense_pair(alpha, n, dtype):
    """α in the exact type and in that of the data; where the latter has ∞ − ∞ on the way, it allows no error."""
    exact = np.asarray(reference.dense_alpha(alpha, n, dtype=exact_type(dtype)))
    naive = np.asarray(reference.dense_alpha(alpha, n, dtype=dtype.type))
    rough = np.where(np.isnan(naive), exact.astype(naive.dtype), naive)
    if isinstance(alpha, acl.Direct) and alpha.normalize and n > 1:
        moved = (np.abs(rough - exact) + exact * _moved_by_ties(alpha, n, dtype)).astype(rough.dtype)
        rough = np.where(np.isfinite(moved), rough + moved, rough)
    if isinstance(alpha, acl.SquareRegularized) and n > 1:
        rough = rough + _moved_by_distances(alpha, exact, dtype).astype(rough.dtype)
    return exact, rough


def _half_squares(alpha, n):
    """½‖f_i − f_j‖²."""
    views = [alpha.features, getattr(alpha, "features_aug", None)]
    f = np.concatenate([numpy_of(a).astype(float) for a in views if a is not None]).reshape(n, -1)
    return sum((column[:, None] - column) ** 2 for column in f.T) / 2


def _moved_by_distances(alpha, exact, dtype):
    """What rounding of t = ½‖f_i − f_j‖² moves in [μ_i − t]₊/τ: at its kink, and, in double, where it is positive."""
    with np.errstate(over="ignore", invalid="ignore"):
        t = _half_squares(alpha, len(exact))
        threshold = np.where(exact > 0, alpha.tau * exact + t, 0.0).max(1, keepdims=True)
        rounding = 4 * eps(dtype) * t
        at_kink = (np.abs(threshold - t) <= rounding) & np.isfinite(t)
        moved = np.where(at_kink, rounding, np.where(exact > 0, 4 * eps(float) * t, 0.0))
        return np.minimum(moved / alpha.tau, 1.0)


def _moved_by_ties(alpha, n, dtype):
    """What rounding of d^p moves in the shares of neighbours at equal distances, where it is far above τ."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        power = _half_squares(alpha, n) ** (alpha.p / 2)
        return np.minimum(4 * eps(dtype) * power / alpha.tau, 1.0)


def _subject(case, name):
    define, scale = (reference.contrastive_cov, 1.0) if name == "contrastive_cov" else (reference.energy, 0.5)
    x, x_aug, wide, wide_aug, _ = views(case)
    n, _ = wide.shape
    alpha = importance(case, n, wide)
    case.arguments["alpha"] = alpha
    ours, again = _call(case, name, x, x_aug, alpha)
    exact, rough = dense_pair(alpha, n, case.dtype)
    truth = define(wide, wide_aug, exact, dtype=exact_type(case.dtype))
    x_here, aug_here = numpy_of(x), numpy_of(x_aug)
    absolute = scale * absolute_term(alpha, exact, rough, wide, wide_aug, case.dtype)
    contract(name, ours, truth, lambda: define(x_here, aug_here, rough, dtype=case.dtype.type), absolute, case.dtype)
    if name == "contrastive_cov":
        same_bits("symmetry", ours, np.ascontiguousarray(np.asarray(ours).T))
    if again is not None:
        same_bits("threads", ours, again)


def over_both_views(case):
    """N samples with an importance over both their views: that of (x; x') whose other views are (x'; x)."""
    x, x_aug, wide, wide_aug, _ = views(case, _BUDGET[case.dtype.itemsize] / 4)
    n = len(wide)
    alpha = over_both(case, n, wide)
    case.arguments["alpha"] = alpha
    of_energy = case.chance(0.5)
    define, function = (reference.energy, acl.energy) if of_energy else (reference.contrastive_cov, acl.contrastive_cov)
    ours = numpy_of(function(x, x_aug, alpha))
    first, second = np.concatenate([wide, wide_aug]), np.concatenate([wide_aug, wide])
    exact, rough = dense_pair(alpha, 2 * n, case.dtype)
    absolute = (0.5 if of_energy else 1.0) * absolute_term(alpha, exact, rough, first, second, case.dtype)
    contract(
        function.__name__, ours, define(first, second, exact, dtype=exact_type(case.dtype)),
        lambda: define(first.astype(case.dtype), second.astype(case.dtype), rough, dtype=case.dtype.type),
        absolute, case.dtype,
    )  # fmt: skip


def _call(case, name, x, x_aug, alpha):
    """The result, and the one of another number of threads or way of calling (None: not asked for)."""
    function = getattr(acl, name)
    if case.torch and case.chance(0.2):
        return _compiled(case, function, x, x_aug, alpha), None
    if name == "contrastive_cov" and case.chance(0.2):
        out = np.full((x.shape[1],) * 2, np.nan, case.dtype)
        case.note("out=")
        if case.torch:
            import torch

            given = torch.from_numpy(out)
            check(function(x, x_aug, alpha, out=given) is given, "out: expected the tensor itself back")
        else:
            check(function(x, x_aug, alpha, out=out) is out, "out: expected the array itself back")
        return out, None
    ours = numpy_of(function(x, x_aug, alpha))
    return ours, with_threads(case, lambda: numpy_of(function(x, x_aug, alpha)))


def with_threads(case, call):
    """The call again on three threads, in one of six cases; else None."""
    if not case.chance(0.15):
        return None
    case.note("also with three threads")
    acl.set_num_threads(3)
    try:
        return call()
    finally:
        acl.set_num_threads(None)


def _compiled(case, function, x, x_aug, alpha):
    import torch

    case.note("torch.compile(backend='eager')")
    torch.compiler.reset()
    return numpy_of(torch.compile(lambda a, b: function(a, b, alpha), backend="eager")(x, x_aug))


def contrastive_cov(case):
    _subject(case, "contrastive_cov")


def energy(case):
    _subject(case, "energy")


def gradient(case):
    """∂/∂x and ∂/∂x' of E and of ⟨C, M⟩ in torch against their literal sums, α constant."""
    import torch

    case.torch = True
    x, x_aug, wide, wide_aug, _ = views(case)
    n, d = wide.shape
    alpha = importance(case, n, wide)
    exact, rough = dense_pair(alpha, n, case.dtype)
    if isinstance(alpha, acl.importance.Importance) and case.chance(0.1):
        case.note("of a subclass")
        alpha.__class__ = type("Mine", (type(alpha),), {})
    a, b = (t.detach().clone().requires_grad_() for t in (x, x_aug))
    m = case.rng.standard_normal((d, d))
    of_cov = case.chance(0.5)
    if of_cov:
        value = (acl.contrastive_cov(a, b, alpha) * torch.from_numpy(m.astype(case.dtype))).sum()
        both = (m.astype(case.dtype) + m.astype(case.dtype).T).astype(np.float64) / (2 * n * n)
    else:
        value, both = acl.energy(a, b, alpha), np.eye(d) / (2 * n * n)
    case.note("gradient of " + ("⟨C, M⟩" if of_cov else "E"))
    ours = [t.numpy() for t in torch.autograd.grad(value, (a, b))]
    truth = _literal_gradient(wide, wide_aug, exact, both, exact_type(case.dtype))
    weights = ROUNDINGS * eps(case.dtype) * np.abs(exact) + 2 * np.abs(rough - exact) + left_in_alpha(alpha, case.dtype)
    norm = np.linalg.norm(both, 2) if d else 0.0
    absolute = [norm * t for t in gradient_terms(weights, wide, wide_aug, case.dtype)]
    for k, name in enumerate(("x", "x_aug")):

        def naive(k=k):
            return _literal_gradient(
                wide.astype(case.dtype), wide_aug.astype(case.dtype), rough, both.astype(case.dtype), case.dtype.type
            )[k]

        contract(f"gradient of {name}", ours[k], truth[k], naive, absolute[k], case.dtype)


def _literal_gradient(x, x_aug, alpha, both, exact):
    """Σ_j (α_ij + α_ji)(x_i − x_j) − r_i (x_i − x'_i), and r_i (x_i − x'_i); times `both`."""
    x, x_aug, alpha, both = (np.asarray(a).astype(exact) for a in (x, x_aug, alpha, both))
    beta = alpha + alpha.T
    inter = np.stack([(beta * (column[:, None] - column)).sum(1) for column in x.T], 1)
    intra = alpha.sum(1)[:, None] * (x - x_aug)
    return (inter - intra) @ both, intra @ both


def gradient_terms(weights, x, x_aug, dtype):
    """Frobenius norms of the same sums of absolute terms; `weights` move by ω_ij."""
    beta = weights + weights.T
    inter = np.stack([(beta * np.abs(column[:, None] - column)).sum(1) for column in x.T], 1)
    intra = weights.sum(1)[:, None] * np.abs(x - x_aug)
    lengths, wide = _lengths(x), WIDE[np.dtype(dtype)] / (ROUNDINGS * eps(dtype))
    double = wide * frobenius(beta.sum(0) * lengths + beta @ lengths)
    return frobenius(inter + intra) + double, frobenius(intra)
