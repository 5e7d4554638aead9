"""Ctrl-C ends a compiled call long before its end, on any number of threads; what comes after is right."""

import threading

import pytest
from support import run_python

import alphacl_fast as acl

# Each call would take minutes; run_python's time limit is the assertion. SIGINT is a real one.
CALL = """
import os
import signal
import threading
import time
import numpy as np
import alphacl_fast as acl

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background may have been told to ignore it
rng = np.random.default_rng(5)
normal = lambda *shape: rng.standard_normal(shape, dtype=np.float32)
x = normal(700, 5)
small = lambda: acl.contrastive_cov(x, x[::-1], acl.Gaussian(x, 2.0))
expected = small()
sent = []
def interrupt():
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
{setup}
for repeat in range(2):
    timer = threading.Timer(0.3, interrupt)
    timer.start()
    try:
        {call}
    except KeyboardInterrupt:
        delay = time.monotonic() - sent[-1]
        print(f"ended {{delay:.3f}} s after the signal")
    else:
        raise AssertionError("not interrupted")
    timer.join()
    assert np.array_equal(small(), expected)
{after}
"""
CASES = {  # name -> (setup, call, what holds afterwards)
    "contrastive_cov": (
        "z = normal(400_000, 64); alpha = acl.Gaussian(z, 64.0); out = np.full((64, 64), np.nan, np.float32)",
        "acl.contrastive_cov(z, z, alpha, out=out)",
        "assert np.isnan(out).all() and delay < 5",  # a fifth of a second is promised, on a machine that is not busy
    ),
    "energy": ("z = normal(400_000, 64)", "acl.energy(z, z, acl.Direct(z))", ""),
    "row_sums": ("alpha = acl.Gaussian(normal(400_000, 64), 64.0)", "alpha.row_sums()", ""),
    "matmul": ("z = normal(400_000, 64); alpha = acl.Gaussian(z, 64.0)", "alpha.matmul(z)", ""),
    "gated_cov": (
        "z = normal(60_000, 256); w = normal(2000, 256)",
        "acl.gated_cov(z, z, w)",
        "assert np.isfinite(acl.gated_cov(z[:500], z[:500], w[:3])).all()",
    ),
    "gated_outer": (
        "z, omega = (np.broadcast_to(normal(1, k), (400_000, k)) for k in (128, 4000))",
        "acl.gated_outer(z, omega)",
        "",
    ),
    "eigenpairs": (
        "a = normal(24, 1500, 1500); a += a.transpose(0, 2, 1)",
        "acl.power_iteration(a, method='power', tol=1e-12, max_iter=10**6)",
        "assert acl.power_iteration(a[:, :30, :30]).converged.all()",
    ),
    "one matrix": (
        "a = normal(3000, 3000)",
        "acl.power_iteration(a, method='power', tol=1e-13, max_iter=10**6)",
        "",
    ),
    "eigenpairs of nodes": (
        "z = normal(60_000, 64); layer = acl.GatedCovariance(z, z, normal(64, 64))",
        "acl.power_iteration(layer, method='power', tol=1e-12, max_iter=10**6)",
        "layer.matmul(normal(64, 64))",
    ),
    "local maxima": (
        "z = normal(60_000, 64); z_aug = z + 0.1 * normal(60_000, 64)",
        "acl.theory.find_local_maxima(z, z_aug, 400, alpha=acl.NodeGaussian(1.0), tol=1e-12, max_iter=10**6)",
        "",
    ),
    "loss in torch": (
        "import torch; z = torch.from_numpy(normal(250_000, 64)).requires_grad_()",
        "acl.losses.InfoNCE()(z, z.detach() + 0.1)",
        "assert z.grad is None",
    ),
    "gradient of a loss in torch": (
        "import torch; z = torch.from_numpy(normal(16_000, 64)).requires_grad_(); loss = acl.losses.MINE()",
        "value = loss(z, z.detach() + 1e-3)\n        for _ in range(1000): value.backward(retain_graph=True)",
        "assert z.grad is None or z.grad.isfinite().all()",
    ),
}


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("name", CASES)
def test_interrupted(name, threads):
    setup, call, after = CASES[name]
    code = CALL.format(setup=setup, call=call, after=after)
    print(run_python(code, timeout=60, OMP_NUM_THREADS=threads).stdout)


def test_a_handler_that_does_not_raise_is_run_and_the_call_goes_on():
    code = """
import os
import signal
import threading
import numpy as np
import alphacl_fast as acl

x = np.random.default_rng(6).standard_normal((12_000, 8))
calls = []


def handler(*_):
    calls.append(acl.contrastive_cov(x[:500], x[500:1000], acl.Gaussian(x[:500], 2.0)))  # on top of the call itself


signal.signal(signal.SIGUSR1, handler)
expected = acl.contrastive_cov(x, x[::-1], acl.Gaussian(x, 4.0))
timer = threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGUSR1))
timer.start()
while not calls:
    assert np.array_equal(acl.contrastive_cov(x, x[::-1], acl.Gaussian(x, 4.0)), expected)
assert np.array_equal(calls[0], acl.contrastive_cov(x[:500], x[500:1000], acl.Gaussian(x[:500], 2.0)))
"""
    run_python(code)


def test_an_exception_of_another_handler_comes_out_of_the_call():
    code = """
import signal
import numpy as np
import alphacl_fast as acl


def handler(*_):
    raise TimeoutError("enough")


signal.signal(signal.SIGALRM, handler)
x = np.random.default_rng(7).standard_normal((300_000, 32))
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    acl.contrastive_cov(x, x, acl.Gaussian(x, 4.0))
except TimeoutError as error:
    assert str(error) == "enough"
else:
    raise AssertionError("not ended")
"""
    run_python(code, timeout=60)


def test_other_threads_are_not_interrupted():
    code = """
import os
import signal
import threading
import time
import numpy as np
import alphacl_fast as acl

signal.signal(signal.SIGINT, signal.default_int_handler)
x = np.random.default_rng(8).standard_normal((12_000, 8))
compute = lambda: acl.contrastive_cov(x, x[::-1], acl.Gaussian(x, 4.0))
expected = compute()
found = []
thread = threading.Thread(target=lambda: found.extend(compute() for _ in range(3)))
try:
    thread.start()
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        time.sleep(0.01)
except KeyboardInterrupt:
    pass
thread.join()
assert len(found) == 3 and all(np.array_equal(f, expected) for f in found)
"""
    run_python(code)


def test_calls_of_threads_that_are_not_the_main_one_work():
    results = []
    thread = threading.Thread(target=lambda: results.append(acl.Uniform(4).row_sums()))
    thread.start()
    thread.join()
    assert (results[0] == 4).all()


def test_a_handler_may_use_the_object_whose_call_it_interrupts():
    """Also while the call first makes what serves it in double: nothing that the handler wants is locked."""
    done = run_python(
        """
import signal
import numpy as np
import alphacl_fast as acl

x = np.random.default_rng(0).standard_normal((9000, 4), dtype=np.float32)
w = np.eye(2, 4, dtype=np.float32)
found = []
signal.signal(signal.SIGALRM, lambda *_: found.append(layer.matmul(w)))
for delay in (0.05, 0.1, 0.2):
    layer = acl.GatedCovariance(x, x.copy(), w, alpha=acl.Gaussian(x, 1e-4))  # α is nearly I: float32 loses all digits
    signal.setitimer(signal.ITIMER_REAL, delay)
    outer = layer.matmul(w)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert all(np.array_equal(outer, inner) for inner in found)
print("done")
""",
        timeout=60,
    )
    assert "done" in done.stdout
