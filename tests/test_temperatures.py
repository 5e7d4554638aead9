"""Temperatures, logit scales and other numbers: learned where they can be, refused where they would be lost."""

import copy
import math
import re
import warnings

import numpy as np
import pytest
from support import relative_error
from support import torch as import_torch

import alphacl_fast as acl

torch = import_torch()
losses = acl.losses


def _features(seed, dtype=torch.float64, n=20, m=5):
    return torch.randn(n, m, dtype=dtype, generator=torch.Generator().manual_seed(seed))


Z, K = _features(1), _features(2)
MODULES = {
    "NTXentLoss": (losses.NTXentLoss, losses.nt_xent),
    "InfoNCELoss": (losses.InfoNCELoss, losses.info_nce),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_learns_its_temperature(name):
    module_of, function = MODULES[name]
    temperature = torch.nn.Parameter(torch.tensor(0.3))
    module = module_of(temperature)
    assert [id(p) for p in module.parameters()] == [id(temperature)]
    assert list(module.state_dict()) == ["temperature"]
    value = module(Z, K)
    value.backward()
    other = torch.tensor(0.3, requires_grad=True)
    expected = function(Z, K, temperature=other)
    expected.backward()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(temperature.grad, other.grad)
    torch.optim.SGD(module.parameters(), lr=0.01).step()
    assert temperature.item() != pytest.approx(0.3)
    assert copy.deepcopy(module)(Z, K).item() == module(Z, K).item()


@pytest.mark.parametrize("name", MODULES)
def test_another_tensor_is_a_buffer(name):
    module_of, function = MODULES[name]
    module = module_of(torch.tensor(0.3))
    assert not list(module.parameters())
    assert list(module.state_dict()) == ["temperature"]
    torch.testing.assert_close(module(Z, K), function(Z, K, temperature=torch.tensor(0.3)))
    assert copy.deepcopy(module)(Z, K).item() == module(Z, K).item()


@pytest.mark.parametrize("name", MODULES)
def test_a_tensor_that_no_optimizer_would_learn_is_refused(name):
    """parameters() does not hold it, and the graph behind it is gone after the first backward."""
    module_of, function = MODULES[name]
    for temperature in (_learned(), _learned(-1.0).exp()):
        text = (
            rf"^temperature: requires grad, .*nn\.Parameter\(\.\.\.\), or give temperature= to {function.__name__} at"
        )
        with pytest.raises(RuntimeError, match=text):
            module_of(temperature)


def test_a_temperature_among_the_keys_is_told_its_name():
    for value in (0.2, np.float32(0.2), torch.tensor(0.2)):
        with pytest.raises(TypeError, match=r"^negative_keys: .*write temperature="):
            losses.info_nce(Z, K, value)


def _learned(value=0.5):
    return torch.tensor(value, requires_grad=True)


def _importances(t):
    x = Z.numpy()
    yield "tau", lambda: acl.Gaussian(x, t)
    yield "tol", lambda: acl.Gaussian(x[:, 0], 1.0, tol=t)
    yield "p", lambda: acl.Direct(x, t)
    yield "tau", lambda: acl.Direct(x, tau=t)
    yield "eps", lambda: acl.Direct(x, eps=t)
    yield "q", lambda: acl.InverseDistance(x, q=t)
    yield "tau", lambda: acl.SquareRegularized(x, t)
    yield "tau", lambda: acl.NodeGaussian(t)
    yield "tol", lambda: acl.NodeGaussian(1.0, tol=t)
    yield "scale", lambda: acl.importance.PairImportance(x, t, "hinge", np.ones(len(x)), np.ones(len(x)))
    yield "slope", lambda: acl.LeakyReLU(t)


def _losses(t):
    yield "tau", lambda: losses.InfoNCE(tau=t)
    yield "eps", lambda: losses.InfoNCE(eps=t)
    yield "tau", lambda: losses.SoftTriplet(t, 0.1)
    yield "margin", lambda: losses.SoftTriplet(0.5, t)
    yield "margin", lambda: losses.Triplet(t)
    yield "margin", lambda: losses.LiftedStructured(t)
    yield "c", lambda: losses.ModifiedTriplet(t)


def _constants(t):
    return [*_importances(t), *_losses(t)]


@pytest.mark.parametrize("k", range(len(_constants(0.5))))
def test_a_number_that_would_not_be_learned_is_refused(k):
    name, make = _constants(_learned())[k]
    with pytest.raises(RuntimeError, match=rf"^{name}: requires grad, but is a constant here, .*{name}\.item\(\)"):
        make()
    _constants(_learned().detach())[k][1]()
    with torch.no_grad():
        make()


@pytest.mark.parametrize("k", range(len(_constants(0.5))))
@pytest.mark.parametrize(
    "bad, kind, text",
    [
        (np.array([0.5]), TypeError, r"number, got ndarray of shape \(1,\)"),
        (torch.tensor([0.5, 0.5]), TypeError, r"number, got Tensor of shape \(2,\)"),
        (torch.tensor(1j), TypeError, "number, got complex"),
        (np.complex64(1), TypeError, "number, got complex64"),
        (True, TypeError, "number, got bool"),
        (np.bool_(True), TypeError, "number, got bool"),
        (torch.tensor(True), TypeError, "number, got bool"),
        (torch.tensor(math.nan), ValueError, "finite number, got nan"),
        (10**400, ValueError, "finite number, got one beyond float64"),
    ],
    ids=["array", "tensor", "complex", "complex64", "bool", "bool_", "bool tensor", "nan", "huge"],
)
def test_what_is_no_number(k, bad, kind, text):
    name, make = _constants(bad)[k]
    with pytest.raises(kind, match=rf"^{name}: expected a .*{text}"):
        make()


TEMPERED = {
    "nt_xent": lambda t: losses.nt_xent(Z, K, temperature=t),
    "info_nce": lambda t: losses.info_nce(Z, K, temperature=t),
    "NTXentLoss": losses.NTXentLoss,
    "InfoNCELoss": losses.InfoNCELoss,
}
SCALED = {
    "logit_scale": lambda t: losses.clip_loss(Z, K, t),
    "logit_scale of siglip": lambda t: losses.siglip_loss(Z, K, t, 0.0),
    "logit_bias": lambda t: losses.siglip_loss(Z, K, 1.0, t),
}


@pytest.mark.parametrize("wrap", [float, torch.tensor, _learned, lambda v: torch.tensor([v])])
@pytest.mark.parametrize("bad", [0.0, -0.2, math.nan, math.inf])
@pytest.mark.parametrize("name", TEMPERED)
def test_values_of_a_temperature(name, bad, wrap):
    with pytest.raises(ValueError, match=f"^temperature: expected a positive finite number, got {bad}"):
        TEMPERED[name](wrap(bad))


@pytest.mark.parametrize("wrap", [float, torch.tensor, _learned])
@pytest.mark.parametrize("name", SCALED)
def test_values_of_a_logit_scale(name, wrap):
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match=f"^{name.partition(' ')[0]}: expected a finite number, got {bad}"):
            SCALED[name](wrap(bad))
    for good in (0.0, -2.0):
        assert SCALED[name](wrap(good)).isfinite()


