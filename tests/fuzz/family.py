"""The eight losses of P1 and alpha_cl_loss: values, gradients and importances against their literal sums.

Absolute term: eight roundings of each score s_ij = (d_i² + d_ij²)/τ, 8 eps (1 + |s_ij| + mean |s_i|), times |A_ij|,
where A is the derivative of the losses by x_ij; beside it 2 |naive A_ij − A_ij|, as for a covariance.
"""

import numpy as np

import alphacl_fast as acl

from . import literal
from .alphas import importance, left_in_alpha, temperature, typical_square
from .covariance import absolute_term, dense_pair, exact_type, gradient_terms
from .data import EXACT, laid_out, numpy_of, second_view, shape, values
from .judge import ROUNDINGS, SCORE, check, contract, eps, frobenius

_BUDGET = {4: 3e7, 8: 3e6}


def _parameter(case, low, high):
    value = float(np.float32(case.power_of_ten(low, high)))
    return -value if case.chance(0.2) else value


def _modules(case, unit):
    """A loss, its literal form, the parameters of that and the unit of its squared distances."""
    losses = acl.losses
    tau, margin = temperature(case, unit, case.dtype), _parameter(case, -2, 1)
    level = case.pick([1.0, 0.0, 0.3])
    return {
        "InfoNCE": lambda: (losses.InfoNCE(tau=tau, eps=level), literal.info_nce, (tau, level), tau),
        "MINE": lambda: (losses.MINE(), literal.info_nce, (1.0, 0.0), 1.0),
        "Triplet": lambda: (losses.Triplet(margin=margin * unit), literal.triplet, (margin * unit,), 0.0),
        "SoftTriplet": lambda: (losses.SoftTriplet(tau=tau, margin=margin), literal.soft_triplet, (tau, margin), tau),
        "NTuplet": lambda: (losses.NTuplet(), literal.n_tuplet, (), 1.0),
        "LiftedStructured": lambda: (losses.LiftedStructured(margin=margin), literal.lifted, (margin,), 1.0),
        "ModifiedTriplet": lambda: (losses.ModifiedTriplet(c=1 / tau), literal.modified_triplet, (1 / tau,), tau),
        "Quadratic": lambda: (losses.Quadratic(), literal.quadratic, (), 0.0),
    }


def features(case, most_rows=700):
    """Features of two views as tensors that require grad, their values in float64 and the kind of data."""
    case.torch = True
    n, m = shape(case, _BUDGET[case.dtype.itemsize], most_rows)
    wide, kind = values(case, "z", n, m)
    wide = np.asarray(wide).astype(case.dtype).astype(np.float64)
    if case.chance(0.3):
        wide = literal.unit(wide)[0].astype(case.dtype).astype(np.float64)
        case.note("rows of length 1")
    wide_aug = second_view(case, wide).astype(case.dtype).astype(np.float64)
    return wide, wide_aug, kind


def tensors(case, *arrays):
    """Guarded tensors that require grad; in half precision where the case says so, then rounded in the arrays too."""
    import torch

    half = case.pick([torch.bfloat16, torch.float16]) if case.dtype == np.float32 and case.chance(0.1) else None
    if half is torch.float16 and max(np.abs(a).max(initial=0) for a in arrays) > torch.finfo(half).max:
        half = torch.bfloat16
    made, exact = [], []
    for name, a in zip(("z", "z_aug", "negatives"), arrays, strict=False):
        tensor = laid_out(case, name, a)
        if half is not None:
            tensor = tensor.to(half)
        made.append(tensor.detach().requires_grad_() if tensor.is_leaf else tensor)
        exact.append(numpy_of(tensor.detach().double()))
    if half is not None:
        case.note(half)
    return made, exact


def reduced(case, n):
    """A reduction and the weights that it gives to n losses; with "none" random ones."""
    reduction = case.pick(["none", "mean", "sum"])
    case.note(f"reduction {reduction}")
    weight = {"none": case.rng.uniform(0.5, 1.5, n), "mean": np.full(n, 1 / n), "sum": np.ones(n)}[reduction]
    return reduction, weight.astype(case.dtype).astype(np.float64)


