"""The recipes of CONTRIBUTING.md are complete, and so are the lists that they fill. Read from the clone.

A recipe names every file that names what it is for: an importance, a ψ, a loss, an activation. Each list of kinds, in
the package, its tests and its documents, has all of them.
"""

import ast
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from fuzz import alphas, nodes, pairs
from support import ACTIVATIONS, IMPORTANCES, importance, two_views
from support import torch as import_torch

import alphacl_fast as acl
from alphacl_fast import _cpu, reference
from alphacl_fast._parts import FORMS, METHODS, Data, Number, Rows
from alphacl_fast.importance import KINDS, Importance, NodeGaussian

ROOT = Path(__file__).parent.parent
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
FOLDERS = ("python", "cpp", "cuda", "tests", "tools", "benchmarks", "docs", "examples")
SUFFIXES = ("", ".py", ".pyi", ".h", ".cpp", ".cu", ".inl", ".txt", ".md")

# recipe -> what exists of its sort, as the files that a new one touches write it: anywhere, and outside of the tests
EXAMPLES = {
    "A new importance": (
        r"SquareRegularized|square_regularized|simplex_importance|pair_importance\.cpp",
        r"\bLowRank\b|\blow_rank",
    ),
    "A new ψ": (r'"(hinge|logistic|softplus)"|\bPairForm::|\bstruct (Hinge|Logistic|Softplus)\b', None),
    "A new loss": (r"\bModifiedTriplet\b|\bmodified_triplet\b", r"\bdef (siglip_loss|_half_square)\b"),
    "A new activation": (r"\bLeakyReLU\b|\bMonomial\b|\bNodeGate::Form::|\bActivation::Kind::", r"\bleaky_relu\b"),
}
# What speaks of all that exists, or uses what it needs, and has no list of it.
CLAIMS = "python/alphacl_fast/experiments/"
APART = {"tests/test_recipes.py", "tests/test_copies.py", "docs/design.md", "cuda/tests/golden.txt"}


def _braces(text):
    """a{b,c}d -> abd, acd."""
    found = re.fullmatch(r"(.*)\{([^{}]+)\}(.*)", text)
    return [found[1] + part + found[3] for part in found[2].split(",")] if found else [text]


def _paths(recipe):
    """The files and folders that a recipe names: what has a slash or a suffix, between backticks."""
    section = re.search(rf"^## {recipe}\n(.*?)^## ", CONTRIBUTING, re.MULTILINE | re.DOTALL)[1]
    quoted = [path for text in re.findall(r"`([^`\n]+)`", section) for path in _braces(text)]
    return {path for path in quoted if re.fullmatch(r"[\w./]+(/|/\w+|\.\w+)", path)}


def _files():
    """Path -> text of the files that people write."""
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*") if file.suffix in SUFFIXES]
    files = [file for file in files if file.is_file() and "__pycache__" not in file.parts]
    return {str(file.relative_to(ROOT)): file.read_text() for file in (ROOT / "README.md", *files)}


@pytest.mark.parametrize("recipe", EXAMPLES)
def test_recipe_names_every_file(recipe):
    anywhere, outside = EXAMPLES[recipe]
    files, paths = _files(), _paths(recipe)
    assert len(files) > 150
    touched = {
        path
        for path, text in files.items()
        if re.search(anywhere, text) or (outside and not path.startswith("tests/") and re.search(outside, text))
    }
    assert len(touched) > 10
    assert sorted(path for path in touched - paths - APART if not path.startswith(CLAIMS)) == []


@pytest.mark.parametrize("recipe", EXAMPLES)
def test_recipe_names_what_exists(recipe):
    assert [path for path in _paths(recipe) if not (ROOT / path).exists()] == []


# The lists of importances.


def test_kinds_are_the_public_importances():
    public = {name: getattr(acl.importance, name) for name in acl.importance.__all__}
    over_samples = {name for name, kind in public.items() if issubclass(kind, Importance)}
    assert {name: public[name] for name in over_samples - {"Importance"}} == KINDS
    assert set(public) - set(KINDS) == {"Importance", "NodeGaussian"}
    assert set(public) - set(acl.__all__) == {"Importance", "PairImportance"}
    assert all(kind._kind == name == kind.__name__ for name, kind in (KINDS | {"NodeGaussian": NodeGaussian}).items())


@pytest.mark.parametrize("kind", [*KINDS.values(), NodeGaussian], ids=lambda kind: kind.__name__)
def test_parts_are_the_arguments_of_the_constructor(kind):
    assert list(inspect.signature(kind).parameters) == list(kind._parts)


@pytest.mark.parametrize("name", IMPORTANCES)
def test_parts_are_what_an_importance_holds(name):
    alpha = importance(name, 9, np.float64)
    if isinstance(alpha, Importance):
        assert set(vars(alpha)) == set(alpha._parts)
        again = {}
        for part, sort in alpha._parts.items():
            if isinstance(sort, Data):
                arrays = sort.apart(getattr(alpha, part))
                assert all(isinstance(array, np.ndarray) for array in arrays)
                assert len(arrays) == sort.tensors or (sort.optional and not arrays)
                again[part] = sort.together(arrays)
        for part, sort in alpha._parts.items():
            if isinstance(sort, Number):
                value = getattr(alpha, part)
                packed = sort.packed(value)
                assert type(packed) is float
                assert sort.unpacked(packed) == value
                again[part] = sort.unpacked(packed)
        assert repr(type(alpha)(**again)) == repr(alpha)


