"""More samples than any panel of the implementation, against a literal sum over few points with multiplicities.

N samples are POINTS points in random order, point a `counts[a]` times; then every sum over samples is a sum over
points weighted by the counts, whatever way the implementation cuts N.
"""

import numpy as np
import pytest
from support import DTYPES, inside, relative_error, two_views

import alphacl_fast as acl
from alphacl_fast import reference

POINTS = 90
N = 16_700  # above 32 blocks of 512 rows, two panels of 8192 rows, 64 groups of 256 rows
CLOSE = {np.float32: 1e-6, np.float64: 1e-12}

rng = np.random.default_rng(111)
SAMPLES = rng.permutation(np.append(np.arange(POINTS), rng.integers(0, POINTS, N - POINTS)))
COUNTS = np.bincount(SAMPLES)


def _gaussian(f, tau):
    return reference.gaussian(f, tau), lambda f: acl.Gaussian(f, tau)


def _direct(f, p, tau, normalize):
    """α of two samples of the points a and b; one sample of a is not its own pair, the others of a are."""
    pair = np.exp(-((reference._squared_distances(f.astype(float)) / 2) ** (p / 2)) / tau)
    if normalize:
        pair /= (pair @ COUNTS - np.diag(pair))[:, None]
    return pair, lambda f: acl.Direct(f, p, tau, normalize=normalize)


# name -> (features of the points) -> (α between points, importance of the samples' features)
CASES = {
    "uniform": lambda f: (np.ones((POINTS, POINTS)), lambda f: acl.Uniform(N)),
    "low rank": lambda f: (reference.low_rank(f), acl.LowRank),
    "gaussian": lambda f: _gaussian(f, 2.0),
    "direct": lambda f: _direct(f, 2, 1.0, True),
    "direct raw": lambda f: _direct(f, 4, 3.0, False),
    **{
        f"gaussian scalar {method} {tau}": lambda f, tau=tau, method=method: (
            reference.gaussian(f[:, 0], tau),
            lambda f: acl.Gaussian(f[:, 0], tau, method=method),
        )
        for method, tau in [("fourier", 0.1), ("sorted", 0.1), ("sorted", 1e-4), ("auto", 1e-6), ("tiles", 1e-2)]
    },
}


@pytest.fixture(scope="module", params=DTYPES)
def points(request):
    x, x_aug = two_views(POINTS, 3, request.param, seed=112)
    return x, x_aug, inside(np.random.default_rng(113).standard_normal((POINTS, 3)), request.param)


@pytest.mark.parametrize("name", CASES)
def test_operations_on_many_samples(name, points):
    x, x_aug, f = points
    pair, make = CASES[name](f)
    own = np.eye(POINTS) if name.startswith("direct") else 0
    weights = COUNTS[:, None] * (COUNTS - own) * pair * (POINTS / N) ** 2
    args = x[SAMPLES], x_aug[SAMPLES], make(f[SAMPLES])
    close = CLOSE[x.dtype.type]
    assert relative_error(acl.contrastive_cov(*args), reference.contrastive_cov(x, x_aug, weights)) < close
    if not name.startswith("direct"):
        assert relative_error(acl.energy(*args), reference.energy(x, x_aug, weights)) < close


@pytest.mark.parametrize("name", [name for name in CASES if name != "direct"])
def test_products_of_many_samples(name, points):
    x, _, f = points
    pair, make = CASES[name](f)
    alpha = make(f[SAMPLES])
    y = np.abs(x)  # of one sign: what cancels in a long float32 sum is no matter of the method
    apart = np.diag(np.diag(pair)) if name.startswith("direct") else 0
    between = pair * COUNTS - apart
    assert relative_error(alpha.matmul(y[SAMPLES]), (between @ y.astype(float))[SAMPLES]) < CLOSE[x.dtype.type]
    assert relative_error(alpha.row_sums(), between.sum(axis=1)[SAMPLES]) < CLOSE[x.dtype.type]


def test_more_moments_than_fit_beside_each_other():
    """ΦᵀX of a wide factor is summed in fewer groups of rows than the rest."""
    n, d, p = 9000, 512, 4096
    rng = np.random.default_rng(114)
    x = rng.standard_normal((n, d), dtype=np.float32)
    phi = rng.standard_normal((n, p), dtype=np.float32)
    moments = (phi.T @ x).astype(float)
    degree = phi @ phi.sum(axis=0, dtype=float)
    expected = (2 * (x.T * degree) @ x - 2 * moments.T @ moments) / (2.0 * n**2)
    assert relative_error(acl.contrastive_cov(x, x.copy(), acl.LowRank(phi)), expected) < 1e-5


def test_too_many_samples_for_sums_over_pairs():
    """The Laplacian form cancels, N is too large for all pairs: the result is what double can give, in linear time."""
    t = np.sort(np.random.default_rng(115).standard_normal(100_000))
    x = np.stack([t, t], axis=1)
    c = acl.contrastive_cov(x, x.copy(), acl.Gaussian(t, 1e-6))
    # Truth from the neighbours within reach in the sorted line.
    truth = sum(np.exp(-((t[s:] - t[:-s]) ** 2) / 2e-6) @ (t[s:] - t[:-s]) ** 2 for s in range(1, 400)) / t.size**2
    assert np.abs(c - truth).max() < 1e-6 * truth
