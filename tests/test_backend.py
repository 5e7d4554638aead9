"""The door to the compiled modules: what it gives for an operand, what it refuses, and that a second one fits in."""

from types import SimpleNamespace

import numpy as np
import pytest
from support import torch as import_torch

import alphacl_fast as acl
from alphacl_fast import _backend, _cpu
from alphacl_fast._arrays import operand

X = np.random.default_rng(3).standard_normal((6, 2))


@pytest.mark.parametrize("dtype, suffix", [(np.float32, "_f32"), (np.float64, "_f64")])
def test_arrays_are_served_by_the_cpu(dtype, suffix):
    x = operand("x", X.astype(dtype))
    assert (x.device, x.dtype) == ("cpu", dtype)
    assert _backend.backend_for(x) is _cpu
    assert _backend.constructor_for("dense", x) is getattr(_cpu, "dense" + suffix)


def test_torch_tensors_are_served_where_they_lie():
    t = import_torch().from_numpy(X)
    assert operand("x", t).device == "cpu"
    assert _backend.backend_for(t) is _backend.backend_for(operand("x", t)) is _cpu


def test_another_module_serves_another_device(monkeypatch):
    another = SimpleNamespace(direct_f64=lambda *arguments: ("made there", *arguments[1:]))
    monkeypatch.setattr(_backend, "_MODULES", {"cpu": _cpu, "elsewhere": another})
    there = SimpleNamespace(device="elsewhere", dtype=np.dtype(np.float64), array=X)
    assert _backend.backend_for(there) is another
    assert acl.Direct(X, 2, 0.3, normalize=False)._compile(there) == ("made there", 2.0, 0.3, False, False, 0.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: acl.contrastive_cov(t, t),
        lambda t: acl.energy(t, t),
        lambda t: acl.gated_outer(t, t),
        lambda t: acl.gated_cov(t, t, t),
        lambda t: acl.GatedCovariance(t, t, t),
        lambda t: acl.theory.find_local_maxima(t, t, 2),
        acl.power_iteration,
        lambda t: acl.Gaussian(t, 1.0),
        acl.LowRank,
        lambda t: acl.Labels(t[:, 0].int()).row_sums(),
        lambda t: acl.NodeGaussian(1.0, t),
        lambda t: acl.contrastive_cov(X, X, t),
        lambda t: acl.losses.nt_xent(t, t),
        lambda t: acl.losses.MINE()(t, t),
    ],
)
def test_torch_tensors_elsewhere_are_refused(call):
    text = r"^\w+: META tensor given but this build has no META backend: copy it (to the CPU )?with \w+\.cpu\(\)$"
    with pytest.raises(TypeError, match=text):
        call(import_torch().ones(6, 2, device="meta"))
