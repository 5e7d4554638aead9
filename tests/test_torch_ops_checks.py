"""torch.ops.alphacl_fast.* called by strangers: eager, fake and compiled calls refuse the same, in words."""

import warnings

import numpy as np
import pytest
from support import torch as import_torch

import alphacl_fast as acl

torch = import_torch()
losses = acl.losses  # registers the operators
ops = torch.ops.alphacl_fast
N, M = 6, 3


def _normal(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(sum(shape)))


Z, K, SCALE = _normal(N, M), _normal(4, M), torch.tensor(1.5, dtype=torch.float64)
ROWS, COLS, NONE = _normal(N), _normal(4), _normal(0)
VIEWS = {"x": Z, "x_aug": Z + 1, "kind": "Direct", "tensors": [Z], "numbers": [4.0, 0.5, 1.0, 0.0]}
WITHIN = {"right": None, "grad_cols": NONE, "cols": NONE, "columns": False}
LOSS = {"within": False, "columns": False, "normalize": True, "reduction": "none"}
GOOD = {
    "contrastive_cov": VIEWS,
    "energy": {"f": Z, "f_aug": Z + 1} | {key: VIEWS[key] for key in ("kind", "tensors", "numbers")},
    "laplacian": VIEWS,
    "laplacian_along": {"x": Z, "x_aug": Z + 1, "vectors": Z[:2], "weights": ROWS[:2]}
    | {key: VIEWS[key] for key in ("kind", "tensors", "numbers")},
    "pair_log_sums": {"left": Z, "right": K, "scale": SCALE, "distances": False, "skip_diagonal": False}
    | {"columns": True},
    "pair_log_sums_backward": {"grad_rows": ROWS, "grad_cols": COLS, "left": Z, "right": K, "scale": SCALE}
    | {"rows": ROWS, "cols": COLS, "distances": False, "skip_diagonal": False, "columns": True},
    "pair_sums": {"left": Z, "right": K, "offset": ROWS, "scale": SCALE, "form": "softplus", "distances": False}
    | {"skip_diagonal": False},
    "pair_sums_backward": {"grad_rows": ROWS, "left": Z, "right": K, "offset": ROWS, "scale": SCALE, "form": "hinge"}
    | {"distances": False, "skip_diagonal": False},
    "contrasts": {"left": Z, "right": Z + 1, "negatives": K, "scale": SCALE} | LOSS,
    "contrasts_backward": {"grad": ROWS, "left": Z, "right": Z + 1, "negatives": K, "scale": SCALE}
    | {"saved": _normal(5 * N + 4)}
    | LOSS,
}


