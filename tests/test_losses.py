"""The losses against autograd through their literal formulas in float64: values, gradients, importances."""

import math

import numpy as np
import pytest
from support import TOL, assert_contract, inside, run_python
from support import torch as import_torch

import alphacl_fast as acl
from alphacl_fast import reference

torch = import_torch()
losses = acl.losses
TORCH = {np.float32: torch.float32, np.float64: torch.float64}


def _scores(z, z_aug):
    """x_ij = d_i² − d_ij², by differences, and the pairs that count."""
    inter = 0.5 * ((z[:, None] - z[None]) ** 2).sum(-1)
    intra = 0.5 * ((z - z_aug) ** 2).sum(-1)
    return intra[:, None] - inter, ~torch.eye(len(z), dtype=torch.bool)


def _log_sum(x, mask):
    return torch.logsumexp(x.masked_fill(~mask, -math.inf), 1)


def _log1p_exp(x):
    return torch.logaddexp(x, torch.zeros_like(x))


def _info_nce(x, mask, tau, eps):
    log_xi = _log_sum(x / tau, mask)
    return tau * (log_xi if eps == 0 else torch.logaddexp(log_xi, torch.full_like(log_xi, math.log(eps))))


# name -> (module, literal φ(ξ) from x and the mask)
FAMILY = {
    "InfoNCE": (losses.InfoNCE(), lambda x, mask: _info_nce(x, mask, 0.5, 1.0)),
    "InfoNCE_sharp": (losses.InfoNCE(tau=0.01), lambda x, mask: _info_nce(x, mask, 0.01, 1.0)),
    "InfoNCE_eps": (losses.InfoNCE(tau=2.0, eps=0.3), lambda x, mask: _info_nce(x, mask, 2.0, 0.3)),
    "DCL": (losses.InfoNCE(tau=0.1, eps=0.0), lambda x, mask: _info_nce(x, mask, 0.1, 0.0)),
    "MINE": (losses.MINE(), _log_sum),
    "Triplet": (losses.Triplet(0.7), lambda x, mask: (torch.relu(x + 0.7) * mask).sum(1)),
    "SoftTriplet": (losses.SoftTriplet(0.7, 0.2), lambda x, mask: 0.7 * _log1p_exp(_log_sum(x / 0.7 + 0.2, mask))),
    "NTuplet": (losses.NTuplet(), lambda x, mask: _log1p_exp(_log_sum(x, mask))),
    "LiftedStructured": (losses.LiftedStructured(1.0), lambda x, mask: torch.relu(_log_sum(x + 1.0, mask)) ** 2),
    "ModifiedTriplet": (losses.ModifiedTriplet(1.7), lambda x, mask: (torch.sigmoid(1.7 * x) * mask).sum(1)),
    "Quadratic": (losses.Quadratic(), lambda x, mask: (x * mask).sum(1)),
}


def _views(n, m, dtype, seed=0, noise=0.3, norm=None):
    rng = np.random.default_rng([seed, n, m])
    z = rng.standard_normal((n, m))
    if norm is not None:
        z *= norm / np.linalg.norm(z, axis=1, keepdims=True)
    z_aug = z + noise * np.linalg.norm(z) / math.sqrt(z.size) * rng.standard_normal((n, m))
    return [torch.from_numpy(inside(a, dtype)).requires_grad_() for a in (z, z_aug)]


def _with_gradients(f, tensors, weight):
    values = f(*tensors)
    gradients = torch.autograd.grad((values * weight.to(values.dtype)).sum(), tensors)
    return [values, *gradients]


