"""The sizes and switches of one run, with the values of the author's public log."""

from __future__ import annotations

from dataclasses import dataclass

from alphacl_fast._arrays import number, positive
from alphacl_fast._power_iteration import at_least

ACTIVATIONS = ("relu", "linear", "leaky", "sigmoid", "square")
LOSSES = ("infonce", "quadratic")
_COUNTS = {
    **dict.fromkeys(("num_loc", "num_tokens", "tokens_per_loc", "num_patterns", "pattern_len", "beta", "output_d"), 1),
    "aug_degree": 0,
    "batch": 2,
}  # name -> the least


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
        for name, least in _COUNTS.items():
            at_least(name, getattr(self, name), least)
        for name in ("batch_norm", "backprop_mean", "backprop_var"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name}: expected True or False, got {getattr(self, name)!r}")
        wildcards = self.num_loc - self.pattern_len
        _check("pattern_len", wildcards >= 0, f"at most num_loc = {self.num_loc}", self.pattern_len)
        _check("aug_degree", self.aug_degree <= wildcards, f"from 0 to {wildcards} wildcards", self.aug_degree)
        few = self.tokens_per_loc <= self.num_tokens
        _check("tokens_per_loc", few, f"at most num_tokens = {self.num_tokens}", self.tokens_per_loc)
        positive("temperature", self.temperature)
        positive("lr", self.lr)
        _check("momentum", 0 <= number("momentum", self.momentum) < 1, "a number in [0, 1)", self.momentum)
        decay = number("weight_decay", self.weight_decay)
        _check("weight_decay", decay >= 0, "a number of at least 0", self.weight_decay)
        _check("activation", self.activation in ACTIVATIONS, f"one of {', '.join(ACTIVATIONS)}", self.activation)
        _check("loss", self.loss in LOSSES, f"one of {', '.join(LOSSES)}", self.loss)

    @property
    def nodes(self) -> int:
        """M = βP, the nodes of one location."""
        return self.beta * self.tokens_per_loc


def _check(name: str, holds: bool, expected: str, got: object) -> None:
    if not holds:
        raise ValueError(f"{name}: expected {expected}, got {got!r}")
