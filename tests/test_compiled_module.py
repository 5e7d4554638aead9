"""The compiled module called directly: what does not fit is refused with its name, and nothing is written."""

import gc
import re
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from alphacl_fast import _cpu

N, D, K = 6, 3, 2
RNG = np.random.default_rng(7)


def _normal(*shape, dtype=np.float64):
    return RNG.standard_normal(shape).astype(dtype)


X, Y, W, V = _normal(N, D), _normal(N, D), _normal(K, D), _normal(K, D)
SCALARS, OFFSET, OMEGA, SQUARE = _normal(N), _normal(N), _normal(N, K), _normal(N, N)
SIGNS, LABELS = np.array([1.0, -2.0, 0.5]), np.arange(N) % 3
UNIFORM, FEW = _cpu.uniform_f64(N, True), _cpu.uniform_f64(N - 1, True)
ACTIVE = np.arange(K)


def _layer(*importance):
    return _cpu.GatedOperator_f64(X, Y, W, "relu", 0.0, *importance)


def _frozen():
    return _layer(None, 1.0, 1e-12, W)


def _climb():
    return _cpu.Climb_f64(X, Y, W, "relu", 0.0, UNIFORM, False, 1e-8)


def _pairs(count=K, d=D):
    return {
        "eigenvalue": np.empty(count),
        "eigenvector": np.empty((count, d)),
        "gap": np.empty(count),
        "residual": np.empty(count),
        "n_iter": np.empty(count, np.int64),
        "converged": np.empty(count, np.bool_),
    }


