"""torch tensors on the CPU: in and out, any strides, never mixed with numpy, never silently without gradient."""

import re

import numpy as np
import pytest
from support import DTYPES, IMPORTANCES, importance, sparse_csr, two_views
from support import torch as import_torch

import alphacl_fast as acl

torch = import_torch()
TORCH_DTYPE = {np.float32: torch.float32, np.float64: torch.float64}


def _to_torch(alpha):
    """The same importance over tensors."""
    if alpha is None or isinstance(alpha, acl.Uniform):
        return alpha
    if isinstance(alpha, np.ndarray):
        return torch.tensor(alpha)
    if isinstance(alpha, acl.Dense):
        return acl.Dense(torch.tensor(alpha.alpha))
    if isinstance(alpha, acl.LowRank):
        return acl.LowRank(torch.tensor(alpha.phi), alpha.signs)
    if isinstance(alpha, acl.Labels):
        return acl.Labels(torch.tensor(alpha.labels), alpha.same, alpha.different)
    if isinstance(alpha, acl.Sparse):
        return acl.Sparse(sparse_csr(torch.tensor(alpha.to_dense())))
    if isinstance(alpha, acl.Gaussian):
        return acl.Gaussian(torch.tensor(alpha.features), alpha.tau)
    if isinstance(alpha, acl.InverseDistance):
        return acl.InverseDistance(torch.tensor(alpha.features), alpha.p, alpha.tau, alpha.q)
    if isinstance(alpha, acl.SquareRegularized):
        return acl.SquareRegularized(torch.tensor(alpha.features), alpha.tau)
    if isinstance(alpha, acl.importance.PairImportance):
        f = torch.tensor(alpha.features)
        return acl.importance.PairImportance(f, alpha.scale, alpha.form, alpha.offset, alpha.weight)
    return acl.Direct(torch.tensor(alpha.features), alpha.p, alpha.tau, normalize=alpha.normalize)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", IMPORTANCES)
def test_tensors_give_the_bits_of_arrays(name, dtype):
    x, x_aug = two_views(300, 7, dtype)
    alpha = importance(name, 300, dtype)
    tx, tx_aug, talpha = torch.tensor(x), torch.tensor(x_aug), _to_torch(alpha)
    c = acl.contrastive_cov(tx, tx_aug, talpha)
    assert isinstance(c, torch.Tensor)
    assert (c.dtype, c.device, c.shape) == (tx.dtype, tx.device, (7, 7))
    assert not c.requires_grad
    np.testing.assert_array_equal(c.numpy(), acl.contrastive_cov(x, x_aug, alpha))
    e = acl.energy(tx, tx_aug, talpha)
    assert isinstance(e, torch.Tensor)
    assert (e.dtype, e.shape) == (tx.dtype, ())
    assert e.item() == float(acl.energy(x, x_aug, alpha))


@pytest.mark.parametrize(
    "name", [name for name in IMPORTANCES if name not in ("none", "uniform", "off_diagonal", "array")]
)
def test_methods_of_an_importance_over_tensors(name):
    alpha = importance(name, 50, np.float32)
    over_tensors = _to_torch(alpha)
    y, _ = two_views(50, 3, np.float32)
    assert over_tensors.dtype == (torch.float64 if isinstance(alpha, acl.Labels) else torch.float32)
    for ours, array in (
        (over_tensors.row_sums(), alpha.row_sums()),
        (over_tensors.col_sums(), alpha.col_sums()),
        (over_tensors.matmul(torch.tensor(y)), alpha.matmul(y)),
        (over_tensors.to_dense(), alpha.to_dense()),
    ):
        assert isinstance(ours, torch.Tensor)
        assert str(ours.dtype) == f"torch.{array.dtype}"
        np.testing.assert_array_equal(ours.numpy(), array)


