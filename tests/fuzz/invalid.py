"""Calls that must be refused: by an error that names an argument, before anything is read or written.

A recipe breaks one argument of a valid call. It gives the function, its arguments and the names one of which the error
must mention; None where the call may also be right (an `out` that overlaps an input): then it is compared with the
call of a copy.
"""

import re

import numpy as np

import alphacl_fast as acl

from .case import HAS_TORCH
from .judge import Finding, check

_RAW = re.compile(
    r"'NoneType' object|object has no attribute|incompatible function arguments|unsupported operand|could not broadcast"
    r"|not subscriptable|index \d+ is out of bounds|object is not|must be real number|cannot be cast|unexpected keyword"
)


def refused(what, names, call):
    """The call raises TypeError, ValueError or RuntimeError that names an argument and says what was expected."""
    try:
        result = call()
    except (TypeError, ValueError, RuntimeError) as error:
        text = str(error)
        if _RAW.search(text):
            raise Finding(f"{what}: a raw error: {type(error).__name__}: {text[:300]}") from None
        if not any(re.search(rf"\b{re.escape(name)}\b", text) for name in names):
            raise Finding(f"{what}: an error that names none of {names}: {text[:300]}") from None
        if not re.search(r"expected|requires grad|backend|differentiable|only on its own", text):
            raise Finding(f"{what}: an error that does not say what was expected: {text[:300]}") from None
        return
    except Exception as error:
        raise Finding(f"{what}: {type(error).__name__}: {str(error)[:300]}") from None
    raise Finding(f"{what}: accepted, gave {str(result)[:120]}")


class _Frame:
    """A pandas-like table: has shape and dtype, is no array."""

    shape, dtype, ndim = (5, 3), np.dtype(np.float64), 2


def _broken_arrays(case, a):
    """(in words, what is passed instead of the array a)."""
    n, rest = a.shape[0], a.shape[1:]
    ways = [
        ("a list", a.tolist()),
        ("integers", a.astype(np.int64)),
        ("bool", a > 0),
        ("complex", a.astype(complex)),
        ("float16", a.astype(np.float16)),
        ("longdouble", a.astype(np.longdouble)),
        ("objects", a.astype(object)),
        ("strings", a.astype(str)),
        ("big-endian", a.astype(a.dtype.newbyteorder())),
        ("a masked array", np.ma.masked_less(a, 0)),
        ("None", None),
        ("a number", 1.5),
        ("a string", "x"),
        ("a table", _Frame()),
        ("no rows", a[:0]),
        ("a row more", np.concatenate([a, a[:1]])),
        ("a row less", a[: n - 1]),
        ("an axis more", a[None]),
        ("an axis less", a.reshape(-1)),
        ("no axis", np.asarray(a.ravel()[0])),
        ("the other precision", a.astype(np.float32 if a.dtype == np.float64 else np.float64)),
    ]
    if rest:
        ways += [("a column more", np.concatenate([a, a[:, :1]], 1)), ("a column less", a[:, : rest[0] - 1])]
    if HAS_TORCH:
        import torch

        ways += [
            ("the other kind", torch.from_numpy(np.ascontiguousarray(a))),
            ("a meta tensor", torch.empty(a.shape, dtype=getattr(torch, a.dtype.name), device="meta")),
        ]
    return case.pick(ways)


def _broken_tensor(case, a):
    import torch

    t = torch.from_numpy(np.ascontiguousarray(a))
    ways = [
        ("a meta tensor", t.to("meta")),
        ("sparse", t.to_sparse()),
        ("sparse CSR", t.to_sparse_csr()),
        ("complex", t.to(torch.complex64)),
        ("bool", t > 0),
        ("integers", t.to(torch.int32)),
        ("quantised", torch.quantize_per_tensor(t.float(), 0.1, 0, torch.qint8)),
        ("an array", a),
        ("a list", a.tolist()),
        ("None", None),
        ("a row more", torch.cat([t, t[:1]])),
        ("no rows", t[:0]),
        ("an axis more", t[None, None]),
        ("an axis less", t.reshape(-1)),
        ("the other precision", t.double() if t.dtype == torch.float32 else t.float()),
    ]
    return case.pick(ways)


