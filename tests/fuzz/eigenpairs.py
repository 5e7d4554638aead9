"""power_iteration against LAPACK, and find_local_maxima against the matrices at the weights that it returns."""

import math

import numpy as np

import alphacl_fast as acl
from alphacl_fast import reference

from .covariance import absolute_term, with_threads
from .data import laid_out, numpy_of, size
from .judge import CHAINED, ROUNDINGS, Finding, check, eps, frobenius
from .nodes import activation, clear_nodes, gated_views, layer_importance, node_alphas, nodes

_DEFAULT_TOL = {4: 1e-5, 8: 1e-10}


def _spectrum(case, d):
    kind = case.pick(
        ["random", "planted", "double", "negative", "clustered", "rank one", "zero", "diagonal", "integer"]
    )
    case.note(f"{d} x {d} {kind}")
    rng = case.rng
    if kind == "integer":
        a = rng.integers(-3, 4, (d, d)).astype(float)
        return a + a.T
    values_of = {
        "random": rng.standard_normal(d),
        "planted": np.append(rng.uniform(-1, 1 - case.power_of_ten(-4, 0), d - 1), 1.0),
        "double": np.append(rng.uniform(-1, 0.5, max(0, d - 2)), [1.0, 1.0][: min(d, 2)]),
        "negative": -np.abs(rng.standard_normal(d)) - case.pick([0, 5]),
        "clustered": 1 + case.power_of_ten(-6, -1) * rng.standard_normal(d),
        "rank one": np.append(np.zeros(d - 1), case.pick([1.0, -1.0])),
        "zero": np.zeros(d),
        "diagonal": rng.integers(-2, 3, d).astype(float),
    }[kind]
    if kind == "diagonal":
        return np.diag(values_of)
    q, _ = np.linalg.qr(rng.standard_normal((d, d)))
    a = (q * values_of) @ q.T
    return (a + a.T) / 2


def power_iteration(case):
    """The top eigenpairs of matrices given as arrays."""
    d, single = size(case, 130 if case.chance(0.2) else 40), case.chance(0.3)
    count = 1 if single else size(case, 9 if d > 40 else 70)
    scale = case.power_of_ten(-15, 15) if case.chance(0.2) else 1.0
    wide = np.stack([scale * _spectrum(case, d) for _ in range(min(count, 3))])[np.arange(count) % min(count, 3)]
    wide = wide.astype(case.dtype).astype(np.float64)
    a = laid_out(case, "a", wide[0] if single else wide)
    tol = None if case.chance(0.6) else case.power_of_ten(-6, -4)
    options = {
        "method": case.pick(["lanczos", "power"], [3, 1]),
        "gap": case.chance(0.5),
        "tol": tol,
        "max_iter": int(case.pick([1, 5, 1000, 3000], [1, 1, 6, 2])),
        "seed": int(case.rng.integers(0, 1000)),
    }
    case.note(options)
    if case.chance(0.3):
        start = case.rng.standard_normal((count, d)) if case.chance(0.5) else np.eye(d)[case.rng.integers(0, d, count)]
        options["v0"] = laid_out(case, "v0", start[0] if single else start)
    found = acl.power_iteration(a, **options)
    again = with_threads(case, lambda: acl.power_iteration(a, **options))
    if again is not None:
        for one, other in zip(found, again, strict=True):
            check(one is None or numpy_of(one).tobytes() == numpy_of(other).tobytes(), "threads: other bits")
    for k in range(count):
        try:
            _judge_pair(case, wide[k], _pair(found, count, k), options)
        except Missed:
            # Few starts are said to miss an eigenvalue that close: another one must not.
            others = acl.power_iteration(a, **options | {"seed": options["seed"] + 1000})
            _judge_pair(case, wide[k], _pair(others, count, k), options)


class Missed(Finding):
    """An eigenvalue was missed by another so close to it that the documentation says that it can be."""


def _pair(found, count, k):
    """The k-th of the pairs."""
    arrays = [None if f is None else np.atleast_1d(numpy_of(f)) for f in found]
    arrays[1] = arrays[1].reshape(count, -1)
    return acl.TopEigenpairs(*(None if f is None else f[k] for f in arrays))


def _near_enough(error, most, text):
    """Refuses an error above `most`; one of up to 1000 times as much may be a start that had too little of the top."""
    if not error <= most:
        raise (Missed if error <= 1000 * most else Finding)(text)