def _check(ours, literal, tensors, seed=0, known_to=0.0):
    """Values and gradients within the accuracy contract, for losses of samples weighted at random.

    known_to: the relative accuracy of the truth itself, which rounds scores of 1e8 to 1e-8.
    """
    dtype = tensors[0].detach().numpy().dtype.type
    found = ours(*tensors)
    weight = torch.from_numpy(np.random.default_rng(seed).standard_normal(found.shape))
    exact = _with_gradients(literal, [t.detach().double().requires_grad_() for t in tensors], weight)
    naive = None

    def rounded(k):
        """The literal formula in the dtype of the data; in float64, the truth's own, at inputs rounded otherwise."""
        nonlocal naive
        if naive is None:
            inputs = [t.detach().clone() for t in tensors]
            if dtype == np.float64:
                rng = np.random.default_rng(seed + 1)
                inputs = [t * (1 + 4e-16 * torch.from_numpy(rng.uniform(-1, 1, t.shape))) for t in inputs]
            naive = _with_gradients(literal, [t.requires_grad_() for t in inputs], weight)
        return naive[k].detach().numpy()

    for k, results in enumerate(zip(_with_gradients(ours, tensors, weight), exact, strict=True)):
        mine, truth = (result.detach().numpy() for result in results)
        if known_to == 0 or not np.linalg.norm(mine - truth) <= known_to * np.linalg.norm(truth):
            assert_contract(mine, truth, lambda k=k: rounded(k), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n, m", [(2, 1), (3, 2), (31, 33), (129, 5), (257, 40), (300, 600)])
@pytest.mark.parametrize("name", FAMILY)
def test_value_and_gradients_of_the_family(name, n, m, dtype):
    module, literal = FAMILY[name]
    tensors = _views(n, m, dtype, norm=1.0 if m > 2 else None)
    _check(lambda z, z_aug: module(z, z_aug, "none"), lambda z, z_aug: literal(*_scores(z, z_aug)), tensors)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FAMILY)
def test_gradient_is_that_of_the_energy(name, dtype):
    """Oracle (b): ∇L = −2N² ∇E_{sg(α)}, and α as the table of P1 has it."""
    module, literal = FAMILY[name]
    z, z_aug = _views(60, 9, dtype, norm=2.0)
    alpha = module.importance(z, z_aug)
    wide = [t.detach().double().requires_grad_() for t in (z, z_aug)]
    x, mask = _scores(*(t.detach() for t in wide))
    x.requires_grad_()
    (table,) = torch.autograd.grad(literal(x, mask).sum(), x)  # φ'(ξ_i) ψ'(x_ij)
    dense = (alpha if name != "Quadratic" else acl.Uniform(60, diagonal=False)).to_dense()
    np.testing.assert_allclose(np.asarray(dense, float), table.numpy(), rtol=0, atol=2e-4 * float(table.abs().max()))
    truth = torch.autograd.grad(literal(*_scores(*wide)).sum(), wide)
    ours = torch.autograd.grad(losses.alpha_cl_loss(z, z_aug, alpha, "sum"), (z, z_aug))
    for mine, exact in zip(ours, truth, strict=True):
        error = (mine.double() - exact).norm() / exact.norm()
        assert error < (1e-4 if dtype == np.float32 else 1e-11)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", FAMILY)
def test_reductions(name, reduction):
    module, _ = FAMILY[name]
    z, z_aug = _views(40, 6, np.float64)
    each = module(z, z_aug, "none")
    assert each.shape == (40,)
    torch.testing.assert_close(module(z, z_aug, reduction), getattr(each, reduction)())
    if name == "InfoNCE":
        torch.testing.assert_close(module(z, z_aug), each.mean())


@pytest.mark.parametrize("name", FAMILY)
def test_one_sample_has_no_partner(name):
    z, z_aug = _views(1, 4, np.float64)
    module, _ = FAMILY[name]
    value = module(z, z_aug)
    expected = {
        "InfoNCE": 0.0,
        "InfoNCE_sharp": 0.0,
        "InfoNCE_eps": 2 * math.log(0.3),
        "DCL": -math.inf,
        "MINE": -math.inf,
    }.get(name, 0.0)
    assert value.item() == pytest.approx(expected)
    if math.isfinite(expected):
        value.backward()
        assert torch.equal(z.grad, torch.zeros_like(z))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("norm", [1.0, 1e3])
@pytest.mark.parametrize("tau", [0.01, 0.5])
def test_far_and_near_features_stay_finite(tau, norm, dtype):
    """No exponential overflows, and none that counts underflows: raw features, sharp temperatures, duplicates."""
    tensors = _views(70, 8, dtype, norm=norm)
    with torch.no_grad():
        tensors[0][10:20] = tensors[0][0]
    largest = float(_scores(*(t.detach().double() for t in tensors))[0].abs().max()) / tau
    for name in ("InfoNCE", "DCL"):
        eps = 1.0 if name == "InfoNCE" else 0.0
        _check(
            lambda z, z_aug, eps=eps: losses.InfoNCE(tau=tau, eps=eps)(z, z_aug, "none"),
            lambda z, z_aug, eps=eps: _info_nce(*_scores(z, z_aug), tau, eps),
            tensors,
            known_to=4e-16 * largest,
        )


