"""Every member of every table of kernels is run, on every instruction set of this machine."""

import pytest
from support import run_python

from alphacl_fast import _cpu

CALLS = """
import numpy as np
from support import DTYPES, IMPORTANCES, importance, two_views
import alphacl_fast as acl
from alphacl_fast import _cpu

assert _cpu.build_info()["isa"] == {isa!r}
assert _cpu.kernel_calls() and not any(_cpu.kernel_calls().values())
rng = np.random.default_rng(90)


def sums(dtype):
    x, x_aug = two_views(257, 19, dtype)
    f = rng.standard_normal((257, 9)).astype(dtype)
    # Smooth enough for float distances, and for products in place of differences.
    smooth = [acl.Direct(f, tau=1e5), acl.Gaussian(f, 50.0)]
    for alpha in (*(importance(name, 257, dtype) for name in IMPORTANCES), *smooth):
        acl.contrastive_cov(x, x_aug, alpha)
        acl.energy(x, x_aug, alpha)
        if isinstance(alpha, acl.importance.Importance) and not isinstance(alpha, acl.Uniform):
            alpha.row_sums()
            alpha.matmul(x)
    # Clusters so far apart that float sums lose their digits and are made again in double.
    far = (np.arange(200.0)[:, None] % 2 * 1e3 + 1e-3 * rng.standard_normal((200, 4))).astype(dtype)
    acl.contrastive_cov(far, far + dtype(0.1), acl.LowRank(far))


def nodes(dtype):
    x, x_aug = two_views(257, 5, dtype)
    w = rng.standard_normal((3, 5)).astype(dtype)
    acl.gated_outer(x, (rng.random((257, 2)) < 0.5).astype(dtype))
    acl.GatedCovariance(x, x_aug, w, alpha=importance("gaussian", 257, dtype)).matmul(w)
    for alpha in (None, acl.NodeGaussian(0.5), acl.NodeGaussian(1e-5)):
        acl.gated_cov(x, x_aug, w, alpha=alpha)
        acl.GatedCovariance(x, x_aug, w, alpha=alpha).matmul(w)
        acl.theory.find_local_maxima(x, x_aug, weights0=w, alpha=alpha, max_iter=3)


def eigenpairs(dtype):
    for d in (7, 128):
        a = rng.standard_normal((2, d, d)).astype(dtype)
        acl.power_iteration(a + a.transpose(0, 2, 1), gap=True)


def pairs(dtype):  # the sums of the losses, as torch's operators ask for them
    f, rows, grad = two_views(66, 5, dtype)[0], np.empty(66), np.empty((66, 5), dtype)
    ones = np.ones(66)
    _cpu.pair_sums(f, None, 0.4, False, False, "softplus", np.zeros(66), rows)
    for scale in (0.4, 400.0):  # large scores of float features are made in double
        _cpu.pair_log_sums(f, None, scale, False, False, rows, None)
        _cpu.pair_log_sums_gradient(f, None, scale, False, False, rows, None, ones, None, grad, None, np.empty(1))


def gradients(dtype):  # of eigenvalues
    x, x_aug = two_views(257, 19, dtype)
    uniform = (_cpu.uniform_f32 if dtype == np.float32 else _cpu.uniform_f64)(257, True)
    _cpu.laplacian_along(x, x_aug, uniform, x[:2].copy(), np.ones(2), np.empty_like(x), np.empty_like(x))


def training(dtype):
    layers = [np.ones(shape, dtype) for shape in 2 * [(3, 4, 2), (5, 6)]]
    tokens = np.zeros((1, 7, 3), np.int64)
    options = "relu", True, True, False, False, 0.1, 0.02, 0.9, 5e-3
    _cpu.train_two_layer(*layers, tokens, tokens, *options, np.empty(1))


for dtype in DTYPES:
    for calls in (sums, nodes, eigenpairs, pairs, gradients, training):
        calls(dtype)
    _cpu._exp_rate(np.dtype(dtype).name)
print("never run:", *(name for name, count in _cpu.kernel_calls().items() if count == 0))
"""


@pytest.mark.parametrize("isa", _cpu.supported_isas())
def test_every_kernel_is_run(isa):
    done = run_python(CALLS.format(isa=isa), ALPHACL_FAST_ISA=isa, ALPHACL_FAST_COUNT_KERNELS="1")
    assert done.stdout.strip() == "never run:"


def test_without_being_asked_nothing_counts():
    code = "from alphacl_fast import _cpu; print(_cpu.kernel_calls())"
    assert run_python(code, ALPHACL_FAST_COUNT_KERNELS="").stdout.strip() == "{}"