LANCZOS = {"v0": None, "tol": 1e-8, "max_iter": 50, "lanczos": True, "seed": 0}
STREAM = {"patterns": np.array([[0, -1, 2], [-1, -1, 1]]), "tokens": 4, "redrawn": 1}
STREAM |= {"state": np.arange(625, dtype=np.uint32)}
STREAM |= {name: np.zeros((2, 5, 3), np.int64) for name in ("first", "second")}
LAYERS = {"first": _normal(3, 4, 2), "second": _normal(5, 6), "first_speed": np.zeros((3, 4, 2))}
LAYERS |= {"second_speed": np.zeros((5, 6)), "losses": np.empty(2), "activation": "relu", "batch_norm": True}
LAYERS |= {name: RNG.integers(0, 4, (2, 7, 3)) for name in ("tokens", "tokens_aug")}
LAYERS |= {"backprop_mean": True, "backprop_var": False, "quadratic": False, "temperature": 0.1, "lr": 0.02}
LAYERS |= {"momentum": 0.9, "weight_decay": 5e-3}
SYMMETRIC = np.stack([np.eye(D), np.ones((D, D))])
LOSS = {"scale": 1.0, "within": False, "columns": False, "normalize": True, "reduction": "none"}
SUMS = {"scale": 1.0, "distances": False, "skip_diagonal": False}
ROWS = {"normalize": True, "paired": False, "eps": 0.0}
CALLS = {  # name -> (a function, its arguments)
    "contrastive_cov": (_cpu.contrastive_cov, {"x": X, "x_aug": Y, "alpha": UNIFORM, "out": np.empty((D, D))}),
    "energy": (_cpu.energy, {"f": X, "f_aug": Y, "alpha": UNIFORM, "out": np.empty(1)}),
    "laplacian_product": (
        _cpu.laplacian_product,
        {"x": X, "x_aug": Y, "alpha": UNIFORM, "grad": np.empty((N, D)), "grad_aug": np.empty((N, D))},
    ),
    "laplacian_along": (
        _cpu.laplacian_along,
        {"x": X, "x_aug": Y, "alpha": UNIFORM, "vectors": _normal(2, D), "weights": np.ones(2)}
        | {"grad": np.empty((N, D)), "grad_aug": np.empty((N, D))},
    ),
    "gated_outer": (_cpu.gated_outer, {"x": X, "omega": OMEGA, "out": np.empty((K, D, D))}),
    "gated_cov": (
        _cpu.gated_cov,
        {"x": X, "x_aug": Y, "weights": W, "activation": "relu", "parameter": 0.0, "alpha": UNIFORM}
        | {"out": np.empty((K, D, D))},
    ),
    "gated_cov of nodes": (
        _cpu.gated_cov,
        {"x": X, "x_aug": Y, "weights": W, "activation": "relu", "parameter": 0.0, "x0": X, "tau": 1.0, "tol": 1e-12}
        | {"out": np.empty((K, D, D))},
    ),
    "pair_log_sums": (
        _cpu.pair_log_sums,
        {"left": X, "right": Y[:4].copy(), "rows": np.empty(N), "cols": np.empty(4)} | SUMS,
    ),
    "pair_log_sums within": (_cpu.pair_log_sums, {"left": X, "right": None, "rows": np.empty(N), "cols": None} | SUMS),
    "pair_log_sums_gradient": (
        _cpu.pair_log_sums_gradient,
        {"left": X, "right": Y[:4].copy(), "rows": np.zeros(N), "cols": np.zeros(4), "a": np.ones(N), "b": np.ones(4)}
        | {"grad_left": np.empty((N, D)), "grad_right": np.empty((4, D)), "grad_scale": np.empty(1)}
        | SUMS,
    ),
    "pair_sums": (
        _cpu.pair_sums,
        {"left": X, "right": Y, "form": "softplus", "offset": OFFSET, "rows": np.empty(N)} | SUMS,
    ),
    "pair_sums_gradient": (
        _cpu.pair_sums_gradient,
        {"left": X, "right": Y, "form": "softplus", "offset": OFFSET, "a": np.ones(N), "grad_left": np.empty((N, D))}
        | {"grad_right": np.empty((N, D)), "grad_scale": np.empty(1), "grad_offset": np.empty(N)}
        | SUMS,
    ),
    "contrasts": (
        _cpu.contrasts,
        {"left": X, "right": Y, "negatives": Y[:4].copy(), "saved": np.empty(5 * N + 4), "losses": np.empty(N)}
        | {"kept": np.empty(_cpu.kept_scores(N, 4)), "units": np.empty((2 * N + 4, D))}
        | LOSS,
    ),
    "contrasts within": (
        _cpu.contrasts,
        {"left": X, "right": Y, "negatives": None, "saved": np.empty(5 * N), "losses": np.empty(2 * N)}
        | {"kept": np.empty(_cpu.kept_scores(2 * N, 0)), "units": np.empty((2 * N, D))}
        | LOSS
        | {"within": True},
    ),
    "contrasts_gradient": (
        _cpu.contrasts_gradient,
        {"left": X, "right": Y, "negatives": Y[:4].copy(), "saved": np.zeros(5 * N + 4), "grad_losses": np.ones(N)}
        | {"kept": np.zeros(_cpu.kept_scores(N, 4)), "grad_left": np.empty((N, D)), "grad_right": np.empty((N, D))}
        | {"grad_negatives": np.empty((4, D)), "grad_scale": np.empty(1)}
        | LOSS,
    ),
    "kept_scores": (_cpu.kept_scores, {"rows": N, "columns": 0}),
    "pair": (
        _cpu.pair_f64,
        {"features": X, "scale": 1.0, "form": "hinge", "offset": OFFSET, "weight": np.ones(N)},
    ),
    "square_regularized": (_cpu.square_regularized_f64, {"features": X, "tau": 1.0}),
    "dense": (_cpu.dense_f64, {"alpha": SQUARE}),
    "uniform": (_cpu.uniform_f64, {"size": N, "diagonal": True}),
    "low_rank": (_cpu.low_rank_f64, {"phi": X, "signs": SIGNS}),
    "labels": (_cpu.labels_f64, {"labels": LABELS, "same": 1.0, "different": -0.5}),
    "sparse": (_cpu.sparse_f64, {"starts": np.arange(N + 1), "columns": LABELS, "values": _normal(N)}),
    "direct": (_cpu.direct_f64, {"features": X, "p": 4.0, "tau": 0.5} | ROWS),
    "inverse_distance": (_cpu.inverse_distance_f64, {"features": X, "p": 4.0, "tau": 0.5, "q": 1.0} | ROWS),
    "gaussian": (_cpu.gaussian_f64, {"features": SCALARS, "tau": 1.0, "tol": 1e-12, "method": "auto"}),
    "row_sums": (UNIFORM.row_sums, {"out": np.empty(N)}),
    "col_sums": (UNIFORM.col_sums, {"out": np.empty(N)}),
    "matmul": (UNIFORM.matmul, {"y": X, "out": np.empty((N, D))}),
    "to_dense": (UNIFORM.to_dense, {"out": np.empty((N, N))}),
    "power_iteration": (_cpu.power_iteration, {"a": SYMMETRIC} | LANCZOS | _pairs()),
    "power_iteration_of_product": (
        _cpu.power_iteration_of_product_f64,
        {"product": lambda v, which: v, "count": K, "size": D} | LANCZOS | _pairs(),
    ),
    "GatedOperator": (
        _cpu.GatedOperator_f64,
        {"x": X, "x_aug": Y, "weights": W, "activation": "relu", "parameter": 0.0, "alpha": UNIFORM},
    ),
    "GatedOperator of nodes": (
        _cpu.GatedOperator_f64,
        {"x": X, "x_aug": Y, "weights": W, "activation": "monomial", "parameter": 3.0, "x0": None, "tau": 1.0}
        | {"tol": 1e-12, "alpha_weights": V},
    ),
    "GatedOperator.matmul": (_layer(UNIFORM).matmul, {"v": V, "active": ACTIVE, "out": np.empty((K, D))}),
    "GatedOperator.with_weights": (_layer(UNIFORM).with_weights, {"weights": V}),
    "GatedOperator.with_weights, frozen": (_frozen().with_weights, {"weights": V}),
    "GatedOperator.power_iteration": (_layer(UNIFORM).power_iteration, LANCZOS | _pairs()),
    "GatedOperator.top_eigenvalue_apart": (
        _layer(UNIFORM).top_eigenvalue_apart,
        {
            "apart": V,
            "sizes": np.ones(K),
            "tol": 1e-8,
            "max_iter": 20,
            "seed": 0,
            "eigenvalue": np.empty(K),
            "converged": np.empty(K, bool),
        },
    ),
    "Climb": (
        _cpu.Climb_f64,
        {"x": X, "x_aug": Y, "weights": W, "activation": "relu", "parameter": 0.0, "alpha": UNIFORM}
        | {"frozen": False, "tol": 1e-8},
    ),
    "Climb of nodes": (
        _cpu.Climb_f64,
        {"x": X, "x_aug": Y, "weights": W, "activation": "relu", "parameter": 0.0, "x0": X, "tau": 1.0}
        | {"sup_error": 1e-12, "frozen": False, "tol": 1e-8},
    ),
    "Climb.write": (
        _climb().write,
        {"weights": np.empty((K, D)), "eigenvalue": np.empty(K), "residual": np.empty(K), "energy": np.empty(K)}
        | {"steps": np.empty(K, np.int64), "converged": np.empty(K, np.bool_)},
    ),
    "Climb.block": (_cpu.Climb_f64.block, {"n": N, "nodes": K}),
    "draw_token_batches": (_cpu.draw_token_batches, STREAM),
    "train_two_layer": (_cpu.train_two_layer, LAYERS),
    "set_num_threads": (_cpu.set_num_threads, {"threads": None}),
    "_gemm_gflops": (_cpu._gemm_gflops, {"dtype": "float64", "n": 8, "repeats": 1}),
}
OUTPUTS = {"out", "grad", "grad_aug", "grad_left", "grad_right", "grad_offset", "eigenvalue", "eigenvector", "gap"}
OUTPUTS |= {"grad_scale", "grad_negatives", "residual", "n_iter", "converged", "energy", "steps"}


