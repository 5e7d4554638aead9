"""Hostile values and hostile layouts of arrays; every array says in words what it is."""

import tempfile

import numpy as np

_EDGES = (16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
SIZES = np.array(sorted({1, 2, 3, 5, 7, 8, 9, *(e + s for e in _EDGES for s in (-1, 0, 1))}))


def size(case, most, least=1):
    """A number about the edges of blocks and panels."""
    fit = SIZES[(least <= SIZES) & (most >= SIZES)]
    if len(fit) and case.chance(0.8):
        return int(case.pick(fit))
    return int(case.rng.integers(least, max(least, most) + 1))


def shape(case, budget, most_rows=1100, most_columns=70):
    """(N, d) with N² d (d + 8) within the budget."""
    d = size(case, most_columns if case.chance(0.3) else 9)
    rows = int(np.sqrt(budget / (d * (d + 8))))
    return size(case, min(most_rows, max(2, rows))), d


def _labels(case, n):
    return np.arange(n) % case.clusters


def _clustered(case, n, d):
    far, spread = case.power_of_ten(-1, 4), case.power_of_ten(-5, 0)
    centres = far * case.rng.standard_normal((case.clusters, d))
    return centres[_labels(case, n)] + spread * case.rng.standard_normal((n, d)), f"far {far:.2g} spread {spread:.2g}"


def _outliers(case, n, d):
    x, factor = case.rng.standard_normal((n, d)), case.power_of_ten(1, 4)
    x[case.rng.integers(0, n, max(1, n // 50))] *= factor
    return x, f"× {factor:.2g}"


def _offset(case, n, d):
    far = case.power_of_ten(0, 4)
    return case.rng.standard_normal((n, d)) + far, f"{far:.2g}"


def _duplicated(case, n, d):
    different = int(case.rng.integers(1, max(2, n // 2 + 1)))
    return case.rng.standard_normal((different, d))[np.arange(n) % different], f"{different} different"


def _two_points(case, n, d):
    """Terms of all sums are equal, and so are their roundings."""
    share = case.pick([0.1, 0.5, 0.9])
    return np.where(case.rng.random((n, 1)) < share, 1, -1) * case.rng.standard_normal((1, d)), f"{share}"


def _constant_columns(case, n, d):
    x = case.rng.standard_normal((n, d))
    x[:, case.rng.random(d) < 0.5] = case.power_of_ten(-3, 4)
    return x, ""


def _columns_apart(case, n, d):
    return case.rng.standard_normal((n, d)) * 10.0 ** case.rng.uniform(-4, 4, d), ""


def _overlapping(case, n, d):
    return np.lib.stride_tricks.sliding_window_view(case.rng.standard_normal(n + d - 1), d), ""


def _steps(case, n, d):
    step = case.power_of_ten(-1, 2)
    return step * np.arange(n * d, dtype=float).reshape(n, d), f"{step:.2g}"


_VALUES = {
    "normal": lambda c, n, d: (c.rng.standard_normal((n, d)), ""),
    "integer": lambda c, n, d: (c.rng.integers(-4, 5, (n, d)).astype(float), ""),
    "one-hot": lambda c, n, d: (np.eye(d)[c.rng.integers(0, d, n)], ""),
    "ternary": lambda c, n, d: (c.rng.integers(-1, 2, (n, d)).astype(float), ""),
    "zero-one": lambda c, n, d: (c.rng.integers(0, 2, (n, d)).astype(float), ""),
    "clustered": _clustered,
    "duplicated": _duplicated,
    "two points": _two_points,
    "constant columns": _constant_columns,
    "columns apart": _columns_apart,
    "cauchy": lambda c, n, d: (np.clip(c.rng.standard_cauchy((n, d)), -1e6, 1e6), ""),
    "outliers": _outliers,
    "offset": _offset,
    "one row": lambda c, n, d: (np.repeat(c.rng.standard_normal((1, d)), n, 0), ""),
    "overlapping": _overlapping,
    "steps": _steps,
    "zeros": lambda c, n, d: (np.zeros((n, d)), ""),
}
_WEIGHTS = [4, 2, 2, 2, 1, 4, 2, 2, 1, 1, 2, 2, 2, 0.5, 1, 1, 0.2]
EXACT = {"integer", "one-hot", "ternary", "zero-one", "zeros"}  # products and sums of these are exact


def values(case, name, n, d, *, scales=True, kinds=None):
    """(n, d) in float64 and the name of its kind."""
    kind = case.pick(list(_VALUES), _WEIGHTS) if kinds is None else case.pick(kinds)
    x, detail = _VALUES[kind](case, n, d)
    if scales and case.chance(0.12):
        scale = 10.0 ** int(case.rng.integers(-15, 13))
        x, detail = x * scale, f"{detail} scale {scale:.0e}"
    case.note(f"{name}: ({n}, {d}) {kind} {detail}".rstrip())
    return x, kind


def second_view(case, x):
    """x' of the same samples, in float64."""
    spread = float(np.median(np.abs(x - x.mean(0)))) or 1.0
    kind = case.pick(["near", "same", "far", "other order", "half", "zeros"], [5, 3, 2, 1, 1, 0.5])
    noise = {"near": case.power_of_ten(-3, 0), "far": case.power_of_ten(1, 3), "half": 0.3}.get(kind, 0.0)
    case.note(f"second view: {kind} {noise or ''}".rstrip())
    if kind == "zeros":
        return np.zeros_like(x)
    if kind == "other order":
        return x[::-1]
    moved = x + noise * spread * case.rng.standard_normal(x.shape)
    return np.where(np.arange(len(x))[:, None] % 2 == 0, moved, x) if kind == "half" else moved


# Layouts. Each gives an array with the values of `a` and the array that owns the memory.


def _poison(dtype):
    """What no call may read."""
    return np.nan if dtype.kind == "f" else 77 if dtype.kind in "iu" else True


def _inside(a):
    outer = np.full(tuple(s + 3 for s in a.shape), _poison(a.dtype), a.dtype)
    view = outer[tuple(slice(1, 1 + s) for s in a.shape)]
    view[...] = a
    return view, outer


def _reversed(axis):
    def lay(a):
        axis_of = min(axis, a.ndim - 1)
        outer = np.flip(a, axis_of).copy()
        return np.flip(outer, axis_of), outer

    return lay


def _every_second(axis):
    def lay(a):
        axis_of = min(axis, a.ndim - 1)
        outer = np.full([s * (2 if k == axis_of else 1) for k, s in enumerate(a.shape)], _poison(a.dtype), a.dtype)
        view = outer[tuple(slice(None, None, 2 if k == axis_of else 1) for k in range(a.ndim))]
        view[...] = a
        return view, outer

    return lay


def _misaligned(a):
    raw = bytearray(a.nbytes + 1)
    view = np.frombuffer(raw, a.dtype, a.size, offset=1).reshape(a.shape)
    view[...] = a
    return view, np.frombuffer(raw, np.uint8)


def _structured(a):
    records = np.zeros(len(a), dtype=[("tag", "u1"), ("row", a.dtype, a.shape[1:])])
    records["row"] = a
    return records["row"], records


def _read_only(a):
    outer = a.copy()
    outer.flags.writeable = False
    return outer, outer


def _memory_mapped(a):
    if a.size == 0:
        return _plain(a)
    with tempfile.TemporaryFile() as file:
        outer = np.memmap(file, a.dtype, "w+", shape=a.shape)
    outer[...] = a
    return outer, outer


def _expanded(a):
    """Stride 0 where all rows are equal, else as it stands."""
    if len(a) > 1 and (a == a[:1]).all():
        return np.broadcast_to(a[0].copy(), a.shape), a[0]
    return a, a


def _plain(a):
    outer = a.copy()
    return outer, outer


def _fortran(a):
    outer = np.asfortranarray(a).copy(order="F")
    return outer, outer


LAYOUTS = {
    "plain": _plain,
    "inside": _inside,
    "fortran": _fortran,
    "rows reversed": _reversed(0),
    "columns reversed": _reversed(1),
    "every second row": _every_second(0),
    "every second column": _every_second(1),
    "misaligned": _misaligned,
    "structured": _structured,
    "read-only": _read_only,
    "memory-mapped": _memory_mapped,
    "expanded": _expanded,
}
_LAYOUT_WEIGHTS = [3, 5, 1, 1, 1, 1, 1, 1, 1, 1, 0.5, 1]
_FOR_TORCH = ("plain", "inside", "fortran", "every second row", "every second column", "expanded", "negated")


def laid_out(case, name, a, dtype=None, *, layouts=None):
    """The values as a guarded array (a tensor in cases of torch) in some layout."""
    a = np.asarray(a).astype(dtype or case.dtype)
    if case.torch:
        return _tensor(case, name, a)
    kind = case.pick(list(LAYOUTS), _LAYOUT_WEIGHTS) if layouts is None else case.pick(layouts)
    view, owner = LAYOUTS[kind](a)
    case.note(f"{name} {kind}")
    case.guard(name, owner)
    case.arguments[name] = view
    return view


def _tensor(case, name, a):
    import torch

    kind = case.pick(_FOR_TORCH)
    case.note(f"{name} tensor {kind}")
    if kind == "negated":
        view, owner = _plain(-a)
        case.guard(name, owner)
        tensor = torch._neg_view(torch.from_numpy(view))
    else:
        view, owner = LAYOUTS[kind](a)
        case.guard(name, owner)
        view = view if view.flags.writeable else view.copy()
        tensor = torch.from_numpy(view)
        if kind == "expanded" and len(a) > 1 and (a == a[:1]).all():
            tensor = torch.from_numpy(a[:1].copy()).expand(a.shape)
    case.arguments[name] = tensor
    return tensor


def numpy_of(a):
    """The values of an array or tensor as numpy has them."""
    return a.detach().resolve_neg().numpy() if hasattr(a, "detach") else np.asarray(a)
