"""What the tests share: data that is awkward on purpose, one importance of each kind, the accuracy contract."""

import math
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse

import alphacl_fast as acl
from alphacl_fast import reference

DTYPES = (np.float32, np.float64)
TOL = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-13}
_EXTENDED_COST = 2_000_000  # operations that numpy.longdouble may take per truth: it has no BLAS


def frobenius(a):
    return float(np.sqrt((np.asarray(a) ** 2).sum()))


def relative_error(ours, truth):
    return frobenius(np.asarray(ours, np.float64) - truth) / frobenius(truth)


def assert_contract(ours, truth, naive, dtype):
    """‖ours − truth‖_F ≤ 2 ‖naive − truth‖_F + tol·‖truth‖_F, tol = 1e-6 (float32), 1e-13 (float64).

    naive() is called only where the second term alone does not already hold.
    """
    ours = np.asarray(ours)
    assert ours.dtype == dtype, f"result dtype {ours.dtype}, input dtype {np.dtype(dtype)}"
    assert ours.shape == np.shape(truth)
    error = frobenius(ours.astype(truth.dtype) - truth)
    allowed = TOL[np.dtype(dtype)] * frobenius(truth)
    if not error <= allowed:
        allowed += 2 * frobenius(naive().astype(truth.dtype) - truth)
    assert error <= allowed, f"error {error:.3e} > allowed {allowed:.3e} (‖truth‖ {frobenius(truth):.3e})"


def check(x, x_aug, alpha=None, operations=("contrastive_cov", "energy")):
    """Both operations against their definition, and the exact symmetry of C.

    Truth is the literal sum in at least float64 (more for small float64 data), naive that in the dtype of x.
    """
    dtype = np.asarray(x).dtype
    n, d = np.shape(x)
    extended = dtype == np.float64 and n**2 * (d**2 + 10) <= _EXTENDED_COST
    exact = np.longdouble if extended else np.float64
    weights = reference.dense_alpha(alpha, n, dtype=exact)
    for operation in operations:
        define = getattr(reference, operation)
        ours = np.asarray(getattr(acl, operation)(x, x_aug, alpha))
        truth = define(x, x_aug, weights, dtype=exact)
        assert_contract(ours, truth, lambda define=define: define(x, x_aug, alpha, dtype=dtype.type), dtype)
        if operation == "contrastive_cov":
            np.testing.assert_array_equal(ours, ours.T)


def inside(a, dtype=None):
    """`a` as a slice of a larger array filled with NaN: rows are strided, and a read outside shows."""
    a = np.asarray(a, dtype)
    if a.ndim == 1:
        outer = np.full(len(a) + 2, np.nan, a.dtype)
        view = outer[1:-1]
    else:
        outer = np.full((a.shape[0] + 2, a.shape[1] + 5), np.nan, a.dtype)
        view = outer[1:-1, 2:-3]
    view[...] = a
    return view


def two_views(n, d, dtype, seed=0, noise=0.4):
    """x and x_aug = x + noise, both slices of larger arrays."""
    rng = np.random.default_rng([seed, n, d])
    x = rng.standard_normal((n, d))
    return inside(x, dtype), inside(x + noise * rng.standard_normal((n, d)), dtype)


def _normal(rng, dtype, *shape):
    return inside(rng.standard_normal(shape), dtype)


def _few(rng, n, dtype):
    """About four entries a row, of both signs, not symmetric; the last row is empty where there are two."""
    a = rng.standard_normal((n, n)) * (rng.random((n, n)) < 4 / n)
    a[1:][-1:] = 0
    return scipy.sparse.csr_array(a.astype(dtype))


