"""InfoNCE and NT-Xent with gradients: torch eager and compiled, a special library, KeOps, our algebra in numpy.

Every call returns the gradient with respect to the first view's features.
"""

import importlib
from collections.abc import Callable

import numpy as np

from benchmarks.harness import PEER, TWIN, Inputs, Provider, Sizes


def _info_nce(z, z_aug, tau):
    """−τ mean log [e^{−d_i²/τ} / (e^{−d_i²/τ} + Σ_{j≠i} e^{−d_ij²/τ})], distances by one GEMM."""
    torch = importlib.import_module("torch")
    half = 0.5 * (z * z).sum(1)
    own = 0.5 * ((z - z_aug) ** 2).sum(1)
    logits = (z @ z.T - half[:, None] - half) / tau
    logits = logits.masked_fill(torch.eye(len(z), dtype=torch.bool), float("-inf"))
    return tau * torch.nn.functional.softplus(own / tau + torch.logsumexp(logits, 1)).mean()


def _nt_xent(z, z_aug, tau):
    torch = importlib.import_module("torch")
    both = torch.nn.functional.normalize(torch.cat([z, z_aug]), dim=1)
    n = len(z)
    logits = (both @ both.T / tau).fill_diagonal_(float("-inf"))
    return torch.nn.functional.cross_entropy(logits, (torch.arange(2 * n) + n) % (2 * n))


def gradient_of(make_loss: Callable[[Sizes], Callable], compiled: bool = False) -> Callable:
    """A provider's prepare for a function of both views as tensors."""

    def prepare(inputs: Inputs, sizes: Sizes) -> Callable:
        torch = importlib.import_module("torch")
        z, z_aug = (torch.from_numpy(inputs[name]).requires_grad_() for name in ("z", "z_aug"))
        loss = make_loss(sizes)
        loss = torch.compile(loss) if compiled else loss

        def call() -> np.ndarray:
            gradient, _ = torch.autograd.grad(loss(z, z_aug), (z, z_aug))
            return gradient.numpy()

        return call

    return prepare


def _metric_learning(sizes: Sizes) -> Callable:
    losses = importlib.import_module("pytorch_metric_learning.losses")
    return losses.SelfSupervisedLoss(losses.NTXentLoss(temperature=sizes["tau"]))


def _lightly(sizes: Sizes) -> Callable:
    return importlib.import_module("lightly.loss").NTXentLoss(temperature=sizes["tau"])


def _keys(sizes: Sizes) -> Callable:
    def loss(query, positive):
        torch = importlib.import_module("torch")
        unit = torch.nn.functional.normalize
        logits = unit(query, dim=1) @ unit(positive, dim=1).T / sizes["tau"]
        return torch.nn.functional.cross_entropy(logits, torch.arange(len(query)))

    return loss


def _clip(sizes: Sizes) -> Callable:
    def loss(image, text):
        torch = importlib.import_module("torch")
        logits = image @ text.T / sizes["tau"]
        own, entropy = torch.arange(len(image)), torch.nn.functional.cross_entropy
        return (entropy(logits, own) + entropy(logits.T, own)) / 2

    return loss


def _info_nce_pytorch(sizes: Sizes) -> Callable:
    return importlib.import_module("info_nce").InfoNCE(temperature=sizes["tau"])


def _keops(inputs: Inputs, sizes: Sizes) -> Callable:
    """Log-sum-exp and one product with the gradient's weights, both reductions without the N×N array."""
    lazy = importlib.import_module("pykeops.numpy").LazyTensor
    z, z_aug, tau = inputs["z"], inputs["z_aug"], sizes["tau"]
    n = len(z)
    f = np.ascontiguousarray(z * z.dtype.type((2.0 * tau) ** -0.5))

    def call() -> np.ndarray:
        score = -lazy(f[:, None]).sqdist(lazy(f[None]))
        sums = np.exp(score.logsumexp(1).astype(np.float64)).ravel() - 1  # without the sample itself
        own = 0.5 * ((z - z_aug) ** 2).sum(1)
        weight = 1 / (1 + np.exp(-own / tau - np.log(sums)))
        relative = (weight / sums).astype(z.dtype)[:, None]
        alpha = score.exp()
        ones = np.ones((n, 1), z.dtype)
        left, right = alpha @ np.hstack([z, ones]), alpha @ np.hstack([relative * z, relative])
        inter = (relative * left[:, -1:] + right[:, -1:]) * z - relative * left[:, :-1] - right[:, :-1]
        return ((weight[:, None] * (z - z_aug) - inter) / n).astype(z.dtype)

    return call