def _bad_positive(case):
    ways = [0, 0.0, -1.0, np.nan, np.inf, -np.inf, "1", b"1", None, True, 1j, [1.0], (0.5,), object(), 10**400, np.array([0.5, 1])]
    return case.pick(ways)


def _bad_count(case):
    return case.pick([0, -1, 1.5, "3", None, True, 2**70, np.nan, [2]])


def _arguments(case, d=3, n=6, k=2):
    """x, x_aug, weights, alpha of one dtype."""
    make = lambda *shape: case.rng.standard_normal(shape).astype(case.dtype)  # noqa: E731
    return {"x": make(n, d), "x_aug": make(n, d), "weights": make(k, d), "v": make(k, d), "alpha": make(n, n)}


def sums(case):
    """contrastive_cov and energy."""
    a = _arguments(case)
    function = case.pick([acl.contrastive_cov, acl.energy])
    names = ("x", "x_aug") if function is acl.contrastive_cov else ("f", "f_aug")
    which = int(case.rng.integers(0, 3))
    if which == 2:
        how, broken = _broken_arrays(case, a["alpha"])
        if how == "None":
            how, broken = "a type", acl.Direct
        what = f"{function.__name__}: alpha is {how}"
        return refused(what, ("alpha",), lambda: function(a["x"], a["x_aug"], broken))
    how, broken = _broken_arrays(case, a["x"])
    views = [broken, a["x_aug"]] if which == 0 else [a["x"], broken]
    what = f"{function.__name__}: {names[which]} is {how}"
    alpha = a["alpha"] if how in ("a row more", "a row less", "a column more", "a column less") else None
    return refused(what, names, lambda: function(*views, alpha))


def layer(case):
    """gated_cov, GatedCovariance, gated_outer, find_local_maxima."""
    a = _arguments(case)
    which = case.pick(["x", "x_aug", "weights", "activation", "v", "tau", "omega", "num_nodes", "alpha_weights", "x0"])
    if which in ("x", "x_aug", "weights"):
        how, broken = _broken_arrays(case, a[which])
        if which == "weights" and how in ("a row more", "a row less"):
            how, broken = "a list", a[which].tolist()
        b = a | {which: broken}
        functions = {
            "gated_cov": lambda: acl.gated_cov(b["x"], b["x_aug"], b["weights"]),
            "GatedCovariance": lambda: acl.GatedCovariance(b["x"], b["x_aug"], b["weights"]),
            "find_local_maxima": lambda: acl.theory.find_local_maxima(b["x"], b["x_aug"], weights0=b["weights"]),
        }
        name = case.pick(list(functions))
        if which == "weights" and name == "find_local_maxima" and how == "None":
            return None
        return refused(f"{name}: {which} is {how}", ("x", "x_aug", "weights", "weights0"), functions[name])
    if which == "activation":
        act = case.pick(["tanh", "ReLU", None, 3, acl.LeakyReLU, acl.Monomial, abs, b"relu", ["relu"], np.array([1.0])])
        return refused(f"activation {act!r}", ("activation",), lambda: acl.gated_cov(a["x"], a["x_aug"], a["weights"], activation=act))
    if which == "v":
        operator = acl.GatedCovariance(a["x"], a["x_aug"], a["weights"])
        how, broken = _broken_arrays(case, a["v"])
        method = case.pick([operator.matmul, operator.quadratic])
        return refused(f"{method.__name__}: v is {how}", ("v",), lambda: method(broken))
    if which == "tau":
        tau = _bad_positive(case)
        return refused(f"NodeGaussian({tau!r})", ("tau",), lambda: acl.NodeGaussian(tau))
    if which == "omega":
        how, broken = _broken_arrays(case, a["alpha"])
        if how in ("a column more", "a column less"):
            return None
        return refused(f"gated_outer: omega is {how}", ("omega",), lambda: acl.gated_outer(a["x"], broken))
    if which == "num_nodes":
        name = case.pick(["num_nodes", "max_iter", "seed", "tol", "angle"])
        bad = _bad_positive(case) if name in ("tol", "angle") else _bad_count(case)
        if bad is None and name == "tol" or name == "seed" and bad == 0:
            return None
        options = {"num_nodes": 2} | {name: bad}
        return refused(f"find_local_maxima({name}={bad!r})", (name,), lambda: acl.theory.find_local_maxima(a["x"], a["x_aug"], **options))
    if which == "alpha_weights":
        alpha = case.pick([None, acl.NodeGaussian(1.0)])
        how, broken = _broken_arrays(case, a["weights"])
        if how == "None":
            return None
        call = lambda: acl.GatedCovariance(a["x"], a["x_aug"], a["weights"], alpha=alpha, alpha_weights=broken)  # noqa: E731
        return refused(f"alpha_weights is {how}", ("alpha_weights",), call)
    how, broken = _broken_arrays(case, a["x"])
    if how == "None":
        return None
    call = lambda: acl.gated_cov(a["x"], a["x_aug"], a["weights"], alpha=acl.NodeGaussian(1.0, broken))  # noqa: E731
    return refused(f"x0 is {how}", ("x0",), call)


