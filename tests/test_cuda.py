"""The public functions on tensors of a GPU, or on those of the CPU where its kernels are emulated.

ALPHACL_FAST_BACKEND=emulated pytest tests/test_cuda.py     # a build with ALPHACL_CUDA=emulated
"""

import copy
import importlib
import mmap
import pickle
import subprocess
import sys
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest
from support import (
    ACTIVATIONS,
    DTYPES,
    IMPORTANCES,
    assert_contract,
    check_gradients,
    feature_views,
    importance,
    relative_error,
    sparse_csr,
    two_views,
)

import alphacl_fast as acl
from alphacl_fast import _backend, reference

torch = pytest.importorskip("torch")
INFO = _backend.cuda_info()
EMULATED = INFO is not None and INFO["toolkit"] == "emulated"
if EMULATED and _backend.device_for(np.empty(0)) == "cuda":
    DEVICE = torch.device("cpu")
elif INFO is not None and not EMULATED and torch.cuda.is_available():
    DEVICE = torch.device("cuda", 0)
else:
    pytest.skip("no GPU and not the emulated backend", allow_module_level=True)
needs_gpu = pytest.mark.skipif(EMULATED, reason="no GPU: its kernels are emulated")

SHAPES = [(1, 1), (2, 3), (31, 33), (64, 64), (65, 5), (129, 66)]


def there(a):
    """An array as a tensor of the device: rows as strided as they were; other arguments as they are."""
    if not isinstance(a, np.ndarray):
        return a
    if a.ndim < 2 or a.strides[1] < 0:
        return torch.from_numpy(a.copy()).to(DEVICE)
    outer = torch.full((a.shape[0] + 1, a.shape[1] + 3), np.nan, dtype=torch.from_numpy(a[:0].copy()).dtype)
    outer = outer.to(DEVICE)
    view = outer[1:, 1:-2]
    view.copy_(torch.from_numpy(a.copy()))
    return view


def moved(alpha):
    """The same importance with its arrays on the device."""
    if not isinstance(alpha, acl.importance.Importance):
        return there(alpha)
    parts = {
        name: type(value)(*map(there, value)) if isinstance(value, tuple) else there(value)
        for name, value in vars(alpha).items()
    }
    again = object.__new__(type(alpha))
    vars(again).update(parts)
    return again


def host(t):
    return t.detach().cpu().numpy()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", IMPORTANCES)
def test_torch_cuda_sums(name, dtype, shape):
    x, x_aug = two_views(*shape, dtype)
    alpha = importance(name, shape[0], dtype)
    for operation in ("contrastive_cov", "energy"):
        define = getattr(reference, operation)
        ours = getattr(acl, operation)(there(x), there(x_aug), moved(alpha))
        assert ours.device == DEVICE
        naive = lambda define=define: define(x, x_aug, alpha, dtype=dtype)  # noqa: E731
        assert_contract(host(ours), define(x, x_aug, alpha), naive, dtype)
        if operation == "contrastive_cov":
            assert torch.equal(ours, ours.T)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in IMPORTANCES if name not in ("none", "uniform", "array")])
def test_torch_cuda_importances_are_operators(name, dtype):
    n = 66
    alpha, y = importance(name, n, dtype), two_views(n, 70, dtype)[0]
    given = acl.Uniform(n, diagonal=False) if name == "off_diagonal" else moved(alpha)
    exact = reference.dense_alpha(alpha, n)
    rounded = lambda a: lambda: a.astype(dtype)  # noqa: E731
    if name != "off_diagonal":  # has no device of its own
        for found, truth in (
            (given.row_sums(), exact.sum(1)),
            (given.col_sums(), exact.sum(0)),
            (given.to_dense(), exact),
        ):
            assert found.device == DEVICE
            own = np.float64 if isinstance(alpha, acl.Labels) else dtype
            assert_contract(host(found), truth, rounded(truth), own)
    product = exact @ y.astype(np.float64)
    assert_contract(host(given.matmul(there(y))), product, rounded(product), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name",
    ["none", "array", "gaussian", "direct", "pair_logistic", "low_rank", "low_rank_signed", "labels_signed", "sparse"],
)
def test_torch_cuda_gradients_of_sums(name, dtype):
    """Of a weighted sum of C and of E, against autograd through the literal sums in double."""
    n, d = 67, 9
    x, x_aug = two_views(n, d, dtype)
    alpha = importance(name, n, dtype)
    weight = np.random.default_rng(5).standard_normal((d, d))
    exact = torch.from_numpy(reference.dense_alpha(alpha, n))

    def literal(a, b, of):
        between, within = a[:, None] - a, a - b
        w = of.to(a.dtype)
        total = torch.einsum("ij,ijk,ijl->kl", w, between, between)
        return (total - torch.einsum("i,ik,il->kl", w.sum(1), within, within)) / (2 * n * n)

    def of(c):
        return (c * torch.from_numpy(weight).to(c)).sum() + c.trace() / 2

    def gradients(dtype_of):
        views = [torch.from_numpy(a.astype(dtype_of)).requires_grad_() for a in (x, x_aug)]
        return [g.numpy() for g in torch.autograd.grad(of(literal(*views, exact)), views)]

    views = [there(a).requires_grad_() for a in (x, x_aug)]
    value = (acl.contrastive_cov(*views, moved(alpha)) * there(weight).to(views[0])).sum()
    found = torch.autograd.grad(value + acl.energy(*views, moved(alpha)), views)
    for k, (ours, truth) in enumerate(zip(found, gradients(np.float64), strict=True)):
        assert ours.device == DEVICE
        assert_contract(host(ours), truth, lambda k=k: gradients(dtype)[k], dtype)


