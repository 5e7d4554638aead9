"""The data sets and their augmentation: files that are sound, damaged or missing; views against their definition."""

import gzip
import io
import sys
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image

from alphacl_fast import datasets


def idx(array, magic=b"\0\0\x08"):
    """An idx file of bytes, as its format says."""
    array = np.asarray(array, np.uint8)
    return magic + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def pixels(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), np.uint8)


def write_fashion(folder, train=5, test=3):
    """Small files under Fashion-MNIST's names, one gzipped and one plain; returns what they hold."""
    images = {"train": pixels(train, 1), "test": pixels(test, 2)}
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images["train"])))
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(images["test"]))
    return images


def test_digits():
    digits = datasets.load_digits()
    assert digits.shape == (1797, 64)
    assert digits.dtype == np.float32
    assert (digits.min(), digits.max()) == (0, 1)
    np.testing.assert_array_equal(digits * 16, np.round(digits * 16))


@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (3, 2), (4, 5, 6), (2, 1, 3, 2)])
@pytest.mark.parametrize("compress", [False, True])
def test_idx_round_trip(tmp_path, shape, compress):
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(idx(array)) if compress else idx(array))
    read = datasets.read_idx(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


SOUND = idx(pixels(2))


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "bad magic: expected the bytes 00 00 08 and a number of axes, got nothing"),
        (b"\0\0", "bad magic: .*, got 00 00"),
        (b"PK\x03\x04rest", "bad magic: .*, got 50 4b 03 04"),
        (idx(pixels(2), b"\0\0\x0d"), "bad magic: .*, got 00 00 0d 03"),
        (b"\0\0\x08\0", "bad magic: .*, got 00 00 08 00"),
        (SOUND[:9], "truncated: expected 16 bytes of header for 3 axes, got 9"),
        (SOUND[:16], "truncated: expected 2×28×28 = 1568 values, got 0"),
        (SOUND[:-1], "truncated: expected 2×28×28 = 1568 values, got 1567"),
        (SOUND + b"\0", "count mismatch: expected 2×28×28 = 1568 values, got 1569"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "truncated: expected 4294967295×4294967295×4294967295 = "),
        (gzip.compress(SOUND)[:-20], "damaged gzip stream: "),
        (gzip.compress(SOUND)[:40] + b"\0" * 20 + gzip.compress(SOUND)[60:], "damaged gzip stream: "),
        (b"\x1f\x8bnothing", "damaged gzip stream: "),
    ],
)
def test_damaged_idx(tmp_path, content, message):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(datasets.DamagedFileError, match=message) as error:
        datasets.read_idx(path)
    assert str(error.value).startswith(f"{path}: ")
    with pytest.raises(datasets.DamagedFileError, match=message):
        datasets.load_fashion_mnist(tmp_path)


@pytest.mark.parametrize(
    "array, shape", [(np.zeros(9), "(9,)"), (pixels(0), "(0, 28, 28)"), (pixels(2)[:, :, 1:], "(2, 28, 27)")]
)
def test_idx_that_holds_something_else(tmp_path, array, shape):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(array))
    with pytest.raises(datasets.DamagedFileError) as error:
        datasets.load_fashion_mnist(tmp_path)
    assert str(error.value).endswith(f": expected images of shape (N, 28, 28), N > 0, got shape {shape}")


def test_fashion_mnist_splits(tmp_path):
    images = write_fashion(tmp_path)
    images["all"] = np.concatenate([images["train"], images["test"]])
    for split, expected in images.items():
        loaded = datasets.load_fashion_mnist(tmp_path, split)
        assert loaded.dtype == np.float32
        np.testing.assert_allclose(loaded, expected.reshape(-1, 784) / 255, rtol=1e-7)
    np.testing.assert_array_equal(datasets.load_fashion_mnist(str(tmp_path)), datasets.load_fashion_mnist(tmp_path))


