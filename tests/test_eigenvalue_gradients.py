"""theory.top_eigenvalue and spectral_gap: values against LAPACK, derivatives by differences and by torch's eigh."""

import importlib

import numpy as np
import pytest
from support import DTYPES, IMPORTANCES, importance, relative_error, torch, two_views

import alphacl_fast as acl
from alphacl_fast import reference, theory

FUNCTIONS = (theory.top_eigenvalue, theory.spectral_gap)


def _of(function, values):
    """From eigenvalues in rising order."""
    return values[-1] if function is theory.top_eigenvalue else values[-1] - values[-2]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", IMPORTANCES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values(dtype, name, function):
    x, x_aug = two_views(60, 5, dtype)
    alpha = importance(name, 60, dtype)
    found = function(x, x_aug, alpha)
    assert found.dtype == dtype
    values = np.linalg.eigvalsh(reference.contrastive_cov(x, x_aug, alpha))
    rtol = 1e-5 if dtype == np.float32 else 1e-11
    assert found == pytest.approx(_of(function, values), rel=rtol, abs=rtol * np.abs(values).max())


def _tensors(n, d, dtype=np.float64, **options):
    return [torch().from_numpy(np.array(v)).requires_grad_() for v in two_views(n, d, dtype, **options)]


def _torch_importance(name, n):
    """The importance `name` with tensors in place of arrays."""
    alpha = importance(name, n, np.float64)
    if isinstance(alpha, np.ndarray):
        return torch().from_numpy(np.array(alpha))
    return alpha if alpha is None else _with_tensors(alpha)


def _with_tensors(alpha):
    for part, value in vars(alpha).items():
        if isinstance(value, np.ndarray):
            setattr(alpha, part, torch().from_numpy(np.array(value)))
    return alpha


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", ["none", "off_diagonal", "array", "low_rank", "gaussian_scalar", "gaussian", "direct"])
def test_gradcheck_with_torch(name, function):
    x, x_aug = _tensors(24, 4)
    alpha = _torch_importance(name, 24)
    assert torch().autograd.gradcheck(lambda a, b: function(a, b, alpha), (x, x_aug), eps=1e-6, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0, 1000])
def test_gradients_with_torch_against_its_own(offset, dtype, function):
    """Through the dense formula and torch.linalg.eigvalsh in float64."""
    x, x_aug = (torch().from_numpy(np.array(v) + dtype(offset)).requires_grad_() for v in two_views(200, 6, dtype))
    alpha = acl.Gaussian(x.detach()[:, 0].clone(), 0.7)
    found = torch().autograd.grad(function(x, x_aug, alpha), (x, x_aug))
    a, b = (v.detach().double().requires_grad_() for v in (x, x_aug))
    weights = torch().from_numpy(reference.gaussian(x.detach()[:, 0], 0.7))
    centred = a - a.detach().mean(0)
    delta = a - b
    r, c = weights.sum(1), weights.sum(0)
    form = (
        centred.mT @ ((r + c)[:, None] * centred) - 2 * centred.mT @ weights @ centred - delta.mT @ (r[:, None] * delta)
    )
    expected = torch().autograd.grad(_of(function, torch().linalg.eigvalsh(form / (2 * 200**2))), (a, b))
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.dtype == x.dtype
        error = (mine.double() - theirs).norm() / theirs.norm()
        assert error < (1e-3 if offset else 1e-5) if dtype == np.float32 else error < 1e-9


