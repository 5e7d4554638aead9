"""The poster's statements as experiments: each public module of this folder is one claim, with numbers and a verdict.

A claim has TITLE, ORDER, RULES, FIGURES and ``run(settings) -> Result``, and USES_DATA = True where it reads the images
of --data; its docstring says what is claimed, the source, the test and what would refute it. ``alphacl-fast reproduce``
runs them all and writes a report.
"""

from types import ModuleType as _ModuleType

from alphacl_fast.experiments._claim import Figure, Result, Rule, Verdict
from alphacl_fast.experiments._folder import claim, claims
from alphacl_fast.experiments._settings import Hooks, Settings

__all__ = ["Figure", "Hooks", "Result", "Rule", "Settings", "Verdict", "claim", "claims"]


def __getattr__(name: str) -> _ModuleType:
    if name in claims():
        return claim(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *claims()})
