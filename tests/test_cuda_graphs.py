"""How often operations wait for the device, and those that never do in a CUDA graph, which a GPU captures and replays.

`_cuda.waits()` counts what reads a number of the device or copies to it from the host.
"""

import importlib

import numpy as np
import pytest
from support import DTYPES, IMPORTANCES, importance, two_views
from test_cuda import DEVICE, moved, needs_gpu, there

import alphacl_fast as acl

torch = pytest.importorskip("torch")
_cuda = importlib.import_module("alphacl_fast._cuda")

SINGLE = (np.float32,)
N, D, K = 67, 9, 3


def _gradients(function):
    """The derivatives of the sum of what function(x, x_aug) gives."""

    def call(x, x_aug, w):
        views = [v.detach().requires_grad_() for v in (x, x_aug)]
        return torch.autograd.grad(function(*views).sum(), views)

    return call


def _covariance(make):
    return lambda x, x_aug, w: acl.contrastive_cov(x, x_aug, make(x, x_aug))


def _eigenpairs(x, x_aug, w):
    return acl.power_iteration(acl.gated_outer(x, (x @ w.T).relu()), gap=True)[:4]


def _of_covariance(x, x_aug):
    return acl.contrastive_cov(x, x_aug, acl.Direct(x.detach()))


def _alpha_cl(x, x_aug):
    return acl.losses.alpha_cl_loss(x, x_aug, acl.losses.InfoNCE().importance)


# name -> the dtypes in which it never waits, and a function of views (N, D) and nodes (K, D).
NEVER_WAITING = {
    "contrastive_cov, uniform": (SINGLE, _covariance(lambda x, x_aug: None)),
    "contrastive_cov, low rank": (SINGLE, _covariance(lambda x, x_aug: acl.LowRank(x_aug))),
    "contrastive_cov, dense": (SINGLE, _covariance(lambda x, x_aug: x @ x_aug.T)),
    "contrastive_cov, gaussian": (SINGLE, _covariance(lambda x, x_aug: acl.Gaussian(x, 2.0))),
    "contrastive_cov, gradients": (SINGLE, _gradients(_of_covariance)),
    "energy": (SINGLE, lambda x, x_aug, w: acl.energy(x, x_aug, acl.Gaussian(x, 2.0))),
    "alpha_cl_loss, gradients": (SINGLE, _gradients(_alpha_cl)),
    "row_sums": (DTYPES, lambda x, x_aug, w: acl.Gaussian(x, 2.0).row_sums()),
    "col_sums": (DTYPES, lambda x, x_aug, w: acl.Direct(x).col_sums()),
    "matmul": (DTYPES, lambda x, x_aug, w: acl.Direct(x, tau=2.0) @ x_aug),
    "to_dense": (DTYPES, lambda x, x_aug, w: acl.LowRank(x).to_dense()),
    "gated_outer": (DTYPES, lambda x, x_aug, w: acl.gated_outer(x, (x @ w.T).relu())),
    "gated_cov": (SINGLE, acl.gated_cov),
    "power_iteration": (DTYPES, _eigenpairs),
    "InfoNCE": (DTYPES, lambda x, x_aug, w: acl.losses.InfoNCE()(x, x_aug)),
    "InfoNCE, gradients": (DTYPES, _gradients(acl.losses.InfoNCE())),
    "Triplet, gradients": (DTYPES, _gradients(acl.losses.Triplet(margin=0.3))),
    "Quadratic, gradients": (DTYPES, _gradients(acl.losses.Quadratic())),
    "nt_xent, gradients": (DTYPES, _gradients(acl.losses.nt_xent)),
    "info_nce, gradients": (DTYPES, _gradients(lambda a, b: acl.losses.info_nce(a, b, symmetric=True))),
    "siglip_loss, gradients": (DTYPES, _gradients(lambda a, b: acl.losses.siglip_loss(a, b, 8.0, -8.0))),
}  # fmt: skip
CASES = [(name, dtype) for name, (dtypes, _) in NEVER_WAITING.items() for dtype in dtypes]
over_cases = pytest.mark.parametrize("name, dtype", CASES, ids=lambda p: p if isinstance(p, str) else p.__name__)


def inputs(dtype, seed=0):
    """Views and nodes on the device."""
    x, x_aug = (v + dtype(seed) for v in two_views(N, D, dtype))
    w = np.random.default_rng(seed).standard_normal((K, D)).astype(dtype)
    return [torch.from_numpy(np.ascontiguousarray(a)).to(DEVICE) for a in (x, x_aug, w)]


def waits(call, *arguments):
    before = _cuda.waits()
    call(*arguments)
    return _cuda.waits() - before