def _outputs(name, arguments):
    written = OUTPUTS | ({"rows", "cols"} if name in ("pair_log_sums", "pair_sums") else set())
    written |= {"saved", "kept", "losses", "units"} if name in ("contrasts", "contrasts within") else set()
    written |= {"weights"} if name == "Climb.write" else set()
    written |= {"state", "first", "second"} if name == "draw_token_batches" else set()
    written |= {"losses", "first", "second", "first_speed", "second_speed"} if name == "train_two_layer" else set()
    return {key: a for key, a in arguments.items() if key in written and isinstance(a, np.ndarray)}


@pytest.mark.parametrize("name", CALLS)
def test_what_fits_is_accepted(name):
    function, arguments = CALLS[name]
    function(**arguments)


def _misshapen(a):
    """Arrays of other sizes than that of `a`."""
    for axis in range(a.ndim):
        for length in {0, a.shape[axis] - 1, a.shape[axis] + 1} - {a.shape[axis]}:
            shape = list(a.shape)
            shape[axis] = length
            yield np.zeros(shape, a.dtype)
    yield np.zeros((*a.shape, 2), a.dtype)
    yield np.zeros((), a.dtype)


# Sizes that may be anything, because the others follow them.
FREE = {
    ("low_rank", "phi"): (0,),
    ("labels", "labels"): (0,),
    ("direct", "features"): (0, 1),
    ("inverse_distance", "features"): (0, 1),
    ("gaussian", "features"): (0,),
}
FREE |= {
    ("pair_sums", "right"): (0,),
    ("pair", "features"): (1,),
    ("square_regularized", "features"): (0, 1),
    ("pair_log_sums within", "left"): (1,),
}
FREE |= {(name, "weights"): (0,) for name in ("GatedOperator", "Climb", "Climb of nodes", "GatedOperator.with_weights")}
FREE |= {("draw_token_batches", "patterns"): (0,)}
# Alone of their type: in float32 the same function is another one.
ALONE = {("pair_log_sums within", "left")}
ARRAYS = [(name, key) for name, (_, arguments) in CALLS.items() for key, a in arguments.items() if hasattr(a, "shape")]