def _views(name):
    """Bad calls of the sums over pairs with an importance: what is changed, the error, its text."""
    x, x_aug = ("f", "f_aug") if name == "energy" else ("x", "x_aug")
    numbers = [4.0, 0.5, 1.0, 0.0]
    yield {x_aug: Z[:4]}, ValueError, rf"{x_aug}: expected shape \(6, 3\) like {x}, got \(4, 3\)"
    yield {x_aug: Z[:1]}, ValueError, rf"{x_aug}: expected shape \(6, 3\)"
    yield {x_aug: Z[:, :2]}, ValueError, rf"{x_aug}: expected shape \(6, 3\) like {x}, got \(6, 2\)"
    yield {x_aug: Z[0]}, ValueError, rf"{x_aug}: expected a tensor with 2 axes"
    yield {x_aug: Z.float()}, TypeError, rf"{x_aug}: expected float64 like {x}, got float32"
    yield {x: Z[0], x_aug: Z[0]}, ValueError, rf"{x}: expected a tensor with 2 axes, got shape \(3,\)"
    yield {x: Z[:0], x_aug: Z[:0]}, ValueError, rf"{x}: expected at least one sample"
    yield {x: Z.long(), x_aug: Z.long()}, TypeError, rf"{x}: expected float32 or float64, got int64"
    yield {x: Z.half(), x_aug: Z.half()}, TypeError, rf"{x}: expected float32 or float64, got float16"
    yield {"kind": "Guassian"}, ValueError, "kind: expected one of Uniform"
    yield {"tensors": []}, ValueError, "tensors: expected 1 or 2 for Direct"
    yield {"tensors": [Z, Z, Z]}, ValueError, "tensors: expected 1 or 2 for Direct"
    yield {"numbers": [4.0]}, ValueError, "numbers: expected 4 for Direct"
    both = {"numbers": [4.0, 0.5, 2.0, 0.1]}
    yield both | {"tensors": [Z, Z]}, ValueError, rf"alpha: expected 6 samples like {x}, got 12"
    yield (
        both | {"tensors": [Z[:3], Z]},
        ValueError,
        r"features_aug: expected shape \(3, 3\) like features, got \(6, 3\)",
    )
    yield both | {"tensors": [Z[:3], Z[:3].float()]}, TypeError, rf"features_aug: expected float64 like {x}"
    yield {"numbers": [4.0, 0.5, 1.0, -1.0]}, ValueError, "eps: expected a finite number >= 0"
    yield {"tensors": [Z[:4]]}, ValueError, rf"alpha: expected 6 samples like {x}, got 4"
    yield {"tensors": [Z.float()]}, TypeError, rf"alpha: expected float64 like {x}, got float32"
    yield {"tensors": [Z[None]]}, ValueError, "features: expected a tensor with 1 or 2 axes"
    yield {"tensors": [Z[:, :0]]}, ValueError, "features: expected at least one column"
    yield {"numbers": [-1.0, 0.5, 1.0, 0.0]}, ValueError, "p: expected a positive finite number"
    yield {"numbers": [4.0, float("nan"), 1.0, 0.0]}, ValueError, "tau: expected a positive finite number"
    yield {"numbers": [4.0, 0.5, 7.0, 0.0]}, ValueError, "normalize: expected an integer from 0 to 2"
    yield {"kind": "Dense", "tensors": [Z], "numbers": []}, ValueError, r"alpha: expected shape \(6, 6\)"
    yield {"kind": "LowRank", "tensors": [ROWS], "numbers": []}, ValueError, "phi: expected a tensor with 2 axes"
    yield {"kind": "LowRank", "tensors": [K], "numbers": []}, ValueError, "alpha: expected 6 samples"
    signed = {"kind": "LowRank", "numbers": []}
    yield signed | {"tensors": [Z, ROWS[:2]]}, ValueError, r"signs: expected shape \(3,\), got \(2,\)"
    yield signed | {"tensors": [Z, ROWS[:3].float()]}, TypeError, "signs: expected a dense float64 tensor"
    yield signed | {"tensors": [Z, ROWS, ROWS]}, ValueError, "tensors: expected 1 or 2 for LowRank"
    labels = {"kind": "Labels", "numbers": [1.0, 0.0]}
    yield labels | {"tensors": [torch.arange(4)]}, ValueError, rf"alpha: expected 6 samples like {x}, got 4"
    yield labels | {"tensors": [ROWS]}, TypeError, "labels: expected a dense tensor of integers, got float64"
    yield labels | {"tensors": [torch.zeros(6, 1).long()]}, ValueError, "labels: expected a tensor with 1 axis"
    yield labels | {"tensors": [torch.arange(6)], "numbers": [float("nan"), 0.0]}, ValueError, "same: expected a finite"
    sparse = {"kind": "Sparse", "numbers": []}
    lines, first = torch.arange(7), torch.arange(6)
    yield sparse | {"tensors": [lines, first]}, ValueError, "tensors: expected 3 for Sparse"
    yield sparse | {"tensors": [first, first, ROWS]}, ValueError, rf"alpha: expected 6 samples like {x}, got 5"
    yield sparse | {"tensors": [lines, first[:4], ROWS]}, ValueError, r"matrix: expected shape \(4,\), got \(6,\)"
    yield sparse | {"tensors": [lines, first, ROWS.float()]}, TypeError, rf"alpha: expected float64 like {x}"
    yield {"kind": "Uniform", "tensors": [], "numbers": [4.0, 1.0]}, ValueError, "size: expected 0 or 6, got 4"
    yield {"kind": "Gaussian", "numbers": [1.0, 0.0, 9.0]}, ValueError, "method: expected an integer from 0 to 3"
    yield {"kind": "Gaussian", "numbers": [1.0, -1.0, 0.0]}, ValueError, "tol: expected a positive"
    yield {"kind": "SquareRegularized", "numbers": [0.0]}, ValueError, "tau: expected a positive"
    pair = {"kind": "PairImportance", "numbers": [1.0, 0.0]}
    yield pair | {"tensors": [Z, ROWS[:4], ROWS]}, ValueError, r"offset: expected shape \(6,\), got \(4,\)"
    yield pair | {"tensors": [Z, ROWS, Z]}, ValueError, r"weight: expected shape \(6,\), got \(6, 3\)"
    yield pair | {"tensors": [Z, ROWS.float(), ROWS]}, TypeError, "offset: expected a dense float64 tensor"
    yield pair | {"tensors": [Z, ROWS, ROWS], "numbers": [1.0, 5.0]}, ValueError, "form: expected an integer"
    yield {"numbers": [*numbers, 1.0]}, ValueError, "numbers: expected 4 for Direct"
    if name == "laplacian_along":
        yield {"vectors": Z[0]}, ValueError, "vectors: expected a tensor with 2 axes"
        yield {"vectors": Z[:0]}, ValueError, "vectors: expected at least one sample"
        yield {"vectors": Z[:2, :2]}, ValueError, r"vectors: expected shape \(2, 3\), got \(2, 2\)"
        yield {"vectors": Z[:2].float()}, TypeError, "vectors: expected float64 like x, got float32"
        yield {"weights": ROWS[:3]}, ValueError, r"weights: expected shape \(2,\), got \(3,\)"
        yield {"weights": ROWS[:2].float()}, TypeError, "weights: expected a dense float64 tensor"


