"""Inputs shared by the covariance cases."""

import numpy as np


def views(sizes, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """x standard normal, x_aug = x + 0.3 noise; no temporary larger than one of them."""
    shape, dtype = (sizes["N"], sizes["d"]), np.dtype(sizes["dtype"])
    x = rng.standard_normal(shape, dtype=dtype)
    x_aug = rng.standard_normal(shape, dtype=dtype)
    x_aug *= dtype.type(0.3)
    x_aug += x
    return {"x": x, "x_aug": x_aug}


def item_bytes(sizes) -> int:
    return np.dtype(sizes["dtype"]).itemsize