def test_fashion_mnist_from_its_package(tmp_path, monkeypatch):
    """The default folder: the real files where the package is installed, else files of the same names."""
    count, mean = 10_000, 0.2868
    if not datasets.FASHION_MNIST_DIR.is_dir():
        count, mean = 3, write_fashion(tmp_path)["test"].mean() / 255
        monkeypatch.setattr(datasets, "FASHION_MNIST_DIR", tmp_path)
    images = datasets.load_fashion_mnist(split="test")
    assert images.shape == (count, 784)
    assert (images.min(), images.max()) == (0, 1)
    assert images.mean(dtype=np.float64) == pytest.approx(mean, abs=1e-4)


def test_fashion_mnist_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="apt-get install dataset-fashion-mnist") as error:
        datasets.load_fashion_mnist(tmp_path / "nowhere")
    assert "no file train-images-idx3-ubyte[.gz] in " in str(error.value)


def test_fashion_mnist_split_error(tmp_path):
    with pytest.raises(ValueError, match="split: expected 'train', 'test' or 'all', got 'valid'"):
        datasets.load_fashion_mnist(tmp_path, "valid")


def shifted(image, down, right):
    """`image` moved by loops over its pixels."""
    moved = np.zeros_like(image)
    for i, j in np.ndindex(image.shape):
        if 0 <= i - down < image.shape[0] and 0 <= j - right < image.shape[1]:
            moved[i, j] = image[i - down, j - right]
    return moved


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_each_view_is_a_shifted_image(shift):
    images = np.random.default_rng(0).uniform(0.1, 1, (400, 5, 4)).astype(np.float32)
    shifts = [(down, right) for down in range(-shift, shift + 1) for right in range(-shift, shift + 1)]
    drawn = []
    for view in datasets.two_views(images, shift=shift, noise=0):
        candidates = np.array([[shifted(image, *s) for s in shifts] for image in images])
        matches = (view[:, None] == candidates).all(axis=(2, 3))
        np.testing.assert_array_equal(matches.sum(axis=1), 1)
        drawn.append(matches.argmax(axis=1))
        assert set(drawn[-1]) == set(range(len(shifts)))
    assert shift == 0 or (drawn[0] != drawn[1]).any()


def test_noise():
    images = np.random.default_rng(0).uniform(size=(2000, 6, 7))
    views = datasets.two_views(images, shift=0, noise=0.25)
    first, second = ((view - images).ravel() for view in views)
    for noise in (first, second):
        assert noise.mean() == pytest.approx(0, abs=4 * 0.25 / noise.size**0.5)
        assert noise.std() == pytest.approx(0.25, rel=0.02)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02


def test_views_depend_on_the_seed_alone(monkeypatch):
    images = pixels(50).astype(np.float64)
    before = images.copy()
    views = datasets.two_views(images, seed=3)
    np.testing.assert_array_equal(images, before)
    for block in (1, 7, 50, 1000):
        monkeypatch.setattr(datasets, "_BLOCK_IMAGES", block)
        np.testing.assert_array_equal(datasets.two_views(images, seed=3), views)
    other = datasets.two_views(images, seed=4)
    assert not np.array_equal(views[0], views[1])
    assert not np.array_equal(views[0], other[0])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0, 3, 3), (1, 1, 5), (2, 3, 4), (33, 8, 8)])
def test_shapes_and_dtypes(shape, dtype):
    images = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    views = datasets.two_views(images, shift=0, noise=0)
    assert [view.dtype for view in views] == [np.float32, np.float32]
    for view in views:
        np.testing.assert_array_equal(view, images.astype(np.float32))


def test_views_of_a_slice():
    images = pixels(20)
    outer = np.full((40, 30, 30), 255, np.uint8)
    outer[::2, 1:-1, 1:-1] = images
    np.testing.assert_array_equal(datasets.two_views(outer[::2, 1:-1, 1:-1]), datasets.two_views(images))


def test_memory_of_views():
    """Beyond the two views only one block is needed, however many images there are."""
    extra = {}
    for count in (4096, 4 * 4096):
        images = np.zeros((count, 14, 14), np.uint8)
        tracemalloc.start()
        views = datasets.two_views(images)
        extra[count] = tracemalloc.get_traced_memory()[1] - sum(view.nbytes for view in views)
        tracemalloc.stop()
    assert extra[4 * 4096] < 1.5 * extra[4096]