@pytest.mark.parametrize("name", [*TEMPERED, *SCALED])
def test_kinds_of_a_temperature(name):
    call = {**TEMPERED, **SCALED}[name]
    argument = "temperature" if name in TEMPERED else name.partition(" ")[0]
    for bad, got in ((torch.tensor(1j), "torch.complex64"), (torch.tensor(True), "torch.bool")):
        with pytest.raises(TypeError, match=f"^{argument}: expected a real number, got {got}"):
            call(bad)
    with pytest.raises(ValueError, match=rf"^{argument}: expected a scalar, got shape \(2,\)"):
        call(torch.ones(2))
    with pytest.raises(TypeError, match=f"^{argument}: expected a number or a tensor on the CPU.*, got one on meta"):
        call(torch.ones((), device="meta"))
    if name not in MODULES:
        for same in (2, torch.tensor(2), torch.tensor([2.0]), torch.tensor(2.0, dtype=torch.bfloat16), np.float32(2)):
            torch.testing.assert_close(call(same), call(2.0))


def test_values_are_not_looked_at_where_a_device_would_have_to_wait():
    from torch._subclasses.fake_tensor import FakeTensorMode

    for function in (losses.nt_xent, losses.info_nce):
        with FakeTensorMode():  # a read would raise
            assert function(torch.ones(4, 2), torch.ones(4, 2), temperature=torch.tensor(0.5)).shape == ()

    def loss(z, t):
        return losses.nt_xent(z, K, temperature=t) + losses.nt_xent(z, K, temperature=0.2)

    torch.compiler.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        compiled = torch.compile(loss, fullgraph=True, backend="eager")
        for t in (0.5, -0.5):
            value = compiled(Z, torch.tensor(t))
            assert value.isfinite()
    torch.testing.assert_close(compiled(Z, torch.tensor(0.5)), loss(Z, torch.tensor(0.5)))


