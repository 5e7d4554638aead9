"""Case 7: products of K gated covariances that are not formed, against the four matrix products in them.

Goal: at most 1.3 times the time of the four bare GEMMs.
"""

import numpy as np

from benchmarks import nodes
from benchmarks.harness import Case, Goal, Work, frobenius_error, one_at_a_time, ours
from benchmarks.inputs import item_bytes
from benchmarks.peers import node_peers


def make(sizes, rng):
    """Vectors to multiply beside data and weights."""
    inputs, facts = nodes.make(sizes, rng)
    return {**inputs, "v": rng.standard_normal(inputs["weights"].shape, dtype=sizes["dtype"])}, facts


def truth(inputs, sizes):
    matrices = (nodes.covariance(inputs["x"], inputs["x_aug"], w, sizes["tau"]) for w in inputs["weights"])
    return np.stack([a @ v.astype(np.float64) for a, v in zip(matrices, inputs["v"], strict=True)])


def error(result, expected):
    """The bare GEMMs have no result to judge."""
    return float("nan") if result is None else frobenius_error(result, expected)


def work(sizes):
    """8 N d K for four GEMMs, 8 N p K for moments and their way back; both views read once."""
    n, d, k = sizes["N"], sizes["d"], sizes["K"]
    return Work(8.0 * n * d * k + 8.0 * n * nodes.rank(sizes) * k, item_bytes(sizes) * 2.0 * n * d)


def prepare(inputs, sizes):
    """The layer is made before, as for many products."""
    import alphacl_fast as acl

    layer = acl.GatedCovariance(inputs["x"], inputs["x_aug"], inputs["weights"], alpha=nodes.importance(sizes))
    return lambda: layer.matmul(inputs["v"])


SIZES = {"K": 64, "N": 50_000, "d": 256, "tau": 0.5, "dtype": "float32"}

CASE = Case(
    number=7,
    name="gated-products",
    title="GatedCovariance.matmul, ReLU, NodeGaussian",
    sizes=SIZES,
    small={**SIZES, "K": 3, "N": 192, "d": 16},
    make=make,
    truth=truth,
    work=work,
    providers=(*ours(prepare), *node_peers.PRODUCTS),
    goals=(Goal("speedup", 1 / 1.3, "four GEMMs"),),
    error=error,
    sweep=one_at_a_time({**SIZES, "N": 8192}, K=(1, 8, 256), d=(16, 1024), tau=(1e-3, 50.0)),
)