@pytest.mark.parametrize(
    "images, arguments, error, message",
    [
        (np.zeros((3, 64)), {}, ValueError, r"images: expected shape \(N, H, W\), got \(3, 64\)"),
        (np.zeros((3, 4, 4), complex), {}, TypeError, "images: expected real numbers, got dtype complex128"),
        (np.zeros((3, 4, 4), object), {}, TypeError, "images: expected real numbers, got dtype object"),
        (np.zeros((3, 4, 5)), {"shift": 4}, ValueError, "shift: expected an integer, 0 <= shift < 4, .*, got 4"),
        (np.zeros((3, 4, 4)), {"shift": -1}, ValueError, "shift: .*, got -1"),
        (np.zeros((3, 4, 4)), {"shift": 1.5}, ValueError, "shift: .*, got 1.5"),
        (np.zeros((3, 4, 4)), {"noise": -0.1}, ValueError, "noise: expected a finite number >= 0, got -0.1"),
        (np.zeros((3, 4, 4)), {"noise": np.nan}, ValueError, "noise: .*, got nan"),
        (np.zeros((3, 4, 4)), {"noise": np.inf}, ValueError, "noise: .*, got inf"),
    ],
)
def test_errors_of_two_views(images, arguments, error, message):
    with pytest.raises(error, match=message):
        datasets.two_views(images, **arguments)


def test_patches():
    patches = datasets.load_patches(101, 6, seed=3)
    assert patches.shape == (101, 36)
    assert patches.dtype == np.float32
    assert 0 <= patches.min() < 0.2 < 0.8 < patches.max() <= 1
    np.testing.assert_array_equal(patches, datasets.load_patches(101, 6, seed=3))
    assert not np.array_equal(patches, datasets.load_patches(101, 6, seed=4))
    with pytest.raises(ValueError, match="side: expected an integer from 1 to 427, got 428"):
        datasets.load_patches(1, 428)
    with pytest.raises(ValueError, match="count: expected a positive integer, got 0"):
        datasets.load_patches(0)


def write_cifar10(folder, batches=(3, 2), test=4):
    """Small files in CIFAR-10's binary format; returns images and labels of both splits."""
    rng = np.random.default_rng(3)
    found = {"train": [], "test": []}
    names = [(f"data_batch_{k + 1}.bin", n, "train") for k, n in enumerate(batches)] + [
        ("test_batch.bin", test, "test")
    ]
    for name, count, split in names:
        images, labels = rng.integers(0, 256, (count, 3, 32, 32), np.uint8), rng.integers(0, 10, count, np.uint8)
        (folder / name).write_bytes(b"".join(bytes([y]) + x.tobytes() for x, y in zip(images, labels, strict=True)))
        found[split].append((images, labels))
    return {split: [np.concatenate(part) for part in zip(*parts, strict=True)] for split, parts in found.items()}


def test_cifar10(tmp_path):
    written = write_cifar10(tmp_path)
    for split, (images, labels) in written.items():
        x, y = datasets.read_cifar10(tmp_path, split)
        np.testing.assert_array_equal(x, images)
        np.testing.assert_array_equal(y, labels)
        assert y.dtype == np.int64


def test_stl10(tmp_path):
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (3, 3, 96, 96), np.uint8)
    for split in ("train", "unlabeled"):
        (tmp_path / f"{split}_X.bin").write_bytes(images.transpose(0, 1, 3, 2).tobytes())
    (tmp_path / "train_y.bin").write_bytes(bytes([1, 10, 4]))
    x, y = datasets.read_stl10(tmp_path)
    np.testing.assert_array_equal(x, images)
    np.testing.assert_array_equal(y, [0, 9, 3])
    assert datasets.read_stl10(tmp_path, "unlabeled")[1] is None