@pytest.mark.parametrize(
    "loss",
    [
        lambda t: losses.nt_xent(Z, K, temperature=t),
        lambda t: losses.info_nce(Z, K, temperature=t),
        lambda t: losses.clip_loss(Z, K, t),
        lambda t: losses.siglip_loss(Z, K, t, -1.0),
        lambda t: losses.InfoNCE(tau=t)(Z, K),
    ],
    ids=["nt_xent", "info_nce", "clip_loss", "siglip_loss", "InfoNCE"],
)
def test_a_number_that_varies_between_compiled_calls(loss):
    """From the second value on torch.compile knows its type alone."""
    torch.compiler.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        compiled = torch.compile(loss, fullgraph=True, backend="eager")
        for t in (0.5, 0.75, 1.5):
            torch.testing.assert_close(compiled(t), loss(t))


def _literal_clip(a, b, scale):
    logits, target = scale * a @ b.T, torch.arange(len(a))
    ce = torch.nn.functional.cross_entropy
    return (ce(logits, target) + ce(logits.T, target)) / 2


def _literal_siglip(a, b, scale):
    y = 2 * torch.eye(len(a), dtype=a.dtype) - 1
    return -torch.nn.functional.logsigmoid(y * (scale * a @ b.T - 0.3)).sum() / len(a)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, -0.0, 1e-45, -1e-30, 5e-324, 1e-300, -3.0, 40.0])
@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_gradient_of_the_scale(name, value, dtype):
    ours = losses.clip_loss if name == "clip" else lambda a, b, s: losses.siglip_loss(a, b, s, -0.3)
    literal = _literal_clip if name == "clip" else _literal_siglip
    a, b = _features(3, dtype, 70), _features(4, dtype, 70)
    scale = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    exact = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    ours(a, b, scale).backward()
    literal(a.double(), b.double(), exact).backward()
    assert scale.grad.item() == pytest.approx(exact.grad.item(), rel=1e-5 if dtype == torch.float32 else 1e-12)


def test_gradient_of_a_temperature_without_bounds():
    """T → ∞: the scores vanish and the gradient with them; the scale of the distances passes through 0 too."""
    from alphacl_fast import _torch

    t = torch.tensor(1e200, dtype=torch.float64, requires_grad=True)
    value = losses.nt_xent(Z, K, temperature=t)
    value.backward()
    assert value.item() == pytest.approx(math.log(2 * len(Z) - 1))
    assert t.grad.item() == 0

    scale = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    _torch.pair_log_sums(Z, scale=scale, distances=True)[0].sum().backward()
    squares = 0.5 * ((Z[:, None] - Z[None]) ** 2).sum(-1)
    assert scale.grad.item() == pytest.approx(-squares.sum().item() / (len(Z) - 1), rel=1e-12)


# Large scores.


def _unit_views(n, m, noise, seed):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((n, m))
    b = a + noise * rng.standard_normal((n, m)) if noise else rng.standard_normal((n, m))
    return [(z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float32) for z in (a, b)]


def _exact_clip(a, b, scale):
    """Value and gradients of CLIP's loss in float64, the positive kept out of the sums: float32 features are exact."""
    logits = scale * a @ b.T
    own = (scale * a * b).sum(1)
    hidden = logits.masked_fill(torch.eye(len(a), dtype=torch.bool), -math.inf)
    softplus = [torch.logaddexp(torch.logsumexp(hidden, axis) - own, torch.zeros(len(a))) for axis in (1, 0)]
    return 0.5 * (softplus[0] + softplus[1]).mean()


