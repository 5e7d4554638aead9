"""The eight losses of P1 and α-CL against autograd through their literal formulas in float64."""

import math

import numpy as np
import pytest
from support import check_gradients, feature_views, log1p_exp, log_sum, relative_error
from support import torch as import_torch

import alphacl_fast as acl
from alphacl_fast import reference

torch = import_torch()
losses = acl.losses


def _scores(z, z_aug):
    """x_ij = d_i² − d_ij², by differences, and the pairs that count."""
    inter = 0.5 * ((z[:, None] - z[None]) ** 2).sum(-1)
    intra = 0.5 * ((z - z_aug) ** 2).sum(-1)
    return intra[:, None] - inter, ~torch.eye(len(z), dtype=torch.bool)


def _info_nce(x, mask, tau, eps):
    log_xi = log_sum(x / tau, mask)
    return tau * (log_xi if eps == 0 else torch.logaddexp(log_xi, torch.full_like(log_xi, math.log(eps))))


# name -> (module, literal φ(ξ) from x and the mask)
FAMILY = {
    "InfoNCE": (losses.InfoNCE(), lambda x, mask: _info_nce(x, mask, 0.5, 1.0)),
    "InfoNCE_sharp": (losses.InfoNCE(tau=0.01), lambda x, mask: _info_nce(x, mask, 0.01, 1.0)),
    "InfoNCE_eps": (losses.InfoNCE(tau=2.0, eps=0.3), lambda x, mask: _info_nce(x, mask, 2.0, 0.3)),
    "DCL": (losses.InfoNCE(tau=0.1, eps=0.0), lambda x, mask: _info_nce(x, mask, 0.1, 0.0)),
    "MINE": (losses.MINE(), log_sum),
    "Triplet": (losses.Triplet(0.7), lambda x, mask: (torch.relu(x + 0.7) * mask).sum(1)),
    "SoftTriplet": (losses.SoftTriplet(0.7, 0.2), lambda x, mask: 0.7 * log1p_exp(log_sum(x / 0.7 + 0.2, mask))),
    "NTuplet": (losses.NTuplet(), lambda x, mask: log1p_exp(log_sum(x, mask))),
    "LiftedStructured": (losses.LiftedStructured(1.0), lambda x, mask: torch.relu(log_sum(x + 1.0, mask)) ** 2),
    "ModifiedTriplet": (losses.ModifiedTriplet(1.7), lambda x, mask: (torch.sigmoid(1.7 * x) * mask).sum(1)),
    "Quadratic": (losses.Quadratic(), lambda x, mask: (x * mask).sum(1)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n, m", [(2, 1), (3, 2), (31, 33), (129, 5), (257, 40), (300, 600)])
@pytest.mark.parametrize("name", FAMILY)
def test_value_and_gradients_of_the_family(name, n, m, dtype):
    module, literal = FAMILY[name]
    tensors = feature_views(n, m, dtype, norm=1.0 if m > 2 else None)
    check_gradients(lambda z, z_aug: module(z, z_aug, "none"), lambda z, z_aug: literal(*_scores(z, z_aug)), tensors)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FAMILY)
def test_gradient_is_that_of_the_energy(name, dtype):
    """Oracle (b): ∇L = −2N² ∇E_{sg(α)}, and α as the table of P1 has it."""
    module, literal = FAMILY[name]
    z, z_aug = feature_views(60, 9, dtype, norm=2.0)
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
    z, z_aug = feature_views(40, 6, np.float64)
    each = module(z, z_aug, "none")
    assert each.shape == (40,)
    torch.testing.assert_close(module(z, z_aug, reduction), getattr(each, reduction)())
    if name == "InfoNCE":
        torch.testing.assert_close(module(z, z_aug), each.mean())


@pytest.mark.parametrize("name", FAMILY)
def test_one_sample_has_no_partner(name):
    z, z_aug = feature_views(1, 4, np.float64)
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
    tensors = feature_views(70, 8, dtype, norm=norm)
    with torch.no_grad():
        tensors[0][10:20] = tensors[0][0]
    largest = float(_scores(*(t.detach().double() for t in tensors))[0].abs().max()) / tau
    for name in ("InfoNCE", "DCL"):
        eps = 1.0 if name == "InfoNCE" else 0.0
        check_gradients(
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
        check_gradients(
            lambda a, b: losses.InfoNCE(tau=0.05, eps=0.0)(a, b, "none"),
            lambda a, b: _info_nce(*_scores(a, b), 0.05, 0.0),
            tensors,
        )


def test_an_offset_of_the_features_costs_nothing():
    z, z_aug = (t.detach() for t in feature_views(80, 6, np.float32))
    far, far_aug = (torch.round((t + 1e4) * 1024) / 1024 for t in (z, z_aug))
    check_gradients(
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
    check_gradients(
        lambda a, b: losses.InfoNCE(tau=1.0, eps=0.0)(a, b, "none"),
        lambda a, b: _info_nce(*_scores(a, b), 1.0, 0.0),
        tensors,
    )


def test_nan_in_gives_nan_out():
    for name, (module, _) in FAMILY.items():
        z, z_aug = (t.detach().clone() for t in feature_views(20, 3, np.float32))
        z[7, 1] = math.nan
        assert module(z, z_aug).isnan(), name


# α-CL as training.


def test_alpha_cl_loss_takes_any_importance():
    z, z_aug = feature_views(40, 5, np.float64)
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
    z, z_aug = (t.detach() for t in feature_views(12, 3, np.float64))
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


def test_gradients_whose_sums_leave_float32_torch():
    """Σ_j w_ij f_j overflows where w is about τ; the gradient, 1/τ times that, does not."""
    z = torch.from_numpy(1e12 * np.random.default_rng(3).standard_normal((3, 9))).float()
    found, expected = (x.requires_grad_() for x in (z.clone(), z.double()))
    for x in (found, expected):
        losses.InfoNCE(tau=1e32, eps=0)(x, x.detach()).backward()
    assert relative_error(found.grad.numpy(), expected.grad.numpy()) < 1e-5