def test_rows_whose_sums_lie_far_apart():
    """Rows with partners at distance 0 beside rows without any near: one shift per tile would lose the latter."""
    rng = np.random.default_rng(3)
    z = rng.standard_normal((90, 5))
    z[:30] = z[0] + 1e-3 * z[:30]
    z[60:] *= 12
    for dtype in (np.float32, np.float64):
        tensors = [
            torch.tensor(a.astype(dtype), requires_grad=True) for a in (z, z + 0.1 * rng.standard_normal(z.shape))
        ]
        _check(
            lambda a, b: losses.InfoNCE(tau=0.05, eps=0.0)(a, b, "none"),
            lambda a, b: _info_nce(*_scores(a, b), 0.05, 0.0),
            tensors,
        )


def test_an_offset_of_the_features_costs_nothing():
    z, z_aug = (t.detach() for t in _views(80, 6, np.float32))
    far, far_aug = (torch.round((t + 1e4) * 1024) / 1024 for t in (z, z_aug))
    _check(
        lambda a, b: losses.InfoNCE(tau=0.5)(a, b, "none"),
        lambda a, b: _info_nce(*_scores(a, b), 0.5, 1.0),
        [far.requires_grad_(), far_aug.requires_grad_()],
    )


def test_tight_clusters_keep_their_gradient():
    """D z − β z cancels where neighbours are much nearer than the mean: computed again in double."""
    rng = np.random.default_rng(8)
    centres = rng.standard_normal((4, 16)) * 5
    z = (centres[rng.integers(4, size=120)] + 1e-3 * rng.standard_normal((120, 16))).astype(np.float32)
    tensors = [torch.tensor(a, requires_grad=True) for a in (z, z)]
    _check(
        lambda a, b: losses.InfoNCE(tau=1.0, eps=0.0)(a, b, "none"),
        lambda a, b: _info_nce(*_scores(a, b), 1.0, 0.0),
        tensors,
    )


def test_nan_in_gives_nan_out():
    for name, (module, _) in FAMILY.items():
        z, z_aug = (t.detach().clone() for t in _views(20, 3, np.float32))
        z[7, 1] = math.nan
        assert module(z, z_aug).isnan(), name


# What practitioners use, against few-line formulas.


def _unit(z):
    return torch.nn.functional.normalize(z, dim=-1)


def _literal_nt_xent(z1, z2, temperature):
    z, n = _unit(torch.cat([z1, z2])), len(z1)
    logits = z @ z.T / temperature
    partner = torch.eye(2 * n, dtype=torch.bool).roll(n, 1)
    # −log(own / (own + others)) as log(1 + others / own): the truth must keep the digits of a small loss.
    return _log1p_exp(_log_sum(logits, ~partner & ~torch.eye(2 * n, dtype=torch.bool)) - logits[partner])


def _literal_info_nce(q, k, negatives, temperature):
    q, k = _unit(q), _unit(k)
    own = (q * k).sum(1) / temperature
    if negatives is None:
        return _log1p_exp(_log_sum(q @ k.T / temperature, ~torch.eye(len(q), dtype=torch.bool)) - own)
    bad = _unit(negatives)
    others = torch.einsum("nm,nkm->nk", q, bad) if bad.ndim == 3 else q @ bad.T
    return _log1p_exp(torch.logsumexp(others / temperature, 1) - own)


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
    _check(
        lambda a, b: losses.nt_xent(a, b, temperature=temperature, reduction="none"),
        lambda a, b: _literal_nt_xent(a, b, temperature),
        _views(n, m, dtype),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n, k, m", [(2, None, 3), (130, None, 20), (40, 7, 5), (7, 300, 33), (129, 65, 9)])
@pytest.mark.parametrize("paired", [False, True])
def test_info_nce(n, k, m, paired, dtype):
    tensors = _views(n, m, dtype)
    if k is not None:
        shape = (n, k, m) if paired else (k, m)
        negatives = np.random.default_rng(n).standard_normal(shape).astype(dtype)
        tensors.append(torch.from_numpy(negatives).requires_grad_())
    _check(
        lambda q, p, bad=None: losses.info_nce(q, p, bad, temperature=0.1, reduction="none"),
        lambda q, p, bad=None: _literal_info_nce(q, p, bad, 0.1),
        tensors,
    )


def test_symmetric_info_nce_is_the_mean_of_both_directions():
    q, k = _views(50, 6, np.float64)
    both = losses.info_nce(q, k, symmetric=True, reduction="none")
    one, other = losses.info_nce(q, k, reduction="none"), losses.info_nce(k, q, reduction="none")
    torch.testing.assert_close(both, (one + other) / 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 65, 300])
