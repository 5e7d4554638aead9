"""α over both views: α-CL-direct as its author trains it, 2N anchors, 2N − 2 others each, held to its literal form."""

import pickle
import warnings

import numpy as np
import pytest
from support import DTYPES, assert_contract, inside
from support import torch as import_torch

import alphacl_fast as acl
from alphacl_fast import reference

N, M = 24, 5


def _views(dtype=np.float64, n=N, m=M, seed=3):
    """Rows of length 1, as the author's cosines take them, and others near them."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, m))
    both = [z, z + 0.4 * rng.standard_normal((n, m))]
    return [inside(v / np.linalg.norm(v, axis=1, keepdims=True), dtype) for v in both]


def _direct(z, z_aug, **options):
    return acl.Direct(z, normalize="both", features_aug=z_aug, **options)


def _inverse(z, z_aug, **options):
    return acl.InverseDistance(z, normalize="both", features_aug=z_aug, **options)


KINDS = {
    "direct": _direct,
    "direct, eps": lambda z, z_aug: _direct(z, z_aug, p=2, tau=0.3, eps=0.1),
    "inverse": lambda z, z_aug: _inverse(z, z_aug, p=2, tau=0.2, q=1.5, eps=0.02),
}


# The loss as its author runs it, one anchor at a time.


def _author_loss(z, z_aug, weight, eps):
    """1/(2N) Σ_a Σ_{b ≠ a, a'} α_ab (s_ab − s_aa'), s cosines, α_ab = w_ab/(Σ_b w_ab + eps (2N − 2)) held constant."""
    y = import_torch().cat([z, z_aug])
    y = y / y.norm(dim=1, keepdim=True)
    count, total = len(y), 0
    for a in range(count):
        partner = (a + count // 2) % count
        others = [b for b in range(count) if b not in (a, partner)]
        s = y[others] @ y[a]
        w = weight((1 - s).detach())
        total = total + (w / (w.sum() + eps * len(others)) * (s - y[partner] @ y[a])).sum()
    return total / count


def _exponential(p, tau):
    return lambda square: (-(square ** (p / 2)) / tau).exp()


def _inverse_power(p, tau, q):
    return lambda square: 1 / (square ** (p / 2) + tau) ** q


RUNS = {  # the options of the importance, and the weights of the author's loss
    "p = 4": (lambda z, z_aug: _direct(z, z_aug, p=4, tau=0.5), _exponential(4, 0.5), 0.0),
    "p = 2, eps": (lambda z, z_aug: _direct(z, z_aug, p=2, tau=0.1, eps=0.1), _exponential(2, 0.1), 0.1),
    "p = 3, eps": (lambda z, z_aug: _direct(z, z_aug, p=3, tau=0.2, eps=1.0), _exponential(3, 0.2), 1.0),
    "inverse": (
        lambda z, z_aug: _inverse(z, z_aug, p=4, tau=0.1, q=2, eps=0.1), _inverse_power(4, 0.1, 2), 0.1,
    ),
}  # fmt: skip


def _with_gradients(loss, z, z_aug):
    """The loss of raw features and its gradients, in one array."""
    torch = import_torch()
    raw = [torch.as_tensor(v).double().clone().requires_grad_() for v in (z, z_aug)]
    value = loss(*raw)
    gradients = torch.autograd.grad(value, raw)
    return value.item(), np.concatenate([g.numpy() for g in gradients])


def _trained(importance):
    torch = import_torch()
    unit = torch.nn.functional.normalize
    return lambda z, z_aug: acl.losses.alpha_cl_loss(unit(z), unit(z_aug), importance)


def _apart(ours, truth):
    return np.linalg.norm(ours - truth) / np.linalg.norm(truth)


@pytest.mark.parametrize("run", RUNS)
def test_the_loss_of_the_author_with_torch(run):
    """Value and gradient with respect to the features before they are divided by their lengths, to 1e-12."""
    importance, weight, eps = RUNS[run]
    z, z_aug = (3 * v for v in _views(seed=5))
    value, gradient = _with_gradients(_trained(importance), z, z_aug)
    expected, slope = _with_gradients(lambda a, b: _author_loss(a, b, weight, eps), z, z_aug)
    assert abs(value - expected) <= 1e-12 * abs(expected)
    assert _apart(gradient, slope) <= 1e-12


def test_one_view_is_another_loss_with_torch():
    """Rows of one view alone give another value and another gradient, far beyond rounding."""
    z, z_aug = _views(n=128, m=16, seed=6)
    expected, slope = _with_gradients(lambda a, b: _author_loss(a, b, _exponential(4, 0.5), 0.0), z, z_aug)
    value, gradient = _with_gradients(_trained(lambda a, b: acl.Direct(a, p=4, tau=0.5)), z, z_aug)
    assert abs(value - expected) > 1e-4 * abs(expected)
    assert _apart(gradient, slope) > 1e-2


@pytest.mark.parametrize("reduction, scale", [("mean", 2 * 2 * N), ("sum", 2 * (2 * N) ** 2)])
def test_the_loss_is_the_energy_of_the_stacked_samples_with_torch(reduction, scale):
    """∇L = −2(2N) ∇E_{sg(α)} over y = (f; f') and y' = (f'; f)."""
    torch = import_torch()
    z, z_aug = (torch.tensor(v) for v in _views())
    alpha = _direct(z, z_aug, eps=0.1)

    def energy(a, b):
        return -scale * acl.energy(torch.cat([a, b]), torch.cat([b, a]), alpha)

    def loss(a, b):
        return acl.losses.alpha_cl_loss(a, b, alpha, reduction)

    for ours, expected in zip(_with_gradients(loss, z, z_aug), _with_gradients(energy, z, z_aug), strict=True):
        np.testing.assert_array_equal(ours, expected)
    module = acl.losses.AlphaCLLoss(lambda a, b: _direct(a, b, eps=0.1), reduction=reduction)
    torch.testing.assert_close(module(z, z_aug), loss(z, z_aug))


# The operations.


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 7, 150, 400])
@pytest.mark.parametrize("kind", KINDS)
def test_alpha_as_an_operator(kind, n, dtype):
    z, z_aug = _views(dtype, n)
    alpha = KINDS[kind](z, z_aug)
    assert alpha.shape == (2 * n, 2 * n)
    assert alpha.dtype == dtype
    truth = reference.dense_alpha(alpha, 2 * n)
    naive = reference.dense_alpha(alpha, 2 * n, dtype=dtype)
    y = np.random.default_rng(1).standard_normal((2 * n, 3)).astype(dtype)
    assert_contract(alpha.to_dense(), truth, lambda: naive, dtype)
    assert_contract(alpha.row_sums(), truth.sum(1), lambda: naive.sum(1), dtype)
    assert_contract(alpha.col_sums(), truth.sum(0), lambda: naive.sum(0), dtype)
    assert_contract(alpha @ y, truth @ y, lambda: naive @ y, dtype)
    left_out = np.tile(np.eye(n, dtype=bool), (2, 2))
    assert (alpha.to_dense()[left_out] == 0).all()
    assert (alpha.to_dense()[~left_out] > 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 7, 150])
