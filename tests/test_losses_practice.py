"""What practitioners use, against few-line formulas and the packages whose conventions these are."""

import math

import numpy as np
import pytest
from support import check_gradients, feature_views, log1p_exp, log_sum
from support import torch as import_torch

import alphacl_fast as acl

torch = import_torch()
losses = acl.losses

TORCH = {np.float32: torch.float32, np.float64: torch.float64}


def _unit(z):
    return torch.nn.functional.normalize(z, dim=-1)


def _literal_nt_xent(z1, z2, temperature):
    z, n = _unit(torch.cat([z1, z2])), len(z1)
    logits = z @ z.T / temperature
    partner = torch.eye(2 * n, dtype=torch.bool).roll(n, 1)
    # −log(own / (own + others)) as log(1 + others / own): the truth must keep the digits of a small loss.
    return log1p_exp(log_sum(logits, ~partner & ~torch.eye(2 * n, dtype=torch.bool)) - logits[partner])


def _literal_info_nce(q, k, negatives, temperature):
    q, k = _unit(q), _unit(k)
    own = (q * k).sum(1) / temperature
    if negatives is None:
        return log1p_exp(log_sum(q @ k.T / temperature, ~torch.eye(len(q), dtype=torch.bool)) - own)
    bad = _unit(negatives)
    others = torch.einsum("nm,nkm->nk", q, bad) if bad.ndim == 3 else q @ bad.T
    return log1p_exp(torch.logsumexp(others / temperature, 1) - own)


def _literal_clip(a, b, scale):
    logits, target = scale * a @ b.T, torch.arange(len(a))
    ce = torch.nn.functional.cross_entropy
    return (ce(logits, target) + ce(logits.T, target)) / 2


def _literal_siglip(a, b, scale, bias):
    logits = scale * a @ b.T + bias
    y = 2 * torch.eye(len(a), dtype=a.dtype) - 1
    return -torch.nn.functional.logsigmoid(y * logits).sum() / len(a)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n, m", [(1, 3), (2, 3), (33, 8), (130, 20), (300, 7)])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_nt_xent(n, m, temperature, dtype):
    check_gradients(
        lambda a, b: losses.nt_xent(a, b, temperature=temperature, reduction="none"),
        lambda a, b: _literal_nt_xent(a, b, temperature),
        feature_views(n, m, dtype),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n, k, m", [(2, None, 3), (130, None, 20), (40, 7, 5), (7, 300, 33), (129, 65, 9)])
@pytest.mark.parametrize("paired", [False, True])
def test_info_nce(n, k, m, paired, dtype):
    tensors = feature_views(n, m, dtype)
    if k is not None:
        shape = (n, k, m) if paired else (k, m)
        negatives = np.random.default_rng(n).standard_normal(shape).astype(dtype)
        tensors.append(torch.from_numpy(negatives).requires_grad_())
    check_gradients(
        lambda q, p, bad=None: losses.info_nce(q, p, bad, temperature=0.1, reduction="none"),
        lambda q, p, bad=None: _literal_info_nce(q, p, bad, 0.1),
        tensors,
    )


def test_symmetric_info_nce_is_the_mean_of_both_directions():
    q, k = feature_views(50, 6, np.float64)
    both = losses.info_nce(q, k, symmetric=True, reduction="none")
    one, other = losses.info_nce(q, k, reduction="none"), losses.info_nce(k, q, reduction="none")
    torch.testing.assert_close(both, (one + other) / 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 65, 300])
def test_clip_and_siglip(n, dtype):
    pair = [_unit(t.detach()).requires_grad_() for t in feature_views(n, 12, dtype, noise=0.8)]
    scale = torch.tensor(8.0, dtype=TORCH[dtype], requires_grad=True)
    bias = torch.tensor(-5.0, dtype=TORCH[dtype], requires_grad=True)
    check_gradients(losses.clip_loss, _literal_clip, [*pair, scale])
    check_gradients(losses.siglip_loss, _literal_siglip, [*pair, scale, bias])


def test_without_normalisation():
    tensors = feature_views(60, 5, np.float64)
    z = torch.cat(tensors)
    logits = (z @ z.T / 0.7).masked_fill(torch.eye(120, dtype=torch.bool), -math.inf)
    expected = torch.nn.functional.cross_entropy(logits, (torch.arange(120) + 60) % 120)
    torch.testing.assert_close(losses.nt_xent(*tensors, temperature=0.7, normalize=False), expected)
    expected = torch.nn.functional.cross_entropy(tensors[0] @ tensors[1].T / 0.7, torch.arange(60))
    torch.testing.assert_close(losses.info_nce(*tensors, temperature=0.7, normalize=False), expected)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_reductions_and_who_needs_a_gradient(symmetric, reduction):
    q, k = feature_views(40, 6, np.float64)
    literal = _literal_info_nce(q, k, None, 0.2)
    if symmetric:
        literal = (literal + _literal_info_nce(k, q, None, 0.2)) / 2
    expected = torch.autograd.grad(getattr(literal, reduction)(), (q, k))
    for mine, other, which in ((q, k.detach(), 0), (q.detach(), k, 1)):
        loss = losses.info_nce(mine, other, temperature=0.2, symmetric=symmetric, reduction=reduction)
        torch.testing.assert_close(loss, getattr(literal, reduction)())
        (grad,) = torch.autograd.grad(loss, (mine, other)[which])
        torch.testing.assert_close(grad, expected[which])