# name -> (rng, n, dtype) -> what is passed as alpha=
IMPORTANCES = {
    "none": lambda rng, n, dtype: None,
    "uniform": lambda rng, n, dtype: acl.Uniform(),
    "array": lambda rng, n, dtype: _normal(rng, dtype, n, n),
    "dense": lambda rng, n, dtype: acl.Dense(inside(rng.uniform(-0.3, 1, (n, n)), dtype)),
    "low_rank": lambda rng, n, dtype: acl.LowRank(_normal(rng, dtype, n, 3)),
    "low_rank_signed": lambda rng, n, dtype: acl.LowRank(_normal(rng, dtype, n, 3), [2.0, -1.5, 0.3]),
    "labels": lambda rng, n, dtype: acl.Labels(rng.integers(-2, 3, n), 1.0, 0.25),
    "labels_signed": lambda rng, n, dtype: acl.Labels(rng.integers(-2, 3, n).astype(np.int8), -1.5, 0.5),
    "sparse": lambda rng, n, dtype: acl.Sparse(_few(rng, n, dtype)),
    "gaussian_scalar": lambda rng, n, dtype: acl.Gaussian(_normal(rng, dtype, n), 0.3),
    "gaussian": lambda rng, n, dtype: acl.Gaussian(_normal(rng, dtype, n, 5), 2.0),
    "direct": lambda rng, n, dtype: acl.Direct(_normal(rng, dtype, n, 4)),
    "inverse_distance": lambda rng, n, dtype: acl.InverseDistance(_normal(rng, dtype, n, 4), p=3, tau=0.4, q=1.5),
    "off_diagonal": lambda rng, n, dtype: acl.Uniform(diagonal=False),
    "square_regularized": lambda rng, n, dtype: acl.SquareRegularized(_normal(rng, dtype, n, 3), 0.7),
    "pair_logistic": lambda rng, n, dtype: acl.importance.PairImportance(
        _normal(rng, dtype, n, 4), 1.3, "logistic", rng.standard_normal(n), rng.uniform(0, 2, n)
    ),
    "pair_exponential": lambda rng, n, dtype: acl.importance.PairImportance(
        _normal(rng, dtype, n, 6), 2.0, "exponential", rng.standard_normal(n), rng.uniform(0, 2, n)
    ),
    "direct_raw": lambda rng, n, dtype: acl.Direct(_normal(rng, dtype, n, 2), p=2, tau=1.0, normalize=False),
}


def importance(name, n, dtype, seed=0):
    return IMPORTANCES[name](np.random.default_rng([seed, n]), n, dtype)


# activations of each kind, and what is special among them
ACTIVATIONS = ("linear", "relu", acl.LeakyReLU(0.1), acl.Monomial(1), acl.Monomial(2), acl.Monomial(3))


def run_python(code, *, timeout=120, check=True, **environment):
    """`code` in a fresh interpreter that can import this module; a hang is a failure."""
    path = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "PYTHONPATH": path, **environment}
    done = subprocess.run([sys.executable, "-c", code], env=env, timeout=timeout, capture_output=True, text=True)
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def torch():
    """torch, imported late: other tests look at what the package itself imports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch as module
    return module


def sparse_csr(dense):
    """The tensor in compressed rows; torch warns once that these are new."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dense.to_sparse_csr()


# For the losses; torch is imported when one of these is called.


def log_sum(x, mask):
    return torch().logsumexp(x.masked_fill(~mask, -math.inf), 1)


def log1p_exp(x):
    return torch().logaddexp(x, torch().zeros_like(x))


def feature_views(n, m, dtype, seed=0, noise=0.3, norm=None):
    rng = np.random.default_rng([seed, n, m])
    z = rng.standard_normal((n, m))
    if norm is not None:
        z *= norm / np.linalg.norm(z, axis=1, keepdims=True)
    z_aug = z + noise * np.linalg.norm(z) / math.sqrt(z.size) * rng.standard_normal((n, m))
    return [torch().from_numpy(inside(a, dtype)).requires_grad_() for a in (z, z_aug)]


def _with_gradients(f, tensors, weight):
    values = f(*tensors)
    gradients = torch().autograd.grad((values * weight.to(values.dtype)).sum(), tensors)
    return [values, *gradients]


def check_gradients(ours, literal, tensors, seed=0, known_to=0.0):
    """Values and gradients within the accuracy contract, for losses of samples weighted at random.

    known_to: the relative accuracy of the truth itself, which rounds scores of 1e8 to 1e-8.
    """
    dtype = tensors[0].detach().numpy().dtype.type
    found = ours(*tensors)
    weight = torch().from_numpy(np.random.default_rng(seed).standard_normal(found.shape))
    exact = _with_gradients(literal, [t.detach().double().requires_grad_() for t in tensors], weight)
    naive = None

    def rounded(k):
        """The literal formula in the dtype of the data; in float64, the truth's own, at inputs rounded otherwise."""
        nonlocal naive
        if naive is None:
            inputs = [t.detach().clone() for t in tensors]
            if dtype == np.float64:
                rng = np.random.default_rng(seed + 1)
                inputs = [t * (1 + 4e-16 * torch().from_numpy(rng.uniform(-1, 1, t.shape))) for t in inputs]
            naive = _with_gradients(literal, [t.requires_grad_() for t in inputs], weight)
        return naive[k].detach().numpy()

    for k, results in enumerate(zip(_with_gradients(ours, tensors, weight), exact, strict=True)):
        mine, truth = (result.detach().numpy() for result in results)
        if known_to == 0 or not np.linalg.norm(mine - truth) <= known_to * np.linalg.norm(truth):
            assert_contract(mine, truth, lambda k=k: rounded(k), dtype)
