"""The kernels of contrastive losses, compiled for the CPU: `_cuda` against the definition."""

import numpy as np
import pytest
from contrasts import CASES, SCALE, SHAPES, Literal, options, room
from support import DTYPES, TOL, inside
from test_contrasts import assert_close, problem
from test_cuda_pair_sums import _cuda, call  # skips where this build has no emulated kernels


def forward(way, normalize, reduction, sets):
    """The arguments of `contrasts`, whose results are NaN."""
    left, right, negatives = sets
    losses, saved = room(way, reduction, len(left), 0 if negatives is None else len(negatives))
    rows = sum(len(f) for f in sets if f is not None)
    how = dict(zip(("within", "columns", "normalize", "reduction"), options(way, normalize, reduction), strict=True))
    return (
        {"left": left, "right": right, "negatives": negatives, "scale": SCALE}
        | how
        | {
            "units": np.full((rows, left.shape[1]), np.nan, left.dtype),
            "saved": np.full(saved, np.nan),
            "kept": None,
            "losses": np.full(losses, np.nan, left.dtype),
        }
    )


def backward(given, grad):
    """The arguments of `contrasts_gradient`, whose results are NaN, after a call of `contrasts`."""
    sets = [given[name] for name in ("left", "right", "negatives")]
    scored = np.split(given["units"], np.cumsum([len(f) for f in sets if f is not None]))
    scored = {"left": scored[0], "right": scored[1], "negatives": None if sets[2] is None else scored[2]}
    how = {name: given[name] for name in ("scale", "within", "columns", "normalize", "reduction", "saved", "kept")}
    grads = {f"grad_{name}": None if f is None else inside(f * np.nan) for name, f in zip(scored, sets, strict=True)}
    return scored | how | {"grad_losses": grad} | grads | {"grad_scale": np.full(1, np.nan)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way, normalize, reduction", CASES)
def test_losses_and_gradients_of_torch_tensors(way, normalize, reduction, dtype):
    for shape in SHAPES:
        sets, grad = problem(way, shape, dtype, reduction)
        given = forward(way, normalize, reduction, sets)
        call("contrasts", *given.values())
        then = backward(given, grad)
        call("contrasts_gradient", *then.values())
        literal = way, normalize, reduction, *sets, grad
        ours = given["losses"], then["grad_left"], then["grad_right"], then["grad_negatives"], then["grad_scale"][0]
        assert_close(ours, Literal(*literal, np.longdouble), Literal(*literal, dtype), sets, grad)


def test_scored_rows_of_torch_tensors_are_an_option():
    sets, _ = problem("within", (33, 1, 5), np.float32, "none")
    given = forward("within", True, "none", sets)
    call("contrasts", *given.values())
    without = given | {"units": None, "saved": given["saved"] * np.nan, "losses": given["losses"] * np.nan}
    call("contrasts", *without.values())
    np.testing.assert_array_equal(without["losses"], given["losses"])
    units = np.concatenate(sets[:2])
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    np.testing.assert_allclose(given["units"], units, rtol=4 * TOL[np.dtype("float32")])
    assert _cuda.kept_scores(64, 0) == 0
    with pytest.raises(ValueError, match=r"^rows, columns: expected at least 1 and 0"):
        _cuda.kept_scores(0, 1)


def test_what_torch_tensors_ask_for_alone_is_computed():
    """A queue of negatives needs no gradient; others keep their bits. An infinite feature is not spread by it."""
    sets, grad = problem("negatives", (33, 70, 5), np.float32, "none")
    for normalize in (False, True):
        given = forward("negatives", normalize, "none", sets)
        call("contrasts", *given.values())
        whole, part = backward(given, grad), backward(given, grad) | {"grad_negatives": None}
        call("contrasts_gradient", *whole.values())
        call("contrasts_gradient", *part.values())
        for name in ("grad_left", "grad_right", "grad_scale"):
            np.testing.assert_array_equal(whole[name], part[name])
    sets[1][4, 1] = -np.inf
    given = forward("negatives", False, "none", sets)
    call("contrasts", *given.values())
    then = backward(given, grad)
    call("contrasts_gradient", *then.values())
    assert np.isfinite(then["grad_right"][4]).all()


def test_what_torch_tensors_are_refused():
    sets, grad = problem("negatives", (6, 4, 3), np.float32, "none")
    given = forward("negatives", True, "none", sets)
    call("contrasts", *given.values())
    then = backward(given, grad)
    short, wide, other = np.zeros((5, 3), np.float32), np.zeros((6, 4), np.float32), np.zeros((6, 3))
    numbers = np.zeros(3)
    common = [
        ({"right": short}, "right: expected shape"),
        ({"right": other}, "right: expected float32"),
        ({"negatives": wide}, "negatives: expected shape"),
        ({"within": True, "columns": True}, "columns: expected False where within"),
        ({"within": True}, "negatives: expected None where within or columns"),
        ({"reduction": "median"}, "reduction: expected none, mean or sum, got median"),
        ({"saved": numbers}, "saved: expected shape"),
        ({"kept": numbers}, "kept: expected None, got a tensor"),
    ]
    one = forward("two sets", True, "none", [sets[0], sets[1], None])
    call("contrasts", *one.values())
    with pytest.raises(ValueError, match=r"^grad_negatives: expected None without negatives"):
        call("contrasts_gradient", *(backward(one, grad[:6]) | {"grad_negatives": short}).values())
    for name, arguments, changes in (
        ("contrasts", given, [({"units": wide}, "units: expected shape"), ({"losses": grad[:5]}, "losses: expected")]),
        (
            "contrasts_gradient",
            then,
            [
                ({"grad_losses": grad[:5]}, "grad_losses: expected shape"),
                ({"grad_left": wide}, "grad_left: expected shape"),
                ({"grad_right": other}, "grad_right: expected float32"),
                ({"grad_scale": numbers}, "grad_scale: expected shape"),
            ],
        ),
    ):
        for change, message in common + changes:
            with pytest.raises(ValueError, match=f"^{message}"):
                call(name, *(arguments | change).values())