def _numpy(inputs: Inputs, sizes: Sizes) -> Callable:
    """Log-sums by blocks, then the Laplacian of α applied by blocks; N² never in memory."""
    z, z_aug, tau = inputs["z"], inputs["z_aug"], sizes["tau"]
    n, block = len(z), 512

    def call() -> np.ndarray:
        f = z - z.mean(0)
        half = 0.5 * (f * f).sum(1)
        own = 0.5 * ((z - z_aug) ** 2).sum(1)
        sums = np.empty(n, z.dtype)

        def exps(rows):
            t = f[rows] @ f.T
            t -= half[rows, None]
            t -= half
            t *= z.dtype.type(1 / tau)
            np.exp(t, out=t)
            t[np.arange(len(t)), np.arange(rows.start, rows.stop)] = 0
            return t

        for start in range(0, n, block):
            rows = slice(start, min(start + block, n))
            sums[rows] = exps(rows).sum(1)
        weight = 1 / (1 + np.exp(-own / tau) / sums)
        relative = weight / sums
        out = np.empty_like(z)
        for start in range(0, n, block):
            rows = slice(start, min(start + block, n))
            beta = exps(rows)
            beta *= relative[rows, None] + relative
            out[rows] = beta @ f - beta.sum(1)[:, None] * f[rows]
        return (out + weight[:, None] * (z - z_aug)) / n

    return call


INFO_NCE = (
    Provider("torch", PEER, gradient_of(lambda s: lambda a, b: _info_nce(a, b, s["tau"])), ("torch",), sweep_to=8192),
    Provider(
        "torch.compile",
        PEER,
        gradient_of(lambda s: lambda a, b: _info_nce(a, b, s["tau"]), compiled=True),
        ("torch",),
        compiles="full",
        sweep_to=0,
    ),
    Provider("KeOps", PEER, _keops, ("pykeops",), compiles="slice", sweep_to=0),
    Provider("numpy", TWIN, _numpy),
)
NT_XENT = (
    Provider("torch", PEER, gradient_of(lambda s: lambda a, b: _nt_xent(a, b, s["tau"])), ("torch",), sweep_to=8192),
    Provider(
        "torch.compile",
        PEER,
        gradient_of(lambda s: lambda a, b: _nt_xent(a, b, s["tau"]), compiled=True),
        ("torch",),
        compiles="full",
        sweep_to=0,
    ),
    Provider(
        "pytorch-metric-learning",
        PEER,
        gradient_of(_metric_learning),
        ("torch", "pytorch_metric_learning"),
        sweep_to=1024,
    ),
    Provider("lightly", PEER, gradient_of(_lightly), ("torch", "lightly"), sweep_to=8192),
)
KEYS = (
    Provider("torch", PEER, gradient_of(_keys), ("torch",), sweep_to=8192),
    Provider("torch.compile", PEER, gradient_of(_keys, compiled=True), ("torch",), compiles="full", sweep_to=0),
    Provider("info-nce-pytorch", PEER, gradient_of(_info_nce_pytorch), ("torch", "info_nce"), sweep_to=8192),
)
FEW_LINES = {
    name: (
        Provider("torch", PEER, gradient_of(loss), ("torch",)),
        Provider("torch.compile", PEER, gradient_of(loss, compiled=True), ("torch",), compiles="full", sweep_to=0),
    )
    for name, loss in (
        ("nt_xent", lambda s: lambda a, b: _nt_xent(a, b, s["tau"])),
        ("info_nce", _keys),
        ("clip", _clip),
    )
}
"""What people write by hand."""