@pytest.mark.parametrize("name, argument", ARRAYS)
def test_other_sizes(name, argument):
    function, arguments = CALLS[name]
    right = arguments[argument]
    for bad in _misshapen(right):
        changed = [
            axis for axis in range(right.ndim) if bad.ndim == right.ndim and bad.shape[axis] != right.shape[axis]
        ]
        if bad.size and changed and changed[0] in FREE.get((name, argument), ()):
            continue
        if name == "gaussian" and bad.ndim == 2:
            continue  # features of more than one number
        written = {key: np.array(a) for key, a in _outputs(name, arguments).items()}
        before = {key: np.array(a) for key, a in written.items()}
        with pytest.raises(ValueError, match=r"^\w+: expected .*, got "):
            function(**arguments | written | {argument: bad})
        for key, a in written.items():
            np.testing.assert_array_equal(a, before[key])


@pytest.mark.parametrize("name, argument", ARRAYS)
def test_another_dtype_is_not_converted(name, argument):
    """A converted copy of an output would be written and lost."""
    function, arguments = CALLS[name]
    for dtype in (np.float32, np.float16, np.int32, object, np.complex128, np.dtype(">f8")):
        if dtype == np.float32 and (name, argument) in ALONE:
            continue
        with np.errstate(all="ignore"):  # outputs hold what was in memory, which the other type may not
            converted = arguments[argument].astype(dtype)
        with pytest.raises(TypeError):
            function(**arguments | {argument: converted})
    with pytest.raises(TypeError):
        function(**arguments | {argument: arguments[argument].tolist()})


@pytest.mark.parametrize("name", [n for n in CALLS if _outputs(n, CALLS[n][1])])
def test_outputs_are_whole_and_writeable(name):
    function, arguments = CALLS[name]
    for argument, right in _outputs(name, arguments).items():
        frozen = right.copy()
        frozen.flags.writeable = False
        with pytest.raises(ValueError, match=rf"^{argument}: expected a writeable array, got "):
            function(**arguments | {argument: frozen})
        strided = np.empty((*right.shape, 2), right.dtype)[..., 0]
        whole = "(a C-contiguous array|rows of adjacent entries.*)"
        if right.size > 1:  # a single number is whole
            with pytest.raises(ValueError, match=rf"^{argument}: expected {whole}, got strides "):
                function(**arguments | {argument: strided})
        if right.ndim > 1:
            folded = np.lib.stride_tricks.as_strided(right.copy(), strides=(0, *right.strides[1:]))
            for rows in (folded, right.copy()[::-1]):
                with pytest.raises(ValueError, match=rf"^{argument}: expected (a C-contiguous array|rows that do not)"):
                    function(**arguments | {argument: rows})


def _misaligned(a):
    memory = np.zeros(a.nbytes + 1, np.uint8)
    moved = memory[1:].view(a.dtype).reshape(a.shape)
    moved[...] = a
    return moved


INPUTS = [("contrastive_cov", "x"), ("energy", "f_aug"), ("gated_outer", "omega"), ("gated_cov", "weights")]
INPUTS += [("gated_cov of nodes", "x0"), ("pair_log_sums", "right"), ("dense", "alpha"), ("low_rank", "phi")]
INPUTS += [("direct", "features"), ("matmul", "y"), ("power_iteration", "a"), ("GatedOperator.matmul", "v")]


