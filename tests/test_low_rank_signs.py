"""LowRank(phi, signs): the bits of α = φφᵀ where all signs are 1, factors that cancel, what signs may be."""

import numpy as np
import pytest
from support import DTYPES, assert_contract, check, relative_error, run_python, two_views
from support import torch as import_torch

import alphacl_fast as acl
from alphacl_fast import reference


def _phi(n, p, dtype, seed=0):
    return np.random.default_rng([seed, n, p]).standard_normal((n, p)).astype(dtype)


def _everything(x, x_aug, alpha):
    w = x[:3]
    yield acl.contrastive_cov(x, x_aug, alpha)
    yield acl.energy(x, x_aug, alpha)
    yield alpha.row_sums()
    yield alpha.matmul(x)
    yield alpha.to_dense()
    yield acl.gated_cov(x, x_aug, w, alpha=alpha)
    yield acl.GatedCovariance(x, x_aug, w, alpha=alpha).matmul(w)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [1, 3, 70])
def test_signs_of_one_give_the_bits_of_none(p, dtype):
    x, x_aug = two_views(300, 7, dtype)
    phi = _phi(300, p, dtype)
    for ours, expected in zip(
        _everything(x, x_aug, acl.LowRank(phi, np.ones(p))), _everything(x, x_aug, acl.LowRank(phi)), strict=True
    ):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n, d, p", [(1, 1, 1), (2, 3, 2), (300, 6, 5), (65, 20, 70)])
def test_sums(n, d, p, dtype):
    x, x_aug = two_views(n, d, dtype)
    rng = np.random.default_rng(p)
    for signs in (-np.ones(p), rng.standard_normal(p), 10 ** rng.uniform(-6, 6, p) * rng.choice([-1, 1], p)):
        check(x, x_aug, acl.LowRank(_phi(n, p, dtype), signs))
        check(x, x.copy(), acl.LowRank(_phi(n, p, dtype), signs))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e2, 1e4, 1e6, 1e8])
def test_factors_that_cancel(size, dtype):
    """Two large parts of opposite signs and a small one, which is the result: all in one factor, and nearly equal."""
    x, x_aug = two_views(200, 4, dtype)
    phi = _phi(200, 3, dtype)
    phi[:, 1] = phi[:, 0]
    check(x, x_aug, acl.LowRank(phi, [size, -size, 1.0]))
    check(x, x.copy(), acl.LowRank(phi, [size, -size, 1.0]))
    phi[:, 0] += 3
    phi[:, 1] = phi[:, 0] * dtype(1 + 1e-4)
    check(x, x_aug, acl.LowRank(phi, [size, -size, 1.0]))


@pytest.mark.parametrize("mean", [0, 140])
@pytest.mark.parametrize("n, columns", [(1, 1), (33, 16), (700, 40), (9000, 3)])
@pytest.mark.parametrize("signs, dtype", [((1e8, -1e8 - 1), np.float64), ((1e4, -1e4 - 1), np.float32)])
def test_products_of_factors_that_cancel(signs, dtype, n, columns, mean):
    """α is exact in the dtype, so all digits of a product are asked for; moments are large, or (mean 0) rounding."""
    rng = np.random.default_rng(n + columns)
    phi = np.ones((n, 3), dtype)
    phi[:, 2] = np.arange(n) % 3 == 0
    y = rng.standard_normal((n, columns))
    y = (y - y.mean(0) + mean + (n == 1)).astype(dtype)
    alpha = acl.LowRank(phi, [*signs, 0.5])
    ones, part = phi[:, :1].astype(np.longdouble), phi[:, 2:].astype(np.longdouble)
    exact = -ones @ (ones.T @ y) + 0.5 * part @ (part.T @ y)
    product = alpha.matmul(y)
    assert relative_error(product, exact) <= {4: 1e-6, 8: 1e-13}[np.dtype(dtype).itemsize]
    acl.set_num_threads(3)
    try:
        np.testing.assert_array_equal(product, alpha.matmul(y))
    finally:
        acl.set_num_threads(None)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e2, 1e4, 1e6])
