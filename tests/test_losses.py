"""What all losses have in common: errors, memory, threads."""

import math

import numpy as np
import pytest
from support import TOL, feature_views, run_python
from support import torch as import_torch

import alphacl_fast as acl

torch = import_torch()
losses = acl.losses


@pytest.mark.parametrize(
    "call, kind, text",
    [
        (lambda z: losses.InfoNCE(tau=0.0), ValueError, "tau: expected a positive finite number, got 0"),
        (lambda z: losses.InfoNCE(eps=-1.0), ValueError, "eps: expected a number that is not negative, got -1"),
        (lambda z: losses.Triplet("a"), TypeError, "margin: expected a number, got str"),
        (lambda z: losses.LiftedStructured(math.inf), ValueError, "margin: expected a finite number, got inf"),
        (lambda z: losses.ModifiedTriplet(-1), ValueError, "c: expected a positive finite number, got -1"),
        (lambda z: losses.MINE()(z.numpy(), z), TypeError, "z: expected a torch tensor, got ndarray"),
        (lambda z: losses.MINE()(z, z[:3]), ValueError, r"z_aug: expected shape \(8, 4\) like z, got shape \(3, 4\)"),
        (lambda z: losses.MINE()(z, z.float()), TypeError, "z_aug: expected torch.float64 like z, got torch.float32"),
        (lambda z: losses.MINE()(z.long(), z), TypeError, "z: expected float32, float64, bfloat16 or float16, got"),
        (
            lambda z: losses.MINE()(z[:0], z[:0]),
            ValueError,
            r"z: expected 2 axes, none of them empty, got shape \(0, 4",
        ),
        (lambda z: losses.MINE()(z[0], z[0]), ValueError, r"z: expected 2 axes, none of them empty, got shape \(4,\)"),
        (lambda z: losses.MINE()(z, z, "max"), ValueError, "reduction: expected mean, sum or none, got 'max'"),
        (
            lambda z: losses.MINE()(z.to("meta"), z),
            TypeError,
            "z: META tensor given but this build has no META backend",
        ),
        (lambda z: losses.alpha_cl_loss(z, z, None, "none"), ValueError, "reduction: expected mean or sum, got 'none'"),
        (lambda z: losses.alpha_cl_loss(z, z, "direct"), TypeError, "alpha: expected an importance or an"),
        (
            lambda z: losses.nt_xent(z, z, temperature=-1.0),
            ValueError,
            "temperature: expected a positive finite number",
        ),
        (lambda z: losses.nt_xent(z, z, temperature=z), ValueError, "temperature: expected a scalar, got shape"),
        (lambda z: losses.clip_loss(z, z, "x"), TypeError, "logit_scale: expected a number, got str"),
        (lambda z: losses.info_nce(z, z, z[:, :2]), ValueError, "negative_keys: expected 4 features like query"),
        (lambda z: losses.info_nce(z, z, z[:2, None]), ValueError, "negative_keys: expected 8 rows like query"),
        (
            lambda z: losses.info_nce(z, z, z, symmetric=True),
            ValueError,
            "symmetric: expected False where negative_keys",
        ),
        (lambda z: acl.SquareRegularized(z, 0), ValueError, "tau: expected a positive finite number"),
        (
            lambda z: acl.importance.PairImportance(z, 1.0, "cubic", np.ones(8), np.ones(8)),
            ValueError,
            "form: expected one of exponential, hinge, logistic, softplus, square, got 'cubic'",
        ),
        (
            lambda z: acl.importance.PairImportance(z, 1.0, "hinge", np.ones(7), np.ones(8)),
            ValueError,
            r"offset: expected a float64 array or tensor of shape \(8,\), got float64 \(7,\)",
        ),
    ],
)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call(torch.ones(8, 4, dtype=torch.float64))


def test_memory_grows_linearly():
    """N² floats would be 1.6 GB at N = 20 000."""
    code = """
import resource, torch
import alphacl_fast as acl
loss = acl.losses.InfoNCE(tau=0.5)
def run(n):
    z = torch.randn(n, 32, requires_grad=True)
    loss(z, z.detach() + 0.1).backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
run(500)
small, large = run(5000), run(20000)
assert large - small < 100, (small, large)
"""
    run_python(code)


def test_threads_change_no_bit():
    z, z_aug = feature_views(700, 30, np.float32)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            for loss in (losses.InfoNCE(tau=0.1), losses.ModifiedTriplet(2.0)):
                # Only the sums over pairs: torch's own reductions depend on its threads.
                gradient = torch.ops.alphacl_fast
                scale = torch.tensor(3.0)
                rows, cols = gradient.pair_log_sums(z.detach(), None, scale, True, False, False)
                grads = gradient.pair_log_sums_backward(
                    torch.ones_like(rows), cols, z.detach(), None, scale, rows, cols, True, False, False
                )
                found.append((rows, grads[0], loss(z, z_aug).item()))
    finally:
        torch.set_num_threads(before)
    for rows, grad, _ in found[1:]:
        assert torch.equal(rows, found[0][0])
        assert torch.equal(grad, found[0][1])


def test_tolerances_are_those_of_the_contract():
    assert TOL[np.dtype(np.float32)] == 1e-6
    assert TOL[np.dtype(np.float64)] == 1e-13
