"""Calls that must be refused: one argument of a valid call is broken, and the error must name it.

A recipe returns what it did in words, the names one of which the error must mention, and the call; None where the
broken value happens to be valid there.
"""

import numpy as np

import alphacl_fast as acl

from .bad import bad_count, bad_positive, broken_arrays, refused

# Sizes that an argument of its own may have: another argument has to be asked first.
_FREE_SIZES = ("a row more", "a row less", "a column more", "a column less")
_FREE_KINDS = (*_FREE_SIZES, "an axis less", "the other precision", "the other kind")


def _arguments(case, n=6, d=3, k=2):
    """Valid arguments by name."""
    shapes = {"x": (n, d), "x_aug": (n, d), "weights": (k, d), "v": (k, d), "alpha": (n, n)}
    return {name: case.rng.standard_normal(shape).astype(case.dtype) for name, shape in shapes.items()}


def _view(case):
    a, function = _arguments(case), case.pick([acl.contrastive_cov, acl.energy])
    names = ("x", "x_aug") if function is acl.contrastive_cov else ("f", "f_aug")
    how, broken = broken_arrays(case, a["x"])
    first = case.chance(0.5)
    views = [broken, a["x_aug"]] if first else [a["x"], broken]
    alpha = a["alpha"] if how in _FREE_SIZES else None
    return f"{function.__name__}: {names[not first]} is {how}", names, lambda: function(*views, alpha)


def _alpha(case):
    a, function = _arguments(case), case.pick([acl.contrastive_cov, acl.energy])
    how, broken = broken_arrays(case, a["alpha"])
    if how == "None":
        how, broken = case.pick([("a class", acl.Direct), ("of nodes", acl.NodeGaussian(1.0)), ("a function", abs)])
    return f"{function.__name__}: alpha is {how}", ("alpha",), lambda: function(a["x"], a["x_aug"], broken)


def _other_samples(case):
    a = _arguments(case)
    f = a["x"][:-1].copy()
    alpha = case.pick([acl.Gaussian(f, 1.0), acl.Direct(f), acl.SquareRegularized(f, 1.0), acl.LowRank(f)])
    return "alpha of fewer samples", ("alpha",), lambda: acl.contrastive_cov(a["x"], a["x_aug"], alpha)


def _layer(case):
    a, which = _arguments(case), case.pick(["x", "x_aug", "weights"])
    how, broken = broken_arrays(case, a[which])
    if which == "weights" and how in ("a row more", "a row less", "None"):
        return None
    b = a | {which: broken}
    name, call = case.pick(
        [
            ("gated_cov", lambda: acl.gated_cov(b["x"], b["x_aug"], b["weights"])),
            ("GatedCovariance", lambda: acl.GatedCovariance(b["x"], b["x_aug"], b["weights"])),
            ("find_local_maxima", lambda: acl.theory.find_local_maxima(b["x"], b["x_aug"], weights0=b["weights"])),
        ]
    )
    return f"{name}: {which} is {how}", ("x", "x_aug", "weights", "weights0"), call


def _activation(case):
    a = _arguments(case)
    act = case.pick(["tanh", "ReLU", None, 3, acl.LeakyReLU, acl.Monomial, abs, b"relu", ["relu"], np.array([1.0])])
    call = case.pick([acl.gated_cov, acl.GatedCovariance])
    return f"activation {act!r}", ("activation",), lambda: call(a["x"], a["x_aug"], a["weights"], activation=act)


def _vectors(case):
    a = _arguments(case)
    operator = acl.GatedCovariance(a["x"], a["x_aug"], a["weights"])
    how, broken = broken_arrays(case, a["v"])
    method = case.pick([operator.matmul, operator.quadratic])
    return f"{method.__name__}: v is {how}", ("v",), lambda: method(broken)


def _omega(case):
    a = _arguments(case)
    how, broken = broken_arrays(case, a["alpha"])
    call = lambda: acl.gated_outer(a["x"], broken)  # noqa: E731
    return None if how in ("a column more", "a column less") else (f"gated_outer: omega is {how}", ("omega",), call)


def _climb(case):
    a, name = _arguments(case), case.pick(["num_nodes", "max_iter", "seed", "tol", "angle"])
    bad = bad_positive(case) if name in ("tol", "angle") else bad_count(case)
    if (bad is None and name == "tol") or (name == "seed" and bad is not True and bad == 0):
        return None
    options = {"num_nodes": 2} | {name: bad}
    call = lambda: acl.theory.find_local_maxima(a["x"], a["x_aug"], **options)  # noqa: E731
    return f"find_local_maxima({name}={bad!r})", (name,), call


def _alpha_weights(case):
    a, alpha = _arguments(case), case.pick([None, acl.NodeGaussian(1.0)])
    how, broken = broken_arrays(case, a["weights"])
    views = a["x"], a["x_aug"], a["weights"]
    call = lambda: acl.GatedCovariance(*views, alpha=alpha, alpha_weights=broken)  # noqa: E731
    return None if how == "None" else (f"alpha_weights is {how}", ("alpha_weights",), call)


