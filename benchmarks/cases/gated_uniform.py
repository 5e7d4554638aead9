"""Case 6: gated_cov of ReLU nodes with uniform importance.

Goals: at least 8 times the fastest peer, at least 75 % of the floor.
"""

from benchmarks import nodes
from benchmarks.harness import Case, Goal, Work, one_at_a_time, ours
from benchmarks.inputs import item_bytes
from benchmarks.peers import node_peers


def work(sizes):
    """2 K N d^2 times the share of open gates: two weighted Grams of what the gates leave; data read once."""
    n, d, k = sizes["N"], sizes["d"], sizes["K"]
    return Work(2.0 * k * n * d * d * sizes["share"], item_bytes(sizes) * (2.0 * n * d + k * d * d))


def prepare(inputs, sizes):
    import alphacl_fast as acl

    return lambda: acl.gated_cov(inputs["x"], inputs["x_aug"], inputs["weights"], alpha=nodes.importance(sizes))


SIZES = {"K": 64, "N": 50_000, "d": 256, "dtype": "float32"}

CASE = Case(
    number=6,
    name="gated-uniform",
    title="gated_cov, ReLU, uniform",
    sizes=SIZES,
    small={**SIZES, "K": 3, "N": 192, "d": 16},
    make=nodes.make,
    truth=nodes.covariances,
    work=work,
    providers=(*ours(prepare), *node_peers.COVARIANCES),
    goals=(Goal("speedup", 8.0), Goal("percent_of_floor", 75.0)),
    sweep=one_at_a_time({**SIZES, "K": 16, "N": 4096}, K=(1, 4, 256), N=(256, 16_384), d=(8, 64, 784)),
)
