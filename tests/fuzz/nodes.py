"""A layer of nodes: gated_outer, gated_cov, GatedCovariance. Gates that rounding may turn either way are kept out."""

import copy
import pickle

import numpy as np

import alphacl_fast as acl
from alphacl_fast import reference

from .alphas import importance, temperature, typical_square
from .covariance import absolute_term, dense_pair, exact_type, views, with_threads
from .data import EXACT, laid_out, numpy_of, size, values
from .judge import PRODUCT_TOL, ROUNDINGS, check, contract, eps, frobenius, same_bits

_BUDGET = {4: 1e7, 8: 1e6}
ACTIVATIONS = (
    "linear",
    "relu",
    acl.LeakyReLU(0.1),
    acl.LeakyReLU(-2.0),
    acl.LeakyReLU(0.0),
    acl.Monomial(1),
    acl.Monomial(2),
    acl.Monomial(3),
)


def activation(case):
    chosen = case.pick(ACTIVATIONS, [2, 6, 2, 1, 1, 0.5, 1, 1])
    case.note(f"activation {chosen}")
    return chosen


def nodes(case, name, k, d, kind=None):
    """(K, d) in float64, exact in the type of the case."""
    kinds = ["integer", "ternary", "one-hot"] if kind in EXACT and case.chance(0.7) else ["normal", "ternary"]
    w, chosen = values(case, name, k, d, scales=False, kinds=kinds)
    if chosen == "normal" and case.chance(0.7):
        w = w / np.linalg.norm(w, axis=1, keepdims=True)
    return np.asarray(w).astype(case.dtype).astype(np.float64)


def _is_exact(x, w):
    """Whether every order of summing wᵀx gives the same number: all are small multiples of one power of two."""

    def units(a):
        largest = float(np.abs(a).max(initial=0))
        steps = a / 2.0 ** np.floor(np.log2(largest)) * 64 if largest > 0 else a
        return bool((steps == np.round(steps)).all())

    return units(x) and units(w)


def doubtful(x, w, dtype):
    """(N, K): whether rounding in the type of the data may change the sign of wᵀx, or make it 0."""
    if _is_exact(x, w):
        return np.zeros((len(x), len(w)), bool)
    u, most = x @ w.T, np.abs(x) @ np.abs(w).T
    return (np.abs(u) <= 4 * (2 + np.sqrt(x.shape[1])) * eps(dtype) * most) & (most > 0)


def has_gate(act):
    return act == "relu" or isinstance(act, acl.LeakyReLU)


def clear_nodes(act, w, dtype, *inputs):
    """Which nodes have no doubtful gate."""
    if not has_gate(act):
        return np.ones(len(w), bool)
    return ~np.any([doubtful(x, w, dtype).any(0) for x in inputs], axis=0)


def layer_importance(case, n, wide, w, act):
    """A shared importance or NodeGaussian; and for node k (weights, naive weights) of α."""
    if case.chance(0.5):
        return importance(case, n, wide), None
    outputs = np.asarray(reference.activate(act, wide @ w[0]))[:, None]
    tau = temperature(case, typical_square(case, outputs), case.dtype)
    if not 1e-30 < tau < 1e30:
        tau = 1.0
    x0 = None
    if case.chance(0.3):
        x0_wide, _ = values(case, "x0", n, wide.shape[1], scales=False)
        x0 = laid_out(case, "x0", x0_wide)
    case.note(f"alpha: NodeGaussian tau={tau!r} tol=None")
    return acl.NodeGaussian(tau, x0), x0


def node_alphas(case, alpha, wide, w, act):
    """For each node (α, naive α, what rounding of the outputs moves in α)."""
    n = len(wide)
    if not isinstance(alpha, acl.NodeGaussian):
        exact, rough = dense_pair(alpha, n, case.dtype)
        return [(exact, rough)] * len(w)
    x0 = wide if alpha.x0 is None else numpy_of(alpha.x0).astype(np.float64)
    found = []
    for node in w:
        both = []
        for kind in (exact_type(case.dtype), case.dtype.type):
            outputs = np.asarray(reference.activate(act, x0.astype(kind) @ node.astype(kind)))
            both.append(reference.gaussian(outputs, alpha.tau, dtype=kind))
        moved = _moved(x0, node, act, alpha.tau, both[0], case.dtype)
        off = np.nan_to_num(np.abs(both[1] - both[0]))  # ∞ − ∞ of outputs that leave the type allows no error
        found.append((both[0], both[0] + off + moved))
    return found


