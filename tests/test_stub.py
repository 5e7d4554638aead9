"""The stubs of the compiled modules name what is there, with the arguments in their order. Types: mypy's stubtest."""

import ast
import importlib
import importlib.util
import re
from pathlib import Path

import pytest

import alphacl_fast

FOLDER = Path(alphacl_fast.__file__).parent
NO_CONSTRUCTOR = {(("*args", False), ("**kwargs", False))}


def _arguments(function):
    """(name, whether it has a default) of each argument of a definition, without self."""
    assert not function.args.posonlyargs + function.args.kwonlyargs, function.name
    names = [a.arg for a in function.args.args]
    if function.args.vararg:
        names.append("*" + function.args.vararg.arg)
    if function.args.kwarg:
        names.append("**" + function.args.kwarg.arg)
    first_default = len(function.args.args) - len(function.args.defaults)
    return tuple((name, first_default <= k < len(function.args.args)) for k, name in enumerate(names) if name != "self")


def _definitions(body):
    """name -> the set of its overloads."""
    found = {}
    for node in body:
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, set()).add(_arguments(node))
    return found


def stubbed(module):
    """name or class.name -> the arguments of its overloads, as the stub has them; classes inherit."""
    tree = ast.parse((FOLDER / f"{module}.pyi").read_text())
    found, classes = _definitions(tree.body), {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            classes[node.name] = {}
            for base in node.bases:
                classes[node.name] |= classes.get(base.id, {})
            classes[node.name] |= _definitions(node.body)
            if not any("type_check_only" in ast.unparse(d) for d in node.decorator_list):
                found |= {f"{node.name}.{name}": overloads for name, overloads in classes[node.name].items()}
    return found


def _signatures(name, docstring):
    """The overloads that pybind11 writes into a docstring."""
    if docstring == object.__init__.__doc__:
        return NO_CONSTRUCTOR
    lines = re.findall(rf"^(?:\d+\. )?({name}\(.*\) -> .*)$", docstring, re.MULTILINE)
    assert lines, docstring
    return {_arguments(ast.parse(f"def {line}: ...").body[0]) for line in lines}


def compiled(module):
    """The same as the module itself has them."""
    if importlib.util.find_spec(f"alphacl_fast.{module}") is None:
        pytest.skip(f"this build has no {module}")
    found = {}
    for name, value in vars(importlib.import_module(f"alphacl_fast.{module}")).items():
        if isinstance(value, type):
            for method in vars(value):
                if method == "__init__" or not method.startswith("_"):
                    found[f"{name}.{method}"] = _signatures(method, getattr(value, method).__doc__)
        elif callable(value):
            found[name] = _signatures(name, value.__doc__)
    return found


@pytest.mark.parametrize("module", ("_cpu", "_cuda"))
def test_names_and_arguments(module):
    there, said = compiled(module), stubbed(module)
    assert there.keys() == said.keys()
    for name, overloads in there.items():
        assert overloads == said[name], name


def test_an_operation_takes_the_same_on_every_backend():
    ours, theirs = compiled("_cpu"), compiled("_cuda")
    of_the_gpu = {"waits"}
    assert theirs.keys() - ours.keys() == of_the_gpu
    for name in theirs.keys() - of_the_gpu:
        assert ours[name] == theirs[name], name


def test_both_sides_are_read():
    """Overloads, defaults, inherited and static methods: what a parser might lose."""
    for found in (stubbed("_cpu"), compiled("_cpu")):
        assert found["energy"] == {tuple((name, False) for name in ("f", "f_aug", "alpha", "out"))}
        assert {len(overload) for overload in found["gated_cov"]} == {7, 9}
        assert max(found["GatedOperator_f32.__init__"], key=len)[-1] == ("alpha_weights", True)
        assert found["Climb_f64.block"] == {(("n", False), ("nodes", False))}
        assert found["Importance_f32.size"] == {()}
        assert found["Importance_f32.__init__"] == NO_CONSTRUCTOR
