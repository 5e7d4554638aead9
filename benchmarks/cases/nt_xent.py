"""Case 9 as SimCLR has it: NT-Xent over both views, and its gradient."""

from benchmarks import losses
from benchmarks.harness import Case, Work, one_at_a_time, ours
from benchmarks.inputs import item_bytes
from benchmarks.peers import loss_peers


def work(sizes):
    """That of InfoNCE over 2 N samples."""
    n, m = 2 * sizes["N"], sizes["m"]
    return Work(4.0 * n * n * m, item_bytes(sizes) * 1.5 * n * m, exps=1.0 * n * n)


def _loss(sizes):
    import alphacl_fast as acl

    return acl.losses.NTXentLoss(sizes["tau"])


SIZES = {"N": 4096, "m": 128, "tau": 0.5, "dtype": "float32"}

CASE = Case(
    number=9,
    name="nt-xent",
    title="NT-Xent and its gradient",
    sizes=SIZES,
    small={**SIZES, "N": 96, "m": 16},
    make=losses.make,
    truth=losses.nt_xent_gradient,
    work=work,
    providers=(*ours(loss_peers.gradient_of(_loss)), *loss_peers.NT_XENT),
    sweep=one_at_a_time({**SIZES, "N": 2048}, N=(512, 8192), m=(32, 1024), tau=(0.05,)),
)
