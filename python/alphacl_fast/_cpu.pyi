"""Compiled CPU kernels. Private: the public functions are those of the package."""

from collections.abc import Callable
from typing import Any, Never, overload, type_check_only

import numpy as np
from numpy.typing import NDArray

_Float = NDArray[np.float32] | NDArray[np.float64]

@type_check_only
class _PybindType(type): ...

@type_check_only
class _Importance(metaclass=_PybindType):
    # No constructor: the functions below make importances.
    def __init__(self, *args: Never, **kwargs: Never) -> None: ...
    def size(self) -> int: ...
    def row_sums(self, out: NDArray[np.float64]) -> None: ...
    def col_sums(self, out: NDArray[np.float64]) -> None: ...
    def matmul(self, y: _Float, out: _Float) -> None: ...
    def to_dense(self, out: _Float) -> None: ...

class Importance_f32(_Importance): ...
class Importance_f64(_Importance): ...

def dense_f32(alpha: NDArray[np.float32]) -> Importance_f32: ...
def dense_f64(alpha: NDArray[np.float64]) -> Importance_f64: ...
def uniform_f32(size: int, diagonal: bool) -> Importance_f32: ...
def uniform_f64(size: int, diagonal: bool) -> Importance_f64: ...
def pair_f32(
    features: NDArray[np.float32], scale: float, form: str, offset: NDArray[np.float64], weight: NDArray[np.float64]
) -> Importance_f32: ...
def pair_f64(
    features: NDArray[np.float64], scale: float, form: str, offset: NDArray[np.float64], weight: NDArray[np.float64]
) -> Importance_f64: ...
def square_regularized_f32(features: NDArray[np.float32], tau: float) -> Importance_f32: ...
def square_regularized_f64(features: NDArray[np.float64], tau: float) -> Importance_f64: ...
def low_rank_f32(phi: NDArray[np.float32], signs: NDArray[np.float64] | None) -> Importance_f32: ...
def low_rank_f64(phi: NDArray[np.float64], signs: NDArray[np.float64] | None) -> Importance_f64: ...
def labels_f32(labels: NDArray[np.int64], same: float, different: float) -> Importance_f32: ...
def labels_f64(labels: NDArray[np.int64], same: float, different: float) -> Importance_f64: ...
def sparse_f32(
    starts: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float32]
) -> Importance_f32: ...
def sparse_f64(
    starts: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float64]
) -> Importance_f64: ...
def direct_f32(
    features: NDArray[np.float32], p: float, tau: float, normalize: bool, paired: bool, eps: float
) -> Importance_f32: ...
def inverse_distance_f32(
    features: NDArray[np.float32], p: float, tau: float, q: float, normalize: bool, paired: bool, eps: float
) -> Importance_f32: ...
def direct_f64(
    features: NDArray[np.float64], p: float, tau: float, normalize: bool, paired: bool, eps: float
) -> Importance_f64: ...
def inverse_distance_f64(
    features: NDArray[np.float64], p: float, tau: float, q: float, normalize: bool, paired: bool, eps: float
) -> Importance_f64: ...
def gaussian_f32(features: NDArray[np.float32], tau: float, tol: float, method: str) -> Importance_f32: ...
def gaussian_f64(features: NDArray[np.float64], tau: float, tol: float, method: str) -> Importance_f64: ...
def contrastive_cov(x: _Float, x_aug: _Float, alpha: _Importance, out: _Float) -> None: ...
def energy(f: _Float, f_aug: _Float, alpha: _Importance, out: NDArray[np.float64]) -> None: ...
def laplacian_product(x: _Float, x_aug: _Float, alpha: _Importance, grad: _Float, grad_aug: _Float) -> None: ...
def laplacian_along(
    x: _Float,
    x_aug: _Float,
    alpha: _Importance,
    vectors: _Float,
    weights: NDArray[np.float64],
    grad: _Float,
    grad_aug: _Float,
) -> None: ...
def contrasts(
    left: _Float,
    right: _Float,
    negatives: _Float | None,
    scale: float,
    within: bool,
    columns: bool,
    normalize: bool,
    reduction: str,
    units: _Float | None,
    saved: NDArray[np.float64],
    kept: _Float | None,
    losses: _Float,
) -> bool: ...
def contrasts_gradient(
    left: _Float,
    right: _Float,
    negatives: _Float | None,
    scale: float,
    within: bool,
    columns: bool,
    normalize: bool,
    reduction: str,
    saved: NDArray[np.float64],
    kept: _Float | None,
    grad_losses: _Float,
    grad_left: _Float,
    grad_right: _Float,
    grad_negatives: _Float | None,
    grad_scale: NDArray[np.float64],
) -> None: ...
def kept_scores(rows: int, columns: int) -> int: ...
def pair_log_sums(
    left: _Float,
    right: _Float | None,
    scale: float,
    distances: bool,
    skip_diagonal: bool,
    rows: NDArray[np.float64],
    cols: NDArray[np.float64] | None,
) -> None: ...
def pair_log_sums_gradient(
    left: _Float,
    right: _Float | None,
    scale: float,
    distances: bool,
    skip_diagonal: bool,
    rows: NDArray[np.float64],
    cols: NDArray[np.float64] | None,
    a: NDArray[np.float64],
    b: NDArray[np.float64] | None,
    grad_left: _Float,
    grad_right: _Float | None,
    grad_scale: NDArray[np.float64],
) -> None: ...
def pair_sums(
    left: _Float,
    right: _Float | None,
    scale: float,
    distances: bool,
    skip_diagonal: bool,
    form: str,
    offset: NDArray[np.float64],
    rows: NDArray[np.float64],
) -> None: ...
def pair_sums_gradient(
    left: _Float,
    right: _Float | None,
    scale: float,
    distances: bool,
    skip_diagonal: bool,
    form: str,
    offset: NDArray[np.float64],
    a: NDArray[np.float64],
    grad_left: _Float,
    grad_right: _Float | None,
    grad_scale: NDArray[np.float64],
    grad_offset: NDArray[np.float64],
) -> None: ...
def gated_outer(x: _Float, omega: _Float, out: _Float) -> None: ...
@overload
def gated_cov(
    x: _Float, x_aug: _Float, weights: _Float, activation: str, parameter: float, alpha: _Importance, out: _Float
) -> None: ...
@overload
def gated_cov(
    x: _Float,
    x_aug: _Float,
    weights: _Float,
    activation: str,
    parameter: float,
    x0: _Float | None,
    tau: float,
    tol: float,
    out: _Float,
) -> None: ...
def power_iteration(
    a: _Float,
    v0: _Float | None,
    tol: float,
    max_iter: int,
    lanczos: bool,
    seed: int,
    eigenvalue: _Float,
    eigenvector: _Float,
    gap: _Float | None,
    residual: _Float,
    n_iter: NDArray[np.int64],
    converged: NDArray[np.bool_],
) -> None: ...
def power_iteration_of_product_f32(
    product: Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.float32]],
    count: int,
    size: int,
    v0: NDArray[np.float32] | None,
    tol: float,
    max_iter: int,
    lanczos: bool,
    seed: int,
    eigenvalue: NDArray[np.float32],
    eigenvector: NDArray[np.float32],
    gap: NDArray[np.float32] | None,
    residual: NDArray[np.float32],
    n_iter: NDArray[np.int64],
    converged: NDArray[np.bool_],
) -> None: ...
def power_iteration_of_product_f64(
    product: Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]],
    count: int,
    size: int,
    v0: NDArray[np.float64] | None,
    tol: float,
    max_iter: int,
    lanczos: bool,
    seed: int,
    eigenvalue: NDArray[np.float64],
    eigenvector: NDArray[np.float64],
    gap: NDArray[np.float64] | None,
    residual: NDArray[np.float64],
    n_iter: NDArray[np.int64],
    converged: NDArray[np.bool_],
) -> None: ...

