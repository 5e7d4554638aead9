"""Batches and steps in compiled code: the same stream as data.Stream, the same updates as model.Trainer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alphacl_fast._backend import host_module
from alphacl_fast.experiments._two_layer.data import Stream
from alphacl_fast.experiments._two_layer.setting import Setting


def draw_batches(stream: Stream, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The next `count` batches of a stream, (count, batch, K) each; its generator goes on as if it had drawn them."""
    setting, (version, words, spare) = stream.setting, stream.rng.getstate()
    state = np.array(words, np.uint32)
    first = np.empty((count, setting.batch, setting.num_loc), np.int64)
    second = np.empty_like(first)
    patterns = np.array(stream.patterns, np.int64)
    host_module().draw_token_batches(patterns, setting.num_tokens, setting.aug_degree, state, first, second)
    stream.rng.setstate((version, tuple(state.tolist()), spare))
    return first, second


class Trainer:
    """SGD with momentum and weight decay on weights (K, T, M) and (output_d, K M), float32 or float64, in place."""

    def __init__(self, setting: Setting, first: np.ndarray, second: np.ndarray) -> None:
        self.setting, self.weights = setting, (first, second)
        self._speeds = (np.zeros_like(first), np.zeros_like(second))

    def steps(self, tokens: np.ndarray, tokens_aug: np.ndarray) -> Sequence[float]:
        """One update per batch, (steps, N, K) each; returns the losses before them."""
        s, losses = self.setting, np.empty(len(tokens))
        switches = (s.activation, s.batch_norm, s.backprop_mean, s.backprop_var, s.loss == "quadratic")
        rates = (s.temperature, s.lr, s.momentum, s.weight_decay)
        host_module().train_two_layer(*self.weights, *self._speeds, tokens, tokens_aug, *switches, *rates, losses)
        return losses.tolist()
