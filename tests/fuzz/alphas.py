"""Hostile importances: signed, free of row sums, within clusters, of extreme temperature."""

import math
import warnings

import numpy as np
import scipy.sparse

import alphacl_fast as acl
from alphacl_fast._parts import FORMS

from .data import laid_out, numpy_of, second_view, size, values
from .judge import eps


def _cycles(case, n):
    """+1 −1 +1 −1 around four neighbours of one cluster: every row sums to 0."""
    a = np.zeros((n, n))
    labels = np.arange(n) % case.clusters
    for label in range(case.clusters):
        members = case.rng.permutation(np.flatnonzero(labels == label))
        for first in range(0, len(members) - 3, 4):
            four = members[first : first + 4]
            for k in range(4):
                i, j = four[k], four[(k + 1) % 4]
                a[i, j] = a[j, i] = (-1) ** k
    return a


def _centred(case, n):
    a = case.rng.standard_normal((n, n))
    return a - a.mean(0) - a.mean(1, keepdims=True) + a.mean()


def _within(case, n):
    labels = np.arange(n) % case.clusters
    return (labels[:, None] == labels) * case.rng.uniform(-0.5 if case.chance(0.5) else 0, 1, (n, n))


def _antisymmetric(case, n):
    a = case.rng.standard_normal((n, n))
    return a - a.T + case.pick([0, 0, 1e-9, 0.3]) * (a + a.T)


def _normalised(case, n):
    a = case.rng.random((n, n))
    return a / a.sum(1, keepdims=True)


def _few(case, n):
    return case.rng.standard_normal((n, n)) * (case.rng.random((n, n)) < 3 / n)


_DENSE = {
    "signed": lambda c, n: c.rng.standard_normal((n, n)),
    "positive": lambda c, n: c.rng.random((n, n)),
    "antisymmetric": _antisymmetric,
    "centred": _centred,
    "cycles": _cycles,
    "within clusters": _within,
    "row-normalised": _normalised,
    "few entries": _few,
    "identity": lambda c, n: np.eye(n) + c.pick([0, 1e-6, 1e-3]) * c.rng.random((n, n)),
    "integer": lambda c, n: c.rng.integers(-2, 3, (n, n)).astype(float),
    "zero": lambda c, n: np.zeros((n, n)),
}


def _dense(case, n, x):
    kind = case.pick(list(_DENSE), [3, 1, 1, 1, 2, 2, 1, 1, 1, 1, 0.3])
    a = _DENSE[kind](case, n)
    scale = case.power_of_ten(-12, 12) if case.chance(0.1) else 1.0
    case.note(f"dense {kind}" + (f" × {scale:.1e}" if scale != 1 else ""))
    array = laid_out(case, "alpha", a * scale)
    return array if case.chance(0.5) else acl.Dense(array)


def _low_rank(case, n, x):
    p = size(case, 12)
    phi, _ = values(case, "phi", n, p)
    signs = None
    if case.chance(0.5):
        signs = case.pick([-1.0, 1.0, case.power_of_ten(-3, 3)]) * case.rng.choice([-1.0, 1.0], p)
        if case.chance(0.3) and p > 1:  # two columns that all but cancel
            phi = phi.copy()
            phi[:, 1], signs[1] = phi[:, 0], -signs[0] * (1 + case.pick([0, 1e-9, 1e-3]))
        case.note(f"signs {signs.tolist()}")
    return acl.LowRank(laid_out(case, "phi", phi), signs)


_INTEGERS = ("int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", "bool")


