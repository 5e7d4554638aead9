"""Sets of real images, read from packages that are already installed or from files; nothing is downloaded.

`load_…` gives rows of pixels in [0, 1], float32, ready for `contrastive_cov`; `read_…` what a file holds, as bytes.
`two_views` augments images.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from alphacl_fast._optional import require

__all__ = [
    "DamagedFileError",
    "image_classes",
    "load_digits",
    "load_fashion_mnist",
    "load_patches",
    "read_cifar10",
    "read_idx",
    "read_image_folder",
    "read_stl10",
    "two_views",
]

FASHION_MNIST_DIR = Path("/usr/share/datasets/fashion-mnist")
_FASHION_MNIST_STEMS = {
    "train": ("train-images-idx3-ubyte",),
    "test": ("t10k-images-idx3-ubyte",),
    "all": ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte"),
}
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_BLOCK_IMAGES = 4096


class DamagedFileError(ValueError):
    """A data file does not hold what its format promises."""


def load_digits() -> np.ndarray:
    """Scikit-learn's handwritten digits: (1797, 64) float32 in [0, 1], each row an 8×8 image.

    Raises ImportError, with the command that installs it, when scikit-learn is missing.
    """
    digits = require("sklearn.datasets", package="scikit-learn").load_digits().data
    return (digits / 16).astype(np.float32)


def load_fashion_mnist(path: str | os.PathLike | None = None, split: str = "train") -> np.ndarray:
    """Fashion-MNIST: (60000, 784) float32 in [0, 1] for "train", 10000 rows for "test", 70000 for "all".

    path: the folder that holds the idx files, plain or .gz; default: where Debian's package
    dataset-fashion-mnist puts them. Raises FileNotFoundError when they are not there and DamagedFileError
    when they are not sound. Cost: the result and one byte per pixel.
    """
    if split not in _FASHION_MNIST_STEMS:
        raise ValueError(f"split: expected 'train', 'test' or 'all', got {split!r}")
    folder = FASHION_MNIST_DIR if path is None else Path(path)
    parts = [_read_images(find_idx(folder, stem)) for stem in _FASHION_MNIST_STEMS[split]]
    images = np.empty((sum(map(len, parts)), 28 * 28), np.float32)
    first = 0
    for part in parts:
        rows = images[first : first + len(part)]
        np.divide(part.reshape(rows.shape), np.float32(255), out=rows)
        first += len(part)
    return images


def load_patches(count: int = 20_000, side: int = 8, seed: int = 0) -> np.ndarray:
    """Grey patches of scikit-learn's two photographs: (count, side²) float32 in [0, 1], half from each, at random.

    Raises ImportError, with the command that installs it, when scikit-learn is missing, ValueError where a patch does
    not fit. Cost: the result and the photographs (427×640).
    """
    require("PIL", package="pillow")
    photographs = require("sklearn.datasets", package="scikit-learn").load_sample_images().images
    if not isinstance(count, (int, np.integer)) or count < 1:
        raise ValueError(f"count: expected a positive integer, got {count}")
    smallest = min(min(photograph.shape[:2]) for photograph in photographs)
    if not isinstance(side, (int, np.integer)) or not 1 <= side <= smallest:
        raise ValueError(f"side: expected an integer from 1 to {smallest}, got {side}")
    rng = np.random.default_rng(seed)
    parts = []
    for index, photograph in enumerate(photographs):
        grey = photograph.mean(axis=2, dtype=np.float32) / np.float32(255)
        windows = np.lib.stride_tricks.sliding_window_view(grey, (side, side))
        wanted = count // 2 + (count % 2 if index == 0 else 0)
        rows, columns = (rng.integers(0, size, wanted) for size in windows.shape[:2])
        parts.append(windows[rows, columns].reshape(wanted, side * side))
    return np.concatenate(parts)


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """The array of bytes in an idx file, plain or gzipped: read-only uint8, of the shape that its header gives.

    Layout: 0, 0, 8 (unsigned byte), number of axes; one big-endian uint32 per axis; the values, last axis
    fastest. Raises DamagedFileError naming the file, what was expected and what it holds.
    """
    content = _read_bytes(Path(path))
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != 8 or content[3] == 0:
        magic = content[:4].hex(" ") or "nothing"
        raise DamagedFileError(f"{path}: bad magic: expected the bytes 00 00 08 and a number of axes, got {magic}")
    num_axes = content[3]
    header = 4 + 4 * num_axes
    if len(content) < header:
        raise DamagedFileError(
            f"{path}: truncated: expected {header} bytes of header for {num_axes} axes, got {len(content)}"
        )
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", num_axes, 4))
    expected, got = math.prod(shape), len(content) - header
    if got != expected:
        fault = "truncated" if got < expected else "count mismatch"
        sizes = "×".join(map(str, shape))
        raise DamagedFileError(f"{path}: {fault}: expected {sizes} = {expected} values, got {got}")
    return np.frombuffer(content, np.uint8, expected, header).reshape(shape)


def read_cifar10(folder: str | os.PathLike, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """CIFAR-10 in its published binary format: images (N, 3, 32, 32) uint8 and labels (N,) int64, 0 to 9.

    folder: the unpacked cifar-10-batches-bin. "train" reads data_batch_1.bin to _5.bin as far as they are there, "test"
    test_batch.bin. A record is one byte of label and 3072 of pixels, red, green and blue planes row by row.
    """
    names = {"train": [f"data_batch_{k}.bin" for k in range(1, 6)], "test": ["test_batch.bin"]}
    if split not in names:
        raise ValueError(f"split: expected 'train' or 'test', got {split!r}")
    paths = [path for name in names[split] if (path := Path(folder) / name).is_file()]
    if not paths:
        raise FileNotFoundError(f"CIFAR-10: no file {names[split][0]} in {folder}")
    parts = []
    for path in paths:
        content = np.frombuffer(path.read_bytes(), np.uint8)
        if content.size == 0 or content.size % 3073:
            raise DamagedFileError(f"{path}: expected records of 3073 bytes, got {content.size} bytes")
        parts.append(content.reshape(-1, 3073))
    records = np.concatenate(parts)
    if records[:, 0].max() > 9:
        raise DamagedFileError(f"{folder}: expected labels from 0 to 9, got {records[:, 0].max()}")
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)


def read_stl10(folder: str | os.PathLike, split: str = "train") -> tuple[np.ndarray, np.ndarray | None]:
    """STL-10 in its published binary format: images (N, 3, 96, 96) uint8 and labels (N,) int64, 0 to 9.

    folder: the unpacked stl10_binary. split "train", "test" or "unlabeled", whose labels are None. Files hold each
    image as red, green and blue planes column by column, and labels from 1 to 10.
    """
    if split not in ("train", "test", "unlabeled"):
        raise ValueError(f"split: expected 'train', 'test' or 'unlabeled', got {split!r}")
    path = Path(folder) / f"{split}_X.bin"
    if not path.is_file():
        raise FileNotFoundError(f"STL-10: no file {path.name} in {folder}")
    content = np.frombuffer(path.read_bytes(), np.uint8)
    if content.size == 0 or content.size % (3 * 96 * 96):
        raise DamagedFileError(f"{path}: expected images of {3 * 96 * 96} bytes, got {content.size} bytes")
    images = content.reshape(-1, 3, 96, 96).transpose(0, 1, 3, 2)
    if split == "unlabeled":
        return images, None
    path = Path(folder) / f"{split}_y.bin"
    if not path.is_file():
        raise FileNotFoundError(f"STL-10: no file {path.name} in {folder}")
    labels = np.frombuffer(path.read_bytes(), np.uint8)
    if labels.size != len(images) or labels.min() < 1 or labels.max() > 10:
        raise DamagedFileError(f"{path}: expected {len(images)} labels from 1 to 10, got {labels.size} bytes")
    return images, labels.astype(np.int64) - 1


def image_classes(path: str | os.PathLike, split: str | None = None) -> list[str]:
    """The classes of ``read_image_folder(path, split)``: the sorted names of the folders that hold images.

    Raises FileNotFoundError where there is none, DamagedFileError for an archive that cannot be read.
    """
    return sorted({kind for kind, *_ in _class_files(Path(path), split, names_only=True)})


def read_image_folder(
    path: str | os.PathLike, split: str | None = None, classes: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """JPEG and PNG files in a folder per class: images (N, C, H, W) uint8 and labels (N,) int64.

    path: a folder, or a tar archive of one (plain, gzip, bzip2 or xz), which is read without being unpacked; split: the
    sub-folder that holds the classes, as "train". A label is the place of the class in `classes`, by default the sorted
    names of the class folders that hold images, as in torchvision's ImageFolder: a test set that may lack a class takes
    ``classes=image_classes(path, "train")``. Images come by class and name. C is 1 where all are grey, else 3: red,
    green, blue.
    Raises FileNotFoundError where there is no such path or no image, ValueError naming two images of different sizes or
    a class that is not in `classes`, DamagedFileError for what cannot be read, ImportError when pillow is missing.
    Memory: the files, and twice the result.
    """
    path = Path(path)
    files = sorted(_class_files(path, split), key=lambda file: file[:2])
    place = path / (split or "")
    kinds = [kind for kind, *_ in files]
    classes = sorted(set(kinds)) if classes is None else list(classes)
    if unknown := set(kinds) - set(classes):
        raise ValueError(f"{place}: expected the classes {', '.join(classes)}, got {', '.join(sorted(unknown))}")
    names = [f"{kind}/{name}" for kind, name, _ in files]
    decoded = [_decode(content, f"{place}/{name}") for name, (*_, content) in zip(names, files, strict=True)]
    height, width = decoded[0].shape[1:]
    for name, pixels in zip(names, decoded, strict=True):
        if pixels.shape[1:] != (height, width):
            sizes = f"{names[0]} has {height}×{width} pixels, {name} {pixels.shape[1]}×{pixels.shape[2]}"
            raise ValueError(f"{place}: expected images of one size, but {sizes}")
    images = np.empty((len(files), max(map(len, decoded)), height, width), np.uint8)
    for image, pixels in zip(images, decoded, strict=True):
        image[...] = pixels  # grey among coloured ones: the same in all three channels
    places = {kind: place for place, kind in enumerate(classes)}
    return images, np.array([places[kind] for kind in kinds], np.int64)


def two_views(images: np.ndarray, shift: int = 1, noise: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two augmented views of every image: view[i] = images[i] moved by up to `shift` pixels + noise·N(0, 1).

    images: (N, H, W), real; pixels that move in from outside are 0, noise is in units of the pixels. Both views
    are float32 of that shape; shifts and noise are drawn anew for each view and image and depend on the seed
    (an integer ≥ 0) alone. Time O(N·H·W); memory: the two views and one block of 4096 images.
    """
    images = np.asarray(images)
    if images.ndim != 3:
        raise ValueError(f"images: expected shape (N, H, W), got {images.shape}")
    if images.dtype.kind not in "buif":
        raise TypeError(f"images: expected real numbers, got dtype {images.dtype}")
    side = min(images.shape[1:])
    if not isinstance(shift, (int, np.integer)) or not 0 <= shift < max(1, side):
        raise ValueError(f"shift: expected an integer, 0 <= shift < {side}, the side of an image, got {shift}")
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise: expected a finite number >= 0, got {noise}")
    children = np.random.SeedSequence(seed).spawn(2)
    first, second = (_view(images, shift, noise, np.random.default_rng(child)) for child in children)
    return first, second