def _moved(x0, node, act, tau, alpha, dtype):
    """What one rounding of each product in the outputs h(wᵀx0) may move in α."""
    u = x0 @ node
    slope = np.abs(reference.gate(act, u)) if not hasattr(act, "q") else act.q * np.abs(u) ** (act.q - 1)
    error = eps(dtype) * slope * (np.abs(x0) @ np.abs(node))
    h = np.asarray(reference.activate(act, u))
    apart, both = np.abs(h[:, None] - h), error[:, None] + error
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        nearer = np.exp(-(np.maximum(apart - both, 0) ** 2) / (2 * tau))
        further = np.exp(-((apart + both) ** 2) / (2 * tau))
    return np.nan_to_num(np.maximum(nearer - alpha, alpha - further).astype(float), nan=1.0)


def gated_outer(case):
    """Σ_i ω_ik x_i x_iᵀ."""
    d = size(case, 70 if case.chance(0.3) else 20)
    n, k = size(case, 1100), size(case, 70 if case.chance(0.3) else 9)
    wide = np.asarray(values(case, "x", n, d)[0]).astype(case.dtype).astype(np.float64)
    omega = np.asarray(values(case, "omega", n, k, scales=False)[0]).astype(case.dtype).astype(np.float64)
    omega = omega * (case.rng.random((n, k)) < case.pick([0.1, 0.5, 1.0]))
    x, w = laid_out(case, "x", wide), laid_out(case, "omega", omega)
    ours = numpy_of(acl.gated_outer(x, w))
    again = with_threads(case, lambda: numpy_of(acl.gated_outer(x, w)))
    exact = exact_type(case.dtype) if n * k * d * d < 4e6 else np.float64
    squares = np.abs(wide).T ** 2
    for node in range(k):
        truth = reference.gated_outer(wide, omega[:, node : node + 1], dtype=exact)[0]
        absolute = ROUNDINGS * eps(case.dtype) * float((squares @ np.abs(omega[:, node])).sum())

        def naive(node=node):
            return reference.gated_outer(x, numpy_of(w)[:, node : node + 1], dtype=case.dtype.type)[0]

        contract(f"node {node}", ours[node], truth, naive, absolute, case.dtype)
        same_bits(f"symmetry of node {node}", ours[node], np.ascontiguousarray(ours[node].T))
    if again is not None:
        same_bits("threads", ours, again)


def gated_views(case):
    """Two views, with the number of nodes that the budget allows."""
    budget = _BUDGET[case.dtype.itemsize]
    x, x_aug, wide, wide_aug, kind = views(case, budget * (1 if case.chance(0.9) else 4))
    n, d = wide.shape
    most = int(min(70, max(1, 3 * budget / (n * n * d * (d + 8)))))
    return x, x_aug, wide, wide_aug, kind, size(case, most)


def judged_nodes(case, alpha, wide, wide_aug, w, act):
    """(k, truth, naive(), absolute term) of A(w_k) of the nodes without doubtful gates."""
    exact = exact_type(case.dtype)
    x0 = wide if not isinstance(alpha, acl.NodeGaussian) or alpha.x0 is None else numpy_of(alpha.x0).astype(float)
    clear = clear_nodes(act, w, case.dtype, wide, wide_aug, x0)
    for k, (weights, rough) in enumerate(node_alphas(case, alpha, wide, w, act)):
        if not clear[k]:
            continue
        seen = [v.astype(exact) * reference.gate(act, v @ w[k])[:, None].astype(exact) for v in (wide, wide_aug)]
        if hasattr(act, "q"):
            seen = [v.astype(exact) * reference.gate(act, v.astype(exact) @ w[k])[:, None] for v in (wide, wide_aug)]

        def naive(k=k, rough=rough):
            views_here = [v.astype(case.dtype) for v in (wide, wide_aug)]
            node = w[k].astype(case.dtype)
            here = [v * reference.gate(act, v @ node)[:, None] for v in views_here]
            return reference.contrastive_cov(*here, rough.astype(case.dtype), dtype=case.dtype.type)

        absolute = absolute_term(alpha, weights, rough, *(np.asarray(v, float) for v in seen), case.dtype)
        if hasattr(act, "q") and act.q > 1:
            absolute += _powers(act, wide, wide_aug, w[k], weights, case.dtype)
        yield k, reference.contrastive_cov(*seen, weights, dtype=exact), naive, absolute


