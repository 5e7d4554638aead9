"""Compiled CUDA kernels, in builds with ALPHACL_CUDA. Private: the public functions are those of the package."""

from typing import Any

_Tensor = Any  # a tensor of torch

def build_info() -> dict[str, Any]: ...
def gated_outer(x: _Tensor, omega: _Tensor, out: _Tensor) -> None: ...
def pair_log_sums(
    left: _Tensor,
    right: _Tensor | None,
    scale: float,
    distances: bool,
    skip_diagonal: bool,
    rows: _Tensor,
    cols: _Tensor | None,
) -> None: ...
def pair_log_sums_gradient(
    left: _Tensor,
    right: _Tensor | None,
    scale: float,
    distances: bool,
    skip_diagonal: bool,
    rows: _Tensor,
    cols: _Tensor | None,
    a: _Tensor,
    b: _Tensor | None,
    grad_left: _Tensor,
    grad_right: _Tensor | None,
) -> float: ...
def pair_sums(
    left: _Tensor,
    right: _Tensor | None,
    scale: float,
    distances: bool,
    skip_diagonal: bool,
    form: str,
    offset: _Tensor,
    rows: _Tensor,
) -> None: ...
def pair_sums_gradient(
    left: _Tensor,
    right: _Tensor | None,
    scale: float,
    distances: bool,
    skip_diagonal: bool,
    form: str,
    offset: _Tensor,
    a: _Tensor,
    grad_left: _Tensor,
    grad_right: _Tensor | None,
    grad_offset: _Tensor,
) -> float: ...
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
