"""Packages that the core does not need: imported where they are used, asked for in one sentence when missing."""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from types import ModuleType
from typing import Any


class MissingPackageError(ImportError):
    """An optional package cannot be imported; the message says which one and how to install it."""


def require(module: str, *, package: str | None = None) -> ModuleType:
    """Import and return `module`, which `pip` knows as `package`."""
    package = package or module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"{package} is needed here and cannot be imported ({error}): install it with  pip install {package}"
        ) from error


class _LazyModule(ModuleType):
    """A module of the package that is imported when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        # Tools that look at every module ask for these.
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        module = importlib.import_module(self.__name__)
        self.__dict__.update(vars(module))
        return getattr(module, name)

    def __dir__(self) -> list[str]:
        with contextlib.suppress(MissingPackageError):
            return dir(importlib.import_module(self.__name__))
        return []


def losses() -> ModuleType:
    """The losses, which import torch: themselves where torch is loaded, else in name until something is asked for."""
    name = "alphacl_fast.losses"
    return importlib.import_module(name) if sys.modules.get("torch") is not None else _lazy(name)


@functools.cache
def _lazy(name: str) -> ModuleType:
    return _LazyModule(name, "Contrastive losses in torch, which is imported when something of them is asked for.")


def torch_ops() -> ModuleType:
    """What is registered with torch; imports torch."""
    # An import statement, not `require`: torch.compile looks through this function.
    from alphacl_fast import _torch

    return _torch
