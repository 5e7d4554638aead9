"""Train an encoder without labels by three losses, and ask a linear probe what it learned.

InfoNCE, the quadratic loss and α-CL-direct differ in their pairwise importance alone: normalised Gaussian, uniform, and
given directly. Run `python examples/train_ssl.py --help`; needs torch and tqdm, scikit-learn for digits, pillow for
folders of images. On a GPU everything stays there: images, augmentation, losses (in float32) and probe.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

import alphacl_fast as acl
from alphacl_fast import datasets

# What the losses are, on features of length 1. Each takes both views' features (N, m).
LOSSES = {
    "InfoNCE": acl.losses.InfoNCE(tau=0.1),
    "Quadratic": acl.losses.Quadratic(),
    "α-CL-direct": acl.losses.AlphaCLLoss(lambda z, z_aug: acl.Direct(z, p=4, tau=0.1)),
}
KNOWN = ("digits", "fashion", "cifar10", "stl10")
CHECK_EVERY = 20  # steps between two looks at the loss, each of which waits for a GPU


def load(name: str, folder: str | None, limit: int | None) -> tuple[torch.Tensor, ...]:
    """Images (N, channels, side, side) in [0, 1] and labels, for training and for the test."""
    if name == "digits":
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        data = load_digits()
        parts = train_test_split(
            data.images[:, None] / 16, data.target, test_size=0.3, random_state=0, stratify=data.target
        )
        x, x_test, y, y_test = (np.asarray(part) for part in parts)
    elif name == "fashion":
        place = datasets.FASHION_MNIST_DIR if folder is None else folder
        x, x_test = (datasets.load_fashion_mnist(place, split).reshape(-1, 1, 28, 28) for split in ("train", "test"))
        y, y_test = (_fashion_labels(place, stem) for stem in ("train", "t10k"))
    elif name not in KNOWN:
        (x, y), (x_test, y_test) = (_shuffled(*datasets.read_image_folder(name, s)) for s in ("train", "test"))
        x, x_test = x / np.float32(255), x_test / np.float32(255)
    else:
        if folder is None:
            sys.exit(f"--data {name} needs --folder with its binary files")
        read = datasets.read_cifar10 if name == "cifar10" else datasets.read_stl10
        (x, y), (x_test, y_test) = read(folder, "train"), read(folder, "test")
        x, x_test = x / np.float32(255), x_test / np.float32(255)
    keep = slice(None, limit)
    return tuple(
        torch.from_numpy(np.array(a[keep], dtype))
        for a, dtype in ((x, np.float32), (y, np.int64), (x_test, np.float32), (y_test, np.int64))
    )


def _shuffled(x, y):
    """Files come class by class, and --limit takes the first."""
    order = np.random.default_rng(0).permutation(len(x))
    return x[order], y[order]


def _fashion_labels(folder, stem):
    name = f"{stem}-labels-idx1-ubyte"
    return datasets.read_idx(next(p for p in (Path(folder) / f"{name}.gz", Path(folder) / name) if p.is_file()))


def augment(x: torch.Tensor, generator: torch.Generator, flip: bool) -> torch.Tensor:
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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
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


def encode(encoder: nn.Module, x: torch.Tensor, precision: str) -> torch.Tensor:
    """Features in float32; those of bfloat16 by autocast, where the weights stay float32."""
    if x.is_cuda:
        x = x.to(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        return encoder(x).float()


def train(loss: nn.Module, x: torch.Tensor, options: argparse.Namespace, seed: int, name: str) -> nn.Module:
    """An encoder, trained for some steps of Adam on features of length 1 behind a projector of two layers.

    It ends after options.steps or options.minutes, and the learning rate follows the one that is further.
    """
    torch.manual_seed(seed)
    generator = torch.Generator(x.device).manual_seed(seed)
    encoder = (ResNet18 if x.shape[1] == 3 else SmallEncoder)(x.shape[1])
    projector = nn.Sequential(nn.Linear(encoder.features, 128), nn.ReLU(), nn.Linear(128, 64))
    model = nn.Sequential(encoder, projector).to(x.device)
    if x.is_cuda:
        model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr, weight_decay=1e-6)
    batch, flip = min(options.batch, len(x)), options.data != "digits"
    began, limit = time.perf_counter(), 60 * options.minutes
    step, seconds, number = 0, 0.0, float("nan")
    with tqdm(total=options.steps, desc=f"{name}, seed {seed}", leave=False, disable=None) as progress:
        while step < options.steps and seconds < limit:
            done = max(step / options.steps, seconds / limit)
            for group in optimizer.param_groups:  # half a cosine
                group["lr"] = options.lr * 0.5 * (1 + np.cos(np.pi * done))
            images = x[torch.randint(len(x), (batch,), generator=generator, device=x.device)]
            views = torch.cat([augment(images, generator, flip) for _ in range(2)])
            z = functional.normalize(encode(model, views, options.precision), dim=1)
            value = loss(z[:batch], z[batch:])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            step += 1
            seconds = time.perf_counter() - began
            if step % CHECK_EVERY == 0 or step == options.steps or seconds >= limit:
                number = value.item()
                if not np.isfinite(number):
                    sys.exit(f"{name}: the loss is {number} after {step} steps")
                progress.update(step - progress.n)
                progress.set_postfix(loss=f"{number:.3f}")
    print(f"{name}, seed {seed}: {step} steps in {seconds:.0f} s, loss {number:.3f}", flush=True)
    return encoder


@torch.no_grad()
def features_of(encoder: nn.Module, x: torch.Tensor, precision: str) -> torch.Tensor:
    """(N, features) of the images as they are."""
    encoder.eval()
    return torch.cat([encode(encoder, part, precision) for part in x.split(500)])


def logistic_regression(x: torch.Tensor, y: torch.Tensor, c: float = 0.1) -> nn.Linear:
    """The minimum of c Σ_i cross entropy_i + ½‖W‖² by L-BFGS: scikit-learn's objective, on the device of x."""
    model = nn.Linear(x.shape[1], int(y.max()) + 1, device=x.device)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=2000, tolerance_grad=1e-4, line_search_fn="strong_wolfe")

    def objective():
        optimizer.zero_grad()
        value = functional.cross_entropy(model(x), y) + model.weight.square().sum() / (2 * c * len(x))
        value.backward()
        return value

    optimizer.step(objective)
    return model


