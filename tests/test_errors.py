"""Wrong shapes and values are refused before any work: ValueError naming argument, expected, got."""

import re

import numpy as np
import pytest

import alphacl_fast as acl

OPERATIONS = (acl.contrastive_cov, acl.energy)
FIRST = {acl.contrastive_cov: ("x", "x_aug"), acl.energy: ("f", "f_aug")}
X = np.zeros((6, 3))


def _refused(argument, got, call, *args, error=ValueError, **kwargs):
    """The call raises `argument: expected …, got <got>`."""
    with pytest.raises(error, match=rf"^{re.escape(argument)}: expected .*got.*{re.escape(got)}"):
        call(*args, **kwargs)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_text_of_the_contract(operation):
    x, x_aug = FIRST[operation]
    with pytest.raises(ValueError, match=rf"^{x_aug}: expected shape \(512, 64\) like {x}, got \(512, 32\)$"):
        operation(np.zeros((512, 64)), np.zeros((512, 32)))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_shapes_of_the_views(operation):
    x, x_aug = FIRST[operation]
    _refused(x_aug, "(5, 3)", operation, X, X[:5])
    _refused(x_aug, "(3,)", operation, X, X[0])
    _refused(x, "(3,)", operation, X[0], X[0])
    _refused(x, "(1, 6, 3)", operation, X[None], X[None])
    _refused(x, "()", operation, np.zeros(()), np.zeros(()))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_samples(operation):
    _refused(FIRST[operation][0], "(0, 3)", operation, X[:0], X[:0])
    _refused(FIRST[operation][0], "(0, 0)", operation, X[:0, :0], X[:0, :0])


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "alpha",
    [
        np.zeros((5, 5)),
        acl.Dense(np.zeros((5, 5))),
        acl.LowRank(np.zeros((5, 2))),
        acl.Gaussian(np.zeros((7, 2)), 1.0),
        acl.Gaussian(np.zeros(7), 1.0),
        acl.Direct(np.zeros((7, 2))),
    ],
    ids=lambda a: f"{type(a).__name__}{getattr(a, 'shape', '')}",
)
def test_alpha_of_other_samples(operation, alpha):
    with pytest.raises(ValueError, match=r"^alpha: expected 6 samples like [xf], got (5|7)$"):
        operation(X, X, alpha)


@pytest.mark.parametrize("shape", [(6, 5), (6,), (6, 6, 1), (0, 0)])
def test_alpha_that_is_no_square_matrix(shape):
    _refused("alpha", str(shape), acl.contrastive_cov, X, X, np.zeros(shape))


@pytest.mark.parametrize("alpha", ["uniform", 1.0, [[1.0]], object(), acl.Uniform, {}])
def test_alpha_of_no_known_kind(alpha):
    with pytest.raises(TypeError, match=r"^alpha: expected .*got "):
        acl.contrastive_cov(X, X, alpha)


@pytest.mark.parametrize("features", [np.zeros(4), np.zeros((4, 2))], ids=["scalar", "vector"])
@pytest.mark.parametrize("make", [acl.Gaussian, lambda f, tau: acl.Direct(f, tau=tau)], ids=["Gaussian", "Direct"])
@pytest.mark.parametrize("tau", [0, 0.0, -1.0, float("nan"), float("inf"), -float("inf")])
def test_tau(make, features, tau):
    _refused("tau", str(tau), make, features, tau)


@pytest.mark.parametrize("tol", [0, 0.0, -1e-6, float("nan")])
def test_tol(tol):
    _refused("tol", str(tol), acl.Gaussian, np.zeros(4), 1.0, tol=tol)


@pytest.mark.parametrize("p", [0, 0.0, -2, float("nan")])
def test_p(p):
    _refused("p", str(p), acl.Direct, np.zeros((4, 2)), p=p)


@pytest.mark.parametrize("value", ["1", None, [1.0], 1j])
def test_parameters_that_are_no_numbers(value):
    _refused("tau", "", acl.Gaussian, np.zeros(4), value, error=TypeError)
    _refused("tau", "", acl.Direct, np.zeros((4, 2)), tau=value, error=TypeError)
    _refused("p", "", acl.Direct, np.zeros((4, 2)), p=value, error=TypeError)
    if value is not None:
        _refused("tol", "", acl.Gaussian, np.zeros(4), 1.0, tol=value, error=TypeError)


