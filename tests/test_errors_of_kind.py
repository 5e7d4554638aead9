"""Wrong containers and dtypes are refused with TypeError; nothing is converted silently."""

import re

import numpy as np
import pytest
from support import two_views

import alphacl_fast as acl

WRONG_DTYPES = ("float16", "int64", "int32", "uint8", "bool", "complex64", "complex128", "object", "longdouble")
X = two_views(6, 3, np.float64)[0]


def _refused(argument, got, call, *args, **kwargs):
    with pytest.raises(TypeError, match=rf"^{re.escape(argument)}: expected .*got .*{re.escape(got)}"):
        call(*args, **kwargs)


def _as(a, dtype):
    return np.abs(a).astype(dtype)


@pytest.mark.parametrize("dtype", WRONG_DTYPES)
def test_dtypes_of_the_views(dtype):
    bad = _as(X, dtype)
    _refused("x", str(bad.dtype), acl.contrastive_cov, bad, bad)
    _refused("x_aug", str(bad.dtype), acl.contrastive_cov, X, bad)
    _refused("f", str(bad.dtype), acl.energy, bad, bad)
    _refused("f_aug", str(bad.dtype), acl.energy, X, bad)


@pytest.mark.parametrize("dtype", WRONG_DTYPES)
def test_dtypes_of_what_an_importance_is_made_of(dtype):
    bad = _as(X[:3], dtype)
    _refused("alpha", str(bad.dtype), acl.Dense, bad)
    _refused("alpha", str(bad.dtype), acl.contrastive_cov, X[:3], X[:3], bad)
    _refused("phi", str(bad.dtype), acl.LowRank, bad)
    _refused("features", str(bad.dtype), acl.Gaussian, bad, 1.0)
    _refused("features", str(bad.dtype), acl.Gaussian, bad[:, 0], 1.0)
    _refused("features", str(bad.dtype), acl.Direct, bad)


def test_text_of_a_mixed_dtype():
    with pytest.raises(TypeError, match=r"^x_aug: expected (dtype )?float64 like x, got float32$"):
        acl.contrastive_cov(X, X.astype(np.float32))
    with pytest.raises(TypeError, match=r"^f_aug: expected (dtype )?float32 like f, got float64$"):
        acl.energy(X.astype(np.float32), X)


@pytest.mark.parametrize("operation", [acl.contrastive_cov, acl.energy])
def test_importance_of_another_dtype(operation):
    small = np.eye(6, dtype=np.float32)
    for alpha in (small, acl.Dense(small), acl.LowRank(small), acl.Gaussian(small, 1.0), acl.Direct(small)):
        with pytest.raises(TypeError, match=r"^alpha: expected .*float64.*got .*float32"):
            operation(X, X, alpha)


CONTAINERS = ([[1.0, 2.0]], (1.0,), None, 3.0, "x", {}, memoryview(b"12345678"))


@pytest.mark.parametrize("bad", CONTAINERS, ids=lambda b: type(b).__name__)
def test_containers(bad):
    kind = type(bad).__name__
    _refused("x", kind, acl.contrastive_cov, bad, X)
    _refused("x_aug", kind, acl.contrastive_cov, X, bad)
    _refused("f", kind, acl.energy, bad, X)
    _refused("features", kind, acl.Gaussian, bad, 1.0)
    _refused("features", kind, acl.Direct, bad)
    _refused("phi", kind, acl.LowRank, bad)
    _refused("alpha", kind, acl.Dense, bad)


class Frame:
    """A table of another library."""

    def __array__(self, dtype=None, copy=None):
        return X


