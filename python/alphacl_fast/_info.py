"""`alphacl-fast info`: the facts of the build and of this machine that decide speed."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
from pathlib import PurePath

from alphacl_fast import _backend

_SHOWN_KEYS = frozenset(
    "version compiler build_type isa supported_isas blas blas_config blas_threads "
    "openmp openmp_library max_threads cuda".split()
)


def info() -> dict:
    """Versions, compiler, instruction set, BLAS, OpenMP and CUDA of this build, as plain values fit for JSON.

    torch is looked up in the installed packages' metadata and not imported: None when it is not installed.
    """
    build = _backend.build_info()
    build["openmp_library"] = PurePath(build["openmp_library"]).name or None
    return {
        "version": build.pop("version"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "numpy": _installed_version("numpy"),
        "torch": _installed_version("torch"),
        **build,
        "cuda": _backend.cuda_info(),
    }


def render(facts: dict) -> str:
    """The facts as aligned lines; keys that are not known here follow at the end."""
    lines = {
        "alphacl-fast": facts["version"],
        "Python": f"{facts['python']} ({facts['system']})",
        "numpy": facts["numpy"],
        "torch": facts["torch"] or "not installed",
        "compiler": f"{facts['compiler']}, {facts['build_type']}",
        "ISA": f"{facts['isa']} (supported here: {', '.join(facts['supported_isas'])})",
        "BLAS": f"{facts['blas']}, {_count(facts['blas_threads'], 'thread')} per call ({facts['blas_config']})",
        "OpenMP": f"{facts['openmp_library']} (version {facts['openmp']})",
        "threads": facts["max_threads"],
        "CUDA": _cuda_line(facts["cuda"]),
    }
    shown = _SHOWN_KEYS | {"python", "system", "numpy", "torch"}
    lines.update({key: value for key, value in facts.items() if key not in shown})
    width = max(map(len, lines))
    return "\n".join(f"{label:<{width}}  {value}" for label, value in lines.items())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> None:
    facts = info()
    print(json.dumps(facts, indent=2) if args.json else render(facts))


def _cuda_line(cuda: dict | None) -> str:
    if cuda is None:
        return "no"
    operations = _count(len(cuda["operations"]), "operation") if cuda["operations"] else "no operations yet"
    if cuda["toolkit"] == "emulated":
        return f"emulated on the CPU, {operations}"
    devices = ", ".join(device["name"] for device in cuda["devices"]) or "none"
    return (
        f"{cuda['toolkit']} ({' '.join(cuda['architectures'])}), {operations}; "
        f"driver: {cuda['driver'] or 'none'}, devices: {devices}"
    )


def _installed_version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
