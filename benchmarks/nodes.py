"""What the cases of gated nodes share: inputs, sizes of features, and the float64 truth of each node's covariance."""

import numpy as np

from benchmarks import truth
from benchmarks.inputs import views
from benchmarks.peers.fourier import least_features


def make(sizes, rng):
    """Two views and K unit weights; the share of gates that are open and the range of outputs join the sizes."""
    inputs = views(sizes, rng)
    weights = rng.standard_normal((sizes["K"], sizes["d"]), dtype=sizes["dtype"])
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    outputs = np.maximum(inputs["x"] @ weights.T, 0)
    facts = {"share": float((outputs > 0).mean()), "range": float(np.median(np.ptp(outputs, axis=0)))}
    return {**inputs, "weights": weights}, facts


def rank(sizes) -> float:
    """p of the features of a node's own Gaussian importance, or what they cost where others are cheaper."""
    return least_features(sizes["range"], sizes["tau"], 1e-6, sizes["N"])


def gated(x, w):
    """x h'(w·x) of a ReLU in float64, and the pre-activations."""
    u = x.astype(np.float64) @ w.astype(np.float64)
    return x * (u > 0)[:, None].astype(np.float64), u


def covariance(x, x_aug, w, tau: float | None) -> np.ndarray:
    """A(w) of a ReLU node in float64; tau: of its own Gaussian importance, None: uniform."""
    first, u = gated(x, w)
    second, _ = gated(x_aug, w)
    if tau is None:
        n = len(x)
        total, delta = first.sum(axis=0), first - second
        return (2 * n * first.T @ first - 2 * np.outer(total, total) - n * delta.T @ delta) / (2.0 * n**2)
    return truth.gaussian(first, second, np.maximum(u, 0), tau)


def covariances(inputs, sizes) -> np.ndarray:
    tau = sizes.get("tau")
    return np.stack([covariance(inputs["x"], inputs["x_aug"], w, tau) for w in inputs["weights"]])


def importance(sizes):
    import alphacl_fast as acl

    return None if sizes.get("tau") is None else acl.NodeGaussian(sizes["tau"])
