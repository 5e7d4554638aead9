"""Training without labels: images with labels, random views, encoders, the loop, and a linear probe. Needs torch."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from alphacl_fast import datasets
from alphacl_fast._optional import require

torch = require("torch")
nn, functional = torch.nn, torch.nn.functional

__all__ = [
    "LABELLED",
    "ResNet18",
    "SmallEncoder",
    "Trained",
    "augment",
    "features_of",
    "load_labelled",
    "logistic_regression",
    "probe",
    "train",
]

LABELLED = ("digits", "fashion", "cifar10", "stl10")
_CHECK_EVERY = 20  # steps between two looks at the loss, each of which waits for a GPU


class Trained(NamedTuple):
    """What `train` returns: the encoder without its projector, the steps and seconds that it took, the last loss."""

    encoder: Any
    steps: int
    seconds: float
    loss: float


def load_labelled(name: str, folder: str | os.PathLike | None = None, limit: int | None = None) -> tuple[Any, ...]:
    """Images (N, channels, side, side) in [0, 1] and labels, for training and for the test: four tensors.

    name : one of LABELLED, or the path of a folder or archive with train/CLASS/ and test/CLASS/. folder : where the
    files are (needed for cifar10 and stl10; fashion: Debian's place). limit : images of each part at most.
    Raises ValueError where a folder is needed, and what the readers of ``datasets`` raise.
    """
    if name == "digits":
        data = require("sklearn.datasets", package="scikit-learn").load_digits()
        parts = require("sklearn.model_selection", package="scikit-learn").train_test_split(
            data.images[:, None] / 16, data.target, test_size=0.3, random_state=0, stratify=data.target
        )
        x, x_test, y, y_test = (np.asarray(part) for part in parts)
    elif name == "fashion":
        place = datasets.FASHION_MNIST_DIR if folder is None else folder
        x, x_test = (datasets.load_fashion_mnist(place, split).reshape(-1, 1, 28, 28) for split in ("train", "test"))
        y, y_test = (_fashion_labels(place, stem) for stem in ("train", "t10k"))
    elif name not in LABELLED:
        classes = datasets.image_classes(name, "train")
        (x, y), (x_test, y_test) = (
            _shuffled(*datasets.read_image_folder(name, split, classes)) for split in ("train", "test")
        )
        datasets.check_one_shape(name, x, x_test)
        x, x_test = x / np.float32(255), x_test / np.float32(255)
    else:
        if folder is None:
            raise ValueError(f"folder: expected the folder of the binary files of {name}, got None")
        read = datasets.read_cifar10 if name == "cifar10" else datasets.read_stl10
        (x, y), (x_test, y_test) = read(folder, "train"), read(folder, "test")
        x, x_test = x / np.float32(255), x_test / np.float32(255)
    keep = slice(None, limit)
    return tuple(
        torch.from_numpy(np.array(a[keep], dtype))
        for a, dtype in ((x, np.float32), (y, np.int64), (x_test, np.float32), (y_test, np.int64))
    )


def _shuffled(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Files come class by class, and a limit takes the first."""
    order = np.random.default_rng(0).permutation(len(x))
    return x[order], y[order]


def _fashion_labels(folder: str | os.PathLike, stem: str) -> np.ndarray:
    return datasets.read_idx(datasets.find_idx(Path(folder), f"{stem}-labels-idx1-ubyte"))


def augment(x: Any, generator: torch.Generator, flip: bool) -> Any:
    """A random view of every image: scaled, moved, perhaps mirrored, with other contrast and brightness, and noise."""
    n, device = len(x), x.device

    def uniform(low, high):
        return low + (high - low) * torch.rand(n, generator=generator, device=device)

    scale, mirror = uniform(0.6, 1.0), torch.ones(n, device=device)
    if flip:
        mirror = torch.sign(torch.rand(n, generator=generator, device=device) - 0.5)
    zero = torch.zeros(n, device=device)
    # What lies outside a smaller window of the image is never seen: a crop, enlarged.
    rows = torch.stack([scale * mirror, zero, (1 - scale) * uniform(-1, 1)], 1)
    columns = torch.stack([zero, scale, (1 - scale) * uniform(-1, 1)], 1)
    grid = functional.affine_grid(torch.stack([rows, columns], 1), list(x.shape), align_corners=False)
    view = functional.grid_sample(x, grid, align_corners=False, padding_mode="zeros")
    contrast, brightness = (v[:, None, None, None] for v in (uniform(0.6, 1.4), uniform(-0.2, 0.2)))
    return view * contrast + brightness + 0.05 * torch.randn(view.shape, generator=generator, device=device)


class SmallEncoder(nn.Sequential):
    """Three convolutions for small grey images; 128 features."""

    features = 128

    def __init__(self, channels: int) -> None:
        layers: list[nn.Module] = []
        for width, before in zip((32, 64, 128), (channels, 32, 64), strict=True):
            stride = 1 if width == 32 else 2
            layers += [nn.Conv2d(before, width, 3, stride, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        super().__init__(nn.AvgPool2d(2, ceil_mode=True), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Block(nn.Module):
    """A residual block of two 3×3 convolutions."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.skip = nn.Identity()
        if stride != 1 or before != width:
            self.skip = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Any) -> Any:
        """relu(body(x) + skip(x))."""
        return functional.relu(self.body(x) + self.skip(x))


class ResNet18(nn.Sequential):
    """ResNet-18 with the stem for small images: a 3×3 convolution of stride 1 and no pooling; 512 features."""

    features = 512

    def __init__(self, channels: int) -> None:
        blocks = []
        for width, before, stride in ((64, 64, 1), (128, 64, 2), (256, 128, 2), (512, 256, 2)):
            blocks += [Block(before, width, stride), Block(width, width, 1)]
        stem = [nn.Conv2d(channels, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
        super().__init__(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _encode(encoder: Any, x: Any, precision: str) -> Any:
    """Features in float32; those of bfloat16 by autocast, where the weights stay float32."""
    if x.is_cuda:
        x = x.to(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        return encoder(x).float()


def train(
    loss: Any,
    x: Any,
    *,
    steps: int,
    batch: int = 256,
    lr: float = 3e-3,
    minutes: float = float("inf"),
    seed: int = 0,
    flip: bool = True,
    encoder: Any = None,
    precision: str = "float32",
    title: str | None = None,
) -> Trained:
    """An encoder, trained for some steps of Adam on features of length 1 behind a projector of two layers.

    loss : takes both views' features, (batch, 64) each. x : images (N, channels, side, side), where to train.
    encoder : None makes a SmallEncoder for grey images and a ResNet18 for coloured ones. flip : views may be mirrored.
    It ends after `steps` or `minutes`, and the learning rate follows the one that is further. title : of a progress bar
    on a terminal, None for none. Raises FloatingPointError where the loss is not finite.
    """
    torch.manual_seed(seed)
    generator = torch.Generator(x.device).manual_seed(seed)
    if encoder is None:
        encoder = (ResNet18 if x.shape[1] == 3 else SmallEncoder)(x.shape[1])
    projector = nn.Sequential(nn.Linear(encoder.features, 128), nn.ReLU(), nn.Linear(128, 64))
    model = nn.Sequential(encoder, projector).to(x.device)
    if x.is_cuda:
        model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=1e-6)
    batch, began, limit = min(batch, len(x)), time.perf_counter(), 60 * minutes
    step, seconds, number = 0, 0.0, float("nan")
    bar = require("tqdm").tqdm(total=steps, desc=title, leave=False, disable=True if title is None else None)
    with bar as progress:
        while step < steps and seconds < limit:
            done = max(step / steps, seconds / limit)
            for group in optimizer.param_groups:  # half a cosine
                group["lr"] = lr * 0.5 * (1 + np.cos(np.pi * done))
            images = x[torch.randint(len(x), (batch,), generator=generator, device=x.device)]
            views = torch.cat([augment(images, generator, flip) for _ in range(2)])
            z = functional.normalize(_encode(model, views, precision), dim=1)
            value = loss(z[:batch], z[batch:])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            step += 1
            seconds = time.perf_counter() - began
            if step % _CHECK_EVERY == 0 or step == steps or seconds >= limit:
                number = value.item()
                if not np.isfinite(number):
                    raise FloatingPointError(f"the loss is {number} after {step} steps")
                progress.update(step - progress.n)
                progress.set_postfix(loss=f"{number:.3f}")
    return Trained(encoder, step, seconds, number)


@torch.no_grad()
def features_of(encoder: Any, x: Any, precision: str = "float32") -> Any:
    """(N, features) of the images as they are."""
    encoder.eval()
    return torch.cat([_encode(encoder, part, precision) for part in x.split(500)])


def logistic_regression(x: Any, y: Any, c: float = 0.1) -> Any:
    """The minimum of c Σ_i cross entropy_i + ½‖W‖² by L-BFGS: scikit-learn's objective, on the device of x."""
    model = nn.Linear(x.shape[1], int(y.max()) + 1, device=x.device)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=2000, tolerance_grad=1e-4, line_search_fn="strong_wolfe")

    def objective() -> Any:
        optimizer.zero_grad()
        value = functional.cross_entropy(model(x), y) + model.weight.square().sum() / (2 * c * len(x))
        value.backward()
        return value

    optimizer.step(objective)
    return model


def probe(encoder: Any, data: tuple[Any, ...], precision: str = "float32") -> float:
    """Accuracy in per cent of logistic regression on the encoder's standardised features."""
    x, y, x_test, y_test = data
    known, asked = (features_of(encoder, part, precision) for part in (x, x_test))
    mean, deviation = known.mean(0), known.std(0, correction=0)
    deviation[deviation == 0] = 1  # a feature that never fires
    model = logistic_regression((known - mean) / deviation, y)
    found = model((asked - mean) / deviation).argmax(1)
    return 100 * (found == y_test).float().mean().item()
