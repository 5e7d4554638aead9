"""A contrastive loss with anchors, partners and others, and its gradient, by its definition: arrays of all pairs."""

import itertools

import numpy as np

WAYS = ("within", "two sets", "columns", "negatives")
REDUCTIONS = ("none", "mean", "sum")
SCALE = 1.7
SHAPES = [(1, 1, 1), (2, 3, 1), (9, 5, 3), (66, 131, 33), (130, 64, 20)]
CASES = list(itertools.product(WAYS, (False, True), REDUCTIONS))


class Literal:
    """losses, and grads: of Σ grad · losses with respect to left, right, negatives (or None) and the scale."""

    def __init__(self, way, normalize, reduction, left, right, negatives, grad, dtype, scale=SCALE):
        self.scale, self.sets = dtype(scale), [np.asarray(f, dtype) for f in (left, right, negatives) if f is not None]
        lengths = [np.maximum(np.sqrt((f * f).sum(1, keepdims=True)), dtype(1e-12)) for f in self.sets]
        self.units = [f / length for f, length in zip(self.sets, lengths, strict=True)] if normalize else self.sets
        self.gradients, self.of_scale = [np.zeros_like(f) for f in self.sets], dtype(0)
        n = len(left)
        count = 2 * n if way == "within" else n
        grad = np.broadcast_to(np.asarray(grad, dtype), count) / dtype(count if reduction == "mean" else 1)
        if way == "within":
            losses = self._of_anchors([0, 1], [1, 0], [0, 1], grad)
        elif way == "columns":
            both = [self._of_anchors([k], [1 - k], [1 - k], grad / 2) for k in (0, 1)]
            losses = (both[0] + both[1]) / 2
        else:
            losses = self._of_anchors([0], [1], [2] if way == "negatives" else [1], grad)
        self.losses = losses if reduction == "none" else losses.sum()
        if reduction == "mean":
            self.losses = self.losses / dtype(count)
        self.grads = [
            (g - np.where(length > 1e-12, (g * u).sum(1, keepdims=True), 0) * u) / length if normalize else g
            for g, u, length in zip(self.gradients, self.units, lengths, strict=True)
        ]
        self.grads += [None] * (negatives is None) + [self.of_scale]

    def _of_anchors(self, anchors, partners, others, grad):
        a, p, b = (np.concatenate([self.units[k] for k in sets]) for sets in (anchors, partners, others))
        n = len(self.units[0])
        scores = self.scale * (a @ b.T)
        if others != [2]:  # the partner is among the others, and so is the anchor within its own sets
            for i in range(len(a)):
                scores[i, [i, (i + n) % (2 * n)] if len(others) == 2 else i] = -np.inf
        own = self.scale * (a * p).sum(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            peak = scores.max(1, initial=-np.inf)
            peak = np.where(np.isfinite(peak), peak, 0)
            sums = peak + np.log(np.exp(scores - peak[:, None]).sum(1))
        x = sums - own
        sums = np.where(np.isfinite(sums), sums, 0)
        weight = grad * np.exp(-np.logaddexp(0, -x))
        pairs = weight[:, None] * np.exp(scores - sums[:, None])
        self._add(anchors, self.scale * (pairs @ b - weight[:, None] * p))
        self._add(others, self.scale * (pairs.T @ a))
        self._add(partners, -self.scale * weight[:, None] * a)
        self.of_scale += (pairs * (a @ b.T)).sum() - (weight * own).sum() / self.scale
        return np.logaddexp(0, x)

    def _add(self, sets, gradient):
        for k, part in zip(sets, np.split(gradient, np.cumsum([len(self.sets[k]) for k in sets])[:-1]), strict=True):
            self.gradients[k] += part


def setting(way, shape, dtype, seed=0):
    """left, right, negatives and the generator of what else there is."""
    rng = np.random.default_rng([sum(shape), WAYS.index(way), seed])
    n, others, m = shape
    left, right, negatives = (rng.standard_normal((rows, m)).astype(dtype) for rows in (n, n, others))
    return rng, left, right, negatives if way == "negatives" else None


def options(way, normalize, reduction):
    """within, columns, normalize, reduction."""
    return way == "within", way == "columns", normalize, reduction


def room(way, reduction, n, others):
    """Shape of the losses, and how many numbers they leave for their gradient."""
    losses = () if reduction != "none" else (2 * n if way == "within" else n,)
    return losses, 5 * n + (others if way == "negatives" else 0)