@pytest.mark.parametrize(
    "read, files, split, kind, text",
    [
        ("read_cifar10", {}, "train", FileNotFoundError, "CIFAR-10: no file data_batch_1.bin in"),
        ("read_cifar10", {}, "all", ValueError, "split: expected 'train' or 'test', got 'all'"),
        ("read_cifar10", {"test_batch.bin": b"1" * 99}, "test", ValueError, "expected records of 3073 bytes, got 99"),
        ("read_cifar10", {"test_batch.bin": b""}, "test", ValueError, "expected records of 3073 bytes, got 0"),
        ("read_cifar10", {"test_batch.bin": b"\x0a" * 3073}, "test", ValueError, "expected labels from 0 to 9, got 10"),
        ("read_stl10", {}, "train", FileNotFoundError, "STL-10: no file train_X.bin in"),
        ("read_stl10", {}, "all", ValueError, "split: expected 'train', 'test' or 'unlabeled', got 'all'"),
        ("read_stl10", {"train_X.bin": b"1" * 9}, "train", ValueError, "expected images of 27648 bytes, got 9"),
        ("read_stl10", {"train_X.bin": b"1" * 27648}, "train", FileNotFoundError, "STL-10: no file train_y.bin in"),
        (
            "read_stl10",
            {"train_X.bin": b"1" * 27648, "train_y.bin": b"\x0b"},
            "train",
            ValueError,
            "expected 1 labels from 1 to 10, got 1 bytes",
        ),
    ],
)
def test_published_formats_that_are_damaged_or_missing(tmp_path, read, files, split, kind, text):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(kind, match=text):
        getattr(datasets, read)(tmp_path, split)


def write_image_folder(folder, count=3, side=4, kinds=("cat", "ant", "bee")):
    """Coloured PNG files train/KIND/… and one test/KIND/… of each kind; returns the images of each split by kind."""
    rng = np.random.default_rng(5)
    written = {}
    for split, number in (("train", count), ("test", 1)):
        for kind in kinds:
            (folder / split / kind).mkdir(parents=True)
            pixels = rng.integers(0, 256, (number, side, side + 1, 3), np.uint8)
            for k in reversed(range(number)):
                Image.fromarray(pixels[k]).save(folder / split / kind / f"{k}.PNG")
            written.setdefault(split, {})[kind] = pixels.transpose(0, 3, 1, 2)
    return written


def archive(folder, path):
    with tarfile.open(path, "w:" + {".tar": "", ".xz": "xz", ".tgz": "gz"}[path.suffix]) as file:
        file.add(folder, ".")
    return path


@pytest.mark.parametrize("name", ["", "a.tar", "a.tar.xz", "a.tgz"])
def test_image_folder(tmp_path, name):
    folder = tmp_path / "images"
    written = write_image_folder(folder)
    (folder / "train" / "README.txt").write_text("not an image")
    (folder / "train" / "bee" / "README.txt").write_text("not an image")
    (folder / "train" / "empty").mkdir()
    path = archive(folder, tmp_path / name) if name else folder
    for split, kinds in written.items():
        images, labels = datasets.read_image_folder(path, split)
        np.testing.assert_array_equal(images, np.concatenate([kinds[k] for k in sorted(kinds)]))
        np.testing.assert_array_equal(labels, np.repeat([0, 1, 2], len(kinds["ant"])))
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
    images, _ = datasets.read_image_folder(folder / "train")
    np.testing.assert_array_equal(images, datasets.read_image_folder(path, "train")[0])


def test_image_folder_of_grey_and_coloured_files(tmp_path):
    grey = np.random.default_rng(6).integers(0, 256, (2, 8, 8), np.uint8)
    for k, kind in enumerate("ab"):
        (tmp_path / kind).mkdir()
        Image.fromarray(grey[k]).save(tmp_path / kind / "0.png")
    images, labels = datasets.read_image_folder(tmp_path)
    np.testing.assert_array_equal(images, grey[:, None])
    np.testing.assert_array_equal(labels, [0, 1])
    Image.fromarray(np.full((8, 8, 3), (250, 128, 3), np.uint8)).save(tmp_path / "a" / "1.jpeg")
    images, labels = datasets.read_image_folder(tmp_path)
    np.testing.assert_array_equal(images[[0, 2]], np.repeat(grey[:, None], 3, 1))
    np.testing.assert_allclose(images[1], np.full((3, 8, 8), [[[250]], [[128]], [[3]]]), atol=3)  # JPEG is lossy
    np.testing.assert_array_equal(labels, [0, 0, 1])


