"""The training example, on small data: it runs, learns more than chance, and reads the published formats."""

import importlib.util
from pathlib import Path

import pytest
from support import torch as import_torch
from test_datasets import write_cifar10

torch = import_torch()


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


def test_resnet_on_cifar10_files(example, tmp_path):
    write_cifar10(tmp_path, batches=(24,), test=6)
    arguments = ["--data", "cifar10", "--folder", str(tmp_path), "--steps", "2", "--batch", "8", "--seeds", "1"]
    found = example.main([*arguments, "--losses", "InfoNCE"])
    assert 0 <= found["InfoNCE"][0] <= 100


def test_resnet_has_the_published_size(example):
    parameters = sum(p.numel() for p in example.ResNet18(3).parameters())
    assert parameters == 11_168_832  # 11 689 512 of ImageNet's, less its head and larger stem
    assert example.ResNet18(3)(torch.zeros(2, 3, 32, 32)).shape == (2, 512)


def test_a_folder_is_asked_for(example):
    with pytest.raises(SystemExit, match="--data stl10 needs --folder"):
        example.main(["--data", "stl10"])
