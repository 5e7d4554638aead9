"""What torch asks of operators: opcheck, gradcheck, compile, autocast, half precision, learned scales."""

import math
import warnings

import numpy as np
import pytest
from support import sparse_csr
from support import torch as import_torch

import alphacl_fast as acl
from alphacl_fast._backend import device_for

torch = import_torch()
losses = acl.losses
ops = torch.ops.alphacl_fast


def _features(n, m, dtype=torch.float64, seed=0):
    return torch.randn(n, m, dtype=dtype, generator=torch.Generator().manual_seed(seed + n))


def _arguments():
    z, k, scale = _features(9, 4), _features(7, 4), torch.tensor(1.7, dtype=torch.float64)
    rows, cols = ops.pair_log_sums(z, None, scale, True, False, False)
    both = ops.pair_log_sums(z, k, scale, False, False, True)
    offset, ones = _features(9, 1)[:, 0], torch.ones(9, dtype=torch.float64)
    direct = ("Direct", [z], [4.0, 0.5, 1.0, 0.0])
    saved = [
        ops.contrasts(z, z + 1, None, scale, True, False, True, "mean")[2],
        ops.contrasts(z, z + 1, k, scale, False, False, True, "none")[2],
    ]
    return {
        "pair_log_sums": [
            (z, None, scale, True, False, False),
            (k[:6], None, scale, False, True, False),
            (z.float(), k.float(), scale, False, False, True),
            (z, z + 1, scale, False, True, False),
        ],
        "pair_log_sums_backward": [
            (ones, cols, z, None, scale, rows, cols, True, False, False),
            (ones, both[1], z, k, scale, *both, False, False, True),
        ],
        "pair_sums": [
            (z, None, offset, scale, form, True, False) for form in ("hinge", "logistic", "softplus", "square")
        ]
        + [(z, k, offset, scale, "softplus", False, False)],
        "pair_sums_backward": [
            (ones, z, None, offset, scale, "logistic", True, False),
            (ones, z, k, offset, scale, "softplus", False, False),
        ],
        "contrasts": [
            (z, z + 1, None, scale, True, False, True, "mean"),
            (z.float(), z.float() + 1, k.float(), scale, False, False, True, "none"),
            (z, z + 1, None, scale, False, True, False, "sum"),
        ],
        "contrasts_backward": [
            (ones[0], z, z + 1, None, scale, saved[0], True, False, True, "mean"),
            (ones, z, z + 1, k, scale, saved[1], False, False, True, "none"),
        ],
        "contrastive_cov": [(z, z + 1, *direct), (z.float(), z.float(), "Uniform", [], [0.0, 1.0])],
        "energy": [
            (z, z + 1, *direct),
            (z, z + 1, "Gaussian", [z[:, 0]], [0.5, 0.0, 0.0]),
            (z, z + 1, "Labels", [torch.arange(9) % 4], [1.0, -0.5]),
        ],
        "laplacian": [
            (z, z + 1, *direct),
            (z, z + 1, "LowRank", [k.new_ones(9, 2)], []),
            (z, z + 1, "LowRank", [k.new_ones(9, 2), k.new_tensor([1.0, -2.0]).double()], []),
            (z, z + 1, "Sparse", [torch.arange(10), torch.arange(9), z[:, 0].contiguous()], []),
        ],
        "laplacian_along": [
            (z, z + 1, z[:2], ones[:2], *direct),
            (z.float(), z.float(), z[:1].float(), ones[:1], "Uniform", [], [0.0, 1.0]),
        ],
    }


@pytest.mark.parametrize("name", sorted(_arguments()))
def test_opcheck(name):
    for arguments in _arguments()[name]:
        torch.library.opcheck(getattr(ops, name).default, arguments)


_ONE, _TWO, _SIX = _features(6, 1)[:, 0], _features(6, 2), _features(6, 6)
_SPARSE = acl.Sparse(sparse_csr(_SIX * (_SIX > 0)))


def _scalar(value):
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