def _with_gradients(f, a, b, scale, dtype):
    inputs = [torch.as_tensor(v, dtype=dtype).requires_grad_() for v in (a, b, scale)]
    value = f(*inputs)
    return [t.detach().double().numpy() for t in (value, *torch.autograd.grad(value, inputs))]


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("scale", [100.0, 150.0, 300.0, 4.7e3, 1e6, 1e10])
@pytest.mark.parametrize("way", ["by the scale", "by the features"])
def test_large_logits_are_as_exact_as_the_features(way, scale, noise):
    """float32 scores of size s are rounded by 1e-7 s: beyond some 200 they are computed in double."""
    a, b = _unit_views(150, 512, noise, 7)
    factor = scale
    if way == "by the features":
        a, b = (z * np.float32(math.sqrt(scale)) for z in (a, b))
        factor = 1.0
    exact = _with_gradients(_exact_clip, a, b, factor, torch.float64)
    ours = _with_gradients(losses.clip_loss, a, b, factor, torch.float32)
    naive = _with_gradients(_exact_clip, a, b, factor, torch.float32)
    tol = 1e-6 if scale < 1e9 else 1e-5  # float64 itself rounds a score of 1e10 to 1e-6
    for mine, other, truth in zip(ours, naive, exact, strict=True):
        # Below 200 the accuracy is that of float32 scores.
        allowed = tol + (2 * relative_error(other, truth) if scale < 200 else 0)
        assert np.linalg.norm(mine - truth) <= allowed * np.linalg.norm(truth) + 1e-37


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_large_scores_of_every_sum(noise):
    a, b = (torch.from_numpy(z) * 70 for z in _unit_views(120, 300, noise, 8))
    wide = [t.double() for t in (a, b)]
    for call in (
        lambda a, b: losses.info_nce(a, b, temperature=1.0, normalize=False, reduction="none"),
        lambda a, b: losses.info_nce(a, b, b[:50] + 1, temperature=1.0, normalize=False, reduction="none"),
        lambda a, b: losses.nt_xent(a, b, temperature=1.0, normalize=False, reduction="none"),
        lambda a, b: losses.siglip_loss(a, b, 1.0, -3000.0, reduction="none"),
        lambda a, b: losses.siglip_loss(a / 70, b / 70, 1.0, -1e5, reduction="none"),
    ):
        ours, exact = call(a, b).double().numpy(), call(*wide).numpy()
        assert np.linalg.norm(ours - exact) <= 1e-6 * np.linalg.norm(exact)


def test_large_logits_that_nearly_tie():
    """Texts that differ in the last bits of float32: their logits differ by some units, their roundings by more."""
    a = torch.from_numpy(_unit_views(60, 40, 0.0, 9)[0])
    steps = torch.randint(-3, 4, (60, 40), generator=torch.Generator().manual_seed(0))
    b = a[0] * (1 + steps * 2.0**-23)
    exact = _with_gradients(_exact_clip, a, b, 1e7, torch.float64)
    ours = _with_gradients(losses.clip_loss, a, b, 1e7, torch.float32)
    for mine, truth in zip(ours, exact, strict=True):
        assert relative_error(mine, truth) < 1e-6


def test_scores_that_float32_cannot_hold():
    a, b = (3e20 * _features(seed, torch.float32, 6, 4) for seed in (9, 10))
    for scale in (1e-40, 1e-30):
        exact = losses.clip_loss(a.double(), b.double(), scale)
        assert losses.clip_loss(a, b, scale).item() == pytest.approx(exact.item(), rel=1e-6)


# Reductions and names of options.


def test_reduction_of_the_constructor():
    a, b = Z, K
    for make, arguments in (
        (lambda **o: losses.InfoNCE(tau=0.3, **o), (a, b)),
        (losses.MINE, (a, b)),
        (lambda **o: losses.Triplet(0.3, **o), (a, b)),
        (lambda **o: losses.SoftTriplet(0.3, 0.1, **o), (a, b)),
        (losses.NTuplet, (a, b)),
        (lambda **o: losses.LiftedStructured(0.1, **o), (a, b)),
        (lambda **o: losses.ModifiedTriplet(0.1, **o), (a, b)),
        (losses.Quadratic, (a, b)),
        (lambda **o: losses.NTXentLoss(0.3, **o), (a, b)),
        (lambda **o: losses.InfoNCELoss(0.3, **o), (a, b, None)),
        (losses.ClipLoss, (a, b, 2.0)),
        (losses.SigLIPLoss, (a, b, 2.0, -1.0)),
    ):
        each = make(reduction="none")(*arguments)
        assert each.ndim == 1
        torch.testing.assert_close(make(reduction="sum")(*arguments), each.sum())
        torch.testing.assert_close(make()(*arguments), each.mean())
        torch.testing.assert_close(make(reduction="none")(*arguments, "sum"), each.sum())
        torch.testing.assert_close(make(reduction="none")(*arguments, reduction=None), each)
        with pytest.raises(ValueError, match=r"^reduction: expected mean, sum or none, got 'max'"):
            make(reduction="max")
    alpha_cl = losses.AlphaCLLoss(acl.Direct(a), reduction="sum")
    torch.testing.assert_close(alpha_cl(a, b), losses.alpha_cl_loss(a, b, acl.Direct(a), "sum"))
    with pytest.raises(ValueError, match=r"^reduction: expected mean or sum, got 'none'"):
        losses.AlphaCLLoss(acl.Direct(a), reduction="none")


