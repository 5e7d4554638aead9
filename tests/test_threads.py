"""How many threads there are and what they do between calls; calls from many at once; a forked child."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import run_python, torch, two_views

import alphacl_fast as acl


@pytest.fixture
def threads_afterwards():
    yield
    acl.set_num_threads(None)


def test_a_chosen_number_holds_in_all_threads_until_it_is_taken_back(threads_afterwards):
    default = acl.get_num_threads()
    acl.set_num_threads(np.int64(default + 2))
    assert acl.get_num_threads() == default + 2
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(acl.get_num_threads).result() == default + 2
    acl.set_num_threads(None)
    assert acl.get_num_threads() == default


@pytest.mark.parametrize(
    "threads, variables",
    [
        (7, {"OMP_NUM_THREADS": "7"}),
        (3, {"OMP_NUM_THREADS": "7", "OMP_THREAD_LIMIT": "3"}),
        (1024, {"OMP_NUM_THREADS": "5000"}),
    ],
)
def test_the_default_is_that_of_openmp(threads, variables):
    code = "import alphacl_fast as acl; print(acl.get_num_threads())"
    assert run_python(code, **variables).stdout == f"{threads}\n"


def test_the_largest_number(threads_afterwards):
    acl.set_num_threads(1024)
    assert acl.get_num_threads() == 1024


def test_torch_says_the_default_and_keeps_its_own_number(threads_afterwards):
    before = torch().get_num_threads()
    try:
        torch().set_num_threads(before + 1)
        assert acl.get_num_threads() == before + 1
        acl.set_num_threads(before + 2)
        assert torch().get_num_threads() == before + 1
        torch().set_num_threads(before + 3)
        assert acl.get_num_threads() == before + 2
    finally:
        torch().set_num_threads(before)


@pytest.mark.parametrize(
    "threads, error, text",
    [
        (0, ValueError, "threads: expected an integer from 1 to 1024, got 0"),
        (1025, ValueError, "threads: expected an integer from 1 to 1024, got 1025"),
        (2**63, ValueError, f"threads: expected an integer from 1 to 1024, got {2**63}"),
        (2.0, TypeError, "threads: expected an integer or None, got float"),
        (True, TypeError, "threads: expected an integer or None, got bool"),
    ],
)
def test_refused_numbers(threads, error, text):
    before = acl.get_num_threads()
    with pytest.raises(error, match=f"^{text}$"):
        acl.set_num_threads(threads)
    assert acl.get_num_threads() == before


POOL = """
import os
import threading
import time
import numpy as np
import alphacl_fast as acl

x = np.random.default_rng(106).standard_normal((900, 40))
call = lambda: acl.contrastive_cov(x, x + 1, acl.Gaussian(x, 2.0))
tasks = lambda: set(os.listdir("/proc/self/task"))
alone = tasks()


def stat(task):  # the state of a thread, and the ticks that it has computed
    fields = open(f"/proc/self/task/{task}/stat").read().rpartition(")")[2].split()
    return fields[0], int(fields[11])
"""


def test_calls_share_threads_that_stay():
    code = """
call()
pool = tasks() - alone
assert len(pool) == 3, pool
callers = [threading.Thread(target=call) for _ in range(8)]
[t.start() for t in callers]
[t.join() for t in callers]
while tasks() - alone != pool:  # a thread that has been joined may still be seen for a moment
    time.sleep(0.01)
acl.set_num_threads(6)
call()
assert tasks() - alone > pool and len(tasks() - alone) == 5
"""
    run_python(POOL + code, OMP_NUM_THREADS="4", OPENBLAS_NUM_THREADS="1")


def test_threads_sleep_between_calls():
    code = """
call()
assert len(tasks() - alone) == 3
while any(stat(task)[0] != "S" for task in tasks() - alone):
    time.sleep(0.01)
"""
    run_python(POOL + code, OMP_NUM_THREADS="4", OPENBLAS_NUM_THREADS="1")


def test_threads_leave_its_core_to_the_calling_thread():
    code = """
cores = os.sched_getaffinity(0)
call()
for core in cores:
    os.sched_setaffinity(0, {core})
    call()
    assert len(tasks() - alone) == 2
    assert all(os.sched_getaffinity(int(task)) == (cores - {core} or cores) for task in tasks() - alone)
"""
    run_python(POOL + code, OMP_NUM_THREADS="3", OPENBLAS_NUM_THREADS="1", OMP_PROC_BIND="false")


def test_all_threads_compute():
    code = """
call()
while not all(stat(task)[1] > 0 for task in tasks() - alone):
    call()
"""
    run_python(POOL + code, OMP_NUM_THREADS="4", OPENBLAS_NUM_THREADS="1")


def test_threads_may_use_all_places_of_openmp():
    """But the core of the calling thread, where there are others. OMP_PROC_BIND binds the thread that loads OpenMP."""
    code = """
bound = os.sched_getaffinity(0)
call()
assert all(os.sched_getaffinity(int(task)) == (cores - bound or cores) for task in tasks() - alone)
"""
    before = "import os\ncores = os.sched_getaffinity(0)\n"
    run_python(before + POOL + code, OMP_NUM_THREADS="4", OPENBLAS_NUM_THREADS="1", OMP_PROC_BIND="true")


def test_signals_are_for_the_threads_of_the_program():
    code = """
import signal
call()
for task in tasks() - alone:
    status = open(f"/proc/self/task/{task}/status").read()
    blocked = int(status.split("SigBlk:")[1].split()[0], 16)
    number = lambda s: 1 << (s - 1)
    assert blocked & number(signal.SIGINT) and blocked & number(signal.SIGUSR1)
    assert not blocked & number(signal.SIGSEGV)
assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])
"""
    run_python(POOL + code, OMP_NUM_THREADS="4", OPENBLAS_NUM_THREADS="1")


def test_where_no_threads_can_be_made_the_calling_one_computes():
    code = """
import resource, sys
if len(sys.argv) == 1:  # so large a stack that few of them fit
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 45, resource.getrlimit(resource.RLIMIT_STACK)[1]))
    os.execv(sys.executable, [sys.executable, "-c", sys.orig_argv[2], "again"])
acl.set_num_threads(1)
expected = call()
assert tasks() == alone
acl.set_num_threads(64)
for _ in range(3):
    assert np.array_equal(call(), expected)
assert acl._cpu._gemm_gflops("float32", 8, 1) > 0  # a task for each of 64 threads
assert len(tasks()) < 10
"""
    run_python(POOL + code, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")


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
