"""Packages that the core does not need: imported where they are used, asked for in one sentence when missing."""

from __future__ import annotations

import importlib
from types import ModuleType


class MissingPackageError(ImportError):
    """An optional package cannot be imported; the message says which one and how to install it."""


def require(module: str, *, package: str | None = None, extra: str = "demo") -> ModuleType:
    """Import and return `module`, which `pip` knows as `package` and which comes with the given extra."""
    package = package or module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"{package} is needed here and cannot be imported ({error}): "
            f"install it with  pip install 'alphacl-fast[{extra}]'"
        ) from error


def torch_ops() -> ModuleType:
    """What is registered with torch; imports torch."""
    # An import statement, not `require`: torch.compile looks through this function.
    from alphacl_fast import _torch_ops

    return _torch_ops
