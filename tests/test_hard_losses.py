"""The eight losses on data that cancels: literal sums in extended precision, values, gradients and importances."""

import numpy as np
import pytest
from support import DTYPES, TOL, frobenius, inside
from support import torch as import_torch

import alphacl_fast as acl

torch = import_torch()
losses = acl.losses


def _softmax(t):
    """log Σ_j e^t of the rows and the shares of the row."""
    peak = t.max(1, keepdims=True)
    e = np.exp(t - peak)
    total = e.sum(1, keepdims=True)
    return (peak + np.log(total))[:, 0], e / total


def _softplus(x):
    return np.logaddexp(x, np.zeros_like(x))


def _sigmoid(x):
    return np.exp(-_softplus(-x))


def _exponential(tau, margin, phi):
    """(L_i, φ'(ξ_i) ψ'(x_ij)) from x: phi gives φ and its derivative, both of log ξ."""

    def literal(x, mask):
        kind = x.dtype.type
        log_xi, share = _softmax(np.where(mask, x / kind(tau) + kind(margin), -kind(np.inf)))
        value, slope = phi(log_xi)
        return value, slope[:, None] / kind(tau) * share

    return literal


def _info_nce(tau, eps):
    def phi(t):
        kind = t.dtype.type
        log_eps = np.log(kind(eps)) if eps else -kind(np.inf)
        return kind(tau) * np.logaddexp(t, log_eps), kind(tau) * _sigmoid(t - log_eps)

    return _exponential(tau, 0, phi)


def _hinge(margin):
    def literal(x, mask):
        shifted = x + x.dtype.type(margin)
        return (np.maximum(shifted, 0) * mask).sum(1), (shifted > 0) * mask.astype(x.dtype)

    return literal


def _logistic(c):
    def literal(x, mask):
        y = x.dtype.type(c) * x
        return (_sigmoid(y) * mask).sum(1), x.dtype.type(c) * _sigmoid(y) * _sigmoid(-y) * mask

    return literal


def _lifted(t):
    positive = np.maximum(t, 0)
    return positive**2, 2 * positive


# name -> the module and its literal formula, τ in units of a typical squared distance u
FAMILY = {
    "InfoNCE": lambda u: (losses.InfoNCE(tau=0.1 * u), _info_nce(0.1 * u, 1), 10 / u),
    "DCL": lambda u: (losses.InfoNCE(tau=0.01 * u, eps=0.0), _info_nce(0.01 * u, 0), 100 / u),
    "MINE": lambda u: (losses.MINE(), _exponential(1, 0, lambda t: (t, np.ones_like(t))), 1),
    "Triplet": lambda u: (losses.Triplet(0.3 * u), _hinge(0.3 * u), 0),
    "Triplet_0": lambda u: (losses.Triplet(0.0), _hinge(0), 0),
    "SoftTriplet": lambda u: (
        losses.SoftTriplet(u, 0.2),
        _exponential(u, 0.2, lambda t: (u * _softplus(t), u * _sigmoid(t))),
        1 / u,
    ),
    "NTuplet": lambda u: (losses.NTuplet(), _exponential(1, 0, lambda t: (_softplus(t), _sigmoid(t))), 1),
    "LiftedStructured": lambda u: (losses.LiftedStructured(1.0), _exponential(1, 1, _lifted), 1),
    "ModifiedTriplet": lambda u: (losses.ModifiedTriplet(1 / u), _logistic(1 / u), 1 / u),
    "Quadratic": lambda u: (losses.Quadratic(), lambda x, mask: ((x * mask).sum(1), mask.astype(x.dtype)), 0),
}


def _near(rng, z, share):
    return z + share * np.std(z) * rng.standard_normal(z.shape)


def _centres(scale, spread):
    def make(rng, n, m):
        z = scale * rng.standard_normal((4, m))[rng.integers(4, size=n)] + spread * rng.standard_normal((n, m))
        return z, z + spread * rng.standard_normal((n, m))

    return make


def _integers(rng, n, m):
    return rng.integers(-3, 4, (n, m)), rng.integers(-3, 4, (n, m))


def _one_hot(rng, n, m):
    return np.eye(m)[rng.integers(m, size=(2, n))]


def _offset(rng, n, m):
    z = 1e3 + rng.integers(-99, 99, (n, m)) / 64
    return z, z + rng.integers(-9, 9, (n, m)) / 64


