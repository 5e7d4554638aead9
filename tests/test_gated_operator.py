"""Gated covariances that are never formed: products against the definition, importances × activations × dtypes."""

import copy
import pickle

import numpy as np
import pytest
from support import ACTIVATIONS, DTYPES, IMPORTANCES, assert_contract, importance, inside, torch, two_views

import alphacl_fast as acl
from alphacl_fast import reference


def _nodes(k, d, dtype, seed=0):
    w = np.random.default_rng([seed, k, d]).standard_normal((k, d))
    return inside(w / np.linalg.norm(w, axis=1, keepdims=True), dtype)


def _product(matrices, v):
    return np.einsum("kij,kj->ki", matrices, v)


def _check(x, x_aug, w, activation, alpha, exact=np.float64):
    dtype = w.dtype
    v = _nodes(*w.shape, dtype, seed=9)
    layer = acl.GatedCovariance(x, x_aug, w, activation=activation, alpha=alpha)
    truth = reference.gated_cov(x, x_aug, w, activation=activation, alpha=alpha, dtype=exact)

    def naive():
        return _product(reference.gated_cov(x, x_aug, w, activation=activation, alpha=alpha, dtype=dtype.type), v)

    products = layer.matmul(v)
    assert_contract(products, _product(truth, v.astype(exact)), naive, dtype)
    expected = np.einsum("kd,kd->k", v, products, dtype=np.float64)
    np.testing.assert_allclose(layer.quadratic(v), expected, rtol=1e-6 if dtype == np.float32 else 1e-13, atol=0)


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
@pytest.mark.parametrize("tau", [1e-3, 3e-4, 1e-4, 1e-5])
@pytest.mark.parametrize("other_inputs", [False, True])
def test_narrow_node_gaussian(other_inputs, tau, dtype):
    """Series of up to some hundred terms, and the sorted blocks beyond."""
    x, x_aug = two_views(2300, 3, dtype, seed=12)
    x0 = inside(np.random.default_rng(13).standard_normal((2300, 3)), dtype) if other_inputs else None
    _check(x, x_aug, _nodes(2, 3, dtype), "relu", acl.NodeGaussian(tau, x0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 31, 257, 600])
@pytest.mark.parametrize("d", [1, 3, 33, 129])
def test_shapes(d, n, dtype):
    x, x_aug = two_views(n, d, dtype, seed=2)
    for alpha in (None, acl.NodeGaussian(0.3)):
        _check(x, x_aug, _nodes(2, d, dtype), "relu", alpha)


@pytest.mark.parametrize("alpha", [None, acl.NodeGaussian(0.3)], ids=["uniform", "node gaussian"])
def test_more_nodes_than_a_block_holds(alpha):
    """Blocks of nodes, and pre-activations computed again at each product, agree with the ones that are kept."""
    x, x_aug = two_views(70_000, 2, np.float32)
    w, v = _nodes(600, 2, np.float32), _nodes(600, 2, np.float32, seed=1)
    whole = acl.GatedCovariance(x, x_aug, w, alpha=alpha).matmul(v)
    few = [0, 17, 300, 599]
    part = acl.GatedCovariance(x, x_aug, w[few], alpha=alpha).matmul(v[few])
    np.testing.assert_allclose(whole[few], part, rtol=2e-5, atol=1e-7)


def test_an_offset_of_linear_nodes_changes_nothing():
    x, x_aug = two_views(300, 5, np.float32, seed=6)
    _check(x + np.float32(1e4), x_aug + np.float32(1e4), _nodes(2, 5, np.float32), "linear", acl.NodeGaussian(0.5))