def test_gradients_of_factors_that_cancel_in_torch(size, dtype):
    torch = import_torch()
    x, x_aug = two_views(120, 4, dtype)
    phi = _phi(120, 3, dtype)
    phi[:, 1] = phi[:, 0]
    signs = np.array([size, -size, 1.0])
    views = [torch.tensor(v, requires_grad=True) for v in (x, x_aug)]
    acl.energy(*views, acl.LowRank(torch.tensor(phi), signs)).backward()

    def literal(exact):
        a, b = x.astype(exact), x_aug.astype(exact)
        alpha = reference.low_rank(phi, signs, dtype=exact)
        beta, r = alpha + alpha.T, alpha.sum(1)[:, None]
        inter = np.stack([(row[:, None] * (own - a)).sum(0) for own, row in zip(a, beta, strict=True)])
        scale = exact(1) / exact(2 * len(x) ** 2)
        return scale * (inter - r * (a - b)), scale * (r * (a - b))

    exact = np.float64 if dtype == np.float32 else np.longdouble
    for view, truth, naive in zip(views, literal(exact), literal(dtype), strict=True):
        assert_contract(view.grad.numpy(), truth, lambda naive=naive: naive, np.dtype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_gated_factors_that_cancel(activation, dtype):
    x, x_aug = two_views(150, 5, dtype)
    w = np.random.default_rng(4).standard_normal((3, 5)).astype(dtype)
    phi = _phi(150, 3, dtype)
    phi[:, 1] = phi[:, 0]
    alpha = acl.LowRank(phi, [1e4, -1e4, 1.0])
    exact = np.float64 if dtype == np.float32 else np.longdouble
    ours = acl.gated_cov(x, x_aug, w, activation=activation, alpha=alpha)
    truth = reference.gated_cov(x, x_aug, w, activation=activation, alpha=alpha, dtype=exact)
    naive = reference.gated_cov(x, x_aug, w, activation=activation, alpha=alpha, dtype=dtype)
    for k in range(3):
        assert_contract(ours[k], truth[k], lambda k=k: naive[k], dtype)


def test_a_task_is_the_negative_of_its_targets():
    """α = −ỸỸᵀ of centred targets: r = 0, and without augmentation C[h] = ‖Ỹᵀh‖²/N² for a scalar h."""
    rng = np.random.default_rng(6)
    targets = np.eye(5)[rng.integers(0, 5, 400)]
    targets -= targets.mean(0)
    h = rng.standard_normal((400, 1))
    alpha = acl.LowRank(targets, -np.ones(5))
    np.testing.assert_allclose(alpha.row_sums(), 0, atol=1e-12)
    expected = np.linalg.norm(targets.T @ h) ** 2 / 400**2
    np.testing.assert_allclose(acl.contrastive_cov(h, h, alpha), [[expected]], rtol=1e-11)


def test_row_sums_that_cancel():
    """Twice the digits of a double: what is left is right to the last."""
    phi = _phi(5000, 2, np.float64)
    phi[:, 1] = phi[:, 0]
    alpha = acl.LowRank(phi, [1.0, -1.0 + 2.0**-40])
    truth = phi[:, 0].astype(np.longdouble) * phi[:, 0].astype(np.longdouble).sum() * np.longdouble(2.0**-40)
    np.testing.assert_allclose(alpha.row_sums(), truth.astype(float), rtol=1e-12)


def test_same_bits_for_any_number_of_threads():
    code = """
import numpy as np, alphacl_fast as acl
rng = np.random.default_rng(0)
x, phi = rng.standard_normal((9000, 7)), rng.standard_normal((9000, 4))
alpha = acl.LowRank(phi, [1, -2, 3, -4])
bits = set()
for threads in (1, 2, 5):
    acl.set_num_threads(threads)
    bits.add(acl.contrastive_cov(x, x + 1, alpha).tobytes() + alpha.row_sums().tobytes() + alpha.matmul(x).tobytes())
assert len(bits) == 1
"""
    run_python(code)


@pytest.mark.parametrize("signs", [[1, -2], (1.0, -2.0), np.array([1, -2], np.int8), np.array([1, -2], np.float32)])
def test_what_signs_may_be(signs):
    alpha = acl.LowRank(_phi(9, 2, np.float32), signs)
    assert alpha.signs.dtype == np.float64
    np.testing.assert_array_equal(alpha.signs, [1, -2])


@pytest.mark.parametrize(
    "signs, error, text",
    [
        ([1.0], ValueError, "expected 2 numbers like columns of phi, got 1"),
        (1.0, ValueError, r"expected one number per column of the factor, got shape \(\)"),
        ([[1.0, 2.0]], ValueError, r"expected one number per column of the factor, got shape \(1, 2\)"),
        (["+", "-"], TypeError, "expected real numbers, one per column of the factor, got list"),
        (np.ones(2, complex), TypeError, "expected real numbers, one per column of the factor, got complex128"),
    ],
)
def test_signs_that_are_refused(signs, error, text):
    with pytest.raises(error, match=f"^signs: {text}$"):
        acl.LowRank(_phi(9, 2, np.float64), signs)


def test_signs_that_are_not_finite_give_nan():
    x, x_aug = two_views(20, 3, np.float64)
    for bad in (np.nan, np.inf):
        assert np.isnan(acl.contrastive_cov(x, x_aug, acl.LowRank(_phi(20, 2, np.float64), [1.0, bad]))).all()


def test_torch_signs():
    torch = import_torch()
    x, x_aug = two_views(40, 3, np.float32)
    phi = _phi(40, 2, np.float32)
    expected = acl.contrastive_cov(x, x_aug, acl.LowRank(phi, [1.0, -0.5]))
    views = torch.tensor(x), torch.tensor(x_aug)
    for signs in ([1.0, -0.5], torch.tensor([1.0, -0.5]), torch.tensor([1.0, -0.5], dtype=torch.float64)):
        ours = acl.contrastive_cov(*views, acl.LowRank(torch.tensor(phi), signs))
        np.testing.assert_array_equal(ours.numpy(), expected)
    learned = acl.LowRank(torch.tensor(phi), torch.tensor([1.0, -0.5], requires_grad=True))
    with pytest.raises(RuntimeError, match=r"^signs: requires grad, but LowRank has no derivative here"):
        acl.contrastive_cov(*views, learned)
