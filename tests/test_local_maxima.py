"""theory.find_local_maxima: oracles (f) and (g) of categorical latents, the climb, the groups, the errors."""

import numpy as np
import pytest
from support import DTYPES, torch, two_views

import alphacl_fast as acl
from alphacl_fast import reference, theory

SIX = (0.25, 0.2, 0.18, 0.15, 0.12, 0.1)


def _categories(probabilities, copies=100, dtype=np.float64):
    """x0 ∈ {e_1 … e_M} with exactly these frequencies, without augmentation."""
    counts = np.round(np.array(probabilities) * copies).astype(int)
    assert counts.sum() == copies
    return np.repeat(np.eye(len(counts), dtype=dtype), counts, axis=0)


@pytest.mark.parametrize("tau", [None, 0.5])
def test_categorical_eigenvalues(tau):
    """Oracle (f): at w = e_m the only eigenvalue is p_m (1 − p_m), times e^(−1/2τ) with the Gaussian."""
    x = _categories(SIX)
    alpha = None if tau is None else acl.NodeGaussian(tau)
    matrices = acl.gated_cov(x, x, np.eye(6), alpha=alpha)
    found = acl.power_iteration(acl.GatedCovariance(x, x, np.eye(6), alpha=alpha), gap=True)
    p = np.array(SIX)
    expected = p * (1 - p) * (1 if tau is None else np.exp(-1 / (2 * tau)))
    np.testing.assert_allclose(np.linalg.eigvalsh(matrices)[:, -1], expected, rtol=1e-10)
    np.testing.assert_allclose(np.linalg.eigvalsh(matrices)[:, :-1], 0, atol=1e-13)
    np.testing.assert_allclose(found.eigenvalue, expected, rtol=1e-10)
    np.testing.assert_allclose(found.gap, expected, rtol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation, expected", [("linear", 1), ("relu", 6), (acl.Monomial(2), 12)], ids=str)
def test_number_of_optima_of_categories(activation, expected, dtype):
    """Oracle (g): linear nodes have one optimum up to sign, ReLU nodes M, squares 2M (both signs of each)."""
    x = _categories(SIX, dtype=dtype)
    found = theory.find_local_maxima(x, x, 200, activation=activation, max_iter=20_000)
    assert found.converged.all()
    assert found.num_maxima == expected
    if expected == 1:
        return
    # Each optimum is one category: the others do not move the node.
    winners = np.abs(found.weights).argmax(axis=1)
    assert set(winners) == set(range(6))


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_the_best_node_of_each_maximum(kind):
    """The first of those with the highest energy of a group, group by group; nodes in none are left out."""
    group, energy = np.array([1, 0, -1, 1, 0, 2]), np.array([3.0, 5.0, 9.0, 4.0, 5.0, 1.0])
    weights = np.eye(6)
    if kind == "torch":
        group, energy, weights = (torch().from_numpy(a) for a in (group, energy, weights))
    ends = theory.LocalMaxima(weights, energy, None, energy, energy, group, group >= 0, group)
    assert type(ends.best) is type(weights)
    assert str(ends.best.dtype).endswith("int64")
    assert ends.best.tolist() == [1, 3, 5]
    assert ends.weights[ends.best].shape == (3, 6)
    assert ends._replace(group=group * 0 - 1).best.tolist() == []


def test_energy_never_falls_where_the_covariance_is_indefinite():
    """Augmentation stronger than the signal: A has negative eigenvalues larger than its positive ones."""
    x, x_aug = two_views(300, 6, np.float64, noise=2.0)
    starts = np.random.default_rng(0).standard_normal((8, 6))
    for activation in ("linear", "relu", acl.Monomial(2)):
        layer = acl.GatedCovariance(x, x_aug, starts, activation=activation)
        assert (np.linalg.eigvalsh(layer.to_dense()).min(axis=1) < 0).all()
        energies = [
            theory.find_local_maxima(x, x_aug, weights0=starts, activation=activation, max_iter=m, gap=False).energy
            for m in range(1, 12)
        ]
        assert (np.diff(energies, axis=0) >= -1e-12).all()


@pytest.mark.parametrize("frozen", [False, True])
def test_ends_are_stationary(frozen):
    """λ, residual, energy and gap against the matrix itself, with the α that the climb used."""
    x, x_aug = two_views(400, 5, np.float64, noise=0.2)
    alpha = acl.NodeGaussian(0.7)
    starts = np.random.default_rng(1).standard_normal((6, 5))
    starts /= np.linalg.norm(starts, axis=1, keepdims=True)
    found = theory.find_local_maxima(
        x, x_aug, weights0=starts, activation=acl.LeakyReLU(0.3), alpha=alpha, frozen=frozen, tol=1e-9, max_iter=5000
    )
    w = found.weights
    layer = acl.GatedCovariance(
        x, x_aug, w, activation=acl.LeakyReLU(0.3), alpha=alpha, alpha_weights=starts if frozen else None
    )
    matrices = layer.to_dense()
    np.testing.assert_allclose(np.linalg.norm(w, axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(found.eigenvalue, np.einsum("ki,kij,kj->k", w, matrices, w), rtol=1e-10)
    np.testing.assert_allclose(found.energy, found.eigenvalue / 2, rtol=1e-9)
    residual = np.linalg.norm(np.einsum("kij,kj->ki", matrices, w) - found.eigenvalue[:, None] * w, axis=1)
    np.testing.assert_allclose(found.residual, residual, atol=1e-12)
    assert found.converged.sum() >= 4
    assert (found.residual < 0.05 * found.eigenvalue).all()
    # The second eigenvalue is the largest of A in the complement of w.
    for k in range(6):
        complement = np.eye(5) - np.outer(w[k], w[k])
        second = np.linalg.eigvalsh(complement @ matrices[k] @ complement)[-1]
        assert found.gap[k] == pytest.approx(found.eigenvalue[k] - second, abs=0.05 * found.eigenvalue[k])


@pytest.mark.parametrize("tau", [0.5, 1e-3])
@pytest.mark.parametrize("offset", [0, 1.6, -1.6])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_said_of_relu_nodes_holds(dtype, offset, tau):
    """Also where nearly all gates are open, or nearly none."""
    x, x_aug = (v + np.array([offset, 0, 0, 0, 0], dtype) for v in two_views(400, 5, dtype, noise=0.2))
    starts = np.random.default_rng(1).standard_normal((6, 5)).astype(dtype)
    starts[:, 0] = np.abs(starts[:, 0]) + 2
    alpha = acl.NodeGaussian(tau)
    tol = 1e-5 if dtype == np.float32 else 1e-10
    found = theory.find_local_maxima(x, x_aug, weights0=starts, activation="relu", alpha=alpha, max_iter=3)
    w = found.weights.astype(np.float64)
    products = np.einsum("kij,kj->ki", reference.gated_cov(x, x_aug, w, alpha=alpha), w)
    values = np.einsum("ki,ki->k", products, w)
    np.testing.assert_allclose(found.eigenvalue, values, rtol=10 * tol)
    np.testing.assert_allclose(found.energy, values / 2, rtol=10 * tol)
    residual = np.linalg.norm(products - values[:, None] * w, axis=1)
    np.testing.assert_allclose(found.residual, residual, atol=10 * tol * np.abs(values).max())


def _second_eigenvalues(matrices, w):
    """Of A on the complement of w, from an orthonormal basis of it."""
    bases = [np.linalg.svd(node[None])[2][1:] for node in w]
    return np.array([np.linalg.eigvalsh(q @ a @ q.T)[-1] for q, a in zip(bases, matrices, strict=True)])


@pytest.mark.parametrize("dtype", DTYPES)
def test_gap_where_the_second_eigenvalue_is_far_below_zero(dtype):
    """Its size must not be guessed from λ: the projection on the complement of w is exact."""
    rng = np.random.default_rng(0)
    for n, d, far in ((3, 2, 10), (1, 2, 0.3), (5, 3, 100)):
        x = rng.standard_normal((n, d)).astype(dtype)
        x_aug = x.copy()
        x_aug[:, -1] += dtype(far)
        found = theory.find_local_maxima(x, x_aug, 3, activation="linear")
        matrices = [reference.contrastive_cov(x, x_aug)] * 3
        expected = found.eigenvalue - _second_eigenvalues(matrices, found.weights.astype(np.float64))
        np.testing.assert_allclose(found.gap, expected, rtol=1e-3 if dtype == np.float32 else 1e-7)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gap_where_the_complement_is_nothing_but_rounding(dtype):
    """One-hot nodes see one column alone: the second eigenvalue is 0, known beside ‖A‖ and not beside itself."""
    x = np.eye(5, dtype=dtype)[np.random.default_rng(3).integers(0, 5, 97)]
    f = np.random.default_rng(4).integers(-1, 2, (97, 2)).astype(dtype)
    starts = np.eye(5, dtype=dtype)
    found = theory.find_local_maxima(x, x, weights0=starts, activation=acl.LeakyReLU(0.0), alpha=acl.Gaussian(f, 0.085))
    np.testing.assert_allclose(found.gap, found.eigenvalue, rtol=1e-4 if dtype == np.float32 else 1e-8)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gap_of_nodes_of_different_size(dtype):
    """Powers of nodes along columns of different scale: λ differs by many orders of magnitude, and each has its gap."""
    x, x_aug = two_views(80, 3, dtype, noise=0.1)
    scale = np.array([1e-3, 1, 1e3], dtype)
    starts = np.eye(3, dtype=dtype)
    found = theory.find_local_maxima(
        x * scale, x_aug * scale, weights0=starts, activation=acl.Monomial(2), alpha=acl.NodeGaussian(1.0), max_iter=1
    )
    w = found.weights.astype(np.float64)
    alpha = acl.NodeGaussian(1.0)
    a = reference.gated_cov(x * scale, x_aug * scale, w, activation=acl.Monomial(2), alpha=alpha)
    size = np.linalg.norm(a, 2, axis=(1, 2))
    error = found.gap - (found.eigenvalue - _second_eigenvalues(a, w))
    assert (np.abs(error) <= (1e-3 if dtype == np.float32 else 1e-7) * size).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["relu", acl.LeakyReLU(0.2)], ids=str)
def test_nodes_that_stop_where_nothing_is_gained_are_reported_where_they_stand(activation, dtype):
    """The last step of a node moves it: λ, residual and energy are those of the weights returned."""
    x, x_aug = two_views(40, 4, dtype, noise=0.2, seed=2)
    # No residual is as small as that: every node stops because its energy rises no more.
    found = theory.find_local_maxima(x, x_aug, 12, activation=activation, tol=1e-30, max_iter=3000)
    assert found.converged.any()
    layer = acl.GatedCovariance(x, x_aug, found.weights, activation=activation)
    products = layer.matmul(found.weights).astype(np.float64)
    w = found.weights.astype(np.float64)
    values = np.einsum("kd,kd->k", products, w)
    residuals = np.linalg.norm(products - values[:, None] * w, axis=1)
    tol = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found.eigenvalue, values, rtol=tol)
    np.testing.assert_allclose(found.energy, values / 2, rtol=tol)
    np.testing.assert_allclose(found.residual, residuals, atol=tol * values.max())


def test_energies_of_offset_float32_data_keep_their_digits():
    """All gates open at an offset of 300: beside the products nothing is left in float32, so the climb goes on in
    double."""
    x, x_aug = (v + np.float32(300) for v in two_views(300, 5, np.float32, noise=0.2))
    starts = np.abs(np.random.default_rng(2).standard_normal((4, 5))).astype(np.float32)
    found = theory.find_local_maxima(x, x_aug, weights0=starts, activation="relu", max_iter=300)
    w = found.weights.astype(np.float64)
    values = np.einsum("ki,kij,kj->k", w, reference.gated_cov(x, x_aug, w), w)
    np.testing.assert_allclose(found.eigenvalue, values, rtol=1e-6)
    np.testing.assert_allclose(found.energy, values / 2, rtol=1e-6)


def test_a_frozen_importance_goes_on_in_double_as_it_was():
    """Of the starts, not of the nodes that float32 gave up."""
    x, x_aug = (v + np.float32(300) for v in two_views(300, 5, np.float32, noise=0.2))
    starts = np.abs(np.random.default_rng(2).standard_normal((4, 5))).astype(np.float32)
    alpha = acl.NodeGaussian(0.5)
    found = theory.find_local_maxima(
        x, x_aug, weights0=starts, activation="relu", alpha=alpha, frozen=True, max_iter=300
    )
    w = found.weights.astype(np.float64)
    units = starts / np.linalg.norm(starts.astype(np.float64), axis=1, keepdims=True)
    for k, outputs in enumerate(np.maximum(x @ units.T, 0).T):
        shared = reference.gaussian(outputs[:, None], alpha.tau)
        value = w[k] @ reference.gated_cov(x, x_aug, w[k : k + 1], alpha=shared)[0] @ w[k]
        np.testing.assert_allclose(found.eigenvalue[k], value, rtol=1e-6)


def test_converged_nodes_stand_at_maxima():
    """No small step in any direction raises the energy by more than second order, though residuals do not vanish."""
    x, x_aug = two_views(150, 4, np.float64, noise=0.2)
    found = theory.find_local_maxima(x, x_aug, 6, max_iter=5000)
    assert found.converged.all()
    rng = np.random.default_rng(5)
    for k in range(6):
        for _ in range(20):
            moved = found.weights[k] + 0.02 * rng.standard_normal(4)
            moved /= np.linalg.norm(moved)
            outputs = (np.maximum(v @ moved, 0)[:, None] for v in (x, x_aug))
            assert acl.energy(*outputs) <= found.energy[k] * (1 + 1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nodes_of_even_activations_do_not_step_to_and_fro(dtype):
    """On addition mod 11 the energy of u² is a product of both halves of w, which plain steps would only swap."""
    one = np.eye(11, dtype=dtype)
    a, b = np.divmod(np.arange(121), 11)
    x, targets = np.concatenate([one[a], one[b]], axis=1), one[(a + b) % 11] - dtype(1 / 11)
    alpha = acl.LowRank(targets, signs=-np.ones(11))
    found = theory.find_local_maxima(x, x, 50, activation=acl.Monomial(2), alpha=alpha, gap=False, seed=0)
    assert found.converged.all()
    assert (found.residual <= 1e-4 * found.eigenvalue).all()  # 1.6 where they went to and fro
    np.testing.assert_allclose(found.energy, found.energy.max(), rtol=1e-4)


def test_starts_beside_x0_and_shared_importances():
    x, x_aug = two_views(150, 4, np.float32, noise=0.2)
    x0 = (x + x_aug) / 2
    f = np.ascontiguousarray(x[:, 0])
    for alpha in (
        acl.NodeGaussian(0.5, x0),
        acl.Gaussian(f, 0.5),
        np.ones((150, 150), np.float32),
        acl.Direct(x, tau=1.0),
    ):
        for frozen in (False, True):
            found = theory.find_local_maxima(x, x_aug, 4, alpha=alpha, frozen=frozen, max_iter=300)
            assert found.weights.dtype == np.float32
            assert found.converged.any()
            assert np.isfinite(found.gap).all()
            assert (found.energy > 0).all()


def test_a_dead_node_stays_and_is_in_no_group():
    x = np.abs(two_views(60, 3, np.float64)[0])
    starts = np.array([[1.0, 1, 1], [-1, -1, -1]])
    found = theory.find_local_maxima(x, x, weights0=starts)
    np.testing.assert_allclose(found.weights[1], -1 / np.sqrt(3))
    assert found.eigenvalue[1] == 0
    assert found.group.tolist() == [0, -1]
    assert found.num_open == 1


def test_a_layer_that_never_opens_is_told():
    """Augmentation outweighs the few pairs that a small τ joins: open nodes lose energy until they are closed."""
    x, x_aug = (np.abs(v) for v in two_views(60, 3, np.float64, noise=0.5))
    for options in ({"weights0": -np.eye(3)}, {"num_nodes": 4, "alpha": acl.NodeGaussian(1e-4)}):
        with pytest.warns(RuntimeWarning, match=r"found no maximum: the energy of each of the \d nodes is 0") as caught:
            found = theory.find_local_maxima(x, x_aug, **options)
        assert caught[0].filename == __file__
        assert (found.num_open, found.num_maxima) == (0, 0)
        assert not found.energy.any()
    with np.errstate(invalid="ignore"):
        assert theory.find_local_maxima(x * np.nan, x_aug, 2, gap=False).num_open == 0  # not closed, and no warning


def test_max_iter_and_seed():
    x, x_aug = two_views(200, 8, np.float64)
    short = theory.find_local_maxima(x, x_aug, 5, max_iter=1, gap=False, seed=3)
    assert short.gap is None
    assert not short.converged.any()
    assert (short.steps == 1).all()
    again = theory.find_local_maxima(x, x_aug, 5, max_iter=1, gap=False, seed=3)
    np.testing.assert_array_equal(short.weights, again.weights)
    other = theory.find_local_maxima(x, x_aug, 5, max_iter=1, gap=False, seed=4)
    assert not np.allclose(short.weights, other.weights)


def test_torch_in_torch_out():
    t = torch()
    x, x_aug = (t.from_numpy(np.ascontiguousarray(a)) for a in two_views(100, 4, np.float32))
    found = theory.find_local_maxima(x, x_aug, 3, alpha=acl.NodeGaussian(1.0), frozen=True)
    assert all(isinstance(part, t.Tensor) for part in found)
    assert isinstance(found.num_maxima, int)
    assert isinstance(found.num_open, int)


def test_progress_bar_on_demand_only(capsys):
    x, x_aug = two_views(50, 3, np.float64)
    theory.find_local_maxima(x, x_aug, 2)
    assert capsys.readouterr().err == ""
    theory.find_local_maxima(x, x_aug, 2, progress=True)
    assert "nodes" in capsys.readouterr().err


def test_errors():
    x, x_aug = two_views(20, 3, np.float64)
    with pytest.raises(
        TypeError, match="num_nodes: expected the number of nodes where weights0 is not given, got None"
    ):
        theory.find_local_maxima(x, x_aug)
    with pytest.raises(ValueError, match=r"x: expected at least one feature, got shape \(20, 0\)"):
        theory.find_local_maxima(x[:, :0], x_aug[:, :0], 2)
    with pytest.raises(ValueError, match="num_nodes: expected an integer of at least 1, got 0"):
        theory.find_local_maxima(x, x_aug, 0)
    with pytest.raises(ValueError, match="num_nodes: expected 2 like weights0, got 3"):
        theory.find_local_maxima(x, x_aug, 3, weights0=np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"weights0: expected shape \(K, 3\) for x of shape \(20, 3\), got \(2, 4\)"):
        theory.find_local_maxima(x, x_aug, weights0=np.ones((2, 4)))
    with pytest.raises(ValueError, match="weights0: expected finite vectors other than 0"):
        theory.find_local_maxima(x, x_aug, weights0=np.zeros((2, 3)))
    with pytest.raises(ValueError, match="tol: expected a positive finite number, got 0"):
        theory.find_local_maxima(x, x_aug, 2, tol=0)
    with pytest.raises(ValueError, match="angle: expected a positive finite number, got -1"):
        theory.find_local_maxima(x, x_aug, 2, angle=-1)
    with pytest.raises(ValueError, match="max_iter: expected an integer of at least 1, got 0"):
        theory.find_local_maxima(x, x_aug, 2, max_iter=0)


def _check_values(x, x_aug, found, activation, alpha, tol):
    """λ and the residual at the weights returned, against the matrix there."""
    w = found.weights.astype(np.longdouble)
    alphas = alpha if isinstance(alpha, list) else [alpha] * len(w)
    matrices = np.stack(
        [
            reference.gated_cov(x, x_aug, node[None], activation=activation, alpha=a, dtype=np.longdouble)[0]
            for node, a in zip(found.weights, alphas, strict=True)
        ]
    )
    products = np.einsum("kij,kj->ki", matrices, w)
    values = (products * w).sum(1)
    sizes = np.sqrt((matrices**2).sum((1, 2)))
    assert (np.abs(found.eigenvalue - values) <= tol * sizes).all()
    residuals = np.sqrt(((products - values[:, None] * w) ** 2).sum(1))
    assert (np.abs(found.residual - residuals) <= tol * sizes).all()


_STEPS = np.arange(198) % 2


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(
    "alpha",
    [
        acl.NodeGaussian(18.0),
        acl.NodeGaussian(18.0, 1.0 + np.stack([_STEPS, -_STEPS], 1)),
        acl.NodeGaussian(18.0, 49.0 * (1 + np.stack([_STEPS, _STEPS], 1))),
        acl.Gaussian(50.0 * _STEPS, 1.0),
    ],
    ids=repr,
)
def test_values_of_tight_clusters_far_apart(alpha, frozen):
    """Of squares of outputs that differ by 1e-6 of themselves double keeps no digits: differences do."""
    rng = np.random.default_rng(4)
    x = 49.0 * (1 + _STEPS)[:, None] + 2e-4 * rng.standard_normal((198, 2))
    starts = rng.standard_normal((3, 2))
    found = theory.find_local_maxima(
        x, x, weights0=starts, activation=acl.Monomial(2), alpha=alpha, frozen=frozen, max_iter=5
    )
    weights = alpha
    if frozen and isinstance(alpha, acl.NodeGaussian):
        outputs = (x if alpha.x0 is None else alpha.x0) @ (starts / np.linalg.norm(starts, axis=1, keepdims=True)).T
        weights = [reference.gaussian(h[:, None] ** 2, alpha.tau, dtype=np.longdouble) for h in outputs.T]
    _check_values(x, x, found, acl.Monomial(2), weights, 1e-9)


def test_gap_of_a_node_that_has_come_to_nothing():
    """λ fell to 1e-36 of ‖A‖: products in the complement may not be scaled by λ."""
    x = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], np.float32) * np.array([1e-18, 1], np.float32)
    starts = np.array([[1.0, 0.0]], np.float32)
    found = theory.find_local_maxima(x, x, weights0=starts, activation="linear", max_iter=1)
    assert abs(found.gap[0] - (found.eigenvalue[0] - 0.5)) < 1e-4


