"""nt_xent, info_nce, clip_loss, siglip_loss: values and gradients, also of temperature, scale and bias.

Absolute term: eight roundings of each product in a score t_ij = s a_i·b_j + bias,

    e_ij = 8 eps (1 + |s| Σ_k |a_ik b_jk| + |bias|),

four more where the rows are normalised, by a length and a division each.

It moves a loss by Σ_j |P_ij| e_ij, P the derivative by the scores, and P_ij itself by |P_ij| (e_ij + mean of e over i
and over j) + 2 |naive P_ij − P_ij|; the gradients of rows follow by the products with |a|, |b|.
"""

import numpy as np

import alphacl_fast as acl

from . import literal
from .covariance import exact_type
from .data import numpy_of, size, values
from .family import backward, call, features, gradient_contract, reduced, reduced_value, tensors
from .judge import ROUNDINGS, contract, eps, frobenius


class Scores:
    """t_ij = scale · a_i·b_j + bias in one precision, and the gradients that slopes P_ij give."""

    def __init__(self, a, b, options, kind):
        scale, bias, normalize = options
        self.scale, self.bias = kind(scale), kind(bias)
        self.a, self.b = a.astype(kind), b.astype(kind)
        self.lengths = None
        if normalize:
            (self.a, one), (self.b, two) = literal.unit(self.a), literal.unit(self.b)
            self.lengths = one, two
        self.dots = self.a @ self.b.T
        self.t = self.scale * self.dots + self.bias

    def gradients(self, slope):
        """Of the rows a and b."""
        grad_a, grad_b = self.scale * (slope @ self.b), self.scale * (slope.T @ self.a)
        if self.lengths:
            grad_a = literal.back_through_unit(grad_a, self.a, self.lengths[0])
            grad_b = literal.back_through_unit(grad_b, self.b, self.lengths[1])
        return grad_a, grad_b

    def of_scalar(self, slope, which):
        """By the scale, the bias, or the temperature 1/scale."""
        if which == "bias":
            return slope.sum()
        by_scale = (slope * self.dots).sum()
        return by_scale if which == "scale" else -by_scale * self.scale * self.scale

    def absolute(self):
        """The same scores with every product taken positive, in float64: what bounds their rounding."""
        other = object.__new__(Scores)
        other.a, other.b = np.abs(np.asarray(self.a, float)), np.abs(np.asarray(self.b, float))
        other.scale, other.bias, other.lengths = abs(float(self.scale)), abs(float(self.bias)), None
        other.dots = other.a @ other.b.T
        other.t = other.scale * other.dots + other.bias
        return other


def _judge(case, found, made, rows, options, define, merge, weight, reduction, scalars):
    """define(scores, weight) -> losses, slopes; merge: gradients of both sets -> those of `made`; scalars by name."""
    dtype, narrow = case.dtype, case.dtype.type
    truth = Scores(*rows, options, exact_type(dtype))
    value, slope = define(truth, weight.astype(exact_type(dtype)))
    with np.errstate(all="ignore"):
        rough = Scores(*rows, options, narrow)
        rough_value, rough_slope = define(rough, weight.astype(narrow))
    most = truth.absolute()
    roundings = ROUNDINGS + (4 if truth.lengths else 0)
    e, size_of = roundings * eps(dtype) * (1 + most.t), np.abs(np.asarray(slope, float))
    each = size_of * e
    absolute = (frobenius(each.sum(1)) + frobenius(each.sum(0))) / weight.min() if reduction == "none" else each.sum()
    contract(
        "value", numpy_of(found), np.asarray(reduced_value(value, weight, reduction)),
        lambda: np.asarray(reduced_value(rough_value, weight.astype(narrow), reduction)), float(absolute), dtype,
    )  # fmt: skip
    if not np.isfinite(np.asarray(slope, float)).all():
        return
    tiny = np.finfo(float).tiny
    mean = each.sum(1)[:, None] / (size_of.sum(1)[:, None] + tiny) + each.sum(0) / (size_of.sum(0) + tiny)
    omega = each + size_of * mean + 2 * np.abs(np.asarray(rough_slope, float) - np.asarray(slope, float))
    omega += float(np.finfo(dtype).smallest_normal)  # an exponential below it counts as 0
    gradients = backward(found, weight, reduction, [*made, *(tensor for _, tensor in scalars)])
    terms = [2 * g for g in most.gradients(omega)]
    if truth.lengths:
        terms = [term / np.asarray(length, float) for term, length in zip(terms, truth.lengths, strict=True)]
    parts = [merge(*g) for g in (truth.gradients(slope), rough.gradients(rough_slope), terms)]
    # Rows shorter than 1e-12 torch's normalize only scales: at that length either derivative is right.
    kink = truth.lengths and any(
        (np.abs(np.asarray(length, float) / 1e-12 - 1) < 1e-6).any() for length in truth.lengths
    )
    for k, (true, naive, term) in enumerate(zip(*parts, strict=True)):
        if kink:
            break
        gradient_contract(
            f"gradient {k}", gradients[k], made[k], true, lambda naive=naive: naive, frobenius(term), case
        )
    for gradient, (which, tensor) in zip(gradients[len(made) :], scalars, strict=True):
        gradient_contract(
            f"gradient of the {which}", gradient, tensor, np.asarray(truth.of_scalar(slope, which)),
            lambda which=which: np.asarray(rough.of_scalar(rough_slope, which)),
            2 * abs(float(most.of_scalar(omega, which))), case,  # as of the rows: the slopes and the products move
        )  # fmt: skip


