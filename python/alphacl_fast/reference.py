"""The definitions of the package, written literally in numpy: slow, plain, and the truth of every test.

Names and arguments are those of the public functions. Everything is computed in float64 (float32 data is
upcast, which is exact); `dtype=` asks for another working precision: the "naive" result that the accuracy
contract compares with, or `numpy.longdouble`.
"""

import numpy as np

_CHUNK = 1 << 17  # elements of one temporary block of differences


def _array(a, dtype):
    """`a` as a numpy array of `dtype`; torch tensors are copied to the host first."""
    if hasattr(a, "detach"):
        a = a.detach().cpu().resolve_neg().double().numpy()
    return np.asarray(a).astype(dtype, copy=False)


def _blocks(n, width):
    """Slices over n rows, such that a block of rows of `width` elements stays small."""
    rows = max(1, _CHUNK // max(1, width))
    return (slice(i, i + rows) for i in range(0, n, rows))


def _squared_distances(z):
    """‖z_i − z_j‖² for all i, j: (N,) or (N, m) -> (N, N), by differences."""
    n = len(z)
    out = np.zeros((n, n), z.dtype)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        for rows in _blocks(n, n):
            for column in z.reshape(n, -1).T:
                out[rows] += (column[rows, None] - column) ** 2
    return out


def _spoil_non_finite(alpha, features):
    """Every weight that a non-finite feature takes part in becomes NaN (in place)."""
    bad = ~np.isfinite(features.reshape(len(features), -1)).all(axis=1)
    alpha[bad, :] = np.nan
    alpha[:, bad] = np.nan
    return alpha


def uniform(n, *, dtype=None):
    """α_ij = 1: (n, n). Source: poster."""
    return np.ones((n, n), dtype or np.float64)


def dense(alpha, *, dtype=None):
    """α_ij as given: (N, N), any sign, need not be symmetric. Source: P1."""
    return _array(alpha, dtype or np.float64)


def low_rank(phi, signs=None, *, dtype=None):
    """α_ij = Σ_l s_l φ_l(i) φ_l(j), phi: (N, p), signs: s, (p,), None: ones -> (N, N). Cost N²p.

    Source: poster (kernel importance); signs: derived.
    """
    phi = _array(phi, dtype or np.float64)
    return phi @ phi.T if signs is None else (phi * _array(signs, phi.dtype)) @ phi.T


def labels(labels, same=1.0, different=0.0, *, dtype=None):
    """α_ij = same where y_i = y_j, else different; labels: y, (N,) integers -> (N, N). Source: derived."""
    y = labels.detach().cpu().resolve_neg().numpy() if hasattr(labels, "detach") else np.asarray(labels)
    exact = np.dtype(dtype or np.float64).type
    return np.where(y[:, None] == y, exact(same), exact(different))


def sparse(matrix, *, dtype=None):
    """α as a sparse matrix of scipy, of torch in compressed rows, or its (starts, columns, values) -> (N, N).

    Entries of one place add up. Source: derived.
    """
    if hasattr(matrix, "crow_indices"):
        matrix = matrix.crow_indices(), matrix.col_indices(), matrix.values()
    elif hasattr(matrix, "tocsr"):
        rows = matrix.tocsr()
        matrix = rows.indptr, rows.indices, rows.data
    starts, columns, values = (_array(a, kind) for a, kind in zip(matrix, (int, int, dtype or np.float64), strict=True))
    alpha = np.zeros((len(starts) - 1,) * 2, values.dtype)
    for i in range(len(alpha)):
        for e in range(starts[i], starts[i + 1]):
            alpha[i, columns[e]] += values[e]
    return alpha


def gaussian(features, tau, *, dtype=None):
    """α_ij = exp(−‖f_i − f_j‖² / (2τ)), features: (N,) or (N, m) -> (N, N), diagonal 1.

    Cost N²m. Source: poster.
    """
    features = _array(features, dtype or np.float64)
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        alpha = _squared_distances(features)
        alpha /= -2 * features.dtype.type(tau)
        np.exp(alpha, out=alpha)
    np.fill_diagonal(alpha, 1)
    return _spoil_non_finite(alpha, features)


def direct(features, p=4, tau=0.5, normalize=True, features_aug=None, eps=0.0, *, dtype=None):
    """α_ij = e_ij = exp(−d_ij^p / τ) for j ≠ i, α_ii = 0, d_ij² = ½‖z_i − z_j‖²; normalize: e_ij/(Σ_k e_ik + eps·n).

    features: (N,) or (N, m) -> (N, N), n = N − 1. The smallest distance of a row leaves the quotient before the
    division by τ, so that no τ gives 0/0; a single sample has no pair, its row is 0. Cost N²m.
    normalize="both": z = (features; features_aug) -> (2N, 2N), without the pairs of views of one sample, n = 2N − 2.
    Source: P1 (α-CL-direct).
    """
    features, terms, left_out = _views(features, features_aug, dtype or np.float64)
    tau = features.dtype.type(tau)
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        power = (_squared_distances(features) / 2) ** (p / 2)
        power[left_out] = np.inf
        nearest = power.min(axis=1, keepdims=True) if normalize and terms > 0 else 0
        alpha = np.exp(-(power - nearest) / tau)
        alpha[left_out] = 0
        _spoil_non_finite(alpha, features)
        if normalize and terms > 0:
            added = features.dtype.type(eps * terms) * np.exp(nearest / tau) if eps > 0 else 0
            alpha /= alpha.sum(axis=1, keepdims=True) + added
    return alpha


def _views(features, features_aug, dtype):
    """The features, of both views where there are two; how many terms a row has; which pairs are in none."""
    features = _array(features, dtype)
    n = len(features)
    if features_aug is None:
        return features, n - 1, np.eye(n, dtype=bool)
    return np.concatenate([features, _array(features_aug, dtype)]), 2 * n - 2, np.tile(np.eye(n, dtype=bool), (2, 2))


def inverse_distance(features, p=4, tau=0.5, q=1, normalize=False, features_aug=None, eps=0.0, *, dtype=None):
    """α_ij = e_ij = 1/(d_ij^p + τ)^q for j ≠ i, α_ii = 0, d_ij² = ½‖z_i − z_j‖²; normalize, "both", eps as in direct.

    features: (N,) or (N, m) -> (N, N), or (2N, 2N). Rows that are divided by their sums are those of
    ((least d^p + τ)/(d_ij^p + τ))^q, which cannot all be 0. Cost N²m. Source: the public code of P1, "inverse".
    """
    features, terms, left_out = _views(features, features_aug, dtype or np.float64)
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        base = (_squared_distances(features) / 2) ** (p / 2) + features.dtype.type(tau)
        base[left_out] = np.inf
        nearest = base.min(axis=1, keepdims=True) if normalize and terms > 0 else features.dtype.type(1)
        alpha = (nearest / base) ** q
        alpha[left_out] = 0
        _spoil_non_finite(alpha, features)
        if normalize and terms > 0:
            alpha /= alpha.sum(axis=1, keepdims=True) + (
                features.dtype.type(eps * terms) * nearest**q if eps > 0 else 0
            )
    return alpha


def square_regularized(features, tau, *, dtype=None):
    """Rows of −d_ij²/τ, j ≠ i, projected on the simplex by sorting: α_ij = [μ_i − d_ij²]₊/τ, rows sum to 1.

    features: (N,) or (N, m) -> (N, N), diagonal 0; a single sample has no pair, its row is 0. Cost N²(m + log N).
    Source: P1.
    """
    features = _array(features, dtype or np.float64)
    n, tau = len(features), features.dtype.type(tau)
    d2 = _squared_distances(features) / 2
    alpha = np.zeros_like(d2)
    for i in range(n if n > 1 else 0):
        others = np.delete(d2[i], i)
        with np.errstate(invalid="ignore"):
            others -= others.min()  # a shift of a row changes nothing, and τ far below the distances counts
        ordered = np.sort(others)
        sums = np.cumsum(ordered) + tau
        count = np.arange(1, n)
        active = max(1, np.count_nonzero(ordered * count < sums))
        row = np.maximum(sums[active - 1] / active - others, 0) / tau
        alpha[i] = np.insert(row, i, 0)
    return _spoil_non_finite(alpha, features)


def pair(features, scale, form, offset, weight, *, dtype=None):
    """α_ij = w_i ψ'(o_i − s d_ij²), d_ij² = ½‖f_i − f_j‖², α_ii = 0. (N,) or (N, m) -> (N, N). Source: P1."""
    features = _array(features, dtype or np.float64)
    x = _array(offset, features.dtype)[:, None] - features.dtype.type(scale) * _squared_distances(features) / 2
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        slope = {
            "exponential": np.exp,
            "hinge": lambda x: (x > 0).astype(x.dtype),
            "logistic": lambda x: np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))) ** 2,
            "softplus": lambda x: np.where(x < 0, np.exp(-np.abs(x)), 1) / (1 + np.exp(-np.abs(x))),
            "square": lambda x: np.maximum(x, 0),
        }[form](x)
    alpha = _array(weight, features.dtype)[:, None] * slope
    np.fill_diagonal(alpha, 0)
    return _spoil_non_finite(alpha, features)


