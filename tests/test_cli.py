"""The command line, run as its users run it: in a process of its own."""

import contextlib
import fcntl
import gzip
import importlib.util
import json
import os
import pty
import re
import struct
import subprocess
import sys
import sysconfig
import termios
from pathlib import Path

import numpy as np
import pytest
from support import run_python
from test_datasets import idx, pixels

import alphacl_fast as acl
from alphacl_fast import _backend, _cli, _info, datasets, reference
from alphacl_fast.demo import _command, _covariances, _patterns, _pictures
from alphacl_fast.demo._durations import duration

INFO_KEYS = (
    "version python system numpy torch compiler build_type isa supported_isas "
    "blas blas_config blas_threads openmp openmp_library max_threads cuda"
).split()


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "alphacl_fast", *map(str, arguments)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment},  # numpy's and SciPy's, not the package's
        timeout=300,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def without(tmp_path, *modules):
    """An environment in whose interpreters these modules cannot be imported."""
    lines = ["import sys", *(f"sys.modules[{module!r}] = None" for module in modules)]
    (tmp_path / "sitecustomize.py").write_text("\n".join(lines))
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))}


def assert_refused(done, *parts):
    """Exit code 2 and a sentence that holds the parts, no traceback."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr


def values(output):
    """(data set, importance) -> energy and eigenvalues, from the first table of the demo."""
    number = r"-?\d[\d.e+-]*"
    row = re.compile(
        rf"^(\S+) +(uniform|Gaussian, PC \S+) +(?:–|{number}) +({number})  ((?:{number} *)+)$", re.MULTILINE
    )
    return {(r[1], r[2]): [float(r[3]), *map(float, r[4].split())] for r in row.finditer(output)}


def times(output):
    """(data set, importance) -> (N, d, ours, plain NumPy, ratio), from the second table."""
    row = re.compile(
        r"^(\S+) +(\d+) +(\d+)  (uniform|Gaussian, PC \S+) +([\d.]+ m?s) +([\d.]+ m?s|N×N too large) +([\d.]+×|–)$",
        re.MULTILINE,
    )
    return {(r[1], r[4]): (int(r[2]), int(r[3]), r[5], r[6], r[7]) for r in row.finditer(output)}


def read_png(path):
    from matplotlib.image import imread

    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    return imread(path)[..., :3]


@pytest.mark.parametrize("arguments", [["--version"], ["info", "--version"], ["demo", "--version"]])
def test_version(arguments):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (0, f"alphacl-fast {acl.__version__}\n")


def test_installed_script():
    script = Path(sysconfig.get_path("scripts")) / "alphacl-fast"
    done = subprocess.run([script, "info", "--json"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"] == acl.__version__


def test_info_json():
    done = run("info", "--json", "--threads", "1")
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    assert set(INFO_KEYS) <= set(facts)
    assert facts["max_threads"] == 1
    assert facts["isa"] in facts["supported_isas"]
    assert facts["numpy"] == np.__version__
    assert facts["openmp_library"] == Path(facts["openmp_library"]).name
    assert (facts["cuda"] is None) == (importlib.util.find_spec("alphacl_fast._cuda") is None)


def test_info_text():
    done = run("info", "--threads", "2")
    assert (done.returncode, done.stderr) == (0, "")
    facts = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert facts["alphacl-fast"] == acl.__version__
    assert facts["ISA"].startswith(_info.info()["isa"])
    assert facts["threads"] == "2"
    assert ", 1 thread per call" in facts["BLAS"]
    assert (facts["CUDA"] == "no") == (importlib.util.find_spec("alphacl_fast._cuda") is None)
    assert str(Path.home()) not in done.stdout


def test_info_of_cuda():
    facts_of = {  # line -> facts
        "no": None,
        "emulated on the CPU, no operations yet": {
            "toolkit": "emulated",
            "architectures": [],
            "driver": None,
            "devices": [],
            "operations": [],
        },
        "13.0 (sm_80 sm_90), 2 operations; driver: none, devices: none": {
            "toolkit": "13.0",
            "architectures": ["sm_80", "sm_90"],
            "driver": None,
            "devices": [],
            "operations": ["contrastive_cov", "energy"],
        },
        "13.0 (sm_90), 1 operation; driver: 13.1, devices: one, two": {
            "toolkit": "13.0",
            "architectures": ["sm_90"],
            "driver": "13.1",
            "devices": [{"name": "one"}, {"name": "two"}],
            "operations": ["energy"],
        },
    }
    for expected, facts in facts_of.items():
        assert _info._cuda_line(facts) == expected


def test_info_follows_the_forced_instruction_set():
    for isa in _info.info()["supported_isas"]:
        assert json.loads(run("info", "--json", ALPHACL_FAST_ISA=isa).stdout)["isa"] == isa


def test_info_imports_nothing_optional():
    run_python(
        "import sys\n"
        "from alphacl_fast import _cli\n"
        "assert _cli.main(['info']) == 0\n"
        "assert not {'torch', 'matplotlib', 'sklearn', 'tqdm'} & set(sys.modules)"
    )


def test_info_without_torch_and_with_facts_it_does_not_know(monkeypatch, capsys):
    build = {**_backend.build_info(), "openmp_library": "/home/someone/lib/libomp.so", "l2_bytes": 1048576}
    monkeypatch.setattr(_backend, "build_info", lambda: dict(build))
    monkeypatch.setattr(_info, "_installed_version", lambda package: None if package == "torch" else "1")
    assert _cli.main(["info"]) == 0
    text = capsys.readouterr().out
    assert "someone" not in text
    assert re.search(r"^torch +not installed$", text, re.MULTILINE)
    assert re.search(r"^l2_bytes +1048576$", text, re.MULTILINE)


def test_output_that_nobody_reads():
    process = subprocess.Popen(
        [sys.executable, "-m", "alphacl_fast", "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    with process.stderr as stream:
        assert stream.read() == b""
    assert process.wait(60) == 1


@pytest.mark.parametrize(
    "arguments, parts",
    [
        ([], ["usage: alphacl-fast", "COMMAND", *(summary for _, summary, _ in _cli._COMMANDS.values())]),
        (["reproduction"], ["invalid choice: 'reproduction'"]),
        (["info", "--threads", "0"], ["--threads: expected an integer from 1 to 1024, got 0"]),
        (["demo", "--threads", "0"], ["--threads: expected an integer from 1 to 1024, got 0"]),
        (["info", "--threads", "1025"], ["--threads: expected an integer from 1 to 1024, got 1025"]),
        (["info", "--threads", "two"], ["--threads: expected an integer from 1 to 1024, got two"]),
        (["info", "--seed", "3"], ["unrecognized arguments: --seed 3"]),
        (["demo", "--seed", "-1"], ["--seed: expected an integer >= 0, got -1"]),
        (["demo", "--data", "cifar"], ["--data: invalid choice: 'cifar'", "digits", "fashion"]),
        (["demo", "--out", "picture.pdf"], ["--out: expected a name that ends in .png, got picture.pdf"]),
        (["demo", "--out", "no/such/a.png"], ["--out: expected a name in an existing folder, got no/such/a.png"]),
    ],
)
def test_refused_arguments(arguments, parts):
    assert_refused(run(*arguments, COLUMNS="200"), *parts)


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0 ms"),
        (0.00032, "0.32 ms"),
        (0.00996, "10 ms"),
        (0.421, "421 ms"),
        (0.9996, "1.0 s"),
        (7.3, "7.3 s"),
        (9.96, "10 s"),
        (99.4, "99 s"),
        (99.6, "1 min 40 s"),
        (158, "2 min 38 s"),
        (3599.7, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def laplacian_form(x, x_aug, alpha):
    """C_α of float64 data whose mean is small, from a symmetric α: (N, N)."""
    sums = alpha.sum(axis=1)[:, None]
    delta = x - x_aug
    return (x.T @ (2 * sums * x) - 2 * x.T @ alpha @ x - delta.T @ (sums * delta)) / (2 * len(x) ** 2)


def test_demo_on_digits(tmp_path):
    """Eigenvalues and energies are those of the definition, computed in numpy on the same views."""
    out = tmp_path / "picture.png"
    done = run("demo", "--data", "digits", "--seed", "5", "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(out) in done.stdout

    images = datasets.load_digits()
    x, x_aug = (view.reshape(-1, 64).astype(float) for view in datasets.two_views(images.reshape(-1, 8, 8), seed=5))
    centred = images - images.mean(axis=0, dtype=np.float64)
    components = centred @ np.linalg.svd(centred, full_matrices=False)[2].T
    expected = {"uniform": np.ones((len(x), len(x)))}
    for name, features in {"Gaussian, PC 1": components[:, :1], "Gaussian, PC 1–8": components[:, :8]}.items():
        expected[name] = reference.gaussian(features, 0.1 * features.var(axis=0).sum())
    printed = values(done.stdout)
    assert printed.keys() == {("digits", name) for name in expected}
    for name, alpha in expected.items():
        cov = laplacian_form(x, x_aug, alpha)
        truth = [np.trace(cov) / 2, *np.linalg.eigvalsh(cov)[:-6:-1]]
        np.testing.assert_allclose(printed["digits", name], truth, rtol=1e-3)

    assert times(done.stdout).keys() == printed.keys()
    assert all(row[4].endswith("×") for row in times(done.stdout).values())
    assert {row[:2] for row in times(done.stdout).values()} == {(1797, 64)}
    picture = read_png(out)
    assert min(picture.shape[:2]) > 500
    red, blue = (picture[..., 0] > picture[..., 2] + 0.5), (picture[..., 2] > picture[..., 0] + 0.3)
    assert min(red.mean(), blue.mean()) > 0.01


def write_fashion(folder, count):
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pixels(count))))


def test_demo_on_all_data(tmp_path):
    write_fashion(tmp_path, 40)
    out = tmp_path / "picture.png"
    done = run("demo", "--fashion-dir", tmp_path, "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    sizes = {data_set: row[:2] for (data_set, _), row in times(done.stdout).items()}
    assert sizes == {"digits": (1797, 64), "Fashion-MNIST": (40, 784)}
    assert len(values(done.stdout)) == 6
    learned = re.findall(r"^(digits|Fashion-MNIST) +(linear|relu) +300 ", done.stdout, re.MULTILINE)
    assert learned == [(name, kind) for name in sizes for kind in ("linear", "relu")]
    height, width = read_png(out).shape[:2]
    assert width > height > 900


def test_demo_is_the_same_for_the_same_seed(tmp_path):
    write_fashion(tmp_path, 20)
    arguments = ("demo", "--data", "fashion", "--fashion-dir", tmp_path, "--out", tmp_path / "a.png")
    first, threads, other = (values(run(*arguments, *more).stdout) for more in ([], ["--threads", 1], ["--seed", 1]))
    assert len(first) == 3
    assert first == threads
    assert first != other


def test_demo_draws_a_sample_where_all_pairs_cost(tmp_path, monkeypatch, capsys):
    write_fashion(tmp_path, 30)
    monkeypatch.setattr(_covariances, "MAX_PAIRED", 12)
    arguments = ["demo", "--data", "fashion", "--fashion-dir", str(tmp_path), "--out", str(tmp_path / "a.png")]
    assert _cli.main(arguments) == 0
    output = capsys.readouterr().out
    assert {importance: row[0] for (_, importance), row in times(output).items()} == {
        "uniform": 30,
        "Gaussian, PC 1": 30,
        "Gaussian, PC 1–8": 12,
    }
    assert "Gaussian, PC 1–8: 12 of its 30 images, drawn at random" in output


def test_demo_shows_bars_on_a_terminal(tmp_path):
    """Also while nodes climb, which takes longest."""
    write_fashion(tmp_path, 20)
    arguments = ["demo", "--data", "fashion", "--fashion-dir", tmp_path, "--out", tmp_path / "a.png"]
    terminal, other_end = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    with (tmp_path / "tables").open("w+b") as tables:
        process = subprocess.Popen(
            [sys.executable, "-m", "alphacl_fast", *map(str, arguments)], stdout=tables, stderr=other_end
        )
        os.close(other_end)
        shown = b""
        with contextlib.suppress(OSError):  # what Linux raises where the other end is closed
            while part := os.read(terminal, 1 << 16):
                shown += part
        os.close(terminal)
        assert process.wait(60) == 0
        tables.seek(0)
        output, shown = tables.read().decode(), shown.decode()
    assert "Fashion-MNIST: uniform" in shown
    assert "nodes: " in shown
    assert f"/{_patterns.NUM_NODES} [" in shown
    assert len(values(output)) == 3


def test_demo_without_fashion_mnist(tmp_path, monkeypatch, capsys):
    assert_refused(
        run("demo", "--data", "fashion", "--fashion-dir", tmp_path, "--out", tmp_path / "a.png"),
        "alphacl-fast: Fashion-MNIST: no file train-images-idx3-ubyte[.gz] in ",
        "apt-get install dataset-fashion-mnist",
    )
    monkeypatch.setattr(datasets, "FASHION_MNIST_DIR", tmp_path)
    assert _cli.main(["demo", "--out", str(tmp_path / "a.png")]) == 0
    output = capsys.readouterr().out
    assert "left out: Fashion-MNIST: " in output
    assert {data_set for data_set, _ in values(output)} == {"digits"}


def test_demo_on_a_damaged_file(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(pixels(3))[:-5])
    done = run("demo", "--data", "fashion", "--fashion-dir", tmp_path, "--out", tmp_path / "a.png")
    assert_refused(done, "alphacl-fast: ", "truncated: expected 3×28×28 = 2352 values, got 2347")


@pytest.mark.parametrize(
    "module, package",
    [
        ("matplotlib", "matplotlib"),
        ("tqdm", "tqdm"),
        ("sklearn", "scikit-learn"),
        ("threadpoolctl", "threadpoolctl"),
    ],
)
def test_demo_without_an_optional_package(tmp_path, module, package):
    done = run("demo", "--data", "digits", "--out", tmp_path / "a.png", **without(tmp_path, module))
    assert_refused(done, f"alphacl-fast: {package} is needed here", f"pip install {package}")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "a.png").exists()


def test_demo_without_torch_in_ascii(tmp_path):
    write_fashion(tmp_path, 20)
    arguments = ("demo", "--data", "fashion", "--fashion-dir", tmp_path, "--out", tmp_path / "a.png")
    done = run(*arguments, PYTHONIOENCODING="ascii", **without(tmp_path, "torch"))
    assert (done.returncode, done.stderr) == (0, "")


def test_demo_leaves_out_numpy_where_its_array_is_too_large(tmp_path, monkeypatch, capsys):
    write_fashion(tmp_path, 30)
    monkeypatch.setattr(_covariances, "MAX_DENSE_BYTES", 30 * 30 * 4 - 1)
    arguments = ["demo", "--data", "fashion", "--fashion-dir", str(tmp_path), "--out", str(tmp_path / "a.png")]
    assert _cli.main(arguments) == 0
    rows = times(capsys.readouterr().out)
    assert rows["Fashion-MNIST", "uniform"][4].endswith("×")
    assert rows["Fashion-MNIST", "Gaussian, PC 1"][3:] == ("N×N too large", "–")


@pytest.mark.parametrize("m", [None, 1, 3])
def test_plain_numpy_computes_the_same(m):
    rng = np.random.default_rng(0)
    x, x_aug = rng.standard_normal((2, 50, 6)) + 1
    features = None if m is None else rng.standard_normal((50, m)).squeeze()
    tau = None if m is None else 0.7
    alpha = None if m is None else reference.gaussian(features, tau)
    theirs = _covariances._plain_numpy(x, x_aug, features, tau)
    np.testing.assert_allclose(theirs, reference.contrastive_cov(x, x_aug, alpha), atol=1e-13)


@pytest.mark.parametrize("name", ["/proc/a.png", "folder.png"])
def test_demo_refuses_a_picture_that_cannot_be_written_before_any_work(tmp_path, monkeypatch, name):
    (tmp_path / "folder.png").mkdir()
    monkeypatch.chdir(tmp_path)
    done = run("demo", "--data", "digits", "--out", name)
    assert_refused(done, f"alphacl-fast: --out: cannot write {name}: ")
    assert done.stdout == ""


def test_demo_leaves_a_picture_alone_until_the_new_one_is_drawn(tmp_path, monkeypatch, capsys):
    """And the tables are printed, whatever becomes of the picture."""
    write_fashion(tmp_path, 20)
    out = tmp_path / "a.png"
    out.write_bytes(b"old")

    def fail(*arguments):
        assert out.read_bytes() == b"old"
        raise OSError("no space left")

    monkeypatch.setattr(_command, "write_blocks", fail)
    arguments = ["demo", "--data", "fashion", "--fashion-dir", str(tmp_path), "--out", str(out)]
    assert _cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err == "alphacl-fast: no space left\n"
    assert len(times(printed.out)) == 3
    assert re.search(r"^Fashion-MNIST +relu +300 ", printed.out, re.MULTILINE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "train-images-idx3-ubyte.gz"]


def test_no_words_of_a_picture_run_into_anything(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    figures = []

    def keep(figure, path, dpi):
        figure.set_dpi(dpi)
        figures.append(figure)

    monkeypatch.setattr(Figure, "savefig", keep)
    images = [np.eye(3)] * 3
    rows = [
        _pictures.ImageRow("linear nodes and more", ["300 nodes", "Gaussian, PC 1–8"], images[:1], ["E = 1"]),
        _pictures.ImageRow("", [], images, ["E = 0.000772, 125×, and more"] * 3),
    ]
    blocks = [_pictures.ImageBlock("digits", rows), _pictures.ImageBlock("a title wider than one image", rows[:1])]
    for some in (blocks, blocks[:1], blocks[::-1], blocks[1:]):
        _pictures.write_blocks(
            tmp_path / "a.png", "A title longer than the images are wide", "A note\nof two lines", some
        )
    assert len(figures) == 4
    for figure in figures:
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.texts if text.get_text()]
        for axes in figure.axes[:-1]:  # the last is the scale of colours
            boxes += [axes.get_window_extent(), axes.title.get_window_extent()]
        for k, box in enumerate(boxes):
            assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
            assert not any(box.overlaps(other) for other in boxes[:k])


def test_demo_learns_one_linear_pattern_and_many_with_relu(capsys, tmp_path):
    """The poster's claim on the digits, for several seeds."""
    images = datasets.load_digits()
    for seed in (0, 1):
        linear, relu = _patterns.learn("digits", (8, 8), images, seed)
        assert len(linear.images) == 1
        assert len(relu.images) >= 10
        assert (np.diff(relu.energies) <= 0).all()
        assert relu.nodes.sum() == linear.nodes.sum() == _patterns.NUM_NODES
        assert linear.energies[0] > relu.energies[0] > 0
    rows = _patterns.image_rows([linear, relu])
    assert [len(row.images) for row in rows] == [1, 6, min(6, len(relu.images) - 6)]
    assert rows[0].images[0].shape == (8, 8)


