"""theory.stability on planted cases: certified maxima, a saddle, a double eigenvalue, and the converse shown false."""

import importlib

import numpy as np
import pytest
from support import ACTIVATIONS, DTYPES, torch, two_views

import alphacl_fast as acl
from alphacl_fast import reference, theory

SHARES = (0.25, 0.2, 0.18, 0.15, 0.12, 0.1)


def _repeated(rows, shares, copies=100, dtype=np.float64):
    counts = np.round(np.array(shares) * copies).astype(int)
    assert counts.sum() == copies
    return np.repeat(np.asarray(rows, dtype), counts, axis=0)


def _apart(margin=0.2):
    """One row for each category: at w = row m all others lie `margin`-deep on the closed side."""
    return np.eye(6) - margin * (1 - np.eye(6))


def _unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


@pytest.mark.parametrize("tau", [None, 0.5])
@pytest.mark.parametrize("dtype", DTYPES)
def test_separated_categories_are_certified(dtype, tau):
    """A(v) is constant near w, so ρ = 0 and the gap is that of a matrix of rank one."""
    rows = _apart()
    x = _repeated(rows, SHARES, dtype=dtype)
    alpha = None if tau is None else acl.NodeGaussian(tau)
    found = theory.stability(x, x, _unit(rows).astype(dtype), alpha=alpha)
    p, square = np.array(SHARES), (rows**2).sum(axis=1)
    expected = p * (1 - p) * square * (1 if tau is None else np.exp(-square / (2 * tau)))
    rtol = 1e-4 if dtype == np.float32 else 1e-9
    np.testing.assert_allclose(found.eigenvalue, expected, rtol=rtol)
    np.testing.assert_allclose(found.gap, expected, rtol=rtol)
    np.testing.assert_allclose(found.jacobian_top, -expected, rtol=rtol)
    np.testing.assert_allclose(found.roughness, 0, atol=rtol)
    np.testing.assert_allclose(found.residual, 0, atol=rtol)
    assert found.certified.all()
    assert found.certified.dtype == np.bool_
    assert found.gap.dtype == found.jacobian_top.dtype == dtype
    # The dynamics agree: perturbed nodes come back.
    starts = _unit(_unit(rows) + 0.05 * np.random.default_rng(0).standard_normal(rows.shape)).astype(dtype)
    back = theory.find_local_maxima(x, x, weights0=starts, alpha=alpha, max_iter=2000)
    assert (np.einsum("kd,kd->k", back.weights, _unit(rows)) > 0.999).all()


def test_a_planted_saddle():
    """Two orthogonal categories of one share p in one gate: λ = p − 2p² lies below p, that of their difference."""
    x = _repeated(np.eye(4), (0.2, 0.2, 0.3, 0.3))
    x[:, 2:] -= 0.5  # the last two lie on the closed side of w with a margin
    x[40:, :2] -= 0.5
    x[:40, 2:] = 0
    w = _unit(np.array([[1.0, 1, 0, 0]]))
    found = theory.stability(x, x, w)
    assert found.residual[0] < 1e-12
    assert found.eigenvalue[0] == pytest.approx(0.2 - 2 * 0.04)
    assert found.gap[0] == pytest.approx(-2 * 0.04)
    assert not found.certified[0]
    assert found.jacobian_top[0] == pytest.approx(2 * 0.04, rel=1e-6)
    # It is left along the difference of the two.
    away = theory.find_local_maxima(x, x, weights0=w + 1e-3 * np.array([[1.0, -1, 0, 0]]), max_iter=2000)
    assert away.weights[0] @ w[0] < 0.9
    assert away.energy[0] > found.eigenvalue[0] / 2


@pytest.mark.parametrize("seed", range(3))
def test_a_double_eigenvalue_is_not_certified(seed):
    q = np.linalg.qr(np.random.default_rng(seed).standard_normal((5, 5)))[0]
    a = _repeated(np.concatenate([np.eye(5), -np.eye(5)]), (0.12, 0.12, 0.1, 0.1, 0.06) * 2) @ q
    found = theory.stability(a, a, q[:2], activation="linear")
    np.testing.assert_allclose(found.gap, 0, atol=1e-8)
    np.testing.assert_allclose(found.jacobian_top, 0, atol=1e-8)
    assert not found.certified.any()