def _pairs(name):
    """Bad calls of the sums over pairs."""
    backward, logarithms = name.endswith("_backward"), name.startswith("pair_log")
    yield {"left": Z[0]}, ValueError, "left: expected a tensor with 2 axes"
    yield {"left": Z[:0]}, ValueError, "left: expected at least one sample"
    yield {"left": Z[:, :0], "right": K[:, :0]}, ValueError, "left: expected at least one column"
    yield {"left": Z.int()}, TypeError, "left: expected float32 or float64, got int32"
    yield {"right": K[:, :2]}, ValueError, r"right: expected shape \(4, 3\) like left, got \(4, 2\)"
    yield {"right": K.float()}, TypeError, "right: expected float64 like left, got float32"
    yield {"right": K[0]}, ValueError, "right: expected a tensor with 2 axes"
    yield {"right": K[:0]}, ValueError, "right: expected at least one sample"
    yield {"scale": ROWS}, ValueError, r"scale: expected a scalar, got shape \(6,\)"
    yield {"scale": torch.tensor(2)}, TypeError, "scale: expected a floating-point tensor, got int64"
    yield (
        {"scale": torch.tensor(2.0, device="meta")},
        TypeError,
        "scale: expected a tensor on the CPU or beside left, got one on meta",
    )
    yield {"scale": torch.tensor(2 + 1j)}, TypeError, "scale: expected a floating-point tensor"
    yield {"distances": True}, ValueError, "distances: expected False where right is given"
    yield {"skip_diagonal": True}, ValueError, "right: expected shape .* like left where skip_diagonal, got"
    half = {key: a[:5] for key, a in GOOD[name].items() if isinstance(a, torch.Tensor) and len(a.shape) and len(a) == N}
    within = {key: a for key, a in WITHIN.items() if key in GOOD[name]}
    yield half | within | {"skip_diagonal": True}, ValueError, "skip_diagonal: expected two halves, got 5 samples"
    if logarithms:
        yield {"right": None}, ValueError, "columns: expected False without right"
    else:
        yield {"offset": ROWS[:3]}, ValueError, r"offset: expected shape \(6,\), got \(3,\)"
        yield {"offset": ROWS.float()}, TypeError, "offset: expected a dense float64 tensor, got float32"
        yield {"form": "exponential"}, ValueError, "form: expected hinge, logistic, softplus or square"
        yield {"form": "cubic"}, ValueError, "form: expected hinge, .*got 'cubic'"
    for sums in ("grad_rows", "grad_cols", "rows", "cols") if backward else ():
        if sums not in GOOD[name]:
            continue
        right = GOOD[name][sums]
        count = len(right)
        yield {sums: right[:-1]}, ValueError, rf"{sums}: expected shape \({count},\), got \({count - 1},\)"
        yield {sums: right[:, None]}, ValueError, rf"{sums}: expected shape \({count},\), got \({count}, 1\)"
        yield {sums: right.float()}, TypeError, rf"{sums}: expected a dense float64 tensor"
    if name == "pair_log_sums_backward":
        yield {"columns": False}, ValueError, r"grad_cols: expected shape \(0,\)"


