"""Arguments that no function takes, and the judge of the errors that they must give."""

import re

import numpy as np

from .case import HAS_TORCH
from .judge import Finding

_RAW = re.compile(
    r"'NoneType' object|object has no attribute|incompatible function arguments|unsupported operand|could not broadcast"
    r"|not subscriptable|index \d+ is out of bounds|object is not|must be real number|cannot be cast|unexpected keyword"
)


def refused(what, names, call):
    """The call raises TypeError, ValueError or RuntimeError that names an argument and says what was expected."""
    try:
        result = call()
    except (TypeError, ValueError, RuntimeError) as error:
        text = str(error)
        if _RAW.search(text):
            raise Finding(f"{what}: a raw error: {type(error).__name__}: {text[:300]}") from None
        if not any(re.search(rf"\b{re.escape(name)}\b", text) for name in names):
            raise Finding(f"{what}: an error that names none of {names}: {text[:300]}") from None
        if not re.search(r"expected|requires grad|backend|differentiable|only on its own", text):
            raise Finding(f"{what}: an error that does not say what was expected: {text[:300]}") from None
        return
    except Exception as error:
        raise Finding(f"{what}: {type(error).__name__}: {str(error)[:300]}") from None
    raise Finding(f"{what}: accepted, gave {str(result)[:120]}")


class _Frame:
    """A pandas-like table: has shape and dtype, is no array."""

    shape, dtype, ndim = (5, 3), np.dtype(np.float64), 2


def broken_arrays(case, a):
    """(in words, what is passed instead of the array a)."""
    n, rest = a.shape[0], a.shape[1:]
    ways = [
        ("a list", a.tolist()),
        ("integers", a.astype(np.int64)),
        ("bool", a > 0),
        ("complex", a.astype(complex)),
        ("float16", a.astype(np.float16)),
        ("longdouble", a.astype(np.longdouble)),
        ("objects", a.astype(object)),
        ("strings", a.astype(str)),
        ("big-endian", a.astype(a.dtype.newbyteorder())),
        ("a masked array", np.ma.masked_less(a, 0)),
        ("None", None),
        ("a number", 1.5),
        ("a string", "x"),
        ("a table", _Frame()),
        ("no rows", a[:0]),
        ("a row more", np.concatenate([a, a[:1]])),
        ("a row less", a[: n - 1]),
        ("an axis more", a[None]),
        ("an axis less", a.reshape(-1)),
        ("no axis", np.asarray(a.ravel()[0])),
        ("the other precision", a.astype(np.float32 if a.dtype == np.float64 else np.float64)),
    ]
    if rest:
        ways += [("a column more", np.concatenate([a, a[:, :1]], 1)), ("a column less", a[:, : rest[0] - 1])]
    if HAS_TORCH:
        import torch

        ways += [
            ("the other kind", torch.from_numpy(np.ascontiguousarray(a))),
            ("a meta tensor", torch.empty(a.shape, dtype=getattr(torch, a.dtype.name), device="meta")),
        ]
    return case.pick(ways)


def broken_tensor(case, a):
    import torch

    t = torch.from_numpy(np.ascontiguousarray(a))
    ways = [
        ("a meta tensor", t.to("meta")),
        ("sparse", t.to_sparse()),
        ("sparse CSR", t.to_sparse_csr()),
        ("complex", t.to(torch.complex64)),
        ("bool", t > 0),
        ("integers", t.to(torch.int32)),
        ("quantised", torch.quantize_per_tensor(t.float(), 0.1, 0, torch.qint8)),
        ("an array", a),
        ("a list", a.tolist()),
        ("None", None),
        ("a row more", torch.cat([t, t[:1]])),
        ("no rows", t[:0]),
        ("an axis more", t[None, None]),
        ("an axis less", t.reshape(-1)),
        ("the other precision", t.double() if t.dtype == torch.float32 else t.float()),
    ]
    return case.pick(ways)


def bad_positive(case):
    ways = [
        0,
        0.0,
        -1.0,
        np.nan,
        np.inf,
        -np.inf,
        "1",
        b"1",
        None,
        True,
        1j,
        [1.0],
        (0.5,),
        object(),
        10**400,
        np.array([0.5, 1]),
    ]
    return case.pick(ways)


def bad_count(case):
    return case.pick([0, -1, 1.5, "3", None, True, 2**70, np.nan, [2]])
