"""One call made from an integer: its random numbers, what it is made of in words, and guards around its inputs."""

import importlib.util
import zlib

import numpy as np

from .judge import Finding

HAS_TORCH = importlib.util.find_spec("torch") is not None


class Case:
    """Random numbers that depend on the name of the subject and the seed alone; notes for the report."""

    say = staticmethod(lambda text: None)  # hears each note at once: a crash must not lose them

    def __init__(self, name, seed):
        self.name, self.seed = name, int(seed)
        self.rng = np.random.default_rng([zlib.crc32(name.encode()), self.seed])
        self.notes = []
        self.arguments = {}  # of the last call, for whoever pastes the report
        self._guards = []
        self.dtype = np.dtype(self.pick([np.float32, np.float64], [2, 1]))
        self.torch = HAS_TORCH and self.chance(0.25)
        # Samples i and j are of one cluster where i = j modulo this: data and importances agree on it.
        self.clusters = int(self.pick([2, 3, 4, 8]))

    def pick(self, options, weights=None):
        """One of the options."""
        p = None if weights is None else np.asarray(weights, float) / np.sum(weights)
        return options[int(self.rng.choice(len(options), p=p))]

    def chance(self, probability):
        return bool(self.rng.random() < probability)

    def power_of_ten(self, low, high):
        """10^u, u uniform."""
        return float(10.0 ** self.rng.uniform(low, high))

    def note(self, text):
        self.notes.append(str(text))
        Case.say(text)

    def guard(self, name, owner):
        """After the call the memory of `owner` must hold the bytes that it holds now."""
        self._guards.append((name, owner, owner.tobytes()))

    def check_guards(self):
        for name, owner, before in self._guards:
            if owner.tobytes() != before:
                raise Finding(f"{name}: the input was modified")

    def __str__(self):
        return "; ".join(self.notes)