LOSSES = {
    "InfoNCE": acl.losses.InfoNCE(tau=0.5),
    "MINE": acl.losses.MINE(),
    "Triplet": acl.losses.Triplet(margin=0.3),
    "SoftTriplet": acl.losses.SoftTriplet(tau=0.5, margin=0.1),
    "NTuplet": acl.losses.NTuplet(),
    "LiftedStructured": acl.losses.LiftedStructured(margin=2.0),
    "ModifiedTriplet": acl.losses.ModifiedTriplet(c=1.5),
    "Quadratic": acl.losses.Quadratic(),
    "nt_xent": lambda a, b: acl.losses.nt_xent(a, b, reduction="none"),
    "info_nce": lambda a, b: acl.losses.info_nce(a, b, reduction="none"),
    "clip_loss": lambda a, b: acl.losses.clip_loss(a, b, 8.0),
    "siglip_loss": lambda a, b: acl.losses.siglip_loss(a, b, 8.0, -8.0),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_torch_cuda_losses(name, dtype):
    """Values and gradients are those of the same loss on the CPU's double, within the contract."""
    loss = LOSSES[name]

    def ours(*tensors):
        found = loss(*tensors)
        return found.reshape(-1)

    views = [v.detach().to(DEVICE).requires_grad_() for v in feature_views(66, 17, dtype)]
    with _on_the_cpu():
        exact = [v.detach().cpu().double().requires_grad_() for v in views]
        values = ours(*exact)
        truth = [values, *torch.autograd.grad(values.sum(), exact)]
        single = [v.detach().cpu().requires_grad_() for v in views]
        rounded_values = ours(*single)
        rounded = [rounded_values, *torch.autograd.grad(rounded_values.sum(), single)]
    values = ours(*views)
    assert values.device == DEVICE
    for mine, exactly, naive in zip([values, *torch.autograd.grad(values.sum(), views)], truth, rounded, strict=True):
        if dtype == np.float32:
            assert_contract(host(mine), host(exactly), lambda naive=naive: host(naive), dtype)
        else:  # the truth is rounded too
            assert relative_error(host(mine), host(exactly)) < 1e-12


@pytest.mark.parametrize("loss", ["nt_xent", "info_nce"])
def test_torch_cuda_infinite_incoming_gradient(loss):
    """An infinite gradient of loss 3 leaves row 3 without a finite derivative; gradients of 0 leave zeros."""
    views = [v.detach().to(DEVICE).requires_grad_() for v in feature_views(66, 17, np.float32)]
    values = LOSSES[loss](*views)
    weight = torch.zeros_like(values)
    assert all(not bool(g.any()) for g in torch.autograd.grad(values, views, weight, retain_graph=True))
    weight[3] = np.inf
    (first, _) = torch.autograd.grad(values, views, weight)
    assert not bool(first[3].isfinite().any())


@pytest.mark.parametrize("weight", [2.0**1021, 2.0**1022, 2.0**1023])
def test_torch_cuda_weights_near_the_largest_double(weight):
    """Derivatives of float features overflow, and are neither 0 nor NaN."""
    f = there(np.random.default_rng(1).standard_normal((9, 3)).astype(np.float32))
    scale, columns = torch.tensor(0.5), (False, False, False)
    rows, cols = torch.ops.alphacl_fast.pair_log_sums(f, None, scale, *columns)
    grad = torch.full_like(rows, weight)
    found, _, _ = torch.ops.alphacl_fast.pair_log_sums_backward(grad, cols, f, None, scale, rows, cols, *columns)
    assert bool(found.isinf().all())


@pytest.mark.parametrize("function", [acl.theory.top_eigenvalue, acl.theory.spectral_gap])
@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_cuda_gradients_of_eigenvalues(dtype, function):
    x, x_aug = (there(v).requires_grad_() for v in two_views(67, 9, dtype))
    alpha = there(np.random.default_rng(2).random((67, 2)).astype(dtype))
    value = function(x, x_aug, acl.LowRank(alpha))
    found = [value, *torch.autograd.grad(value, (x, x_aug))]
    assert {t.device for t in found} == {DEVICE}
    with _on_the_cpu():
        exact = [v.detach().cpu().double().requires_grad_() for v in (x, x_aug)]
        value = function(*exact, acl.LowRank(alpha.cpu().double()))
        truth = [value, *torch.autograd.grad(value, exact)]
    for mine, exactly in zip(found, truth, strict=True):
        assert relative_error(host(mine), host(exactly)) < (1e-5 if dtype == np.float32 else 1e-10)


class _on_the_cpu:
    """Tensors of the CPU go to the CPU's own kernels for the time of a `with`."""

    def __enter__(self):
        self.kept = _backend._EMULATED
        _backend._EMULATED = False

    def __exit__(self, *error):
        _backend._EMULATED = self.kept


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_cuda_literal_loss(dtype):
    """One loss against its formula by autograd, with strided rows."""

    def literal(a, b):
        scores = a @ b.T / 0.2
        return torch.nn.functional.cross_entropy(scores, torch.arange(len(a), device=a.device), reduction="none")

    def ours(a, b):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = acl.losses.info_nce(a.to(DEVICE), b.to(DEVICE), temperature=0.2, normalize=False, reduction="none")
        return found.cpu()

    check_gradients(ours, literal, feature_views(65, 7, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_cuda_gated_outer(dtype):
    rng = np.random.default_rng(6)
    x = two_views(131, 67, dtype)[0]
    omega = (rng.standard_normal((131, 3)) * (rng.random((131, 3)) < 0.5)).astype(dtype)
    truth = np.einsum("ik,ia,ib->kab", *(a.astype(np.float64) for a in (omega, x, x)))
    found = acl.gated_outer(there(x), there(omega))
    assert_contract(host(found), truth, lambda: np.einsum("ik,ia,ib->kab", omega, x, x), dtype)
    assert torch.equal(found, found.mT)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("alpha", ["none", "low_rank", "off_diagonal", "gaussian", "node"])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_torch_cuda_gated_cov(activation, alpha, dtype):
    n, d = 67, 9
    x, x_aug = two_views(n, d, dtype)
    w = np.random.default_rng(7).standard_normal((3, d)).astype(dtype)
    given = acl.NodeGaussian(0.5) if alpha == "node" else importance(alpha, n, dtype)
    found = acl.gated_cov(*map(there, (x, x_aug, w)), activation=activation, alpha=moved(given))
    define = reference.gated_cov
    truth = define(x, x_aug, w, activation=activation, alpha=given)
    naive = lambda: define(x, x_aug, w, activation=activation, alpha=given, dtype=dtype)  # noqa: E731
    assert_contract(host(found), truth, naive, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", ["auto", "tiles", "fourier", "sorted"])
def test_torch_cuda_gaussian_of_scalars(method, dtype):
    """By series and by pairs; all far apart, where entries far below tol are all that there is."""
    n = 129
    x = two_views(n, 5, dtype)[0]
    for f, tau in ((x[:, 0], 0.5), (9 * np.arange(n, dtype=dtype), 1.0)):
        if method == "fourier" and tau == 1.0:
            continue  # asked for, its entries err by tol
        alpha = acl.Gaussian(f, tau, method=method)
        given = acl.Gaussian(there(f), tau, method=method)
        naive = lambda alpha=alpha: reference.contrastive_cov(x, x, alpha, dtype=dtype)  # noqa: E731
        truth = reference.contrastive_cov(x, x, alpha)
        assert_contract(host(acl.contrastive_cov(there(x), there(x), given)), truth, naive, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_cuda_two_groups_of_scalars(dtype):
    """All that is left are pairs of α = e⁻⁵⁰, far below what a series errs by."""
    x = np.repeat(np.array([[0.0], [10.0]], dtype), 100, axis=0)
    truth = 100.0**3 * np.exp(-50) / 200**2
    t = there(x)
    assert float(acl.contrastive_cov(t, t, acl.Gaussian(t[:, 0], 1.0))) == pytest.approx(truth, rel=1e-6)
    assert float(acl.energy(t, t, acl.Gaussian(t[:, 0], 1.0))) == pytest.approx(truth / 2, rel=1e-6)
    node = acl.gated_cov(t, t, there(np.ones((1, 1), dtype)), activation="linear", alpha=acl.NodeGaussian(1.0))
    assert float(node) == pytest.approx(truth, rel=1e-6)


def _clusters(n, d):
    """Which of two clusters far apart a sample is in, and both views."""
    rng = np.random.default_rng(11)
    first = np.arange(n) % 3 == 0
    x = rng.standard_normal((n, d)) + np.where(first, 1e7, -1e7)[:, None]
    return first, x, x + 0.1 * rng.standard_normal((n, d))


def _within(x, x_aug, first):
    """C_α, α = 1 for pairs within a cluster, else 0."""
    truth, exact = 0, x.astype(np.longdouble)
    for of in (first, ~first):
        apart, delta = exact[of] - exact[of].mean(0), exact[of] - x_aug[of]
        truth = truth + of.sum() * (2 * apart.T @ apart - delta.T @ delta)
    return (truth / (2 * np.longdouble(len(x)) ** 2)).astype(float)


def test_torch_cuda_series_of_clusters():
    """All α between clusters is 0 to a double, where a series errs by 1e-15: pairs one by one have the digits."""
    first, x, x_aug = _clusters(66, 3)
    views = [there(v).requires_grad_() for v in (x, x_aug)]
    cov = acl.contrastive_cov(*views, acl.Gaussian(there(60.0 * first), 1.0, method="fourier"))
    assert relative_error(host(cov), _within(x, x_aug, first)) < 1e-12
    cov.trace().backward()
    exact = x.astype(np.longdouble)
    means = np.where(first[:, None], exact[first].mean(0), exact[~first].mean(0))
    members = np.where(first, first.sum(), (~first).sum())[:, None] / np.longdouble(66) ** 2
    inter, intra = 2 * members * (exact - means), members * (exact - x_aug)
    assert relative_error(host(views[0].grad), (inter - intra).astype(float)) < 1e-12
    assert relative_error(host(views[1].grad), intra.astype(float)) < 1e-12


def test_torch_cuda_series_of_a_node():
    """The same, where the clusters are of the node's outputs; 160 samples are enough for a series of their range."""
    first, x, x_aug = _clusters(160, 3)
    for v in (x, x_aug):
        v[:, 0] = 1 + 20 * first
    w = np.array([[1.0, 0.0, 0.0]])
    found = acl.gated_cov(*map(there, (x, x_aug, w)), activation="relu", alpha=acl.NodeGaussian(1.0))
    assert relative_error(host(found)[0], _within(x, x_aug, first)) < 1e-12


def test_torch_cuda_energy_of_many_columns():
    """Its width is d: 10⁶ pairs of 201 columns are few, though d² of them would not be."""
    first, x, x_aug = _clusters(1000, 201)
    alpha = acl.LowRank(there(np.stack([first, ~first], 1).astype(float)))
    truth = np.trace(_within(x, x_aug, first)) / 2
    assert float(acl.energy(there(x), there(x_aug), alpha)) == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_cuda_rows_far_apart_in_memory(dtype):
    """Strides beyond 2³¹ numbers; pages that nobody writes take no memory."""
    x, x_aug = two_views(3, 2, dtype)
    own, stride = torch.from_numpy(x).dtype, 2**31 + 3
    if EMULATED:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE
        held = torch.frombuffer(mmap.mmap(-1, 3 * stride * x.itemsize, flags=flags), dtype=own)
    else:
        held = torch.empty(3 * stride, dtype=own, device=DEVICE)
    rows = held.view(3, stride)[:, :2]
    rows.copy_(torch.from_numpy(x))
    alpha = acl.Gaussian(rows, 2.0)
    found = acl.contrastive_cov(rows, there(x_aug), alpha)
    close = there(np.ascontiguousarray(x))
    assert torch.equal(found, acl.contrastive_cov(close, there(x_aug), acl.Gaussian(close, 2.0)))
    w = torch.ones((1, 2), dtype=own, device=DEVICE)
    assert torch.equal(acl.gated_cov(rows, rows, w), acl.gated_cov(close, close, w))
    assert torch.equal(alpha.matmul(rows), acl.Gaussian(close, 2.0).matmul(close))


def test_torch_cuda_sparse_keeps_no_tensor():
    """What it reads has been copied: 2³¹ indices would be 16 GiB."""
    module = importlib.import_module("alphacl_fast._cuda")
    parts = [there(np.arange(4)), there(np.array([2, 0, 1])), there(np.array([1.0, 2.0, 3.0]))]
    held = [weakref.ref(part) for part in parts]
    alpha = module.sparse_f64(*parts)
    del parts
    assert [ref() for ref in held] == [None] * 3
    out = there(np.zeros((3, 3)))
    alpha.to_dense(out)
    np.testing.assert_array_equal(host(out), [[0, 0, 1], [2, 0, 0], [0, 3, 0]])
    starts, columns, values = there(np.arange(4)), there(np.zeros(3, int)), there(np.ones(2))
    with pytest.raises(ValueError, match=r"values: expected shape \(3,\), got \(2,\)"):
        module.sparse_f64(starts, columns, values)
    with pytest.raises(ValueError, match=r"columns: expected one axis, got shape \(1, 3\)"):
        module.sparse_f64(starts, columns[None], values)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("widths", [20, 50, 90])
@pytest.mark.parametrize("kind", ["labels", "low rank"])
def test_torch_cuda_classes_some_widths_apart(kind, widths, dtype):
    """Within classes what is lost is the square of their distance in widths."""
    y = np.arange(600) % 3
    rng = np.random.default_rng(8)
    x = (widths * np.array([[-1.0, 0.5], [0.3, 1.0], [0.9, -1.1]])[y] + rng.standard_normal((600, 2))).astype(dtype)
    exact = x.astype(np.longdouble)
    apart = exact - np.stack([exact[y == c].mean(0) for c in range(3)])[y]
    truth = (200 * apart.T @ apart / np.longdouble(600) ** 2).astype(float)
    alpha = acl.Labels(there(y)) if kind == "labels" else acl.LowRank(there(np.eye(3, dtype=dtype)[y]))
    found = host(acl.contrastive_cov(there(x), there(x), alpha))
    assert relative_error(found, truth) < (1e-6 if dtype == np.float32 else 2e-13)


def test_torch_cuda_sums_of_equal_sparse_entries():
    n = 1000
    alpha = acl.Sparse(sparse_csr(torch.full((n, n), 1 / n, dtype=torch.float64)).to(DEVICE))
    for sums in (alpha.row_sums(), alpha.col_sums()):
        assert abs(host(sums) - 1).max() < 8e-16  # 7e-15 where entries are added up one by one


def test_torch_cuda_row_sums_of_signs_that_cancel():
    phi = np.repeat(np.random.default_rng(5).standard_normal((3000, 1)), 2, axis=1)
    sums = acl.LowRank(there(phi), there(np.array([1.0, -1.0 + 2.0**-40]))).row_sums()
    exact = phi[:, 0].astype(np.longdouble)
    np.testing.assert_allclose(host(sums), (exact * exact.sum() * np.longdouble(2.0**-40)).astype(float), rtol=1e-12)


def test_torch_cuda_series_that_is_refused():
    gaussian = importlib.import_module("alphacl_fast._cuda").gaussian_f64
    with pytest.raises(ValueError, match="tol: expected a number from 1e-30 to 1"):
        gaussian(there(np.zeros((3, 1))), 1.0, 2.0, "auto")
    with pytest.raises(ValueError, match="method: expected auto, tiles, fourier or sorted, got exact"):
        gaussian(there(np.zeros((3, 1))), 1.0, 1e-6, "exact")
    with pytest.raises(ValueError, match=r"method: expected auto, sorted or tiles .* got fourier"):
        acl.Gaussian(there(np.array([0.0, 1.0])), 1e-12, method="fourier").row_sums()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", ["lanczos", "power"])
def test_torch_cuda_power_iteration(method, dtype):
    rng = np.random.default_rng(8)
    a = rng.standard_normal((3, 33, 33)).astype(dtype)
    a = a @ a.transpose(0, 2, 1)
    found = acl.power_iteration(torch.from_numpy(a).to(DEVICE), method=method, max_iter=2000, gap=True)
    assert {t.device for t in found} == {DEVICE}
    assert bool(found.converged.all())
    exact = np.linalg.eigvalsh(a.astype(np.float64))[:, -1]
    np.testing.assert_allclose(host(found.eigenvalue), exact, rtol=2e-5 if dtype == np.float32 else 1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["none", "dense", "gaussian"])
def test_torch_cuda_out(name, dtype):
    x, x_aug = map(there, two_views(65, 9, dtype))
    alpha = moved(importance(name, 65, dtype))
    out = torch.full((9, 9), np.nan, dtype=x.dtype, device=DEVICE)
    assert acl.contrastive_cov(x, x_aug, alpha, out=out) is out
    assert torch.equal(out, acl.contrastive_cov(x, x_aug, alpha))
    outer = torch.full((3, 9, 9), np.nan, dtype=x.dtype, device=DEVICE)
    omega = torch.ones(65, 3, dtype=x.dtype, device=DEVICE)
    assert acl.gated_outer(x, omega, out=outer) is outer
    assert torch.equal(outer, acl.gated_outer(x, omega))


def test_torch_cuda_results_repeat_to_the_bit():
    x, x_aug = map(there, two_views(129, 66, np.float32))
    alpha = moved(importance("gaussian", 129, np.float32))
    first = acl.contrastive_cov(x, x_aug, alpha)
    for _ in range(3):
        assert torch.equal(acl.contrastive_cov(x, x_aug, alpha), first)


LAYERS = [("relu", "none"), ("linear", "gaussian"), (acl.LeakyReLU(0.125), "node"), (acl.Monomial(2), "array")]


def layer_of(n, d, dtype, activation, name):
    """Two views, three nodes, the importance and the matrices A(w) by their definition."""
    x, x_aug = two_views(n, d, dtype)
    w = np.random.default_rng(7).standard_normal((3, d)).astype(dtype)
    alpha = acl.NodeGaussian(0.5) if name == "node" else importance(name, n, dtype)
    return x, x_aug, w, alpha, reference.gated_cov(x, x_aug, w, activation=activation, alpha=alpha)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation, name", LAYERS, ids=str)
def test_torch_cuda_gated_covariance(activation, name, dtype):
    x, x_aug, w, given, truth = layer_of(67, 9, dtype, activation, name)
    layer = acl.GatedCovariance(*map(there, (x, x_aug, w)), activation=activation, alpha=moved(given))
    v = np.random.default_rng(9).standard_normal(w.shape).astype(dtype)
    products, wide = layer.matmul(there(v)), v.astype(np.float64)
    assert products.device == DEVICE
    naive = lambda: np.einsum(  # noqa: E731
        "kij,kj->ki", reference.gated_cov(x, x_aug, w, activation=activation, alpha=given, dtype=dtype), v
    )
    assert_contract(host(products), np.einsum("kij,kj->ki", truth, wide), naive, dtype)
    forms = np.einsum("ki,kij,kj->k", wide, truth, wide)
    close = {"rtol": 2e-6, "atol": 1e-6 * np.abs(forms).max()} if dtype == np.float32 else {"rtol": 1e-11}
    np.testing.assert_allclose(host(layer.quadratic(there(v))), forms, **close)
    np.testing.assert_allclose(host(layer.to_dense()), truth, atol=1e-6 * np.abs(truth).max(), rtol=0)
    one = layer.with_weights(there(w[1:2]))
    assert torch.equal(one.matmul(there(v[1:2])), products[1:2])
    assert torch.equal(layer.matmul(there(v)), products)


def test_torch_cuda_more_nodes_than_a_block_holds():
    """A node has the bits that it has alone, wherever it stands: blocks of 256 nodes, the last one shorter."""
    x, x_aug = map(there, two_views(5, 3, np.float64))
    w, v = np.random.default_rng(11).standard_normal((2, 300, 3))
    layer = acl.GatedCovariance(x, x_aug, there(w), alpha=acl.NodeGaussian(0.5))
    products = layer.matmul(there(v))
    for k in (0, 255, 256, 299):
        alone = layer.with_weights(there(w[k : k + 1])).matmul(there(v[k : k + 1]))
        assert torch.equal(products[k : k + 1], alone)


def test_torch_cuda_weights_and_alpha_weights_in_one_buffer():
    """Both begin at one address, with rows of other strides."""
    x, x_aug, _, given, _ = layer_of(33, 5, np.float64, "relu", "node")
    buffer = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).to(DEVICE)
    w, at = buffer[::2], buffer[:3]
    found = acl.GatedCovariance(there(x), there(x_aug), w, alpha=given, alpha_weights=at).matmul(w)
    expected = acl.GatedCovariance(there(x), there(x_aug), w.clone(), alpha=given, alpha_weights=at.clone()).matmul(w)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_torch_cuda_importance_of_other_inputs(activation):
    """α of the outputs of x0; what is added to all of a linear layer's inputs changes nothing."""
    x, x_aug, w, _, _ = layer_of(33, 5, np.float64, "relu", "node")
    x0 = np.random.default_rng(4).integers(-128, 128, x.shape) / 64  # exact in double, also 2^40 from 0
    truth = reference.gated_cov(x, x_aug, w, activation=activation, alpha=acl.NodeGaussian(0.5, x0))
    given = acl.NodeGaussian(0.5, there(x0 + 2.0**40 if activation == "linear" else x0))
    layer = acl.GatedCovariance(*map(there, (x, x_aug, w)), activation=activation, alpha=given)
    products, close = np.einsum("kij,kj->ki", truth, w), 1e-13
    np.testing.assert_allclose(host(layer.matmul(there(w))), products, rtol=0, atol=close * np.abs(products).max())
    found = acl.gated_cov(*map(there, (x, x_aug, w)), activation=activation, alpha=given)
    np.testing.assert_allclose(host(found), truth, rtol=0, atol=close * np.abs(truth).max())


def test_torch_cuda_copies_and_scipy_operators():
    x, x_aug, w, _, truth = layer_of(33, 5, np.float64, "relu", "none")
    layer = acl.GatedCovariance(*map(there, (x, x_aug, w)))
    v = there(w)
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(again @ v, layer @ v)
    np.testing.assert_allclose(layer.as_linear_operator(1) @ np.eye(5), truth[1], rtol=0, atol=1e-13)


def test_torch_cuda_refuses_what_does_not_fit_an_operator(monkeypatch):
    """The compiled class itself, as a stranger calls it."""
    x = there(two_views(5, 3, np.float64)[0])
    module = importlib.import_module("alphacl_fast._cuda")
    layer = module.GatedOperator_f64(x, x, x, "relu", 0.0, module.uniform_f64(5, False))
    out, wide = torch.empty_like(x), there(np.zeros((5, 4)))
    for v, active, text in (
        (x, np.array([0, 1, 2, 3, 5]), "active: expected rising indices below 5, got 5"),
        (x, np.array([0, 1, 1, 3, 4]), "active: expected rising indices below 5, got 1"),
        (x, np.arange(4), r"active: expected shape \(5,\)"),
        (wide, np.arange(5), r"v: expected shape \(any, 3\)"),
    ):
        with pytest.raises(ValueError, match=text):
            layer.matmul(v, active, out)
    with pytest.raises(ValueError, match=r"weights: expected shape \(any, 3\)"):
        layer.with_weights(wide)
    with pytest.raises(TypeError):
        module.GatedOperator_f64.with_weights(object(), x)
    with pytest.raises(ValueError, match="alpha: expected 5 samples"):
        module.GatedOperator_f64(x, x, x, "relu", 0.0, module.uniform_f64(4, False))
    monkeypatch.setattr(torch, "empty", None)  # where memory comes from: nothing is computed before a refusal
    views = x, x, module.uniform_f64(5, False)
    one = there(np.ones(1))
    with pytest.raises(ValueError, match=r"vectors: expected shape \(any, 3\), got \(5, 4\)"):
        module.laplacian_along(*views, wide, one, x, x)
    with pytest.raises(ValueError, match=r"weights: expected shape \(5,\), got \(1,\)"):
        module.laplacian_along(*views, x, one, x, x)
    with pytest.raises(ValueError, match=r"alpha_weights: expected shape \(5, 3\)"):
        module.GatedOperator_f64(x, x, x, "relu", 0.0, None, 1.0, 1e-12, x[:4])
    monkeypatch.undo()
    empty = there(np.zeros((5, 0)))
    none = module.GatedOperator_f64(empty, empty, empty, "relu", 0.0, module.uniform_f64(5, False))
    values, done = torch.empty_like(x[:, 0].contiguous()), torch.empty(5, dtype=torch.bool, device=DEVICE)
    none.top_eigenvalue_apart(empty, values.clone(), 1e-8, 10, 0, values, done)
    assert bool(done.all())
    assert bool((values == -np.inf).all())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", ["lanczos", "power"])
def test_torch_cuda_eigenpairs_by_products(method, dtype):
    x, x_aug, w, given, truth = layer_of(65, 7, dtype, "relu", "none")
    layer = acl.GatedCovariance(*map(there, (x, x_aug, w)), alpha=given)
    tol = 1e-3 if method == "power" else 1e-5 if dtype == np.float32 else 1e-9
    found = acl.power_iteration(layer, method=method, tol=tol, gap=True)
    assert {t.device for t in found} == {DEVICE}
    assert bool(found.converged.all())
    exact = np.linalg.eigvalsh(truth)
    np.testing.assert_allclose(host(found.eigenvalue), exact[:, -1], rtol=2 * tol)
    np.testing.assert_allclose(host(found.gap), exact[:, -1] - exact[:, -2], rtol=0, atol=2 * tol * exact.max())
    again = acl.power_iteration(layer, v0=found.eigenvector, method=method, tol=tol)
    assert bool(again.converged.all())
    assert bool((again.n_iter <= 2).all())


def test_torch_cuda_products_with_frozen_importance():
    x, x_aug, w, given, _ = layer_of(65, 7, np.float64, "relu", "node")
    at = np.random.default_rng(3).standard_normal(w.shape)
    layer = acl.GatedCovariance(*map(there, (x, x_aug, w)), alpha=given, alpha_weights=there(at))
    alphas = [reference.gaussian(np.maximum(x @ node, 0), given.tau) for node in at]
    truth = [reference.gated_cov(x, x_aug, w[k : k + 1], activation="relu", alpha=alphas[k])[0] for k in range(len(w))]
    np.testing.assert_allclose(host(layer.to_dense()), truth, rtol=0, atol=1e-13 * np.abs(truth).max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "activation, name, frozen", [("relu", "none", False), ("relu", "node", False), ("linear", "node", True)]
)
def test_torch_cuda_local_maxima(activation, name, frozen, dtype):
    """λ, residual, energy and gap are those of A(w) at the weights found, by the definition."""
    n, d = 65, 5
    x, x_aug = two_views(n, d, dtype)
    alpha = acl.NodeGaussian(2.0) if name == "node" else None
    starts = np.random.default_rng(5).standard_normal((3, d)).astype(dtype)
    options = {"activation": activation, "alpha": alpha, "frozen": frozen, "tol": 1e-3, "progress": False}
    found = acl.theory.find_local_maxima(there(x), there(x_aug), weights0=there(starts), **options)
    assert {t.device for t in found} == {DEVICE}
    assert bool(found.converged.all())
    w, wide = host(found.weights), [v.astype(np.float64) for v in (x, x_aug)]
    np.testing.assert_allclose(np.linalg.norm(w, axis=1), 1, rtol=1e-6)
    for k in range(len(w)):
        node = w[k : k + 1].astype(np.float64)
        given = alpha
        if frozen:
            at = starts[k].astype(np.float64)
            given = reference.gaussian(wide[0] @ (at / np.linalg.norm(at)), alpha.tau)
        a = reference.gated_cov(*wide, node, activation=activation, alpha=given)[0]
        value = node[0] @ a @ node[0]
        size, tol = np.linalg.norm(a, 2), 1e-5 if dtype == np.float32 else 1e-8
        np.testing.assert_allclose(host(found.eigenvalue)[k], value, rtol=0, atol=tol * size)
        np.testing.assert_allclose(host(found.energy)[k], value / 2, rtol=0, atol=tol * size)
        residual = np.linalg.norm(a @ node[0] - value * node[0])
        # The starts of a frozen importance are rounded before they are divided by their length.
        close = 1e-4 if frozen and dtype == np.float32 else 1e-6
        np.testing.assert_allclose(host(found.residual)[k], residual, rtol=close, atol=1e-12 * size)
        apart = np.eye(d) - np.outer(node[0], node[0])
        second = np.linalg.eigvalsh(apart @ a @ apart - 3 * size * np.outer(node[0], node[0]))[-1]
        np.testing.assert_allclose(host(found.gap)[k], value - second, rtol=0, atol=20 * tol * size)


@pytest.mark.skipif(not EMULATED, reason="its timings are a matter of minutes: benchmarks/gpu.sh")
def test_torch_cuda_timings_run_emulated():
    script = Path(__file__).parent.parent / "benchmarks" / "gpu.py"
    done = subprocess.run([sys.executable, script, "--emulated"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "emulated, no timing is meant" in done.stdout


@needs_gpu
def test_torch_cuda_current_stream():
    """What the stream still writes is read after it, and results come after that."""
    x, x_aug = map(there, two_views(257, 33, np.float32))
    alpha = moved(importance("gaussian", 257, np.float32))
    expected = acl.contrastive_cov(x, x_aug, alpha)
    torch.cuda.synchronize()
    stream, late, busy = torch.cuda.Stream(), torch.zeros_like(x), torch.ones(4096, 4096, device=DEVICE)
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        for _ in range(20):
            busy = busy @ busy * 1e-4
        late.copy_(x)
        found = acl.contrastive_cov(late, x_aug, alpha)
        doubled = 2 * found
    stream.synchronize()
    assert torch.equal(doubled, 2 * expected)
    assert torch.cuda.current_stream() != stream


@needs_gpu
def test_torch_cuda_leaves_the_current_device():
    if torch.cuda.device_count() < 2:
        pytest.skip("one GPU")
    x, x_aug = map(there, two_views(65, 9, np.float32))
    expected = acl.contrastive_cov(x, x_aug, acl.Gaussian(x, 1.0))
    torch.cuda.set_device(0)
    y, y_aug = x.to("cuda:1"), x_aug.to("cuda:1")
    found = acl.contrastive_cov(y, y_aug, acl.Gaussian(y, 1.0))
    assert found.device == torch.device("cuda:1")
    assert torch.cuda.current_device() == 0
    assert torch.equal(found.cpu(), expected.cpu())
    with pytest.raises(TypeError, match=r"^x_aug: expected a tensor on cuda:0 like x, got one on cuda:1$"):
        acl.contrastive_cov(x, y_aug)


@needs_gpu
def test_torch_cuda_refuses_tensors_of_the_cpu_among_others():
    x, x_aug = map(there, two_views(65, 9, np.float32))
    with pytest.raises(TypeError, match=r"^x_aug: expected a tensor on cuda:0 like x, got one on cpu$"):
        acl.contrastive_cov(x, x_aug.cpu())
    with pytest.raises((TypeError, ValueError), match="cuda:0"):
        acl.contrastive_cov(x, x_aug, acl.Gaussian(x.cpu(), 1.0))
    with pytest.raises((TypeError, ValueError), match=r"cuda:0|tensor"):
        acl.contrastive_cov(x, x_aug, out=torch.zeros(9, 9))
    with pytest.raises((TypeError, ValueError), match=r"cuda:0|tensor"):
        acl.losses.nt_xent(x, x_aug.cpu())


@needs_gpu
def test_torch_cuda_uses_the_allocator_of_torch():
    """Workspaces are torch's: they come back, and the peak has nothing of N × N."""
    x, x_aug = map(there, two_views(4096, 8, np.float32))
    alpha = acl.Gaussian(x, 1.0)
    acl.contrastive_cov(x, x_aug, alpha)
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    result = acl.contrastive_cov(x, x_aug, alpha)
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() - before <= 512 + result.numel() * 4
    assert torch.cuda.max_memory_allocated() - before < 4096 * 4096