def test_weights_have_length_1_where_products_nearly_underflow():
    x, x_aug = two_views(28, 3, np.float64, noise=0.1)
    found = theory.find_local_maxima(1e-80 * x, 1e-80 * x_aug, 8, activation="relu", max_iter=3)
    np.testing.assert_allclose(np.linalg.norm(found.weights, axis=1), 1, rtol=1e-15)
    same = theory.find_local_maxima(x, x_aug, 8, activation="relu", max_iter=3)
    np.testing.assert_allclose(found.residual * 1e160, same.residual, rtol=1e-6)
    np.testing.assert_array_equal(found.converged, same.converged)


def test_angles_from_0_to_a_right_angle():
    x = np.random.default_rng(0).standard_normal((300, 10))
    for angle in (1.6, 10, 2 * np.pi):
        with pytest.raises(ValueError, match="angle: expected radians up to π/2, got"):
            theory.find_local_maxima(x, x, 20, angle=angle)
    counts = [theory.find_local_maxima(x, x, 20, angle=a, gap=False).num_maxima for a in (0.01, 0.1, np.pi / 2)]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_nodes_are_one_maximum_however_small_the_angle(dtype):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((100, 10)).astype(dtype)
        starts = np.repeat(rng.standard_normal((1, 10)), 3, 0).astype(dtype)
        found = theory.find_local_maxima(x, x, weights0=starts, activation="linear", angle=1e-9, gap=False)
        assert found.group.tolist() == [0, 0, 0], seed
