"""The reference against the double loop, written once more with Python scalars."""

import math

import numpy as np
import pytest
import scipy.sparse

from alphacl_fast import reference


def _loop_cov(x, x_aug, alpha):
    n, d = x.shape
    c = np.zeros((d, d))
    for i in range(n):
        for j in range(n):
            for a in range(d):
                for b in range(d):
                    inter = (x[i, a] - x[j, a]) * (x[i, b] - x[j, b])
                    intra = (x[i, a] - x_aug[i, a]) * (x[i, b] - x_aug[i, b])
                    c[a, b] += alpha[i, j] * (inter - intra)
    return c / (2 * n * n)


def _loop_gaussian(f, tau):
    return np.array([[math.exp(-sum((a - b) ** 2) / (2 * tau)) for b in f] for a in f])


def _loop_direct(z, p, tau, normalize):
    n = len(z)
    alpha = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                alpha[i, j] = math.exp(-(math.sqrt(0.5 * sum((z[i] - z[j]) ** 2)) ** p) / tau)
        if normalize and alpha[i].sum() > 0:
            alpha[i] /= alpha[i].sum()
    return alpha


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    return rng.standard_normal((7, 3)), rng.standard_normal((7, 3))


def test_contrastive_cov_is_the_double_loop(data):
    x, x_aug = data
    alpha = np.random.default_rng(2).standard_normal((7, 7))
    np.testing.assert_allclose(reference.contrastive_cov(x, x_aug, alpha), _loop_cov(x, x_aug, alpha), rtol=1e-13)
    np.testing.assert_allclose(reference.contrastive_cov(x, x_aug), _loop_cov(x, x_aug, np.ones((7, 7))), rtol=1e-13)


def test_energy_is_half_the_trace(data):
    x, x_aug = data
    alpha = np.random.default_rng(3).standard_normal((7, 7))
    np.testing.assert_allclose(reference.energy(x, x_aug, alpha), np.trace(_loop_cov(x, x_aug, alpha)) / 2, rtol=1e-12)


@pytest.mark.parametrize("tau", [0.2, 3.0])
def test_gaussian(data, tau):
    x, _ = data
    np.testing.assert_allclose(reference.gaussian(x, tau), _loop_gaussian(x, tau), rtol=1e-13)
    np.testing.assert_allclose(reference.gaussian(x[:, 0], tau), _loop_gaussian(x[:, :1], tau), rtol=1e-13)


def test_gaussian_in_more_than_one_block_of_rows(monkeypatch, data):
    x, _ = data
    whole = reference.gaussian(x, 0.5)
    monkeypatch.setattr(reference, "_CHUNK", 50)
    np.testing.assert_array_equal(reference.gaussian(x, 0.5), whole)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("p", [1, 2, 2.5, 4])
def test_direct(data, p, normalize):
    x, _ = data
    np.testing.assert_allclose(reference.direct(x, p, 0.7, normalize), _loop_direct(x, p, 0.7, normalize), rtol=1e-12)


def test_direct_rows_sum_to_one_for_any_tau(data):
    x, _ = data
    for tau in (1e-300, 1e-8, 1.0, 1e8):
        np.testing.assert_allclose(reference.direct(x, tau=tau).sum(axis=1), 1, rtol=1e-14)


def test_direct_of_one_sample_is_zero():
    np.testing.assert_array_equal(reference.direct(np.ones((1, 2))), [[0.0]])
    np.testing.assert_array_equal(reference.direct(np.ones((1, 2)), normalize=False), [[0.0]])


def test_low_rank_and_dense(data):
    x, _ = data
    np.testing.assert_allclose(reference.low_rank(x), [[sum(a * b) for b in x] for a in x], rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(reference.dense(x), x)
    np.testing.assert_array_equal(reference.uniform(3), np.ones((3, 3)))


def test_low_rank_with_signs(data):
    x, _ = data
    signs = [-2.0, 0.5, 1.0, 3.0, -1.0][: x.shape[1]]
    expected = [[sum(s * p * q for s, p, q in zip(signs, a, b, strict=True)) for b in x] for a in x]
    np.testing.assert_allclose(reference.low_rank(x, signs), expected, rtol=1e-13, atol=1e-14)


def test_labels():
    y = np.array([3, -7, 3, 2**62, -7], np.int64)
    expected = [[2.0 if a == b else -0.5 for b in y.tolist()] for a in y.tolist()]
    np.testing.assert_array_equal(reference.labels(y, 2.0, -0.5), expected)
    np.testing.assert_array_equal(reference.labels(y), reference.labels(y, 1.0, 0.0))


def test_sparse():
    """Two entries of one place add up."""
    matrix = (np.array([0, 3, 3, 4]), np.array([2, 0, 2, 1]), np.array([1.0, -2.0, 0.5, 4.0]))
    np.testing.assert_array_equal(reference.sparse(matrix), [[-2.0, 0.0, 1.5], [0.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
    rows = scipy.sparse.csr_array((matrix[2], matrix[1], matrix[0]), (3, 3))
    for same in (rows, rows.tocoo(), rows.tocsc()):
        np.testing.assert_array_equal(reference.sparse(same), reference.sparse(matrix))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_features_spoil_all_their_weights(data, bad):
    x = data[0].copy()
    x[2, 1] = bad
    others = np.delete(np.arange(7), 2)
    for alpha in (reference.gaussian(x, 1.0), reference.direct(x, normalize=False)):
        assert np.isnan(alpha[2]).all()
        assert np.isnan(alpha[:, 2]).all()
        assert np.isfinite(alpha[np.ix_(others, others)]).all()
    assert np.isnan(reference.direct(x)).all()


def test_float32_data_is_upcast_and_dtype_is_the_working_precision(data):
    x, x_aug = (a.astype(np.float32) for a in data)
    truth = reference.contrastive_cov(x, x_aug)
    assert truth.dtype == np.float64
    np.testing.assert_array_equal(truth, reference.contrastive_cov(x.astype(float), x_aug.astype(float)))
    naive = reference.contrastive_cov(x, x_aug, reference.gaussian(x, 1.0), dtype=np.float32)
    assert naive.dtype == np.float32
    assert reference.energy(x, x_aug, dtype=np.float32).dtype == np.float32
    assert reference.direct(x, p=3, dtype=np.float32).dtype == np.float32
