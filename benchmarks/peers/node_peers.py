"""Gated covariances and their products in torch (a loop over the nodes) and in numpy with our algebra."""

import importlib

import numpy as np

from benchmarks.harness import PEER, TWIN, VARIANT, Provider
from benchmarks.peers.fourier import frequencies
from benchmarks.peers.torch_peers import gaussian_alpha


def _torch_covariance(torch, x, x_aug, w, tau):
    """Gate, then the Laplacian form with an N x N array (none where alpha is uniform)."""
    u = x @ w
    first, second = x * (u > 0)[:, None], x_aug * (x_aug @ w > 0)[:, None]
    n, delta = len(x), first - second
    if tau is None:
        total = first.sum(0)
        return (2 * n * first.T @ first - 2 * torch.outer(total, total) - n * delta.T @ delta) / (2.0 * n * n)
    alpha = gaussian_alpha(torch.relu(u), tau)
    row = alpha.sum(1)
    inner = (first * (2 * row)[:, None]).T @ first - 2 * first.T @ (alpha @ first)
    return (inner - (delta * row[:, None]).T @ delta) / (2.0 * n * n)


def _torch_loop(inputs, sizes):
    torch = importlib.import_module("torch")
    x, x_aug, weights = (torch.from_numpy(inputs[name]) for name in ("x", "x_aug", "weights"))

    def call():
        with torch.no_grad():
            return torch.stack([_torch_covariance(torch, x, x_aug, w, sizes.get("tau")) for w in weights]).numpy()

    return call


def _features(u, tau):
    """Fourier features of the Gaussian of scalars u, (N, p), float32: their products are alpha."""
    spread = float(np.ptp(u)) or 1.0
    omega, weight = frequencies(spread, tau, 1e-6)
    phase = np.multiply.outer(u.astype(np.float64), omega)
    return np.concatenate([np.cos(phase) * np.sqrt(weight), np.sin(phase) * np.sqrt(weight)], axis=1).astype(u.dtype)


def _numpy_covariance(x, x_aug, w, tau):
    u, u_aug = x @ w, x_aug @ w
    first = x * (u > 0)[:, None]
    delta = first - x_aug * (u_aug > 0)[:, None]
    n, is_open = len(x), u > 0
    kept = x[is_open]
    if tau is None:
        total = kept.sum(0, dtype=np.float64)
        return (2 * n * (kept.T @ kept) - 2 * np.outer(total, total) - n * (delta.T @ delta)) / (2.0 * n * n)
    phi = _features(np.maximum(u, 0), tau)
    row = phi @ phi.sum(0)
    moments = phi[is_open].T @ kept
    scaled = kept * np.sqrt(2 * row[is_open])[:, None]
    changed = delta * np.sqrt(np.maximum(row, 0))[:, None]
    return (scaled.T @ scaled - 2 * moments.T @ moments - changed.T @ changed) / (2.0 * n * n)


def _numpy_loop(inputs, sizes):
    x, x_aug, weights = inputs["x"], inputs["x_aug"], inputs["weights"]
    return lambda: np.stack([_numpy_covariance(x, x_aug, w, sizes.get("tau")) for w in weights])


COVARIANCES = (
    Provider("torch loop", PEER, _torch_loop, ("torch",), sweep_to=4096),
    Provider("numpy, our algebra", TWIN, _numpy_loop),
)


def _four_gemms(inputs, sizes):
    x, x_aug, v = inputs["x"], inputs["x_aug"], inputs["v"]
    tall = np.empty((len(x), len(v)), x.dtype)
    wide = np.empty_like(v)

    def call():
        np.matmul(x, v.T, out=tall)
        np.matmul(x_aug, v.T, out=tall)
        np.matmul(tall.T, x, out=wide)
        np.matmul(tall.T, x_aug, out=wide)

    return call


def _numpy_products(inputs, sizes):
    """Two passes over the data for all nodes, the importance in p moments per node."""
    x, x_aug, w, v = (inputs[name] for name in ("x", "x_aug", "weights", "v"))
    p, p_aug = x @ w.T, x_aug @ w.T
    phis = [_features(np.maximum(column, 0), sizes["tau"]) for column in p.T]
    rows = np.stack([phi @ phi.sum(0) for phi in phis], axis=1)

    def call():
        a, a_aug = (x @ v.T) * (p > 0), (x_aug @ v.T) * (p_aug > 0)
        products = np.stack([phi @ (phi.T @ column) for phi, column in zip(phis, a.T, strict=True)], axis=1)
        moved = rows * (a - a_aug)
        z, z_aug = (2 * (rows * a - products) - moved) * (p > 0), moved * (p_aug > 0)
        return (z.T @ x + z_aug.T @ x_aug) / (2.0 * len(x) ** 2)

    return call


def _keops_products(inputs, sizes):
    """The same with α a and α 1 of every node by one reduction over all pairs each."""
    lazy = importlib.import_module("pykeops.numpy").LazyTensor
    x, x_aug, w, v = (inputs[name] for name in ("x", "x_aug", "weights", "v"))
    p, p_aug = x @ w.T, x_aug @ w.T
    outputs = (np.maximum(p, 0) * x.dtype.type((2.0 * sizes["tau"]) ** -0.5)).T
    ones = np.ones((len(x), 1), x.dtype)

    def call():
        a, a_aug = (x @ v.T) * (p > 0), (x_aug @ v.T) * (p_aug > 0)
        rows, products = np.empty_like(a), np.empty_like(a)
        for k, output in enumerate(outputs):
            s = np.ascontiguousarray(output)[:, None]
            alpha = (-lazy(s[:, None]).sqdist(lazy(s[None]))).exp()
            products[:, k], rows[:, k] = (alpha @ np.hstack([a[:, k : k + 1], ones])).T
        moved = rows * (a - a_aug)
        z, z_aug = (2 * (rows * a - products) - moved) * (p > 0), moved * (p_aug > 0)
        return (z.T @ x + z_aug.T @ x_aug) / (2.0 * len(x) ** 2)

    return call


PRODUCTS = (
    Provider("four GEMMs", VARIANT, _four_gemms),
    Provider("KeOps", PEER, _keops_products, ("pykeops",), compiles="slice", sweep_to=0),
    Provider("numpy, our algebra", TWIN, _numpy_products),
)
