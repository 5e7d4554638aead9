"""contrastive_cov(parts=True): the two sums of C = inter − intra, each against its definition."""

import numpy as np
import pytest
from support import DTYPES, IMPORTANCES, assert_contract, importance, two_views
from support import torch as import_torch

import alphacl_fast as acl
from alphacl_fast import reference


def _intra(x, x_aug, alpha, dtype=np.float64):
    n = len(x)
    delta, r = x.astype(dtype) - x_aug.astype(dtype), reference.dense_alpha(alpha, n, dtype=dtype).sum(1)
    return (delta * r[:, None]).T @ delta / dtype(2 * n * n)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", IMPORTANCES)
@pytest.mark.parametrize("n, d", [(1, 2), (150, 6)])
def test_each_part(n, d, name, dtype):
    x, x_aug = two_views(n, d, dtype)
    alpha = importance(name, n, dtype)
    inter, intra = acl.contrastive_cov(x, x_aug, alpha, parts=True)
    define = reference.contrastive_cov
    assert_contract(inter, define(x, x, alpha), lambda: define(x, x, alpha, dtype=dtype), dtype)
    assert_contract(intra, _intra(x, x_aug, alpha), lambda: _intra(x, x_aug, alpha, dtype), dtype)
    for part in (inter, intra):
        np.testing.assert_array_equal(part, part.T)
    np.testing.assert_array_equal(inter, acl.contrastive_cov(x, x, alpha))
    whole = acl.contrastive_cov(x, x_aug, alpha)
    scale = np.linalg.norm(inter) + np.linalg.norm(intra)
    np.testing.assert_allclose(inter - intra, whole, rtol=0, atol=(2e-6 if dtype == np.float32 else 1e-13) * scale)


def test_without_augmentation_nothing_is_left():
    x = two_views(50, 3, np.float64)[0]
    assert not acl.contrastive_cov(x, x, parts=True)[1].any()
    assert not np.signbit(acl.contrastive_cov(x, x, parts=True)[1]).any()


def test_out_is_refused():
    x, x_aug = two_views(9, 3, np.float32)
    with pytest.raises(TypeError, match=r"^parts: expected False, .*got out=$"):
        acl.contrastive_cov(x, x_aug, parts=True, out=np.empty((3, 3), np.float32))


def test_the_errors_are_those_of_the_whole():
    x, x_aug = two_views(9, 3, np.float32)
    with pytest.raises(ValueError, match=r"^x_aug: expected shape \(9, 3\) like x, got \(8, 3\)$"):
        acl.contrastive_cov(x, x_aug[:8], parts=True)
    with pytest.raises(ValueError, match=r"^alpha: expected 9 samples like x, got 8$"):
        acl.contrastive_cov(x, x_aug, acl.Labels(np.zeros(8, int)), parts=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_parts(dtype):
    torch = import_torch()
    x, x_aug = two_views(40, 3, dtype)
    expected = acl.contrastive_cov(x, x_aug, acl.Direct(x), parts=True)
    tensors = torch.tensor(x), torch.tensor(x_aug)
    ours = acl.contrastive_cov(*tensors, acl.Direct(tensors[0]), parts=True)
    for mine, theirs in zip(ours, expected, strict=True):
        assert isinstance(mine, torch.Tensor)
        np.testing.assert_array_equal(mine.numpy(), theirs)


def test_torch_gradients_of_parts():
    torch = import_torch()
    z, z_aug = (torch.tensor(a, requires_grad=True) for a in two_views(12, 3, np.float64))
    alpha = acl.Gaussian(z.detach().clone(), 2.0)
    assert torch.autograd.gradcheck(lambda a, b: acl.contrastive_cov(a, b, alpha, parts=True), (z, z_aug))


def test_torch_compile_refuses_parts():
    torch = import_torch()
    x, x_aug = (torch.tensor(a) for a in two_views(9, 3, np.float32))
    torch.compiler.reset()
    with pytest.raises(Exception, match=r"parts: expected False"):
        torch.compile(lambda a, b: acl.contrastive_cov(a, b, parts=True), backend="eager", fullgraph=True)(x, x_aug)
