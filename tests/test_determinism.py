"""The same input gives the same bits: for any number of threads, twice in a row, and in any process."""

import pytest
from support import run_python, torch

COMPUTE = """
import hashlib
import numpy as np
import alphacl_fast as acl


def digest():
    h = hashlib.sha256()
    rng = np.random.default_rng(71)
    for n, d in ((1300, 37), (300, 5)):
        x = rng.standard_normal((n, d))
        y = x + rng.standard_normal((n, d))
        z = rng.standard_normal((n, 6))
        a = rng.standard_normal((n, n))
        for t in (np.float32, np.float64):
            X, Y, Z, A = (v.astype(t) for v in (x, y, z, a))
            alphas = [None, A, acl.LowRank(Z), acl.Gaussian(Z, 2.0), acl.Direct(Z), acl.Direct(Z, p=3, normalize=False)]
            alphas += [acl.Gaussian(Z[:, 0], tau) for tau in (1e-8, 1e-5, 1e-3, 1e-1, 1e3)]
            for alpha in alphas:
                h.update(acl.contrastive_cov(X, Y, alpha).tobytes())
                h.update(np.asarray(acl.energy(X, Y, alpha)).tobytes())
                if hasattr(alpha, "matmul"):
                    for b in (alpha.row_sums(), alpha.col_sums(), alpha.matmul(X)):
                        h.update(b.tobytes())
    f = rng.standard_normal(20000)
    x = rng.standard_normal((20000, 3))
    for tau in (1e-8, 1e-4, 1e-2, 1.0, 1e8):
        h.update(acl.contrastive_cov(x, x + 1, acl.Gaussian(f, tau)).tobytes())
    t = rng.standard_normal(700)
    curve = np.stack([t, np.sin(t)], axis=1)  # sums over pairs
    h.update(acl.contrastive_cov(curve, curve.copy(), acl.Gaussian(t, 1e-6)).tobytes())
    h.update(np.asarray(acl.energy(curve, curve.copy(), acl.Gaussian(t, 1e-6))).tobytes())
    x, y = x[:5000].astype(np.float32), x[1:5001].astype(np.float32)
    for nodes in (2, 9, 70):
        w = rng.standard_normal((nodes, 3)).astype(np.float32)
        for alpha in (None, acl.NodeGaussian(0.5), acl.NodeGaussian(1e-7)):
            h.update(acl.gated_cov(x, y, w, alpha=alpha).tobytes())
    return h.hexdigest()
"""


def _digest(threads):
    return run_python(COMPUTE + "print(digest())", OMP_NUM_THREADS=str(threads)).stdout.strip()


@pytest.fixture(scope="module")
def one_thread():
    return _digest(1)


@pytest.mark.parametrize("threads", [2, 3, 4, 8])
def test_the_number_of_threads_changes_no_bit(threads, one_thread):
    assert _digest(threads) == one_thread


def test_the_threads_of_torch_change_no_bit(one_thread):
    run = {}
    exec(COMPUTE, run)
    before = torch().get_num_threads()
    try:
        for threads in (1, 3, 8):
            torch().set_num_threads(threads)
            assert run["digest"]() == one_thread
    finally:
        torch().set_num_threads(before)
