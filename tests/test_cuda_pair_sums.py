"""The kernels of the sums over pairs, compiled for the CPU: `_cuda` against the definition and against `_cpu`."""

import numpy as np
import pytest
from support import DTYPES, TOL, assert_contract, frobenius, inside
from test_pair_sums import FORMS, SCALE, WAYS, Literal, compare, setting, wider

torch = pytest.importorskip("torch")
_cuda = pytest.importorskip("alphacl_fast._cuda")
if _cuda.build_info()["toolkit"] != "emulated":
    pytest.skip("this build has kernels for a GPU", allow_module_level=True)

from alphacl_fast import _cpu  # noqa: E402

SHAPES = [(1, 1, 1), (2, 3, 1), (31, 33, 7), (63, 65, 64), (64, 31, 65), (65, 64, 3), (129, 257, 20), (257, 2, 130)]
TWO_SETS = tuple(way for way in WAYS if way.startswith("two sets"))


def tensor(a):
    """The memory of an array as a tensor; other arguments as they are."""
    return torch.from_numpy(a) if isinstance(a, np.ndarray) else a


def call(name, *arguments):
    return getattr(_cuda, name)(*map(tensor, arguments))


class Problem:
    """One way of pairing at one size, and the results of either module, by name."""

    def __init__(self, way, shape, dtype):
        self.way, self.dtype = way, dtype
        self.rng, self.left, self.right, self.pairs = setting(way, shape, dtype)
        self.n, self.two = len(self.left), self.right is not None
        self.offset, self.a = self.rng.standard_normal((2, self.n))
        self.offset = self.offset.astype(dtype).astype(np.float64)
        self.b = self.rng.standard_normal(len(self.right)) if self.two else None

    def _room(self):
        return np.full(self.n, np.nan), inside(self.left * 0), inside(self.right * 0) if self.two else None

    def log_sums(self, columns, run=call):
        rows, to_left, to_right = self._room()
        cols, b = (np.full(len(self.b), np.nan), self.b) if columns else (None, None)
        run("pair_log_sums", *self.pairs, rows, cols)
        scale = np.full(1, np.nan)
        run("pair_log_sums_gradient", *self.pairs, rows, cols, self.a, b, to_left, to_right, scale)
        return {"rows": rows, "cols": cols, "left": to_left, "right": to_right, "scale": scale[0]}

    def sums(self, form, run=call):
        rows, to_left, to_right = self._room()
        scale, offset = np.full(1, np.nan), np.full(self.n, np.nan)
        run("pair_sums", *self.pairs, form, self.offset, rows)
        run("pair_sums_gradient", *self.pairs, form, self.offset, self.a, to_left, to_right, scale, offset)
        return {"rows": rows, "left": to_left, "right": to_right, "offset": offset, "scale": scale[0]}


def on_cpu(name, *arguments):
    return getattr(_cpu, name)(*arguments)


def over_grid(test):
    for name, values in (("dtype", DTYPES), ("shape", SHAPES)):
        test = pytest.mark.parametrize(name, values, ids=str if name == "shape" else None)(test)
    return test


def assert_scale(ours, weight, sums, dtype):
    """Σ_ij w_ij t_ij / scale, to the size of its terms."""
    terms = np.where(sums.counted, weight * sums.scores, 0) / sums.scale
    assert abs(float(ours) - terms.sum()) <= TOL[np.dtype(dtype)] * max(np.abs(terms).sum(), 1e-30)


@over_grid
@pytest.mark.parametrize("way, columns", [*((way, False) for way in WAYS), *((way, True) for way in TWO_SETS)])
def test_log_sums_of_torch_tensors(dtype, shape, way, columns):
    p = Problem(way, shape, dtype)
    ours = p.log_sums(columns)
    truth, naive = (Literal(way, p.left, p.right, kind) for kind in (wider(dtype), dtype))
    for name, axis in (("rows", 1), *([("cols", 0)] if columns else [])):
        exact = truth.log_sums(axis)
        empty = ~np.isfinite(exact)
        np.testing.assert_array_equal(ours[name][empty], -np.inf)
        logs = ours[name][~empty].astype(dtype)
        assert_contract(logs, exact[~empty], lambda a=axis, e=empty: naive.log_sums(a)[~e], dtype)

    def weight(sums):
        of_rows, of_cols = sums.shares(sums.log_sums(1), sums.log_sums(0))
        kind = sums.scores.dtype
        by_row = p.a.astype(kind)[:, None] * of_rows
        return by_row + p.b.astype(kind) * of_cols if columns else by_row

    gradients = (ours["left"], ours["right"])
    compare(gradients, truth.gradients(weight(truth)), lambda: naive.gradients(weight(naive)), dtype)
    assert_scale(ours["scale"], weight(truth), truth, dtype)


