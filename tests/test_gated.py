"""Gated outer products and covariances against their definition: importances × activations × dtypes."""

import numpy as np
import pytest
from support import (
    ACTIVATIONS,
    DTYPES,
    IMPORTANCES,
    assert_contract,
    importance,
    inside,
    relative_error,
    torch,
    two_views,
)

import alphacl_fast as acl
from alphacl_fast import reference


def _nodes(k, d, dtype, seed=0):
    w = np.random.default_rng([seed, k, d]).standard_normal((k, d))
    return inside(w / np.linalg.norm(w, axis=1, keepdims=True), dtype)


def _check(x, x_aug, w, activation, alpha):
    dtype = w.dtype
    ours = acl.gated_cov(x, x_aug, w, activation=activation, alpha=alpha)
    truth = reference.gated_cov(x, x_aug, w, activation=activation, alpha=alpha)
    naive = reference.gated_cov(x, x_aug, w, activation=activation, alpha=alpha, dtype=dtype.type)
    for k in range(len(w)):
        assert_contract(ours[k], truth[k], lambda k=k: naive[k], dtype)
        np.testing.assert_array_equal(ours[k], ours[k].T)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.parametrize("name", IMPORTANCES)
def test_shared_importances(name, activation, dtype):
    x, x_aug = two_views(150, 7, dtype)
    _check(x, x_aug, _nodes(3, 7, dtype), activation, importance(name, 150, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.parametrize("tau", [1e-2, 0.5, 50.0])
@pytest.mark.parametrize("other_inputs", [False, True])
def test_node_gaussian(other_inputs, tau, activation, dtype):
    x, x_aug = two_views(400, 5, dtype, seed=1)
    x0 = inside(np.random.default_rng(3).standard_normal((400, 5)), dtype) if other_inputs else None
    _check(x, x_aug, _nodes(2, 5, dtype), activation, acl.NodeGaussian(tau, x0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 31, 257, 600])
@pytest.mark.parametrize("d", [1, 3, 33, 129])
def test_shapes(d, n, dtype):
    x, x_aug = two_views(n, d, dtype, seed=2)
    for alpha in (None, acl.NodeGaussian(0.3)):
        _check(x, x_aug, _nodes(2, d, dtype), "relu", alpha)


@pytest.mark.parametrize("dtype", DTYPES)
def test_narrow_gaussian_of_scalars_shared_by_all_nodes(dtype):
    """The sorted blocks, restricted to the open gates of each node."""
    x, x_aug = two_views(900, 4, dtype, seed=4)
    f = inside(np.random.default_rng(5).standard_normal(900), dtype)
    _check(x, x_aug, _nodes(2, 4, dtype), "relu", acl.Gaussian(f, 1e-5))


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("form", ["square", "softplus"])
def test_a_kink_within_tight_clusters(form, activation):
    """D and the product of the open samples are centred apart, and still have to meet the same distances."""
    rng = np.random.default_rng(5)
    x = inside(
        0.17 * rng.standard_normal((8, 5))[np.arange(147) % 8] + 5e-4 * rng.standard_normal((147, 5)), np.float32
    )
    alpha = acl.importance.PairImportance(x, 1.4e7, form, rng.standard_normal(147), rng.uniform(0, 2, 147))
    ours = acl.gated_cov(x, x, _nodes(5, 5, np.float32), activation=activation, alpha=alpha)
    truth = reference.gated_cov(x, x, _nodes(5, 5, np.float32), activation=activation, alpha=alpha)
    assert relative_error(ours, truth) < 1e-6  # 1e-5 where distances of the square were products


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [384, 512, 1000])
@pytest.mark.parametrize("method", ["fourier", "tiles"])
def test_a_view_without_spread_beside_one_with_gates(method, n, dtype):
    """Of the first view nothing is left but the rounding of two equal numbers, each four times the result."""
    x = np.ones((n, 1), dtype)
    x_aug = inside(x + 0.8 * np.random.default_rng(n).standard_normal((n, 1)), dtype)
    ours = acl.gated_cov(
        x, x_aug, np.ones((1, 1), dtype), activation="relu", alpha=acl.Gaussian(x, 0.16, method=method)
    )
    truth = reference.gated_cov(x, x_aug, np.ones((1, 1)), activation="relu")
    assert_contract(ours, truth, lambda: truth, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_offset_of_the_data(dtype):
    """Linear nodes do not see it; gates that are all open cancel in float32 and are computed again in double."""
    x, x_aug = two_views(300, 5, dtype, seed=6)
    w = np.abs(_nodes(2, 5, dtype))
    offset = dtype(30)
    for activation in ("linear", "relu"):
        _check(x + offset, x_aug + offset, w, activation, None)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n, d, k", [(1, 1, 1), (33, 3, 70), (700, 129, 2), (3000, 17, 3)])
def test_gated_outer(n, d, k, dtype):
    x, _ = two_views(n, d, dtype)
    rng = np.random.default_rng([n, d, k])
    omega = inside(rng.standard_normal((n, k)) * (rng.random((n, k)) > 0.5), dtype)
    ours = acl.gated_outer(x, omega)
    truth = reference.gated_outer(x, omega)
    scale = reference.gated_outer(x, np.abs(omega))
    assert ours.dtype == dtype
    assert np.linalg.norm(ours - truth) <= (1e-6 if dtype == np.float32 else 1e-13) * np.linalg.norm(scale)
    np.testing.assert_array_equal(ours, ours.transpose(0, 2, 1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("view", ["reversed", "one row for all", "far apart"])
def test_rows_in_any_order_of_memory(view, dtype):
    """Also where the BLAS cannot take them as they are: it wants rows that rise and do not overlap."""

    def seen(a):
        if view == "one row for all":
            return np.broadcast_to(a[0], a.shape)
        if view == "far apart":
            return np.repeat(a, 3, axis=0)[::3]
        return a[::-1].copy()[::-1]

    x, x_aug = (seen(v) for v in two_views(300, 5, dtype, seed=8))
    x0 = seen(np.random.default_rng(8).standard_normal((300, 5)).astype(dtype))
    for alpha in (None, acl.NodeGaussian(0.5, x0)):
        _check(x, x_aug, _nodes(2, 5, dtype), "relu", alpha)


def test_closed_gates_leave_nothing():
    x, x_aug = (-np.abs(v) for v in two_views(40, 3, np.float64))
    assert not acl.gated_cov(x, x_aug, np.ones((2, 3))).any()
    assert not acl.gated_outer(x, np.zeros((40, 2))).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("views", ["independent", "x alone", "x' alone"])
@pytest.mark.parametrize("name", ["uniform", "dense", "low_rank", "gaussian_scalar", "gaussian", "node gaussian"])
def test_gates_open_in_one_view_only(name, views, dtype):
    """Such a sample is one weighted outer product; more of them than the kernels take at a time."""
    n, d = 1500, 5
    x, x_aug = two_views(n, d, dtype, seed=10, noise=20.0)
    w = _nodes(2, d, dtype)
    if views != "independent":  # of node 0; node 1 sees whatever it sees
        sign = dtype(1 if views == "x alone" else -1)
        x, x_aug = (s * v * np.sign(v @ w[0])[:, None] for s, v in ((sign, x), (-sign, x_aug)))
    _check(x, x_aug, w, "relu", acl.NodeGaussian(0.5) if name == "node gaussian" else importance(name, n, dtype))


@pytest.mark.parametrize("n, d", [(2300, 5), (200, 530)])
def test_gates_open_in_one_view_only_in_groups_and_blocks(n, d):
    """Several groups of rows of one node; several blocks of columns."""
    x, x_aug = two_views(n, d, np.float32, seed=11, noise=1.0)
    for alpha in (None, acl.NodeGaussian(0.5)):
        _check(x, x_aug, _nodes(1, d, np.float32), "relu", alpha)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [7, 9, 70])
def test_few_and_many_nodes(k, dtype):
    """Few nodes are computed one after the other, more of them at once, above 64 in blocks."""
    x, x_aug = two_views(2300, 4, dtype, seed=7)
    for alpha in (None, acl.NodeGaussian(0.5)):
        w = _nodes(k, 4, dtype)
        ours = acl.gated_cov(x, x_aug, w, alpha=alpha)
        picked = [0, k - 1]
        truth = reference.gated_cov(x, x_aug, w[picked], alpha=alpha)
        for a, b in zip(ours[picked], truth, strict=True):
            assert relative_error(a, b) < {np.float32: 2e-6, np.float64: 2e-12}[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("share", [0.0, 1e-9, 0.3])
def test_importances_whose_row_and_column_sums_nearly_cancel(share, dtype):
    """D = r + c is nothing beside R = r, or of the other sign."""
    x, x_aug = two_views(120, 5, dtype, seed=8)
    a = np.random.default_rng(9).standard_normal((120, 120))
    _check(x, x_aug, _nodes(2, 5, dtype), "relu", ((a - a.T) + share * (a + a.T)).astype(dtype))


def test_quadratic_form_is_the_covariance_of_the_output():
    """wᵀA(w)w = c² C_α[h(wᵀx)]."""
    x, x_aug = two_views(200, 6, np.float64)
    w = _nodes(3, 6, np.float64)
    for activation, c in (("relu", 1), (acl.LeakyReLU(0.2), 1), (acl.Monomial(3), 3)):
        a = acl.gated_cov(x, x_aug, w, activation=activation)
        for k in range(3):
            h, h_aug = (reference.activate(activation, v @ w[k])[:, None] for v in (x, x_aug))
            assert w[k] @ a[k] @ w[k] == pytest.approx(c**2 * acl.contrastive_cov(h, h_aug)[0, 0], rel=1e-11)


def test_many_threads_change_no_bit():
    x, x_aug = two_views(2500, 9, np.float32)
    w = _nodes(5, 9, np.float32)

    def results(threads):
        acl.set_num_threads(threads)
        covariances = [acl.gated_cov(x, x_aug, w, alpha=a) for a in (None, acl.NodeGaussian(0.3))]
        return [*covariances, acl.gated_outer(x, x_aug)]

    try:
        one = results(1)
        for threads in (2, 3, 8):
            for a, b in zip(one, results(threads), strict=True):
                np.testing.assert_array_equal(a, b)
    finally:
        acl.set_num_threads(None)


def test_torch_tensors():
    t = torch()
    x, x_aug = two_views(60, 4, np.float32)
    w = _nodes(2, 4, np.float32)
    tensors = [t.from_numpy(np.ascontiguousarray(a)) for a in (x, x_aug, w)]
    out = acl.gated_cov(*tensors, alpha=acl.NodeGaussian(0.5, tensors[0]))
    assert isinstance(out, t.Tensor)
    np.testing.assert_array_equal(out.numpy(), acl.gated_cov(x, x_aug, w, alpha=acl.NodeGaussian(0.5)))
    outer = t.empty(4, 4, 4)
    assert acl.gated_outer(tensors[0], tensors[1], out=outer) is outer
    assert relative_error(outer.numpy(), reference.gated_outer(x, x_aug)) < 1e-6
    with pytest.raises(RuntimeError, match="weights: requires grad"):
        acl.gated_cov(tensors[0], tensors[1], tensors[2].clone().requires_grad_())


def test_nan_in_gives_nan_out():
    x, x_aug = two_views(50, 3, np.float64)
    w = _nodes(2, 3, np.float64)
    x[7, 1] = np.nan
    for alpha in (None, acl.NodeGaussian(0.4)):
        assert np.isnan(acl.gated_cov(x, x_aug, w, alpha=alpha)).any(axis=(1, 2)).all()


@pytest.mark.parametrize(
    "change, error, text",
    [
        ({"weights": np.zeros((2, 4))}, ValueError, r"weights: expected shape \(K, 3\) for x of .*, got \(2, 4\)"),
        ({"weights": np.zeros((0, 3))}, ValueError, "weights: expected at least one node"),
        ({"weights": np.zeros((2, 3), np.float32)}, TypeError, "weights: expected float64 like x, got float32"),
        ({"activation": "tanh"}, ValueError, r"activation: expected 'linear', 'relu', LeakyReLU\(slope\) or Monomial"),
        ({"alpha": acl.NodeGaussian(1.0, np.zeros((8, 3)))}, ValueError, r"x0: expected shape \(9, 3\) like x"),
        ({"alpha": "uniform"}, TypeError, "alpha: expected an importance"),
        ({"out": np.zeros((2, 2, 3))}, ValueError, r"out: expected shape \(2, 3, 3\), got \(2, 2, 3\)"),
    ],
)
def test_errors(change, error, text):
    arguments = {"weights": np.ones((2, 3)), "activation": "relu", "alpha": None, "out": None} | change
    x, x_aug = two_views(9, 3, np.float64)
    with pytest.raises(error, match=text):
        acl.gated_cov(x, x_aug, arguments.pop("weights"), **arguments)


def test_errors_of_the_parts():
    x, _ = two_views(9, 3, np.float64)
    with pytest.raises(ValueError, match=r"omega: expected 9 rows like x, got shape \(8, 2\)"):
        acl.gated_outer(x, np.ones((8, 2)))
    with pytest.raises(TypeError, match="alpha: expected an importance"):
        acl.contrastive_cov(x, x, acl.NodeGaussian(1.0))
    for make, error, text in (
        (lambda: acl.NodeGaussian(0), ValueError, "tau: expected a positive finite number"),
        (lambda: acl.LeakyReLU("a"), TypeError, "slope: expected a number, got str"),
        (lambda: acl.LeakyReLU(np.nan), ValueError, "slope: expected a finite number, got nan"),
        (lambda: acl.Monomial(1.5), TypeError, "q: expected a positive integer, got float"),
        (lambda: acl.LeakyReLU(np.array([0.5])), TypeError, r"slope: expected a number, got ndarray of shape \(1,\)"),
        (lambda: acl.LeakyReLU(10**400), ValueError, "slope: expected a finite number, got one beyond float64"),
        (lambda: acl.Monomial(0), ValueError, r"q: expected a positive integer up to 2\^53, got 0"),
        (lambda: acl.Monomial(10**400), ValueError, r"q: expected a positive integer up to 2\^53, got one of many"),
        (lambda: acl.Monomial(np.array([2])), TypeError, "q: expected a positive integer, got ndarray"),
    ):
        with pytest.raises(error, match=text):
            make()