def _view(images: np.ndarray, shift: int, noise: float, rng: np.random.Generator) -> np.ndarray:
    count, height, width = images.shape
    view = np.empty(images.shape, np.float32)
    corners = rng.integers(0, 2 * shift, size=(2, count), endpoint=True)
    padded = np.zeros((min(count, _BLOCK_IMAGES), height + 2 * shift, width + 2 * shift), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    for begin in range(0, count, _BLOCK_IMAGES):
        block = slice(begin, min(begin + _BLOCK_IMAGES, count))
        rows = np.arange(block.stop - begin)
        padded[: len(rows), shift : shift + height, shift : shift + width] = images[block]
        rng.standard_normal(dtype=np.float32, out=view[block])
        view[block] *= np.float32(noise)
        view[block] += windows[rows, corners[0, block], corners[1, block]]
    return view


def image_files(folder: Path) -> Iterator[Path]:
    """The image files at CLASS/NAME below a folder."""
    return (file for file in folder.glob("*/*") if file.suffix.lower() in _IMAGE_SUFFIXES and not file.is_dir())


def _class_files(path: Path, split: str | None, names_only: bool = False) -> list[tuple[str, str, bytes]]:
    """Class, name and content of every image file at CLASS/NAME below the split; FileNotFoundError without one."""
    if not path.exists():
        raise FileNotFoundError(f"no such folder or archive: {path}")
    place = path / (split or "")
    if path.is_dir():
        read = (lambda file: b"") if names_only else _read_file
        found = [(file.parent.name, file.name, read(file)) for file in image_files(place)]
    else:
        found = list(_archived(path, split or "", names_only))
    if not found:
        raise FileNotFoundError(f"no image CLASS/NAME in {place}, of a name that ends in {', '.join(_IMAGE_SUFFIXES)}")
    return found


def _read_file(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:  # a link to nowhere is no set without images
        raise DamagedFileError(f"{file}: {error.strerror}") from error


def _archived(path: Path, split: str, names_only: bool) -> Iterator[tuple[str, str, bytes]]:
    above = PurePosixPath(split).parts
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                fits = len(name.parts) == len(above) + 2 and name.parts[: len(above)] == above
                if fits and name.suffix.lower() in _IMAGE_SUFFIXES and (file := archive.extractfile(member)):
                    yield name.parent.name, name.name, b"" if names_only else file.read()
    except Exception as error:  # every compression has errors of its own
        reason = str(error).partition(":\n")[0]  # the lines below say what each compression misses
        raise DamagedFileError(f"{path}: expected a folder or a sound tar archive: {reason}") from error


def _decode(content: bytes, name: str) -> np.ndarray:
    """The pixels of an image file: (1, H, W) uint8 where it is grey, else (3, H, W)."""
    pil = require("PIL.Image", package="pillow")
    try:
        with pil.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
            if image.mode.startswith(("I", "F")):
                raise DamagedFileError(f"{name}: expected 8 bits per channel, got an image of mode {image.mode}")
            pixels = np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    except (OSError, SyntaxError) as error:  # which is what pillow raises for files that are not sound
        raise DamagedFileError(f"{name}: {error}") from error
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def check_one_shape(place: str | os.PathLike, train: np.ndarray, test: np.ndarray) -> None:
    """Raises ValueError unless the images of both at this place, (N, C, H, W), have one size and number of channels."""
    if train.shape[1:] != test.shape[1:]:
        shapes = " and ".join("×".join(map(str, a.shape[1:])) for a in (train, test))
        raise ValueError(f"{place}: expected train and test images of one size and number of channels, got {shapes}")


def find_idx(folder: Path, stem: str) -> Path:
    """A file of Fashion-MNIST, plain or compressed; FileNotFoundError names it."""
    for path in (folder / f"{stem}.gz", folder / stem):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"Fashion-MNIST: no file {stem}[.gz] in {folder}: install Debian's package with  "
        "apt-get install dataset-fashion-mnist  or name the folder that holds the idx files"
    )


def _read_images(path: Path) -> np.ndarray:
    images = read_idx(path)
    if images.shape[1:] != (28, 28) or len(images) == 0:
        raise DamagedFileError(f"{path}: expected images of shape (N, 28, 28), N > 0, got shape {images.shape}")
    return images


def _read_bytes(path: Path) -> bytes:
    content = path.read_bytes()
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise DamagedFileError(f"{path}: damaged gzip stream: {error}") from error
