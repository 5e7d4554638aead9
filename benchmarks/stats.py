"""Ratios round by round, their median and their band."""

from math import comb
from statistics import median

CONFIDENCE = 0.99


def band_rank(rounds: int) -> int:
    """How many extreme values each end of the band may drop while it covers the median with CONFIDENCE.

    Between the k-th smallest and the k-th largest of n values the median lies with probability
    1 - 2 sum_{i<k} C(n, i) / 2^n (sign test; no assumption on the distribution): n = 8 keeps all, 99.2 %.
    """
    tail, dropped = 0.0, -1
    while dropped + 1 < rounds // 2:
        tail += 2 * comb(rounds, dropped + 1) / 2**rounds
        if tail > 1 - CONFIDENCE:
            break
        dropped += 1
    return max(dropped, 0)


def band_kind(rounds: int) -> str:
    dropped = band_rank(rounds)
    name = "min-max" if dropped == 0 else f"all but the {dropped} smallest and largest"
    return f"{name} of {rounds} per-round ratios"


def ratio_band(seconds: list[float], ours: list[float]) -> dict[str, float]:
    """seconds / ours in each round: median, low and high end of the band. Above 1: we are faster."""
    ratios = sorted(a / b for a, b in zip(seconds, ours, strict=True))
    dropped = band_rank(len(ratios))
    return {"median": median(ratios), "low": ratios[dropped], "high": ratios[-1 - dropped]}