def test_the_converse_is_false():
    """One-hot latents: each e_m is a maximum that nodes reach, and ρ̂ grows like 1/δ: uncertified, yet stable."""
    x = _repeated(np.eye(6), SHARES)
    wide, narrow = (theory.stability(x, x, np.eye(6), radius=r) for r in (0.2, 0.1))
    np.testing.assert_allclose(wide.gap, np.array(SHARES) * (1 - np.array(SHARES)), rtol=1e-8)
    np.testing.assert_allclose(narrow.roughness / wide.roughness, np.sin(0.1) / np.sin(0.05), rtol=1e-6)
    # The samples on w's hyperplane whose gates open: max over t of p_m ‖(p_j)_{t_j > 0}‖ is all of the others.
    p = np.array(SHARES)
    others = np.sqrt((p**2).sum() - p**2)
    most = p * others / (2 * np.sin(0.1))
    assert ((wide.roughness > 0.8 * most) & (wide.roughness <= most * (1 + 1e-9))).all()
    assert not wide.certified.any()
    assert (wide.jacobian_top < 0).all()
    starts = _unit(np.eye(6) + 0.1 * np.random.default_rng(1).standard_normal((6, 6)))
    back = theory.find_local_maxima(x, x, weights0=starts, max_iter=5000)
    np.testing.assert_allclose(np.abs(back.weights), np.eye(6), atol=1e-3)


def test_linear_nodes_have_the_jacobian_of_their_matrix():
    x, x_aug = two_views(300, 8, np.float64)
    values, vectors = np.linalg.eigh(reference.contrastive_cov(x, x_aug))
    found = theory.stability(x, x_aug, vectors.T.copy(), activation="linear")
    np.testing.assert_allclose(found.eigenvalue, values, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.jacobian_top[:-1], values[-1] - values[:-1], rtol=1e-6)
    assert found.jacobian_top[-1] == pytest.approx(values[-2] - values[-1])
    np.testing.assert_allclose(found.gap, -found.jacobian_top, rtol=1e-6)
    np.testing.assert_array_equal(found.certified, [*[False] * 7, True])


@pytest.mark.parametrize("frozen", [True, False])
def test_jacobian_of_smooth_nodes_against_differences(frozen):
    """h = u³: sym(J) as a matrix, from derivatives of the literal A(v)w."""
    x, x_aug = (np.array(v) for v in two_views(60, 4, np.float64, noise=0.2))
    h, tau = ACTIVATIONS[-1], 2.0
    w = _unit(np.array([[1.0, -0.5, 0.3, 0.2]]))
    own = reference.gaussian(reference.activate(h, x @ w[0]), tau)

    def moved(v):
        alpha = acl.Dense(own) if frozen else acl.NodeGaussian(tau)
        return reference.gated_cov(x, x_aug, v[None], activation=h, alpha=alpha)[0]

    basis = np.linalg.svd(w)[2][1:]
    step = 1e-5
    m = np.stack([(moved(w[0] + step * t) - moved(w[0] - step * t)) @ w[0] / (2 * step) for t in basis], axis=1)
    value = w[0] @ moved(w[0]) @ w[0]
    j = basis @ (moved(w[0]) @ basis.T - value * basis.T + m)
    found = theory.stability(x, x_aug, w, activation=h, alpha=acl.NodeGaussian(tau), frozen=frozen, radius=1e-4)
    assert found.jacobian_top[0] == pytest.approx(np.linalg.eigvalsh((j + j.T) / 2)[-1], rel=1e-3)


def test_what_is_certified_is_stable():
    """The maxima of whitened clusters: where the criterion holds, sym(J) < 0 and the node comes back."""
    rng = np.random.default_rng(3)
    centres = 3 * np.linalg.qr(rng.standard_normal((6, 6)))[0]
    x = (centres - centres.mean(axis=0))[rng.integers(0, 6, 3000)] + 0.1 * rng.standard_normal((3000, 6))
    x_aug = x + 0.05 * rng.standard_normal(x.shape)
    ends = theory.find_local_maxima(x, x_aug, 40, max_iter=2000)
    best = [int(np.flatnonzero(ends.group == g)[0]) for g in range(ends.num_maxima)]
    found = theory.stability(x, x_aug, ends.weights[best], radius=0.05)
    assert found.certified.any()
    assert (found.jacobian_top[found.gap > found.roughness] < 0).all()
    np.testing.assert_allclose(found.gap, ends.gap[best], rtol=1e-5)


