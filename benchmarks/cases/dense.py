"""Case 1: a given (N, N) importance.

Goals: at least 2.2 times the fastest peer, at least 80 % of the floor.
"""

from benchmarks import truth
from benchmarks.harness import Case, Goal, Work, one_at_a_time, ours
from benchmarks.inputs import item_bytes, views
from benchmarks.peers import numpy_peers, torch_peers


def make(sizes, rng):
    """alpha uniform on [0, 1), not symmetric."""
    n = sizes["N"]
    return {**views(sizes, rng), "alpha": rng.random((n, n), dtype=sizes["dtype"])}, {}


def work(sizes):
    """N^2 d (half-GEMM) + 4 N d^2 (X^T against it, two weighted Grams); alpha and both views read once."""
    n, d = sizes["N"], sizes["d"]
    return Work(n * n * d + 4.0 * n * d * d, item_bytes(sizes) * (n * n + 2.0 * n * d))


def prepare(inputs, sizes):
    import alphacl_fast as acl

    return lambda: acl.contrastive_cov(inputs["x"], inputs["x_aug"], inputs["alpha"])


SIZES = {"N": 8192, "d": 256, "dtype": "float32"}

CASE = Case(
    number=1,
    name="dense",
    title="contrastive_cov, dense α",
    sizes=SIZES,
    small={"N": 192, "d": 16, "dtype": "float32"},
    make=make,
    truth=lambda inputs, sizes: truth.dense(inputs["x"], inputs["x_aug"], inputs["alpha"]),
    work=work,
    providers=(*ours(prepare), *torch_peers.DENSE, *numpy_peers.DENSE),
    goals=(Goal("speedup", 2.2), Goal("percent_of_floor", 80.0)),
    sweep=one_at_a_time(
        {**SIZES, "N": 4096},
        N=(16, 64, 256, 1024, 8192),
        d=(1, 8, 64, 1024),
        dtype=("float64",),
    ),
)
