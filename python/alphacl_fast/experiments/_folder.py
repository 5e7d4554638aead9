"""Which claims there are: the modules of this folder whose names do not begin with an underscore."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

_FOLDER = Path(__file__).parent
_SECTIONS = ("Claim", "Source", "Test", "Refuted by")


@functools.cache
def claims() -> tuple[str, ...]:
    """The names of all claims; nothing is imported."""
    return tuple(m.name for m in pkgutil.iter_modules([str(_FOLDER)]) if not m.name.startswith("_"))


def claim(name: str) -> ModuleType:
    """The module of one claim. Raises ValueError, with the names that there are."""
    if name not in claims():
        raise ValueError(f"claim: expected one of {', '.join(claims())}, got {name!r}")
    return importlib.import_module(f"{__package__}.{name}")


def in_order() -> list[str]:
    """The names of all claims as the poster has them."""
    return sorted(claims(), key=lambda name: claim(name).ORDER)


def sections(module: ModuleType) -> dict[str, str]:
    """The parts of a claim's docstring: what is claimed, its source, how it is tested, what would refute it."""
    parts = re.split(rf"^({'|'.join(_SECTIONS)}): ", module.__doc__ or "", flags=re.MULTILINE)
    found = dict(zip(parts[1::2], (" ".join(text.split()) for text in parts[2::2]), strict=True))
    if tuple(found) != _SECTIONS:
        raise ValueError(f"{module.__name__}: expected a docstring with {', '.join(_SECTIONS)}, got {tuple(found)}")
    return found
