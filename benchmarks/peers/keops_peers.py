"""KeOps: alpha @ [X, 1] in one pass without alpha, then the Laplacian form in numpy. Its C++ is compiled per formula.

One product with all columns is its fastest form here: blocks of 64 columns take 3 times as long at m = 64.
"""

import importlib
from collections.abc import Callable

import numpy as np

from benchmarks.harness import PEER, Inputs, Provider, Sizes


def prepare(inputs: Inputs, sizes: Sizes) -> Callable:
    lazy = importlib.import_module("pykeops.numpy").LazyTensor
    x, x_aug = inputs["x"], inputs["x_aug"]
    n = len(x)

    def call() -> np.ndarray:
        mean = x.mean(axis=0)
        centred, delta = x - mean, x - x_aug
        f = np.ascontiguousarray(inputs["features"].reshape(n, -1) * x.dtype.type((2.0 * sizes["tau"]) ** -0.5))
        alpha = (-lazy(f[:, None]).sqdist(lazy(f[None]))).exp()
        product = alpha @ np.hstack([centred, np.ones((n, 1), dtype=x.dtype)])
        cross, row = centred.T @ product[:, :-1], product[:, -1:]
        total = centred.T @ (centred * (2.0 * row)) - cross - cross.T - delta.T @ (delta * row)
        return total / x.dtype.type(2.0 * n * n)

    return call


GAUSSIAN = (Provider("KeOps", PEER, prepare, ("pykeops",), compiles="slice", sweep_to=0),)