def _judge_pair(case, a, found, options):
    """λ, v, gap and residual of one matrix."""
    lower = np.tril(a) + np.tril(a, -1).T
    eigenvalues = np.linalg.eigvalsh(lower)
    norm = float(np.abs(eigenvalues).max())
    tol = options["tol"] or _DEFAULT_TOL[case.dtype.itemsize]
    rounding = 100 * eps(np.float64) * norm + float(np.finfo(case.dtype).smallest_normal)
    v, value = found.eigenvector.astype(np.float64), float(found.eigenvalue)
    check(found.eigenvalue.dtype == found.eigenvector.dtype == found.residual.dtype == case.dtype, "dtype")
    check(1 <= found.n_iter <= 3 * options["max_iter"] + 3, f"n_iter {found.n_iter}")
    check(abs(np.linalg.norm(v) - 1) <= 4 * eps(case.dtype), f"length {np.linalg.norm(v)!r}")
    check(v[np.argmax(np.abs(v))] > 0, "sign: expected the largest entry positive")
    residual = frobenius(lower @ v - value * v)
    off = abs(residual - float(found.residual))
    check(off <= 1e-5 * residual + rounding, f"residual {float(found.residual):.3e}, in float64 {residual:.3e}")
    check(
        value <= eigenvalues[-1] + 4 * eps(case.dtype) * norm + rounding,
        f"λ {value!r} above the top {eigenvalues[-1]!r}",
    )
    if found.converged:
        check(residual <= tol * norm * (1 + 1e-6) + rounding, f"converged, but residual {residual:.3e} > tol · ‖A‖")
    if "v0" in options:
        return
    long_enough = options["max_iter"] >= 1000 and options["method"] == "lanczos"
    if long_enough and tol >= _DEFAULT_TOL[case.dtype.itemsize]:
        check(found.converged, f"not converged: residual {residual:.3e}, ‖A‖ {norm:.3e}, tol {tol:.1e}")
        most = 20 * tol * norm + rounding
        _near_enough(eigenvalues[-1] - value, most, f"λ {value!r} below the top {eigenvalues[-1]!r}")
        if found.gap is not None and len(a) > 1:
            gap = eigenvalues[-1] - eigenvalues[-2]
            # Each of two eigenvalues may be missed by that.
            _near_enough(abs(float(found.gap) - gap), 2 * most, f"gap {float(found.gap):.6e}, true {gap:.6e}")
    if len(a) == 1 and found.gap is not None:
        check(found.gap == np.inf, f"gap of a number {found.gap}")


def find_local_maxima(case):
    """λ, residual, energy and gap against A(w) at the weights returned; the same bits for the same seed."""
    x, x_aug, wide, wide_aug, kind, k = gated_views(case)
    d, act = wide.shape[1], activation(case)
    k = min(k, 17)
    options = {
        "activation": act,
        "max_iter": int(case.pick([1, 3, 30, 300])),
        "seed": int(case.rng.integers(0, 1000)),
        "gap": case.chance(0.7),
        "frozen": case.chance(0.3),
    }
    if case.chance(0.3):
        options["tol"] = case.power_of_ten(-6, -1)
    case.note(options)
    starts = None
    if case.chance(0.5):
        starts = nodes(case, "weights0", k, d, kind)
        starts[~starts.any(1), 0] = 1
        options["weights0"] = laid_out(case, "weights0", starts)
    options["frozen"] &= starts is not None  # what is drawn from a seed is not promised
    rough_start = starts if starts is not None else case.rng.standard_normal((k, d))
    alpha, _ = layer_importance(case, len(wide), wide, rough_start, act)
    options["alpha"] = alpha

    def call():
        return acl.theory.find_local_maxima(x, x_aug, k, progress=False, **options)

    found = call()
    for again in (call() if case.chance(0.2) else None, with_threads(case, call)):
        if again is not None:
            for one, other in zip(found, again, strict=True):
                check(one is None or numpy_of(one).tobytes() == numpy_of(other).tobytes(), "again: other bits")
    parts = {name: None if f is None else numpy_of(f) for name, f in found._asdict().items()}
    frozen = _units(starts, case.dtype) if options["frozen"] else None
    _judge_maxima(case, parts, alpha, wide, wide_aug, act, options, frozen)


def _units(w, dtype):
    """Vectors of length 1, rounded once."""
    w = w / np.abs(w).max(1, keepdims=True)
    return (w / np.linalg.norm(w, axis=1, keepdims=True)).astype(dtype).astype(np.float64)