def eigen(case):
    """power_iteration."""
    m = case.rng.standard_normal((3, 4, 4)).astype(case.dtype)
    which = case.pick(["a", "v0", "tol", "max_iter", "seed", "method"])
    if which == "a":
        how, broken = _broken_arrays(case, m[0])
        if how in ("an axis more", "a table") or (how == "no rows"):
            return None
        return refused(f"power_iteration: a is {how}", ("a",), lambda: acl.power_iteration(broken))
    if which == "v0":
        how, broken = _broken_arrays(case, m[:, 0])
        if how == "None":
            how, broken = "NaN", np.full((3, 4), np.nan, case.dtype)
        return refused(f"power_iteration: v0 is {how}", ("v0",), lambda: acl.power_iteration(m, v0=broken))
    if which == "method":
        bad = case.pick(["Power", "", None, 3, b"power", ["power"], np.array(["power"])])
    else:
        bad = _bad_positive(case) if which == "tol" else _bad_count(case)
    if (bad is None and which == "tol") or (which == "seed" and not isinstance(bad, bool) and bad == 0):
        return None
    return refused(f"power_iteration({which}={bad!r})", (which,), lambda: acl.power_iteration(m, **{which: bad}))


def importances(case):
    """Constructors and the methods of importances."""
    a = _arguments(case)
    f = a["x"]
    which = case.pick(["features", "tau", "matmul", "p", "phi", "pair", "size", "mean of samples", "method", "slope", "q"])
    make = case.pick([lambda g: acl.Gaussian(g, 1.0), lambda g: acl.Direct(g), lambda g: acl.SquareRegularized(g, 1.0)])
    if which == "features":
        how, broken = _broken_arrays(case, f)
        if how in ("a row more", "a row less", "a column more", "a column less", "an axis less", "the other precision", "the other kind"):
            return None
        return refused(f"features are {how}", ("features",), lambda: make(broken).row_sums())
    if which == "tau":
        tau = _bad_positive(case)
        return refused(f"tau={tau!r}", ("tau",), lambda: case.pick([acl.Gaussian, acl.SquareRegularized])(f, tau))
    if which == "p":
        p = _bad_positive(case)
        return refused(f"p={p!r}", ("p",), lambda: acl.Direct(f, p))
    if which == "matmul":
        how, broken = _broken_arrays(case, f)
        if how in ("a column more", "a column less"):
            return None
        return refused(f"matmul: y is {how}", ("y",), lambda: make(f).matmul(broken))
    if which == "phi":
        how, broken = _broken_arrays(case, f)
        if how in ("a row more", "a row less", "a column more", "a column less", "the other precision", "the other kind"):
            return None
        return refused(f"phi is {how}", ("phi",), lambda: acl.LowRank(broken).row_sums())
    if which == "pair":
        bad = case.pick([np.ones(5), np.ones((6, 1)), np.ones(6, np.float32), [1.0] * 6, None, np.ones(6, complex)])
        both = (bad, np.ones(6)) if case.chance(0.5) else (np.ones(6), bad)
        call = lambda: acl.importance.PairImportance(f, 1.0, "logistic", *both)  # noqa: E731
        return refused(f"PairImportance of {type(bad).__name__}", ("offset", "weight"), call)
    if which == "size":
        size = case.pick([0, -1, 1.5, "3", True, [2], np.nan])
        return refused(f"Uniform({size!r})", ("size",), lambda: acl.Uniform(size))
    if which == "method":
        method = case.pick(["FFT", None, 3, b"tiles"])
        return refused(f"Gaussian(method={method!r})", ("method",), lambda: acl.Gaussian(f, 1.0, method=method))
    if which == "slope":
        slope = case.pick([np.nan, np.inf, "1", None, True, 1j, [0.5], np.array([0.5, 1.0]), np.array([0.5])])
        return refused(f"LeakyReLU({slope!r})", ("slope",), lambda: acl.LeakyReLU(slope))
    if which == "q":
        q = case.pick([0, -1, 1.5, "2", None, True, [2], 10**400])
        return refused(f"Monomial({q!r})", ("q",), lambda: acl.Monomial(q))
    short = make(f[:-1].copy())
    return refused("alpha of fewer samples", ("alpha",), lambda: acl.contrastive_cov(a["x"], a["x_aug"], short))