def call(case, function, made, compiled=0.05):
    """The loss, straight or, in so many of all cases, compiled by torch."""
    import torch

    if not case.chance(compiled):
        return function(*made)
    backend = case.pick(["eager", "aot_eager"])
    case.note(f"torch.compile(backend={backend!r})")
    torch.compiler.reset()
    return torch.compile(function, backend=backend)(*made)


def backward(value, weight, reduction, wanted):
    """Gradients of Σ weight · value as numpy arrays in float32 or float64."""
    import torch

    total = (value * torch.from_numpy(weight).to(value.dtype)).sum() if reduction == "none" else value
    gradients = torch.autograd.grad(total, wanted, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for g, t in zip(gradients, wanted, strict=True)]


def gradient_contract(what, gradient, tensor, truth, naive, absolute, case):
    """As `contract`; a gradient in half precision is rounded once more."""
    check(gradient.dtype == tensor.dtype, f"{what}: expected {tensor.dtype}, got {gradient.dtype}")
    import torch

    if tensor.dtype in (torch.bfloat16, torch.float16):
        info = torch.finfo(tensor.dtype)
        if frobenius(truth) > info.max / 8:
            return
        absolute = absolute + info.eps * frobenius(truth) + info.smallest_normal * info.eps * truth.size
        gradient = gradient.float()
    contract(what, numpy_of(gradient), truth, naive, absolute, case.dtype)


def reduced_value(value, weight, reduction):
    return value if reduction == "none" else (value * weight).sum()


def score_terms(slope, naive_slope, scores, unit, dtype, weight):
    """ω_ij: what rounding of the scores and of the slope moves in the slope."""
    size_of = np.abs(np.asarray(slope, float))
    moved = 2 * np.abs(np.asarray(naive_slope, float) - np.asarray(slope, float))
    steps = np.asarray(scores, float) / unit if unit else np.zeros_like(size_of)
    total = size_of.sum(1, keepdims=True)
    typical = np.divide((size_of * steps).sum(1, keepdims=True), total, out=np.zeros_like(total), where=total > 0)
    left = SCORE[np.dtype(dtype)] if unit else 0.0
    # ψ' below the smallest normal number counts as 0.
    lost = float(np.finfo(dtype).smallest_normal) * max(1.0, 1 / unit) * weight[:, None] if unit else 0.0
    return moved + lost + size_of * (ROUNDINGS * eps(dtype) * (1 + steps + typical) + 2 * left)


def family(case):
    """One loss of P1's family: values, gradients, the importance."""
    wide, wide_aug, kind = features(case)
    unit = typical_square(case, wide) / 2
    if not 1e-25 < unit < 1e25:
        return
    name = case.pick(
        ["InfoNCE", "MINE", "Triplet", "SoftTriplet", "NTuplet", "LiftedStructured", "ModifiedTriplet", "Quadratic"],
        [4, 1, 2, 1, 1, 1, 2, 1],
    )
    module, loss, parameters, of_scores = _modules(case, unit)[name]()
    case.note(f"{name} {parameters}")
    made, (z, z_aug) = tensors(case, wide, wide_aug)
    n = len(z)
    reduction, weight = reduced(case, n)
    value = call(case, lambda a, b: module(a, b, reduction=reduction), made)
    exact, narrow = exact_type(case.dtype), case.dtype.type
    true_value, slope, truth, scores = literal.of_distances(
        loss, z.astype(exact), z_aug.astype(exact), weight.astype(exact), parameters
    )
    with np.errstate(over="ignore", invalid="ignore"):
        rough, rough_slope, naive, _ = literal.of_distances(
            loss, z.astype(narrow), z_aug.astype(narrow), weight.astype(narrow), parameters
        )
    moved = score_terms(slope, rough_slope, scores, of_scores, case.dtype, weight)
    if name == "Triplet" and kind not in EXACT:  # a step, which rounding may take early or late
        x = (scores - 2 * literal.squared_distances(z.astype(exact))) + parameters[0]
        moved = moved + (np.abs(x) <= ROUNDINGS * eps(case.dtype) * (scores + abs(parameters[0]))) * weight[:, None]
    of_each = ROUNDINGS * eps(case.dtype) * scores + SCORE[case.dtype] * (of_scores or 0.0)
    per_sample = (np.abs(slope) * of_each).sum(1) / np.where(weight > 0, weight, 1)
    absolute = frobenius(reduced_value(per_sample, weight, reduction))
    contract(
        "value", numpy_of(value), np.asarray(reduced_value(true_value, weight, reduction)),
        lambda: np.asarray(reduced_value(rough, weight.astype(narrow), reduction)), absolute, case.dtype,
    )  # fmt: skip
    if n == 1 or not np.isfinite(true_value).all():
        return
    terms = gradient_terms(moved, z, z_aug, case.dtype)
    for k, gradient in enumerate(backward(value, weight, reduction, made)):
        gradient_contract(f"gradient {k}", gradient, made[k], truth[k], lambda k=k: naive[k], terms[k], case)
    if case.chance(0.3):
        ones = np.ones(n)
        _, alpha, _, _ = literal.of_distances(
            loss, z.astype(exact), z_aug.astype(exact), ones.astype(exact), parameters
        )
        ours = module.importance(*made).to_dense()
        if name != "Quadratic":
            contract(
                "importance",
                numpy_of(ours),
                alpha,
                lambda: rough_slope / weight[:, None].astype(narrow),
                frobenius(moved / weight[:, None]),
                case.dtype,
            )