@over_grid
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", FORMS)
def test_sums_of_torch_tensors(dtype, shape, way, form):
    p = Problem(way, shape, dtype)
    ours = p.sums(form)
    truth, naive = (Literal(way, p.left, p.right, kind) for kind in (wider(dtype), dtype))

    def arguments(sums):
        return p.offset.astype(sums.scores.dtype)[:, None] + sums.scores

    def literal_rows(sums):
        return (FORMS[form][0](arguments(sums)) * sums.counted).sum(1)

    assert_contract(ours["rows"].astype(dtype), literal_rows(truth), lambda: literal_rows(naive), dtype)

    def weight(sums):
        return p.a.astype(sums.scores.dtype)[:, None] * FORMS[form][1](arguments(sums)) * sums.counted

    results = (ours["left"], ours["right"], ours["offset"].astype(dtype))
    compare(
        results,
        (*truth.gradients(weight(truth)), weight(truth).sum(1)),
        lambda: (*naive.gradients(weight(naive)), weight(naive).sum(1)),
        dtype,
    )
    assert_scale(ours["scale"], weight(truth), truth, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way", WAYS)
def test_torch_tensors_give_what_arrays_give(dtype, way):
    """_cpu and _cuda, to the accuracy of either."""
    p = Problem(way, (130, 67, 9), dtype)
    runs = [lambda run: p.log_sums(p.two, run), *(lambda run, f=form: p.sums(f, run) for form in FORMS)]
    for run in runs:
        ours, theirs = run(call), run(on_cpu)
        for name, there in theirs.items():
            if there is not None and name != "scale":
                assert frobenius(ours[name] - there) <= 10 * TOL[np.dtype(dtype)] * frobenius(there), name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way", WAYS)
def test_the_same_bits_of_torch_tensors_twice(dtype, way, monkeypatch):
    p = Problem(way, (257, 129, 66), dtype)
    for run in (lambda: p.log_sums(p.two), lambda: p.sums("softplus")):
        monkeypatch.setenv("ALPHACL_SIMT_ORDER", "0")
        first = run()
        for order in ("0", "1", "20250117"):  # of the threads and blocks
            monkeypatch.setenv("ALPHACL_SIMT_ORDER", order)
            for name, again in run().items():
                if again is not None:
                    np.testing.assert_array_equal(again, first[name], name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("far", [30.0, 1e3, 1e5])
@pytest.mark.parametrize("way", WAYS)
def test_torch_tensors_that_lie_far_apart(dtype, far, way):
    """The last sample, which a tile may hold alone or with itself alone, is far from all others."""
    for size in (64, 65, 66, 129, 193):
        p = Problem(way, (size, size, 5), dtype)
        p.left[-1] = far
        if p.two:
            p.right[-1] = -far
        ours = p.log_sums(p.two)
        truth = Literal(way, p.left, p.right, np.float64)
        known_to = 10 * np.finfo(np.float64).eps * np.abs(truth.scores).max()  # what the rounding of a score means
        for name, axis in (("rows", 1), *([("cols", 0)] if p.two else [])):
            np.testing.assert_allclose(ours[name], truth.log_sums(axis), rtol=1e-13, atol=known_to)
        of_rows, of_cols = truth.shares(truth.log_sums(1), truth.log_sums(0))
        gradients = truth.gradients(p.a[:, None] * of_rows + (p.b * of_cols if p.two else 0))
        for name, expected in zip(("left", "right"), gradients, strict=True):
            if expected is not None:
                assert np.isfinite(ours[name]).all()
                assert frobenius(ours[name] - expected) <= (TOL[np.dtype(dtype)] + known_to) * frobenius(expected), size


@pytest.mark.parametrize("form", FORMS)
def test_huge_scores_of_torch_tensors(form):
    """±1e5 within a row: nothing overflows on the way to a sum that does not."""
    p = Problem("two sets", (70, 66, 1), np.float64)
    p.left[:] = np.where(np.arange(70) % 2, 1e5, -1e5)[:, None] / SCALE
    p.right[:] = np.where(np.arange(66) % 3, 1, -1)[:, None]
    truth = Literal("two sets", p.left, p.right, np.float64)
    ours = p.sums(form)
    with np.errstate(over="ignore"):  # in the definition
        exact = FORMS[form][0](p.offset[:, None] + truth.scores).sum(1)
    np.testing.assert_allclose(ours["rows"], exact, rtol=1e-13)
    assert all(np.isfinite(ours[name]).all() for name in ("left", "right", "offset", "scale"))
    logs = p.log_sums(True)
    np.testing.assert_allclose(logs["rows"], truth.log_sums(1), rtol=1e-14)
    assert all(np.isfinite(logs[name]).all() for name in ("left", "right", "scale"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("where", [0, 66])
def test_nan_of_a_torch_tensor_comes_out(way, where):
    p = Problem(way, (70, 70, 3), np.float64)
    p.left[where, 1] = np.nan
    for run in (lambda: p.log_sums(p.two), *(lambda f=form: p.sums(f) for form in FORMS)):
        ours = run()
        own = slice(where, where + 1) if p.two else slice(None)
        assert np.isnan(ours["rows"][own]).all()
        assert np.isnan(ours["left"][own]).all()
        assert np.isnan(ours["scale"])
        if p.two:
            assert np.isnan(ours["right"]).all()
            assert not np.isnan(np.delete(ours["rows"], where)).any()


@pytest.mark.parametrize("columns", [False, True])
def test_scores_of_minus_infinity_of_torch_tensors(columns):
    """A tile of −inf alone, beside others and by itself."""
    for n_right in (3, 70):
        p = Problem("two sets", (70, n_right, 1), np.float64)
        p.left[:] = 1
        p.right[:] = -np.inf
        p.right[64:] = 2
        rows, cols = np.full(70, np.nan), np.full(n_right, np.nan) if columns else None
        call("pair_log_sums", *p.pairs, rows, cols)
        expected = np.log(6) + 2 * SCALE if n_right == 70 else -np.inf
        np.testing.assert_allclose(rows, expected, rtol=1e-15)
        if columns:
            np.testing.assert_array_equal(cols[:64], -np.inf)


def test_a_sample_without_a_pair_has_a_sum_of_nothing_of_torch_tensors():
    for way, shape in (("within", (1, 1, 2)), ("distances, halves", (2, 2, 2))):
        p = Problem(way, shape, np.float64)
        p.offset[:] = np.inf
        for form in FORMS:
            for name, result in p.sums(form).items():
                assert result is None or not result.any(), name
        ours = p.log_sums(False)
        np.testing.assert_array_equal(ours["rows"], -np.inf)
        assert not ours["left"].any()


def refused(message, name, p, **changes):
    """A call with other arguments than `p` has raises ValueError."""
    given = dict(zip(("left", "right", "scale", "distances", "skip_diagonal"), p.pairs, strict=True))
    given |= {"rows": np.zeros(p.n), "cols": None, "a": p.a, "b": None, "offset": p.offset, "form": "hinge"}
    given |= {"grad_left": p.left.copy(), "grad_right": p.right.copy() if p.two else None, "grad_offset": np.zeros(p.n)}
    given |= {"grad_scale": np.zeros(1)} | changes
    names = {
        "pair_log_sums": ("rows", "cols"),
        "pair_log_sums_gradient": ("rows", "cols", "a", "b", "grad_left", "grad_right", "grad_scale"),
        "pair_sums": ("form", "offset", "rows"),
        "pair_sums_gradient": ("form", "offset", "a", "grad_left", "grad_right", "grad_scale", "grad_offset"),
    }[name]
    with pytest.raises(ValueError, match=message):
        call(name, *(given[k] for k in ("left", "right", "scale", "distances", "skip_diagonal", *names)))


def test_what_torch_tensors_are_refused():
    one, two = (Problem(way, (4, 5, 2), np.float32) for way in ("within", "two sets"))
    sums = {"pair_log_sums": ("rows",), "pair_log_sums_gradient": ("rows", "a"), "pair_sums": ("rows", "offset")}
    sums["pair_sums_gradient"] = ("offset", "a", "grad_offset")
    for name, doubles in sums.items():
        for numbers in doubles:
            refused(f"{numbers}: expected shape", name, one, **{numbers: np.zeros(3)})
            refused(f"{numbers}: expected float64", name, one, **{numbers: np.zeros(4, np.float32)})
            refused(f"{numbers}: expected a contiguous tensor", name, one, **{numbers: np.zeros(8)[::2]})
        refused("right: expected shape", name, two, right=np.zeros((5, 3), np.float32))
        refused("right: expected float32", name, two, right=np.zeros((5, 2)))
        refused("left: expected float32 or float64", name, one, left=np.zeros((4, 2), np.int32))
        refused("left: expected rows of adjacent entries", name, one, left=np.zeros((4, 4), np.float32)[:, ::2])
        refused("distances: expected False", name, two, distances=True)
        refused("skip_diagonal: expected two halves, got 3", name, one, left=one.left[:3], skip_diagonal=True)
        if name.endswith("gradient"):
            refused("grad_left: expected shape", name, one, grad_left=np.zeros((4, 3), np.float32))
            overlapping = np.zeros((1, 2), np.float32)
            refused(
                "grad_left: expected rows that do not overlap",
                name,
                one,
                grad_left=torch.from_numpy(overlapping).expand(4, 2),
            )
            refused("grad_scale: expected shape", name, one, grad_scale=np.zeros(2))
            refused("grad_scale: expected float64", name, one, grad_scale=np.zeros(1, np.float32))
            refused("grad_right: expected a tensor", name, two, grad_right=None)
            refused("grad_right: expected None", name, one, grad_right=np.zeros((4, 2), np.float32))
        if name.startswith("pair_sums"):
            refused("form: expected", name, one, form="exponential")
    refused("cols: expected None", "pair_log_sums", one, cols=np.zeros(4))
    refused("cols: expected shape", "pair_log_sums", two, cols=np.zeros(4))
    refused("b: expected as cols", "pair_log_sums_gradient", two, b=np.zeros(5))
    refused("b: expected as cols", "pair_log_sums_gradient", two, cols=np.zeros(5))
