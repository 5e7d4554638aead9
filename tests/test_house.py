"""The rooms of the source: who may include and import whom, and what every file says of itself.

Read from the clone, nothing is compiled.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "cpp" / "src"
PACKAGE = ROOT / "python" / "alphacl_fast"

# room -> rooms whose headers it may include, beside the contract ("alphacl/") and its own.
ROOMS = {
    "isa/tables": (),
    "isa": ("isa/tables",),
    "runtime": ("isa/tables",),
    "packing": ("isa/tables", "runtime"),
    "importances": ("isa/tables", "runtime", "packing"),
    "covariance": ("isa/tables", "runtime", "packing", "importances"),
    "nodes": ("isa/tables", "runtime", "packing", "importances", "covariance"),
    "pairs": ("isa/tables", "runtime", "packing"),
    "eigen": ("isa/tables", "runtime", "packing"),
    "training": ("isa/tables", "runtime"),
}


def _sources(folder):
    return sorted(f for f in folder.rglob("*") if f.suffix in (".h", ".cpp"))


def _cuda_sources():
    files = [f for f in (ROOT / "cuda").rglob("*") if f.suffix in (".h", ".cpp", ".cu", ".cuh")]
    assert files
    return files


def _includes(file):
    return re.findall(r'^#include "([^"]+)"', file.read_text(), re.MULTILINE)


def _room(path):
    """The room of a path relative to cpp/src."""
    return max((room for room in ROOMS if path.startswith(room + "/")), key=len, default=None)


def test_every_file_of_the_core_has_a_room():
    for file in _sources(CORE):
        assert _room(str(file.relative_to(CORE))), file


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_of_the_core(room):
    files = [f for f in _sources(CORE) if _room(str(f.relative_to(CORE))) == room]
    assert files
    for file in files:
        for name in _includes(file):
            assert not name.startswith("."), f"{file.name} includes {name}"
            if name.startswith("alphacl/") or (file.parent / name).exists() or name.endswith(".inc"):
                continue
            assert _room(name) in (room, *ROOMS[room]), f"{file.name} includes {name}"


def test_the_contract_knows_nothing_below_it():
    files = _sources(ROOT / "cpp" / "include" / "alphacl")
    assert files
    for file in files:
        assert all(name.startswith("alphacl/") for name in _includes(file)), file
        assert not re.search(
            r"#include <(thread|mutex|future|condition_variable|omp\.h|cblas|pybind11|Python\.h|immintrin|cuda)",
            file.read_text(),
        ), file


def test_cuda_includes_the_contract_and_itself():
    for file in _cuda_sources():
        for name in _includes(file):
            assert name.startswith("alphacl/") or (ROOT / "cuda" / name).exists(), f"{file.name} includes {name}"


def _cuda_room(file):
    return file.relative_to(ROOT / "cuda").parts[0]


def test_the_machine_that_runs_kernels_includes_itself_alone():
    files = [f for f in _cuda_sources() if _cuda_room(f) == "simt"]
    assert files
    for file in files:
        assert all(name.startswith("simt/") for name in _includes(file)), file


def test_kernels_know_one_header_of_cuda():
    """Their words are those that the CPU's machine has too, their sums have a fixed order, one place launches them."""
    header = ROOT / "cuda" / "simt" / "simt.h"
    for file in _cuda_sources():
        text = file.read_text()
        if _cuda_room(file) not in ("simt", "tests"):
            assert {name for name in _includes(file) if name.startswith("simt/")} <= {"simt/simt.h"}, file
            assert not re.search(r"\b__shared__|\batomic[A-Z]\w*\(|__nv_|__expf\(|__fdividef\(", text), file
        if file not in (header, ROOT / "cuda" / "runtime" / "device.cu"):
            assert not re.search(r"#include <(cuda|cooperative|mma)", text), file
        if file != header:
            assert "<<<" not in text, file
        if file not in (header, ROOT / "cuda" / "simt" / "machine.cpp"):
            assert "asm" not in re.findall(r"\w+", re.sub(r"//.*", "", text)), file


def test_kernels_do_not_see_the_accessors():
    """isa/kernels.cpp is compiled once per instruction set, and they are inline."""
    seen, waiting = set(), [CORE / "isa" / "kernels.cpp"]
    while waiting:
        file = waiting.pop()
        seen.add(file)
        for name in _includes(file):
            found = [f for f in (file.parent / name, CORE / name, ROOT / "cpp" / "include" / name) if f.exists()]
            waiting += [f for f in found[:1] if f not in seen]
    assert CORE / "isa" / "tables" / "kernel_set.h" in seen
    assert CORE / "isa" / "tables" / "kernels.h" not in seen