@pytest.mark.parametrize(
    "make, argument, bad",
    [
        (acl.Dense, "alpha", np.zeros((4, 5))),
        (acl.Dense, "alpha", np.zeros(4)),
        (acl.Dense, "alpha", np.zeros((0, 0))),
        (acl.LowRank, "phi", np.zeros(4)),
        (acl.LowRank, "phi", np.zeros((0, 2))),
        (acl.LowRank, "phi", np.zeros((4, 2, 2))),
        (lambda f: acl.Gaussian(f, 1.0), "features", np.zeros((4, 2, 2))),
        (lambda f: acl.Gaussian(f, 1.0), "features", np.zeros(())),
        (lambda f: acl.Gaussian(f, 1.0), "features", np.zeros(0)),
        (lambda f: acl.Gaussian(f, 1.0), "features", np.zeros((0, 3))),
        (lambda f: acl.Gaussian(f, 1.0), "features", np.zeros((4, 0))),
        (acl.Direct, "features", np.zeros((4, 0))),
        (acl.Direct, "features", np.zeros((4, 2, 2))),
        (acl.Direct, "features", np.zeros((0, 3))),
    ],
)
def test_shapes_of_what_an_importance_is_made_of(make, argument, bad):
    _refused(argument, str(bad.shape), make, bad)


@pytest.mark.parametrize(
    "alpha",
    [
        acl.Dense(np.eye(4)),
        acl.LowRank(np.eye(4)),
        acl.Gaussian(np.eye(4), 1.0),
        acl.Gaussian(np.ones(4), 1.0),
        acl.Direct(np.eye(4)),
    ],
    ids=["Dense", "LowRank", "Gaussian", "Gaussian scalar", "Direct"],
)
def test_matmul_with_the_wrong_operand(alpha):
    _refused("y", "(5, 2)", alpha.matmul, np.zeros((5, 2)))
    _refused("y", "(4, 2, 2)", alpha.matmul, np.zeros((4, 2, 2)))
    _refused("y", "float32", alpha.matmul, np.zeros((4, 2), np.float32), error=TypeError)
    _refused("y", "list", alpha.matmul, [[1.0]] * 4, error=TypeError)


@pytest.mark.parametrize("number", [1, 0.5, np.float32(0.5), np.float64(2), np.int64(2)])
def test_parameters_may_be_any_real_number(number):
    z = np.eye(4)
    np.testing.assert_array_equal(acl.Gaussian(z, number).to_dense(), acl.Gaussian(z, float(number)).to_dense())
    direct = acl.Direct(z, p=number, tau=number)
    np.testing.assert_array_equal(direct.to_dense(), acl.Direct(z, p=float(number), tau=float(number)).to_dense())


def test_method_of_the_gaussian():
    _refused("method", "'magic'", acl.Gaussian, np.zeros(4), 1.0, method="magic")
    for method in ("fourier", "sorted"):
        _refused("method", repr(method), acl.Gaussian, np.zeros((4, 2)), 1.0, method=method)


def test_size_of_uniform():
    for bad in (1.5, "4", True):
        _refused("size", type(bad).__name__, acl.Uniform, bad, error=TypeError)
    for bad in (0, -3):
        _refused("size", str(bad), acl.Uniform, bad)
    _refused("size", "no size", acl.Uniform().row_sums)
    _refused("size", "no size", lambda: acl.Uniform().shape)
    _refused("alpha", "Uniform(5)", acl.contrastive_cov, X, X, acl.Uniform(5))
    _refused("alpha", "Uniform(5)", acl.Uniform(5).matmul, X)


def test_unknown_keyword_and_missing_argument():
    with pytest.raises(TypeError):
        acl.contrastive_cov(X)
    with pytest.raises(TypeError):
        acl.contrastive_cov(X, X, weights=None)
    with pytest.raises(TypeError):
        acl.Gaussian(X)


@pytest.mark.parametrize("value", ["all", "", 1, 0.0, None])
def test_a_flag_is_true_or_false(value):
    with pytest.raises(TypeError, match=rf"^normalize: expected True, False or 'both', got {re.escape(repr(value))}$"):
        acl.Direct(np.eye(4), normalize=value)
    with pytest.raises(TypeError, match=r"^diagonal: expected True or False"):
        acl.Uniform(4, diagonal=value)
