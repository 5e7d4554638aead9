"""How a time is written in the tables of the command line."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Two or three digits in the unit that fits: 0.32 ms, 421 ms, 7.3 s, 43 s, 2 min 38 s, 1 h 5 min."""
    if seconds < 0.9995:
        milliseconds = 1e3 * seconds
        return f"{milliseconds:.0f} ms" if milliseconds >= 9.95 else f"{milliseconds:.2g} ms"
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return "{} h {} min".format(*divmod(round(seconds / 60), 60))