def probe(encoder: nn.Module, data: tuple[torch.Tensor, ...], precision: str) -> float:
    """Accuracy in per cent of logistic regression on the encoder's standardised features."""
    x, y, x_test, y_test = data
    known, asked = (features_of(encoder, part, precision) for part in (x, x_test))
    mean, deviation = known.mean(0), known.std(0, correction=0)
    deviation[deviation == 0] = 1  # a feature that never fires
    model = logistic_regression((known - mean) / deviation, y)
    found = model((asked - mean) / deviation).argmax(1)
    return 100 * (found == y_test).float().mean().item()


def device_of(text: str) -> torch.device:
    """The argument of --device, which has to be there."""
    try:
        device = torch.device(text)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise argparse.ArgumentTypeError(f"expected cpu, cuda or cuda:N, got {text!r}")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        raise argparse.ArgumentTypeError(f"torch {torch.__version__} finds {count} CUDA devices, and no {text}")
    return device


def main(arguments: list[str] | None = None) -> dict[str, list[float]]:
    """Trains and probes, prints the table; returns the accuracies of each loss."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--data",
        default="digits",
        help=f"{', '.join(KNOWN)}, or a folder or a .tar archive with JPEG and PNG files at train/CLASS/, test/CLASS/",
    )
    parser.add_argument("--folder", help="where the binary files are (cifar10, stl10; fashion: Debian's place)")
    parser.add_argument("--losses", nargs="+", choices=list(LOSSES), default=list(LOSSES))
    parser.add_argument("--seeds", type=int, default=3, help="trainings per loss")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--steps", type=int, default=400, help="of each training")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="that each training takes at most")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--limit", type=int, help="images to use of the training set, and of the test set")
    parser.add_argument("--threads", type=int, help="of torch and alphacl_fast")
    parser.add_argument("--device", type=device_of, default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], help="default: bfloat16 on CUDA")
    options = parser.parse_args(arguments)
    if options.data not in KNOWN and not Path(options.data).exists():
        parser.error(f"--data: expected {', '.join(KNOWN)} or a path that exists, got {options.data!r}")
    if options.precision is None:
        options.precision = "bfloat16" if options.device.type == "cuda" else "float32"
    if options.threads:
        torch.set_num_threads(options.threads)
    data = tuple(part.to(options.device) for part in load(options.data, options.folder, options.limit))
    began = time.perf_counter()
    found: dict[str, list[float]] = {name: [] for name in options.losses}
    for name, scores in found.items():
        for seed in range(options.seed, options.seed + options.seeds):
            encoder = train(LOSSES[name], data[0], options, seed, name)
            scores.append(probe(encoder, data, options.precision))
            print(f"{name}, seed {seed}: linear probe {scores[-1]:.1f} %", flush=True)
    limit = "" if options.minutes == float("inf") else f" or {options.minutes:g} minutes"
    print(
        f"{options.data}: {len(data[0])} images in batches of {options.batch}, {options.steps} steps{limit}, "
        f"{options.seeds} seeds, {options.precision} on {options.device}"
    )
    print(f"{'loss':<12}  linear probe")
    for name, scores in found.items():
        deviation = statistics.stdev(scores) if len(scores) > 1 else 0.0
        print(f"{name:<12}  {statistics.mean(scores):.1f} ± {deviation:.1f} %")
    print(f"{time.perf_counter() - began:.0f} s")
    return found


if __name__ == "__main__":
    main()