@pytest.mark.parametrize("name, argument", INPUTS)
def test_rows_are_adjacent_entries_whole_entries_apart(name, argument):
    function, arguments = CALLS[name]
    right = arguments[argument]
    with pytest.raises(ValueError, match=rf"^{argument}: expected rows of adjacent entries.*got strides"):
        function(**arguments | {argument: np.repeat(right, 2, axis=-1)[..., ::2]})
    bytes_apart = np.zeros((*right.shape[:-1], 8 * right.shape[-1] + 4), np.uint8)
    odd = np.ndarray(right.shape, right.dtype, bytes_apart, 0, (*bytes_apart.strides[:-1], 8))
    with pytest.raises(ValueError, match=rf"^{argument}: expected rows of adjacent entries.*got strides"):
        function(**arguments | {argument: odd})
    with pytest.raises(ValueError, match=rf"^{argument}: expected an aligned array"):
        function(**arguments | {argument: _misaligned(right)})
    function(**arguments | {argument: right[::-1]})
    function(**arguments | {argument: np.broadcast_to(right[:1], right.shape)})


NUMBERS = [
    ("gaussian", {"tau": 0.0}),
    ("gaussian", {"tau": np.nan}),
    ("gaussian", {"tau": np.inf}),
    ("gaussian", {"tol": 0.0}),
    ("gaussian", {"tol": 5e-324}),
    ("gaussian", {"tol": np.nan}),
    ("gaussian", {"tol": 2.0}),
    ("gaussian", {"method": "magic"}),
    ("direct", {"p": -1.0}),
    ("direct", {"tau": 0.0}),
    ("direct", {"eps": -1.0}),
    ("direct", {"eps": 0.5, "normalize": False}),
    ("inverse_distance", {"q": 0.0}),
    ("inverse_distance", {"eps": np.nan}),
    ("pair", {"scale": -1.0}),
    ("pair", {"form": "cubic"}),
    ("pair_sums", {"form": "exponential"}),
    ("square_regularized", {"tau": 0.0}),
    ("uniform", {"size": 0}),
    ("uniform", {"size": -4}),
    ("gated_cov", {"activation": "tanh"}),
    ("gated_cov", {"parameter": np.nan}),
    ("gated_cov of nodes", {"tau": -1.0}),
    ("gated_cov of nodes", {"tol": 0.0}),
    ("power_iteration", {"tol": np.nan}),
    ("power_iteration", {"max_iter": 0}),
    ("power_iteration_of_product", {"count": -1}),
    ("power_iteration_of_product", {"size": 0}),
    ("power_iteration_of_product", {"count": 10**9}),
    ("Climb", {"tol": 0.0}),
    ("Climb.block", {"n": 0}),
    ("Climb.block", {"nodes": 0}),
    ("draw_token_batches", {"tokens": 2}),
    ("draw_token_batches", {"tokens": 0}),
    ("draw_token_batches", {"redrawn": -1}),
    ("draw_token_batches", {"patterns": STREAM["patterns"] - 1}),
    ("draw_token_batches", {"state": STREAM["state"] + np.uint32(1)}),
    ("train_two_layer", {"tokens": LAYERS["tokens"] + 4}),
    ("train_two_layer", {"tokens_aug": LAYERS["tokens_aug"] - 4}),
    ("train_two_layer", {"activation": "cube"}),
    ("train_two_layer", {"temperature": 0.0}),
    ("set_num_threads", {"threads": 0}),
    ("_gemm_gflops", {"n": 0}),
    ("_gemm_gflops", {"n": -3}),
    ("_gemm_gflops", {"repeats": 0}),
    ("contrastive_cov", {"alpha": FEW}),
    ("energy", {"alpha": FEW}),
    ("laplacian_product", {"alpha": FEW}),
    ("laplacian_along", {"alpha": FEW}),
    ("gated_cov", {"alpha": FEW}),
    ("GatedOperator", {"alpha": FEW}),
    ("Climb", {"alpha": FEW}),
    ("GatedOperator.matmul", {"active": np.array([0, K])}),
    ("GatedOperator.matmul", {"active": np.array([-1, 0])}),
    ("GatedOperator.matmul", {"active": np.array([1, 0])}),
    ("GatedOperator.matmul", {"active": np.array([1, 1])}),
    ("GatedOperator.with_weights, frozen", {"weights": _normal(K + 1, D)}),
    ("pair_log_sums", {"distances": True}),
    ("pair_log_sums within", {"cols": np.empty(N)}),
    ("pair_log_sums within", {"left": X[:5], "rows": np.empty(5), "skip_diagonal": True}),
    ("pair_log_sums_gradient", {"b": None}),
    ("pair_log_sums_gradient", {"cols": None}),
    ("pair_log_sums_gradient", {"grad_right": None}),
    ("pair_log_sums_gradient", {"right": None, "cols": None, "b": None}),
    ("pair_sums_gradient", {"grad_right": None}),
    ("contrasts", {"within": True}),
    ("contrasts", {"columns": True}),
    ("contrasts", {"reduction": "median"}),
    ("contrasts within", {"columns": True}),
    ("contrasts_gradient", {"negatives": None, "saved": np.zeros(5 * N), "kept": None}),
    ("kept_scores", {"rows": 0}),
    ("kept_scores", {"columns": -1}),
    ("kept_scores", {"rows": 2**40}),
    ("kept_scores", {"columns": 2**62}),
]