def _labels(case, n, x):
    dtype = np.dtype(case.pick([k for k in _INTEGERS if not case.torch or k not in ("uint32", "uint64", "bool")]))
    count = int(case.pick([1, 2, case.clusters, max(1, n // 2), n]))
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    kind = np.dtype(np.uint8) if dtype.kind == "b" else dtype
    names = case.rng.integers(low, high, min(count, 100), endpoint=True, dtype=kind)
    y = names[np.arange(n) % case.clusters % len(names) if case.chance(0.5) else case.rng.integers(0, len(names), n)]
    same, different = case.pick([(1.0, 0.0), (0.0, 1.0), (-1.0, 1.0), (1.0, -1e-6), (1.0, 1.0), (2.5, 1e-12)])
    case.note(f"Labels {dtype}, {len(names)} names, same={same} different={different}")
    return acl.Labels(laid_out(case, "labels", y, dtype), same, different)


def sparse_tensor(starts, columns, values, n):
    import torch

    with warnings.catch_warnings():  # torch says once that these are new, and that it checks nothing
        warnings.simplefilter("ignore")
        return torch.sparse_csr_tensor(*map(torch.from_numpy, (starts, columns, values)), (n, n))


def _sparse(case, n, x):
    a = _DENSE[case.pick(["few entries", "within clusters", "cycles", "antisymmetric", "zero"])](case, n)
    rows = scipy.sparse.csr_array(a.astype(case.dtype))
    twice = case.chance(0.3)  # every entry again, as one more of its place
    starts, columns, data = rows.indptr, rows.indices, rows.data
    if twice:
        starts, columns, data = 2 * starts, columns.repeat(2), data.repeat(2)
    case.note(f"Sparse, {len(data)} entries" + (", every place twice" if twice else ""))
    if case.torch:
        return acl.Sparse(sparse_tensor(starts, columns, data, n))
    return acl.Sparse(scipy.sparse.csr_array((data, columns, starts), (n, n)))


def features(case, n, x, width=None):
    """Features of the samples, in float64: those of x or others, scalars or vectors."""
    width = int(case.pick([1, 1, 2, 3, 5, 8, 17])) if width is None else width
    if case.chance(0.4):
        case.note(f"features: the first {min(width, x.shape[1])} of x")
        return x[:, :width]
    return values(case, "features", n, width)[0]


def typical_square(case, f):
    """A squared distance between features of pairs: of any, or of neighbours."""
    i, j = case.rng.integers(0, len(f), (2, 200))
    squares = ((f[i] - f[j]) ** 2).sum(1)
    squares = squares[squares > 0]
    if len(squares) == 0:
        return 1.0
    return float(np.median(squares) if case.chance(0.7) else squares.min())


def temperature(case, unit, dtype):
    """τ about the unit, and far from it."""
    tau = unit * (case.power_of_ten(-1.5, 1.5) if case.chance(0.7) else case.power_of_ten(-12, 12))
    low = float(np.finfo(dtype).smallest_normal)
    return min(max(float(dtype.type(tau)), low), float(np.finfo(dtype).max) / 8)


_LONGEST_SERIES = 1e4  # range over √τ; the package takes 1e5, with so many columns that a case takes long


def _gaussian(case, n, x, width=None):
    f = features(case, n, x, width)
    tau = temperature(case, typical_square(case, f), case.dtype)
    scalars = f.shape[1] == 1
    given = laid_out(case, "features", f[:, 0] if scalars and case.chance(0.7) else f)
    tol = case.power_of_ten(-8, -2) if case.chance(0.15) else None
    methods = ["auto", "tiles", "sorted"]
    if np.ptp(numpy_of(given).astype(float)) <= _LONGEST_SERIES * np.sqrt(tau):
        methods.append("fourier")
    method = case.pick(methods, [6, 1, 1, 2][: len(methods)]) if scalars else "auto"
    case.note(f"Gaussian tau={tau!r} tol={tol!r} method={method}")
    return acl.Gaussian(given, tau, tol=tol, method=method)


def _of_rows(case):
    """normalize, and what is added to sums of rows."""
    normalize = case.chance(0.5)
    return normalize, case.power_of_ten(-4, 1) if normalize and case.chance(0.3) else 0.0


def _within_range(f):
    """Features whose distances have powers in the range of float32."""
    largest = np.abs(f).max()
    return f if 1e-6 < largest < 1e6 else f / (largest or 1.0)


def _direct(case, n, x):
    f = _within_range(features(case, n, x))
    return _direct_of(case, f, *_of_rows(case))


def _direct_of(case, f, normalize, eps, **views):
    """views: features_aug where there are two."""
    p = case.pick([1, 2, 3, 4, 0.5, 6], [1, 3, 1, 3, 0.5, 0.5])
    tau = temperature(case, (typical_square(case, f) / 2) ** (p / 2), case.dtype)
    case.note(f"Direct p={p} tau={tau!r} normalize={normalize!r} eps={eps!r}")
    return acl.Direct(laid_out(case, "features", f), p, tau, normalize=normalize, eps=eps, **views)


def _inverse_distance(case, n, x):
    f = _within_range(features(case, n, x))
    return _inverse_distance_of(case, f, *_of_rows(case))


def _inverse_distance_of(case, f, normalize, eps, **views):
    p, q = case.pick([1, 2, 3, 4, 0.5, 6], [1, 3, 1, 3, 0.5, 0.5]), case.pick([1, 0.5, 2, 1.5])
    tau = temperature(case, (typical_square(case, f) / 2) ** (p / 2), case.dtype)
    tau = min(max(tau, 1e-15), 1e15)  # entries and their squares fit in float32
    case.note(f"InverseDistance p={p} tau={tau!r} q={q} normalize={normalize!r} eps={eps!r}")
    return acl.InverseDistance(laid_out(case, "features", f), p, tau, q, normalize=normalize, eps=eps, **views)


def over_both_views(case, n, x):
    """An importance over the 2n samples of both views."""
    f = _within_range(features(case, n, x))
    aug = laid_out(case, "features_aug", _within_range(second_view(case, f)))
    make = case.pick([_direct_of, _inverse_distance_of])
    return make(case, f, "both", case.power_of_ten(-4, 1) if case.chance(0.5) else 0.0, features_aug=aug)


def _square_regularized(case, n, x):
    f = features(case, n, x)
    tau = temperature(case, typical_square(case, f) * case.pick([1.0, n]), case.dtype)
    case.note(f"SquareRegularized tau={tau!r}")
    return acl.SquareRegularized(laid_out(case, "features", f), tau)


def _pair(case, n, x):
    f = features(case, n, x)
    form = case.pick(FORMS)
    scale = 1 / temperature(case, typical_square(case, f), case.dtype)
    # The exponential's offset is minus the logarithm of a normaliser: scores are not positive.
    offset = -5 * case.rng.random(n) if form == "exponential" else 3 * case.rng.standard_normal(n)
    case.note(f"PairImportance {form} scale={scale!r}")
    given = laid_out(case, "features", f)
    return acl.importance.PairImportance(given, scale, form, offset, case.rng.uniform(-1, 2, n))


# the kind, and what is special about it -> what makes one
KINDS = {
    "none": lambda c, n, x: None,
    "Uniform": lambda c, n, x: acl.Uniform(n if c.chance(0.5) else None, diagonal=c.chance(0.5)),
    "Dense": _dense,
    "LowRank": _low_rank,
    "Labels": _labels,
    "Sparse": _sparse,
    "Gaussian of scalars": lambda c, n, x: _gaussian(c, n, x, 1),
    "Gaussian": _gaussian,
    "Direct": _direct,
    "InverseDistance": _inverse_distance,
    "SquareRegularized": _square_regularized,
    "PairImportance": _pair,
}


def importance(case, n, x, *, own=False, kinds=None):
    """What is passed as alpha=, for samples x: (n, d) in float64. own: an importance that can be used alone."""
    kind = (
        case.pick(list(KINDS), [1, 1, 4, 1.5, 1.5, 1.5, 3, 2, 2, 1.5, 1.5, 1.5]) if kinds is None else case.pick(kinds)
    )
    if own and kind == "none":
        kind = "Uniform"
    case.note(f"alpha: {kind}")
    if own and kind == "Uniform":
        return acl.Uniform(n, diagonal=case.chance(0.5))
    alpha = KINDS[kind](case, n, x)
    return acl.Dense(alpha) if own and not isinstance(alpha, acl.importance.Importance) else alpha


def left_in_alpha(alpha, dtype):
    """What an entry of α may be off by: numbers below the normal ones; the caller's `tol`, or what series leave without
    one; where a series or sorted blocks are asked for, what is documented of them (docs/importances.md)."""
    left = float(np.finfo(dtype).smallest_normal)
    if not isinstance(alpha, (acl.Gaussian, acl.NodeGaussian)):
        return left
    of_scalars = isinstance(alpha, acl.NodeGaussian) or np.shape(alpha.features)[1:] in ((), (1,))
    left += alpha.tol or ({4: 5e-8, 8: 1e-15}[np.dtype(dtype).itemsize] if of_scalars else 0.0)
    method = getattr(alpha, "method", "")
    if method in ("fourier", "sorted") and not alpha.tol:
        left += {4: 1e-6, 8: 1e-12}[np.dtype(dtype).itemsize]
    if method == "fourier":
        f = numpy_of(alpha.features).astype(float)
        left += 8.3 * eps(np.float64) * float(np.ptp(f)) / math.sqrt(alpha.tau)
    return left
