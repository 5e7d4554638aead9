"""The sizes and switches of one run, with the values of the author's public log."""

from __future__ import annotations

from dataclasses import dataclass

ACTIVATIONS = ("relu", "linear", "leaky", "sigmoid", "square")
LOSSES = ("infonce", "quadratic")


@dataclass(frozen=True)
class Setting:
    """T tokens at K locations; G patterns fix `pattern_len` locations each, with one of P tokens; M = βP nodes each."""

    num_loc: int = 10
    num_tokens: int = 20
    tokens_per_loc: int = 5  # P
    num_patterns: int = 40  # G
    pattern_len: int = 5
    aug_degree: int = 5  # wildcards that the second view draws anew
    beta: int = 5
    output_d: int = 50
    batch: int = 128
    activation: str = "relu"
    batch_norm: bool = True
    backprop_mean: bool = True  # False: BatchNorm's mean is a constant in the gradient
    backprop_var: bool = False  # False: so is its variance
    loss: str = "infonce"
    temperature: float = 0.1
    lr: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 5e-3

    def __post_init__(self) -> None:
        for name in ("num_loc", "num_tokens", "tokens_per_loc", "num_patterns", "pattern_len", "beta", "output_d"):
            _check(name, getattr(self, name) >= 1, "an integer >= 1", getattr(self, name))
        wildcards = self.num_loc - self.pattern_len
        _check("pattern_len", wildcards >= 0, f"at most num_loc = {self.num_loc}", self.pattern_len)
        _check("aug_degree", 0 <= self.aug_degree <= wildcards, f"from 0 to {wildcards} wildcards", self.aug_degree)
        few = self.tokens_per_loc <= self.num_tokens
        _check("tokens_per_loc", few, f"at most num_tokens = {self.num_tokens}", self.tokens_per_loc)
        _check("batch", self.batch >= 2, "an integer >= 2", self.batch)
        _check("temperature", self.temperature > 0, "a positive number", self.temperature)
        _check("activation", self.activation in ACTIVATIONS, f"one of {', '.join(ACTIVATIONS)}", self.activation)
        _check("loss", self.loss in LOSSES, f"one of {', '.join(LOSSES)}", self.loss)

    @property
    def nodes(self) -> int:
        """M = βP, the nodes of one location."""
        return self.beta * self.tokens_per_loc


def _check(name: str, holds: bool, expected: str, got: object) -> None:
    if not holds:
        raise ValueError(f"{name}: expected {expected}, got {got!r}")