def _x0(case):
    a = _arguments(case)
    how, broken = broken_arrays(case, a["x"])
    call = lambda: acl.gated_cov(a["x"], a["x_aug"], a["weights"], alpha=acl.NodeGaussian(1.0, broken))  # noqa: E731
    return None if how == "None" else (f"x0 is {how}", ("x0",), call)


def _matrices(case):
    m = case.rng.standard_normal((4, 4)).astype(case.dtype)
    how, broken = broken_arrays(case, m)
    if how in ("an axis more", "no rows", "the other kind", "the other precision"):
        return None
    return f"power_iteration: a is {how}", ("a",), lambda: acl.power_iteration(broken)


def _start(case):
    m = case.rng.standard_normal((3, 4, 4)).astype(case.dtype)
    how, broken = broken_arrays(case, m[:, 0])
    if how == "None":
        how, broken = "NaN", np.full((3, 4), np.nan, case.dtype)
    return f"power_iteration: v0 is {how}", ("v0",), lambda: acl.power_iteration(m, v0=broken)


def _iteration(case):
    m, which = np.eye(4, dtype=case.dtype), case.pick(["tol", "max_iter", "seed", "method"])
    if which == "method":
        bad = case.pick(["Power", "", None, 3, b"power", ["power"]])
    else:
        bad = bad_positive(case) if which == "tol" else bad_count(case)
    if (bad is None and which == "tol") or (which == "seed" and bad is not True and bad == 0):
        return None
    return f"power_iteration({which}={bad!r})", (which,), lambda: acl.power_iteration(m, **{which: bad})


_MAKERS = (
    lambda f: acl.Gaussian(f, 1.0),
    lambda f: acl.Direct(f, 2),
    lambda f: acl.InverseDistance(f, 2),
    lambda f: acl.SquareRegularized(f, 1.0),
)


def _features(case):
    make, f = case.pick(_MAKERS), _arguments(case)["x"]
    how, broken = broken_arrays(case, f)
    call = lambda: make(broken).row_sums()  # noqa: E731
    return None if how in _FREE_KINDS else (f"features are {how}", ("features",), call)


def _phi(case):
    how, broken = broken_arrays(case, _arguments(case)["x"])
    call = lambda: acl.LowRank(broken).row_sums()  # noqa: E731
    return None if how in _FREE_KINDS else (f"phi is {how}", ("phi",), call)


def _product(case):
    make, f = case.pick(_MAKERS), _arguments(case)["x"]
    how, broken = broken_arrays(case, f)
    call = lambda: make(f).matmul(broken)  # noqa: E731
    return None if how in ("a column more", "a column less") else (f"matmul: y is {how}", ("y",), call)


def _tau(case):
    f, bad = _arguments(case)["x"], bad_positive(case)
    name, make = case.pick(
        [
            ("tau", lambda: acl.Gaussian(f, bad)),
            ("tau", lambda: acl.SquareRegularized(f, bad)),
            ("tau", lambda: acl.NodeGaussian(bad)),
            ("tau", lambda: acl.Direct(f, 4, bad)),
            ("p", lambda: acl.Direct(f, bad)),
            ("q", lambda: acl.InverseDistance(f, q=bad)),
        ]
    )
    return f"{name}={bad!r}", (name,), make


def _pair(case):
    bad = case.pick([np.ones(5), np.ones((6, 1)), np.ones(6, np.float32), [1.0] * 6, None, np.ones(6, complex)])
    both = (bad, np.ones(6)) if case.chance(0.5) else (np.ones(6), bad)
    f = _arguments(case)["x"]
    call = lambda: acl.importance.PairImportance(f, 1.0, "logistic", *both)  # noqa: E731
    return f"PairImportance of {type(bad).__name__}", ("offset", "weight"), call


def _numbers(case):
    f = _arguments(case)["x"]
    options = {
        "size": ([0, -1, 1.5, "3", True, [2], np.nan], acl.Uniform),
        "method": (["FFT", None, 3, b"tiles"], lambda bad: acl.Gaussian(f, 1.0, method=bad)),
        "slope": ([np.nan, np.inf, "1", None, True, 1j, [0.5], np.array([0.5, 1.0]), np.array([0.5])], acl.LeakyReLU),
        "q": ([0, -1, 1.5, "2", None, True, [2], 10**400], acl.Monomial),
    }
    name = case.pick(list(options))
    values, make = options[name]
    bad = case.pick(values)
    return f"{name}={bad!r}", (name,), lambda: make(bad)


def subject_of(*recipes):
    def subject(case):
        made = case.pick(recipes)(case)
        if made is not None:
            case.note(made[0])
            refused(*made)

    return subject


SUBJECTS = {
    "sums": subject_of(_view, _alpha, _other_samples),
    "layer": subject_of(_layer, _activation, _vectors, _omega, _climb, _alpha_weights, _x0),
    "eigen": subject_of(_matrices, _start, _iteration),
    "importances": subject_of(_features, _phi, _product, _tau, _pair, _numbers),
}