def test_the_core_knows_no_python_and_its_kernels_no_memory():
    for file in _sources(CORE):
        found = re.findall(r"#include <(pybind11|Python\.h)", file.read_text())
        # kernels.h is for those who call kernels; kernels.cpp may not see it.
        if _room(str(file.relative_to(CORE))).startswith("isa") and file.name != "kernels.h":
            found += re.findall(r"#include <(thread|mutex|vector|memory|new|atomic|future)>", file.read_text())
        assert not found, file


def test_only_the_runtime_names_openmp_and_the_blas():
    for file in _sources(ROOT / "cpp"):
        text = file.read_text()
        if file.name != "threads.cpp":
            assert "#include <omp.h>" not in text, file
        if file != CORE / "runtime" / "blas.cpp":
            assert "cblas_" not in text, file


def _modules():
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 20
    return {str(f.relative_to(PACKAGE)): ast.parse(f.read_text()) for f in files}


def _imported(tree):
    """The names that a module imports, and what it imports them from, as they are written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (a.name for a in node.names)


def test_one_door_to_the_compiled_modules():
    """`_backend` alone imports one; nobody reaches one through another module or by its name as text."""
    through_the_door = set()
    for name, tree in _modules().items():
        words = [w for imported in _imported(tree) for w in imported.split(".")]
        words += [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        words += [text.rpartition(".")[2] for text in texts if isinstance(text, str) and not re.search(r"\s", text)]
        if {"_cpu", "_cuda"} & set(words):
            through_the_door.add(name)
    assert through_the_door == {"_backend.py"}


def test_one_place_asks_about_devices():
    """What lies where is compared, and a device refused, in `_backend` alone."""
    asking = set()
    for name, tree in _modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare):
                text = ast.unparse(node)
                asks = ".device.type" in text or ".is_cuda" in text or ".is_cpu" in text
            elif isinstance(node, ast.Raise):
                text = ast.unparse(node)
                asks = "backend" in text or "on the CPU" in text
            else:
                continue
            if asks:
                asking.add(name)
    assert asking == {"_backend.py"}


@pytest.mark.parametrize("name", ["reference.py", "activations.py"])
def test_definitions_ask_for_nothing_compiled(name):
    assert not {"_cpu", "_backend"} & {w for imported in _imported(_modules()[name]) for w in imported.split(".")}


def test_every_cpp_file_opens_with_what_lives_there():
    for file in (*_sources(ROOT / "cpp"), *_cuda_sources()):
        first, second = file.read_text().splitlines()[:2]
        assert first.startswith("// "), file
        assert first.endswith(".") or second.startswith("//"), file


@pytest.mark.parametrize("folder", ["python", "tests", "benchmarks", "examples"])
def test_every_module_has_a_docstring(folder):
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    texts = {file: file.read_text() for file in files}
    assert [str(f) for f, text in texts.items() if text.strip() and not ast.get_docstring(ast.parse(text))] == []


FOLDERS = ("cpp", "cuda", "python", "tests", "benchmarks", "cmake", "docs", "tools", "examples", ".ci", "LICENSES")
FILE = re.compile(r"[\w./-]*\w\.(py|pyi|h|cpp|cu|md|txt|toml|cmake)|[\w./-]+/")


def _named_paths(document):
    """The words between backticks of a document that look like files or folders of the repository."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    for quoted in re.findall(r"`([^`\n]+)`", text):
        for word in quoted.split():
            found = re.fullmatch(r"(.*)\{([^{}]+)\}(.*)", word)
            for path in [found[1] + part + found[3] for part in found[2].split(",")] if found else [word]:
                if FILE.fullmatch(path) or path.startswith(tuple(f"{folder}/" for folder in FOLDERS)):
                    yield path


def test_documents_name_paths_that_exist():
    """A path stands at the root or beside the document; the name of a file alone, anywhere in the sources."""
    names = {file.name for folder in FOLDERS for file in (ROOT / folder).rglob("*.*") if file.is_file()}
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]
    for document in (*documents, *(ROOT / "docs").glob("*.md")):
        named = set(_named_paths(document)) - names
        missing = [p for p in named if not (ROOT / p).exists() and not (document.parent / p).exists()]
        assert missing == [], document.name