def _judge_maxima(case, found, alpha, wide, wide_aug, act, options, frozen):
    """frozen: None, or the nodes whose outputs α compares."""
    w = found["weights"].astype(np.float64)
    compared = w if frozen is None else frozen
    d = w.shape[1]
    finite = np.isfinite(found["energy"])
    check(found["steps"].max() <= options["max_iter"], f"steps {found['steps'].max()}")
    ended = found["converged"] | (found["steps"] == options["max_iter"]) | ~finite
    check(ended.all(), f"node {np.argmin(ended)}: stopped early, yet not converged")
    x0 = wide if not isinstance(alpha, acl.NodeGaussian) or alpha.x0 is None else numpy_of(alpha.x0).astype(float)
    clear = clear_nodes(act, w, case.dtype, wide, wide_aug) & clear_nodes(act, compared, case.dtype, x0) & finite
    alphas = node_alphas(case, alpha, wide, compared, act)
    matrices = {k: _matrix(wide, wide_aug, w[k], *alphas[k], alpha, act, case.dtype) for k in range(len(w)) if clear[k]}
    # As good as nothing: what is lost beside the largest node of all, or beside the squares of the data.
    nothing = eps(case.dtype) * max([frobenius(m) + a for m, a in matrices.values()], default=0.0)
    nothing += float(np.finfo(case.dtype).smallest_normal)
    squares = float(np.mean(wide**2) + np.mean(wide_aug**2)) * d
    most = max([float(np.abs(a).mean()) for a, _ in alphas], default=0.0)
    nothing += max(eps(np.float64), 1e-3 * eps(case.dtype)) * squares * most
    for k, (matrix, moved) in matrices.items():
        of_node = {name: None if f is None else f[k] for name, f in found.items()}
        try:
            _judge_node(case, of_node, w[k], matrix, moved + nothing, getattr(act, "q", 1) ** 2, options)
        except Finding as finding:
            raise Finding(f"node {k}: {finding}") from None


def _judge_node(case, found, w, matrix, moved, square, options):
    """One node against its matrix, which rounding moves by so much; square: q² of u^q."""
    default = 1e-4 if case.dtype == np.float32 else 1e-8
    tol = options.get("tol") or default
    slack = (1e-3 if case.dtype == np.float32 else 1e-8) * frobenius(matrix) + moved
    check(abs(np.linalg.norm(w) - 1) <= 8 * eps(case.dtype), f"length {np.linalg.norm(w)!r}")
    product = matrix @ w
    value = float(w @ product)
    residual = frobenius(product - value * w)
    _near("eigenvalue", found["eigenvalue"], value, slack)
    _near("residual", found["residual"], residual, slack)
    _near("energy", found["energy"], value / (2 * square), slack)
    # `moved` bounds what rounding does, mostly a hundred times too high. Where that is more than the tolerance of
    # Lanczos, products do not agree to it.
    size = frobenius(matrix)
    overflown = size > float(np.finfo(case.dtype).max) / 8 or np.isinf(found["eigenvalue"])
    lost = 100 * _DEFAULT_TOL[case.dtype.itemsize] * size <= moved or overflown
    if found["gap"] is not None and len(w) > 1 and not (lost and np.isnan(found["gap"])):
        complement = np.linalg.qr(np.column_stack([w, np.eye(len(w))]))[0][:, 1 : len(w)]
        second = np.linalg.eigvalsh(complement.T @ matrix @ complement)[-1]
        _near("gap", found["gap"], value - second, 2 * slack + 1e-3 * np.linalg.norm(matrix, 2))
    reached = found["residual"] <= 0.99 * tol * np.linalg.norm(product) - slack
    check(found["converged"] or not reached, f"not converged with residual {residual:.3e}")


def _matrix(wide, wide_aug, node, weights, rough, alpha, act, dtype):
    """A(w) in float64, and what rounding moves in it."""
    views = (wide, wide_aug)
    gates = [np.asarray(reference.gate(act, v @ node))[:, None] for v in views]
    seen = [v * g for v, g in zip(views, gates, strict=True)]
    weights = np.asarray(weights, float)
    matrix = reference.contrastive_cov(*seen, weights)
    moved = absolute_term(alpha, weights, rough, *seen, dtype) * CHAINED[np.dtype(dtype)] / ROUNDINGS
    if hasattr(act, "q") and act.q > 1:
        # Powers of outputs that the type of the data rounds.
        signs = np.where(np.arange(len(wide)) % 2, 1.0, -1.0)[:, None]
        slopes = [act.q * (act.q - 1) * np.abs(v @ node)[:, None] ** (act.q - 2) for v in views]
        errors = [2 * eps(dtype) * s * (np.abs(v) @ np.abs(node))[:, None] for v, s in zip(views, slopes, strict=True)]
        shaken = [v * (g + way * e) for v, g, e, way in zip(views, gates, errors, (signs, -signs), strict=True)]
        moved += ROUNDINGS * frobenius(reference.contrastive_cov(*shaken, weights) - matrix)
    return matrix, moved


def _near(what, ours, truth, slack):
    # Near the end of the range sums on the way may leave it.
    beyond = math.copysign(math.inf, truth) if abs(truth) + slack > np.finfo(ours.dtype).max / 8 else truth
    check(
        abs(float(ours) - truth) <= slack or ours == beyond,
        f"{what} {float(ours):.6e}, at the weights returned {truth:.6e} ± {slack:.1e}",
    )
