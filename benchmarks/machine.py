"""Facts about the machine and the process: processor, versions, memory. No host, user or path names."""

import contextlib
import ctypes
import importlib
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

GIB = 1 << 30


def processor() -> dict[str, object]:
    """Model name (with family and model where the name says little) and the cores this process may use."""
    fields: dict[str, str] = {}
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().split("\n\n")[0].splitlines():
            key, _, value = line.partition(":")
            fields[key.strip()] = value.strip()
    name = fields.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in fields:
        name += f" (family {fields['cpu family']}, model {fields['model']})"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": name, "cores": cores, "memory_gib": round(total_memory() / GIB, 1)}


def versions() -> dict[str, str]:
    found = {name: _version(name) for name in ("alphacl-fast", "numpy", "torch", "pykeops")}
    return {"python": platform.python_version(), **{name: version for name, version in found.items() if version}}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def build_facts() -> dict[str, object]:
    """What the package says of its own build (ISA, BLAS, compiler, ...), values that hold a path left out."""
    core = package_core()
    info = core.build_info() if core is not None and hasattr(core, "build_info") else {}
    plain = {key: value for key, value in info.items() if isinstance(value, str | int | float | bool)}
    return {key: value for key, value in plain.items() if os.sep not in str(value)}


def package_core():
    """The package's compiled module, or None."""
    try:
        return importlib.import_module("alphacl_fast._cpu")
    except ImportError:
        return None


def isas() -> list[str]:
    """The instruction sets that the package can use here."""
    core = package_core()
    return core.supported_isas() if core else []


def threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count() or 1


def thread_environment(count: int) -> dict[str, str]:
    """The same thread count for OpenMP (ours, torch, KeOps), OpenBLAS (numpy) and MKL."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return dict.fromkeys(names, str(count))


@contextlib.contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """`count` processes that compute all the time, and end with this one."""
    code = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
    spinning: list[subprocess.Popen] = []
    try:
        spinning.extend(subprocess.Popen([sys.executable, "-c", code]) for _ in range(count))
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def total_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def available_memory() -> int:
    """Bytes that can still be had: MemAvailable, or a control group's limit where that is smaller."""
    free = total_memory()
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    for line in _lines("/sys/fs/cgroup/memory.max"):
        if line.strip().isdigit():
            free = min(free, int(line))
    return free


def limit_memory(share: float = 0.9) -> None:
    """Allocations beyond `share` of the free memory fail in this process instead of taking the machine down."""
    limit = int(share * available_memory())
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


class PeakMemory:
    """Growth of the resident set's high-water mark over what was resident when the object was made."""

    def __init__(self) -> None:
        if platform.libc_ver()[0] == "glibc":
            ctypes.CDLL(None).malloc_trim(0)
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self.can_reset = True
        except OSError:
            self.can_reset = False
        self.before = _status("VmRSS")
        self.old_peak = _status("VmHWM")

    def growth(self) -> int | None:
        """Bytes, or None where an earlier peak that cannot be reset hides it."""
        peak = _status("VmHWM")
        if self.before is None or peak is None or (not self.can_reset and peak == self.old_peak):
            return None
        return max(0, peak - self.before)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _status(field: str) -> int | None:
    for line in _lines("/proc/self/status"):
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return None
