"""Case 9 with keys, as MoCo has it: InfoNCE of queries against keys, and its gradient."""

from benchmarks import losses
from benchmarks.harness import Case, Work, one_at_a_time, ours
from benchmarks.inputs import item_bytes
from benchmarks.peers import loss_peers


def work(sizes):
    """8 N² m: the scores twice, as none is kept, and the weights applied to keys and queries; 2 N² exponentials."""
    n, m = sizes["N"], sizes["m"]
    return Work(8.0 * n * n * m, item_bytes(sizes) * 4.0 * n * m, exps=2.0 * n * n)


def _loss(sizes):
    import alphacl_fast as acl

    return lambda query, key: acl.losses.info_nce(query, key, temperature=sizes["tau"])


SIZES = {"N": 8192, "m": 128, "tau": 0.1, "dtype": "float32"}

CASE = Case(
    number=9,
    name="info-nce-keys",
    title="InfoNCE of queries and keys, and its gradient",
    sizes=SIZES,
    small={**SIZES, "N": 192, "m": 16},
    make=losses.make,
    truth=losses.info_nce_keys_gradient,
    work=work,
    providers=(*ours(loss_peers.gradient_of(_loss)), *loss_peers.KEYS),
    sweep=one_at_a_time({**SIZES, "N": 4096}, N=(512, 2048, 16384), m=(32, 1024), tau=(0.01,)),
)
