"""The two-layer network on images cut into a grid: patches in place of tokens, and what is measured of them."""

import numpy as np
import pytest

from alphacl_fast import datasets
from alphacl_fast.experiments import Hooks, Settings
from alphacl_fast.experiments._two_layer import images, on_images
from alphacl_fast.experiments._two_layer.metrics import chi
from alphacl_fast.experiments._two_layer.setting import Setting


def joined(patches: np.ndarray, grid: tuple[int, int], side: tuple[int, int]) -> np.ndarray:
    """(K, d) -> (H, W): the inverse of `cut` for one image."""
    rows, columns = side[0] // grid[0], side[1] // grid[1]
    return patches.reshape(*grid, rows, columns).swapaxes(1, 2).reshape(side)


def some(count=60, side=(6, 9), grid=(2, 3), seed=0):
    return images.Cut(np.random.default_rng(seed).random((count, *side), dtype=np.float32), grid)


def test_cut_by_hand_and_back():
    image = np.arange(24.0).reshape(1, 4, 6)
    patches = images.cut(image, (2, 3))
    assert patches.shape == (1, 6, 4)
    assert patches[0, 0].tolist() == [0, 1, 6, 7]
    assert patches[0, 5].tolist() == [16, 17, 22, 23]
    np.testing.assert_array_equal(joined(patches[0], (2, 3), (4, 6)), image[0])


def test_patches_have_no_mean_and_the_length_of_tokens():
    data = some()
    patches = data.patches(data.images)
    np.testing.assert_allclose(patches.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose((patches**2).sum(axis=2).mean(), 1, rtol=1e-6)
    shifted = data.patches(data.images + 1)  # others are seen as these are
    np.testing.assert_allclose((shifted - patches).std(), 0, atol=1e-5)


def test_kinds_of_patches(monkeypatch):
    """Two planted kinds of patches at each location, and noise: they are found."""
    monkeypatch.setattr(images, "PATTERNS", 2)
    rng = np.random.default_rng(0)
    planted = rng.standard_normal((6, 2, 4))
    which = (rng.random((400, 6)) < 0.3).astype(int)
    patches = np.take_along_axis(planted[None], which[..., None, None], axis=2)[:, :, 0]
    patches = patches + 0.01 * rng.standard_normal(patches.shape)
    pictures = np.stack([joined(p, (2, 3), (4, 6)) for p in patches]).astype(np.float32)
    data = images.Cut(pictures, (2, 3))
    kinds = data.kinds()
    assert kinds.shape == (6, 2, 4)
    np.testing.assert_allclose(np.linalg.norm(kinds, axis=2), 1, rtol=1e-5)
    centred = planted - pictures_mean(planted, which)
    truth = centred / np.linalg.norm(centred, axis=2, keepdims=True)
    assert (np.einsum("kpd,kqd->kpq", truth, kinds).max(2) > 0.99).all()


def pictures_mean(planted, which):
    share = which.mean(axis=0)[:, None]
    return ((1 - share) * planted[:, 0] + share * planted[:, 1])[:, None]


@pytest.mark.parametrize("linear", [False, True])
def test_similarities_of_one_hot_vectors_are_those_of_tokens(linear):
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((3, 7, 4))
    near = images.similarities(weights, np.broadcast_to(np.eye(4), (3, 4, 4)), linear)
    patterns = [[a] * 3 for a in range(4)]  # every token is used
    np.testing.assert_allclose(near.max(2).mean(), chi(weights, patterns, linear)[0], rtol=1e-12)


@pytest.mark.parametrize("change", [{}, {"activation": "linear"}, {"batch_norm": False}])
def test_network_of_vectors_is_that_of_tokens_where_they_are_one_hot_torch(change):
    import torch

    from alphacl_fast.experiments._two_layer import model

    setting = Setting(num_loc=3, num_tokens=4, tokens_per_loc=2, num_patterns=1, pattern_len=1, aug_degree=0, **change)
    tokens = np.random.default_rng(0).integers(0, 4, (2, 5, 8, 3))
    ends = []
    for inputs in (tokens, np.eye(4, dtype=np.float32)[tokens]):
        network = model.TwoLayer(setting, torch.Generator().manual_seed(0))
        losses = model.Trainer(network).steps(*inputs)
        ends.append([losses, *(w.detach().numpy() for w in network.parameters())])
    for token, vector in zip(*ends, strict=True):
        np.testing.assert_allclose(token, vector, rtol=2e-5, atol=1e-6)


def test_training_lowers_the_loss_and_follows_the_seed_torch():
    data = some(200)
    setting = data.setting(beta=1, batch=32)
    assert (setting.num_loc, setting.num_tokens, setting.nodes) == (6, 9, images.PATTERNS)
    runs = [images.train(data, setting, 120, seed, lambda a, b: (a, b)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    assert np.abs(runs[0][0] - runs[2][0]).max() > 0.01
    weights, losses = runs[0]
    assert weights.shape == (6, images.PATTERNS, 9)
    assert len(losses) == 120
    assert np.mean(losses[-20:]) < np.mean(losses[:20])


def few(monkeypatch, **hooks):
    """A quick run with few steps."""
    monkeypatch.setattr(on_images, "_steps", lambda settings: 60)
    settings = Settings(quick=True, hooks=Hooks(**hooks), threads=1)
    numbers = {"images": on_images.run(settings)}
    return settings, numbers, {rule.name: rule.judge(numbers).word for rule in on_images.RULES}


def test_measures_of_digits_and_a_shuffled_pairing_torch(monkeypatch):
    _, numbers, words = few(monkeypatch)
    assert list(numbers["images"]) == ["digits"]
    found = numbers["images"]["digits"]
    assert np.shape(found["runs"]["ReLU, BatchNorm"]["chi_plus"]) == (3, 1)
    digits = {f"{rule}, digits" for rule in ("patches that occur", "ReLU above linear", "lower loss")}
    assert {words[name] for name in digits} == {"holds"}
    assert {words[name] for name in set(words) - digits} == {"left out"}
    rng = np.random.default_rng(0)
    _, _, wrong = few(monkeypatch, pairing=lambda x, x_aug: (x, x_aug[rng.permutation(len(x_aug))]))
    assert wrong["patches that occur, digits"] == "fails"


def test_without_images_torch(monkeypatch, tmp_path):
    """Fashion-MNIST that is not there is left out, with the reason; digits go on."""
    monkeypatch.setattr(datasets, "FASHION_MNIST_DIR", tmp_path)
    monkeypatch.setattr(on_images, "_steps", lambda settings: 2)
    settings = Settings(threads=1)
    found = on_images.run(settings)
    assert found["fashion"] is None
    assert list(found["digits"]["runs"]) == ["ReLU, BatchNorm", "linear, BatchNorm", "ReLU"]
    assert found["digits"]["betas"] == [1, 5]
    assert settings.left_out[0].startswith("fashion in a grid: Fashion-MNIST: no file")


def test_effective_rank_by_hand():
    weights = np.zeros((2, 4, 5))
    weights[0, :, 0] = [1, 2, 3, 4]  # one direction
    weights[1, range(4), range(4)] = [1, 5, 1, 1]  # four
    np.testing.assert_allclose(on_images._rank(weights), (1 + 4) / 2, rtol=1e-6)
