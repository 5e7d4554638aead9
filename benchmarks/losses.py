"""What the cases of losses share: two views of features of length 1, and gradients in float64."""

import numpy as np

from benchmarks.harness import Work
from benchmarks.inputs import item_bytes
from benchmarks.truth import blocks

SMALL = {"N": 256, "m": 128, "tau": 0.1, "dtype": "float32"}
"""Where scores of two sets fit a cache, and calls are a matter of a millisecond."""
SMALL_SWEEP = tuple({**SMALL, "N": n, "m": m} for m in (128, 768) for n in (64, 128, 256, 512, 1024))


def make(sizes, rng):
    """Rows of length 1; the second view is the first plus noise, normalised again."""
    z = rng.standard_normal((sizes["N"], sizes["m"]), dtype=sizes["dtype"])
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    z_aug = z + rng.standard_normal(z.shape, dtype=sizes["dtype"]) * z.dtype.type(0.3 / np.sqrt(sizes["m"]))
    z_aug /= np.linalg.norm(z_aug, axis=1, keepdims=True)
    return {"z": z, "z_aug": z_aug}, {}


def info_nce_gradient(inputs, sizes) -> np.ndarray:
    """∇_z of the mean InfoNCE(τ, ε = 1) in float64, block by block."""
    z, z_aug = (inputs[name].astype(np.float64) for name in ("z", "z_aug"))
    n, tau = len(z), sizes["tau"]
    half, own = 0.5 * (z * z).sum(1), 0.5 * ((z - z_aug) ** 2).sum(1)

    def exps(rows):
        e = np.exp((z[rows] @ z.T - half[rows, None] - half) / tau)
        e[np.arange(len(e)), np.arange(rows.start, rows.stop)] = 0
        return e

    sums = np.concatenate([exps(rows).sum(1) for rows in blocks(n)])
    weight = 1 / (1 + np.exp(-own / tau) / sums)
    relative = weight / sums
    out = weight[:, None] * (z - z_aug)
    for rows in blocks(n):
        beta = exps(rows) * (relative[rows, None] + relative)
        out[rows] += beta @ z - beta.sum(1)[:, None] * z[rows]
    return out / n


def nt_xent_gradient(inputs, sizes) -> np.ndarray:
    """∇_{z} of the mean NT-Xent over both views in float64; features are normalised again, as the loss does."""
    first, second = (inputs[name].astype(np.float64) for name in ("z", "z_aug"))
    length = np.linalg.norm(first, axis=1, keepdims=True)
    both = np.concatenate([first / length, second / np.linalg.norm(second, axis=1, keepdims=True)])
    n, tau = len(first), sizes["tau"]

    def exps(rows):
        e = np.exp((both[rows] @ both.T - 1) / tau)
        e[np.arange(len(e)), np.arange(rows.start, rows.stop)] = 0
        return e

    sums = np.concatenate([exps(rows).sum(1) for rows in blocks(2 * n)])
    out = np.empty_like(first)
    for rows in blocks(n):
        out[rows] = (exps(rows) * (1 / sums[rows, None] + 1 / sums)) @ both - 2 * both[n:][rows]
    unit = both[:n]
    return (out - (out * unit).sum(1, keepdims=True) * unit) / (2 * n * tau * length)


def info_nce_keys_gradient(inputs, sizes) -> np.ndarray:
    """∇_query of the mean InfoNCE with the other positive keys as negatives, in float64; both normalised again."""
    query, key = (inputs[name].astype(np.float64) for name in ("z", "z_aug"))
    length = np.linalg.norm(query, axis=1, keepdims=True)
    query /= length
    key /= np.linalg.norm(key, axis=1, keepdims=True)
    n, tau = len(query), sizes["tau"]
    out = -key
    for rows in blocks(n):
        e = np.exp((query[rows] @ key.T - 1) / tau)
        out[rows] += e @ key / e.sum(1, keepdims=True)
    return (out - (out * query).sum(1, keepdims=True) * query) / (n * tau * length)


def clip_gradient(inputs, sizes) -> np.ndarray:
    """∇_image of (the mean cross-entropy of rows + that of columns)/2 of image textᵀ/τ, in float64."""
    image, text = (inputs[name].astype(np.float64) for name in ("z", "z_aug"))
    n, tau = len(image), sizes["tau"]
    e = np.exp((image @ text.T - 1) / tau)
    share = 0.5 * (e / e.sum(1, keepdims=True) + e / e.sum(0)) - np.eye(n)
    return share @ text / (n * tau)


def kept_scores_work(sizes) -> Work:
    """6 N² m: the scores of two sets, and the weights applied to both; 2 N² exponentials."""
    n, m = sizes["N"], sizes["m"]
    return Work(6.0 * n * n * m, item_bytes(sizes) * 4.0 * n * m, exps=2.0 * n * n)


def kept_scores_of_one_set_work(sizes) -> Work:
    """3 (2N)² m: half of the scores of one set of 2N rows, and their weights applied to both sides."""
    n, m = 2 * sizes["N"], sizes["m"]
    return Work(3.0 * n * n * m, item_bytes(sizes) * 2.0 * n * m, exps=1.0 * n * n)
