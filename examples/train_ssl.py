"""Train an encoder without labels by three losses, and ask a linear probe what it learned.

InfoNCE, the quadratic loss and α-CL-direct differ in their pairwise importance alone: normalised Gaussian, uniform, and
given directly. Run `python examples/train_ssl.py --help`; needs torch and tqdm, scikit-learn for digits, pillow for
folders of images. On a GPU everything stays there: images, augmentation, losses (in float32) and probe. The loop, the
encoders and the probe are private to the package: copy what you need from alphacl_fast/experiments/_training.py.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch

import alphacl_fast as acl
from alphacl_fast.experiments._training import LABELLED, load_labelled, probe, train

# What the losses are, on features of length 1. Each takes both views' features (N, m).
LOSSES = {
    "InfoNCE": acl.losses.InfoNCE(tau=0.1),
    "Quadratic": acl.losses.Quadratic(),
    "α-CL-direct": acl.losses.AlphaCLLoss(lambda z, z_aug: acl.Direct(z, p=4, tau=0.1)),
}


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


def at_least(least: int):
    """The type of an argument that is an integer from `least` on."""

    def integer(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"expected an integer >= {least}, got {text}")
        return int(text)

    return integer


def positive(text: str) -> float:
    """The type of an argument that is a positive number."""
    if not float(text) > 0:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text}")
    return float(text)


def trained(name: str, x: torch.Tensor, options: argparse.Namespace, seed: int) -> torch.nn.Module:
    """The encoder that one of LOSSES gives from a seed; its loss is printed."""
    try:
        found = train(
            LOSSES[name],
            x,
            steps=options.steps,
            batch=options.batch,
            lr=options.lr,
            minutes=options.minutes,
            seed=seed,
            flip=options.data != "digits",
            precision=options.precision,
            title=f"{name}, seed {seed}",
        )
    except FloatingPointError as error:
        sys.exit(f"{name}: {error}")
    print(f"{name}, seed {seed}: {found.steps} steps in {found.seconds:.0f} s, loss {found.loss:.3f}", flush=True)
    return found.encoder


def main(arguments: list[str] | None = None) -> dict[str, list[float]]:
    """Trains and probes, prints the table; returns the accuracies of each loss."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--data",
        default="digits",
        help=f"{', '.join(LABELLED)}, a folder or a .tar archive of JPEG and PNG files at train/CLASS/, test/CLASS/",
    )
    parser.add_argument("--folder", help="where the binary files are (cifar10, stl10; fashion: Debian's place)")
    parser.add_argument("--losses", nargs="+", choices=list(LOSSES), default=list(LOSSES))
    parser.add_argument("--seeds", type=at_least(1), default=3, help="trainings per loss")
    parser.add_argument("--seed", type=at_least(0), default=0, help="the first seed")
    parser.add_argument("--steps", type=at_least(0), default=400, help="of each training")
    parser.add_argument("--minutes", type=positive, default=float("inf"), help="that each training takes at most")
    parser.add_argument("--batch", type=at_least(2), default=256)
    parser.add_argument("--lr", type=positive, default=3e-3)
    parser.add_argument("--limit", type=at_least(2), help="images to use of the training set, and of the test set")
    parser.add_argument("--threads", type=at_least(1), help="of torch and alphacl_fast")
    parser.add_argument("--device", type=device_of, default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], help="default: bfloat16 on CUDA")
    options = parser.parse_args(arguments)
    if options.data not in LABELLED and not Path(options.data).exists():
        parser.error(f"--data: expected {', '.join(LABELLED)} or a path that exists, got {options.data!r}")
    if options.precision is None:
        options.precision = "bfloat16" if options.device.type == "cuda" else "float32"
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.data in ("cifar10", "stl10") and options.folder is None:
        sys.exit(f"--data {options.data} needs --folder with its binary files")
    try:
        parts = load_labelled(options.data, options.folder, options.limit)
    except (OSError, ValueError, ImportError) as error:
        sys.exit(str(error))
    data = tuple(part.to(options.device) for part in parts)
    began = time.perf_counter()
    found: dict[str, list[float]] = {name: [] for name in options.losses}
    for name, scores in found.items():
        for seed in range(options.seed, options.seed + options.seeds):
            scores.append(probe(trained(name, data[0], options, seed), data, options.precision))
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
