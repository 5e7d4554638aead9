"""One run: the stream, the network, SGD with momentum, and what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from alphacl_fast._optional import require
from alphacl_fast._power_iteration import at_least
from alphacl_fast.experiments._two_layer.compiled import Trainer, draw_batches
from alphacl_fast.experiments._two_layer.data import Stream
from alphacl_fast.experiments._two_layer.metrics import chi
from alphacl_fast.experiments._two_layer.setting import Setting

_CHUNK = 100  # batches drawn at once
Pairing = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _same_views(tokens: np.ndarray, tokens_aug: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return tokens, tokens_aug


@dataclass(frozen=True)
class Training:
    """losses[t]: of the batch of step t, before its update; weights: (K, M, T), after the last one."""

    losses: list[float]
    weights: np.ndarray
    chi_plus: float
    chi_minus: float


def train(setting: Setting, steps: int, seed: int, pairing: Pairing = _same_views, *, plain: bool = False) -> Training:
    """`steps` updates from a seed; one loss more than updates, that of the next batch.

    plain : stream and steps in Python and PyTorch, what the compiled ones are compared with.
    """
    steps, seed = at_least("steps", steps, 0), at_least("seed", seed, 0)
    torch = require("torch")
    from alphacl_fast.experiments._two_layer import model

    stream = Stream(setting, seed)
    network = model.TwoLayer(setting, torch.Generator().manual_seed(seed + 2))
    first, second = (w.detach().numpy() for w in network.parameters())
    trainer = model.Trainer(network) if plain else Trainer(setting, first, second)
    losses: list[float] = []
    for done in range(0, steps, _CHUNK):
        count = min(_CHUNK, steps - done)
        views = stream.batches(count) if plain else draw_batches(stream, count)
        losses += trainer.steps(*_paired(pairing, *views))
    weights = first.transpose(0, 2, 1).copy()
    losses += trainer.steps(*_paired(pairing, *stream.batches(1)))
    return Training(losses, weights, *chi(weights, stream.patterns, setting.activation == "linear"))


def _paired(pairing: Pairing, tokens: np.ndarray, tokens_aug: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`pairing` of each batch."""
    first, second = zip(*(pairing(*pair) for pair in zip(tokens, tokens_aug, strict=True)), strict=True)
    return np.stack(first), np.stack(second)
