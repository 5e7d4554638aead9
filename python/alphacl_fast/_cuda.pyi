"""Compiled CUDA kernels, in builds with ALPHACL_CUDA. Private: the public functions are those of the package."""

from typing import Any, Never, overload, type_check_only

import numpy as np
from numpy.typing import NDArray

_Tensor = Any  # a tensor of torch

@type_check_only
class _PybindType(type): ...

@type_check_only
class _Importance(metaclass=_PybindType):
    # No constructor: the functions below make importances.
    def __init__(self, *args: Never, **kwargs: Never) -> None: ...
    def size(self) -> int: ...
    def row_sums(self, out: _Tensor) -> None: ...
    def col_sums(self, out: _Tensor) -> None: ...
    def matmul(self, y: _Tensor, out: _Tensor) -> None: ...
    def to_dense(self, out: _Tensor) -> None: ...

class Importance_f32(_Importance): ...
class Importance_f64(_Importance): ...

@type_check_only
class _GatedOperator(metaclass=_PybindType):
    # The importance: one shared by the nodes, or x0 (None: x), tau, tol and the weights whose outputs it compares.
    @overload
    def __init__(
        self,
        x: _Tensor,
        x_aug: _Tensor,
        weights: _Tensor,
        activation: str,
        parameter: float,
        alpha: _Importance,
    ) -> None: ...
    @overload
    def __init__(
        self,
        x: _Tensor,
        x_aug: _Tensor,
        weights: _Tensor,
        activation: str,
        parameter: float,
        x0: _Tensor | None,
        tau: float,
        tol: float,
        alpha_weights: _Tensor | None = None,
    ) -> None: ...
    def with_weights(self, weights: _Tensor) -> _GatedOperator: ...
    def matmul(self, v: _Tensor, active: NDArray[np.int64], out: _Tensor) -> None: ...
    def power_iteration(
        self,
        v0: _Tensor | None,
        tol: float,
        max_iter: int,
        lanczos: bool,
        seed: int,
        eigenvalue: _Tensor,
        eigenvector: _Tensor,
        gap: _Tensor | None,
        residual: _Tensor,
        n_iter: _Tensor,
        converged: _Tensor,
    ) -> None: ...
    def top_eigenvalue_apart(
        self,
        apart: _Tensor,
        sizes: _Tensor,
        tol: float,
        max_iter: int,
        seed: int,
        eigenvalue: _Tensor,
        converged: _Tensor,
    ) -> None: ...

class GatedOperator_f32(_GatedOperator): ...
class GatedOperator_f64(_GatedOperator): ...

@type_check_only
class _Climb(metaclass=_PybindType):
    @overload
    def __init__(
        self,
        x: _Tensor,
        x_aug: _Tensor,
        weights: _Tensor,
        activation: str,
        parameter: float,
        alpha: _Importance,
        frozen: bool,
        tol: float,
    ) -> None: ...
    @overload
    def __init__(
        self,
        x: _Tensor,
        x_aug: _Tensor,
        weights: _Tensor,
        activation: str,
        parameter: float,
        x0: _Tensor | None,
        tau: float,
        sup_error: float,
        frozen: bool,
        tol: float,
    ) -> None: ...
    def step(self) -> int: ...
    def finish(self) -> None: ...
    def write(
        self,
        weights: _Tensor,
        eigenvalue: _Tensor,
        residual: _Tensor,
        energy: _Tensor,
        steps: _Tensor,
        converged: _Tensor,
    ) -> None: ...
    @staticmethod
    def block(n: int, nodes: int) -> int: ...

class Climb_f32(_Climb): ...
class Climb_f64(_Climb): ...

