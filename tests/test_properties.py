"""Random sizes, layouts, dtypes and importances: the contract, symmetry, permutation and translation."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import DTYPES, IMPORTANCES, check, importance, inside, relative_error

import alphacl_fast as acl
from alphacl_fast import reference

settings.register_profile("suite", max_examples=60, deadline=None, derandomize=True)
settings.load_profile("suite")

sizes = st.one_of(st.integers(1, 40), st.sampled_from([63, 64, 65, 127, 129, 255, 257]))
widths = st.one_of(st.integers(1, 20), st.sampled_from([31, 32, 33, 64, 65]))
seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from(DTYPES)
exponents = st.floats(-8, 8)
LAYOUTS = (inside, np.asfortranarray, np.ascontiguousarray, lambda a: a[::-1].copy()[::-1])


@st.composite
def problems(draw):
    """x, x_aug and the generator they came from: any size, layout and dtype, offsets up to 1e4 × the spread."""
    n, d, dtype = draw(sizes), draw(widths), draw(dtypes)
    rng = np.random.default_rng(draw(seeds))
    offset = draw(st.sampled_from([0.0, 1.0, -1e4])) * rng.uniform(0.5, 1, d)
    x = rng.standard_normal((n, d)) + offset
    x_aug = x + draw(st.sampled_from([0.0, 0.1, 0.5])) * rng.standard_normal((n, d))
    layout = draw(st.sampled_from(LAYOUTS))
    return layout(x.astype(dtype)), draw(st.sampled_from(LAYOUTS))(x_aug.astype(dtype)), rng


def _well_posed(x, x_aug, alpha):
    """The two terms of C do not cancel each other: else no float result has a relative error."""
    inter = reference.contrastive_cov(x, x, alpha)
    intra = reference.contrastive_cov(x, x_aug, alpha) - inter
    parts = np.linalg.norm(inter) + np.linalg.norm(intra)
    weights = np.abs(reference.dense_alpha(alpha, len(x)))
    gross = abs(reference.energy(x, x, weights)) + abs(reference.energy(0 * x, x_aug - x, weights))
    return gross * 2 < 20 * np.linalg.norm(inter + intra) and parts < 10 * np.linalg.norm(inter + intra)


@given(problems(), st.sampled_from(sorted(IMPORTANCES)), seeds)
def test_contract(problem, name, seed):
    x, x_aug, _ = problem
    alpha = importance(name, len(x), x.dtype, seed)
    assume(_well_posed(x, x_aug, alpha))
    check(x, x_aug, alpha, operations=("contrastive_cov",))


@given(problems(), exponents, st.integers(0, 5))
def test_contract_of_the_gaussian_at_any_tau(problem, exponent, m):
    x, x_aug, rng = problem
    f = rng.standard_normal((len(x), m) if m else len(x)).astype(x.dtype)
    alpha = acl.Gaussian(inside(f), 10.0**exponent)
    assume(_well_posed(x, x_aug, alpha))
    check(x, x_aug, alpha, operations=("contrastive_cov",))


@given(problems(), st.floats(-4, 4), st.floats(0.25, 8), st.booleans(), st.integers(1, 5))
def test_contract_of_direct_at_any_power_and_tau(problem, exponent, p, normalize, m):
    x, x_aug, rng = problem
    z = rng.standard_normal((len(x), m)).astype(x.dtype)
    alpha = acl.Direct(z, p=p, tau=10.0**exponent, normalize=normalize)
    assume(_well_posed(x, x_aug, alpha))
    check(x, x_aug, alpha, operations=("contrastive_cov",))


@given(problems(), st.sampled_from(sorted(IMPORTANCES)), seeds)
def test_symmetric_and_energy_is_half_the_trace(problem, name, seed):
    x, x_aug, _ = problem
    alpha = importance(name, len(x), x.dtype, seed)
    c = acl.contrastive_cov(x, x_aug, alpha)
    np.testing.assert_array_equal(c, c.T)
    weights = np.abs(reference.dense_alpha(alpha, len(x)))
    gross = abs(reference.energy(x, x, weights)) + abs(reference.energy(0 * x, x_aug - x, weights))
    rounding = 1e-5 if x.dtype == np.float32 else 1e-12
    assert abs(acl.energy(x, x_aug, alpha) - np.trace(c) / 2) <= rounding * gross


@given(sizes, widths, seeds, st.floats(-3, 3), st.floats(-1e3, 1e3))
def test_permutation_and_translation(n, d, seed, exponent, shift):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    x_aug = x + 0.1 * rng.standard_normal((n, d))
    f = rng.standard_normal((n, 2))
    tau = 10.0**exponent
    c = acl.contrastive_cov(x, x_aug, acl.Gaussian(f, tau))
    assume(_well_posed(x, x_aug, acl.Gaussian(f, tau)))
    order = rng.permutation(n)
    permuted = acl.contrastive_cov(x[order], x_aug[order], acl.Gaussian(f[order], tau))
    assert relative_error(permuted, c) < 1e-11
    assert relative_error(acl.contrastive_cov(x + shift, x_aug + shift, acl.Gaussian(f, tau)), c) < 1e-10
