"""The network, its losses and its updates in plain PyTorch: what a faster step is compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from alphacl_fast.experiments._two_layer.setting import Setting

_EPS = 1e-5  # BatchNorm's
_ACTIVATIONS: dict[str, Any] = {
    "relu": torch.relu,
    "linear": lambda u: u,
    "leaky": lambda u: torch.where(u > 0, u, 0.05 * u),
    "sigmoid": torch.sigmoid,
    "square": torch.square,
}


class TwoLayer(torch.nn.Module):
    """f = V BN(h(W_1 u_1), …, h(W_K u_K)), rows of length 1; u_k the one-hot token at location k.

    first: (K, T, M), so that W_k u_k is row `token` of first[k], and no product is formed; second: V, (output_d, K M).
    """

    def __init__(self, setting: Setting, generator: torch.Generator) -> None:
        super().__init__()
        self.setting = setting
        k, t, m = setting.num_loc, setting.num_tokens, setting.nodes
        rows = [_as_linear(m, t, generator).T for _ in range(k)]
        self.first = torch.nn.Parameter(torch.stack(rows).contiguous())
        self.second = torch.nn.Parameter(_as_linear(setting.output_d, k * m, generator))
        self.register_buffer("_start", torch.arange(k) * t, persistent=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Tokens (N, K), or vectors in their place (N, K, T) -> (N, output_d)."""
        hidden = _ACTIVATIONS[self.setting.activation](self._first_layer(inputs).flatten(1))
        if self.setting.batch_norm:
            hidden = self._normalized(hidden)
        return functional.normalize(hidden @ self.second.T, dim=1)

    def _first_layer(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, K, M)."""
        if inputs.is_floating_point():
            return torch.einsum("nkt,ktm->nkm", inputs, self.first)
        return functional.embedding(inputs + self._start, self.first.flatten(0, 1))

    def _normalized(self, hidden: torch.Tensor) -> torch.Tensor:
        """BatchNorm without scale and shift, its statistics constants in the gradient where the setting says so."""
        mean, var = hidden.mean(0), hidden.var(0, unbiased=False)
        mean = mean if self.setting.backprop_mean else mean.detach()
        var = var if self.setting.backprop_var else var.detach()
        return (hidden - mean) / (var + _EPS).sqrt()


def _as_linear(outputs: int, inputs: int, generator: torch.Generator) -> torch.Tensor:
    """(outputs, inputs), as torch.nn.Linear draws its weights."""
    return torch.nn.init.kaiming_uniform_(torch.empty(outputs, inputs), a=5**0.5, generator=generator)


def scores(z: torch.Tensor, z_aug: torch.Tensor) -> torch.Tensor:
    """z zᵀ with z_i·z'_i on the diagonal, (N, N)."""
    return torch.diagonal_scatter(z @ z.T, (z * z_aug).sum(1))


def infonce(z: torch.Tensor, z_aug: torch.Tensor, temperature: float) -> torch.Tensor:
    """Cross-entropy of scores/T with label i for row i: losses.InfoNCE(tau=T) divided by T, for rows of length 1."""
    return functional.cross_entropy(scores(z, z_aug) / temperature, torch.arange(len(z), device=z.device))


def quadratic(z: torch.Tensor, z_aug: torch.Tensor, temperature: float) -> torch.Tensor:
    """(Σ_{i≠j} z_i·z_j/N − Σ_i z_i·z'_i)/(NT), as the public code has it.

    It weights the second sum by N, losses.Quadratic by N − 1.
    """
    s = scores(z, z_aug) / temperature
    return s.mean() - (1 + 1 / len(z)) * s.diagonal().mean()


LOSSES = {"infonce": infonce, "quadratic": quadratic}


class Trainer:
    """SGD with momentum and weight decay."""

    def __init__(self, model: TwoLayer) -> None:
        self.model, setting = model, model.setting
        self._optimizer = torch.optim.SGD(
            model.parameters(), lr=setting.lr, momentum=setting.momentum, weight_decay=setting.weight_decay
        )

    def steps(self, tokens: np.ndarray, tokens_aug: np.ndarray) -> list[float]:
        """One update per batch, (steps, N, K) or (steps, N, K, T) each; returns the losses before them."""
        return [self._step(*pair) for pair in zip(tokens, tokens_aug, strict=True)]

    def _step(self, tokens: np.ndarray, tokens_aug: np.ndarray) -> float:
        """BatchNorm sees each view on its own."""
        z, z_aug = self.model(torch.from_numpy(tokens)), self.model(torch.from_numpy(tokens_aug))
        loss = LOSSES[self.model.setting.loss](z, z_aug, self.model.setting.temperature)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return loss.item()