def build_info() -> dict[str, Any]: ...
def waits() -> int: ...
def dense_f32(alpha: _Tensor) -> Importance_f32: ...
def dense_f64(alpha: _Tensor) -> Importance_f64: ...
def uniform_f32(size: int, diagonal: bool) -> Importance_f32: ...
def uniform_f64(size: int, diagonal: bool) -> Importance_f64: ...
def pair_f32(features: _Tensor, scale: float, form: str, offset: _Tensor, weight: _Tensor) -> Importance_f32: ...
def pair_f64(features: _Tensor, scale: float, form: str, offset: _Tensor, weight: _Tensor) -> Importance_f64: ...
def square_regularized_f32(features: _Tensor, tau: float) -> Importance_f32: ...
def square_regularized_f64(features: _Tensor, tau: float) -> Importance_f64: ...
def low_rank_f32(phi: _Tensor, signs: _Tensor | None) -> Importance_f32: ...
def low_rank_f64(phi: _Tensor, signs: _Tensor | None) -> Importance_f64: ...
def labels_f32(labels: _Tensor, same: float, different: float) -> Importance_f32: ...
def labels_f64(labels: _Tensor, same: float, different: float) -> Importance_f64: ...
def sparse_f32(starts: _Tensor, columns: _Tensor, values: _Tensor) -> Importance_f32: ...
def sparse_f64(starts: _Tensor, columns: _Tensor, values: _Tensor) -> Importance_f64: ...
def direct_f32(
    features: _Tensor, p: float, tau: float, normalize: bool, paired: bool, eps: float
) -> Importance_f32: ...
def inverse_distance_f32(
    features: _Tensor, p: float, tau: float, q: float, normalize: bool, paired: bool, eps: float
) -> Importance_f32: ...
def direct_f64(
    features: _Tensor, p: float, tau: float, normalize: bool, paired: bool, eps: float
) -> Importance_f64: ...
def inverse_distance_f64(
    features: _Tensor, p: float, tau: float, q: float, normalize: bool, paired: bool, eps: float
) -> Importance_f64: ...
def gaussian_f32(features: _Tensor, tau: float, tol: float, method: str) -> Importance_f32: ...
def gaussian_f64(features: _Tensor, tau: float, tol: float, method: str) -> Importance_f64: ...
def contrastive_cov(x: _Tensor, x_aug: _Tensor, alpha: _Importance, out: _Tensor) -> None: ...
def energy(f: _Tensor, f_aug: _Tensor, alpha: _Importance, out: _Tensor) -> None: ...
def laplacian_product(x: _Tensor, x_aug: _Tensor, alpha: _Importance, grad: _Tensor, grad_aug: _Tensor) -> None: ...
def laplacian_along(
    x: _Tensor,
    x_aug: _Tensor,
    alpha: _Importance,
    vectors: _Tensor,
    weights: _Tensor,
    grad: _Tensor,
    grad_aug: _Tensor,
) -> None: ...
@overload
def gated_cov(
    x: _Tensor, x_aug: _Tensor, weights: _Tensor, activation: str, parameter: float, alpha: _Importance, out: _Tensor
) -> None: ...
@overload
def gated_cov(
    x: _Tensor,
    x_aug: _Tensor,
    weights: _Tensor,
    activation: str,
    parameter: float,
    x0: _Tensor | None,
    tau: float,
    tol: float,
    out: _Tensor,
) -> None: ...
def gated_outer(x: _Tensor, omega: _Tensor, out: _Tensor) -> None: ...
def contrasts(
    left: _Tensor,
    right: _Tensor,
    negatives: _Tensor | None,
    scale: float,
    within: bool,
    columns: bool,
    normalize: bool,
    reduction: str,
    units: _Tensor | None,
    saved: _Tensor,
    kept: _Tensor | None,
    losses: _Tensor,
) -> bool: ...
def contrasts_gradient(
    left: _Tensor,
    right: _Tensor,
    negatives: _Tensor | None,
    scale: float,
    within: bool,
    columns: bool,
    normalize: bool,
    reduction: str,
    saved: _Tensor,
    kept: _Tensor | None,
    grad_losses: _Tensor,
    grad_left: _Tensor,
    grad_right: _Tensor,
    grad_negatives: _Tensor | None,
    grad_scale: _Tensor,
) -> None: ...
def kept_scores(rows: int, columns: int) -> int: ...
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
    grad_scale: _Tensor,
) -> None: ...
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
    grad_scale: _Tensor,
    grad_offset: _Tensor,
) -> None: ...
def power_iteration(
    a: _Tensor,
    v0: _Tensor | None,
    tol: float,
    max_iter: int,
    lanczos: bool,
    seed: int,
    eigenvalue: _Tensor,
    eigenvector: _Tensor,
    gap: _Tensor | None,
    residual: _Tensor,
    n_iter: _Tensor,
    converged: _Tensor,
) -> None: ...