@pytest.mark.parametrize(
    "bad, remedy",
    [
        (X.tolist(), "got list: np.asarray(x, np.float32) converts it"),
        (tuple(X), "got tuple: np.asarray(x, np.float32) converts it"),
        (Frame(), "got Frame: np.asarray(x, np.float32) converts it"),
        (X.astype(int), "got int64: np.asarray(x, np.float32) converts it"),
        (X.astype(np.float16), "got float16: np.asarray(x, np.float32) converts it"),
        (X.astype(object), "got object: np.asarray(x, np.float32) converts it"),
        (X.astype(np.longdouble), f"got {np.dtype(np.longdouble)}: np.asarray(x, np.float64) converts it"),
        (X.astype(X.dtype.newbyteorder()), "np.asarray(x, np.float64) converts it"),
        (np.ma.masked_array(X), "got MaskedArray: say what is behind the mask, x.filled(value)"),
        (X.astype(complex), "got complex128"),
        (None, "got NoneType"),
        (acl.Direct(X), "got Direct"),
        (Frame, "got type"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_makes_an_array_of_it(bad, remedy):
    with pytest.raises(TypeError, match=rf"^x: expected .*{re.escape(remedy)}$"):
        acl.contrastive_cov(bad, bad)
    if "converts it" in remedy:
        good = np.asarray(bad, np.float32)
        acl.contrastive_cov(good, good)


@pytest.mark.parametrize(
    "alpha", [acl.Uniform(6), acl.Dense(np.eye(6)), acl.Direct(X), acl.Gaussian(X[:, 0], 1.0)], ids=repr
)
def test_an_importance_is_no_array(alpha):
    kind = type(alpha).__name__
    for make in (np.asarray, np.array, np.atleast_1d):
        with pytest.raises(TypeError, match=rf"^{kind}: expected \.to_dense\(\)"):
            make(alpha)
    with pytest.raises(TypeError, match=rf"^y: expected {kind} @ y, got y @ {kind}"):
        X.T @ alpha
    with pytest.raises(TypeError, match="unsupported operand"):
        X * alpha
    np.testing.assert_array_equal(alpha @ X, alpha.matmul(X))


def test_what_belongs_to_nodes_is_no_array():
    operator = acl.GatedCovariance(X, X, X[:2])
    node = acl.NodeGaussian(1.0)
    with pytest.raises(TypeError, match=r"^GatedCovariance: expected \.to_dense\(\)"):
        np.asarray(operator)
    with pytest.raises(TypeError, match=r"^y: expected GatedCovariance @ y, got y @ GatedCovariance"):
        X[:2] @ operator
    with pytest.raises(TypeError, match=r"^NodeGaussian: expected use as it is, got np\.asarray"):
        np.asarray(node)
    with pytest.raises(TypeError, match=r"^NodeGaussian: has no products"):
        X @ node
    for alpha in (operator, node):
        with pytest.raises(TypeError, match="unsupported operand"):
            X * alpha


@pytest.mark.parametrize("operation", [acl.contrastive_cov, acl.energy])
def test_what_is_near_an_importance(operation):
    with pytest.raises(TypeError, match=r"^alpha: .*got NodeGaussian, which belongs to the nodes of gated_cov"):
        operation(X, X, acl.NodeGaussian(1.0))
    with pytest.raises(TypeError, match=r"^alpha: .*got the class Direct: make one of it, Direct\(\.\.\.\)"):
        operation(X, X, acl.Direct)


def test_masked_arrays_are_refused():
    masked = np.ma.masked_array(X, mask=X > 0)
    _refused("x", "MaskedArray", acl.contrastive_cov, masked, X)
    _refused("features", "MaskedArray", acl.Gaussian, masked, 1.0)


def test_a_bare_importance_is_refused():
    for use in (
        lambda a: acl.contrastive_cov(X, X, a),
        lambda a: a.row_sums(),
        lambda a: a.to_dense(),
        lambda a: a.dtype,
    ):
        with pytest.raises(TypeError, match=r"^Importance: expected a subclass .*got "):
            use(acl.importance.Importance())


def test_foreign_byte_order_is_refused():
    swapped = X.astype(X.dtype.newbyteorder())
    _refused("x", str(swapped.dtype), acl.contrastive_cov, swapped, swapped)
    _refused("x_aug", str(swapped.dtype), acl.contrastive_cov, X, swapped)
