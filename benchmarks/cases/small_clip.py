"""Case 11: CLIP's loss of a small batch of pairs, and its gradient."""

from benchmarks import losses
from benchmarks.harness import Case, Goal, ours
from benchmarks.peers import loss_peers


def _loss(sizes):
    import alphacl_fast as acl

    return lambda image, text: acl.losses.clip_loss(image, text, 1 / sizes["tau"])


CASE = Case(
    number=11,
    name="small-clip",
    title="CLIP's loss of a small batch of pairs",
    sizes=losses.SMALL,
    small={**losses.SMALL, "N": 32, "m": 16},
    make=losses.make,
    truth=losses.clip_gradient,
    work=losses.kept_scores_work,
    providers=(*ours(loss_peers.gradient_of(_loss)), *loss_peers.FEW_LINES["clip"]),
    goals=(Goal("speedup", 1.0, "torch"),),
    sweep=losses.SMALL_SWEEP,
)
