"""Case 5: gated_cov of ReLU nodes, each with its own Gaussian importance.

Goals: at least 700 times the fastest peer, at least 55 % of the floor.
"""

from benchmarks import nodes
from benchmarks.harness import Case, Goal, Work, one_at_a_time, ours
from benchmarks.inputs import item_bytes
from benchmarks.peers import node_peers


def work(sizes):
    """2 K N d (d + p) times the share of open gates: two weighted Grams and the moments with the p features of each
    node's importance, of what the gates leave; data read once."""
    n, d, k = sizes["N"], sizes["d"], sizes["K"]
    return Work(
        2.0 * k * n * d * (d + nodes.rank(sizes)) * sizes["share"], item_bytes(sizes) * (2.0 * n * d + k * d * d)
    )


def prepare(inputs, sizes):
    import alphacl_fast as acl

    return lambda: acl.gated_cov(inputs["x"], inputs["x_aug"], inputs["weights"], alpha=nodes.importance(sizes))


SIZES = {"K": 64, "N": 4096, "d": 64, "tau": 0.5, "dtype": "float32"}

CASE = Case(
    number=5,
    name="gated-node-gaussian",
    title="gated_cov, ReLU, NodeGaussian",
    sizes=SIZES,
    small={**SIZES, "K": 3, "N": 192, "d": 16},
    make=nodes.make,
    truth=nodes.covariances,
    work=work,
    providers=(*ours(prepare), *node_peers.COVARIANCES),
    goals=(Goal("speedup", 700.0), Goal("percent_of_floor", 55.0)),
    sweep=one_at_a_time({**SIZES, "K": 16}, K=(1, 4), N=(256, 1024), d=(8, 256), tau=(1e-4, 1e-2, 50.0)),
)
