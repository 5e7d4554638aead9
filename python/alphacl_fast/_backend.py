"""The compiled modules: the only door to them, and the only place that asks about a device or refuses one."""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from typing import Any

import numpy as np

from alphacl_fast import _cpu


class _Cuda:
    """The module _cuda, imported when the first tensor on a GPU is met."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("alphacl_fast._cuda"), name)


# ALPHACL_FAST_BACKEND=emulated: arrays and tensors of the CPU go through the kernels of the GPU, compiled for the CPU.
_EMULATED = os.environ.get("ALPHACL_FAST_BACKEND") == "emulated"
_MODULES: dict[str, Any] = {"cpu": _cpu}
if importlib.util.find_spec("alphacl_fast._cuda") is not None:
    _MODULES["cuda"] = _Cuda()
elif _EMULATED:
    raise ImportError(
        "ALPHACL_FAST_BACKEND=emulated: this build has no kernels of the GPU: build with ALPHACL_CUDA=emulated"
    )
DEVICES = tuple(_MODULES)  # the types of device that a compiled module serves
_warned = False


def device_for(a: Any) -> str:
    """The type of device that computes with an array or a tensor."""
    if _EMULATED:
        return "cuda"
    return "cpu" if isinstance(a, np.ndarray) or a.is_cpu else str(a.device.type)


def backend_for(operand: Any) -> Any:
    """The compiled module that serves the device of a checked operand, or of a tensor that an operator was given.

    Tells once when the CPU module has to run on one thread after a fork.
    """
    global _warned
    device = operand.device
    module = _MODULES[device if isinstance(device, str) else device_for(operand)]
    if module is _cpu and not _warned and _cpu.serial_after_fork():
        _warned = True
        warnings.warn(
            "alphacl_fast runs on one thread in this process: it was forked after its parent had started threads. "
            "Start workers with the 'spawn' method to use all cores.",
            RuntimeWarning,
            stacklevel=3,
        )
    return module


def constructor_for(name: str, operand: Any) -> Any:
    """The compiled class or constructor `name` for the dtype and the device of `operand`."""
    return getattr(backend_for(operand), name + ("_f32" if operand.dtype == np.float32 else "_f64"))


def power_iteration_of_product() -> Any:
    """The iteration over a Python function of products, on vectors of the host in float64; products may be anywhere."""
    return _cpu.power_iteration_of_product_f64


def refuse_elsewhere(name: str, number: Any, model_name: str, model: Any) -> None:
    """Refuses a tensor of one number that is neither on the CPU nor beside the model: on meta it has no value."""
    if number.device != model.device and not number.is_cpu:
        raise TypeError(f"{name}: expected a tensor on the CPU or beside {model_name}, got one on {number.device}")


def refuse_device(name: str, device: str, where: str = "") -> None:
    """Refuses, before any work, a tensor on a type of device that no compiled module serves."""
    if device not in DEVICES:
        kind = device.upper()
        build = ", or build with ALPHACL_CUDA=1 pip install ." if device == "cuda" else ""
        raise TypeError(
            f"{name}: {kind} tensor given but this build has no {kind} backend: copy it{where} with {name}.cpu(){build}"
        )


def refuse_device_of_scalar(name: str, device: Any) -> None:
    """Refuses a number in a tensor on a type of device that no compiled module serves."""
    if device.type not in DEVICES:
        raise TypeError(f"{name}: expected a number or a tensor on the CPU, like the features, got one on {device}")


def is_in_host_memory(t: Any) -> bool:
    """Whether the value of a tensor can be read without waiting for a device."""
    return bool(t.device.type == "cpu")


def host_module() -> Any:
    """The compiled module of the CPU, for what no GPU has kernels of."""
    return _cpu


def build_info() -> dict[str, Any]:
    """Version, compiler, instruction set, BLAS and threads of the build."""
    return dict(_cpu.build_info())


def cuda_info() -> dict[str, Any] | None:
    """Toolkit, architectures, operations, driver and devices of the module of the GPU; None where it was not built."""
    if importlib.util.find_spec("alphacl_fast._cuda") is None:
        return None
    module = importlib.import_module("alphacl_fast._cuda")
    about_the_module = ("build_info", "waits", "kept_scores")
    operations = sorted(name for name in vars(module) if not name.startswith("_") and name not in about_the_module)
    return {**module.build_info(), "operations": operations}
