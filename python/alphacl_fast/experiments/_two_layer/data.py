"""Patterns with wildcards, and batches of two views drawn from them, in the order of draws of the public code."""

from __future__ import annotations

import random

import numpy as np

from alphacl_fast.experiments._two_layer.setting import Setting

WILDCARD = -1


def draw_patterns(setting: Setting, rng: random.Random) -> list[list[int]]:
    """G patterns: each location has a token or WILDCARD.

    One list of tokens is shuffled in place once per location, and one of locations once per pattern: a new list each
    time would be another stream.
    """
    tokens, allowed = list(range(setting.num_tokens)), []
    for _ in range(setting.num_loc):
        rng.shuffle(tokens)
        allowed.append(tokens[: setting.tokens_per_loc])
    locations, patterns = list(range(setting.num_loc)), []
    for _ in range(setting.num_patterns):
        rng.shuffle(locations)
        pattern = [WILDCARD] * setting.num_loc
        for k in locations[: setting.pattern_len]:
            pattern[k] = rng.choice(allowed[k])
        patterns.append(pattern)
    return patterns


class Stream:
    """Batches from a seed; the global random state is neither read nor changed."""

    def __init__(self, setting: Setting, seed: int) -> None:
        self.setting, self.rng = setting, random.Random(seed)
        self.patterns = draw_patterns(setting, self.rng)

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        """Two views, (batch, K) tokens each: wildcards drawn, then `aug_degree` of them drawn anew.

        All first views are drawn before any second one.
        """
        rng, last = self.rng, self.setting.num_tokens - 1
        chosen = rng.choices(self.patterns, k=self.setting.batch)
        first = [[rng.randint(0, last) if a == WILDCARD else a for a in pattern] for pattern in chosen]
        second = [self._augmented(*pair) for pair in zip(chosen, first, strict=True)]
        return np.array(first), np.array(second)

    def batches(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The next `count` batches, (count, batch, K) each."""
        first, second = zip(*(self.batch() for _ in range(count)), strict=True)
        return np.stack(first), np.stack(second)

    def _augmented(self, pattern: list[int], sample: list[int]) -> list[int]:
        wildcards = [k for k, a in enumerate(pattern) if a == WILDCARD]
        self.rng.shuffle(wildcards)
        view = list(sample)
        for k in wildcards[: self.setting.aug_degree]:
            view[k] = self.rng.randint(0, self.setting.num_tokens - 1)
        return view
