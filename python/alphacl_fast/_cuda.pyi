"""Compiled CUDA kernels, in builds with ALPHACL_CUDA. Private: the public functions are those of the package."""

from typing import Any

def build_info() -> dict[str, Any]: ...