DIFFERENTIABLE = {
    "InfoNCE": (lambda z, k: losses.InfoNCE()(z, k, "none"), 0),
    "DCL": (lambda z, k: losses.InfoNCE(tau=0.3, eps=0.0)(z, k, "none"), 0),
    "MINE": (lambda z, k: losses.MINE()(z, k, "none"), 0),
    "Triplet": (lambda z, k: losses.Triplet(3.0)(z, k, "none"), 0),
    "SoftTriplet": (lambda z, k: losses.SoftTriplet(0.5, 0.1)(z, k, "none"), 0),
    "NTuplet": (lambda z, k: losses.NTuplet()(z, k, "none"), 0),
    "LiftedStructured": (lambda z, k: losses.LiftedStructured(1.0)(z, k, "none"), 0),
    "ModifiedTriplet": (lambda z, k: losses.ModifiedTriplet(0.7)(z, k, "none"), 0),
    "Quadratic": (lambda z, k: losses.Quadratic()(z, k, "none"), 0),
    "nt_xent": (lambda z, k, t: losses.nt_xent(z, k, temperature=t, reduction="none"), 1),
    "info_nce": (lambda z, k, t: losses.info_nce(z, k, temperature=t, reduction="none"), 1),
    "info_nce_symmetric": (lambda z, k, t: losses.info_nce(z, k, temperature=t, symmetric=True), 1),
    "info_nce_negatives": (lambda z, k, t: losses.info_nce(z, k, k[:3], temperature=t, reduction="none"), 1),
    "clip_loss": (losses.clip_loss, 1),
    "siglip_loss": (losses.siglip_loss, 2),
    "contrastive_cov": (lambda z, k: acl.contrastive_cov(z, k, acl.Direct(_TWO)), 0),
    "contrastive_cov_uniform": (acl.contrastive_cov, 0),
    "energy": (lambda z, k: acl.energy(z, k, acl.Gaussian(_ONE, 0.8)), 0),
    "energy_dense": (lambda z, k: acl.energy(z, k, _SIX), 0),
    "energy_signs": (lambda z, k: acl.energy(z, k, acl.LowRank(_TWO, [1.0, -2.0])), 0),
    "energy_labels": (lambda z, k: acl.energy(z, k, acl.Labels(torch.arange(6) % 2, 1.0, -0.5)), 0),
    "contrastive_cov_sparse": (lambda z, k: acl.contrastive_cov(z, k, _SPARSE), 0),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradcheck(name):
    function, scalars = DIFFERENTIABLE[name]
    inputs = [_features(6, 3, seed=s).requires_grad_() for s in (1, 2)] + [_scalar(0.7), _scalar(-0.4)][:scalars]
    assert torch.autograd.gradcheck(function, inputs)


def test_scale_of_distances_has_a_gradient():
    from alphacl_fast import _torch

    def sums(z, scale):
        return _torch.pair_log_sums(z + 100, scale=scale, distances=True)[0]

    def pointwise(z, offset, scale):
        return _torch.pair_sums(z, offset=offset, scale=scale, form="square", distances=True)

    z = _features(6, 3).requires_grad_()
    assert torch.autograd.gradcheck(sums, (z, _scalar(0.6)))
    assert torch.autograd.gradcheck(pointwise, (z, _features(6, 1)[:, 0].add(4).requires_grad_(), _scalar(0.6)))


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_compiled_whole(name):
    """torch.compile without a graph break gives the same value and gradients."""
    function, scalars = DIFFERENTIABLE[name]

    def run(f):
        inputs = [_features(6, 3, seed=s).requires_grad_() for s in (1, 2)] + [_scalar(0.7), _scalar(-0.4)][:scalars]
        value = f(*inputs)
        return value, torch.autograd.grad(value.sum(), inputs)

    torch.compiler.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        value, gradients = run(torch.compile(function, fullgraph=True, backend="aot_eager"))
    expected, expected_gradients = run(function)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradients, expected_gradients)


