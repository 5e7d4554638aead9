"""torch: the Laplacian form as a good user writes it, the same compiled, and the literal double sum.

torch is imported when a provider is prepared, so that a machine without it lists the peer as "not installed".
"""

import importlib
from collections.abc import Callable

from benchmarks.harness import PEER, Inputs, Provider, Sizes


def _laplacian(x, x_aug, row, col, cross):
    """cross + cross^T = X^T (alpha + alpha^T) X of the centred x."""
    delta = x - x_aug
    total = (x * (row + col)[:, None]).T @ x - cross - cross.T - (delta * row[:, None]).T @ delta
    return total / (2.0 * len(x) ** 2)


def dense_laplacian(x, x_aug, alpha):
    mean = x.mean(dim=0)
    x, x_aug = x - mean, x_aug - mean
    return _laplacian(x, x_aug, alpha.sum(dim=1), alpha.sum(dim=0), x.T @ (alpha @ x))


def _symmetric_laplacian(x, x_aug, alpha):
    mean = x.mean(dim=0)
    x, x_aug, row = x - mean, x_aug - mean, alpha.sum(dim=1)
    return _laplacian(x, x_aug, row, row, x.T @ (alpha @ x))


def gaussian_alpha(features, tau):
    """exp(-||f_i - f_j||^2 / (2 tau)) by one GEMM and passes in place; by differences for scalars."""
    if features.dim() == 1:
        return (features[:, None] - features).square_().mul_(-0.5 / tau).exp_()
    f = (features - features.mean(dim=0)) * tau**-0.5
    half = 0.5 * (f * f).sum(dim=1)
    return (f @ f.T).sub_(half[:, None]).sub_(half).clamp_(max=0).exp_()


def gaussian_laplacian(x, x_aug, features, tau):
    return _symmetric_laplacian(x, x_aug, gaussian_alpha(features, tau))


def _naive(x, x_aug, alpha):
    """The double sum as it stands: all N^2 differences at once."""
    n, d = x.shape
    inter = (x[:, None] - x).reshape(n * n, d)
    intra = (x - x_aug)[:, None].expand(n, n, d).reshape(n * n, d)
    weight = alpha.reshape(n * n, 1)
    return ((weight * inter).T @ inter - (weight * intra).T @ intra) / (2.0 * n * n)


def gaussian_naive(x, x_aug, features, tau):
    return _naive(x, x_aug, gaussian_alpha(features, tau))


def _prepare(function: Callable, last: str, compiled: bool) -> Callable:
    def prepare(inputs: Inputs, sizes: Sizes) -> Callable:
        torch = importlib.import_module("torch")
        arrays = [torch.from_numpy(inputs[name]) for name in ("x", "x_aug", last)]
        constants = (sizes["tau"],) if last == "features" else ()
        run = torch.compile(function, dynamic=False) if compiled else function

        def call():
            with torch.no_grad():
                return run(*arrays, *constants).numpy()

        return call

    return prepare


def _providers(laplacian: Callable, naive: Callable, last: str) -> tuple[Provider, ...]:
    needs = ("torch",)
    return (
        Provider("torch", PEER, _prepare(laplacian, last, False), needs),
        Provider("torch.compile", PEER, _prepare(laplacian, last, True), needs, compiles="full", sweep_to=0),
        Provider("torch naive", PEER, _prepare(naive, last, False), needs, sweep_to=256),
    )


DENSE = _providers(dense_laplacian, _naive, "alpha")
GAUSSIAN = _providers(gaussian_laplacian, gaussian_naive, "features")