def test_gradients_come_back_in_the_type_of_the_features():
    views = [t.detach().to(torch.bfloat16).requires_grad_() for t in feature_views(30, 8, np.float32)]
    wide = [t.detach().float().requires_grad_() for t in views]
    for loss, reference in zip(
        torch.autograd.grad(losses.nt_xent(*views), views),
        torch.autograd.grad(losses.nt_xent(*wide), wide),
        strict=True,
    ):
        assert loss.dtype == torch.bfloat16
        torch.testing.assert_close(loss, reference.to(torch.bfloat16))


def test_rows_without_a_direction():
    # normalize leaves a row of zeros, or one shorter than 1e-12, at f/1e-12, and so does its gradient.
    a, b = (t.detach() for t in feature_views(20, 5, np.float64))
    a[3], b[7] = 0, 1e-14 * b[7]
    a.requires_grad_(), b.requires_grad_()
    expected = torch.autograd.grad(_literal_nt_xent(a, b, 0.5).mean(), (a, b))
    found = torch.autograd.grad(losses.nt_xent(a, b), (a, b))
    for x, y in zip(found, expected, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-12)
    assert min(expected[0][3].abs().max(), expected[1][7].abs().max()) > 1e6


def test_modules_are_the_functions():
    a, b = feature_views(30, 4, np.float64)
    bad = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    same = torch.testing.assert_close
    same(losses.NTXentLoss(0.2)(a, b, "none"), losses.nt_xent(a, b, temperature=0.2, reduction="none"))
    same(losses.InfoNCELoss(0.3)(a, b, bad), losses.info_nce(a, b, bad, temperature=0.3))
    same(losses.InfoNCELoss(symmetric=True)(a, b), losses.info_nce(a, b, symmetric=True))
    same(losses.ClipLoss()(a, b, 3.0), losses.clip_loss(a, b, 3.0))
    same(losses.SigLIPLoss()(a, b, 3.0, -1.0), losses.siglip_loss(a, b, 3.0, -1.0))
    direct = losses.AlphaCLLoss(lambda z, z_aug: acl.Direct(z))
    same(direct(a, b), losses.alpha_cl_loss(a, b, acl.Direct(a.detach())))


# The packages whose conventions these are.


def test_nt_xent_equals_pytorch_metric_learning():
    from pytorch_metric_learning.losses import NTXentLoss, SelfSupervisedLoss

    a, b = feature_views(50, 8, np.float32)
    theirs = SelfSupervisedLoss(NTXentLoss(temperature=0.3))
    expected = torch.autograd.grad(theirs(a, b), (a, b))
    ours = losses.nt_xent(a, b, temperature=0.3)
    torch.testing.assert_close(ours, theirs(a, b))
    torch.testing.assert_close(torch.autograd.grad(ours, (a, b)), expected)


@pytest.mark.parametrize("mode", ["none", "unpaired", "paired"])
def test_info_nce_equals_info_nce_pytorch(mode):
    from info_nce import InfoNCE

    q, k = feature_views(50, 8, np.float32)
    shape = {"none": None, "unpaired": (30, 8), "paired": (50, 7, 8)}[mode]
    bad = None if shape is None else torch.from_numpy(np.random.default_rng(1).standard_normal(shape, np.float32))
    theirs = InfoNCE(temperature=0.2, negative_mode="paired" if mode == "paired" else "unpaired")(q, k, bad)
    ours = losses.info_nce(q, k, bad, temperature=0.2)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, (q, k)), torch.autograd.grad(theirs, (q, k)))


def _lightly_nt_xent(a, b, temperature):
    """The formula of lightly's NTXentLoss without a memory bank, which is not installed beside a CPU build of torch."""
    a, b = _unit(a), _unit(b)
    n, diagonal = len(a), ~torch.eye(len(a), dtype=torch.bool)
    same, other = (a @ a.T / temperature)[diagonal].view(n, -1), (b @ b.T / temperature)[diagonal].view(n, -1)
    across = a @ b.T / temperature
    logits = torch.cat([torch.cat([across, same], 1), torch.cat([across.T, other], 1)])
    return torch.nn.functional.cross_entropy(logits, torch.arange(n).repeat(2))


def _open_clip_siglip(image, text, scale, bias):
    """The formula of open_clip's SigLipLoss."""
    logits = scale * image @ text.T + bias
    labels = 2 * torch.eye(len(image), dtype=image.dtype) - torch.ones_like(logits)
    return -torch.nn.functional.logsigmoid(labels * logits).sum() / len(image)


def test_nt_xent_and_siglip_follow_lightly_and_open_clip():
    a, b = feature_views(40, 6, np.float64)
    torch.testing.assert_close(losses.nt_xent(a, b, temperature=0.3), _lightly_nt_xent(a, b, 0.3))
    a, b = _unit(a), _unit(b)
    torch.testing.assert_close(losses.siglip_loss(a, b, 10.0, -10.0), _open_clip_siglip(a, b, 10.0, -10.0))
