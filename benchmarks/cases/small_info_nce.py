"""Case 11: InfoNCE of a small batch of queries and keys, and its gradient."""

from benchmarks import losses
from benchmarks.harness import Case, Goal, ours
from benchmarks.peers import loss_peers


def _loss(sizes):
    import alphacl_fast as acl

    return lambda query, key: acl.losses.info_nce(query, key, temperature=sizes["tau"])


CASE = Case(
    number=11,
    name="small-info-nce",
    title="InfoNCE of a small batch of queries and keys",
    sizes=losses.SMALL,
    small={**losses.SMALL, "N": 32, "m": 16},
    make=losses.make,
    truth=losses.info_nce_keys_gradient,
    work=losses.kept_scores_work,
    providers=(*ours(loss_peers.gradient_of(_loss)), *loss_peers.FEW_LINES["info_nce"]),
    goals=(Goal("speedup", 1.0, "torch"),),
    sweep=losses.SMALL_SWEEP,
)
