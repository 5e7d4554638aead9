"""Forward-mode derivatives and the transforms of torch.func: refused in one sentence, never lost in silence."""

import warnings

import pytest
from support import torch as import_torch

import alphacl_fast as acl

torch = import_torch()
losses = acl.losses
forward_ad = torch.autograd.forward_ad


def _features(seed):
    return torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


X, K, TANGENT = _features(0), _features(1), _features(2)
KEYS = torch.stack([K, K], 1)

FUNCTIONS = {
    "energy": lambda z: acl.energy(z, K),
    "energy, other view": lambda z: acl.energy(K, z),
    "energy, alpha": lambda z: acl.energy(K, K, z @ z.T),
    "contrastive_cov": lambda z: acl.contrastive_cov(z, K),
    "contrastive_cov, out": lambda z: acl.contrastive_cov(K, K, out=z.T @ z),
    "gated_cov": lambda z: acl.gated_cov(z, K, K[:3]),
    "gated_outer": lambda z: acl.gated_outer(K, z),
    "GatedCovariance": lambda z: acl.GatedCovariance(K, K, z).matmul(K),
    "power_iteration": lambda z: acl.power_iteration(z.T @ z).eigenvalue,
    "find_local_maxima": lambda z: acl.theory.find_local_maxima(z, K, 3).energy,
    "row_sums": lambda z: acl.Gaussian(z, 1.0).row_sums(),
    "tau": lambda z: acl.Gaussian(K, z[0, 0] ** 2).row_sums(),
    "eps": lambda z: losses.InfoNCE(eps=z[0, 0] ** 2)(K, K),
    "alpha_cl_loss": lambda z: losses.alpha_cl_loss(z, K, lambda a, b: acl.Direct(a)),
    "InfoNCE": lambda z: losses.InfoNCE()(z, K),
    "Triplet": lambda z: losses.Triplet(1.0)(K, z),
    "Quadratic": lambda z: losses.Quadratic()(z, K),
    "importance": lambda z: losses.MINE().importance(z, K).row_sums(),
    "nt_xent": lambda z: losses.nt_xent(z, K),
    "temperature": lambda z: losses.nt_xent(K, K, temperature=z[0, 0] ** 2),
    "info_nce": lambda z: losses.info_nce(K, z),
    "negative_keys": lambda z: losses.info_nce(K, K, z),
    "paired": lambda z: losses.info_nce(z, K, KEYS),
    "clip_loss": lambda z: losses.clip_loss(z, K, 2.0),
    "logit_scale": lambda z: losses.clip_loss(K, K, z[0, 0]),
    "siglip_loss": lambda z: losses.siglip_loss(K, z, 2.0, -1.0),
}


with warnings.catch_warnings(), forward_ad.dual_level():
    warnings.simplefilter("ignore")  # torch's own, at its first dual tensor
    forward_ad.make_dual(X, TANGENT)


def _dual(function):
    with forward_ad.dual_level():
        function(forward_ad.make_dual(X, TANGENT))


TRANSFORMS = {
    "dual": _dual,
    "jvp": lambda function: torch.func.jvp(function, (X,), (TANGENT,)),
    "grad": lambda function: torch.func.grad(lambda z: function(z).sum())(X),
    "vmap": lambda function: torch.func.vmap(function)(torch.stack([X, X])),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_refused_in_one_sentence(name, transform):
    text = "forward-mode" if transform == "dual" else r"a transform of torch\.func"
    with pytest.raises(RuntimeError, match=rf"^\w+: .*{text}.*backward\(\)"):
        TRANSFORMS[transform](FUNCTIONS[name])


def test_tensors_without_a_tangent_work_beside_others():
    with forward_ad.dual_level():
        forward_ad.make_dual(X, TANGENT)
        torch.testing.assert_close(acl.energy(X, K), acl.energy(X.clone(), K))
        assert losses.nt_xent(X, K).isfinite()


OPERATORS = ["energy", "energy, other view", "contrastive_cov", "alpha_cl_loss", "InfoNCE", "Triplet", "nt_xent"]
OPERATORS += ["temperature", "negative_keys", "clip_loss", "logit_scale", "siglip_loss"]


def _compiled(transform, function, backend):
    torch.compiler.reset()
    if transform == "dual":
        _dual(torch.compile(function, backend=backend))
        return
    torch.compile(lambda: TRANSFORMS[transform](function), backend=backend)()


@pytest.mark.filterwarnings("ignore")  # torch's own
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", OPERATORS)
def test_refused_in_compiled_functions(name, transform, backend):
    """There the public functions do not look: their operators do."""
    text = "forward-mode" if transform == "dual" else r"a transform of torch\.func"
    if (name, transform) == ("siglip_loss", "vmap"):
        text = "vmap"  # refused by torch, before an operator is reached
    with pytest.raises(Exception, match=rf"\w+: .*{text}"):
        _compiled(transform, FUNCTIONS[name], backend)


@pytest.mark.filterwarnings("ignore")  # torch's own
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_negatives_of_their_own_keep_their_derivatives_when_compiled(backend):
    """They are plain torch, without an operator that could refuse."""
    negatives = torch.stack([K, K + 1, X], 1)

    def function(z):
        return losses.info_nce(z, K, negatives)

    z = X.clone().requires_grad_()
    function(z).backward()
    torch.compiler.reset()
    torch.testing.assert_close(torch.compile(lambda: torch.func.grad(function)(X), backend=backend)(), z.grad)
