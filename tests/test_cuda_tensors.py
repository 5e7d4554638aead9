"""Tensors that are not in host memory keep to torch: the Python half of the way to a GPU, with the emulated kernels."""

import importlib.util

import pytest
from support import run_python

from alphacl_fast import _backend

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("alphacl_fast._cuda") is None or _backend.cuda_info()["toolkit"] != "emulated",
    reason="this build has no emulated _cuda",
)

# The tensors lie on the CPU, but nothing may make numpy arrays of them.
AS_ON_A_GPU = """
import numpy as np
import torch
from alphacl_fast import _arrays, _backend, reference
import alphacl_fast as acl
_arrays.is_in_host_memory = lambda t: False
rng = np.random.default_rng(1)
x, x_aug = (torch.from_numpy(rng.standard_normal((50, 4))) for _ in range(2))
w = torch.from_numpy(rng.standard_normal((3, 4)))
def close(ours, truth):
    assert isinstance(ours, torch.Tensor)
    np.testing.assert_allclose(ours.numpy(), truth, rtol=1e-12, atol=1e-12)
def refused(error, text, call):
    try:
        call()
    except error as refusal:
        assert text in str(refusal), refusal
    else:
        raise AssertionError(text)
"""


def _run(code):
    run_python(AS_ON_A_GPU + code, ALPHACL_FAST_BACKEND="emulated")


def test_torch_operations():
    _run(
        """
alpha = acl.Gaussian(x, 1.5)
close(acl.contrastive_cov(x, x_aug, alpha), reference.contrastive_cov(x, x_aug, alpha))
close(acl.energy(x, x_aug, alpha), reference.energy(x, x_aug, alpha))
close(alpha.matmul(x[:, :2]), reference.dense_alpha(alpha, 50) @ x[:, :2].numpy())
close(alpha.row_sums(), reference.dense_alpha(alpha, 50).sum(1))
own = acl.NodeGaussian(0.5)
close(acl.gated_cov(x, x_aug, w, alpha=own), reference.gated_cov(x, x_aug, w, alpha=own))
a = x.T @ x
found = acl.power_iteration(a, gap=True, v0=torch.ones(4, dtype=torch.float64))
close(found.eigenvalue, np.linalg.eigvalsh(a.numpy())[-1])
assert found.converged and isinstance(found.n_iter, torch.Tensor)
"""
    )


def test_torch_layouts_and_out():
    _run(
        """
omega = torch.from_numpy(rng.standard_normal((50, 3)))
truth = reference.gated_outer(x, omega)
close(acl.gated_outer(x.T.contiguous().T, omega), truth)
out = torch.empty(3, 4, 4, dtype=torch.float64)
assert acl.gated_outer(x, omega, out=out) is out
close(out, truth)
refused(ValueError, "out: expected a contiguous tensor", lambda: acl.gated_outer(x, omega, out=out.mT))
refused(ValueError, "out: expected shape (3, 4, 4)", lambda: acl.gated_outer(x, omega, out=out[:2]))
refused(TypeError, "out: expected float64", lambda: acl.gated_outer(x, omega, out=out.float()))
whole = torch.zeros(80, 4, dtype=torch.float64)
whole[:50] = x
close(acl.gated_outer(whole[:50], omega, out=whole[10:22].view(3, 4, 4)), truth)
"""
    )


def test_torch_gradients():
    _run(
        """
_backend.is_in_host_memory = _arrays.is_in_host_memory
from alphacl_fast._torch import sums
sums.is_in_host_memory = _arrays.is_in_host_memory
z, z_aug = (t.clone().requires_grad_() for t in (x, x_aug))
acl.contrastive_cov(z, z_aug).square().sum().backward()
y, y_aug = (t.clone().requires_grad_() for t in (x, x_aug))
inter = (y[:, None] - y).reshape(-1, 4)
c = (inter.T @ inter - 50 * (y - y_aug).T @ (y - y_aug)) / (2 * 50**2)
c.square().sum().backward()
close(z.grad, y.grad.numpy())
close(z_aug.grad, y_aug.grad.numpy())
"""
    )


def test_torch_energies_beyond_float32_are_infinite():
    _run(
        """
far = torch.full((2, 1), 3e38)
far[0] = -3e38
assert acl.energy(far, far.clone()) == torch.inf
"""
    )


def test_torch_layers():
    _run(
        """
layer, truth = acl.GatedCovariance(x, x_aug, w), reference.gated_cov(x, x_aug, w)
close(layer.matmul(w), np.einsum("kij,kj->ki", truth, w.numpy()))
close(layer.quadratic(w), np.einsum("ki,kij,kj->k", w.numpy(), truth, w.numpy()))
close(layer.to_dense(), truth)
close(acl.power_iteration(layer).eigenvalue, np.linalg.eigvalsh(truth)[:, -1])
np.testing.assert_allclose(layer.as_linear_operator(1) @ np.ones(4), truth[1].sum(1), rtol=1e-12)
found = acl.theory.find_local_maxima(x, x_aug, weights0=w, tol=1e-3, max_iter=5, progress=False)
assert all(isinstance(part, torch.Tensor) for part in found)
a = reference.gated_cov(x, x_aug, found.weights)
close(found.eigenvalue, np.einsum("ki,kij,kj->k", found.weights.numpy(), a, found.weights.numpy()))
"""
    )
