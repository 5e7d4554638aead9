"""Literal losses in numpy, in any precision: values, derivatives by the scores, gradients of the features.

Everything over all pairs: `value` is L_i, `slope` is ∂(Σ_i g_i L_i)/∂score_ij. Source: spec, §1 and §7.
"""

import numpy as np


def log_add(a, b):
    """log(e^a + e^b)."""
    top = np.maximum(a, b)
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(top), top, top + np.log1p(np.exp(-np.abs(a - b))))


def log_sum(t, mask, axis=1):
    """log Σ e^t over the pairs of the mask and the shares of its terms."""
    t = np.where(mask, t, -np.inf)
    top = t.max(axis=axis, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        e = np.exp(t - shift)
        total = e.sum(axis=axis, keepdims=True)
        share = np.where(total > 0, e / total, 0)
        return np.squeeze(np.log(total) + shift, axis), share


def logistic(x):
    with np.errstate(over="ignore", under="ignore"):
        e = np.exp(-np.abs(x))
        return np.where(x < 0, e, 1) / (1 + e)


def softplus(x):
    with np.errstate(under="ignore"):
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def squared_distances(z):
    """½‖z_i − z_j‖² by differences."""
    total = np.zeros((len(z), len(z)), z.dtype)
    for column in z.T:
        total += (column[:, None] - column) ** 2
    return total / 2


# The family of P1: name -> (L_i, ∂L_i/∂x_ij) of x_ij = d_i² − d_ij² and the pairs that count.


def info_nce(x, mask, tau, eps):
    log_xi, share = log_sum(x / tau, mask)
    if eps == 0:
        return tau * log_xi, share
    level = x.dtype.type(np.log(np.longdouble(eps)))
    return tau * log_add(log_xi, level), share * logistic(log_xi - level)[:, None]


def soft_triplet(x, mask, tau, margin):
    log_xi, share = log_sum(x / tau + margin, mask)
    return tau * softplus(log_xi), share * logistic(log_xi)[:, None]


def n_tuplet(x, mask):
    return soft_triplet(x, mask, x.dtype.type(1), x.dtype.type(0))


def lifted(x, mask, margin):
    log_xi, share = log_sum(x + margin, mask)
    positive = np.maximum(log_xi, 0)
    return positive**2, 2 * positive[:, None] * share


def triplet(x, mask, margin):
    return (np.maximum(x + margin, 0) * mask).sum(1), ((x + margin > 0) & mask).astype(x.dtype)


def modified_triplet(x, mask, c):
    s = logistic(c * x)
    return (s * mask).sum(1), c * s * logistic(-c * x) * mask


def quadratic(x, mask):
    return (x * mask).sum(1), mask.astype(x.dtype)


def of_distances(loss, z, z_aug, weight, parameters):
    """Values of the samples, slope A_ij of Σ_i weight_i L_i, gradients of both views, scale of the scores."""
    kind = z.dtype.type
    delta = z - z_aug
    own, others = (delta * delta).sum(1) / 2, squared_distances(z)
    x, mask = own[:, None] - others, ~np.eye(len(z), dtype=bool)
    value, slope = loss(x, mask, *(kind(p) for p in parameters))
    slope = slope * weight[:, None]
    return value, slope, distance_gradients(slope, z, delta), own[:, None] + others


def distance_gradients(slope, z, delta):
    """Σ_j (A_ij + A_ji)(z_j − z_i) + r_i δ_i, and −r_i δ_i: of Σ_ij A_ij (d_i² − d_ij²)."""
    beta, sums = slope + slope.T, slope.sum(1)[:, None]
    inter = np.stack([(beta * (column - column[:, None])).sum(1) for column in z.T], 1)
    return inter + sums * delta, -sums * delta


# Losses of inner products. Scores t = scale · a_i·b_j (+ bias); slope P_ij = ∂(Σ weight L)/∂t_ij.


def unit(z):
    """Rows of length 1 as torch's normalize makes them, and their lengths."""
    length = np.maximum(np.sqrt((z * z).sum(-1, keepdims=True)), z.dtype.type(1e-12))
    return z / length, length


def back_through_unit(gradient, normal, length):
    """The gradient of the rows before they were normalised; rows shorter than 1e-12 were only scaled."""
    along = (gradient * normal).sum(-1, keepdims=True) * (length > length.dtype.type(1e-12))
    return (gradient - normal * along) / length


def cross_entropy(t, own, mask, weight):
    """log(1 + Σ_j e^{t_ij} / e^{own_i}) over the mask; slopes by t and by own."""
    log_others, share = log_sum(t, mask)
    value = softplus(log_others - own)
    part = weight * logistic(log_others - own)
    return value, share * part[:, None], -part


def siglip(t, weight):
    """Σ_j softplus(∓t_ij), the diagonal being positive."""
    positive = np.eye(len(t), dtype=bool)
    sign = np.where(positive, -1, 1).astype(t.dtype)
    return softplus(sign * t).sum(1), weight[:, None] * sign * logistic(sign * t)
