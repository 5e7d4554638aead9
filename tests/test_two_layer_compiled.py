"""The compiled stream and steps of the two-layer experiment against Python's `random` and the network in PyTorch."""

import random
from dataclasses import replace

import numpy as np
import pytest
from support import torch as import_torch
from test_two_layer import SMALL, generator

from alphacl_fast.experiments._two_layer.compiled import Trainer, draw_batches
from alphacl_fast.experiments._two_layer.data import Stream
from alphacl_fast.experiments._two_layer.setting import ACTIVATIONS, LOSSES, Setting
from alphacl_fast.experiments._two_layer.train import train


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"num_tokens": 64, "num_patterns": 64},  # powers of two: half of the draws are too large
        {"num_tokens": 1, "tokens_per_loc": 1},
        {"aug_degree": 0},
        {"aug_degree": 2, "num_patterns": 1},
        {"pattern_len": 4, "aug_degree": 0},
    ],
)
def test_stream_is_that_of_random(change):
    """Over several refills of 624 words, also from within one; both generators go on alike."""
    setting = replace(SMALL, batch=33, **change)
    ours, pythons = Stream(setting, 5), Stream(setting, 5)
    for count in (1, 7, 20):
        np.testing.assert_array_equal(draw_batches(ours, count), pythons.batches(count))
    assert ours.rng.getstate() == pythons.rng.getstate()
    assert ours.rng.random() == pythons.rng.random()


def test_stream_of_the_public_setting():
    ours, pythons = Stream(Setting(), 1), Stream(Setting(), 1)
    np.testing.assert_array_equal(draw_batches(ours, 3), pythons.batches(3))


def pair_of_trainers(setting, dtype, seed=0):
    from alphacl_fast.experiments._two_layer import model

    torch = import_torch()
    network = model.TwoLayer(setting, generator(seed)).to(getattr(torch, dtype))
    first, second = (w.detach().numpy().copy() for w in network.parameters())
    return Trainer(setting, first, second), model.Trainer(network)


def assert_same_steps(setting, dtype="float64", tolerance=1e-11, steps=4):
    ours, plain = pair_of_trainers(setting, dtype)
    batches = Stream(setting, 0).batches(steps)
    np.testing.assert_allclose(ours.steps(*batches), plain.steps(*batches), rtol=tolerance)
    for mine, theirs in zip(ours.weights, plain.model.parameters(), strict=True):
        assert mine.dtype == dtype
        np.testing.assert_allclose(mine, theirs.detach().numpy(), atol=tolerance)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("flags", [None, (True, True), (True, False), (False, True), (False, False)])
def test_steps_are_those_of_torch(loss, activation, flags):
    names = dict(zip(("backprop_mean", "backprop_var"), flags or (True, True), strict=True))
    # A large step, so that one in a wrong direction shows.
    assert_same_steps(
        replace(SMALL, loss=loss, activation=activation, batch_norm=flags is not None, lr=0.1, batch=9, **names)
    )


@pytest.mark.parametrize(
    "change",
    [
        {"num_loc": 1, "pattern_len": 1, "aug_degree": 0, "batch": 64},
        {"output_d": 1, "beta": 1, "tokens_per_loc": 1},
        {"temperature": 1e-3},
        {"momentum": 0.0, "weight_decay": 0.0},
        {"batch": 2},
    ],
)
def test_steps_of_odd_settings_torch(change):
    assert_same_steps(replace(SMALL, **change), tolerance=1e-9)


def test_steps_in_single_precision_torch():
    assert_same_steps(Setting(), "float32", 2e-6)


def test_nothing_of_no_steps_and_one_call_is_as_good_as_two_torch():
    torch = import_torch()
    first, second = (pair_of_trainers(SMALL, "float32")[0] for _ in range(2))
    batches = Stream(SMALL, 0).batches(5)
    assert first.steps(batches[0][:0], batches[1][:0]) == []
    losses = first.steps(*batches)
    assert losses == second.steps(*(v[:2] for v in batches)) + second.steps(*(v[2:] for v in batches))
    assert all(torch.equal(*map(torch.from_numpy, pair)) for pair in zip(first.weights, second.weights, strict=True))


def test_dead_features_torch():
    """ReLU nodes that are all shut: z = 0, and nothing is NaN."""
    setting = replace(SMALL, batch_norm=False)
    ours, plain = pair_of_trainers(setting, "float64")
    ours.weights[0][:] = -1
    with import_torch().no_grad():
        plain.model.first.fill_(-1)
    batches = Stream(setting, 0).batches(2)
    np.testing.assert_allclose(ours.steps(*batches), plain.steps(*batches), rtol=1e-12)
    assert np.isfinite(ours.weights[0]).all()


def test_training_is_that_of_torch():
    compiled, plain = (train(Setting(), 60, 1, plain=plain) for plain in (False, True))
    np.testing.assert_allclose(compiled.losses, plain.losses, atol=1e-5)
    np.testing.assert_allclose(compiled.weights, plain.weights, atol=1e-5)
    assert compiled.chi_plus == pytest.approx(plain.chi_plus, abs=1e-5)
    assert compiled.chi_minus == pytest.approx(plain.chi_minus, abs=1e-5)


def test_the_caller_keeps_its_random_state():
    before = random.getstate()
    draw_batches(Stream(SMALL, 0), 2)
    assert random.getstate() == before
