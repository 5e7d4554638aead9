"""How an operator comes to be known to torch: its schema, its checks, its compiled body and its fake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from alphacl_fast._arrays import refuse_transforms, transform_error
from alphacl_fast._backend import DEVICES

_library = torch.library.Library("alphacl_fast", "DEF")


def register(schema: str, check: Callable[..., None], kernel: Callable[..., Any], fake: Callable[..., Any]) -> None:
    name = schema.partition("(")[0]

    def checked(of: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments):
            check(*arguments)
            return of(*arguments)

        return call

    _library.define(schema)
    for device in DEVICES:
        _library.impl(name, checked(kernel), device.upper())  # torch's name of what runs there
    _library.impl(name, _refusing_transforms(getattr(torch.ops.alphacl_fast, name).default), "Autograd")
    torch.library.register_vmap(f"alphacl_fast::{name}", _refuse_vmap, lib=_library)
    torch.library.register_fake(f"alphacl_fast::{name}", checked(fake), lib=_library)


def _refusing_transforms(op: Any) -> Callable[..., Any]:
    """The operator above autograd: compiled functions come here with what the public functions could not look at."""
    names = [argument.name for argument in op._schema.arguments]

    def call(*arguments):
        for name, argument in zip(names, arguments, strict=True):
            for t in argument if isinstance(argument, (list, tuple)) else (argument,):
                if isinstance(t, torch.Tensor):
                    refuse_transforms(name, t)
        with torch._C._AutoDispatchBelowAutograd():
            return op(*arguments)

    return call


def _refuse_vmap(info: Any, dims: Any, *arguments: Any) -> Any:
    raise transform_error("tensors")