def test_options_go_by_keyword():
    with pytest.raises(TypeError, match=r"^InfoNCE: expected tau by keyword.*use InfoNCELoss\(temperature=0.1\)"):
        losses.InfoNCE(0.1)
    for call in (
        lambda: losses.NTXentLoss(0.5, 0),
        lambda: losses.InfoNCELoss(0.1, "mean"),
        lambda: losses.Triplet(0.1, "mean"),
        lambda: losses.AlphaCLLoss(acl.Uniform(), "sum"),
    ):
        with pytest.raises(TypeError, match="positional argument"):
            call()


@pytest.mark.parametrize(
    "module, text",
    [
        (losses.InfoNCE(tau=0.3), "InfoNCE(tau=0.3, eps=1.0, reduction='mean')"),
        (losses.MINE(reduction="sum"), "MINE(reduction='sum')"),
        (losses.SoftTriplet(0.5, 2), "SoftTriplet(tau=0.5, margin=2.0, reduction='mean')"),
        (losses.ModifiedTriplet(2), "ModifiedTriplet(c=2.0, reduction='mean')"),
        (losses.NTXentLoss(0.2), "NTXentLoss(temperature=0.2, normalize=True, reduction='mean')"),
        (
            losses.InfoNCELoss(torch.nn.Parameter(torch.tensor(0.2)), symmetric=True),
            "InfoNCELoss(temperature=0.2 (learned), symmetric=True, normalize=True, reduction='mean')",
        ),
        (losses.ClipLoss(), "ClipLoss(reduction='mean')"),
        (
            losses.AlphaCLLoss(acl.Gaussian(Z, 0.5)),
            "AlphaCLLoss(importance=Gaussian(features=(20, 5) float64, tau=0.5, method='auto'), reduction='mean')",
        ),
        (
            acl.Direct(np.ones((3, 2), np.float32)),
            "Direct(features=(3, 2) float32, p=4.0, tau=0.5, normalize=True, eps=0.0)",
        ),
        (acl.Uniform(5), "Uniform(size=5, diagonal=True)"),
        (acl.Dense(np.eye(3)), "Dense(alpha=(3, 3) float64)"),
        (acl.NodeGaussian(0.3), "NodeGaussian(tau=0.3)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_repr_shows_the_parameters(module, text):
    assert repr(module) == text


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: losses.info_nce(Z, K, 0.2), "negative_keys: expected a torch tensor of keys, got 0.2: .*temperature="),
        (lambda: losses.info_nce(Z, K, torch.tensor(0.2)), "negative_keys: .* of keys, got 0.2: .*temperature="),
        (lambda: losses.info_nce(Z, K, "x"), "negative_keys: expected a torch tensor, got str$"),
        (
            lambda: losses.alpha_cl_loss(Z, K, acl.Direct),
            "importance: .*got the class Direct: pass lambda z, z_aug: D",
        ),
        (lambda: losses.AlphaCLLoss(acl.Direct), "importance: .*got the class Direct: pass lambda z, z_aug: Direct"),
        (lambda: losses.alpha_cl_loss(Z, K, losses.MINE()), r"importance: .*got the loss MINE\(.*pass its .importance"),
        (lambda: losses.nt_xent(Z.numpy(), K), r"z1: expected a torch tensor, got ndarray: torch.from_numpy\(z1\)"),
        (lambda: losses.nt_xent(Z.tolist(), K), r"z1: expected a torch tensor, got list: torch.tensor\(z1\)"),
        (lambda: losses.nt_xent(Z.long(), K), r"z1: expected float32, .*got torch.int64: z1.float\(\) converts it"),
    ],
)
def test_errors_say_the_remedy(call, text):
    with pytest.raises(TypeError, match="^" + text):
        call()


def test_a_learned_importance_is_told_how_losses_take_it():
    z = Z.clone().requires_grad_()
    for call in (
        lambda: losses.alpha_cl_loss(z, K, acl.Direct(z)),
        lambda: acl.energy(z, K, acl.Direct(z)),
        lambda: acl.contrastive_cov(Z, K, acl.Direct(z)),
    ):
        with pytest.raises(RuntimeError, match=re.escape("constant (stop gradient): make it from features.detach()")):
            call()
