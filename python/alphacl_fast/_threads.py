"""How many threads compute."""

from __future__ import annotations

from alphacl_fast import _cpu
from alphacl_fast._power_iteration import at_least

MOST = 1024


def set_num_threads(threads: int | None) -> None:
    """How many threads of the CPU this package computes on from now on, in the whole process.

    threads : from 1 to 1024; None: as many as OpenMP says, which is the default: ``torch.set_num_threads``,
        ``OMP_NUM_THREADS``, or all cores. PyTorch's own number stays as it is.

    Work of less than about 0.1 ms runs on one thread, and so does a forked child whose parent had started threads. The
    threads sleep between calls. No result depends on their number.
    """
    if threads is not None and at_least("threads", threads, 1) > MOST:
        raise ValueError(f"threads: expected an integer from 1 to {MOST}, got {threads}")
    _cpu.set_num_threads(None if threads is None else int(threads))


def get_num_threads() -> int:
    """How many threads the next call may compute on: as set, else what OpenMP says on this thread."""
    return _cpu.max_threads()
