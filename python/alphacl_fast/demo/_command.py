"""The arguments of the demo, and what it does in which order."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alphacl_fast import datasets
from alphacl_fast._optional import require
from alphacl_fast.demo import _patterns
from alphacl_fast.demo._covariances import NOISE, SHIFT, Result, Views, cases_of, result_of, views_of
from alphacl_fast.demo._pictures import ImageBlock, write_blocks
from alphacl_fast.demo._tables import footnotes, image_row, times_table, values_header, values_row

PICTURE_TITLE = "Leading eigenvectors of the contrastive covariance $C_\\alpha$, and what nodes learn"
PICTURE_NOTE = (
    "Eigenvectors: patterns by which images differ and that augmentation leaves alone. "
    "Gaussian importance: only pairs alike in the principal components (PC) named count.\n"
    "Nodes: the maxima of the energy E to which linear and ReLU nodes climb, and how many nodes found each."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        choices=("all", "digits", "fashion", "patches"),
        default="all",
        help="scikit-learn's digits, Fashion-MNIST, patches of scikit-learn's photographs, or digits and Fashion-MNIST "
        "as far as they are installed (default: %(default)s)",
    )
    parser.add_argument(
        "--fashion-dir",
        metavar="DIR",
        help=f"folder of Fashion-MNIST's idx files (default: {datasets.FASHION_MNIST_DIR})",
    )
    parser.add_argument(
        "--out", type=_picture, default="alphacl_demo.png", help="the picture to write (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    _require_writable(args.out)
    tqdm = require("tqdm").tqdm
    for package in ("matplotlib.figure", "threadpoolctl"):
        require(package)
    print(f"Two views of each image: shifts of up to {SHIFT} pixel, noise of {NOISE:g} (seed {args.seed}).\n")
    print(values_header(), flush=True)
    results: dict[str, list[Result]] = {}
    sets = []
    # disable=None: a bar on a terminal, none in a pipe.
    with tqdm(leave=False, disable=None, bar_format="{desc} [{elapsed}]") as bar:
        for views in _sets(args, bar):
            sets.append(views)
            results[views.title] = []
            for case in cases_of(views, args.seed):
                bar.set_description_str(f"{views.title}: {case.importance}")
                results[views.title].append(result_of(case))
                bar.write(values_row(results[views.title][-1]))
    every = [result for found in results.values() for result in found]
    print(f"\n{times_table(every)}\n\n{footnotes(every)}\n\n{_patterns.header()}", flush=True)
    blocks = []
    for views in sets:
        rows = [*map(image_row, results[views.title]), *_patterns.image_rows(_learned(views, args.seed))]
        blocks.append(ImageBlock(f"{views.title}, {views.side[0]}×{views.side[1]} pixels", rows))
    print(f"\n{_patterns.footnote()}\n", flush=True)
    write_blocks(args.out, PICTURE_TITLE, PICTURE_NOTE, blocks)
    print(f"The eigenvectors and patterns as images: {args.out}")


def _learned(views: Views, seed: int) -> list[_patterns.Patterns]:
    """What nodes learn from a sample of a set; each line is printed when it is there."""
    some = views.sample(_patterns.MAX_IMAGES, seed)
    learned = []
    for patterns in _patterns.learn(some.title, some.side, some.images, seed):
        learned.append(patterns)
        print(_patterns.row(patterns), flush=True)
    return learned


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"expected a name that ends in .png, got {text}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"expected a name in an existing folder, got {text}")
    return path


def _require_writable(path: Path) -> None:
    """OSError now rather than after minutes of work."""
    try:
        if path.exists():
            path.open("ab").close()
        else:
            tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise OSError(f"--out: cannot write {path}: {error.strerror}") from error


def _sets(args: argparse.Namespace, bar: Any) -> Iterator[Views]:
    if args.data == "patches":
        bar.set_description_str("reading photographs")
        yield views_of("patches", datasets.load_patches(seed=args.seed), (8, 8), args.seed)
        return
    if args.data != "fashion":
        bar.set_description_str("reading digits")
        yield views_of("digits", datasets.load_digits(), (8, 8), args.seed)
    if args.data == "digits":
        return
    bar.set_description_str("reading Fashion-MNIST")
    try:
        images = datasets.load_fashion_mnist(args.fashion_dir)
    except FileNotFoundError as error:
        if args.data == "fashion" or args.fashion_dir is not None:
            raise
        bar.write(f"left out: {error}")
        return
    yield views_of("Fashion-MNIST", images, (28, 28), args.seed)
