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


def _literal_both(a, b):
    return (_literal_info_nce(a, b, None, 0.5) + _literal_info_nce(b, a, None, 0.5)) / 2


OPTIONS = {
    "nt_xent": (losses.nt_xent, lambda a, b, _: _literal_nt_xent(a, b, 0.5)),
    "info_nce": (
        lambda a, b, **how: losses.info_nce(a, b, temperature=0.5, **how),
        lambda a, b, _: _literal_info_nce(a, b, None, 0.5),
    ),
    "symmetric": (
        lambda a, b, **how: losses.info_nce(a, b, temperature=0.5, symmetric=True, **how),
        lambda a, b, _: _literal_both(a, b),
    ),
    "negatives": (
        lambda a, b, bad, **how: losses.info_nce(a, b, bad, temperature=0.5, **how),
        lambda a, b, bad: _literal_info_nce(a, b, bad, 0.5),
    ),
    "clip_loss": (
        lambda a, b, **how: losses.clip_loss(_unit(a), _unit(b), 2.0, **how),
        lambda a, b, _: _literal_both(a, b),
    ),
}


def _given(name, dtype=torch.float64):
    a, b = (t.detach().to(dtype) for t in feature_views(40, 6, np.float64))
    bad = torch.randn(30, 6, dtype=dtype, generator=torch.Generator().manual_seed(1))
    return [a, b, bad] if name == "negatives" else [a, b]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", OPTIONS)
def test_every_reduction_and_whoever_needs_a_gradient(name, reduction):
    function, literal = OPTIONS[name]
    given = _given(name)
    for needing in ([0], [1], list(range(len(given)))):
        mine = [t.clone().requires_grad_(k in needing) for k, t in enumerate(given)]
        theirs = [t.clone().requires_grad_(k in needing) for k, t in enumerate(given)]
        expected = literal(*theirs, *[None] * (3 - len(given)))
        if reduction != "none":
            expected = getattr(expected, reduction)()
        found = function(*mine, reduction=reduction)
        torch.testing.assert_close(found, expected)
        weight = torch.linspace(1, 2, expected.numel(), dtype=torch.float64).reshape(expected.shape)
        (found.mul_(weight)).sum().backward()  # in place: the result is nobody's view
        (expected * weight).sum().backward()
        for k in needing:
            torch.testing.assert_close(mine[k].grad, theirs[k].grad)
            assert mine[k].grad.untyped_storage().nbytes() == mine[k].grad.nbytes


def test_keys_may_change_before_the_gradient_is_taken():
    """A queue of keys is overwritten in every step, and is not kept besides its rows of length 1."""
    q, k, queue = _given("negatives")
    q.requires_grad_()
    expected = torch.autograd.grad(losses.info_nce(q, k, queue), q)[0]
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (sizes.append(t.numel()), t)[1], lambda t: t):
        loss = losses.info_nce(q, k, queue)
    k[:], queue[:] = 0, 0
    assert torch.equal(torch.autograd.grad(loss, q)[0], expected)
    assert sizes.count((2 * len(q) + len(queue)) * q.shape[1]) == 1
    assert queue.numel() not in sizes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_without_a_direction(dtype):
    # normalize leaves a row of zeros, or one shorter than 1e-12, at f/1e-12, and so does its gradient.
    a, b = _given("nt_xent", dtype)
    a[3], b[7] = 0, 1e-14 * b[7]
    wide = [t.double().requires_grad_() for t in (a, b)]
    a.requires_grad_(), b.requires_grad_()
    expected = torch.autograd.grad(_literal_nt_xent(*wide, 0.5).mean(), wide)
    found = torch.autograd.grad(losses.nt_xent(a, b), (a, b))
    for x, y in zip(found, expected, strict=True):
        torch.testing.assert_close(x.double(), y, rtol=1e-4 if dtype == torch.float32 else 1e-9, atol=1e-6)
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
