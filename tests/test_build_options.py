"""What pyproject.toml and the files of CMake both say about a build must agree.

Read from the clone, nothing is compiled.
"""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["scikit-build"]
CUDA = (ROOT / "cmake" / "AlphaclCUDA.cmake").read_text()


def override(variable):
    """The one override that asks for this environment variable."""
    (found,) = (o for o in SETTINGS["overrides"] if variable in o["if"]["env"])
    return found


def pins(text):
    return set(re.findall(r"[\w-]+==[\d.]+\d", text))


@pytest.mark.parametrize("value", ("ON", "on", "1", "true", "YES", "", "0", "OFF", "no", "emulated", "EMULATED", "one"))
def test_nvcc_is_fetched_where_cmake_asks_for_it(value):
    (words,) = re.findall(r'MATCHES "(\S+)"\)\n  set\(ALPHACL_CUDA ON\)', CUDA)
    fetched = re.search(override("ALPHACL_CUDA")["if"]["env"]["ALPHACL_CUDA"], value)
    assert bool(fetched) == bool(re.search(words, value.upper()))


def test_the_error_without_nvcc_names_what_pip_would_fetch():
    (text,) = re.findall(r'"ALPHACL_CUDA=ON needs nvcc.*?"\)', CUDA, re.DOTALL)
    assert pins(text) == set(override("ALPHACL_CUDA")["build"]["requires"])


def test_the_error_without_a_blas_names_what_pip_would_fetch():
    wanted = {requirement.partition(";")[0].strip() for requirement in SETTINGS["build"]["requires"]}
    assert pins((ROOT / "cmake" / "AlphaclBLAS.cmake").read_text()) == {r for r in wanted if "==" in r}


def test_cuda_adds_to_the_packages_of_the_blas_and_to_their_absence():
    """Overrides are applied in their order: the one that empties the list must come first."""
    assert override("ALPHACL_CUDA")["inherit"]["build"]["requires"] == "append"
    assert SETTINGS["overrides"].index(override("ALPHACL_BLAS")) < SETTINGS["overrides"].index(override("ALPHACL_CUDA"))
    assert override("ALPHACL_BLAS")["build"]["requires"] == []