def test_clip_and_siglip(n, dtype):
    pair = [_unit(t.detach()).requires_grad_() for t in _views(n, 12, dtype, noise=0.8)]
    scale = torch.tensor(8.0, dtype=TORCH[dtype], requires_grad=True)
    bias = torch.tensor(-5.0, dtype=TORCH[dtype], requires_grad=True)
    _check(losses.clip_loss, _literal_clip, [*pair, scale])
    _check(losses.siglip_loss, _literal_siglip, [*pair, scale, bias])


def test_without_normalisation():
    tensors = _views(60, 5, np.float64)
    z = torch.cat(tensors)
    logits = (z @ z.T / 0.7).masked_fill(torch.eye(120, dtype=torch.bool), -math.inf)
    expected = torch.nn.functional.cross_entropy(logits, (torch.arange(120) + 60) % 120)
    torch.testing.assert_close(losses.nt_xent(*tensors, temperature=0.7, normalize=False), expected)
    expected = torch.nn.functional.cross_entropy(tensors[0] @ tensors[1].T / 0.7, torch.arange(60))
    torch.testing.assert_close(losses.info_nce(*tensors, temperature=0.7, normalize=False), expected)


def test_modules_are_the_functions():
    a, b = _views(30, 4, np.float64)
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

    a, b = _views(50, 8, np.float32)
    theirs = SelfSupervisedLoss(NTXentLoss(temperature=0.3))
    expected = torch.autograd.grad(theirs(a, b), (a, b))
    ours = losses.nt_xent(a, b, temperature=0.3)
    torch.testing.assert_close(ours, theirs(a, b))
    torch.testing.assert_close(torch.autograd.grad(ours, (a, b)), expected)


@pytest.mark.parametrize("mode", ["none", "unpaired", "paired"])
def test_info_nce_equals_info_nce_pytorch(mode):
    from info_nce import InfoNCE

    q, k = _views(50, 8, np.float32)
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
    a, b = _views(40, 6, np.float64)
    torch.testing.assert_close(losses.nt_xent(a, b, temperature=0.3), _lightly_nt_xent(a, b, 0.3))
    a, b = _unit(a), _unit(b)
    torch.testing.assert_close(losses.siglip_loss(a, b, 10.0, -10.0), _open_clip_siglip(a, b, 10.0, -10.0))


# α-CL as training.


