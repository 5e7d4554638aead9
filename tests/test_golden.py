"""The bits in `cuda/tests/golden.txt` are those that the kernels give, here and on a GPU."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from golden import numbers
from support import run_python
from support import torch as import_torch

ROOT = Path(__file__).parent.parent
GOLDEN = (ROOT / "cuda" / "tests" / "golden.txt").read_text().splitlines()


def test_numbers_are_the_same_everywhere():
    assert numbers(0, 2).tolist() == [float.fromhex("0x1.8882a0e5ec772p-1"), float.fromhex("-0x1.18761955e46a0p-3")]
    single = numbers(3, 4, 5, dtype="float32")
    assert single.dtype == np.float32
    np.testing.assert_array_less(abs(single - numbers(3, 4, 5)), 2.0**-22)


def test_torch_golden_lines_of_the_operations():
    """As they are after a change of a kernel: `tools/golden --write`, which says in a diff which bits have moved."""
    cuda = pytest.importorskip("alphacl_fast._cuda", reason="built without ALPHACL_CUDA")
    emulated = cuda.build_info()["toolkit"] == "emulated"
    if not emulated and not import_torch().cuda.is_available():
        pytest.skip("kernels for a GPU, and no GPU")
    environment = {"ALPHACL_FAST_BACKEND": "emulated"} if emulated else {}
    code = "from golden import lines; print(*lines(), sep='\\n')"
    found = run_python(code, timeout=600, **environment).stdout.splitlines()
    assert found == [line for line in GOLDEN if line.startswith("sha256 ")]


def test_golden_names_every_program_of_the_kernels():
    """The lines of the programs themselves are compared by tools/emulate."""
    programs = {file.stem for file in (ROOT / "cuda" / "tests").glob("test_*.cpp") if "print_bits" in file.read_text()}
    assert programs == {line.partition(" ")[0] for line in GOLDEN} - {"sha256"}


def test_golden_tool_tells_what_differs():
    code = "import runpy; print(*runpy.run_path('tools/golden')['differences'](['a 1 x', 'a 2 x'], ['a 1 x', 'a 3 x']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "a x (2): expected 3, got 2\n", done.stderr
