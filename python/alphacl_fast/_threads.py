"""How many threads compute."""

from __future__ import annotations

from numbers import Integral

from alphacl_fast._backend import host_module

MOST = 1024


def set_num_threads(threads: int | None) -> None:
    """How many threads of the CPU this package computes on from now on, in the whole process.

    threads : from 1 to 1024; None: as many as OpenMP says, which is the default: ``torch.set_num_threads``,
        ``OMP_NUM_THREADS``, or all cores. PyTorch's own number stays as it is.

    Losses of batches that take less than about 0.1 ms run on one thread, and so does all in a forked child whose parent
    had started threads. The threads sleep between calls. They keep to the cores that the main thread may use at the
    first call, but that of the calling thread. No result depends on their number.
    """
    if threads is not None:
        if isinstance(threads, bool) or not isinstance(threads, Integral):
            raise TypeError(f"threads: expected an integer or None, got {type(threads).__name__}")
        if not 1 <= threads <= MOST:
            raise ValueError(f"threads: expected an integer from 1 to {MOST}, got {threads}")
        threads = int(threads)
    host_module().set_num_threads(threads)


def get_num_threads() -> int:
    """How many threads the next call may compute on: as set, else what OpenMP says on this thread."""
    return host_module().max_threads()