def test_alpha_cl_loss_takes_any_importance():
    z, z_aug = _views(40, 5, np.float64)
    n = len(z)
    plain = [t.detach() for t in (z, z_aug)]
    dense = torch.rand(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    given = {
        "direct": (lambda a, b: acl.Direct(a), reference.direct(plain[0].numpy())),
        "square": (acl.SquareRegularized(plain[0], 0.8), reference.square_regularized(plain[0].numpy(), 0.8)),
        "dense": (dense, dense.numpy()),
        "object": (acl.Dense(dense), dense.numpy()),
        "gaussian": (acl.Gaussian(plain[0], 2.0), reference.gaussian(plain[0].numpy(), 2.0)),
        "low rank": (acl.LowRank(dense[:, :4].contiguous()), dense[:, :4].numpy() @ dense[:, :4].numpy().T),
        "uniform": (acl.Uniform(), np.ones((n, n))),
        "loss": (losses.MINE().importance, losses.MINE().importance(*plain).to_dense().numpy()),
    }
    for name, (alpha, matrix) in given.items():
        x, _ = _scores(z, z_aug)
        x = x + torch.diag(-torch.diag(x) + 0.5 * ((z - z_aug) ** 2).sum(-1))
        truth = (torch.from_numpy(matrix) * x).sum()
        exact = torch.autograd.grad(truth, (z, z_aug))
        value = losses.alpha_cl_loss(z, z_aug, alpha, "sum")
        torch.testing.assert_close(value, truth, rtol=1e-11, atol=1e-9, msg=name)
        for mine, expected in zip(torch.autograd.grad(value, (z, z_aug)), exact, strict=True):
            torch.testing.assert_close(mine, expected, rtol=1e-9, atol=1e-10, msg=name)
        torch.testing.assert_close(losses.alpha_cl_loss(z, z_aug, alpha), value / n)


def test_info_nce_importance_minimises_its_energy():
    """Oracle (c): α minimises Σ α_ij (d_ij² − d_i²) − τ Σ H(α_i) among matrices with its row sums."""
    tau = 0.6
    z, z_aug = (t.detach() for t in _views(12, 3, np.float64))
    alpha = losses.InfoNCE(tau=tau).importance(z, z_aug).to_dense().numpy()
    x = _scores(z, z_aug)[0].numpy()
    off = ~np.eye(12, dtype=bool)

    def objective(a):
        return -(a * x)[off].sum() + tau * (a[off] * np.log(a[off])).sum()

    rng = np.random.default_rng(2)
    for size in (1e-3, 1e-2, 0.3):
        other = np.where(off, alpha * np.exp(size * rng.standard_normal(alpha.shape)), 0)
        other *= (alpha.sum(1) / other.sum(1))[:, None]
        assert objective(other) > objective(alpha)
    # The derivative is constant along each row: stationary where row sums are kept.
    slope = -x + tau * np.log(np.where(off, alpha, 1))
    assert np.ptp(np.where(off, slope, slope[:, [1] + [0] * 11]), axis=1).max() < 1e-9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tau", [1e-6, 0.3, 50.0, 1e6])
@pytest.mark.parametrize("n", [1, 2, 3, 33, 257])
def test_simplex_projection(n, tau, dtype):
    """Oracle (d): the KKT conditions: rows ≥ 0 with sum 1, and d_ij² + τ α_ij = μ_i where α_ij > 0, ≥ μ_i elsewhere."""
    f = np.random.default_rng([n, 5]).standard_normal((n, 3)).astype(dtype)
    alpha = np.asarray(acl.SquareRegularized(f, tau).to_dense(), float)
    assert (np.diag(alpha) == 0).all()
    if n == 1:
        return
    eps = 1e-6 if dtype == np.float32 else 1e-12
    assert (alpha >= 0).all()
    np.testing.assert_allclose(alpha.sum(1), 1, atol=max(eps, 20 * eps / tau if tau < 1 else 0))
    d2 = 0.5 * ((f[:, None].astype(float) - f[None]) ** 2).sum(-1)
    for i in range(n):
        others = np.arange(n) != i
        level, open_ = (d2[i] + tau * alpha[i])[others], alpha[i, others] > 0
        assert np.ptp(level[open_]) <= 50 * eps * max(1, tau) + 1e-9 * (dtype == np.float64)
        assert (level[~open_] >= level[open_].max() - 50 * eps * max(1, tau)).all()


def test_simplex_projection_of_duplicates():
    f = np.zeros((40, 2))
    np.testing.assert_allclose(acl.SquareRegularized(f, 0.1).to_dense(), (1 - np.eye(40)) / 39)


# Errors.


@pytest.mark.parametrize(
    "call, kind, text",
    [
        (lambda z: losses.InfoNCE(tau=0.0), ValueError, "tau: expected a positive finite number, got 0"),
        (lambda z: losses.InfoNCE(eps=-1.0), ValueError, "eps: expected a number that is not negative, got -1"),
        (lambda z: losses.Triplet("a"), TypeError, "margin: expected a number, got str"),
        (lambda z: losses.LiftedStructured(math.inf), ValueError, "margin: expected a finite number, got inf"),
        (lambda z: losses.ModifiedTriplet(-1), ValueError, "c: expected a positive finite number, got -1"),
        (lambda z: losses.MINE()(z.numpy(), z), TypeError, "z: expected a torch tensor, got ndarray"),
        (lambda z: losses.MINE()(z, z[:3]), ValueError, r"z_aug: expected shape \(8, 4\) like z, got shape \(3, 4\)"),
        (lambda z: losses.MINE()(z, z.float()), TypeError, "z_aug: expected torch.float64 like z, got torch.float32"),
        (lambda z: losses.MINE()(z.long(), z), TypeError, "z: expected float32, float64, bfloat16 or float16, got"),
        (
            lambda z: losses.MINE()(z[:0], z[:0]),
            ValueError,
            r"z: expected 2 axes, none of them empty, got shape \(0, 4",
        ),
        (lambda z: losses.MINE()(z[0], z[0]), ValueError, r"z: expected 2 axes, none of them empty, got shape \(4,\)"),
        (lambda z: losses.MINE()(z, z, "max"), ValueError, "reduction: expected mean, sum or none, got 'max'"),
        (
            lambda z: losses.MINE()(z.to("meta"), z),
            TypeError,
            "z: META tensor given but this build has no META backend",
        ),
        (lambda z: losses.alpha_cl_loss(z, z, None, "none"), ValueError, "reduction: expected mean or sum, got 'none'"),
        (lambda z: losses.alpha_cl_loss(z, z, "direct"), TypeError, "alpha: expected an importance or an"),
        (
            lambda z: losses.nt_xent(z, z, temperature=-1.0),
            ValueError,
            "temperature: expected a positive finite number",
        ),
        (lambda z: losses.nt_xent(z, z, temperature=z), ValueError, "temperature: expected a scalar, got shape"),
        (lambda z: losses.clip_loss(z, z, "x"), TypeError, "logit_scale: expected a number, got str"),
        (lambda z: losses.info_nce(z, z, z[:, :2]), ValueError, "negative_keys: expected 4 features like query"),
        (lambda z: losses.info_nce(z, z, z[:2, None]), ValueError, "negative_keys: expected 8 rows like query"),
        (
            lambda z: losses.info_nce(z, z, z, symmetric=True),
            ValueError,
            "symmetric: expected False where negative_keys",
        ),
        (lambda z: acl.SquareRegularized(z, 0), ValueError, "tau: expected a positive finite number"),
        (
            lambda z: acl.importance.PairImportance(z, 1.0, "cubic", np.ones(8), np.ones(8)),
            ValueError,
            "form: expected one of exponential, hinge, logistic, softplus, square, got 'cubic'",
        ),
        (
            lambda z: acl.importance.PairImportance(z, 1.0, "hinge", np.ones(7), np.ones(8)),
            ValueError,
            r"offset: expected a float64 array or tensor of shape \(8,\), got float64 \(7,\)",
        ),
    ],
)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call(torch.ones(8, 4, dtype=torch.float64))


def test_memory_grows_linearly():
    """N² floats would be 1.6 GB at N = 20 000."""
    code = """
import resource, torch
import alphacl_fast as acl
loss = acl.losses.InfoNCE(tau=0.5)
def run(n):
    z = torch.randn(n, 32, requires_grad=True)
    loss(z, z.detach() + 0.1).backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
run(500)
small, large = run(5000), run(20000)
assert large - small < 100, (small, large)
"""
    run_python(code)


def test_threads_change_no_bit():
    z, z_aug = _views(700, 30, np.float32)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            for loss in (losses.InfoNCE(tau=0.1), losses.ModifiedTriplet(2.0)):
                # Only the sums over pairs: torch's own reductions depend on its threads.
                gradient = torch.ops.alphacl_fast
                scale = torch.tensor(3.0)
                rows, cols = gradient.pair_log_sums(z.detach(), None, scale, True, False, False)
                grads = gradient.pair_log_sums_backward(
                    torch.ones_like(rows), cols, z.detach(), None, scale, rows, cols, True, False, False
                )
                found.append((rows, grads[0], loss(z, z_aug).item()))
    finally:
        torch.set_num_threads(before)
    for rows, grad, _ in found[1:]:
        assert torch.equal(rows, found[0][0])
        assert torch.equal(grad, found[0][1])


def test_tolerances_are_those_of_the_contract():
    assert TOL[np.dtype(np.float32)] == 1e-6
    assert TOL[np.dtype(np.float64)] == 1e-13