_FROM_OBJECT = {
    "Uniform": lambda a, n, dtype: uniform(n, dtype=dtype) * (1 if a.diagonal else 1 - np.eye(n)),
    "SquareRegularized": lambda a, n, dtype: square_regularized(a.features, a.tau, dtype=dtype),
    "PairImportance": lambda a, n, dtype: pair(a.features, a.scale, a.form, a.offset, a.weight, dtype=dtype),
    "Dense": lambda a, n, dtype: dense(a.alpha, dtype=dtype),
    "LowRank": lambda a, n, dtype: low_rank(a.phi, a.signs, dtype=dtype),
    "Labels": lambda a, n, dtype: labels(a.labels, a.same, a.different, dtype=dtype),
    "Sparse": lambda a, n, dtype: sparse(a.matrix, dtype=dtype),
    "Gaussian": lambda a, n, dtype: gaussian(a.features, a.tau, dtype=dtype),
    "Direct": lambda a, n, dtype: direct(a.features, a.p, a.tau, a.normalize, a.features_aug, a.eps, dtype=dtype),
    "InverseDistance": lambda a, n, dtype: inverse_distance(
        a.features, a.p, a.tau, a.q, a.normalize, a.features_aug, a.eps, dtype=dtype
    ),
}


def dense_alpha(alpha, n, *, dtype=None):
    """α as an (n, n) array, from None (uniform), an array or an importance object's stored arguments."""
    if alpha is None:
        return uniform(n, dtype=dtype)
    build = _FROM_OBJECT.get(getattr(alpha, "_kind", None))
    return build(alpha, n, dtype) if build else dense(alpha, dtype=dtype)