def _powers(act, wide, wide_aug, node, weights, dtype):
    """What one rounding of the products in u = wᵀx moves where h'(u) = q u^(q−1) is no 0 or 1."""
    total = 0.0
    terms = np.abs(np.asarray(weights, float))
    both = (terms.sum(0) + terms.sum(1)) / (2 * len(wide) ** 2)
    for view in (wide, wide_aug):
        u, most = np.abs(view @ node), np.abs(view) @ np.abs(node)
        slope = act.q * (act.q - 1) * most ** max(act.q - 2, 0)
        gated = act.q * u ** (act.q - 1)
        total += float((both * (view**2).sum(1) * slope * most * np.maximum(gated, eps(dtype))).sum())
    return 2 * ROUNDINGS * eps(dtype) * total


def gated_cov(case):
    """A(w_k) of every node."""
    x, x_aug, wide, wide_aug, kind, k = gated_views(case)
    act = activation(case)
    wide_w = nodes(case, "weights", k, wide.shape[1], kind)
    w = laid_out(case, "weights", wide_w)
    alpha, _ = layer_importance(case, len(wide), wide, wide_w, act)

    def call():
        return numpy_of(acl.gated_cov(x, x_aug, w, activation=act, alpha=alpha))

    ours, again = call(), with_threads(case, call)
    check(ours.shape == (k, *(wide.shape[1],) * 2), f"shape {ours.shape}")
    for node, truth, naive, absolute in judged_nodes(case, alpha, wide, wide_aug, wide_w, act):
        contract(f"node {node}", ours[node], truth, naive, absolute, case.dtype)
        same_bits(f"symmetry of node {node}", ours[node], np.ascontiguousarray(ours[node].T))
    if again is not None:
        same_bits("threads", ours, again)


def gated_covariance(case):
    """Products, quadratic forms and matrices of a GatedCovariance."""
    x, x_aug, wide, wide_aug, kind, k = gated_views(case)
    act, d = activation(case), wide.shape[1]
    wide_w = nodes(case, "weights", k, d, kind)
    alpha, _ = layer_importance(case, len(wide), wide, wide_w, act)
    layer = _layer(case, x, x_aug, wide_w, act, alpha, kind)
    wide_v = nodes(case, "v", k, d, kind)
    v = laid_out(case, "v", wide_v)
    if case.chance(0.05):
        case.note("a copy")
        layer = case.pick([copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])(layer)
    products, forms = numpy_of(layer.matmul(v)), numpy_of(layer.quadratic(v))
    again = with_threads(case, lambda: numpy_of(layer.matmul(v)))
    dense = numpy_of(layer.to_dense()) if case.chance(0.2) else None
    tol = PRODUCT_TOL[case.dtype]
    for node, truth, naive, absolute in judged_nodes(case, alpha, wide, wide_aug, wide_w, act):
        along, length = wide_v[node], frobenius(wide_v[node])

        def naive_product(naive=naive, along=along):
            return naive() @ along.astype(case.dtype)

        exact = truth @ along
        contract(f"matmul of node {node}", products[node], exact, naive_product, absolute * length, case.dtype, tol=tol)
        contract(
            f"quadratic of node {node}",
            forms[node],
            along @ exact,
            lambda naive_product=naive_product, along=along: along.astype(case.dtype) @ naive_product(),
            (absolute * length + ROUNDINGS * eps(case.dtype) * frobenius(exact)) * length,
            case.dtype,
            tol=tol,
        )
        if dense is not None:
            contract(f"to_dense of node {node}", dense[node], truth, naive, absolute, case.dtype, tol=tol)
    if again is not None:
        same_bits("threads", products, again)


def _layer(case, x, x_aug, wide_w, act, alpha, kind):
    """The operator, made at once or by with_weights."""
    w = laid_out(case, "weights", wide_w)
    if case.chance(0.25):
        case.note("with_weights")
        other = laid_out(case, "other", nodes(case, "other", size(case, 5), wide_w.shape[1], kind))
        return acl.GatedCovariance(x, x_aug, other, activation=act, alpha=alpha).with_weights(w)
    return acl.GatedCovariance(x, x_aug, w, activation=act, alpha=alpha)