@pytest.mark.parametrize("offset", [30, 300])
@pytest.mark.parametrize("alpha", [None, acl.NodeGaussian(0.5)], ids=["uniform", "node gaussian"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("activation", ["relu", acl.LeakyReLU(0.1), acl.Monomial(2)], ids=str)
def test_an_offset_of_the_data_where_gates_are_alike(activation, sign, alpha, offset):
    """All open or all closed, or powers of nearly one number: float32 keeps the digits that the offset would cost."""
    x, x_aug = (v + np.float32(offset) for v in two_views(300, 5, np.float32, seed=6))
    _check(x, x_aug, sign * np.abs(_nodes(2, 5, np.float32)), activation, alpha)


@pytest.mark.parametrize("n, offset", [(300, 30), (300, 300), (2300, 300)])
@pytest.mark.parametrize("sign, tau", [(1, None), (1, 0.5), (1, 0.01), (-1, None), (-1, 0.5)])
@pytest.mark.parametrize("activation", ["relu", acl.LeakyReLU(0.1)], ids=str)
def test_an_offset_of_the_data_where_few_gates_differ(activation, sign, tau, n, offset):
    alpha = None if tau is None else acl.NodeGaussian(tau)
    x, x_aug = (v + np.float32(offset) for v in two_views(n, 5, np.float32, seed=6))
    x[:3] *= -1
    _check(x, x_aug, sign * np.abs(_nodes(2, 5, np.float32)), activation, alpha)


@pytest.mark.parametrize("tau", [0.5, 1e-3])
@pytest.mark.parametrize("offset, own", [(300, 0), (0, 300)])
@pytest.mark.parametrize("activation", ["linear", acl.LeakyReLU(0.1), acl.Monomial(2)], ids=str)
def test_offsets_of_the_data_and_of_the_inputs_of_the_importance(activation, offset, own, tau):
    x, x_aug = (v + np.float32(offset) for v in two_views(300, 5, np.float32, seed=6))
    x0 = two_views(300, 5, np.float32, seed=8)[0] + np.float32(own)
    _check(x, x_aug, np.abs(_nodes(2, 5, np.float32)), activation, acl.NodeGaussian(tau, x0))


EXACT_DATA = {
    "one-hot": lambda rng, n, d: np.eye(d)[rng.integers(0, d, n)],
    "ternary": lambda rng, n, d: rng.integers(-1, 2, (n, d)),
    "zeros and ones": lambda rng, n, d: rng.integers(0, 2, (n, d)),
    "integers": lambda rng, n, d: rng.integers(-3, 4, (n, d)),
    "rows of zeros": lambda rng, n, d: rng.standard_normal((n, d)) * rng.integers(0, 2, (n, 1)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", EXACT_DATA)
@pytest.mark.parametrize("ternary_nodes", [False, True])
def test_gates_are_closed_where_the_output_is_0(ternary_nodes, kind, dtype):
    """Products of such data are exact, and h'(0) = 0: also where 0 comes out as w·(x − mean) + w·mean."""
    rng = np.random.default_rng(11)
    x, x_aug = (EXACT_DATA[kind](rng, 90, 7).astype(dtype) for _ in range(2))
    w = rng.integers(-1, 2, (3, 7)).astype(dtype) if ternary_nodes else _nodes(3, 7, dtype) * np.eye(3, 7, dtype=dtype)
    assert (x @ w.T == 0).any()
    for alpha in (None, acl.NodeGaussian(0.5), acl.NodeGaussian(0.5, x_aug), acl.Gaussian(x.copy(), 2.0)):
        for activation in ("relu", acl.LeakyReLU(0.1)):
            _check(x, x_aug, w, activation, alpha, np.longdouble if dtype == np.float64 else np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [50, 300])
@pytest.mark.parametrize("activation", ["linear", "relu", acl.Monomial(2)], ids=str)
@pytest.mark.parametrize("name", ["gaussian", "narrow gaussian", "array", "rows", "scalars", "one cluster a sample"])
def test_importances_near_the_identity(name, activation, n, dtype):
    """α_ij of j ≠ i is all that counts where the views agree: what α_ii = 1 adds must leave no rounding behind."""
    rng = np.random.default_rng(12)
    x = rng.standard_normal((n, 5)).astype(dtype)
    alpha = {
        "gaussian": lambda: acl.Gaussian(x, 0.05),
        "narrow gaussian": lambda: acl.Gaussian(x, 0.02),
        "array": lambda: np.eye(n, dtype=dtype) + dtype(1e-5) * rng.uniform(0, 1, (n, n)).astype(dtype),
        "rows": lambda: acl.Direct(x, p=2, tau=0.01, normalize=False),
        "scalars": lambda: acl.Gaussian(np.arange(n, dtype=dtype), 0.1),
        "one cluster a sample": lambda: acl.NodeGaussian(1e-5),
    }[name]()
    w = _nodes(2, 5, dtype)
    truth = reference.gated_cov(x, x, w, activation=activation, alpha=alpha)
    products = acl.GatedCovariance(x, x, w, activation=activation, alpha=alpha).matmul(w)
    expected = _product(truth, w.astype(np.float64))
    # Of a node's own α the exponents Δ²/2τ themselves are known to no more than ε Δ/τ.
    tol = 2e-4 if dtype == np.float32 and name == "one cluster a sample" else 2e-6 if dtype == np.float32 else 1e-11
    assert np.linalg.norm(products - expected) <= tol * np.linalg.norm(expected)


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("near", [1e-3, 1e-6])
def test_near_views_of_distant_samples(near, activation):
    """α_ij of j ≠ i is at most e^-420: A v is that of the differences of the views, small beside the samples."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((40, 8))
    nearest = ((x[:, None] - x) ** 2).sum(2)[~np.eye(40, dtype=bool)].min()
    x_aug = x + near * rng.standard_normal((40, 8))
    w = _nodes(6, 8, np.dtype(np.float64))
    _check(x, x_aug, w, activation, acl.Gaussian(x, nearest / 840), np.longdouble)


@pytest.mark.parametrize("n", [128, 1100])
@pytest.mark.parametrize("seed", range(6))
def test_products_over_tight_clusters(seed, n):
    """Samples of a cluster have the errors of their sums in common: what is left of the sums is a 28th of them."""
    rng = np.random.default_rng(seed)
    centres = 3.3 * rng.standard_normal((5, 8))
    x = (centres[rng.integers(0, 5, n)] + 1.5e-3 * rng.standard_normal((n, 8))).astype(np.float32)
    v = rng.standard_normal((60, 8)).astype(np.float32)
    wide = x.astype(np.float64)
    for p, tau in ((3, 40), (2, 10)):
        dense = reference.direct(wide, p, tau, normalize=False)
        truth = v.astype(np.float64) @ reference.contrastive_cov(wide, wide, alpha=dense)
        alpha = acl.Direct(x, p, tau, normalize=False)
        layer = acl.GatedCovariance(x, x, np.ones((60, 8), np.float32), activation="linear", alpha=alpha)
        error = np.linalg.norm(layer.matmul(v) - truth, axis=1)
        assert (error <= 3e-6 * np.linalg.norm(truth, axis=1)).all()


@pytest.mark.parametrize("tau", [0.1, 0.03, 0.01, 1e-3])
@pytest.mark.parametrize("n, open_ones", [(300, 3), (3000, 3), (3000, 50)])
def test_few_open_samples_beside_many_of_one_output(n, open_ones, tau):
    """What tol leaves in the importance of one pair must not add up over all that are closed."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n, 3))
    x[:, 0] = -5 + 0.5 * rng.standard_normal(n)
    x[:open_ones, 0] = np.linspace(6, 4, open_ones)
    x_aug = (x + 0.05 * rng.standard_normal((n, 3))).astype(np.float32)
    x, w, v = x.astype(np.float32), np.float32([[1, 0, 0]]), _nodes(1, 3, np.float32)
    alpha = acl.NodeGaussian(tau)
    truth = reference.gated_cov(x, x_aug, w, alpha=alpha)
    error = acl.GatedCovariance(x, x_aug, w, alpha=alpha).matmul(v) - _product(truth, v.astype(np.float64))
    assert np.linalg.norm(error) <= 2e-5 * np.linalg.norm(truth) * np.linalg.norm(v)
    assert np.linalg.norm(acl.gated_cov(x, x_aug, w, alpha=alpha) - truth) <= 1e-6 * np.linalg.norm(truth)


@pytest.mark.parametrize("dtype", DTYPES)
def test_frozen_importance_of_other_nodes(dtype):
    """alpha_weights: α is that of their outputs, the gates are those of the weights."""
    x, x_aug = two_views(120, 4, dtype)
    w, other = _nodes(2, 4, dtype), _nodes(2, 4, dtype, seed=5)
    tol = 2e-5 if dtype == np.float32 else 1e-12
    layer = acl.GatedCovariance(x, x_aug, w, alpha=acl.NodeGaussian(0.5), alpha_weights=other)
    expected = [
        reference.gated_cov(
            x, x_aug, w[k : k + 1], alpha=reference.gaussian(np.maximum(x.astype(np.float64) @ other[k], 0), 0.5)
        )[0]
        for k in range(2)
    ]
    np.testing.assert_allclose(layer.to_dense(), expected, rtol=tol, atol=tol)
    moved = layer.with_weights(other)
    here = acl.GatedCovariance(x, x_aug, other, alpha=acl.NodeGaussian(0.5))
    np.testing.assert_allclose(moved.to_dense(), here.to_dense(), rtol=tol, atol=tol)


def test_with_weights_is_a_new_object_over_the_same_data():
    x, x_aug = two_views(80, 4, np.float64)
    w, other = _nodes(3, 4, np.float64), _nodes(5, 4, np.float64, seed=1)
    for alpha in (None, importance("array", 80, np.float64), acl.NodeGaussian(0.2)):
        layer = acl.GatedCovariance(x, x_aug, w, alpha=alpha)
        moved = layer.with_weights(other)
        assert layer.shape == (3, 4, 4)
        assert moved.shape == (5, 4, 4)
        np.testing.assert_array_equal(
            moved.matmul(other), acl.GatedCovariance(x, x_aug, other, alpha=alpha).matmul(other)
        )
        np.testing.assert_array_equal(moved.to_dense(), acl.gated_cov(x, x_aug, other, alpha=alpha))


def test_linear_operator_of_a_node():
    from scipy.sparse import linalg

    x, x_aug = two_views(200, 12, np.float64)
    w = _nodes(3, 12, np.float64)
    layer = acl.GatedCovariance(x, x_aug, w)
    value = linalg.eigsh(layer.as_linear_operator(2), k=1, which="LA")[0][0]
    assert value == pytest.approx(np.linalg.eigvalsh(layer.to_dense()[2])[-1], rel=1e-10)
    with pytest.raises(ValueError, match=r"k: expected the index of one of 3 nodes, got 3"):
        layer.as_linear_operator(3)
    with pytest.raises(TypeError, match="k: expected the index of a node, got float"):
        layer.as_linear_operator(1.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", ["lanczos", "power"])
def test_power_iteration_without_matrices(method, dtype):
    x, x_aug = two_views(500, 24, dtype)
    w = _nodes(5, 24, dtype)
    for alpha in (None, acl.NodeGaussian(0.5)):
        layer = acl.GatedCovariance(x, x_aug, w, alpha=alpha)
        found = acl.power_iteration(layer, method=method, gap=True, max_iter=20_000)
        dense = layer.to_dense().astype(np.float64)
        values = np.linalg.eigvalsh(dense)
        tol = 1e-4 if dtype == np.float32 else 1e-9
        assert found.converged.all()
        np.testing.assert_allclose(found.eigenvalue, values[:, -1], rtol=tol)
        np.testing.assert_allclose(found.gap, values[:, -1] - values[:, -2], rtol=0.02 if dtype == np.float32 else 1e-6)
        residual = _product(dense, found.eigenvector) - found.eigenvalue[:, None] * found.eigenvector
        assert (np.linalg.norm(residual, axis=1) <= 10 * tol * values[:, -1]).all()
        again = acl.power_iteration(layer, v0=found.eigenvector)
        assert (again.n_iter <= 3).all()


def test_torch_in_torch_out():
    t = torch()
    x, x_aug = (t.from_numpy(np.ascontiguousarray(a)) for a in two_views(60, 5, np.float32))
    w = t.from_numpy(np.ascontiguousarray(_nodes(2, 5, np.float32)))
    layer = acl.GatedCovariance(x, x_aug, w, alpha=acl.NodeGaussian(0.4, x0=x))
    assert layer.dtype == t.float32
    for answer in (layer.matmul(w), layer.quadratic(w), layer.to_dense(), acl.power_iteration(layer).eigenvector):
        assert isinstance(answer, t.Tensor)
    assert t.equal(layer @ w, layer.matmul(w))
    t.testing.assert_close(layer.matmul(w), t.einsum("kij,kj->ki", layer.to_dense(), w), rtol=1e-4, atol=1e-5)


def test_nan_stays_in_its_node():
    x, x_aug = two_views(50, 3, np.float64)
    w = _nodes(3, 3, np.float64)
    w[1, 0] = np.nan
    for alpha in (None, acl.NodeGaussian(0.4)):
        products = acl.GatedCovariance(x, x_aug, w, alpha=alpha).matmul(np.ones((3, 3)))
        assert np.isnan(products[1]).all()
        assert np.isfinite(products[[0, 2]]).all()


def test_no_features():
    empty = np.empty((5, 0))
    for alpha in (None, acl.NodeGaussian(0.4)):
        layer = acl.GatedCovariance(empty, empty, np.empty((2, 0)), alpha=alpha)
        assert layer.matmul(np.empty((2, 0))).shape == (2, 0)
        np.testing.assert_array_equal(layer.quadratic(np.empty((2, 0))), 0)


def test_powers_without_end():
    x, x_aug = two_views(20, 3, np.float64)
    layer = acl.GatedCovariance(x / 10, x_aug / 10, _nodes(1, 3, np.float64), activation=acl.Monomial(2**40))
    np.testing.assert_array_equal(layer.matmul(np.ones((1, 3))), 0)


def test_many_threads_change_no_bit():
    x, x_aug = two_views(2500, 9, np.float32)
    w = _nodes(5, 9, np.float32)

    def results(threads):
        acl.set_num_threads(threads)
        products = [
            acl.GatedCovariance(x, x_aug, w, alpha=a).matmul(w)
            for a in (None, acl.NodeGaussian(0.3), acl.NodeGaussian(1e-6), acl.Gaussian(x, 2.0))
        ]
        maxima = acl.theory.find_local_maxima(x, x_aug, 5, alpha=acl.NodeGaussian(0.3), max_iter=5)
        return [*products, maxima.weights, maxima.gap]

    try:
        one, three = results(1), results(3)
    finally:
        acl.set_num_threads(None)
    for a, b in zip(one, three, strict=True):
        np.testing.assert_array_equal(a, b)


def test_errors():
    x, x_aug = two_views(20, 3, np.float64)
    w = _nodes(2, 3, np.float64)
    layer = acl.GatedCovariance(x, x_aug, w)
    assert repr(layer) == "GatedCovariance(2 nodes, 3 x 3, 20 samples, float64)"
    with pytest.raises(ValueError, match=r"v: expected shape \(2, 3\) like the weights, got \(3, 3\)"):
        layer.matmul(np.ones((3, 3)))
    with pytest.raises(TypeError, match="v: expected float64 like x, got float32"):
        layer.quadratic(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match=r"weights: expected shape \(K, 3\) for x of shape \(20, 3\), got \(2, 4\)"):
        acl.GatedCovariance(x, x_aug, np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"weights: expected shape \(K, 3\)"):
        layer.with_weights(np.ones((2, 4)))
    with pytest.raises(ValueError, match="alpha_weights: expected None where alpha does not depend on the nodes"):
        acl.GatedCovariance(x, x_aug, w, alpha_weights=w)
    with pytest.raises(ValueError, match=r"alpha_weights: expected shape \(2, 3\) like weights, got \(1, 3\)"):
        acl.GatedCovariance(x, x_aug, w, alpha=acl.NodeGaussian(1.0), alpha_weights=w[:1])
    frozen = acl.GatedCovariance(x, x_aug, w, alpha=acl.NodeGaussian(1.0), alpha_weights=w)
    with pytest.raises(ValueError, match=r"weights: expected shape \(2, 3\) like alpha_weights, got \(1, 3\)"):
        frozen.with_weights(w[:1])
    with pytest.raises(ValueError, match="activation: expected 'linear', 'relu'"):
        acl.GatedCovariance(x, x_aug, w, activation="tanh")
    with pytest.raises(ValueError, match="alpha: expected 20 samples like x, got 19"):
        acl.GatedCovariance(x, x_aug, w, alpha=np.ones((19, 19)))
    with pytest.raises(
        ValueError, match=r"v0: expected shape \(2, 3\) for matrices of shape \(2, 3, 3\), got \(1, 3\)"
    ):
        acl.power_iteration(layer, v0=np.ones((1, 3)))


COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda a: pickle.loads(pickle.dumps(a))}
X, X_AUG = two_views(60, 5, np.float64)
W, V = _nodes(4, 5, np.float64), _nodes(4, 5, np.float64, seed=1)
KINDS = {
    "uniform": {},
    "shared": {"alpha": acl.Gaussian(X[:, :2], 2.0)},
    "nodes": {"alpha": acl.NodeGaussian(0.7), "activation": acl.LeakyReLU(0.1)},
    "frozen": {"alpha": acl.NodeGaussian(0.7, X_AUG), "alpha_weights": 2 * W},
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("kind", KINDS)
def test_copies(kind, way):
    layer = acl.GatedCovariance(X, X_AUG, W, **KINDS[kind])
    for made in (layer, layer.with_weights(W[::-1])):
        again = COPIES[way](made)
        assert type(again) is acl.GatedCovariance
        assert repr(again) == repr(made)
        np.testing.assert_array_equal(again.matmul(V), made.matmul(V))
        np.testing.assert_array_equal(again.to_dense(), made.to_dense())
        np.testing.assert_array_equal(again.with_weights(V).matmul(V), made.with_weights(V).matmul(V))


def test_copies_over_torch_tensors():
    t = torch()
    x = t.from_numpy(X.copy()).requires_grad_()
    with t.no_grad():
        layer = acl.GatedCovariance(x, x + 1, t.from_numpy(W))
    for way in COPIES.values():
        again = way(layer)
        assert t.equal(again.matmul(t.from_numpy(V)), layer.matmul(t.from_numpy(V)))
        assert again.dtype == t.float64


def _check_products(x, x_aug, w, v, activation, alpha):
    """Products against those of the matrices, both from the data as it is."""
    dtype = x.dtype
    exact = {np.float32: np.float64, np.float64: np.longdouble}[dtype.type]
    layer = acl.GatedCovariance(x, x_aug, w, activation=activation, alpha=alpha)
    matrices = reference.gated_cov(x, x_aug, w, activation=activation, alpha=alpha, dtype=exact)
    naive = reference.gated_cov(x, x_aug, w, activation=activation, alpha=alpha, dtype=dtype.type)
    for k, product in enumerate(layer.matmul(v)):
        assert_contract(product, matrices[k] @ v[k], lambda k=k: naive[k] @ v[k], dtype)


def test_a_gate_that_opens_in_the_second_view_alone():
    """Closed data far away costs the open sample no digits."""
    rng = np.random.default_rng(0)
    x = np.float32(0.18) * np.arange(110 * 7, dtype=np.float32).reshape(110, 7)
    x_aug = (x + 4 * rng.standard_normal(x.shape)).astype(np.float32)
    w = -np.abs(rng.integers(1, 3, (3, 7))).astype(np.float32)
    x_aug[0] = -np.abs(rng.standard_normal(7))
    _check_products(x, x_aug, w, rng.standard_normal((3, 7)).astype(np.float32), "relu", acl.NodeGaussian(2.3))


def test_an_outlier_nearly_at_right_angles_to_the_vector():
    """x·v of an outlier may be small by cancellation; its rounding is not."""
    for seed in (3, 39):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((15, 7)).astype(np.float32)
        x[3] *= np.float32(8e3)
        x_aug = (x + 0.04 * rng.standard_normal(x.shape)).astype(np.float32)
        w = rng.standard_normal((40, 7)).astype(np.float32)
        v = rng.standard_normal((40, 7))
        v -= np.outer(v @ x[3] - 1e-4 * np.linalg.norm(x[3]), x[3]) / np.dot(x[3], x[3])
        f = (1 + rng.standard_normal(15)).astype(np.float32)
        _check_products(x, x_aug, w, v.astype(np.float32), "relu", acl.Gaussian(f, 2e-5))


def test_products_that_leave_float32_on_the_way():
    """Σ_ij α_ij x_i (x_j·v) overflows, the product, which is that over 2N², does not."""
    rng = np.random.default_rng(21)
    x = (1e15 * rng.standard_normal((300, 3))).astype(np.float32)
    alpha = acl.Dense((1e5 * rng.random((300, 300))).astype(np.float32))
    w = np.eye(3, dtype=np.float32)
    _check_products(x, x, w, w, "linear", alpha)
    found = acl.theory.find_local_maxima(x, x, weights0=w, activation="linear", alpha=alpha, max_iter=1, gap=False)
    assert np.isfinite(found.eigenvalue).all()


def test_products_with_0():
    x, x_aug = two_views(20, 3, np.float32)
    w = np.ones((1, 3), np.float32)
    for alpha in (None, acl.NodeGaussian(1.0), importance("dense", 20, np.float32)):
        assert not acl.GatedCovariance(x, x_aug, w, alpha=alpha).matmul(0 * w).any()


def test_an_outlier_moves_no_shift():
    """A mean is near to no sample where one lies far away: outputs less their mean would lose their digits."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((17, 2))
    x[4] *= 6e3
    x_aug = x + rng.standard_normal(x.shape)
    w, v = rng.standard_normal((2, 5, 2))
    _check_products(x, x_aug, w, v, "linear", acl.NodeGaussian(1e-3))
