"""What has no derivative refuses tensors that require grad, with the way out in the text, unless gradients are off."""

import numpy as np
import pytest
from support import torch as import_torch
from support import two_views

import alphacl_fast as acl

torch = import_torch()


def _inputs():
    x, x_aug = (torch.tensor(a) for a in two_views(30, 30, np.float64))
    return x, x_aug, x.clone()


CALLS = {
    "x": lambda x, y, z: acl.contrastive_cov(x.requires_grad_(), y, out=z),
    "x_aug": lambda x, y, z: acl.contrastive_cov(x, y.requires_grad_(), out=z),
    "alpha": lambda x, y, z: acl.contrastive_cov(x, y, z.requires_grad_()),
    "weights": lambda x, y, z: acl.gated_cov(x, y, z.requires_grad_()),
    "alpha beside x": lambda x, y, z: acl.contrastive_cov(x.requires_grad_(), y, z.requires_grad_()),
    "features beside f": lambda x, y, z: acl.energy(x.requires_grad_(), y, acl.Gaussian(z.requires_grad_(), 1.0)),
    "Dense": lambda x, y, z: acl.contrastive_cov(x, y, acl.Dense(z.requires_grad_())),
    "LowRank": lambda x, y, z: acl.contrastive_cov(x, y, acl.LowRank(z.requires_grad_())),
    "LowRank with signs": lambda x, y, z: acl.contrastive_cov(x, y, acl.LowRank(x, z[0].requires_grad_())),
    "Gaussian": lambda x, y, z: acl.energy(x, y, acl.Gaussian(z.requires_grad_(), 1.0)),
    "Direct": lambda x, y, z: acl.energy(x, y, acl.Direct(z.requires_grad_())),
    "matmul": lambda x, y, z: acl.Gaussian(z, 1.0).matmul(y.requires_grad_()),
    "not a leaf": lambda x, y, z: acl.contrastive_cov(x.requires_grad_() * 2, y, out=z),
}


@pytest.mark.parametrize("call", CALLS)
def test_refused_with_the_way_out(call):
    with pytest.raises(RuntimeError, match=r"requires grad.*\.detach\(\)"):
        CALLS[call](*_inputs())


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_works_without_gradients(call, mode):
    inputs = _inputs()
    with mode():
        assert not CALLS[call](*inputs).requires_grad


def test_out_must_not_require_grad():
    x, x_aug, out = _inputs()
    with pytest.raises(RuntimeError, match=r"^out: expected .*require grad, got "):
        acl.contrastive_cov(x, x_aug, out=out.requires_grad_())


def test_detached_inputs_work():
    x, x_aug, _ = _inputs()
    expected = acl.contrastive_cov(x, x_aug)
    x.requires_grad_()
    assert torch.equal(acl.contrastive_cov(x.detach(), x_aug), expected)