@over_cases
def test_torch_cuda_never_waits(name, dtype):
    assert waits(NEVER_WAITING[name][1], *inputs(dtype)) == 0


# What it takes to make one: the range of scalars comes to the host, labels and indices are sorted there.
TO_MAKE = {"gaussian_scalar": 1, "labels": 2, "labels_signed": 2, "sparse": 4}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", IMPORTANCES)
def test_torch_cuda_waits_of_sums(name, dtype):
    """A covariance and an energy in float64 ask whether they have cancelled, gradients ask nothing."""
    made = TO_MAKE.get(name, 0)
    x, x_aug = map(there, two_views(N, D, dtype))
    alpha = moved(importance(name, N, dtype))
    for operation in (acl.contrastive_cov, acl.energy):
        assert waits(operation, x, x_aug, alpha) == made + (2 if dtype == np.float64 else 0)
    views = [v.clone().requires_grad_() for v in (x, x_aug)]
    for function in (lambda *views: acl.contrastive_cov(*views).sum(), acl.theory.top_eigenvalue):
        assert waits(function(*views, alpha).backward) == made


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_cuda_waits_of_layers(dtype):
    """In float64 a block of nodes, or a node, asks which has cancelled, products always; eigenpairs ask who goes on."""
    x, x_aug, w = inputs(dtype)
    wide = dtype == np.float64
    for alpha, expected in ((None, wide), (x @ x_aug.T, 2 * K * wide), (acl.NodeGaussian(0.5), K + 2 * K * wide)):
        assert waits(lambda alpha=alpha: acl.gated_cov(x, x_aug, w, alpha=alpha)) == expected
    layer = acl.GatedCovariance(x, x_aug, w)
    assert waits(layer.matmul, w) == 2
    before = _cuda.waits()
    rounds = int(acl.power_iteration(layer).n_iter.max())
    assert _cuda.waits() - before == 1 + 4 * rounds


def test_torch_cuda_too_many_pairs_are_not_asked_for():
    """The pairs of all nodes of a call, and of all columns of a Laplacian, would be more than 4·10¹⁰ operations."""
    x = torch.from_numpy(np.random.default_rng(1).standard_normal((17_700, 1))).to(DEVICE)
    for nodes in (1, 2):
        w = torch.ones((nodes, 1), dtype=x.dtype, device=DEVICE)
        assert waits(lambda w=w: acl.gated_cov(x, x, w, activation="linear")) == (nodes == 1)
    gaussian = _cuda.gaussian_f64(x, 1.0, 1e-12, "fourier")
    for columns in (1, 128):
        y = torch.ones((len(x), columns), dtype=x.dtype, device=DEVICE)
        grads = torch.empty_like(y), torch.empty_like(y)
        assert waits(lambda y=y, g=grads: _cuda.laplacian_product(y, y, gaussian, *g)) == (columns == 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_cuda_waits_of_climbs(dtype):
    """The starts come to the host; an evaluation and a trial send weights and read numbers; six results go back."""
    x, x_aug, w = inputs(dtype)
    module = getattr(_cuda, "Climb_f64" if dtype == np.float64 else "Climb_f32")
    alpha = getattr(_cuda, "uniform_f64" if dtype == np.float64 else "uniform_f32")(N, True)
    before = _cuda.waits()
    climb = module(x, x_aug, w, "linear", 0.0, alpha, False, 1e-30)
    assert _cuda.waits() - before == 1
    assert waits(climb.step) == 4
    assert waits(climb.finish) == 2
    vectors, numbers = torch.empty_like(w), [torch.empty_like(w[:, 0].contiguous()) for _ in range(3)]
    counts, done = torch.empty(K, dtype=torch.int64, device=DEVICE), torch.empty(K, dtype=torch.bool, device=DEVICE)
    assert waits(climb.write, vectors, *numbers, counts, done) == 6


@needs_gpu
@over_cases
def test_torch_cuda_graphs_replay(name, dtype):
    """A replay over other numbers gives the bits of a call; memory that others take meanwhile is not the graph's."""
    function = NEVER_WAITING[name][1]
    held, other = inputs(dtype), inputs(dtype, 1)
    expected = function(*other)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        function(*held)  # the kernels are loaded
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = function(*held)
    junk = [torch.full((1 << 18,), np.nan, device=DEVICE) for _ in range(16)]
    for mine, theirs in zip(held, other, strict=True):
        mine.copy_(theirs)
    graph.replay()
    torch.cuda.synchronize()
    del junk
    parts = [p if isinstance(p, (tuple, list)) else (p,) for p in (found, expected)]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*parts, strict=True))