def _scalar(case, name, value):
    """What is passed for a scalar, its value, and [(name, tensor)] where it requires grad."""
    import torch

    value = float(case.dtype.type(value))
    kind = case.pick(["number", "tensor", "learned"], [2, 1, 2])
    case.note(f"{name} {kind} {value!r}")
    if kind == "number":
        return value, value, []
    tensor = torch.tensor(value, dtype=torch.float32 if case.dtype == np.float32 else torch.float64)
    tensor = torch.nn.Parameter(tensor) if kind == "learned" else tensor
    return tensor, value, [(name, tensor)] if kind == "learned" else []


def _temperature(case):
    return _scalar(case, "temperature", case.power_of_ten(-2.5, 1.5) if case.chance(0.85) else case.power_of_ten(-5, 5))


def nt_xent(case):
    wide, wide_aug, _ = features(case, 260)
    made, (z, z_aug) = tensors(case, wide, wide_aug)
    n, normalize = len(z), case.chance(0.7)
    given, value, scalars = _temperature(case)
    case.note(f"normalize={normalize}")
    reduction, weight = reduced(case, 2 * n)

    def function(a, b):
        return acl.losses.nt_xent(a, b, temperature=given, normalize=normalize, reduction=reduction)

    if case.chance(0.2):
        case.note("the module")
        module = acl.losses.NTXentLoss(temperature=given, normalize=normalize)
        function = lambda a, b: module(a, b, reduction=reduction)  # noqa: E731
    found = call(case, function, made)
    partner = np.roll(np.eye(2 * n, dtype=bool), n, 1)
    others = ~partner & ~np.eye(2 * n, dtype=bool)

    def define(scores, weights):
        values_, slope, of_own = literal.cross_entropy(scores.t, scores.t[partner], others, weights)
        return values_, slope + partner * of_own[:, None]

    def merge(grad_a, grad_b):
        both = grad_a + grad_b
        return both[:n], both[n:]

    rows = (np.concatenate([z, z_aug]),) * 2
    _judge(case, found, made, rows, (1 / value, 0.0, normalize), define, merge, weight, reduction, scalars)