def test_demo_learns_from_images_of_many_pixels_in_their_components():
    """Nodes and images are those of the leading components: nothing of the others is in a pattern."""
    rng = np.random.default_rng(0)
    count = _patterns.MAX_COMPONENTS
    directions = np.linalg.qr(rng.standard_normal((100, 100)))[0]
    scales = np.where(np.arange(100) < count, 1.0, 1e-3)
    images = ((rng.laplace(size=(500, 100)) * scales) @ directions.T).astype(np.float32)
    for patterns in _patterns.learn("made", (10, 10), images, 0):
        inside = (patterns.images @ directions[:, :count]) ** 2
        assert patterns.images.shape[1] == 100
        assert (inside.sum(axis=1) > 0.99 * (patterns.images**2).sum(axis=1)).all()


def test_demo_on_patches(tmp_path, monkeypatch, capsys):
    few = datasets.load_patches(400)
    monkeypatch.setattr(datasets, "load_patches", lambda seed: few)
    out = tmp_path / "a.png"
    assert _cli.main(["demo", "--data", "patches", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^patches +linear +300 +\d+ +\d+", text, re.MULTILINE)
    assert re.search(r"^patches +relu +300 +\d+ +\d+", text, re.MULTILINE)
    assert out.read_bytes().startswith(b"\x89PNG")