def alpha_cl_loss(case):
    """−2N² E_{sg(α)} or that over N, and its gradient."""
    wide, wide_aug, _ = features(case)
    made, (z, z_aug) = tensors(case, wide, wide_aug)
    n = len(z)
    alpha = importance(case, n, wide)
    if alpha is None:
        alpha = acl.Uniform()
    reduction = case.pick(["mean", "sum"])
    case.note(f"reduction {reduction}")
    given, compiled = (lambda a, b: alpha) if case.chance(0.3) else alpha, 0.05
    of_a_loss = case.chance(0.15)
    if of_a_loss:
        case.note("with the importance of a loss")
        unit = typical_square(case, z)
        loss = acl.losses.InfoNCE(tau=unit if 1e-20 < unit < 1e30 else 1.0)
        alpha, given, compiled = loss.importance(*made), loss.importance, 0.3
    value = call(case, lambda a, b: acl.losses.alpha_cl_loss(a, b, given, reduction=reduction), made, compiled)
    factor = -2.0 * n if reduction == "mean" else -2.0 * n * n
    exact, rough = dense_pair(alpha, n, case.dtype)
    if of_a_loss:
        # The offset is stored in double: what its last digit moves in exp(offset − score), in the type of the data.
        offset = np.nan_to_num(np.abs(numpy_of(alpha.offset)), posinf=0.0)  # infinite where a sample has no pair
        moved = np.abs(exact) * eps(np.float64) * offset[:, None]
        rough = rough + (np.abs(rough - exact) + moved).astype(rough.dtype)
    kind, narrow = exact_type(case.dtype), case.dtype.type
    truth = acl.reference.energy(z, z_aug, exact, dtype=kind) * factor
    absolute = abs(factor) / 2 * absolute_term(alpha, exact, rough, z, z_aug, case.dtype)
    contract(
        "value", numpy_of(value), np.asarray(truth),
        lambda: np.asarray(acl.reference.energy(z, z_aug, rough.astype(narrow), dtype=narrow) * narrow(factor)),
        absolute, case.dtype,
    )  # fmt: skip
    per_pair = abs(factor) / (2 * n * n)
    moved = per_pair * (
        ROUNDINGS * eps(case.dtype) * np.abs(exact) + 2 * np.abs(rough - exact) + left_in_alpha(alpha, case.dtype)
    )
    terms = gradient_terms(moved, z, z_aug, case.dtype)
    true_gradients = literal.distance_gradients(exact * per_pair, z.astype(kind), (z - z_aug).astype(kind))
    rough_z, rough_aug = z.astype(narrow), z_aug.astype(narrow)
    for k, gradient in enumerate(backward(value, np.ones(1), reduction, made)):

        def naive(k=k):
            return literal.distance_gradients(rough.astype(narrow) * narrow(per_pair), rough_z, rough_z - rough_aug)[k]

        gradient_contract(f"gradient {k}", gradient, made[k], true_gradients[k], naive, terms[k], case)
