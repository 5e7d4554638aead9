"""Case 11: NT-Xent of a small batch, and its gradient."""

from benchmarks import losses
from benchmarks.harness import Case, Goal, ours
from benchmarks.peers import loss_peers


def _loss(sizes):
    import alphacl_fast as acl

    return lambda z, z_aug: acl.losses.nt_xent(z, z_aug, temperature=sizes["tau"])


CASE = Case(
    number=11,
    name="small-nt-xent",
    title="NT-Xent of a small batch",
    sizes=losses.SMALL,
    small={**losses.SMALL, "N": 32, "m": 16},
    make=losses.make,
    truth=losses.nt_xent_gradient,
    work=losses.kept_scores_of_one_set_work,
    providers=(*ours(loss_peers.gradient_of(_loss)), *loss_peers.FEW_LINES["nt_xent"]),
    goals=(Goal("speedup", 1.0, "torch"),),
    sweep=losses.SMALL_SWEEP,
)