def _contrasts(name):
    """Bad calls of the losses that are computed whole."""
    yield {"left": Z[0]}, ValueError, "left: expected a tensor with 2 axes"
    yield {"left": Z[:0], "right": Z[:0]}, ValueError, "left: expected at least one sample"
    yield {"left": Z.int()}, TypeError, "left: expected float32 or float64, got int32"
    yield {"right": K}, ValueError, r"right: expected shape \(6, 3\) like left, got \(4, 3\)"
    yield {"right": Z.float()}, TypeError, "right: expected float64 like left, got float32"
    yield {"negatives": K[:, :2]}, ValueError, r"negatives: expected shape \(4, 3\) like left, got \(4, 2\)"
    yield {"negatives": K.float()}, TypeError, "negatives: expected float64 like left, got float32"
    yield {"negatives": K[:0]}, ValueError, "negatives: expected at least one sample"
    yield {"scale": ROWS}, ValueError, r"scale: expected a scalar, got shape \(6,\)"
    yield {"scale": torch.tensor(2)}, TypeError, "scale: expected a floating-point tensor, got int64"
    yield (
        {"scale": torch.tensor(2.0, device="meta")},
        TypeError,
        "scale: expected a tensor on the CPU or beside left, got one on meta",
    )
    yield {"within": True}, ValueError, "negatives: expected None where within or columns, got a tensor"
    yield {"columns": True}, ValueError, "negatives: expected None where within or columns, got a tensor"
    yield {"within": True, "columns": True}, ValueError, "columns: expected False where within, got True"
    yield {"reduction": "median"}, ValueError, "reduction: expected none, mean or sum, got 'median'"
    if name == "contrasts":
        return
    yield {"grad": ROWS[:-1]}, ValueError, r"grad: expected shape \(6,\), got \(5,\)"
    yield {"grad": ROWS.float()}, TypeError, "grad: expected float64 like left, got float32"
    yield {"reduction": "mean"}, ValueError, r"grad: expected shape \(\), got \(6,\)"
    yield {"saved": ROWS}, ValueError, r"saved: expected shape \(34,\), got \(6,\)"
    yield {"saved": _normal(34).float()}, TypeError, "saved: expected a dense float64 tensor, got float32"


def _bad(name):
    of = _contrasts if name.startswith("contrasts") else _pairs if name.startswith("pair") else _views
    return enumerate(of(name))


BAD = [(name, k, *call) for name in GOOD for k, call in _bad(name)]


def _call(name, arguments):
    return getattr(ops, name)(*arguments.values())


@pytest.mark.parametrize("name", GOOD)
def test_what_fits_is_accepted(name):
    _call(name, GOOD[name])


@pytest.mark.parametrize("name, k, change, error, text", BAD, ids=lambda a: str(a) if isinstance(a, (str, int)) else "")
def test_eager(name, k, change, error, text):
    with pytest.raises(error, match=rf"^{text}"):
        _call(name, GOOD[name] | change)


@pytest.mark.parametrize("name, k, change, error, text", BAD, ids=lambda a: str(a) if isinstance(a, (str, int)) else "")
def test_fake(name, k, change, error, text):
    with torch._subclasses.FakeTensorMode() as mode:

        def fake(a):
            if isinstance(a, list):
                return [fake(b) for b in a]
            return mode.from_tensor(a) if isinstance(a, torch.Tensor) else a

        arguments = {key: fake(a) for key, a in (GOOD[name] | change).items()}
        with pytest.raises(error, match=rf"^{text}"):
            _call(name, arguments)


def _refused_when_compiled(function, arguments, text, **options):
    torch.compiler.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        with pytest.raises(Exception, match=text):
            torch.compile(function, backend="eager", **options)(*arguments)


@pytest.mark.parametrize("name", GOOD)
def test_compiled(name):
    """One call of each argument: the fakes are those of the test above."""
    seen = set()
    for _, _, change, _, text in (call for call in BAD if call[0] == name):
        tensors = [key for key, a in change.items() if isinstance(a, torch.Tensor)]
        if not tensors or tensors[0] in seen:
            continue
        seen.add(tensors[0])
        _refused_when_compiled(lambda *a, name=name: getattr(ops, name)(*a), (GOOD[name] | change).values(), text)


PUBLIC = {
    "energy": (acl.energy, (torch.ones(40, 8), torch.ones(20, 8)), "f_aug: expected shape"),
    "far outside": (acl.energy, (torch.ones(20_000, 8), torch.ones(1, 8)), "f_aug: expected shape"),
    "contrastive_cov": (
        acl.contrastive_cov,
        (torch.ones(40, 8), torch.ones(40, 4)),
        "x_aug: expected shape",
    ),
    "features": (
        lambda a, b: acl.energy(a, a, acl.Direct(b)),
        (torch.ones(40, 8), torch.ones(20, 8)),
        r"alpha: expected \w+ samples like f, got \w+",
    ),
    "dense": (
        lambda a, b: acl.energy(a, a, acl.Dense(b)),
        (torch.ones(40, 8), torch.ones(40, 8)),
        "alpha: expected shape",
    ),
}


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("name", PUBLIC)
def test_public_functions_compiled(name, dynamic):
    function, arguments, text = PUBLIC[name]
    _refused_when_compiled(function, arguments, text, dynamic=dynamic)


