"""What the cases of eigenpairs share: matrices with a planted gap, the peers, the residual that stands for accuracy."""

import importlib

import numpy as np

from benchmarks.harness import PEER, Case, Goal, Provider, Work, one_at_a_time, ours

TOL = 1e-5


def make(sizes, rng):
    """Eigenvalues 1, 1 - gap and the rest uniform below, down to -0.5, on random axes."""
    b, d = sizes["B"], sizes["d"]
    values = rng.uniform(-0.5, 1 - sizes["gap"], (b, d))
    values[:, 0], values[:, 1] = 1, 1 - sizes["gap"]
    matrices = np.empty((b, d, d), sizes["dtype"])
    for matrix, spectrum in zip(matrices, values, strict=True):
        axes, _ = np.linalg.qr(rng.standard_normal((d, d)))
        product = (axes * spectrum) @ axes.T
        matrix[...] = (product + product.T) / 2
    steps = _steps(matrices)
    return {"a": matrices}, {"steps": steps}


def _steps(matrices) -> float:
    """Products per matrix that Lanczos takes: an operation count for the floor, from the package's own report."""
    acl = importlib.import_module("alphacl_fast")
    return float(np.mean(acl.power_iteration(matrices, tol=TOL).n_iter))


def error(result, matrices) -> float:
    """The largest residual ||Av - lambda v|| in float64; the largest eigenvalue is 1."""
    values, vectors = (np.asarray(part, dtype=np.float64) for part in result)
    residuals = np.einsum("bij,bj->bi", matrices, vectors) - values[:, None] * vectors
    return float(np.linalg.norm(residuals, axis=1).max())


def work(sizes):
    """2 d^2 operations a step and matrix; the matrices read once."""
    b, d = sizes["B"], sizes["d"]
    return Work(2.0 * d * d * sizes["steps"] * b, 4.0 * b * d * d)


def prepare(inputs, sizes):
    import alphacl_fast as acl

    def call():
        found = acl.power_iteration(inputs["a"], tol=TOL)
        return found.eigenvalue, found.eigenvector

    return call


def _bmm(inputs, sizes):
    """Power iteration of all matrices at once until every residual is small; A has no larger negative eigenvalue."""
    torch = importlib.import_module("torch")
    a = torch.from_numpy(inputs["a"])
    start = torch.from_numpy(np.random.default_rng(0).standard_normal((*a.shape[:2], 1)).astype(np.float32))

    def call():
        with torch.no_grad():
            v = start / start.norm(dim=1, keepdim=True)
            for _ in range(1000):
                for _ in range(10):
                    v = torch.bmm(a, v)
                    v = v / v.norm(dim=1, keepdim=True)
                product = torch.bmm(a, v)
                value = (v * product).sum(dim=1, keepdim=True)
                if float((product - value * v).norm(dim=1).max()) <= TOL:
                    break
            return value[:, 0, 0].numpy(), v[:, :, 0].numpy()

    return call


def _eigh(inputs, sizes):
    torch = importlib.import_module("torch")
    a = torch.from_numpy(inputs["a"])

    def call():
        with torch.no_grad():
            values, vectors = torch.linalg.eigh(a)
            return values[:, -1].numpy(), vectors[:, :, -1].numpy()

    return call


def _each(solve):
    def prepared(inputs, sizes):
        matrices = inputs["a"]

        def call():
            pairs = [solve(matrix) for matrix in matrices]
            return np.array([value for value, _ in pairs]), np.stack([vector for _, vector in pairs])

        return call

    return prepared


def _lapack(matrix):
    linalg = importlib.import_module("scipy.linalg")
    d = len(matrix)
    values, vectors = linalg.eigh(matrix, subset_by_index=(d - 1, d - 1), check_finite=False)
    return values[0], vectors[:, 0]


def _arpack(matrix):
    sparse = importlib.import_module("scipy.sparse.linalg")
    values, vectors = sparse.eigsh(matrix, k=1, which="LA", tol=TOL)
    return values[0], vectors[:, 0]


def _lobpcg(matrix):
    sparse = importlib.import_module("scipy.sparse.linalg")
    start = np.random.default_rng(0).standard_normal((len(matrix), 1)).astype(matrix.dtype)
    values, vectors = sparse.lobpcg(matrix, start, largest=True, tol=TOL, maxiter=500)
    return values[0], vectors[:, 0]


def case(count: int, d: int) -> Case:
    sizes = {"B": count, "d": d, "gap": 0.1, "dtype": "float32"}
    scipy = ("scipy",)
    return Case(
        number=8,
        name=f"eigenpairs-{d}",
        title="power_iteration",
        sizes=sizes,
        small={**sizes, "B": 3, "d": 8},
        make=make,
        truth=lambda inputs, sizes: inputs["a"].astype(np.float64),
        work=work,
        providers=(
            *ours(prepare),
            Provider("torch bmm loop", PEER, _bmm, ("torch",)),
            Provider("torch eigh", PEER, _eigh, ("torch",)),
            Provider("LAPACK top 1", PEER, _each(_lapack), scipy),
            Provider("ARPACK", PEER, _each(_arpack), scipy),
            Provider("LOBPCG", PEER, _each(_lobpcg), scipy, sweep_to=64),
        ),
        goals=(Goal("speedup", 25.0, "torch bmm loop"), Goal("speedup", 25.0, "torch eigh")),
        error=error,
        sweep=one_at_a_time({**sizes, "B": max(1, count // 16)}, gap=(0.5, 0.01, 0.001)),
    )
