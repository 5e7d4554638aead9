"""Case 3: a Gaussian importance on scalar features, where the cost is linear in N.

Goals: at least 110 times the fastest peer, at least 70 % of the floor.
"""

from benchmarks.harness import Case, Goal, one_at_a_time, ours
from benchmarks.peers import keops_peers, numpy_peers, torch_peers
from benchmarks.scalar import exact_tiles, make, prepare, truth_of, work

SIZES = {"N": 8192, "d": 256, "tau_over_variance": 0.5, "dtype": "float32"}
RATIOS = (1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e1, 1e4, 1e8)

CASE = Case(
    number=3,
    name="gaussian-scalar",
    title="contrastive_cov, Gaussian on scalars",
    sizes=SIZES,
    small={**SIZES, "N": 192, "d": 16},
    make=make,
    truth=truth_of,
    work=work,
    providers=(*ours(prepare), *torch_peers.GAUSSIAN, *numpy_peers.SCALAR, *keops_peers.GAUSSIAN, exact_tiles()),
    goals=(Goal("speedup", 110.0), Goal("percent_of_floor", 70.0)),
    sweep=one_at_a_time(SIZES, N=(16, 64, 256, 1024, 4096), d=(1, 8, 64, 1024), tau_over_variance=RATIOS)
    + tuple({**SIZES, "d": d, "tau_over_variance": ratio} for d in (1, 32) for ratio in RATIOS)
    + ({**SIZES, "dtype": "float64"}, {**SIZES, "dtype": "float64", "tau_over_variance": 1e-8}),
)