def info_nce(case):
    wide, wide_aug, _ = features(case, 500)
    n, m = wide.shape
    mode = case.pick(["none", "symmetric", "unpaired", "paired"], [3, 1, 2, 1])
    arrays = [wide, wide_aug]
    count = size(case, 200) if mode == "unpaired" else max(1, min(9, 2000 // (n * n)))
    if mode == "paired" and n > 40:
        mode = "none"
    if mode in ("unpaired", "paired"):
        rows = count if mode == "unpaired" else n * count
        flat = np.asarray(values(case, "negatives", rows, m)[0]).astype(case.dtype).astype(np.float64)
        arrays.append(flat if mode == "unpaired" else flat.reshape(n, count, m))
    made, exact = tensors(case, *arrays)
    given, value, scalars = _temperature(case)
    normalize = case.chance(0.7)
    case.note(f"{mode} normalize={normalize}")
    reduction, weight = reduced(case, n)

    def function(*tensors_):
        return acl.losses.info_nce(
            *tensors_, temperature=given, symmetric=mode == "symmetric", normalize=normalize, reduction=reduction
        )

    if case.chance(0.2):
        case.note("the module")
        module = acl.losses.InfoNCELoss(temperature=given, symmetric=mode == "symmetric", normalize=normalize)
        function = lambda *tensors_: module(*tensors_, reduction=reduction)  # noqa: E731
    found = call(case, function, made)
    right = exact[1]
    if len(exact) == 3:
        right = np.concatenate([exact[1], exact[2].reshape(-1, m)])
        belongs = np.repeat(np.eye(n, dtype=bool), count, 1) if mode == "paired" else np.ones((n, count), bool)
        others = np.concatenate([np.zeros((n, n), bool), belongs], 1)
    else:
        others = ~np.eye(n, dtype=bool)

    def define(scores, weights):
        own = np.diagonal(scores.t)
        values_, slope, of_own = literal.cross_entropy(scores.t, own, others, weights)
        slope[np.arange(n), np.arange(n)] += of_own
        if mode == "symmetric":
            back, back_slope, of_own = literal.cross_entropy(scores.t.T, own, others, weights)
            back_slope[np.arange(n), np.arange(n)] += of_own
            return (values_ + back) / 2, (slope + back_slope.T) / 2
        return values_, slope

    def merge(grad_a, grad_b):
        return [grad_a, grad_b[:n], *([grad_b[n:].reshape(exact[2].shape)] if len(exact) == 3 else [])]

    _judge(
        case, found, made, (exact[0], right), (1 / value, 0.0, normalize), define, merge, weight, reduction, scalars
    )  # fmt: skip


def _image_and_text(case):
    wide, wide_aug, _ = features(case, 400)
    if case.chance(0.7):
        wide, wide_aug = (literal.unit(v)[0].astype(case.dtype).astype(float) for v in (wide, wide_aug))
        case.note("both normalised")
    return tensors(case, wide, wide_aug)


def _logit_scale(case):
    value = case.pick(
        [case.power_of_ten(-1, 2), 0.0, case.power_of_ten(2, 6), -case.power_of_ten(-1, 1)], [6, 1, 1, 0.5]
    )
    return _scalar(case, "scale", value)


def clip_loss(case):
    made, (image, text) = _image_and_text(case)
    n = len(image)
    given, value, scalars = _logit_scale(case)
    reduction, weight = reduced(case, n)
    found = call(case, lambda a, b: acl.losses.clip_loss(a, b, given, reduction=reduction), made)
    others = ~np.eye(n, dtype=bool)

    def define(scores, weights):
        own = np.diagonal(scores.t)
        rows, slope, of_own = literal.cross_entropy(scores.t, own, others, weights)
        cols, back, back_own = literal.cross_entropy(scores.t.T, own, others, weights)
        slope = (slope + back.T) / 2
        slope[np.arange(n), np.arange(n)] += (of_own + back_own) / 2
        return (rows + cols) / 2, slope

    _judge(
        case, found, made, (image, text), (value, 0.0, False), define, lambda a, b: [a, b], weight, reduction, scalars,
    )  # fmt: skip


def siglip_loss(case):
    made, (image, text) = _image_and_text(case)
    scale, value, scalars = _logit_scale(case)
    bias, offset, of_bias = _scalar(case, "bias", case.pick([-10.0, 0.0, 3.0, -100.0]))
    reduction, weight = reduced(case, len(image))
    found = call(case, lambda a, b: acl.losses.siglip_loss(a, b, scale, bias, reduction=reduction), made)

    def define(scores, weights):
        return literal.siglip(scores.t, weights)

    _judge(
        case, found, made, (image, text), (value, offset, False), define, lambda a, b: [a, b],
        weight, reduction, scalars + of_bias,
    )  # fmt: skip
