"""The training example, on small data: it runs in both precisions, learns more than chance, and reads all formats."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import torch as import_torch
from test_datasets import archive, write_cifar10, write_image_folder

torch = import_torch()
from alphacl_fast.experiments import _training as training  # noqa: E402  (needs torch, imported without its warnings)


@pytest.fixture(scope="module")
def example():
    path = Path(__file__).parent.parent / "examples/train_ssl.py"
    spec = importlib.util.spec_from_file_location("train_ssl", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_digits_by_all_losses(example, capsys):
    found = example.main(["--steps", "15", "--batch", "128", "--seeds", "2", "--limit", "400"])
    assert set(found) == {"InfoNCE", "Quadratic", "α-CL-direct"}
    for scores in found.values():
        assert len(scores) == 2
        assert min(scores) > 50  # chance is 10
    assert "linear probe" in capsys.readouterr().out
    again = example.main(["--steps", "15", "--batch", "128", "--seeds", "1", "--limit", "400", "--losses", "InfoNCE"])
    assert again["InfoNCE"][0] == pytest.approx(found["InfoNCE"][0], abs=5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precisions(example, capsys, precision):
    """One thread: those of torch spin while they wait in bfloat16, which takes seconds a step on a busy machine."""
    before = torch.get_num_threads()
    arguments = "--steps 15 --batch 128 --seeds 1 --limit 400 --losses InfoNCE Quadratic".split()
    try:
        found = example.main([*arguments, "--precision", precision, "--threads", "1"])
    finally:
        torch.set_num_threads(before)
    assert min(scores[0] for scores in found.values()) > 50
    assert f"15 steps, 1 seeds, {precision} on cpu" in capsys.readouterr().out


def test_features_are_float32_in_both_precisions(example):
    torch.manual_seed(0)
    encoder, x = training.SmallEncoder(1), torch.rand(5, 1, 8, 8)
    exact, rounded = (training.features_of(encoder, x, precision) for precision in ("float32", "bfloat16"))
    assert exact.dtype == rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.05)
    assert not torch.equal(rounded, exact)


def test_time_ends_a_training(example, capsys):
    example.main("--steps 1000000 --minutes 0.005 --batch 16 --limit 200 --seeds 1 --losses Quadratic".split())
    out = capsys.readouterr().out
    assert "1000000 steps or 0.005 minutes" in out
    assert 0 < int(out.split("seed 0: ")[1].split(" steps in ")[0]) < 1000


def test_no_steps_probe_an_encoder_that_is_not_trained(example):
    found = example.main("--steps 0 --seeds 1 --limit 200 --losses Quadratic".split())
    assert found["Quadratic"][0] > 20  # chance is 10


def test_a_loss_that_is_not_finite(example):
    with pytest.raises(SystemExit, match="Quadratic: the loss is nan after 3 steps"):
        example.main("--steps 3 --lr 1e30 --limit 200 --losses Quadratic".split())


def test_logistic_regression_is_that_of_scikit_learn(example):
    from sklearn.linear_model import LogisticRegression

    x, y, x_test, y_test = training.load_labelled("digits", None, None)
    ours = training.logistic_regression(x.flatten(1), y)
    theirs = LogisticRegression(C=0.1, max_iter=2000).fit(x.flatten(1).numpy(), y.numpy())
    weight, bias = ours.weight.detach().numpy(), ours.bias.detach().numpy()
    np.testing.assert_allclose(weight, theirs.coef_, atol=0.01)
    np.testing.assert_allclose(bias - bias.mean(), theirs.intercept_ - theirs.intercept_.mean(), atol=0.01)
    accuracy = (ours(x_test.flatten(1)).argmax(1) == y_test).float().mean().item()
    assert accuracy == pytest.approx(theirs.score(x_test.flatten(1).numpy(), y_test.numpy()), abs=0.005)


def test_resnet_on_an_archive(example, tmp_path):
    write_image_folder(tmp_path / "images", count=8)
    path = str(archive(tmp_path / "images", tmp_path / "images.tgz"))
    x, y, x_test, y_test = training.load_labelled(path, None, None)
    assert x.shape == (24, 3, 4, 5)
    assert x_test.shape == (3, 3, 4, 5)
    assert 0 <= x.min() < x.max() <= 1
    assert y.bincount().tolist() == [8, 8, 8]
    assert len(set(y[:8].tolist())) > 1  # a limit leaves several classes
    assert sorted(y_test.tolist()) == [0, 1, 2]
    found = example.main(["--data", path, "--steps", "2", "--batch", "8", "--seeds", "1", "--losses", "InfoNCE"])
    assert 0 <= found["InfoNCE"][0] <= 100


def test_resnet_on_cifar10_files(example, tmp_path):
    write_cifar10(tmp_path, batches=(24,), test=6)
    arguments = ["--data", "cifar10", "--folder", str(tmp_path), "--steps", "2", "--batch", "8", "--seeds", "1"]
    found = example.main([*arguments, "--losses", "InfoNCE"])
    assert 0 <= found["InfoNCE"][0] <= 100


def test_resnet_has_the_published_size(example):
    parameters = sum(p.numel() for p in training.ResNet18(3).parameters())
    assert parameters == 11_168_832  # 11 689 512 of ImageNet's, less its head and larger stem
    assert training.ResNet18(3)(torch.zeros(2, 3, 32, 32)).shape == (2, 512)


@pytest.mark.parametrize(
    "data, message",
    [("fashion", r"Fashion-MNIST: no file .*ubyte"), ("cifar10", "no file data_batch_1"), ("", "no image CLASS/NAME")],
)
def test_data_that_cannot_be_read(example, tmp_path, data, message):
    with pytest.raises(SystemExit, match=message):
        example.main(["--data", data or str(tmp_path), "--folder", str(tmp_path)])


def test_labels_that_are_not_there(example, tmp_path):
    for stem in ("train", "t10k"):
        header = np.array([2051, 1, 28, 28], ">i4").tobytes()
        (tmp_path / f"{stem}-images-idx3-ubyte").write_bytes(header + bytes(28 * 28))
    with pytest.raises(SystemExit, match="no file train-labels-idx1-ubyte"):
        example.main(["--data", "fashion", "--folder", str(tmp_path)])


@pytest.mark.parametrize("option, least", [("seeds", 1), ("seed", 0), ("steps", 0), ("batch", 2), ("limit", 2)])
def test_numbers_that_are_too_small(example, capsys, option, least):
    with pytest.raises(SystemExit):
        example.main([f"--{option}", str(least - 1)])
    assert f"argument --{option}: expected an integer >= {least}, got {least - 1}" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["lr", "minutes"])
@pytest.mark.parametrize("text", ["0", "-1", "nan"])
def test_numbers_that_are_not_positive(example, capsys, option, text):
    with pytest.raises(SystemExit):
        example.main([f"--{option}={text}"])
    assert f"argument --{option}: expected a positive number, got {text}" in capsys.readouterr().err


def test_colours_in_one_part_alone(example, tmp_path):
    write_image_folder(tmp_path)
    for path in (tmp_path / "train").glob("*/*"):
        Image.open(path).convert("L").save(path)
    text = rf"{re.escape(str(tmp_path))}: expected train and test images of one size .* got 1×4×5 and 3×4×5"
    with pytest.raises(SystemExit, match=text):
        example.main(["--data", str(tmp_path)])


def test_a_folder_is_asked_for(example):
    with pytest.raises(SystemExit, match="--data stl10 needs --folder"):
        example.main(["--data", "stl10"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--device", "cuda:99"], r"argument --device: torch [^ ]+ finds \d+ CUDA devices, and no cuda:99"),
        (["--device", "gpu"], "argument --device: expected cpu, cuda or cuda:N, got 'gpu'"),
        (["--device", "meta"], "argument --device: expected cpu, cuda or cuda:N, got 'meta'"),
        (["--data", "nowhere"], "--data: expected digits, .*, stl10 or a path that exists, got 'nowhere'"),
    ],
)
def test_errors_of_arguments(example, capsys, arguments, message):
    with pytest.raises(SystemExit):
        example.main(arguments)
    assert re.search(message, capsys.readouterr().err)