def contrastive_cov(x, x_aug, alpha=None, *, dtype=None):
    """C_α[x] = 1/(2N²) Σ_ij α_ij [(x_i − x_j)(x_i − x_j)ᵀ − (x_i − x'_i)(x_i − x'_i)ᵀ].

    x, x_aug: (N, d) -> (d, d); alpha: None (uniform), (N, N) or an importance. All pairs, the diagonal
    included: at j = i only the second term is there. Cost N²d² time, Nd beside α in memory. Source: P1.
    """
    x, x_aug = _array(x, dtype or np.float64), _array(x_aug, dtype or np.float64)
    n, d = x.shape
    alpha = dense_alpha(alpha, n, dtype=dtype)
    c = np.zeros((d, d), x.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in _blocks(n, n * d):
            inter = (x[rows, None, :] - x[None, :, :]).reshape(-1, d)
            intra = x[rows] - x_aug[rows]
            weights = alpha[rows]
            c += (weights.reshape(-1, 1) * inter).T @ inter
            c -= (weights.sum(axis=1, keepdims=True) * intra).T @ intra
        return c / x.dtype.type(2 * n * n)


def energy(f, f_aug, alpha=None, *, dtype=None):
    """E_α = ½ tr C_α[f] = 1/(4N²) Σ_ij α_ij [‖f_i − f_j‖² − ‖f_i − f'_i‖²].

    f, f_aug: (N, m) -> scalar; alpha as in `contrastive_cov`. Cost N²m. Source: P1.
    """
    f, f_aug = _array(f, dtype or np.float64), _array(f_aug, dtype or np.float64)
    n, m = f.shape
    alpha = dense_alpha(alpha, n, dtype=dtype)
    total = f.dtype.type(0)
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in _blocks(n, n * m):
            inter = f[rows, None, :] - f[None, :, :]
            intra = f[rows] - f_aug[rows]
            squares = np.einsum("ijk,ijk->ij", inter, inter) - np.einsum("ik,ik->i", intra, intra)[:, None]
            total += (alpha[rows] * squares).sum()
        return total / f.dtype.type(4 * n * n)


def gate(activation, u):
    """h'(u): 1 for "linear", [u > 0] for "relu", 1 or slope for LeakyReLU, q u^(q−1) for Monomial."""
    u = np.asarray(u)
    if activation == "linear":
        return np.ones_like(u)
    if activation == "relu":
        return np.where(np.isnan(u), u, (u > 0).astype(u.dtype))
    if hasattr(activation, "slope"):
        return np.where(np.isnan(u), u, np.where(u > 0, 1, activation.slope)).astype(u.dtype)
    return activation.q * u ** (activation.q - 1)


def activate(activation, u):
    """h(u), with h'(u) u = h(u), or q h(u) for Monomial(q)."""
    u = np.asarray(u)
    return u**activation.q if hasattr(activation, "q") else gate(activation, u) * u


def gated_outer(x, omega, *, dtype=None):
    """Σ_i ω_ik x_i x_iᵀ for every k. x: (N, d), omega: (N, K) -> (K, d, d). Cost NKd². Source: poster."""
    x, omega = _array(x, dtype or np.float64), _array(omega, dtype or np.float64)
    return np.stack([(x * w[:, None]).T @ x for w in omega.T])


def gated_cov(x, x_aug, weights, *, activation="relu", alpha=None, dtype=None):
    """A(w_k) = C_α[x h'(w_kᵀx)] for every k, each view gated by itself.

    x, x_aug: (N, d), weights: (K, d) -> (K, d, d); alpha as in `contrastive_cov`, or NodeGaussian: Gaussian in the
    node's own output of x0 (of x where it has none). Cost K N² d². Source: poster, "1-layer nonlinear network".
    """
    exact = dtype or np.float64
    x, x_aug, weights = _array(x, exact), _array(x_aug, exact), _array(weights, exact)
    nodes = []
    for w in weights:
        own = alpha
        if getattr(alpha, "_kind", None) == "NodeGaussian":
            x0 = x if alpha.x0 is None else _array(alpha.x0, exact)
            own = gaussian(activate(activation, x0 @ w), alpha.tau, dtype=dtype)
        views = [v * gate(activation, v @ w)[:, None] for v in (x, x_aug)]
        nodes.append(contrastive_cov(*views, own, dtype=dtype))
    return np.stack(nodes)
