"""Case 2: a Gaussian importance on (N, m) features.

Goals: at least 6 times the fastest peer, at least 75 % of the floor.
"""

import numpy as np

from benchmarks import truth
from benchmarks.harness import Case, Goal, Work, one_at_a_time, ours
from benchmarks.inputs import item_bytes, views
from benchmarks.peers import keops_peers, numpy_peers, torch_peers


def make(sizes, rng):
    """Features standard normal, rows divided by their length unless sizes["features"] is "raw"."""
    f = rng.standard_normal((sizes["N"], sizes["m"]), dtype=sizes["dtype"])
    if sizes["features"] == "normalised":
        f /= np.linalg.norm(f, axis=1, keepdims=True)
    return {**views(sizes, rng), "features": f}, {}


def work(sizes):
    """N^2 (m + d) for two half-GEMMs, N^2 / 2 exponentials, 4 N d^2 for the Grams; inputs read once."""
    n, d, m = sizes["N"], sizes["d"], sizes["m"]
    operations = n * n * (m + d) + 4.0 * n * d * d
    return Work(operations, item_bytes(sizes) * n * (2.0 * d + m), exps=0.5 * n * n)


def prepare(inputs, sizes):
    import alphacl_fast as acl

    return lambda: acl.contrastive_cov(inputs["x"], inputs["x_aug"], acl.Gaussian(inputs["features"], sizes["tau"]))


SIZES = {"N": 8192, "d": 256, "m": 64, "tau": 0.5, "features": "normalised", "dtype": "float32"}
BASE = {**SIZES, "N": 4096}

CASE = Case(
    number=2,
    name="gaussian",
    title="contrastive_cov, Gaussian on features",
    sizes=SIZES,
    small={**SIZES, "N": 192, "d": 16, "m": 8},
    make=make,
    truth=lambda inputs, sizes: truth.gaussian(inputs["x"], inputs["x_aug"], inputs["features"], sizes["tau"]),
    work=work,
    providers=(*ours(prepare), *torch_peers.GAUSSIAN, *numpy_peers.GAUSSIAN, *keops_peers.GAUSSIAN),
    goals=(Goal("speedup", 6.0), Goal("percent_of_floor", 75.0)),
    sweep=(
        *one_at_a_time(
            BASE,
            N=(16, 64, 256, 1024, 8192),
            d=(1, 8, 64, 1024),
            m=(2, 8, 256, 1024),
            tau=(1e-8, 1e-2, 1e8),
            features=("raw",),
            dtype=("float64",),
        ),
        {**BASE, "features": "raw", "tau": 64.0},
    ),
)