def _duplicates(rng, n, m):
    z = rng.standard_normal((n // 4 + 1, m))[rng.integers(n // 4 + 1, size=n)]
    return z, _near(rng, z, 0.1)


def _heavy_tailed(rng, n, m):
    z = rng.standard_cauchy((n, m))
    return z, _near(rng, z, 1e-3)


def _last_far_off(rng, n, m):
    z = rng.standard_normal((n, m))
    z[-1] += 1e4
    return z, z + 0.1 * rng.standard_normal((n, m))


DATA = {
    "clusters": _centres(1.0, 1e-2),
    "tight clusters": _centres(1.0, 1e-6),
    "far clusters": _centres(1e3, 1e-3),
    "integers": _integers,
    "one-hot": _one_hot,
    "offset": _offset,
    "duplicates": _duplicates,
    "heavy-tailed": _heavy_tailed,
    "last far off": _last_far_off,
}


def _literal(formula, z, z_aug, weight, kind):
    """Losses, gradients of Σ_i weight_i L_i, and α, in `kind`; the largest d² too."""
    z, z_aug, weight = (a.astype(kind) for a in (z, z_aug, weight))
    inter = ((z[:, None] - z) ** 2).sum(2) / 2
    intra = ((z - z_aug) ** 2).sum(1) / 2
    with np.errstate(under="ignore", over="ignore"):
        values, alpha = formula(intra[:, None] - inter, ~np.eye(len(z), dtype=bool))
        pulled = weight[:, None] * alpha
        own = pulled.sum(1)[:, None] * (z - z_aug)
        both = pulled + pulled.T
        return (values, own - (both[:, :, None] * (z[:, None] - z)).sum(1), -own, alpha), max(inter.max(), intra.max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("name", FAMILY)
def test_literal_sums(name, kind, dtype):
    """The accuracy contract, beside what the rounding of a score of its size means: a score is rounded in double."""
    for n, m in ((2, 3), (65, 2), (97, 9)):
        rng = np.random.default_rng([n, m])
        z, z_aug = (inside(a, dtype) for a in DATA[kind](rng, n, m))
        unit = float(np.median(((z[:, None] - z).astype(float) ** 2).sum(2) / 2)) or 1.0
        module, formula, scale = FAMILY[name](unit)
        weight = rng.standard_normal(n)
        truths, largest = _literal(formula, z, z_aug, weight, np.longdouble)
        tensors = [torch.from_numpy(a).requires_grad_() for a in (z, z_aug)]
        values = module(*tensors, "none")
        gradients = torch.autograd.grad((values.double() * torch.from_numpy(weight)).sum(), tensors)
        alpha = acl.Uniform(n, diagonal=False) if name == "Quadratic" else module.importance(*tensors)
        results = [t.detach().numpy() for t in (values, *gradients)] + [np.asarray(alpha.to_dense())]
        naives, _ = _literal(formula, z, z_aug, weight, dtype)
        known_to = TOL[np.dtype(dtype)] + 2e-16 * float(largest) * scale
        for what, ours, truth, naive in zip(("value", "z", "z_aug", "α"), results, truths, naives, strict=True):
            allowed = 2 * frobenius(naive - truth) + known_to * frobenius(truth) + 4 * n * np.finfo(dtype).tiny
            assert frobenius(ours - truth) <= allowed, (what, n, m)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_kink_of_integers_is_met_exactly(dtype):
    """d_i² − d_ij² + margin = 0 has slope 0, as ReLU has at 0: rounding may not open it."""
    rng = np.random.default_rng(4)
    z, z_aug = (rng.integers(-2, 3, (130, 3)).astype(dtype) for _ in range(2))
    (_, _, _, alpha), _ = _literal(_hinge(1.0), z, z_aug, np.ones(130), np.float64)
    found = losses.Triplet(1.0).importance(*map(torch.from_numpy, (z, z_aug)))
    np.testing.assert_array_equal(found.to_dense(), alpha)


def _ones_and_zeros(n, m, dtype):
    """Rows with a single 1, those that have an equal row, and the pairs of equal rows."""
    hot = np.random.default_rng(n + m).integers(0, m // 2, n)
    z = torch.zeros(n, m, dtype=getattr(torch, dtype))
    z[range(n), hot] = 1
    pairs = (hot[:, None] == hot) & ~np.eye(n, dtype=bool)
    assert pairs.any(1).sum() > 30
    return z, pairs.any(1), pairs[pairs.any(1)]


@pytest.mark.parametrize("what", ["log-sums", "sums", "importance"])
@pytest.mark.parametrize(
    "dtype, n, m, inverse_tau",
    [
        ("float32", 81, 63, 18.0),
        ("float32", 130, 63, 21.0),
        ("float32", 130, 300, 12.0),
        ("float32", 130, 700, 21.0),
        ("float64", 130, 63, 1100.0),
        ("float64", 130, 256, 1100.0),
        ("float64", 130, 700, 600.0),
    ],
)
def test_equal_rows_of_ones_and_zeros(dtype, n, m, inverse_tau, what):
    """d_ij² = 0 or 1. Once centred, such rows have equal terms, and the m additions of a product round alike."""
    z, some, pairs = _ones_and_zeros(n, m, dtype)
    equal, others, far = pairs.sum(1), n - 1 - pairs.sum(1), np.exp(-inverse_tau)
    dcl = losses.InfoNCE(tau=1 / inverse_tau, eps=0.0)
    if what == "log-sums":  # of the samples as their own second view
        sums = dcl(z, z, "none").double().numpy()[some] * inverse_tau
        error = sums - np.log(equal + others * far)
    elif what == "sums":
        sums = losses.ModifiedTriplet(inverse_tau)(z, z, "none").double().numpy()[some]
        error = (sums - equal / 2 - others * far / (1 + far)) / equal
    else:  # the shares of a row
        alpha = dcl.importance(z, z).to_dense().double().numpy()[some]
        error = alpha * pairs * (equal + others * far)[:, None] - pairs
    assert np.abs(error).max() <= {"float32": 2e-6, "float64": 2e-13}[dtype]


@pytest.mark.parametrize("spread", [1e-3, 0.1, 0.5])
@pytest.mark.parametrize("clusters", [150, 20, 2])
@pytest.mark.parametrize("m", [64, 128, 512])
def test_near_rows_have_the_digits_of_double(m, clusters, spread):
    """Few or many pairs of float32 rows are near each other: a product of such rows of length 1 errs by up to 1e-6."""
    generator = torch.Generator().manual_seed(m)
    centres = torch.randn(clusters, m, generator=generator)
    rows = centres.repeat(300 // clusters, 1) + spread * torch.randn(300, m, generator=generator)
    z = rows / rows.norm(dim=1, keepdim=True)
    dcl = losses.InfoNCE(tau=0.05, eps=0.0)
    for n in (300, 16, 3):
        single, double = ((z[:n] + 0).requires_grad_(), z[:n].double().requires_grad_())
        values = [dcl(a, a.detach(), "none") / 0.05 for a in (single, double)]
        assert ((values[0].double() - values[1]).abs() <= 2e-6 + 1e-6 * values[1].abs()).all(), n
        for v in values:
            v.sum().backward()
        error = (single.grad.double() - double.grad).norm() / double.grad.norm()
        assert error <= 3e-6, (n, error)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("long", [1.0, 4.0])
def test_rows_that_share_half_of_their_ones(dtype, long):
    """Pairs that are not near, whose products are as long sums of equal terms; beside them a row that is longer."""
    n, m = 60, 1500
    rng = np.random.default_rng(5)
    z = np.zeros((n, m), dtype)
    for row in z:
        row[: m // 3] = 1
        row[m // 3 + rng.permutation(m - m // 3)[: m // 3]] = 1
    z[-1] *= long
    size = {"float32": 20.0, "float64": 1100.0}[np.dtype(dtype).name]
    tau = 0.5 * float(np.sum((z - z.mean(0)) ** 2, 1, dtype=float).max()) / size
    inter = ((z[:, None].astype(np.longdouble) - z) ** 2).sum(2) / 2 / np.longdouble(tau)
    np.fill_diagonal(inter, np.inf)
    least = inter.min(1, keepdims=True)
    truth = np.log(np.exp(least - inter).sum(1)) - least[:, 0]
    dcl = losses.InfoNCE(tau=tau, eps=0.0)
    found = dcl(*[torch.from_numpy(z)] * 2, "none").numpy().astype(np.longdouble) / np.longdouble(tau)
    allowed = {"float32": (2e-6, 1e-6), "float64": (2e-13, 2e-15)}[np.dtype(dtype).name]
    assert (np.abs(found - truth) <= allowed[0] + allowed[1] * least[:, 0]).all()


# name -> the loss in a unit of squared features, and whether its value has that unit
_IN_UNITS = {
    **{
        name: lambda u, name=name: (FAMILY[name](u)[0], name != "ModifiedTriplet")
        for name in ("InfoNCE", "DCL", "Triplet", "SoftTriplet", "ModifiedTriplet")
    },
    "nt_xent": lambda u: (losses.NTXentLoss(temperature=0.1 * u, normalize=False), False),
    "info_nce": lambda u: (losses.InfoNCELoss(temperature=0.1 * u, normalize=False, symmetric=True), False),
    "clip": lambda u: (lambda a, b: losses.clip_loss(a, b, 10 / u), False),
    "siglip": lambda u: (lambda a, b: losses.siglip_loss(a, b, 10 / u, -1.0), False),
}


@pytest.mark.parametrize("unit, weight", [(40, "one"), (-45, "one"), (-45, "small"), (-45, "zero")])
@pytest.mark.parametrize("name", _IN_UNITS)
def test_another_unit_changes_no_bit(name, unit, weight):
    """L(s z; s² τ) = s² L(z; τ), of losses without a unit L(z; τ), and gradients are linear in the weight of the loss.

    For s = 2^−45 neither τ α_ij z_j nor small · α_ij z_j is a normal float32 number.
    """
    generator = torch.Generator().manual_seed(3)
    z, z_aug = 0.03 * torch.randn(2, 130, 9, generator=generator)  # scores that stay in float32
    weight = {"one": 1.0, "small": 2.0**-50 if _IN_UNITS[name](1.0)[1] else 2.0**-80, "zero": 0.0}[weight]
    found = []
    for scale, of_loss in ((1.0, 1.0), (2.0**unit, weight)):
        tensors = [(scale * a).requires_grad_() for a in (z, z_aug)]
        loss, squared = _IN_UNITS[name](scale**2)
        value = loss(*tensors)
        gradients = torch.autograd.grad(value, tensors, torch.full_like(value, of_loss))
        factor = scale**2 if squared else 1.0
        found.append([value / factor, *(g.double() * scale / factor for g in gradients)])
    for what, one, other, of_loss in zip(("L", "z", "z_aug"), *found, (1.0, weight, weight), strict=True):
        assert torch.equal(of_loss * one, other), what


def test_both_distances_are_taken_in_double():
    """Two samples, each the other's view: L = log 2, however long they are."""
    z = torch.randn(2, 8, generator=torch.Generator().manual_seed(1))
    z = 1e3 * z / z.norm(dim=1, keepdim=True)
    value = losses.NTuplet()(z, z.flip(0))
    assert abs(value.item() - np.log(2)) < 1e-7
    assert losses.Quadratic()(z, z.flip(0)).item() == 0
    assert losses.ModifiedTriplet(2.0)(z, z.flip(0)).item() == 0.5


# name -> loss of z and z_aug with scores as large as the test makes them
_FAR = {
    "InfoNCE": lambda a, b: losses.InfoNCE(tau=0.5)(a, b, "none"),
    "DCL": lambda a, b: losses.InfoNCE(tau=0.5, eps=0.0)(a, b, "none"),
    "MINE": lambda a, b: losses.MINE()(a, b, "none"),
    "SoftTriplet": lambda a, b: losses.SoftTriplet(0.5, 0.2)(a, b, "none"),
    "NTuplet": lambda a, b: losses.NTuplet()(a, b, "none"),
    "LiftedStructured": lambda a, b: losses.LiftedStructured(1.0)(a, b, "none"),
    "nt_xent": lambda a, b: losses.nt_xent(a, b, normalize=False, reduction="none"),
    "info_nce": lambda a, b: losses.info_nce(a, b, normalize=False, symmetric=True, reduction="none"),
    "keys": lambda a, b: losses.info_nce(a, b, b.flip(0), normalize=False, reduction="none"),
    "clip": lambda a, b: losses.clip_loss(a, b, 100.0),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("far", [1.0, 30.0, 40.0, 1e3, 1e5])
@pytest.mark.parametrize("name", _FAR)
def test_a_sample_far_from_all_others_in_a_tile_of_its_own(name, far, dtype):
    """N = 1 above a block: its tiles hold one row or one column, or no pair at all."""
    for n in (64, 65, 66, 96, 97, 129, 193, 257):
        rng = np.random.default_rng(n)
        z = rng.standard_normal((n, 5))
        z[-1] = far * np.array([1, -1, 1, -1, 1])
        tensors = [
            torch.tensor(a.astype(dtype), requires_grad=True) for a in (z, z + 0.1 * rng.standard_normal(z.shape))
        ]
        values = _FAR[name](*tensors)
        gradients = torch.autograd.grad(values.sum(), tensors)
        assert all(t.isfinite().all() for t in (values, *gradients)), n
