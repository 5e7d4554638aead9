"""Compiled CUDA kernels, in builds with ALPHACL_CUDA. Private: the public functions are those of the package."""

from typing import Any

def build_info() -> dict[str, Any]: ...
def power_iteration(
    a: Any,
    v0: Any,
    tol: float,
    max_iter: int,
    lanczos: bool,
    seed: int,
    eigenvalue: Any,
    eigenvector: Any,
    gap: Any,
    residual: Any,
    n_iter: Any,
    converged: Any,
) -> None: ...
