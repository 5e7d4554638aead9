"""Copies and pickles of every public object: the same kind, the same bits of every result."""

import copy
import inspect
import pickle

import numpy as np
import pytest
from support import ACTIVATIONS, DTYPES, IMPORTANCES, importance, two_views
from support import torch as import_torch

import alphacl_fast as acl
from alphacl_fast._parts import Data
from alphacl_fast.importance import Importance

COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda a: pickle.loads(pickle.dumps(a))}
MADE = [name for name in IMPORTANCES if name not in ("none", "array")]
N, D = 41, 5


def _same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MADE)
def test_importances(name, dtype, way):
    x, x_aug = two_views(N, D, dtype)
    alpha = importance(name, N, dtype)
    again = COPIES[way](alpha)
    assert type(again) is type(alpha)
    assert repr(again) == repr(alpha)
    _same_bits(acl.contrastive_cov(x, x_aug, again), acl.contrastive_cov(x, x_aug, alpha))
    _same_bits(acl.energy(x, x_aug, again), acl.energy(x, x_aug, alpha))
    if not isinstance(alpha, acl.Uniform):  # which has no size of its own here
        _same_bits(again.matmul(x), alpha.matmul(x))


def test_a_deep_copy_has_arrays_of_its_own():
    f = two_views(N, D, np.float64)[0]
    alpha = acl.Direct(f)
    shallow, deep = copy.copy(alpha), copy.deepcopy(alpha)
    before = deep.to_dense()
    f *= 2
    assert shallow.features is alpha.features
    _same_bits(shallow.to_dense(), alpha.to_dense())
    _same_bits(deep.to_dense(), before)
    assert not np.array_equal(alpha.to_dense(), before)


class Scaled(acl.Gaussian):
    """An importance of a user: its own constructor, an attribute more."""

    def __init__(self, features, unit):
        super().__init__(features, unit**2)
        self.unit = unit


class Halved(Importance):
    """One that brings its own operand and compiled importance, and names no parts."""

    def __init__(self, inner):
        self.inner = inner

    def _operand(self):
        return self.inner._operand()

    def _compile(self, data):
        return self.inner._compile(data)


@pytest.mark.parametrize("way", COPIES)
def test_importances_of_users(way):
    x, x_aug = two_views(N, D, np.float64)
    scaled = Scaled(x[:, 0], 0.5)
    assert repr(scaled) == "Scaled(features=(41,) float64, tau=0.25, method='auto', unit=0.5)"
    for alpha in (scaled, Halved(scaled)):
        again = COPIES[way](alpha)
        assert repr(again) == repr(alpha)
        for found in (alpha, again):
            _same_bits(acl.contrastive_cov(x, x_aug, found), acl.contrastive_cov(x, x_aug, acl.Gaussian(x[:, 0], 0.25)))


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_activations_and_layers(activation, way):
    x, x_aug = two_views(N, D, np.float64)
    w = np.random.default_rng(5).standard_normal((3, D))
    assert COPIES[way](activation) == activation
    for alpha in (None, acl.Direct(x), acl.NodeGaussian(0.7), acl.NodeGaussian(0.7, x_aug, tol=1e-9)):
        layer = acl.GatedCovariance(x, x_aug, w, activation=activation, alpha=alpha)
        again = COPIES[way](layer)
        assert repr(again) == repr(layer)
        _same_bits(again.matmul(w), layer.matmul(w))
        copied = COPIES[way](alpha)
        assert repr(copied) == repr(alpha)
        _same_bits(acl.GatedCovariance(x, x_aug, w, activation=activation, alpha=copied).matmul(w), layer.matmul(w))


@pytest.mark.parametrize("way", COPIES)
def test_results(way):
    x, x_aug = two_views(N, D, np.float64)
    for found in (
        acl.power_iteration(acl.contrastive_cov(x, x_aug), gap=True),
        acl.theory.find_local_maxima(x, x_aug, 4, max_iter=5),
    ):
        again = COPIES[way](found)
        assert type(again) is type(found)
        for mine, other in zip(again, found, strict=True):
            _same_bits(mine, other)


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", MADE)
def test_importances_of_torch_tensors(name, way):
    torch = import_torch()
    x, x_aug = (torch.from_numpy(np.ascontiguousarray(a)).requires_grad_() for a in two_views(N, D, np.float32))
    alpha = importance(name, N, np.float32)
    for name, part in alpha._parts.items():
        if isinstance(part, Data):
            arrays = [torch.from_numpy(np.ascontiguousarray(a)) for a in part.apart(getattr(alpha, name))]
            setattr(alpha, name, part.together(arrays))
    found = [acl.contrastive_cov(x, x_aug, a) for a in (alpha, COPIES[way](alpha))]
    gradients = [torch.autograd.grad(c.square().sum(), (x, x_aug)) for c in found]
    assert torch.equal(found[0], found[1])
    for mine, other in zip(*gradients, strict=True):
        assert torch.equal(mine, other)


def _losses():
    """Name -> a module, and what it is called with beside the two views."""
    torch, losses = import_torch(), acl.losses
    z = torch.from_numpy(np.ascontiguousarray(two_views(N, D, np.float64)[0]))
    learned = torch.nn.Parameter(torch.tensor(0.3))
    return {
        "MINE": (losses.MINE(), ()),
        "AlphaCLLoss": (losses.AlphaCLLoss(acl.Gaussian(z, 1.0)), ()),
        "AlphaCLLoss of a loss": (losses.AlphaCLLoss(losses.MINE().importance), ()),
        "ClipLoss": (losses.ClipLoss(reduction="sum"), (3.0,)),
        "InfoNCE": (losses.InfoNCE(tau=0.7, eps=0.1), ()),
        "InfoNCELoss": (losses.InfoNCELoss(torch.tensor(0.2), symmetric=True), ()),
        "LiftedStructured": (losses.LiftedStructured(1.0), ()),
        "ModifiedTriplet": (losses.ModifiedTriplet(1.7), ()),
        "NTXentLoss": (losses.NTXentLoss(learned, normalize=False), ()),
        "NTuplet": (losses.NTuplet(reduction="sum"), ()),
        "Quadratic": (losses.Quadratic(), ()),
        "SigLIPLoss": (losses.SigLIPLoss(), (3.0, -1.0)),
        "SoftTriplet": (losses.SoftTriplet(0.7, 0.2), ()),
        "Triplet": (losses.Triplet(0.7), ()),
    }


@pytest.mark.parametrize("way", COPIES)
def test_losses_of_torch(way):
    torch = import_torch()
    x, x_aug = (torch.from_numpy(np.ascontiguousarray(a)).requires_grad_() for a in two_views(N, D, np.float64))
    made = _losses()
    modules = {name for name in acl.losses.__all__ if inspect.isclass(getattr(acl.losses, name))}
    assert {type(module).__name__ for module, _ in made.values()} == modules
    for module, others in made.values():
        again = COPIES[way](module)
        assert repr(again) == repr(module)
        values = [loss(x, x_aug, *others) for loss in (module, again)]
        gradients = [torch.autograd.grad(value, (x, x_aug)) for value in values]
        assert torch.equal(values[0], values[1])
        for mine, other in zip(*gradients, strict=True):
            assert torch.equal(mine, other)