@pytest.mark.parametrize("name, change", NUMBERS, ids=lambda a: a if isinstance(a, str) else ", ".join(a))
def test_what_lies_outside(name, change):
    function, arguments = CALLS[name]
    with pytest.raises(ValueError, match=r"^\w+: expected .+"):
        function(**arguments | change)


def test_no_features_have_no_eigenpairs():
    layer = _cpu.GatedOperator_f64(X[:, :0].copy(), Y[:, :0].copy(), W[:, :0].copy(), "relu", 0.0, UNIFORM)
    with pytest.raises(ValueError, match=r"^features: expected at least 1, got 0$"):
        layer.power_iteration(**LANCZOS | _pairs(K, 0))


@pytest.mark.parametrize(
    "product",
    [lambda v, which: v[:, :-1], lambda v, which: v[0], lambda v, which: v.astype(np.float32), lambda v, which: None],
    ids=["fewer columns", "one axis", "another dtype", "nothing"],
)
def test_products_of_a_python_function(product):
    function, arguments = CALLS["power_iteration_of_product"]
    with pytest.raises((ValueError, TypeError), match=r"^product: expected "):
        function(**arguments | {"product": product})


def test_products_of_a_python_function_may_be_strided():
    function, arguments = CALLS["power_iteration_of_product"]
    function(**arguments | {"product": lambda v, which: np.repeat(2 * v, 2, axis=0)[::2]})
    np.testing.assert_allclose(arguments["eigenvalue"], 2)


def test_sizes_are_named_in_the_text():
    text = "f_aug: expected shape (6, 3), got (5, 3)"
    with pytest.raises(ValueError, match=rf"^{re.escape(text)}$"):
        _cpu.energy(X, Y[:5], UNIFORM, np.empty(1))


MADE = {  # name -> (what reads an array as long as it lives, made from the array)
    "dense": _cpu.dense_f64,
    "low_rank": lambda a: _cpu.low_rank_f64(a, None),
    "direct": lambda a: _cpu.direct_f64(a, 4.0, 0.5, True, False, 0.0),
    "inverse_distance": lambda a: _cpu.inverse_distance_f64(a, 4.0, 0.5, 1.0, True, False, 0.0),
    "gaussian": lambda a: _cpu.gaussian_f64(a, 1.0, 1e-12, "auto"),
    "pair": lambda a: _cpu.pair_f64(a, 1.0, "hinge", OFFSET, OFFSET),
    "GatedOperator": lambda a: _cpu.GatedOperator_f64(a, a, a, "relu", 0.0, UNIFORM),
    "with_weights": lambda a: _cpu.GatedOperator_f64(a, a, a, "relu", 0.0, UNIFORM).with_weights(SQUARE),
    "Climb": lambda a: _cpu.Climb_f64(a, a, a, "relu", 0.0, UNIFORM, False, 1e-8),
    "x0": lambda a: _cpu.GatedOperator_f64(SQUARE, SQUARE, SQUARE, "relu", 0.0, a, 1.0, 1e-12),
}


@pytest.mark.parametrize("name", MADE)
def test_arrays_live_as_long_as_what_reads_them(name):
    array = SQUARE.copy()
    alive = weakref.ref(array)
    made = MADE[name](array)
    del array
    gc.collect()
    assert alive() is not None
    del made
    gc.collect()
    assert alive() is None


def test_a_climb_has_one_caller_at_a_time():
    x = _normal(60_000, 20)
    climb = _cpu.Climb_f64(x, x, _normal(16, 20), "relu", 0.0, _cpu.uniform_f64(len(x), True), False, 1e-12)
    with ThreadPoolExecutor(8) as pool:
        steps = [pool.submit(climb.step) for _ in range(24)]
    failures = [step.exception() for step in steps if step.exception() is not None]
    assert all(isinstance(failure, RuntimeError) and "one caller" in str(failure) for failure in failures)
    assert len(failures) < len(steps)