def test_one_feature_and_values_that_are_not_finite():
    x = np.array([[1.0], [-2.0], [0.5]])
    found = theory.stability(x, x, np.array([[3.0]]))
    assert found.gap[0] == np.inf
    assert found.jacobian_top[0] == -np.inf
    assert found.certified[0]
    x, x_aug = (np.array(v) for v in two_views(50, 3, np.float64))
    x[4, 1] = np.nan
    found = theory.stability(x, x_aug, np.eye(3))
    assert not found.certified.any()
    for values in (found.eigenvalue, found.gap, found.roughness, found.jacobian_top):
        assert np.isnan(values).all()


def test_torch_in_torch_out():
    x, x_aug = (torch().from_numpy(np.array(v)) for v in two_views(80, 4, np.float32))
    w = torch().eye(4)[:2]
    found = theory.stability(x, x_aug, w)
    for mine, expected in zip(found, theory.stability(x.numpy(), x_aug.numpy(), w.numpy()), strict=True):
        assert isinstance(mine, torch().Tensor)
        np.testing.assert_array_equal(mine.numpy(), expected)
    assert found.certified.dtype == torch().bool


X, W = np.arange(12.0).reshape(4, 3) ** 2, np.eye(3)
ERRORS = [
    ("radius: expected an angle up to π/2, got 3.0", lambda: theory.stability(X, X, W, radius=3)),
    ("tol: expected a positive finite number, got 0.0", lambda: theory.stability(X, X, W, tol=0)),
    ("max_iter: expected an integer of at least 1, got 0", lambda: theory.stability(X, X, W, max_iter=0)),
    ("directions: expected an integer of at least 1, got 0", lambda: theory.stability(X, X, W, directions=0)),
    ("weights: expected finite vectors other than 0", lambda: theory.stability(X, X, 0 * W)),
]


@pytest.mark.parametrize("text, call", ERRORS, ids=[text for text, _ in ERRORS])
def test_errors(text, call):
    with pytest.raises(ValueError, match=text):
        call()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_second_eigenvector_of_an_indefinite_matrix_is_not_certified(dtype):
    """The gap, −0.002, is known to tol · ‖A‖, and ‖A‖ is 10⁴ λ where augmentation is strong."""
    h = np.array([[1.0]])
    while len(h) < 128:
        h = np.block([[h, h], [h, -h]])
    values = np.linspace(0.95, 0.5, 40)
    values[:2] = 1, 1.002
    x = h[:, 1:41] * np.sqrt(values)
    x_aug = x.copy()
    x_aug[:, 20:] += h[:, 41:61] * np.sqrt(2 * np.linspace(0.05, 1, 20) * 1e4)
    for seed in range(8):
        found = theory.stability(
            x.astype(dtype), x_aug.astype(dtype), np.eye(40, dtype=dtype)[:1], activation="linear", seed=seed
        )
        assert not found.certified[0], seed


@pytest.mark.parametrize("d, directions", [(2, 1), (3, 2), (5, 4), (9, 32), (40, 64)])
def test_what_the_gap_is_known_to_goes_by_the_norm(d, directions):
    """‖AP‖_F, exact where the basis of directions is complete."""
    rng = np.random.default_rng(d)
    x = rng.standard_normal((50, d))
    x_aug = x + 30 * rng.standard_normal((50, 1)) * rng.standard_normal(d)
    w = _unit(rng.standard_normal((3, d)))
    module = importlib.import_module("alphacl_fast.theory.stability")
    near = module.Nearby(x, x_aug, w, "linear", None, 0.1, True)
    found = module._jacobian_top(near, np.ones(3), directions, 0)[1]
    cov = reference.contrastive_cov(x, x_aug)
    truth = [np.linalg.norm(cov @ (np.eye(d) - np.outer(v, v))) for v in w]
    np.testing.assert_allclose(found, truth, rtol=1e-9)
    few = module._jacobian_top(near, np.ones(3), 1, 0)[1]
    assert (few > 0).all()


def test_nan_of_a_single_feature_comes_out():
    x = np.array([[1.0], [np.nan]])
    for pair in ((x, np.ones((2, 1))), (np.ones((2, 1)), x)):
        found = theory.stability(*pair, np.ones((1, 1)))
        assert np.isnan([found.roughness[0], found.jacobian_top[0]]).all()
        assert not found.certified[0]
        assert np.isnan(theory.local_roughness(*pair, np.ones((1, 1)))[0])
