"""How an operator comes to be known to torch: its schema, its checks, its compiled body and its fake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from alphacl_fast._arrays import refuse_transforms, transform_error
from alphacl_fast._backend import DEVICES

_library = torch.library.Library("alphacl_fast", "DEF")


def is_followed(*arguments: Any) -> bool:
    """Whether torch has to see an operator called with these: it compiles, records or transforms, or one of them, or of
    a list among them, is no plain tensor."""
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0:
        return True
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return True
    groups = (a if isinstance(a, (list, tuple)) else (a,) for a in arguments)
    return any(not _is_plain(t) for group in groups for t in group if isinstance(t, torch.Tensor))


def _is_plain(t: torch.Tensor) -> bool:
    if type(t) not in (torch.Tensor, torch.nn.Parameter):
        return False
    return not t._is_zerotensor() and not torch._C._functorch.is_legacy_batchedtensor(t)


def register(
    schema: str, check: Callable[..., None], kernel: Callable[..., Any], fake: Callable[..., Any]
) -> Callable[..., Any]:
    """Registers an operator and returns a function that calls it where torch has to see it, and else its checked body:
    its callers have refused forward derivatives, as the public functions do."""
    name = schema.partition("(")[0]

    def checked(of: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments):
            check(*arguments)
            return of(*arguments)

        return call

    body = checked(kernel)
    _library.define(schema)
    for device in DEVICES:
        _library.impl(name, body, device.upper())  # torch's name of what runs there
    op = getattr(torch.ops.alphacl_fast, name).default
    _library.impl(name, _refusing_transforms(op), "Autograd")
    torch.library.register_vmap(f"alphacl_fast::{name}", _refuse_vmap, lib=_library)
    torch.library.register_fake(f"alphacl_fast::{name}", checked(fake), lib=_library)

    def run(*arguments):
        if is_followed(*arguments):
            return op(*arguments)
        if not torch.autograd._profiler_enabled():
            return body(*arguments)
        with torch.profiler.record_function(f"alphacl_fast::{name}"):
            return body(*arguments)

    return run


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