@pytest.mark.parametrize("name", ["", "a.tgz"])
def test_image_folder_of_given_classes(tmp_path, name):
    """A test set without images of one class has the labels of the training set."""
    folder = tmp_path / "images"
    write_image_folder(folder)
    (folder / "test" / "ant" / "0.PNG").unlink()
    path = archive(folder, tmp_path / name) if name else folder
    classes = datasets.image_classes(path, "train")
    assert classes == ["ant", "bee", "cat"]
    assert datasets.image_classes(path, "test") == ["bee", "cat"]
    assert datasets.read_image_folder(path, "test", classes)[1].tolist() == [1, 2]
    assert datasets.read_image_folder(path, "test", ["cat", "dog", "bee"])[1].tolist() == [2, 0]
    with pytest.raises(ValueError, match=r"test: expected the classes bee, dog, got cat"):
        datasets.read_image_folder(path, "test", ["bee", "dog"])
    with pytest.raises(FileNotFoundError, match=r"no image CLASS/NAME in .*valid"):
        datasets.image_classes(path, "valid")


def test_a_file_that_is_no_archive_is_refused_in_one_line(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("train/a/0.png", b"")
    with pytest.raises(datasets.DamagedFileError, match=r"a\.zip: expected a folder or a sound tar archive: ") as found:
        datasets.read_image_folder(tmp_path / "a.zip")
    assert "\n" not in str(found.value)


def test_image_folder_errors(tmp_path):
    folder = tmp_path / "images"
    write_image_folder(folder, count=1, side=4)
    with pytest.raises(FileNotFoundError, match=r"no such folder or archive: .*nowhere"):
        datasets.read_image_folder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no image CLASS/NAME in .*images, of a name that ends in \.jpg"):
        datasets.read_image_folder(folder)
    with pytest.raises(FileNotFoundError, match=r"no image CLASS/NAME in .*images\.tgz/valid"):
        datasets.read_image_folder(archive(folder, tmp_path / "images.tgz"), "valid")
    Image.new("RGB", (7, 3)).save(folder / "train" / "bee" / "1.jpg")
    with pytest.raises(ValueError, match=r"expected images of one size, but ant/0\.PNG has 4×5 pixels, bee/1\.jpg 3×7"):
        datasets.read_image_folder(folder, "train")
    Image.fromarray(np.zeros((4, 5), np.uint16)).save(folder / "train" / "bee" / "1.png")
    with pytest.raises(datasets.DamagedFileError, match=r"bee/1\.png: expected 8 bits per channel, got .* mode I;16"):
        datasets.read_image_folder(folder, "train")


@pytest.mark.parametrize("keep", [0, 50, 400])
@pytest.mark.parametrize("suffix", [".tar", ".xz", ".tgz"])
def test_archive_that_is_truncated(tmp_path, suffix, keep):
    write_image_folder(tmp_path / "images")
    path = archive(tmp_path / "images", tmp_path / f"images{suffix}")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(datasets.DamagedFileError, match=f"images{suffix}: expected a folder or a sound tar archive: "):
        datasets.read_image_folder(path, "train")


def test_image_that_is_damaged(tmp_path):
    (tmp_path / "a").mkdir()
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(7).integers(0, 256, (9, 9, 3), np.uint8)).save(content, "png")
    for wrong in (b"", b"text", content.getvalue()[:-60]):
        (tmp_path / "a" / "0.png").write_bytes(wrong)
        with pytest.raises(datasets.DamagedFileError, match=r"a/0\.png: "):
            datasets.read_image_folder(tmp_path)


def test_image_folder_without_pillow(tmp_path, monkeypatch):
    write_image_folder(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r"pillow is needed here .*: install it with  pip install pillow"):
        datasets.read_image_folder(tmp_path, "train")