def _writers(case):
    """A function of (x, second input, out), the shapes of these three."""
    n, d, k = int(case.rng.integers(2, 40)), int(case.rng.integers(1, 9)), int(case.rng.integers(1, 12))
    return {
        "contrastive_cov": (lambda x, y, to: acl.contrastive_cov(x, y, out=to), (n, d), (n, d), (d, d)),
        "gated_cov": (lambda x, w, to: acl.gated_cov(x, x, w, out=to), (n, d), (k, d), (k, d, d)),
        "gated_outer": (lambda x, w, to: acl.gated_outer(x, w, out=to), (n, d), (n, k), (k, d, d)),
    }


def out(case):
    """out= that does not fit is refused."""
    name = case.pick(["contrastive_cov", "gated_cov", "gated_outer"])
    call, of_x, of_second, shape = _writers(case)[name]
    x, second = (case.rng.standard_normal(s).astype(case.dtype) for s in (of_x, of_second))
    good = np.empty(shape, case.dtype)
    ways = {
        "too large": np.empty((*shape[:-1], shape[-1] + 1), case.dtype),
        "an axis more": good[None],
        "strided": np.empty((*shape[:-1], 2 * shape[-1] + 2), case.dtype)[..., : 2 * shape[-1] : 2],
        "transposed": np.empty((*shape[:-2], shape[-1], shape[-2] + 1), case.dtype)[..., :-1].swapaxes(-1, -2),
        "read-only": np.broadcast_to(np.zeros((), case.dtype), shape),
        "the other precision": good.astype(np.float32 if case.dtype == np.float64 else np.float64),
        "integers": good.astype(int),
        "a list": [[0.0]],
        "misaligned": np.frombuffer(bytearray(good.nbytes + 1), case.dtype, good.size, 1).reshape(shape),
    }
    how = case.pick(list(ways))
    if how in ("strided", "transposed") and ways[how].flags.c_contiguous:
        return
    refused(f"{name}: out is {how}", ("out",), lambda: call(x, second, ways[how]))


def overlap(case):
    """out= that shares memory with an input is refused before anything is written, or the result is right."""
    name = case.pick(["contrastive_cov", "gated_cov", "gated_outer"])
    call, of_x, of_second, shape = _writers(case)[name]
    sizes = [int(np.prod(s)) for s in (of_x, of_second, shape)]
    memory = case.rng.standard_normal(sum(sizes)).astype(case.dtype)
    before = memory.copy()
    x = memory[: sizes[0]].reshape(of_x)
    second = memory[sizes[0] : sizes[0] + sizes[1]].reshape(of_second)
    expected = call(x.copy(), second.copy(), np.empty(shape, case.dtype))
    at = int(case.rng.integers(0, sizes[0] + sizes[1]))
    case.note(f"{name}: x {of_x}, second {of_second}, out {shape} at {at}")
    to = memory[at : at + sizes[2]].reshape(shape)
    try:
        call(x, second, to)
    except ValueError as error:
        check("out" in str(error) and "expected" in str(error), f"{name}: {error}")
        check(memory.tobytes() == before.tobytes(), f"{name}: refused, but written to")
        return
    check(to.tobytes() == expected.tobytes(), f"{name}: out overlaps an input: other numbers")


SUBJECTS = {"sums": sums, "layer": layer, "eigen": eigen, "importances": importances, "out": out, "overlap": overlap}
