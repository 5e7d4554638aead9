"""Case 4: case 3 at N = 1 048 576, where an N x N array would take 4 TiB.

Goals: at least 60 % of the floor, peak extra memory below 1.5 times the input.
"""

from benchmarks.harness import Case, Goal, ours
from benchmarks.peers import keops_peers, numpy_peers, torch_peers
from benchmarks.scalar import make, prepare, truth_of, work

SIZES = {"N": 1048576, "d": 256, "tau_over_variance": 0.5, "dtype": "float32"}

CASE = Case(
    number=4,
    name="gaussian-scalar-large",
    title="contrastive_cov, Gaussian on scalars, large N",
    sizes=SIZES,
    small={**SIZES, "N": 512, "d": 16},
    make=make,
    truth=truth_of,
    work=work,
    providers=(*ours(prepare), *torch_peers.GAUSSIAN, *numpy_peers.SCALAR, *keops_peers.GAUSSIAN),
    goals=(Goal("percent_of_floor", 60.0), Goal("peak_over_input", 1.5)),
    sweep=tuple({**SIZES, "N": n, "d": 64, "tau_over_variance": t} for n in (32768, 262144) for t in (1e-2, 0.5, 1e8)),
)