LAYOUTS = {
    "row-strided": lambda t: torch.cat([t, t], dim=1)[:, : t.shape[1]],
    "every second row": lambda t: t.repeat_interleave(2, dim=0)[::2],
    "transposed": lambda t: t.t().contiguous().t(),
    "every second column": lambda t: t.repeat_interleave(2, dim=1)[:, ::2],
    "negated view": lambda t: torch.complex(torch.zeros_like(t), -t).conj().imag,
    "offset": lambda t: torch.cat([torch.full_like(t[:1], float("nan")), t])[1:],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_strides(layout, dtype):
    x, x_aug = (torch.tensor(a) for a in two_views(90, 6, dtype))
    laid = LAYOUTS[layout](x)
    before = laid.clone()
    for make in (lambda t: None, lambda t: acl.Gaussian(t, 3.0), lambda t: acl.Gaussian(t[:, 2], 0.5), acl.LowRank):
        expected = acl.contrastive_cov(x, x_aug, make(x))
        ours = acl.contrastive_cov(laid, LAYOUTS[layout](x_aug), make(laid))
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(laid, before)


def test_expanded_rows():
    x = torch.ones(1, 4).expand(30, 4)
    torch.testing.assert_close(acl.contrastive_cov(x, x + 1), torch.full((4, 4), -0.5))


def test_out():
    x, x_aug = (torch.tensor(a) for a in two_views(50, 4, np.float32))
    out = torch.full((4, 4), float("nan"))
    assert acl.contrastive_cov(x, x_aug, out=out) is out
    assert torch.equal(out, acl.contrastive_cov(x, x_aug))
    for bad, error in (
        (torch.zeros(4, 5), ValueError),
        (torch.zeros(4, 8)[:, ::2], ValueError),
        (torch.zeros(4, 4, dtype=torch.float64), TypeError),
        (np.zeros((4, 4), np.float32), TypeError),
    ):
        with pytest.raises(error, match=r"^out: expected .*got "):
            acl.contrastive_cov(x, x_aug, out=bad)
    with pytest.raises(TypeError, match=r"^out: expected .*got "):
        acl.contrastive_cov(x.numpy(), x_aug.numpy(), out=out)


def test_numpy_and_torch_are_not_mixed():
    x, x_aug = two_views(8, 8, np.float64)
    t = torch.tensor(x)
    for argument, args in (("x_aug", (x, t)), ("x_aug", (t, x)), ("alpha", (x, x_aug, t)), ("alpha", (t, t, x))):
        with pytest.raises(TypeError, match=rf"^{argument}: expected .*got "):
            acl.contrastive_cov(*args)
    for wrap in (acl.Dense, acl.LowRank, lambda z: acl.Gaussian(z, 1.0), acl.Direct):
        with pytest.raises(TypeError, match=r"^alpha: expected .*got "):
            acl.contrastive_cov(x, x_aug, wrap(t))
        with pytest.raises(TypeError, match=r"^alpha: expected .*got "):
            acl.energy(t, t, wrap(x))
        with pytest.raises(TypeError, match=r"^y: expected .*got "):
            wrap(t).matmul(x)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32", "int64", "bool", "complex64"])
def test_dtypes_that_are_refused(dtype):
    bad = torch.ones(4, 4).to(getattr(torch, dtype))
    with pytest.raises(TypeError, match=rf"^x: expected .*got .*{dtype}"):
        acl.contrastive_cov(bad, bad)
    with pytest.raises(TypeError, match=rf"^features: expected .*got .*{dtype}"):
        acl.Gaussian(bad, 1.0)
    with pytest.raises(TypeError, match=r"^x_aug: expected .*float32.*got .*float64"):
        acl.contrastive_cov(torch.ones(4, 4), torch.ones(4, 4, dtype=torch.float64))


def test_tensors_that_are_not_plain_memory():
    dense = torch.ones(4, 4)
    with pytest.raises(TypeError, match=r"^x: expected .*dense.*got .*sparse"):
        acl.contrastive_cov(dense.to_sparse(), dense)
    with pytest.raises(TypeError, match=r"^x: META tensor given but this build has no META backend: "):
        acl.contrastive_cov(dense.to("meta"), dense)


@pytest.mark.parametrize("shape", [(0, 3), (4,), (2, 3, 4)])
def test_shapes_that_are_refused(shape):
    bad = torch.zeros(shape)
    with pytest.raises(ValueError, match=rf"^x: expected .*got .*{re.escape(str(shape))}"):
        acl.contrastive_cov(bad, bad)
    with pytest.raises(ValueError, match=rf"^x_aug: expected .*got .*{re.escape(str(shape))}"):
        acl.contrastive_cov(torch.zeros(5, 3), bad)


def test_the_text_of_the_contract():
    with pytest.raises(ValueError, match=r"^x_aug: expected shape \(512, 64\) like x, got \(512, 32\)$"):
        acl.contrastive_cov(torch.zeros(512, 64), torch.zeros(512, 32))