@pytest.mark.parametrize("kind", KINDS)
def test_sums_of_n_samples_are_those_of_the_stacked_ones(kind, n, dtype):
    z, z_aug = _views(dtype, n)
    rng = np.random.default_rng(2)
    x, x_aug = (rng.standard_normal((n, 4)).astype(dtype) for _ in range(2))
    alpha = KINDS[kind](z, z_aug)
    y, y_aug = np.concatenate([x, x_aug]), np.concatenate([x_aug, x])
    for operation in ("contrastive_cov", "energy"):
        ours = getattr(acl, operation)(x, x_aug, alpha)
        np.testing.assert_array_equal(ours, getattr(acl, operation)(y, y_aug, alpha))
        define = getattr(reference, operation)
        weights = reference.dense_alpha(alpha, 2 * n)
        assert_contract(
            ours, np.asarray(define(y, y_aug, weights)), lambda d=define: d(y, y_aug, alpha, dtype=dtype), dtype
        )
    inter, intra = acl.contrastive_cov(x, x_aug, alpha, parts=True)
    np.testing.assert_allclose(inter - intra, acl.contrastive_cov(x, x_aug, alpha), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_views_of_one_row_repeated(kind):
    one, other = np.ones(M), np.linspace(0, 1, M)
    z, z_aug = (np.broadcast_to(row, (N, M)) for row in (one, other))
    whole = KINDS[kind](z.copy(), z_aug.copy())
    assert np.array_equal(KINDS[kind](z, z_aug).to_dense(), whole.to_dense())


def test_pairs_across_views_have_weights_of_their_own():
    """2(2N)² C is the sum over the pairs within each view, those across, and the views of each sample."""
    (z, z_aug), rng = _views(), np.random.default_rng(4)
    x, x_aug = (rng.standard_normal((N, 3)) for _ in range(2))
    alpha = _direct(z, z_aug, eps=0.1)
    blocks = alpha.to_dense().reshape(2, N, 2, N).swapaxes(1, 2)
    sums = 0

    def square(a, b, weights):
        v = a[:, None] - b
        return np.einsum("ij,ija,ijb->ab", weights, v, v)

    for s, first in enumerate((x, x_aug)):
        for t, second in enumerate((x, x_aug)):
            sums = sums + square(first, second, blocks[s, t])
    r = alpha.row_sums().reshape(2, N).sum(0)
    sums = sums - ((x - x_aug).T * r) @ (x - x_aug)
    np.testing.assert_allclose(acl.contrastive_cov(x, x_aug, alpha), sums / (2 * (2 * N) ** 2), rtol=1e-12, atol=1e-15)
    assert abs(blocks[0, 1] - blocks[0, 0]).max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_layers_take_the_stacked_samples(kind):
    (z, z_aug), rng = _views(), np.random.default_rng(7)
    x, x_aug = (rng.standard_normal((N, 4)) for _ in range(2))
    w, alpha = rng.standard_normal((3, 4)), KINDS[kind](z, z_aug)
    y, y_aug = np.concatenate([x, x_aug]), np.concatenate([x_aug, x])
    truth = reference.gated_cov(y, y_aug, w, alpha=alpha)
    np.testing.assert_allclose(acl.gated_cov(y, y_aug, w, alpha=alpha), truth, rtol=1e-11, atol=1e-14)
    product = acl.GatedCovariance(y, y_aug, w, alpha=alpha) @ w
    np.testing.assert_allclose(product, np.einsum("kab,kb->ka", truth, w), rtol=1e-11, atol=1e-14)
    for operation in (acl.gated_cov, acl.GatedCovariance):
        with pytest.raises(ValueError, match=r"^alpha: expected 24 samples like x, got 48, .*both views: stack x and"):
            operation(x, x_aug, w, alpha=alpha)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits_with_torch(kind, dtype):
    torch = import_torch()
    z, z_aug = _views(dtype)
    there = [torch.tensor(v) for v in (z, z_aug)]
    alpha, tensors = KINDS[kind](z, z_aug), KINDS[kind](*there)
    assert torch.equal(tensors.to_dense(), torch.from_numpy(alpha.to_dense()))
    ours = acl.contrastive_cov(*there, tensors)
    np.testing.assert_array_equal(ours.numpy(), acl.contrastive_cov(z, z_aug, alpha))
    learned = [t.clone().requires_grad_() for t in there]
    np.testing.assert_array_equal(acl.contrastive_cov(*learned, tensors).detach().numpy(), ours.numpy())
    np.testing.assert_array_equal(acl.energy(*learned, tensors).item(), acl.energy(z, z_aug, alpha))
    with pytest.raises(RuntimeError, match=r"requires grad, but contrastive_cov"):
        acl.contrastive_cov(*there, KINDS[kind](there[0], learned[1]))


def test_compiled_by_torch():
    torch = import_torch()
    z, z_aug = (torch.tensor(v, requires_grad=True) for v in _views())

    @torch.compile(backend="eager", fullgraph=True)
    def loss(a, b):
        return acl.losses.alpha_cl_loss(a, b, lambda a, b: acl.Direct(a, normalize="both", features_aug=b, eps=0.1))

    expected = acl.losses.alpha_cl_loss(z, z_aug, _direct(z.detach(), z_aug.detach(), eps=0.1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        ours = loss(z, z_aug)
    torch.testing.assert_close(ours, expected)
    slopes = [torch.autograd.grad(value, (z, z_aug)) for value in (ours, expected)]
    torch.testing.assert_close(*slopes)


def test_eps_is_added_for_each_term():
    """α_ij = e_ij/(Σ_k e_ik + eps·n) with one view as with two, down to rows whose neighbours are all far."""
    z = np.arange(6.0)[:, None] ** 2
    for tau in (1e-3, 1.0, 50.0):
        alpha = acl.Direct(z, 2, tau, eps=0.3)
        e = reference.direct(z, 2, tau, normalize=False)
        truth = e / (e.sum(1, keepdims=True) + 0.3 * 5)
        np.testing.assert_allclose(alpha.to_dense(), truth, rtol=1e-11, atol=1e-300)
        np.testing.assert_allclose(alpha.row_sums(), truth.sum(1), rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize("dtype", DTYPES)
def test_eps_above_neighbours_that_are_too_far_for_float32(dtype):
    """5e-48 is no float32 but a float64: α is 0 there, not NaN."""
    z = np.array([[0.0], [1.0], [1.1], [219**0.5 + 1.1]], dtype)
    for features in (z, np.repeat(z, 8, 1) / dtype(8**0.5)):
        found = acl.Direct(features, 2, 1.0, eps=0.2).to_dense()
        assert np.isfinite(found).all()
        assert (found[3] <= 1e-46).all()


def test_pickles_and_repr():
    z, z_aug = _views()
    for make in KINDS.values():
        alpha = make(z, z_aug)
        again = pickle.loads(pickle.dumps(alpha))
        np.testing.assert_array_equal(again.to_dense(), alpha.to_dense())
        assert "normalize='both', features_aug=(24, 5) float64" in repr(alpha)


@pytest.mark.parametrize("kind", [acl.Direct, acl.InverseDistance])
def test_errors(kind):
    z, z_aug = _views()
    refused = [
        (
            {"normalize": "both"},
            ValueError,
            r"features_aug: expected the other view where normalize='both', .* got None",
        ),
        (
            {"features_aug": z_aug},
            ValueError,
            r"features_aug: expected the other view where normalize='both', else None",
        ),
        ({"normalize": "rows"}, TypeError, r"normalize: expected True, False or 'both', got 'rows'"),
        (
            {"eps": 0.1, "normalize": False},
            ValueError,
            r"eps: expected 0 where rows are not divided by their sums, got 0.1",
        ),
        ({"eps": -0.1, "normalize": True}, ValueError, r"eps: expected a finite number >= 0, got -0.1"),
    ]
    both = {"normalize": "both"}
    refused += [
        (both | {"features_aug": z_aug[:5]}, ValueError, r"features_aug: expected shape \(24, 5\) like features, got"),
        (both | {"features_aug": z_aug.astype(np.float32)}, TypeError, r"features_aug: expected float64 like features"),
        (both | {"features_aug": z_aug.tolist()}, TypeError, r"features_aug: expected a numpy array or a torch tensor"),
    ]
    for options, error, text in refused:
        with pytest.raises(error, match=rf"^{text}"):
            kind(z, **options)
    alpha = kind(z, normalize="both", features_aug=z_aug)
    with pytest.raises(ValueError, match=r"^alpha: expected 5 samples like x, got 48, those of both views"):
        acl.contrastive_cov(z[:5], z_aug[:5], alpha)
    with pytest.raises(ValueError, match=r"^x_aug: expected shape \(24, 5\) like x, got \(5, 5\)"):
        acl.contrastive_cov(z, z_aug[:5], alpha)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_finite_spoils_all_its_entries(dtype):
    z, z_aug = _views(dtype)
    z_aug[3, 1] = np.nan
    for kind in KINDS.values():
        assert np.isnan(acl.contrastive_cov(*_views(dtype), kind(z, z_aug))).all()
