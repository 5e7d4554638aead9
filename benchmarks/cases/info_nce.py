"""Case 9: InfoNCE and its gradient.

Goals: at least 12 times the fastest peer, at least 70 % of the floor.
"""

from benchmarks import losses
from benchmarks.harness import Case, Goal, Work, one_at_a_time, ours
from benchmarks.inputs import item_bytes
from benchmarks.peers import loss_peers


def work(sizes):
    """4 N² m: half of the scores twice, the Laplacian of α on both sides of each half; N² exponentials."""
    n, m = sizes["N"], sizes["m"]
    return Work(4.0 * n * n * m, item_bytes(sizes) * 3.0 * n * m, exps=1.0 * n * n)


def _loss(sizes):
    import alphacl_fast as acl

    return acl.losses.InfoNCE(tau=sizes["tau"])


SIZES = {"N": 8192, "m": 128, "tau": 0.5, "dtype": "float32"}

CASE = Case(
    number=9,
    name="info-nce",
    title="InfoNCE and its gradient",
    sizes=SIZES,
    small={**SIZES, "N": 192, "m": 16},
    make=losses.make,
    truth=losses.info_nce_gradient,
    work=work,
    providers=(*ours(loss_peers.gradient_of(_loss)), *loss_peers.INFO_NCE),
    goals=(Goal("speedup", 12.0), Goal("percent_of_floor", 70.0)),
    sweep=one_at_a_time({**SIZES, "N": 4096}, N=(512, 2048, 16384, 65536), m=(32, 1024), tau=(0.01, 5.0)),
)