def test_compiled_constructors():
    stub = (ROOT / "python" / "alphacl_fast" / "_cpu.pyi").read_text()
    calls = (ROOT / "tests" / "test_compiled_module.py").read_text()
    bound = {name.removesuffix("_f64") for name in vars(_cpu) if name.endswith("_f64") and not name[0].isupper()}
    assert {kind._constructor for kind in KINDS.values()} == bound - {"power_iteration_of_product"}
    for kind in KINDS.values():
        assert f"def {kind._constructor}_f32(" in stub
        assert f"def {kind._constructor}_f64(" in stub
        assert f"_cpu.{kind._constructor}_f64" in calls


def _kinds_made(constructors):
    made = [make() for make in constructors]
    return {alpha._kind for alpha in made if isinstance(alpha, Importance)}


def test_lists_of_importances():
    assert set(reference._FROM_OBJECT) == set(KINDS)
    assert _kinds_made(lambda name=name: importance(name, 9, np.float64) for name in IMPORTANCES) == set(KINDS)
    assert {label.partition(" ")[0] for label in alphas.KINDS} == {"none", *KINDS}


def test_lists_of_importances_with_torch():
    from fuzz import operators

    assert set(operators.KINDS) == set(KINDS)
    x = import_torch().ones(3, 2)
    with pytest.raises(ValueError, match=rf"^kind: expected one of {', '.join(KINDS)}, got 'nothing'$"):
        import_torch().ops.alphacl_fast.energy(x, x, "nothing", [], [])


def test_table_of_importances():
    text = (ROOT / "docs" / "importances.md").read_text()
    named = [re.findall(r"`(\w+)[(`]", row) for row in re.findall(r"^\| (`.*)$", text, re.MULTILINE)]
    assert {*KINDS, "NodeGaussian"} - {name for row in named for name in row} == set()


def test_methods_of_a_gaussian():
    f = two_views(9, 2, np.float64)[0][:, 0]
    for method in METHODS:
        assert acl.Gaussian(f, 1.0, method=method).row_sums().shape == (9,)
        assert f'"{method}"' in acl.Gaussian.__doc__


# The lists of ψ.


def test_lists_of_forms():
    assert set(pairs.FORMS) == set(FORMS[1:])
    tree = ast.parse((ROOT / "tests" / "test_pair_sums.py").read_text())
    tested = next(n.value for n in ast.walk(tree) if isinstance(n, ast.Assign) and n.targets[0].id == "FORMS")
    assert {key.value for key in tested.keys} == set(FORMS[1:])


@pytest.mark.parametrize("form", FORMS)
def test_form_is_known_everywhere(form):
    f, ones = two_views(9, 2, np.float64)[0], np.ones(9)
    alpha = acl.importance.PairImportance(f, 0.5, form, -ones, ones)
    np.testing.assert_allclose(alpha.to_dense(), reference.pair(f, 0.5, form, -ones, ones), rtol=1e-12)
    assert f'"{form}"' in acl.importance.PairImportance.__doc__
    if form != "exponential":
        _cpu.pair_sums(f.copy(), None, 1.0, True, False, form, ones, np.empty(9))


# The lists of activations.


def _kinds_of(activations):
    return {a if isinstance(a, str) else type(a).__name__ for a in activations}


def test_lists_of_activations():
    kinds = {"linear", "relu", *acl.activations.__all__}
    assert _kinds_of(ACTIVATIONS) == _kinds_of(nodes.ACTIVATIONS) == kinds
    assert set(acl.activations.__all__) <= set(acl.__all__)
    bits = (ROOT / "tools" / "bits").read_text()
    for kind in kinds:
        assert kind in acl.gated_cov.__doc__
        assert f'"{kind}"' in bits or f"acl.{kind}(" in bits


@pytest.mark.parametrize("activation", [*ACTIVATIONS, acl.LeakyReLU(-1.0), acl.LeakyReLU(1.0)], ids=str)
def test_odd_activations(activation):
    u = np.array([-3.0, -0.7, 0.2, 5.0])
    h = reference.activate(activation, u)
    odd = np.array_equal(reference.activate(activation, -u), -h)
    assert acl.activations.is_odd(activation) == odd


# The lists of losses.


def _literals(path):
    """The strings of a file."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_lists_of_losses_with_torch():
    import_torch()
    from alphacl_fast.losses import family

    public = {name: getattr(acl.losses, name) for name in acl.losses.__all__}
    of_p1 = {name for name, loss in public.items() if inspect.isclass(loss) and issubclass(loss, family._PairLoss)}
    functions = {name for name, loss in public.items() if not inspect.isclass(loss)} - {"set_score_budget"}
    assert len(of_p1) == 8
    assert len(functions) == 5
    documented = (ROOT / "docs" / "losses.md").read_text()
    for name in public:
        assert re.search(rf"(`|losses\.){name}\b", documented), name
    for path in ("tests/fuzz/family.py", "tests/fuzz/non_finite.py", "tools/bits", "tests/test_losses_family.py"):
        assert of_p1 <= _literals(path), path
    for path in ("tests/fuzz/non_finite.py", "tools/bits"):
        assert functions - {"alpha_cl_loss"} <= _literals(path), path
    assert functions <= _literals("tests/fuzz/subjects.py")


def test_rows_are_the_only_data():
    """One array of rows each, but for the importances that have none: what the operations read as the data."""
    counts = {name: sum(isinstance(part, Rows) for part in kind._parts.values()) for name, kind in KINDS.items()}
    assert counts == {name: int(name not in ("Uniform", "Labels", "Sparse")) for name in KINDS}