@pytest.mark.parametrize("alpha", [None, "direct", "tensor", "loss"])
def test_sizes_stay_free_when_compiled(alpha):
    """The checks do not tie a compiled function to one number of samples."""
    torch.compiler.reset()
    compilations = []

    def backend(module, inputs):
        compilations.append(module)
        return module

    def function(z, z_aug, square):
        of = {"direct": lambda: acl.Direct(z.detach()), "tensor": lambda: square}
        if alpha == "loss":
            return losses.alpha_cl_loss(z, z_aug, losses.Triplet(1.0).importance)
        return acl.energy(z, z_aug, of[alpha]() if alpha else None)

    compiled = torch.compile(function, backend=backend, dynamic=True, fullgraph=True)
    for n in (5, 8, 13):
        z, square = _normal(n, 3), _normal(n, n)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own
            value = compiled(z, z + 1, square)
        torch.testing.assert_close(value, function(z, z + 1, square))
    assert len(compilations) == 1


def test_a_constant_importance_that_requires_grad_is_refused_when_compiled():
    features = _normal(N, 2).requires_grad_()
    _refused_when_compiled(lambda a, b: acl.energy(a, a, acl.Direct(b)), (Z, features), "alpha: requires grad")


ARRAY, SQUARE = Z.numpy(), _normal(N, N).numpy()
OTHERS = {
    "features": (lambda a: acl.energy(a, a, acl.Gaussian(ARRAY, 1.0)), "alpha: expected a torch tensor like f, got a"),
    "square": (lambda a: acl.contrastive_cov(a, a, SQUARE), "alpha: expected a torch tensor like x, got a numpy array"),
    "f_aug": (lambda a: acl.energy(a, ARRAY), "f_aug: expected a torch tensor like f, got a numpy array"),
    "x_aug": (lambda a: acl.contrastive_cov(a, ARRAY), "x_aug: expected a torch tensor like x, got a numpy array"),
    "class": (lambda a: acl.energy(a, a, acl.Direct), r"alpha: .*got the class Direct: make one of it, Direct\("),
    "NodeGaussian": (lambda a: acl.energy(a, a, acl.NodeGaussian(1.0)), "alpha: .*got NodeGaussian, which belongs"),
    "text": (lambda a: acl.energy(a, a, "direct"), "alpha: expected an importance or .*, got str"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_kinds_are_refused_in_the_same_words_when_compiled(name):
    function, text = OTHERS[name]
    with pytest.raises(TypeError, match=rf"^{text}"):
        function(Z)
    _refused_when_compiled(function, (Z,), text)


def test_out_is_not_ignored_when_compiled():
    out = torch.zeros(M, M, dtype=Z.dtype)
    _refused_when_compiled(lambda a: acl.contrastive_cov(a, a + 1, out=out), (Z,), "^out: expected None under")
    assert not out.any()


def test_pair_importance_of_rows_in_any_order():
    rows = ROWS.numpy()
    z = Z.clone().requires_grad_()
    read_only = np.broadcast_to(np.float64(1), (N,))
    for offset in (rows[::-1], np.stack([rows, rows], 1)[:, 0], read_only):
        alpha = acl.importance.PairImportance(Z, 1.0, "softplus", offset, offset)
        plain = acl.importance.PairImportance(Z, 1.0, "softplus", offset.copy(), offset.copy())
        torch.testing.assert_close(acl.energy(z, z + 1, alpha), acl.energy(z, z + 1, plain))


@pytest.mark.parametrize("name", ["offset", "weight"])
def test_pair_importance_refuses_rows_that_would_be_learned(name):
    rows = {"offset": ROWS, "weight": ROWS} | {name: ROWS.clone().requires_grad_()}
    alpha = acl.importance.PairImportance(Z, 1.0, "softplus", **rows)
    for use in (alpha.row_sums, alpha.to_dense, lambda: alpha @ Z, lambda: acl.energy(Z, Z + 1, alpha)):
        with pytest.raises(RuntimeError, match=rf"^{name}: requires grad"):
            use()
    with pytest.raises(RuntimeError, match=r"^\w+: requires grad"):
        acl.energy(Z.clone().requires_grad_(), Z, alpha)
    with torch.no_grad():
        assert alpha.row_sums().isfinite().all()
