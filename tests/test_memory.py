"""No N×N array for an importance that is not given as one: peak memory grows with N, not with N²."""

import pytest
from support import run_python

GROWTH = """
import numpy as np
import alphacl_fast as acl


def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024


def data(n):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 16), dtype=np.float32)
    return x, x + rng.standard_normal((n, 16), dtype=np.float32), rng.standard_normal((n, 8), dtype=np.float32)


def work(x, y, z):
    alpha = {alpha}
    {call}


work(*data(500))  # thread stacks and buffers that do not depend on N
args = data({n})
before = peak()
work(*args)
print(peak() - before)
"""

ALPHAS = {
    "gaussian": "acl.Gaussian(z, 8.0)",
    "direct": "acl.Direct(z, p=2, tau=4.0)",
    "direct raw": "acl.Direct(z, tau=40.0, normalize=False)",
    "gaussian scalar": "acl.Gaussian(z[:, 0], 0.1)",
    "gaussian scalar, tiny tau": "acl.Gaussian(z[:, 0], 1e-7)",
    "low rank": "acl.LowRank(z)",
    "uniform": "None",
    "nodes": "acl.NodeGaussian(0.3)",
    "nodes, tiny tau": "acl.NodeGaussian(1e-7)",
}
LAYER = "x, y, np.eye(4, 16, dtype=np.float32), alpha=alpha"
CALLS = {
    "contrastive_cov": "acl.contrastive_cov(x, y, alpha)",
    "energy": "acl.energy(x, y, alpha)",
    "matmul": "alpha.matmul(x)",
    "row_sums": "alpha.row_sums()",
    "gated_cov": f"acl.gated_cov({LAYER})",
    "products": f"acl.GatedCovariance({LAYER}).matmul(np.eye(4, 16, dtype=np.float32))",
    "maxima": "acl.theory.find_local_maxima(x, y, 4, alpha=alpha, max_iter=3)",
}
N = 3000
INPUT = 4 * (16 + 16 + 8)  # bytes of one sample


def _growth(n, alpha, call):
    return int(run_python(GROWTH.format(n=n, alpha=ALPHAS[alpha], call=CALLS[call]), OMP_NUM_THREADS="2").stdout)


@pytest.mark.parametrize(
    "alpha, call",
    [(alpha, call) for alpha in ALPHAS if "nodes" not in alpha for call in ("contrastive_cov", "energy")]
    + [
        (alpha, call)
        for alpha in ("uniform", "nodes", "nodes, tiny tau")
        for call in ("gated_cov", "products", "maxima")
    ]
    + [("gaussian", "matmul"), ("gaussian", "row_sums"), ("direct", "matmul"), ("gaussian scalar", "matmul")],
)
def test_four_times_the_samples_take_about_four_times_the_memory(alpha, call):
    small, large = _growth(N, alpha, call), _growth(4 * N, alpha, call)
    fixed = 8 << 20  # an allocator keeps its pages; a float32 array of N×N would add 36 MB, of 4N×4N 576 MB
    assert large <= 4 * max(small, 0) + fixed
    assert large <= 2 * (4 * N) * INPUT + fixed
