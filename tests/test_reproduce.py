"""`alphacl-fast reproduce`: what it prints and writes, that it resumes, and what it refuses before any work."""

import html.parser
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import run_python
from test_cli import assert_refused, run, without
from test_datasets import archive, write_image_folder

from alphacl_fast import _cli
from alphacl_fast.experiments import Rule, Settings, _command, _data, _store
from alphacl_fast.experiments._folder import claim, in_order

FAST = "one_layer"  # needs no optional package but matplotlib and tqdm
RECORD = f"{FAST}-quick-0.json"
PARTS = f"{FAST}-quick-0.parts.json"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One quick run of a claim, in this process."""
    folder = tmp_path_factory.mktemp("reproduced")
    code = _cli.main(["reproduce", FAST, "--quick", "--out", str(folder)])
    return code, folder


def test_list():
    done = run("reproduce", "--list")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines] == in_order()
    assert all(claim(line.split()[1]).TITLE in line for line in lines)


def test_list_needs_no_optional_package(tmp_path):
    done = run("reproduce", "--list", **without(tmp_path, "torch", "matplotlib", "sklearn", "tqdm"))
    assert done.returncode == 0, done.stderr


def test_writes_records_pictures_and_a_report(finished):
    code, folder = finished
    assert code == 0
    record = json.loads((folder / "claims" / RECORD).read_text())
    assert record["key"]["quick"] is True
    assert {v["verdict"] for v in record["verdicts"]} == {"holds"}
    assert all(v["value"] is not None for v in record["verdicts"])
    assert record["numbers"]["layer"]["whole"] > 0
    pictures = sorted(path.name for path in (folder / "figures").iterdir())
    assert pictures == sorted(f"{FAST}-{figure.name}.png" for figure in claim(FAST).FIGURES)
    summary = json.loads((folder / "verdicts.json").read_text())
    assert [v["rule"] for v in summary[FAST]] == [rule.name for rule in claim(FAST).RULES]


class _Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links, self.ids = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href", "data") and value]
        self.ids += [value for name, value in attrs if name == "id"]


def test_report_is_self_contained(finished):
    page = _Page()
    text = (finished[1] / "report.html").read_text()
    page.feed(text)
    assert page.tags.count("svg") == len(claim(FAST).FIGURES)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert all(link.startswith(("#", "data:")) for link in page.links), page.links
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    assert not re.search(r"url\((?!#|data:)", text)
    table = text[text.index("<table>") : text.index("</table>")]
    assert text.index("<table>") < text.index("<svg")
    assert table.count("✓ holds") == len(claim(FAST).RULES)


def test_what_is_finished_is_not_computed_again(finished, monkeypatch, capsys):
    monkeypatch.setattr(claim(FAST), "run", lambda settings: 1 / 0)
    assert _cli.main(["reproduce", FAST, "--quick", "--out", str(finished[1])]) == 0
    assert "holds" in capsys.readouterr().out
    with pytest.raises(ZeroDivisionError):
        _cli.main(["reproduce", FAST, "--quick", "--seed", "1", "--out", str(finished[1])])


def test_resumes_within_a_claim(tmp_path, monkeypatch, capsys):
    """Interrupted in its last part, a claim keeps the others."""
    module = claim(FAST)
    sound = module._landscape

    def interrupted(settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_landscape", interrupted)
    arguments = ["reproduce", FAST, "--quick", "--out", str(tmp_path)]
    assert _cli.main(arguments) == 130
    assert set(json.loads((tmp_path / "claims" / PARTS).read_text())["parts"]) == {
        "wᵀA(w)w = c² C_α[h]",
        "energy of a layer",
    }
    monkeypatch.setattr(module, "_landscape", sound)
    monkeypatch.setattr(module, "_identity", interrupted)
    assert _cli.main(arguments) == 0
    assert not (tmp_path / "claims" / PARTS).exists()
    assert "fails" not in capsys.readouterr().out


def test_a_record_that_is_cut_off_is_computed_again(finished, tmp_path):
    (tmp_path / "claims").mkdir()
    whole = (finished[1] / "claims" / RECORD).read_text()
    (tmp_path / "claims" / RECORD).write_text(whole[: len(whole) // 2])
    store = _store.Store(tmp_path / "claims", FAST, json.loads(whole)["key"])
    assert store.load(claim(FAST)) is None
    (tmp_path / "claims" / RECORD).write_text(whole)
    assert store.load(claim(FAST)).passed


def test_a_verdict_that_fails_is_the_exit_code(finished, tmp_path, capsys):
    """A number changed in the record: verdicts are computed from numbers."""
    record = json.loads((finished[1] / "claims" / RECORD).read_text())
    record["numbers"]["layer"]["sum_error"] = 0.5
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / RECORD).write_text(json.dumps(record))
    assert _cli.main(["reproduce", FAST, "--quick", "--out", str(tmp_path)]) == 1
    assert "fails     tr C_α[f] = Σ_k w_kᵀA(w_k)w_k, relative difference: 0.5 < 1.0e-10" in capsys.readouterr().out
    assert "✗ fails" in (tmp_path / "report.html").read_text()


def test_the_report_has_what_earlier_calls_have_finished(finished, tmp_path, monkeypatch):
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / RECORD).write_text((finished[1] / "claims" / RECORD).read_text())
    other = claim("roughness")
    monkeypatch.setattr(other, "run", lambda settings: settings.result({}, (), ()))
    monkeypatch.setattr(other, "RULES", ())
    monkeypatch.setattr(other, "FIGURES", ())
    assert _cli.main(["reproduce", "roughness", "--quick", "--out", str(tmp_path)]) == 1  # nothing was judged
    report = (tmp_path / "report.html").read_text()
    assert f'id="{FAST}"' in report
    assert 'id="roughness"' in report
    assert set(json.loads((tmp_path / "verdicts.json").read_text())) >= {FAST, "roughness"}


def _write_images(folder, shapes):
    """Images of these shapes at SPLIT/CLASS; None: a link to nowhere."""
    for place, shape in shapes.items():
        (folder / place).mkdir(parents=True)
        if shape is None:
            (folder / place / "0.png").symlink_to("nowhere")
            continue
        Image.fromarray(np.zeros(shape, np.uint8)).save(folder / place / "0.png")


_TRAIN = {"train/a": (9, 9), "train/b": (9, 9)}


@pytest.mark.parametrize(
    "shapes",
    [
        {"train/a": (6, 6), "train/b": (6, 6)},
        {},
        {"train/a": (9, 9)},
        {**_TRAIN, "test/a": (10, 10)},
        {**_TRAIN, "test/a": (9, 9), "test/b": (10, 10)},
        {**_TRAIN, "test/a": (9, 9, 3)},
        {**_TRAIN, "test/c": (9, 9)},
        {**_TRAIN, "train/c": None},
    ],
    ids=["small", "none", "one", "other size", "sizes", "colours", "class", "link to nowhere"],
)
def test_images_that_do_not_do_are_refused_before_any_claim(tmp_path, capsys, shapes):
    (tmp_path / "images").mkdir()
    _write_images(tmp_path / "images", shapes)
    assert _cli.main(["reproduce", FAST, "--quick", "--data", str(tmp_path / "images"), "--out", str(tmp_path / "out")])
    printed = capsys.readouterr()
    assert "--data: " in printed.err
    assert printed.out == ""


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("reproduce", FAST, "--out", tmp_path / "file" / "below")
    assert_refused(done, "--out: cannot write", "Not a directory")
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nonsense"], "expected one of .*one_layer.*, got nonsense"),
        (["--data", "nowhere"], "argument --data: expected a folder or an archive that exists, got nowhere"),
        (["--seed", "-1"], "argument --seed: expected an integer >= 0, got -1"),
    ],
)
def test_errors_of_arguments(capsys, arguments, message):
    with pytest.raises(SystemExit):
        _cli.main(["reproduce", *arguments])
    assert re.search(message, capsys.readouterr().err)


def test_missing_package_is_named(tmp_path):
    (tmp_path / "site").mkdir()
    environment = without(tmp_path / "site", "matplotlib")
    done = run("reproduce", FAST, "--out", tmp_path / "out", **environment)
    assert_refused(done, "matplotlib is needed here", "pip install matplotlib")


def test_key_knows_all_that_numbers_depend_on(tmp_path):
    settings = Settings(quick=True, seed=3, data=tmp_path)
    found = _store.key(claim("patterns"), settings)
    assert (found["quick"], found["seed"], found["data"][0]) == (True, 3, tmp_path.name)
    assert found["claim"] != _store.key(claim("linear_networks"), settings)["claim"]
    assert _store.key(claim("framework"), settings)["data"] is None  # has no images


@pytest.mark.parametrize("name", in_order())
def test_claims_with_given_images_say_so(name, tmp_path):
    """A claim that reads --data without USES_DATA would show the results of other images."""
    source = Path(claim(name).__file__).read_text()
    assert ("settings.data" in source or '"data"' in source) == getattr(claim(name), "USES_DATA", False)


def test_key_knows_the_bytes_and_names_of_data(tmp_path):
    """Not when they were written: another image may be as old as the one whose place it takes, or older."""
    image = tmp_path / "class" / "image.png"
    image.parent.mkdir()

    def key():
        return _store.key(claim("patterns"), Settings(data=tmp_path))["data"]

    def written(file, text, time):
        file.write_text(text)
        os.utime(file, ns=(time, time))

    written(image, "an image", 5000)
    before = key()
    written(image, "an other", 4000)
    assert key() != before
    written(image, "an image", 9000)
    assert key() == before
    written(image.with_name("more.png"), "", 0)
    assert key() != before
    image.with_name("more.png").unlink()
    written(image.with_name("notes"), "no image", 0)
    assert key() == before
    image.rename(image.with_name("renamed.png"))
    assert key() != before
    file = tmp_path / "class" / "renamed.png"
    found = [_store.key(claim("patterns"), Settings(data=path))["data"] for path in (tmp_path, file)]
    assert found[0] != found[1]


@pytest.mark.parametrize("linked", ["", "train", "train/class"])
def test_key_knows_images_behind_links_and_of_any_name(tmp_path, linked):
    """What the reader sees: it follows links to folders, and a name need not be text."""
    images = tmp_path / "images" / "train" / "class"
    images.mkdir(parents=True)
    name = os.fsdecode(b"caf\xe9.png")
    (images / name).write_text("1")
    data = tmp_path / "images"
    if linked:
        data = tmp_path / "links"
        place = data / linked
        place.parent.mkdir(parents=True)
        place.symlink_to(tmp_path / "images" / linked)

    def key():
        return _store.key(claim("patterns"), Settings(data=data))["data"]

    before = key()
    (images / name).write_text("2")
    assert key() != before


@pytest.mark.parametrize("name", in_order())
def test_results_of_other_settings_are_not_taken(name, tmp_path, monkeypatch):
    """A claim that says what it was run with: neither its record nor its parts serve other data, seed or size."""
    module, runs = claim(name), []

    def stand_in(settings):
        def said():
            images = None if settings.data is None else (settings.data / "class" / "a.png").read_text()
            return [settings.quick, settings.seed, images]

        runs.append(settings.part("first", said))
        if interrupted:
            raise KeyboardInterrupt
        return settings.result({"said": runs[-1]}, rules, ())

    rules = (Rule("said", "something was computed", lambda numbers: len(numbers["said"]), "=", 3),)
    monkeypatch.setattr(module, "run", stand_in)
    monkeypatch.setattr(module, "RULES", rules)
    monkeypatch.setattr(module, "FIGURES", ())
    monkeypatch.setattr(module, "USES_DATA", True, raising=False)
    monkeypatch.setattr(_command, "check_given", lambda data: None)
    for place, text in (("one", "1"), ("two/one", "2")):
        (tmp_path / place / "class").mkdir(parents=True)
        (tmp_path / place / "class" / "a.png").write_text(text)
    one, two = tmp_path / "one", tmp_path / "two" / "one"  # of one name, with files of one size
    calls = [
        (["--quick", "--data", str(one)], [True, 0, "1"]),
        (["--quick", "--data", str(two)], [True, 0, "2"]),
        (["--quick"], [True, 0, None]),
        (["--data", str(one)], [False, 0, "1"]),
        (["--quick", "--data", str(one), "--seed", "1"], [True, 1, "1"]),
    ]
    for interrupted in (True, False):
        for options, expected in calls:
            code = _cli.main(["reproduce", name, "--out", str(tmp_path / "out"), *options])
            assert code == (130 if interrupted else 0)
            assert runs[-1] == expected
    # Each was kept for itself: none of them is computed again, in whatever order they are asked for.
    for options, expected in calls[::-1]:
        assert _cli.main(["reproduce", name, "--out", str(tmp_path / "out"), *options]) == 0
        records = [json.loads(path.read_text()) for path in (tmp_path / "out" / "claims").glob("*.json")]
        assert expected in [record["numbers"]["said"] for record in records]
    assert len(runs) == 2 * len(calls)


def test_pictures_of_other_settings_are_removed(finished, tmp_path):
    """A claim of which a picture cannot be drawn now, and one that is not in the report; other files stay."""
    folder = tmp_path / "figures"
    folder.mkdir()
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / RECORD).write_text((finished[1] / "claims" / RECORD).read_text())
    for stem in ("roughness-roughness", "mine"):
        (folder / f"{stem}.png").write_text("")
    assert _cli.main(["reproduce", FAST, "--quick", "--out", str(tmp_path)]) == 0
    expected = {f"{FAST}-{figure.name}.png" for figure in claim(FAST).FIGURES} | {"mine.png"}
    assert {path.name for path in folder.iterdir()} == expected


def test_a_claim_with_parts_left_out_is_not_finished(tmp_path):
    """What was missing may be there now; what was computed is kept."""
    module, settings = claim(FAST), Settings(quick=True)
    key = _store.key(module, settings)
    store = _store.Store(tmp_path, FAST, key)
    store.put("a part", 1.5, 0.1)
    store.save(module, settings.result({}, (), ()))
    assert store.load(module) is not None
    settings.left_out.append("images: no images")
    store = _store.Store(tmp_path, FAST, key)
    store.put("a part", 1.5, 0.1)
    store.save(module, settings.result({}, (), ()))
    assert store.load(module) is None
    assert store.load(module, complete=False).left_out == ["images: no images"]
    assert _store.Store(tmp_path, FAST, key).get("a part") == (1.5, 0.1)


def test_a_claim_with_parts_left_out_stays_in_the_report(tmp_path, monkeypatch):
    """Of an earlier call, too: what it found holds."""
    for name in ("linear_networks", "roughness"):
        monkeypatch.setattr(claim(name), "FIGURES", ())
        monkeypatch.setattr(claim(name), "RULES", (Rule("r", "r", lambda numbers: numbers["a"], "=", 1),))

        def stand_in(settings):
            settings.left_out.append("data: no images were given")
            return settings.result({"a": 1}, (), ())

        monkeypatch.setattr(claim(name), "run", stand_in)
        assert _cli.main(["reproduce", name, "--quick", "--out", str(tmp_path)]) in (0, 1)
    assert set(json.loads((tmp_path / "verdicts.json").read_text())) == {"linear_networks", "roughness"}


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[]", b"{}"])
def test_a_record_that_is_none_is_computed_again(tmp_path, content):
    key = _store.key(claim(FAST), Settings(quick=True))
    (tmp_path / RECORD).write_bytes(content)
    (tmp_path / PARTS).write_bytes(content)
    assert _store.Store(tmp_path, FAST, key).load(claim(FAST)) is None


@pytest.mark.parametrize("name", ["", "cifar10-jpeg.tar.xz"])
def test_given_images(tmp_path, name):
    """--data: a grey 8×8 patch of each image of a folder or an archive."""
    written = write_image_folder(tmp_path / "images", side=9)["train"]
    path = archive(tmp_path / "images", tmp_path / name) if name else tmp_path / "images"
    found = _data.images("data", Settings(data=path), 100)
    assert found.title == ("CIFAR-10 (JPEG copy)" if name else "images")
    assert (found.side, found.pixels.shape, found.pixels.dtype) == ((8, 8), (9, 64), np.float32)
    grey = np.concatenate(list(written.values())).mean(axis=1) / 255
    windows = np.lib.stride_tricks.sliding_window_view(grey, (8, 8), axis=(1, 2)).reshape(-1, 64)
    windows = windows - windows.mean(axis=1, keepdims=True)
    apart = np.abs(found.pixels[:, None] - windows).max(axis=2).min(axis=1)
    assert apart.max() < 1e-6


def test_images_without_splits_and_without_data(tmp_path):
    written = write_image_folder(tmp_path / "images", side=9)["test"]
    found = _data.images("data", Settings(data=tmp_path / "images" / "test"), 2)
    assert len(found.pixels) == 2 < len(written)
    with pytest.raises(LookupError, match="name a folder or an archive with --data"):
        _data.images("data", Settings(), 10)


def test_classes_of_the_test_set_are_those_of_the_training_set(tmp_path):
    _write_images(tmp_path, {**_TRAIN, "train/c": (9, 9), "test/b": (9, 9), "test/c": (9, 9)})
    assert sorted(_data.read_given(tmp_path, "train")[1]) == [0, 1, 2]
    assert sorted(_data.read_given(tmp_path, "test")[1]) == [1, 2]


def test_a_test_set_that_is_not_there_is_named(tmp_path):
    _write_images(tmp_path, {"a": (9, 9), "b": (9, 9)})
    assert len(_data.read_given(tmp_path, "train")[0]) == 2
    with pytest.raises(FileNotFoundError, match=r"no image CLASS/NAME in .*/test"):
        _data.read_given(tmp_path, "test")


def test_images_of_another_name_have_records_of_their_own(tmp_path):
    for name in ("one", "two"):
        _write_images(tmp_path / name, _TRAIN)
    keys = [_store.key(claim("patterns"), Settings(data=tmp_path / name)) for name in ("one", "two")]
    assert keys[0]["data"][1] == keys[1]["data"][1]
    assert len({_store.stem("patterns", key) for key in keys}) == 2


def test_import_of_experiments_is_light():
    code = (
        "import sys, alphacl_fast as acl; acl.experiments.claims(); acl.experiments.framework;"
        "print([n for n in ('torch', 'matplotlib', 'sklearn', 'tqdm') if n in sys.modules])"
    )
    assert run_python(code).stdout.strip() == "[]"