@type_check_only
class _GatedOperator(metaclass=_PybindType):
    # The importance: one shared by the nodes, or x0 (None: x), tau, tol and the weights whose outputs it compares.
    @overload
    def __init__(
        self,
        x: _Float,
        x_aug: _Float,
        weights: _Float,
        activation: str,
        parameter: float,
        alpha: _Importance,
    ) -> None: ...
    @overload
    def __init__(
        self,
        x: _Float,
        x_aug: _Float,
        weights: _Float,
        activation: str,
        parameter: float,
        x0: _Float | None,
        tau: float,
        tol: float,
        alpha_weights: _Float | None = None,
    ) -> None: ...
    def with_weights(self, weights: _Float) -> _GatedOperator: ...
    def matmul(self, v: _Float, active: NDArray[np.int64], out: _Float) -> None: ...
    def power_iteration(
        self,
        v0: _Float | None,
        tol: float,
        max_iter: int,
        lanczos: bool,
        seed: int,
        eigenvalue: _Float,
        eigenvector: _Float,
        gap: _Float | None,
        residual: _Float,
        n_iter: NDArray[np.int64],
        converged: NDArray[np.bool_],
    ) -> None: ...
    def top_eigenvalue_apart(
        self,
        apart: _Float,
        sizes: _Float,
        tol: float,
        max_iter: int,
        seed: int,
        eigenvalue: _Float,
        converged: NDArray[np.bool_],
    ) -> None: ...

class GatedOperator_f32(_GatedOperator): ...
class GatedOperator_f64(_GatedOperator): ...

@type_check_only
class _Climb(metaclass=_PybindType):
    @overload
    def __init__(
        self,
        x: _Float,
        x_aug: _Float,
        weights: _Float,
        activation: str,
        parameter: float,
        alpha: _Importance,
        frozen: bool,
        tol: float,
    ) -> None: ...
    @overload
    def __init__(
        self,
        x: _Float,
        x_aug: _Float,
        weights: _Float,
        activation: str,
        parameter: float,
        x0: _Float | None,
        tau: float,
        sup_error: float,
        frozen: bool,
        tol: float,
    ) -> None: ...
    def step(self) -> int: ...
    def finish(self) -> None: ...
    def write(
        self,
        weights: _Float,
        eigenvalue: _Float,
        residual: _Float,
        energy: _Float,
        steps: NDArray[np.int64],
        converged: NDArray[np.bool_],
    ) -> None: ...
    @staticmethod
    def block(n: int, nodes: int) -> int: ...

class Climb_f32(_Climb): ...
class Climb_f64(_Climb): ...

def draw_token_batches(
    patterns: NDArray[np.int64],
    tokens: int,
    redrawn: int,
    state: NDArray[np.uint32],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> None: ...
def train_two_layer(
    first: _Float,
    second: _Float,
    first_speed: _Float,
    second_speed: _Float,
    tokens: NDArray[np.int64],
    tokens_aug: NDArray[np.int64],
    activation: str,
    batch_norm: bool,
    backprop_mean: bool,
    backprop_var: bool,
    quadratic: bool,
    temperature: float,
    lr: float,
    momentum: float,
    weight_decay: float,
    losses: NDArray[np.float64],
) -> None: ...
def build_info() -> dict[str, Any]: ...
def supported_isas() -> list[str]: ...
def kernel_calls() -> dict[str, int]: ...
def max_threads() -> int: ...
def set_num_threads(threads: int | None) -> None: ...
def serial_after_fork() -> bool: ...
def _gemm_gflops(dtype: str, n: int, repeats: int) -> float: ...
def _exp_rate(dtype: str) -> float: ...
