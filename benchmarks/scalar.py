"""What the two scalar-Gaussian cases share: inputs, floor, the package's own call and its exact tiles."""

import inspect

import numpy as np

from benchmarks import truth
from benchmarks.harness import VARIANT, Provider, Work
from benchmarks.inputs import item_bytes, views
from benchmarks.peers.fourier import least_features


def make(sizes, rng):
    """u standard normal; tau is a multiple of its sample variance."""
    u = rng.standard_normal(sizes["N"], dtype=sizes["dtype"])
    tau = sizes["tau_over_variance"] * float(np.var(u, dtype=np.float64))
    return {**views(sizes, rng), "features": u}, {"tau": tau, "range": float(np.ptp(u))}


def work(sizes):
    """2 N p d + 2 N d^2 with p the kernel's rank, or what blocks or exact half-GEMM tiles cost where that is less."""
    n, d = sizes["N"], sizes["d"]
    tol = 1e-6 if sizes["dtype"] == "float32" else 1e-12
    p = least_features(sizes["range"], sizes["tau"], tol, n)
    return Work(2.0 * n * p * d + 2.0 * n * d * d, item_bytes(sizes) * n * (2.0 * d + 1))


def truth_of(inputs, sizes):
    return truth.gaussian(inputs["x"], inputs["x_aug"], inputs["features"], sizes["tau"])


def prepare(inputs, sizes):
    import alphacl_fast as acl

    return lambda: acl.contrastive_cov(inputs["x"], inputs["x_aug"], acl.Gaussian(inputs["features"], sizes["tau"]))


def _prepare_tiles(inputs, sizes):
    import alphacl_fast as acl

    if "method" not in inspect.signature(acl.Gaussian).parameters:
        raise ModuleNotFoundError("the package has no switch for exact tiles")
    u, tau = inputs["features"], sizes["tau"]
    return lambda: acl.contrastive_cov(inputs["x"], inputs["x_aug"], acl.Gaussian(u, tau, method="tiles"))


def exact_tiles() -> Provider:
    """The package's O(N^2) tiles: no tau may make the linear-time method slower than these."""
    return Provider("exact tiles", VARIANT, _prepare_tiles, ("alphacl_fast",))
