"""The compiled module that does the work. The only place that asks which one."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import numpy as np

from alphacl_fast import _cpu

_warned = False


def cpu() -> ModuleType:
    """The CPU module; tells once when it has to run on one thread after a fork."""
    global _warned
    if _cpu.serial_after_fork() and not _warned:
        _warned = True
        warnings.warn(
            "alphacl_fast runs on one thread in this process: it was forked after its parent had started threads. "
            "Start workers with the 'spawn' method to use all cores.",
            RuntimeWarning,
            stacklevel=3,
        )
    return _cpu


def maker(importance: str, dtype: np.dtype) -> Any:
    """The compiled constructor of an importance for arrays of `dtype`."""
    return getattr(cpu(), importance + ("_f32" if dtype == np.float32 else "_f64"))
