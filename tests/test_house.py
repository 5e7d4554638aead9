"""The rooms of the source: who may include and import whom. Read from the clone, nothing is compiled."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "cpp" / "src"

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
}


def _sources(folder):
    return sorted(f for f in folder.rglob("*") if f.suffix in (".h", ".cpp"))


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
            if name.startswith("alphacl/") or (file.parent / name).exists() or name.endswith(".inc"):
                continue
            assert _room(name) in (room, *ROOMS[room]), f"{file.name} includes {name}"


def test_the_contract_knows_nothing_below_it():
    files = _sources(ROOT / "cpp" / "include" / "alphacl")
    assert files
    for file in files:
        assert all(name.startswith("alphacl/") for name in _includes(file)), file
        assert not re.search(r"#include <(thread|mutex|omp\.h|cblas|pybind11|immintrin)", file.read_text()), file


def test_only_the_runtime_names_openmp_and_the_blas():
    for file in _sources(ROOT / "cpp"):
        text = file.read_text()
        if file.name != "threads.cpp":
            assert "#include <omp.h>" not in text, file
        if file != CORE / "runtime" / "blas.cpp":
            assert "cblas_" not in text, file


def test_only_operations_ask_for_the_compiled_module():
    """Importing the truth of the tests, or the kinds of activation, asks for nothing compiled."""
    package = ROOT / "python" / "alphacl_fast"
    for name in ("reference.py", "activations.py"):
        tree = ast.parse((package / name).read_text())
        imported = {
            a.name for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)) for a in node.names
        }
        assert "_cpu" not in imported, name
