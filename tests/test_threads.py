"""Calls from many Python threads at once, the GIL released, a forked child after parallel work."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import run_python, two_views

import alphacl_fast as acl


def _jobs():
    x, x_aug = two_views(700, 9, np.float64)
    z = np.random.default_rng(101).standard_normal((700, 5))
    yield lambda: acl.contrastive_cov(x, x_aug)
    yield lambda: acl.contrastive_cov(x, x_aug, acl.Gaussian(z, 2.0))
    yield lambda: acl.contrastive_cov(x, x_aug, acl.Gaussian(z[:, 0], 1e-3))
    yield lambda: acl.contrastive_cov(x, x_aug, acl.Direct(z))
    yield lambda: acl.contrastive_cov(x, x_aug, acl.LowRank(z))
    yield lambda: acl.energy(x, x_aug, acl.Gaussian(z, 1.0))
    shared = acl.Gaussian(z[:, 1], 0.1)
    yield lambda: acl.contrastive_cov(x, x_aug, shared)
    yield lambda: shared.matmul(x)


def test_threads_calling_at_once_get_the_same_answers():
    jobs = list(_jobs())
    expected = [job() for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            futures = [pool.submit(job) for job in jobs for _ in range(3)]
            for index, future in enumerate(futures):
                np.testing.assert_array_equal(future.result(), expected[index // 3])


LONG_CALLS = {
    "contrastive_cov": lambda x, alpha: acl.contrastive_cov(x, x, alpha),
    "energy": lambda x, alpha: acl.energy(x, x, alpha),
    "matmul": lambda x, alpha: alpha.matmul(x),
    "row_sums": lambda x, alpha: alpha.row_sums(),
}


@pytest.mark.parametrize("call", LONG_CALLS)
def test_another_thread_runs_during_a_call(call):
    rng = np.random.default_rng(102)
    x, alpha = rng.standard_normal((12_000, 4)), acl.Gaussian(rng.standard_normal((12_000, 4)), 1.0)
    counter, stop = [0], threading.Event()

    def count():
        while not stop.is_set():
            counter[0] += 1
            time.sleep(1e-4)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        advanced = []
        for _ in range(2):
            before = counter[0]
            LONG_CALLS[call](x, alpha)
            advanced.append(counter[0] - before)
    finally:
        stop.set()
        thread.join()
    assert min(advanced) >= 3  # with the GIL held the switch before the call allows one step at most


FORK = """
import os
import signal
import warnings
import numpy as np
import alphacl_fast as acl
warnings.simplefilter("ignore")

rng = np.random.default_rng(103)
x = rng.standard_normal((900, 40))
alphas = [None, acl.Gaussian(x[:, :5], 2.0), acl.Gaussian(x[:, 0], 1e-3), acl.Direct(x[:, :5]), x @ x.T]


def everything():
    return [acl.contrastive_cov(x, x + 1, alpha) for alpha in alphas] + [acl.energy(x, -x, alpha) for alpha in alphas]


{before}
child = os.fork()
if child == 0:
    signal.alarm(60)  # a hang ends the child with a signal
    same = all(np.array_equal(a, b) for a, b in zip(everything(), expected))
    os._exit(0 if same else 1)
_, status = os.waitpid(child, 0)
assert status == 0, status
after = everything()
assert all(np.array_equal(a, b) for a, b in zip(after, expected))
"""


def test_a_forked_child_computes_after_the_parent_did():
    run_python(FORK.format(before="expected = everything()"), OMP_NUM_THREADS="4")


def test_a_forked_grandchild_computes():
    nested = """
expected = everything()
first = os.fork()
if first != 0:
    _, status = os.waitpid(first, 0)
    assert status == 0, status
    os._exit(0)
"""
    run_python(FORK.format(before=nested), OMP_NUM_THREADS="4")


def test_a_forked_child_says_that_it_runs_on_one_thread():
    code = """
import os
import warnings
import numpy as np
import alphacl_fast as acl
x = np.random.default_rng(105).standard_normal((900, 9))
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    acl.contrastive_cov(x, x, acl.Gaussian(x, 1.0))
    assert not seen
    child = os.fork()
    if child == 0:
        for _ in range(3):
            acl.contrastive_cov(x, x, acl.Gaussian(x, 1.0))
        texts = [str(w.message) for w in seen if issubclass(w.category, RuntimeWarning)]
        os._exit(0 if len(texts) == 1 and "one thread" in texts[0] and "'spawn'" in texts[0] else 1)
    assert os.waitpid(child, 0)[1] == 0
"""
    run_python(code, OMP_NUM_THREADS="4")


def test_multiprocessing_with_fork():
    code = """
import multiprocessing
import warnings
import numpy as np
import alphacl_fast as acl
warnings.simplefilter("ignore")
x = np.random.default_rng(104).standard_normal((800, 20))


def job(tau):
    return acl.contrastive_cov(x, x + 1, acl.Gaussian(x, tau))


expected = [job(tau) for tau in (1.0, 5.0, 25.0)]
with multiprocessing.get_context("fork").Pool(2) as pool:
    results = pool.map_async(job, (1.0, 5.0, 25.0)).get(60)
assert all(np.array_equal(a, b) for a, b in zip(results, expected))
"""
    run_python(code, OMP_NUM_THREADS="4")
