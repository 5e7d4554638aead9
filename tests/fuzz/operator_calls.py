"""Importances used on their own: row_sums, col_sums, matmul, to_dense."""

import numpy as np

from .alphas import importance, left_in_alpha
from .covariance import dense_pair, exact_type, with_threads
from .data import laid_out, numpy_of, shape, size, values
from .judge import ROUNDINGS, contract, eps, frobenius, same_bits


def importances(case):
    """One importance, all of its answers."""
    n, d = shape(case, {4: 4e7, 8: 4e6}[case.dtype.itemsize])
    wide = np.asarray(values(case, "x", n, d)[0]).astype(case.dtype).astype(np.float64)
    alpha = importance(case, n, wide, own=True)
    if type(alpha).__name__ in ("Uniform", "Labels"):  # which have no dtype of their own
        case.dtype, case.torch = np.dtype(np.float64), case.torch and type(alpha).__name__ == "Labels"
    case.arguments["alpha"] = alpha
    exact, rough = dense_pair(alpha, n, case.dtype)
    moved = ROUNDINGS * eps(case.dtype) * np.abs(exact) + 2 * np.abs(rough - exact) + left_in_alpha(alpha, case.dtype)
    kind = exact_type(case.dtype)
    columns = size(case, 33)
    y_wide = np.asarray(values(case, "y", n, columns, scales=False)[0]).astype(case.dtype).astype(np.float64)
    one = columns == 1 and case.chance(0.5)
    y = laid_out(case, "y", y_wide[:, 0] if one else y_wide)
    y_wide = y_wide[:, 0] if one else y_wide
    product = numpy_of(alpha.matmul(y) if case.chance(0.5) else alpha @ y)
    again = with_threads(case, lambda: numpy_of(alpha.matmul(y)))
    rough = rough.astype(case.dtype)
    narrow = y_wide.astype(case.dtype)
    contract(
        "row_sums", numpy_of(alpha.row_sums()), exact.sum(1), lambda: rough.sum(1), frobenius(moved.sum(1)), case.dtype
    )
    contract(
        "col_sums", numpy_of(alpha.col_sums()), exact.sum(0), lambda: rough.sum(0), frobenius(moved.sum(0)), case.dtype
    )
    absolute = frobenius(np.asarray(moved, float) @ np.abs(y_wide))
    contract("matmul", product, exact @ y_wide.astype(kind), lambda: rough @ narrow, absolute, case.dtype)
    if case.chance(0.5):
        contract("to_dense", numpy_of(alpha.to_dense()), exact, lambda: rough, frobenius(moved), case.dtype)
    if again is not None:
        same_bits("threads", product, again)
