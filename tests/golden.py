"""Digests of what the kernels of the GPU compute on fixed inputs, a line each: `python tests/golden.py`.

On a GPU, or with ALPHACL_FAST_BACKEND=emulated on the CPU: additions, products, fma, divisions and square roots are
IEEE on both, so both print the same lines. `cuda/tests/golden.txt` holds them, and `tools/golden` compares.
"""

import hashlib
import itertools
import sys

import numpy as np

import alphacl_fast as acl

DTYPES = ("float32", "float64")
SHAPES = ((1, 3), (67, 9), (97, 66))
ACTIVATIONS = ("linear", "relu", acl.LeakyReLU(0.125), acl.Monomial(2))


def numbers(seed, *shape, dtype="float64"):
    """Numbers in [−1, 1) by splitmix64: integers of 64 bits, then of 24 or 53, which the dtype holds exactly."""
    z = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) + np.uint64(seed << 32)
    z *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    z ^= z >> np.uint64(31)
    bits = 24 if dtype == "float32" else 53
    return ((z >> np.uint64(64 - bits)).astype(np.float64) * 2.0 ** (1 - bits) - 1).astype(dtype).reshape(shape)


def _device():
    """Where the kernels are: the GPU, or the CPU that emulates one."""
    import torch

    from alphacl_fast import _backend

    info = _backend.cuda_info()
    if info is None:
        sys.exit("tests/golden.py: this build has no module _cuda: build with ALPHACL_CUDA=1 or ALPHACL_CUDA=emulated")
    if info["toolkit"] != "emulated":
        return torch.device("cuda", 0)
    if _backend.device_for(np.empty(0)) != "cuda":
        sys.exit("tests/golden.py: set ALPHACL_FAST_BACKEND=emulated")
    return torch.device("cpu")


class Inputs:
    """Tensors of one dtype on the device; what is made of the same seed and shape is the same."""

    def __init__(self, dtype, device):
        self.dtype, self.device = dtype, device

    def __call__(self, seed, *shape, dtype=None):
        import torch

        return torch.from_numpy(numbers(seed, *shape, dtype=dtype or self.dtype)).to(self.device)

    def views(self, n, d):
        """x and x' = x + a quarter of other numbers: one exact product, one sum rounded once."""
        x = self(1, n, d)
        return x, x + 0.25 * self(2, n, d)

    def importances(self, n):
        f, doubles = self(3, n, 5), "float64"
        yield "none", None
        yield "array", self(4, n, n)
        yield "low_rank", acl.LowRank(self(5, n, 3))
        yield "low_rank_signed", acl.LowRank(self(5, n, 3), [1.5, -0.75, -2.0])
        yield "labels", acl.Labels((8 * self(9, n)).long(), 1.25, -0.5)
        yield "sparse", acl.Sparse((self(4, n, n) * (self(10, n, n) > 0.75)).to_sparse_csr())
        yield "gaussian", acl.Gaussian(f, 0.75)
        yield "gaussian_scalar", acl.Gaussian(self(6, n), 0.25)
        yield "direct", acl.Direct(f)
        yield "direct_raw", acl.Direct(f, p=2.5, tau=1.5, normalize=False)
        yield "direct_eps", acl.Direct(f, p=3, tau=0.5, eps=0.25)
        yield "inverse_distance", acl.InverseDistance(f, p=3, tau=0.5, q=1.5)
        yield "inverse_normalized", acl.InverseDistance(f, tau=0.25, q=2, normalize=True, eps=0.125)
        yield "off_diagonal", acl.Uniform(diagonal=False)
        yield "square_regularized", acl.SquareRegularized(f, 0.75)
        for form in ("logistic", "exponential"):
            offset, weight = self(7, n, dtype=doubles), 1 + self(8, n, dtype=doubles)
            yield f"pair_{form}", acl.importance.PairImportance(f, 1.25, form, offset, weight)


def _sums(inputs):
    import torch

    from alphacl_fast._arrays import operand
    from alphacl_fast._backend import backend_for
    from alphacl_fast.importance import compile_for

    for n, d in SHAPES:
        x, x_aug = inputs.views(n, d)
        for name, alpha in inputs.importances(n):
            label = f"{name} {n}x{d}"
            yield f"contrastive_cov {label}", acl.contrastive_cov(x, x_aug, alpha)
            yield f"energy {label}", acl.energy(x, x_aug, alpha)
            given, grads = operand("x", x), (torch.empty_like(x), torch.empty_like(x))
            compiled = compile_for("golden", alpha, given)
            backend_for(given).laplacian_product(x, x_aug, compiled, *grads)
            yield f"laplacian_product {label}", grads
            vectors, weights = inputs(13, 2, d), inputs(14, 2, dtype="float64")
            backend_for(given).laplacian_along(x, x_aug, compiled, vectors, weights, *grads)
            yield f"laplacian_along {label}", grads
            if isinstance(alpha, acl.importance.Importance) and name != "off_diagonal":
                yield f"row_sums {label}", (alpha.row_sums(), alpha.col_sums())
                yield f"matmul {label}", alpha.matmul(x)
                yield f"to_dense {label}", alpha.to_dense()