HALF = {
    "InfoNCE": losses.InfoNCE(),
    "Triplet": losses.Triplet(1.0),
    "Quadratic": losses.Quadratic(),
    "alpha_cl": lambda z, k: losses.alpha_cl_loss(z, k, lambda a, b: acl.Direct(a)),
    "nt_xent": losses.nt_xent,
    "info_nce": lambda z, k: losses.info_nce(z, k, k[:5]),
    "info_nce_paired": lambda z, k: losses.info_nce(z, k, torch.stack([k, k], 1)),
    "clip_loss": lambda z, k: losses.clip_loss(z, k, 2.0),
    "siglip_loss": lambda z, k: losses.siglip_loss(z, k, 2.0, -1.0),
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", HALF)
def test_half_precision_is_computed_in_float32(name, dtype):
    z, k = (_features(40, 8, seed=s).to(dtype).requires_grad_() for s in (1, 2))
    value = HALF[name](z, k)
    assert value.dtype == torch.float32
    value.backward()
    assert z.grad.dtype == k.grad.dtype == dtype
    wide = [t.detach().float().requires_grad_() for t in (z, k)]
    expected = HALF[name](*wide)
    expected.backward()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(z.grad, wide[0].grad.to(dtype))


@pytest.mark.parametrize("name", HALF)
def test_autocast_changes_nothing(name):
    z, k = (_features(40, 8, torch.float32, seed=s).requires_grad_() for s in (1, 2))
    expected = torch.autograd.grad(HALF[name](z, k), z)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = HALF[name](z, k)
    assert value.dtype == torch.float32
    torch.testing.assert_close(torch.autograd.grad(value, z)[0], expected)


@pytest.mark.parametrize("wanted", ["z", "k"])
@pytest.mark.parametrize("name", HALF)
def test_gradient_only_where_it_is_asked_for(name, wanted):
    z, k = _features(20, 4, seed=1), _features(20, 4, seed=2)
    (z if wanted == "z" else k).requires_grad_()
    value = HALF[name](z, k)
    assert value.requires_grad
    value.backward()
    assert ((z if wanted == "z" else k).grad != 0).any()
    with torch.no_grad():
        assert not HALF[name](z, k).requires_grad


@pytest.mark.parametrize("name", ["InfoNCE", "Triplet", "nt_xent", "siglip_loss", "alpha_cl"])
def test_a_second_derivative_is_refused_in_words(name):
    z, k = (_features(10, 4, seed=s).requires_grad_() for s in (1, 2))
    (gradient,) = torch.autograd.grad(HALF[name](z, k), z, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once"):
        gradient.sum().backward()


def _saved_sizes(call):
    """Bytes of the tensors that calls leave for their gradients."""
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (sizes.append(t.nbytes), t)[1], lambda t: t):
        call()
    return sizes


@pytest.fixture
def no_scores():
    before = losses.set_score_budget(0)
    yield
    losses.set_score_budget(before)


def test_saved_for_backward_is_linear_in_the_batch(no_scores):
    z = _features(600, 5).requires_grad_()
    assert max(_saved_sizes(lambda: [HALF[name](z, z + 1) for name in HALF])) <= 8 * 600 * 5 * 3  # both views and keys


CONTRASTS = {
    "nt_xent": losses.nt_xent,
    "info_nce": losses.info_nce,
    "info_nce_symmetric": lambda z, k: losses.info_nce(z, k, symmetric=True),
    "info_nce_negatives": lambda z, k: losses.info_nce(z, k, k[:70]),
    "clip_loss": lambda z, k: losses.clip_loss(z, k, 2.0),
}


@pytest.mark.skipif(device_for(np.empty(0)) == "cuda", reason="kernels of a GPU keep no scores")
@pytest.mark.parametrize("name", CONTRASTS)
def test_the_budget_of_scores(name, no_scores):
    """They are kept where they fit it to the byte, for a gradient alone; values are the same to the bit."""
    z, k = (_features(200, 5, torch.float32, seed=s).requires_grad_() for s in (1, 2))

    def largest():
        return max(_saved_sizes(lambda: CONTRASTS[name](z, k)))

    def gradients():
        return torch.autograd.grad(CONTRASTS[name](z, k), (z, k))

    linear, without = largest(), gradients()
    assert linear <= 4 * 5 * 470
    assert losses.set_score_budget(2**40) == 0
    kept = largest()
    assert 4 * 200 * 70 <= kept <= 4 * 400 * 400
    with torch.no_grad():
        assert _saved_sizes(lambda: CONTRASTS[name](z, k)) == []
    for computed_again, found in zip(without, gradients(), strict=True):
        assert torch.equal(computed_again, found)
    losses.set_score_budget(kept)
    assert largest() == kept
    losses.set_score_budget(kept - 1)
    assert largest() == linear


def test_what_a_budget_is(no_scores):
    for bad, error in ((-1, ValueError), (1.5, TypeError), ("32 MiB", TypeError), (True, TypeError)):
        with pytest.raises(error, match=r"^size: expected "):
            losses.set_score_budget(bad)
    assert losses.set_score_budget(np.int64(1 << 20)) == 0
    assert losses.set_score_budget(32 << 20) == 1 << 20


def test_tensors_that_need_double_keep_nothing():
    z, k = (_features(200, 5, torch.float32, seed=s).requires_grad_() for s in (1, 2))
    assert max(_saved_sizes(lambda: losses.nt_xent(z, k, temperature=1 / 500))) <= 8 * 5 * 400


@pytest.mark.parametrize("name", CONTRASTS)
def test_what_is_traced_one_way_only(name):
    """Forward under a mode of torch and backward outside of it, and the other way round."""
    from torch.utils.flop_counter import FlopCounterMode

    z, k = (_features(70, 5, seed=s).requires_grad_() for s in (1, 2))
    plain = torch.autograd.grad(CONTRASTS[name](z, k), (z, k))
    with FlopCounterMode(display=False):
        value = CONTRASTS[name](z, k)
    found = torch.autograd.grad(value, (z, k))
    value = CONTRASTS[name](z, k)
    with FlopCounterMode(display=False):
        again = torch.autograd.grad(value, (z, k))
    for one, *others in zip(plain, found, again, strict=True):
        assert all(torch.equal(one, other) for other in others)


# name -> a function of two views, and the operators of its value and of its gradient.
OPERATORS = {
    "contrastive_cov": (lambda z, k: acl.contrastive_cov(z, k, acl.LowRank(z.detach())), "contrastive_cov laplacian"),
    "energy": (lambda z, k: acl.energy(z, k, acl.Direct(z.detach())), "energy laplacian"),
    "top_eigenvalue": (acl.theory.top_eigenvalue, "contrastive_cov laplacian_along"),
    "InfoNCE": (losses.InfoNCE(), "pair_log_sums pair_log_sums_backward"),
    "MINE": (losses.MINE(), "pair_log_sums pair_log_sums_backward"),
    "Triplet": (losses.Triplet(margin=0.3), "pair_sums pair_sums_backward"),
    "siglip_loss": (lambda z, k: losses.siglip_loss(z, k, 2.0, -1.0), "pair_sums pair_sums_backward"),
}


def _value_and_gradients(name):
    z, k = (_features(70, 5, seed=s).requires_grad_() for s in (1, 2))
    value = OPERATORS[name][0](z, k)
    return value, *torch.autograd.grad(value.sum(), (z, k))


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_where_torch_has_to_see_them_and_else_none(name):
    """Dispatch modes see operators, profilers names; a plain call makes none, and all have its values."""
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    calls, seen = [], []

    class Calls(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            calls.append(str(func))
            return func(*args, **(kwargs or {}))

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(str(func))
            return func(*args, **(kwargs or {}))

    with Calls():
        plain = _value_and_gradients(name)
    assert calls
    assert not any("alphacl_fast" in call for call in calls)
    with Seen():
        recorded = _value_and_gradients(name)
    with torch.profiler.profile() as profile:
        profiled = _value_and_gradients(name)
    events = {event.key for event in profile.key_averages()}
    for operator in OPERATORS[name][1].split():
        assert f"alphacl_fast.{operator}.default" in seen
        assert f"alphacl_fast::{operator}" in events
    for one, *others in zip(plain, recorded, profiled, strict=True):
        assert all(torch.equal(one, other) for other in others)


def test_what_torch_has_to_see_is_seen_in_lists_too():
    from alphacl_fast._torch.register import is_followed

    x = torch.zeros(3)
    other = x.as_subclass(type("Other", (torch.Tensor,), {}))
    assert not is_followed(x, torch.nn.Parameter(x), None, "LowRank", [x, x], (), [1.0])
    assert is_followed(x, "LowRank", [x, other], [1.0])
    assert is_followed(x, (torch._efficientzerotensor((3,)),))
    seen = []
    torch.vmap(lambda v: seen.append(is_followed(x)) or v)(x)
    assert seen == [True]


@pytest.mark.parametrize("name", [*sorted(OPERATORS.keys() - {"top_eigenvalue"}), *CONTRASTS])
def test_many_gradients_at_once(name):
    """is_grads_batched, and a gradient that is torch's own zero; of top_eigenvalue in test_eigenvalue_gradients."""
    z, k = (_features(70, 5, seed=s).requires_grad_() for s in (1, 2))
    value = CONTRASTS[name](z, k) if name in CONTRASTS else OPERATORS[name][0](z, k)
    several = torch.stack([torch.full_like(value, c) for c in (1.0, -2.0, 0.0)])
    found = torch.autograd.grad(value, (z, k), several, is_grads_batched=True, retain_graph=True)
    for c, grad in enumerate(several):
        single = torch.autograd.grad(value, (z, k), grad, retain_graph=True)
        assert all(torch.equal(many[c], one) for many, one in zip(found, single, strict=True))
    nothing = torch._efficientzerotensor(value.shape, dtype=value.dtype)
    assert not any(g.any() for g in torch.autograd.grad(value, (z, k), nothing))


@pytest.mark.parametrize("loss", [losses.nt_xent, losses.InfoNCE()], ids=["nt_xent", "InfoNCE"])
def test_a_loss_under_checkpoint(loss):
    from torch.utils.checkpoint import checkpoint

    z, k = (_features(70, 5, seed=s).requires_grad_() for s in (1, 2))
    found = torch.autograd.grad(checkpoint(loss, z, k, use_reentrant=False), (z, k))
    for one, other in zip(found, torch.autograd.grad(loss(z, k), (z, k)), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", CONTRASTS)
def test_features_that_are_fake_stay_fake(name):
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        fake = torch.empty(70, 5)
        value = CONTRASTS[name](fake, fake)
    assert type(value) is type(fake)
    assert value.shape == ()


@pytest.mark.parametrize("name", CONTRASTS)
def test_tensors_of_another_class_go_through_operators(name):
    class Tagged(torch.Tensor):
        pass

    z, k = (_features(70, 5, seed=s).requires_grad_() for s in (1, 2))
    plain = torch.autograd.grad(CONTRASTS[name](z, k), (z, k))
    for views in ((z.as_subclass(Tagged), k), (z, k.as_subclass(Tagged))):
        for one, other in zip(plain, torch.autograd.grad(CONTRASTS[name](*views), (z, k)), strict=True):
            assert torch.equal(one, other)


def test_a_queue_of_keys_without_a_gradient():
    q, k = (_features(70, 5, seed=s).requires_grad_() for s in (1, 2))
    queue = _features(90, 5)
    expected = torch.autograd.grad(losses.info_nce(q, k, queue.clone().requires_grad_()), (q, k))
    for one, other in zip(torch.autograd.grad(losses.info_nce(q, k, queue), (q, k)), expected, strict=True):
        assert torch.equal(one, other)


def test_features_may_change_where_their_rows_are_saved():
    """Only the normalised rows are, where the temperature is learned."""
    z, k = (_features(70, 5, seed=s).requires_grad_() for s in (1, 2))
    temperature = torch.nn.Parameter(torch.tensor(0.5))
    expected = torch.autograd.grad(losses.nt_xent(z, k, temperature=temperature), z)[0]
    moved = z * 1
    value = losses.nt_xent(moved, k, temperature=temperature)
    moved.mul_(2)
    assert torch.equal(torch.autograd.grad(value, z)[0], expected)


def test_the_graph_may_be_walked_twice():
    """Kept scores are read and not used up."""
    z, k = (_features(70, 5, seed=s).requires_grad_() for s in (1, 2))
    value = losses.nt_xent(z, k)
    first = torch.autograd.grad(value, (z, k), retain_graph=True)
    for one, other in zip(first, torch.autograd.grad(value, (z, k)), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", CONTRASTS)
def test_what_is_traced_has_the_values_of_what_is_not(name):
    z, k = (_features(70, 5, seed=s).requires_grad_() for s in (1, 2))
    plain = torch.autograd.grad(CONTRASTS[name](z, k), (z, k))

    def both(a, b):
        return torch.autograd.grad(CONTRASTS[name](a, b), (a, b))

    from torch.fx.experimental.proxy_tensor import make_fx

    graph = make_fx(both)(z, k)
    assert "alphacl_fast.contrasts.default" in graph.code
    assert "alphacl_fast.contrasts_backward.default" in graph.code
    for one, other in zip(plain, graph(z, k), strict=True):
        assert torch.equal(one, other)


def test_a_learned_temperature_moves():
    z, k = _features(30, 5), _features(30, 5, seed=3)
    scale, bias = _scalar(math.log(10)), _scalar(-10.0)
    temperature = torch.nn.Parameter(torch.tensor(0.2))
    total = losses.siglip_loss(z, k, scale.exp(), bias) + losses.nt_xent(z, k, temperature=temperature)
    total.backward()
    assert temperature.grad.dtype == torch.float32
    assert all(t.grad is not None and t.grad.isfinite() and t.grad != 0 for t in (scale, bias, temperature))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_of_the_sums_are_those_of_the_literal_form(dtype):
    rng = np.random.default_rng(5)
    x, x_aug, f = (torch.from_numpy(rng.standard_normal((150, 6)).astype(dtype) + 50) for _ in range(3))
    x.requires_grad_()
    x_aug.requires_grad_()
    m = torch.from_numpy(rng.standard_normal((6, 6)))
    importances = [None, acl.Direct(f), acl.Gaussian(f[:, 0], 0.3), acl.Gaussian(f, 3.0), acl.LowRank(f - 50)]
    importances += [acl.LowRank(f - 50, torch.linspace(-2, 3, 6)), acl.Labels(torch.arange(150) % 4, 1.0, -0.5)]
    importances += [acl.Sparse(sparse_csr((f - 50) @ (f - 50).T * (f @ f.T > 15000)))]
    importances += [
        acl.SquareRegularized(f, 1.0),
        acl.InverseDistance(f, 2, 0.3),
        acl.Dense(f @ f.T / 2500),
        losses.MINE().importance(f, x.detach()),
    ]
    for alpha in importances:
        dense = torch.from_numpy(acl.reference.dense_alpha(alpha, 150))
        wide = [t.detach().double().requires_grad_() for t in (x, x_aug)]
        inter, intra = wide[0][:, None] - wide[0][None], wide[0] - wide[1]
        c = torch.einsum("ij,ija,ijb->ab", dense, inter, inter) - torch.einsum(
            "i,ia,ib->ab", dense.sum(1), intra, intra
        )
        exact = torch.autograd.grad((c * m).sum() / (2 * 150**2), wide, retain_graph=True)
        ours = torch.autograd.grad((acl.contrastive_cov(x, x_aug, alpha).double() * m).sum(), (x, x_aug))
        exact += torch.autograd.grad(c.trace() / (4 * 150**2), wide)
        ours += torch.autograd.grad(acl.energy(x, x_aug, alpha), (x, x_aug))
        for mine, truth in zip(ours, exact, strict=True):
            error = (mine.double() - truth).norm() / truth.norm()
            assert error < (2e-5 if dtype == np.float32 else 1e-11), type(alpha).__name__


class _Mine(acl.Gaussian):
    pass


class _MyLowRank(acl.LowRank):
    def __init__(self, phi, name):
        super().__init__(phi)
        self.name = name


@pytest.mark.parametrize("mine", [lambda f: _Mine(f, 0.7), lambda f: _MyLowRank(f, "mine")])
def test_subclasses_of_an_importance_have_derivatives(mine):
    f = _features(12, 2)
    base = acl.Gaussian(f, 0.7) if isinstance(mine(f), acl.Gaussian) else acl.LowRank(f)
    z = _features(12, 3).requires_grad_()
    for operation in (acl.energy, lambda *a: acl.contrastive_cov(*a).sum()):
        ours, expected = operation(z, z + 1, mine(f)), operation(z, z + 1, base)
        assert torch.equal(ours, expected)
        gradients = (torch.autograd.grad(value, z)[0] for value in (ours, expected))
        assert torch.equal(*gradients)
    np.testing.assert_array_equal(acl.reference.dense_alpha(mine(f), 12), acl.reference.dense_alpha(base, 12))
    w = _features(2, 3)
    own, of_base = (acl.reference.gated_cov(z, z, w, alpha=a) for a in (_MyNodes(1.0), acl.NodeGaussian(1.0)))
    np.testing.assert_array_equal(own, of_base)


class _MyNodes(acl.NodeGaussian):
    pass


SPARSE = {
    "InfoNCE": losses.InfoNCE(),
    "alpha_cl": lambda z, k: losses.alpha_cl_loss(z, k, acl.Uniform()),
    "nt_xent": losses.nt_xent,
    "info_nce": losses.info_nce,
    "clip_loss": lambda z, k: losses.clip_loss(z, k, 2.0),
    "siglip_loss": lambda z, k: losses.siglip_loss(z, k, 2.0, -1.0),
}


@pytest.mark.parametrize("layout", ["sparse_coo", "sparse_csr"])
@pytest.mark.parametrize("name", SPARSE)
def test_sparse_features_are_refused_in_words(name, layout):
    z = _features(8, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of what is beta
        thin = z.to_sparse() if layout == "sparse_coo" else z.to_sparse_csr()
    for pair in ((thin, z), (z, thin), (thin, thin)):
        with pytest.raises(TypeError, match=rf"^\w+: expected a dense \(strided\) tensor, got layout torch.{layout}$"):
            SPARSE[name](*pair)


FAMILY = {
    "InfoNCE": losses.InfoNCE(),
    "DCL": losses.InfoNCE(tau=0.3, eps=0.0),
    "MINE": losses.MINE(),
    "Triplet": losses.Triplet(1.0),
    "SoftTriplet": losses.SoftTriplet(0.5, 0.1),
    "NTuplet": losses.NTuplet(),
    "LiftedStructured": losses.LiftedStructured(1.0),
    "ModifiedTriplet": losses.ModifiedTriplet(0.7),
    "Quadratic": losses.Quadratic(),
}


@pytest.mark.parametrize("fullgraph", [False, True])
@pytest.mark.parametrize("form", ["function", "module", "tensor"])
@pytest.mark.parametrize("name", FAMILY)
def test_alpha_cl_loss_with_the_importance_of_a_loss_compiled(name, form, fullgraph):
    loss = FAMILY[name]
    z, k = _features(20, 4, seed=1), _features(20, 4, seed=2)
    fixed = torch.as_tensor(loss.importance(z, k).to_dense())
    function = {
        "function": lambda a, b: losses.alpha_cl_loss(a, b, loss.importance),
        "module": losses.AlphaCLLoss(loss.importance),
        "tensor": lambda a, b: losses.alpha_cl_loss(a, b, fixed),
    }[form]
    torch.compiler.reset()
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        for f in (torch.compile(function, backend="eager", fullgraph=fullgraph), function):
            leaf = z.clone().requires_grad_()
            value = f(leaf, k)
            value.backward()
            found.append((value.detach(), leaf.grad))
    torch.testing.assert_close(*found)