def test_the_gradient_with_torch_is_twice_that_of_the_energy_of_one_feature():
    x, x_aug = _tensors(50, 5)
    (grad,) = torch().autograd.grad(theory.top_eigenvalue(x, x_aug), x)
    v = acl.power_iteration(acl.contrastive_cov(x.detach(), x_aug.detach())).eigenvector
    (expected,) = torch().autograd.grad(2 * acl.energy(x @ v[:, None], x_aug @ v[:, None]), x)
    torch().testing.assert_close(grad, expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradients_of_many_rows_with_torch(function, dtype):
    """Several blocks of rows, the last one shorter: as the energy of the eigenvectors' features says."""
    x, x_aug = two_views(3001, 200, dtype)
    x, x_aug = (torch().from_numpy(v * dtype(2.0) ** -np.arange(200, dtype=dtype)).requires_grad_() for v in (x, x_aug))
    found = torch().autograd.grad(function(x, x_aug), (x, x_aug))
    c = acl.contrastive_cov(x.detach(), x_aug.detach()).double()
    v = acl.power_iteration(c, k=2, tol=1e-12).eigenvector.to(x.dtype)
    energies = [acl.energy(x @ v[k, :, None], x_aug @ v[k, :, None]) for k in range(2)]
    value = 2 * energies[0] if function is theory.top_eigenvalue else 2 * (energies[0] - energies[1])
    for mine, expected in zip(found, torch().autograd.grad(value, (x, x_aug)), strict=True):
        assert (mine - expected).norm() / expected.norm() < (2e-6 if dtype == np.float32 else 1e-10)


def _along(x, x_aug, vectors, weights, alpha):
    """The operator behind the gradients, and what the Laplacian product of all features says of it."""
    sums = importlib.import_module("alphacl_fast._torch.sums")
    packed = sums.constant_importance(alpha, "x", x, "a test")
    ops = torch().ops.alphacl_fast
    found = ops.laplacian_along(x, x_aug, vectors, weights, *packed)
    both = (vectors.double().mT * weights) @ vectors.double()
    return [(f, whole.double() @ both) for f, whole in zip(found, ops.laplacian(x, x_aug, *packed), strict=True)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n, d, count", [(1, 1, 1), (3, 2, 5), (257, 19, 1), (600, 40, 3)])
@pytest.mark.parametrize("name", ["none", "low_rank_signed", "gaussian_scalar", "gaussian", "direct", "array"])
def test_the_laplacian_along_vectors_with_torch(name, n, d, count, dtype):
    x, x_aug = (t.detach() for t in _tensors(n, d, dtype))
    alpha = importance(name, n, dtype)
    alpha = torch().from_numpy(np.array(alpha)) if isinstance(alpha, np.ndarray) else alpha and _with_tensors(alpha)
    generator = torch().Generator().manual_seed(count)
    vectors = torch().randn(d, count, generator=generator, dtype=x.dtype).mT  # rows of strided entries
    weights = torch().randn(count, generator=generator, dtype=torch().float64)
    for found, expected in _along(x, x_aug, vectors, weights, alpha):
        assert found.dtype == x.dtype
        assert (found - expected).norm() <= (3e-6 if dtype == np.float32 else 1e-12) * expected.norm()


@pytest.mark.parametrize("dtype", DTYPES)
def test_views_that_hardly_differ_with_torch(dtype):
    """Differences of views are taken before they are projected: relative accuracy of their gradient."""
    generator = torch().Generator().manual_seed(9)
    x = 100 + torch().randn(300, 12, generator=generator, dtype=torch().float64).to(getattr(torch(), dtype.__name__))
    x_aug = x + 1e-4 * torch().randn(300, 12, generator=generator, dtype=x.dtype)
    v = torch().randn(1, 12, generator=generator, dtype=x.dtype)
    weights = torch().ones(1, dtype=torch().float64)
    _, (found, _) = _along(x, x_aug, v, weights, None)
    expected = 300 * (x.double() - x_aug.double()) @ v.double().mT @ v.double()
    assert (found - expected).norm() < (1e-6 if dtype == np.float32 else 1e-13) * expected.norm()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("far, step", [(20, 3), (23, 0)])
def test_clusters_far_apart_with_torch(far, step, signed, dtype):
    """α joins only samples of a cluster: the Laplacian form along a vector cancels, in float64 too."""
    generator = torch().Generator().manual_seed(10)
    cluster = torch().arange(120) % 2
    x = (2.0 * cluster - 1)[:, None] * 2.0**far + torch().randint(0, 3, (120, 5), generator=generator) / 2.0**step
    x = x.to(getattr(torch(), dtype.__name__))
    phi = torch().nn.functional.one_hot(cluster).to(x.dtype)
    alpha = acl.LowRank(phi, [1.0, -1.5] if signed else None)
    v = torch().randn(1, 5, generator=generator, dtype=x.dtype)
    weights = torch().ones(1, dtype=torch().float64)
    (found, _), _ = _along(x, x, v, weights, alpha)
    full = (phi.double() * torch().tensor([1.0, -1.5 if signed else 1.0]).double()) @ phi.double().mT
    differences = x.double()[:, None] - x.double()
    expected = torch().einsum("ij,ijk->ik", 2 * full, differences) @ v.double().mT @ v.double()
    assert (found - expected).norm() < (2e-6 if dtype == np.float32 else 1e-12) * expected.norm()


@pytest.mark.parametrize("dtype", DTYPES)
def test_features_that_cancel_along_a_vector_with_torch(dtype):
    """Two large features that are nearly equal, along their difference, and factors beyond the range of a float."""
    generator = torch().Generator().manual_seed(11)
    small = torch().randint(-8, 9, (200, 1), generator=generator) / 2.0**10
    large = torch().randint(-8, 9, (200, 1), generator=generator) * 2.0**10
    x = torch().cat([large, large + small], 1).to(getattr(torch(), dtype.__name__))
    v, weights = torch().tensor([[1.0, -1.0]], dtype=x.dtype), torch().tensor([1.0], dtype=torch().float64)
    (found, _), _ = _along(x, x, v, weights, None)
    expected = 2 * 200 * (small.double() - small.double().mean()) @ torch().tensor([[-1.0, 1.0]]).double()
    assert (found - expected).norm() < (1e-6 if dtype == np.float32 else 1e-13) * expected.norm()
    (scaled, _), _ = _along(x, x, v / 2.0**60, weights * 2.0**120, None)
    assert (scaled == found).all()
    (nothing, _), _ = _along(x, x, torch().zeros_like(v), weights * 1e300, None)
    assert not nothing.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_features_with_torch(dtype):
    x = torch().empty(5, 0, dtype=getattr(torch(), dtype.__name__))
    for found, _ in _along(x, x, x[:1], torch().ones(1, dtype=torch().float64), None):
        assert found.shape == (5, 0)


def _energy_gradients(f, f_aug, alpha):
    return torch().autograd.grad(acl.energy(f, f_aug, alpha), (f, f_aug))


def _with_zeros(f, columns):
    """f and columns of zeros behind it, which change no energy."""
    return torch().nn.functional.pad(f.detach(), (0, columns)).requires_grad_()


_OF_FEW_COLUMNS = {
    **{name: IMPORTANCES[name] for name in ("none", "off_diagonal", "gaussian", "direct", "inverse_distance")},
    "one column": lambda rng, n, dtype: acl.LowRank(rng.random((n, 1)).astype(dtype)),
    "one negative column": lambda rng, n, dtype: acl.LowRank(rng.random((n, 1)).astype(dtype), [-1.7]),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [2, 65, 75, 450])  # the last rows of tiles: none, one, three and two after fours
@pytest.mark.parametrize("name", _OF_FEW_COLUMNS)
def test_gradients_of_few_columns_are_those_of_more_with_torch(name, n, columns, dtype):
    """Importances of distances, and those of one factor, have code of their own for products of few columns."""
    f, f_aug = _tensors(n, columns, dtype)
    alpha = _OF_FEW_COLUMNS[name](np.random.default_rng(n), n, dtype)
    alpha = _with_tensors(alpha) if alpha is not None else None
    more = _energy_gradients(_with_zeros(f, 5), _with_zeros(f_aug, 5), alpha)
    for mine, wide in zip(_energy_gradients(f, f_aug, alpha), more, strict=True):
        assert relative_error(mine.numpy(), wide[:, :columns].numpy()) < (1e-6 if dtype == np.float32 else 1e-13)
        assert not wide[:, columns:].any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_of_few_columns_of_clusters_with_torch(dtype):
    """So far apart that whole tiles of their pairs are zeros."""
    f, f_aug = _tensors(1000, 2, dtype)
    features = np.repeat([[0.0], [1e3]], 500, axis=0) + np.random.default_rng(3).standard_normal((1000, 3))
    alpha = acl.Gaussian(torch().from_numpy(features.astype(dtype)), 0.5)
    more = _energy_gradients(_with_zeros(f, 5), _with_zeros(f_aug, 5), alpha)
    for mine, wide in zip(_energy_gradients(f, f_aug, alpha), more, strict=True):
        assert relative_error(mine.numpy(), wide[:, :2].numpy()) < (1e-6 if dtype == np.float32 else 1e-13)


def test_gradients_of_few_columns_of_many_samples_with_torch():
    """More samples than one strip of tiles has rows."""
    generator = torch().Generator().manual_seed(5)
    z, f, f_aug = (torch().randn(16_500, 2, generator=generator).requires_grad_() for _ in range(3))
    alpha = acl.Gaussian(z.detach(), 0.5)
    more = _energy_gradients(_with_zeros(f, 3), _with_zeros(f_aug, 3), alpha)
    for mine, wide in zip(_energy_gradients(f, f_aug, alpha), more, strict=True):
        assert (mine - wide[:, :2]).norm() / wide.norm() < 1e-6


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_batch_of_incoming_gradients_with_torch(function):
    x, x_aug = _tensors(50, 5)
    value = function(x, x_aug)
    weights = torch().tensor([1.0, -2.0], dtype=torch().float64)
    (batch,) = torch().autograd.grad(value, x, weights, retain_graph=True, is_grads_batched=True)
    (one,) = torch().autograd.grad(value, x)
    torch().testing.assert_close(batch, torch().stack([one, -2 * one]))


def test_a_step_with_torch_raises_what_it_should():
    for function in FUNCTIONS:
        x, x_aug = _tensors(80, 4)
        value = function(x, x_aug)
        (grad,) = torch().autograd.grad(value, x)
        assert function(x.detach() + 0.01 * grad, x_aug.detach()) > value


def test_once_only_with_torch():
    x, x_aug = _tensors(20, 3)
    (grad,) = torch().autograd.grad(theory.top_eigenvalue(x, x_aug), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once"):
        grad.sum().backward()


def test_torch_in_torch_out():
    x, x_aug = (v.detach() for v in _tensors(30, 4, np.float32))
    for function in FUNCTIONS:
        found = function(x, x_aug)
        assert found.shape == ()
        assert not found.requires_grad
        assert found.item() == pytest.approx(float(function(x.numpy(), x_aug.numpy())), rel=1e-6)


def test_what_is_not_finite_and_one_feature():
    x, x_aug = (np.array(v) for v in two_views(20, 3, np.float64))
    assert theory.top_eigenvalue(x[:, :1].copy(), x_aug[:, :1].copy()) == pytest.approx(
        reference.contrastive_cov(x[:, :1], x_aug[:, :1])[0, 0]
    )
    x[2, 1] = np.nan
    assert np.isnan(theory.top_eigenvalue(x, x_aug))
    assert np.isnan(theory.spectral_gap(x, x_aug))


X = np.ones((4, 3))
ERRORS = [
    (ValueError, r"x_aug: expected shape \(4, 3\) like x", lambda: theory.top_eigenvalue(X, X[1:])),
    (ValueError, r"x: expected at least two features, got shape \(4, 1\)", lambda: theory.spectral_gap(X[:, :1], X)),
    (ValueError, "alpha: expected 4 samples like x, got 3", lambda: theory.top_eigenvalue(X, X, np.ones((3, 3)))),
    (TypeError, "alpha: expected an importance over the samples, got NodeGaussian",
     lambda: theory.top_eigenvalue(X, X, acl.NodeGaussian(1.0))),
]  # fmt: skip


@pytest.mark.parametrize("kind, text, call", ERRORS, ids=[text for _, text, _ in ERRORS])
def test_errors(kind, text, call):
    with pytest.raises(kind, match=text):
        call()


def test_importances_that_learn_are_refused_with_torch():
    x, x_aug = _tensors(6, 3)
    with pytest.raises(RuntimeError, match="top_eigenvalue"):
        theory.top_eigenvalue(x, x_aug, acl.Gaussian(x[:, 0], 1.0))


def _alike(d, seed):
    """Samples whose covariance is a multiple of the identity."""
    q = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]
    return np.r_[np.eye(d), -np.eye(d)] @ q


@pytest.mark.parametrize("d", [2, 3])
def test_the_gap_of_a_multiple_eigenvalue_is_not_negative(d):
    for seed in range(6):
        assert 0 <= theory.spectral_gap(_alike(d, seed), _alike(d, seed)) < 1e-14


@pytest.mark.parametrize("d", [2, 3])
def test_the_gap_of_a_multiple_eigenvalue_is_not_negative_torch(d):
    pytorch = torch()
    for seed in range(6):
        x = pytorch.from_numpy(_alike(d, seed)).requires_grad_()
        gap = theory.spectral_gap(x, x.detach())
        assert 0 <= gap.item() < 1e-14
        assert pytorch.autograd.grad(gap, x)[0].isfinite().all()
