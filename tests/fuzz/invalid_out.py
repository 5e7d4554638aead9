"""out= of the wrong kind is refused; one that overlaps an input is refused or right."""

import numpy as np

import alphacl_fast as acl

from .bad import refused
from .judge import check


def _writers(case):
    """A function of (x, second input, out), the shapes of these three."""
    n, d, k = int(case.rng.integers(2, 40)), int(case.rng.integers(1, 9)), int(case.rng.integers(1, 12))
    return {
        "contrastive_cov": (lambda x, y, to: acl.contrastive_cov(x, y, out=to), (n, d), (n, d), (d, d)),
        "gated_cov": (lambda x, w, to: acl.gated_cov(x, x, w, out=to), (n, d), (k, d), (k, d, d)),
        "gated_outer": (lambda x, w, to: acl.gated_outer(x, w, out=to), (n, d), (n, k), (k, d, d)),
    }


def out(case):
    """out= that does not fit is refused."""
    name = case.pick(["contrastive_cov", "gated_cov", "gated_outer"])
    call, of_x, of_second, shape = _writers(case)[name]
    x, second = (case.rng.standard_normal(s).astype(case.dtype) for s in (of_x, of_second))
    good = np.empty(shape, case.dtype)
    ways = {
        "too large": np.empty((*shape[:-1], shape[-1] + 1), case.dtype),
        "an axis more": good[None],
        "strided": np.empty((*shape[:-1], 2 * shape[-1] + 2), case.dtype)[..., : 2 * shape[-1] : 2],
        "transposed": np.empty((*shape[:-2], shape[-1], shape[-2] + 1), case.dtype)[..., :-1].swapaxes(-1, -2),
        "read-only": np.broadcast_to(np.zeros((), case.dtype), shape),
        "the other precision": good.astype(np.float32 if case.dtype == np.float64 else np.float64),
        "integers": good.astype(int),
        "a list": [[0.0]],
        "misaligned": np.frombuffer(bytearray(good.nbytes + 1), case.dtype, good.size, 1).reshape(shape),
    }
    how = case.pick(list(ways))
    if how in ("strided", "transposed") and ways[how].flags.c_contiguous:
        return
    refused(f"{name}: out is {how}", ("out",), lambda: call(x, second, ways[how]))


def overlap(case):
    """out= that shares memory with an input is refused before anything is written, or the result is right."""
    name = case.pick(["contrastive_cov", "gated_cov", "gated_outer"])
    call, of_x, of_second, shape = _writers(case)[name]
    sizes = [int(np.prod(s)) for s in (of_x, of_second, shape)]
    memory = case.rng.standard_normal(sum(sizes)).astype(case.dtype)
    before = memory.copy()
    x = memory[: sizes[0]].reshape(of_x)
    second = memory[sizes[0] : sizes[0] + sizes[1]].reshape(of_second)
    expected = call(x.copy(), second.copy(), np.empty(shape, case.dtype))
    at = int(case.rng.integers(0, sizes[0] + sizes[1]))
    case.note(f"{name}: x {of_x}, second {of_second}, out {shape} at {at}")
    to = memory[at : at + sizes[2]].reshape(shape)
    try:
        call(x, second, to)
    except ValueError as error:
        check("out" in str(error) and "expected" in str(error), f"{name}: {error}")
        check(memory.tobytes() == before.tobytes(), f"{name}: refused, but written to")
        return
    check(to.tobytes() == expected.tobytes(), f"{name}: out overlaps an input: other numbers")


SUBJECTS = {"out": out, "overlap": overlap}