def _pairs(inputs):
    import torch

    from alphacl_fast._backend import backend_for

    ways = [(False, *way) for way in itertools.product((False, True), (False, True))] + [(True, False, False)]
    for (n, m), (two, distances, halves) in itertools.product(((66, 9), (96, 66)), ways):
        left, right = inputs(11, n, m), inputs(12, n + 3, m) if two else None
        given = (left, right, 0.75, distances, halves)
        label = f"{'two sets' if two else 'one set'}{' distances' * distances}{' halves' * halves} {n}x{m}"
        module = backend_for(left)

        def doubles(count):
            return torch.empty(count, dtype=torch.float64, device=inputs.device)

        def like(t):
            return None if t is None else torch.empty_like(t)

        rows, cols = doubles(n), doubles(n + 3) if two else None
        a, b = inputs(13, n, dtype="float64"), inputs(14, n + 3, dtype="float64") if two else None
        grads = like(left), like(right)
        module.pair_log_sums(*given, rows, cols)
        yield f"pair_log_sums {label}", (rows, cols)
        scale = doubles(1)
        module.pair_log_sums_gradient(*given, rows, cols, a, b, *grads, scale)
        yield f"pair_log_sums_gradient {label}", (*grads, scale)
        for form in ("hinge", "logistic", "softplus", "square"):
            offset, grad_offset = inputs(15, n, dtype="float64"), doubles(n)
            module.pair_sums(*given, form, offset, rows)
            yield f"pair_sums {form} {label}", rows
            module.pair_sums_gradient(*given, form, offset, a, *grads, scale, grad_offset)
            yield f"pair_sums_gradient {form} {label}", (*grads, grad_offset, scale)


def _losses(inputs):
    import torch

    from alphacl_fast._backend import backend_for

    n, others, m = 66, 97, 9
    left, right, negatives = (inputs(seed, rows, m) for seed, rows in ((16, n), (17, n), (18, others)))
    for way, normalize in itertools.product(("within", "two sets", "columns", "negatives"), (False, True)):
        keys = negatives if way == "negatives" else None
        given = (left, right, keys, 0.75, way == "within", way == "columns", normalize, "none")
        losses = left.new_empty(2 * n if way == "within" else n)
        saved = torch.empty(5 * n + (0 if keys is None else others), dtype=torch.float64, device=inputs.device)
        label = f"{way}{' normalized' * normalize} {n}x{m}"
        module = backend_for(left)
        units = left.new_empty(2 * n + (0 if keys is None else others), m)
        module.contrasts(*given, units, saved, None, losses)
        yield f"contrasts {label}", (losses, saved[: n if way in ("two sets", "negatives") else 2 * n])
        grads = [torch.empty_like(left), torch.empty_like(right), None if keys is None else torch.empty_like(keys)]
        scale = torch.empty(1, dtype=torch.float64, device=inputs.device)
        grad, scored = inputs(19, len(losses)), (units[:n], units[n : 2 * n], None if keys is None else units[2 * n :])
        module.contrasts_gradient(*scored, *given[3:], saved, None, grad, *grads, scale)
        yield f"contrasts_gradient {label}", (*grads, scale)


def _nodes(inputs):
    for n, d in SHAPES:
        x, x_aug = inputs.views(n, d)
        omega = inputs(21, n, 5)
        omega[omega < 0] = 0
        yield f"gated_outer {n}x{d}", acl.gated_outer(x, omega)
        weights = inputs(22, 4, d)
        alphas = {"none": None, "node": acl.NodeGaussian(0.5), "gaussian": acl.Gaussian(x, 0.75)}
        for activation, (name, alpha) in itertools.product(ACTIVATIONS, alphas.items()):
            label = f"{activation} {name} {n}x{d}"
            yield f"gated_cov {label}", acl.gated_cov(x, x_aug, weights, activation=activation, alpha=alpha)
            layer = acl.GatedCovariance(x, x_aug, weights, activation=activation, alpha=alpha)
            yield f"GatedCovariance {label}", layer.matmul(inputs(23, 4, d))


def _eigenpairs(inputs):
    for d, count, method in itertools.product((1, 7, 33, 65), (1, 3), ("lanczos", "power")):
        a = inputs(31, count, d, d)
        a = a + a.transpose(1, 2)  # entries are sums of two, rounded once
        found = acl.power_iteration(a.contiguous(), method=method, gap=True, max_iter=200)
        yield f"power_iteration {method} {count}x{d}", tuple(found)


def _climbs(inputs):
    x, x_aug = inputs.views(33, 7)
    for name, alpha in {"none": None, "node": acl.NodeGaussian(0.5)}.items():
        options = {"alpha": alpha, "weights0": inputs(41, 3, 7), "max_iter": 5, "progress": False}
        found = acl.theory.find_local_maxima(x, x_aug, **options)
        yield f"find_local_maxima {name} 33x7", tuple(found)


def digest(found):
    """The first half of sha256 of dtypes, shapes and bits; one NaN is as good as another."""
    total = hashlib.sha256()
    for part in found if isinstance(found, tuple) else (found,):
        if part is None:
            continue
        a = np.ascontiguousarray(part.detach().cpu().numpy() if hasattr(part, "detach") else np.float64(part))
        if a.dtype.kind == "f":
            a = np.where(np.isnan(a), np.array(np.nan, a.dtype), a)
        total.update(f"{a.dtype.str}{a.shape}".encode() + a.tobytes())
    return total.hexdigest()[:32]


def lines():
    device = _device()
    for dtype in DTYPES:
        inputs = Inputs(dtype, device)
        for operation in (_sums, _pairs, _losses, _nodes, _eigenpairs, _climbs):
            for label, found in operation(inputs):
                yield f"sha256 {digest(found)} {dtype} {label}"


if __name__ == "__main__":
    for line in lines():
        print(line, flush=True)
