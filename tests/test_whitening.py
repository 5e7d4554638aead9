"""theory.whiten: the covariance that it leaves, its map, the rows of length 1, the errors."""

import numpy as np
import pytest
from support import DTYPES, torch, two_views

from alphacl_fast import datasets, theory


def _views(n, d, dtype):
    """Correlated columns of very different variance, and a mean."""
    mixing = np.random.default_rng(7).standard_normal((d, d)) * 10.0 ** -np.linspace(0, 2, d)
    return [(v.astype(np.float64) @ mixing + 3).astype(dtype) for v in two_views(n, d, dtype)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_covariance_becomes_the_identity(dtype):
    x, x_aug = _views(500, 6, dtype)
    white = theory.whiten(x, x_aug, ridge=0, unit_rows=False)
    assert {f.dtype for f in white} == {np.dtype(dtype)}
    np.testing.assert_allclose(np.cov(white.x.T), np.eye(6), atol=1e-3 if dtype == np.float32 else 1e-10)
    np.testing.assert_allclose(white.x.mean(axis=0), 0, atol=1e-2 if dtype == np.float32 else 1e-10)


def test_the_map_and_its_inverse():
    x, x_aug = _views(300, 5, np.float64)
    white = theory.whiten(x, x_aug, ridge=0.1, unit_rows=False)
    for given, found in ((x, white.x), (x_aug, white.x_aug)):
        np.testing.assert_allclose((given - white.mean) @ white.transform, found, rtol=1e-12)
        np.testing.assert_allclose(found @ white.inverse + white.mean, given, rtol=1e-9)
    values, axes = np.linalg.eigh(np.cov(x.T))
    expected = (axes / np.sqrt(values + 0.1 * values.mean())) @ axes.T
    np.testing.assert_allclose(white.transform, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(white.transform, white.transform.T, atol=1e-12)


def test_rows_have_length_one_and_a_row_of_zero_stays():
    x = np.array(
        [[1.0, 2.0], [-1.0, -2.0], [3.0, -1.0], [-3.0, 1.0], [2.0, 2.0], [-2.0, -2.0], [4.0, 1.0], [-4.0, -1.0]]
    )
    x_aug = x + 0.5
    x_aug[7] = 0  # the mean of x
    white = theory.whiten(x, x_aug)
    np.testing.assert_allclose(np.linalg.norm(white.x, axis=1), 1, rtol=1e-12)
    assert not white.x_aug[7].any()
    np.testing.assert_allclose(np.delete(np.linalg.norm(white.x_aug, axis=1), 7), 1, rtol=1e-12)


def test_what_nodes_find_of_digits():
    """A few patterns as the pixels are, many after whitening: the reason for the recipe."""
    digits = datasets.load_digits()
    views = [v.reshape(digits.shape) for v in datasets.two_views(digits.reshape(-1, 8, 8), shift=0, noise=0.1)]
    white = theory.whiten(*views)
    plain = theory.find_local_maxima(*views, 60, max_iter=300, gap=False)
    found = theory.find_local_maxima(white.x, white.x_aug, 60, max_iter=600, gap=False)
    assert found.num_maxima >= max(8, 2 * plain.num_maxima)


def test_many_samples_far_from_the_origin():
    """A mean of so many numbers, taken in float32, would be off by the spread of the samples."""
    x = (10 + 0.05 * np.random.default_rng(0).standard_normal((1_000_000, 2))).astype(np.float32)
    white = theory.whiten(x, x, ridge=0, unit_rows=False)
    assert np.abs(white.x.mean(axis=0, dtype=np.float64)).max() < 1e-3


def test_one_column():
    x = np.array([[1.0], [2.0], [4.0]])
    white = theory.whiten(x, x, ridge=0, unit_rows=False)
    np.testing.assert_allclose(white.x, (x - x.mean()) / x.std(ddof=1), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_in_torch_out(dtype):
    x, x_aug = (torch().from_numpy(v) for v in _views(50, 4, dtype))
    white = theory.whiten(x, x_aug)
    for found, expected in zip(white, theory.whiten(x.numpy(), x_aug.numpy()), strict=True):
        assert isinstance(found, torch().Tensor)
        np.testing.assert_array_equal(found.numpy(), expected)
    with pytest.raises(RuntimeError, match="x: requires grad, but whiten has no derivative"):
        theory.whiten(x.requires_grad_(), x_aug)


X = np.arange(12.0).reshape(4, 3) ** 2
ERRORS = [
    (ValueError, "ridge: expected a number of at least 0, got -1.0", lambda: theory.whiten(X, X, ridge=-1)),
    (TypeError, "ridge: expected a number, got str", lambda: theory.whiten(X, X, ridge="little")),
    (
        ValueError,
        "ridge: expected one that makes the covariance of x regular, got 0.0",
        lambda: theory.whiten(np.ones((4, 3)) * X[:, :1], X, ridge=0),
    ),
    (ValueError, "x: expected samples that differ, got equal ones", lambda: theory.whiten(np.ones((4, 3)), X)),
    (ValueError, r"x_aug: expected shape \(4, 3\) like x, got \(3, 3\)", lambda: theory.whiten(X, X[1:])),
    (ValueError, r"x: expected at least two samples, got shape \(1, 3\)", lambda: theory.whiten(X[:1], X[:1])),
    (ValueError, "x_aug: expected finite numbers, got NaN or infinity", lambda: theory.whiten(X, X / 0 * 0)),
    (TypeError, "x: expected a numpy array or a torch tensor, got list", lambda: theory.whiten([1.0], X)),
]


@pytest.mark.parametrize("kind, text, call", ERRORS, ids=[text for _, text, _ in ERRORS])
def test_errors(kind, text, call):
    with np.errstate(all="ignore"), pytest.raises(kind, match=text):
        call()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_direction_without_variance_needs_a_ridge(dtype):
    """Rows that sum to 1, up to rounding, and two equal columns."""
    shares = np.random.default_rng(0).dirichlet(np.ones(10), 500).astype(dtype)
    for seed in range(10):
        twice = np.random.default_rng(seed).standard_normal((30, 10)).astype(dtype)
        twice[:, -1] = twice[:, 0]
        sums = np.random.default_rng(seed).standard_normal((200, 10))
        sums[:, -1] = sums[:, :-1].sum(axis=1)
        for x in (shares, twice, (sums + 300).astype(dtype), (sums + 1000).astype(dtype)):
            with pytest.raises(ValueError, match="ridge: expected one that makes the covariance of x regular, got 0"):
                theory.whiten(x, x, ridge=0)
            assert np.isfinite(theory.whiten(x, x).x).all()
    with pytest.raises(ValueError, match="x: expected samples that differ, got equal ones"):
        theory.whiten(np.ones((5, 3), dtype), np.ones((5, 3), dtype))
