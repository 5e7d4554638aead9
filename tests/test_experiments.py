"""The machinery of the claims and their verdicts: rules judge numbers, and planted faults turn the right ones red."""

import json
import math

import numpy as np
import pytest
from support import torch as import_torch

import alphacl_fast as acl
from alphacl_fast import experiments, reference, theory
from alphacl_fast.experiments import Hooks, Result, Rule, Settings
from alphacl_fast.experiments._claim import number
from alphacl_fast.experiments._folder import claim, claims, in_order, sections
from alphacl_fast.experiments._seeds import converged_alone, in_standard_errors
from alphacl_fast.experiments._settings import MissingDataError, plain
from alphacl_fast.experiments._style import render

NAMES = claims()


def rule(relation, bound, value=lambda numbers: numbers["a"]):
    return Rule("name", "statement", value, relation, bound)


class Only:
    """Runs the parts named and leaves all others out."""

    def __init__(self, *names):
        self.names = names

    def get(self, name):
        return None if name in self.names else (None, 0.0)

    def put(self, name, value, seconds):
        pass


def verdicts(name, *parts, **hooks):
    """Rule -> word, of a quick run of these parts of a claim with these hooks."""
    result = claim(name).run(Settings(quick=True, hooks=Hooks(**hooks), parts=Only(*parts)))
    return {verdict.rule.name: verdict.word for verdict in result.verdicts}


# Faults.


def wrong_importance(alpha):
    """Every weight of its own factor, from 0.5 to 1.5; a node's Gaussian of another width."""
    if alpha is None or isinstance(alpha, acl.Uniform):
        return alpha
    if isinstance(alpha, acl.NodeGaussian):
        return acl.NodeGaussian(1.5 * alpha.tau)
    n = alpha.shape[0]
    dense = reference.dense_alpha(alpha, n) * np.random.default_rng(0).uniform(0.5, 1.5, (n, n))
    dense = dense.astype(np.float32 if "float32" in str(alpha.dtype) else np.float64)
    torch_like = hasattr(getattr(alpha, "features", None), "detach")
    return acl.Dense(import_torch().from_numpy(dense) if torch_like else dense)


def flipped_cov(x, x_aug, alpha=None):
    """The intra term added: 2 C(x, x) − C(x, x')."""
    return 2 * acl.contrastive_cov(x, x, alpha) - acl.contrastive_cov(x, x_aug, alpha)


def flipped_energy(f, f_aug, alpha=None):
    return 2 * acl.energy(f, f, alpha) - acl.energy(f, f_aug, alpha)


def shuffled(x, x_aug):
    """The second view of another sample."""
    return x, x_aug[np.random.default_rng(0).permutation(len(x_aug))]


FAULTS = {
    "importance": {"importance": wrong_importance},
    "intra": {"contrastive_cov": flipped_cov, "energy": flipped_energy},
    "pairing": {"pairing": shuffled},
}


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_says_what_it_is(name):
    module = claim(name)
    assert all(len(text) > 40 for text in sections(module).values())
    assert module.TITLE
    rules, figures = [r.name for r in module.RULES], [f.name for f in module.FIGURES]
    assert len(set(rules)) == len(rules) > 0
    assert len(set(figures)) == len(figures) > 0
    assert all(f.caption.endswith(".") for f in module.FIGURES)


def test_claims_are_found_in_the_folder_and_in_order():
    assert {"framework", "linear_networks", "one_layer", "patterns"} <= set(NAMES)
    orders = [claim(name).ORDER for name in in_order()]
    assert orders == sorted(set(orders))
    assert acl.experiments.framework is claim("framework")
    assert set(NAMES) <= set(dir(experiments))
    with pytest.raises(ValueError, match=r"claim: expected one of .*framework.*, got 'two'"):
        claim("two")
    with pytest.raises(AttributeError, match="has no attribute 'two'"):
        _ = experiments.two


@pytest.mark.parametrize(
    "relation, bound, passes, fails", [("<", 1, 0.5, 1), ("≤", 1, 1, 2), (">", 1, 2, 1), ("≥", 1, 1, 0), ("=", 1, 1, 2)]
)
def test_rules_judge(relation, bound, passes, fails):
    judged = rule(relation, bound)
    assert judged.judge({"a": passes}).word == "holds"
    assert judged.judge({"a": fails}).word == "fails"
    assert judged.judge({"a": math.nan}).word == "fails"
    assert judged.judge({"a": None}).word == "left out"
    assert judged.judge({"a": passes}).as_text() == f"{number(passes)} {relation} {bound}"
    assert judged.judge({"a": None}).as_text().startswith("– ")


_NAN = math.nan
_LATER = (("a", 0.0), ("b", _NAN))
_MAXIMA = {"maxima": 1, "degrees": [0.1, _NAN, 0.1]}


_NOT_FIRST = [
    ("framework", "eight gradients", {"gradients": {"InfoNCE": {"error": 0.0}, "MINE": {"error": _NAN}}}),
    ("kernel_lemma", "all terms", {"terms": {"0.2": [0.0], "0.5": [_NAN]}}),
    ("one_layer", "gated data", {"identity": {"a": [0.0, 0.0], "b": [_NAN, 0.0]}}),
    ("one_layer", "gated_cov", {"identity": {"a": [0.0, 0.0], "b": [0.0, _NAN]}}),
    ("linear_networks", "top eigenvector, digits", {"images": {"digits": {"uniform": _MAXIMA, "Gaussian": _MAXIMA}}}),
    (
        "one_layer",
        "nodes at maxima",
        {"landscape": {"kinds": {"a": {"node_off_peak": 0.0}, "b": {"node_off_peak": _NAN}}}},
    ),
    ("stability", "planted critical", {"planted": {k: {"residual": [v], "eigenvalue": [1.0]} for k, v in _LATER}}),
    ("modular_addition", "one frequency", {"moduli": {"5": {"concentration": 1.0}, "7": {"concentration": _NAN}}}),
    ("modular_addition", "one representation", {"groups": {k: {"concentration": 1 - v} for k, v in _LATER}}),
    (
        "modular_addition",
        "energy of a representation",
        {"groups": {"a": {"energy_error": 0.0}, "b": {"energy_error": _NAN}}},
    ),
]


@pytest.mark.parametrize("name, rule_name, numbers", _NOT_FIRST, ids=[rule_name for _, rule_name, _ in _NOT_FIRST])
def test_a_number_that_is_nan_fails_wherever_it_stands(name, rule_name, numbers):
    """max() and min() skip a NaN that is not the first."""
    (judged,) = [r for r in claim(name).RULES if r.name == rule_name]
    assert judged.judge(numbers).word == "fails"


def test_a_result_passes_where_no_rule_fails():
    rules = (rule("<", 1), rule("<", 1, lambda numbers: None))
    assert Result({"a": 0}, rules, ()).passed
    assert not Result({"a": 2}, rules, ()).passed


def test_numbers_as_text():
    assert [number(v) for v in (3.0, 0.12345, 3.14e-15, 0.0, math.inf, 2e7)] == "3 0.1235 3.1e-15 0 inf 2e+07".split()


def test_parts_are_timed_kept_and_left_out():
    kept = {}

    class Parts:
        get = staticmethod(kept.get)

        def put(self, name, value, seconds):
            kept[name] = (value, seconds)

    seen = []
    settings = Settings(parts=Parts(), watch=seen.append)
    assert settings.part("sum", lambda: np.arange(3).sum()) == 3
    assert settings.part("sum", lambda: 1 / 0) == 3

    def missing():
        raise MissingDataError("no images: name them with --data")

    assert settings.part("images", missing) is None
    assert settings.left_out == ["images: no images: name them with --data"]
    assert seen == ["sum", "images"]
    assert list(settings.seconds) == list(kept) == ["sum"]


def test_plain_values():
    value = {"a": np.float32([0.1, 2]), 3: (np.int64(4), np.float64(0.1), None, "x"), "b": np.bool_(True)}
    assert plain(value) == {"a": [0.1, 2.0], "3": [4, 0.1, None, "x"], "b": True}
    json.dumps(plain(value))


# One part of each claim, sound and with each fault.

ROUGHNESS = ("uniform", *(f"frozen, τ = {tau}" for tau in claim("roughness")._TAUS))
GROUPS = ("group dihedral", "group symmetric", "group product")
CASES = {  # claim, part or parts, rules -> faults that must turn one of these rules red
    ("framework", "gradients of eight losses", ("eight gradients",)): ("importance", "intra", "pairing"),
    ("framework", "α as a minimiser", ("no change is lower", "mirror descent")): ("importance",),
    ("framework", "α as a minimiser", ("square, feasible", "square, condition")): ("importance",),
    ("linear_networks", "deep linear networks", ("not above", "optimum reached")): ("importance", "intra", "pairing"),
    ("one_layer", "wᵀA(w)w = c² C_α[h]", ("gated data",)): ("importance", "intra", "pairing"),
    ("one_layer", "energy of a layer", ("sum over nodes",)): ("importance", "intra", "pairing"),
    ("linear_networks", "100 linear nodes, digits", ("top eigenvector, digits",)): ("pairing",),
    ("kernel_lemma", "error against terms", ("all terms",)): ("importance", "intra"),
    ("kernel_lemma", "error against N", ("slope, Gaussian", "slope, uniform")): ("intra", "pairing"),
    ("patterns", "categories", ("categories, ReLU", "categories, energies")): ("pairing",),
    ("stability", "planted points", ("planted critical",)): ("importance", "pairing"),
    ("stability", "planted points", ("planted maximum, pushed",)): ("intra",),
    ("roughness", ROUGHNESS, ("closed form",)): ("importance", "pairing"),
    ("modular_addition", ("modulus 11", "modulus 23"), ("one frequency",)): ("importance",),
    ("modular_addition", GROUPS, ("one representation", "energy of a representation")): ("importance",),
    ("two_layer", "public log", ("logged losses", "logged χ")): ("pairing",),
}
SMALLER = {
    "modular_addition": {"_MODULI": {11: 30, 23: 30}, "_GROUP_NODES": 30, "_STEPS": 500}
}  # a fault's nodes do not converge, and go on


def _name(case):
    part = case[1] if isinstance(case[1], str) else case[1][0]
    return f"{case[0]}-{part}" + ("-torch" if case[0] in ("framework", "two_layer") else "")


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_faults_turn_verdicts_red(case, monkeypatch):
    name, part, rules = case
    parts = (part,) if isinstance(part, str) else part
    for constant, value in SMALLER.get(name, {}).items():
        monkeypatch.setattr(claim(name), constant, value)
    sound = verdicts(name, *parts)
    assert {sound[r] for r in rules} == {"holds"}
    for fault in CASES[case]:
        found = verdicts(name, *parts, **FAULTS[fault])
        assert "fails" in {found[r] for r in rules}, fault


@pytest.mark.parametrize("name", NAMES)
def test_what_was_not_computed_is_left_out(name, tmp_path):
    """No rule and no picture falls over it, and no verdict is green."""
    result = claim(name).run(Settings(quick=True, parts=Only()))
    assert {verdict.word for verdict in result.verdicts} == {"left out"}
    for figure in result.figures:
        if figure.drawable(result.numbers):
            render(figure, result.numbers, tmp_path / f"{figure.name}.png")


# Parts of which some are missing.


def test_critical_points_of_some_problems_are_not_counted():
    module = claim("stability")
    points = {"certified": [True, False] * 5, "stable": [True, False] * 5}
    whole = {"problems": {"a": points, "b": points}, "planted": None}
    rules = {rule.name: rule for rule in module.RULES}
    assert rules["no counterexample"].judge(whole).word == "left out"
    whole["planted"] = {"linear": points}
    assert rules["no counterexample"].judge(whole).word == "holds"
    points["stable"][0] = False
    assert rules["no counterexample"].judge(whole).word == "fails"
    whole["problems"]["b"] = None
    assert rules["no counterexample"].judge(whole).word == "left out"


def test_roughness_without_one_width():
    module = claim("roughness")
    numbers = {"uniform": [1, 1], "closed_uniform": [1, 1], "taus": module._TAUS}
    numbers["frozen"] = numbers["closed"] = [[0.1 * k, 0.1 * k] for k in (1, 2, 3, 4)]
    assert {rule.judge(numbers).word for rule in module.RULES} == {"holds"}
    numbers["frozen"] = None
    assert {rule.judge(numbers).word for rule in module.RULES} == {"left out"}


def test_modular_addition_without_one_modulus_and_without_maxima():
    rules = claim("modular_addition").RULES
    modulus = {"concentration": 0.999, "frequencies": [1, 2, 3, 4, 5]}
    group = {"concentration": 0.999, "missed": 0, "energy_error": 1e-9}
    found = {"moduli": {"11": modulus}, "groups": {"product": group}}
    assert {rule.judge(found).word for rule in rules} == {"holds"}
    some = {"moduli": {"11": modulus, "23": None}, "groups": {"product": group, "symmetric": None}}
    assert {rule.judge(some).word for rule in rules} == {"left out"}
    no_modulus, no_group = (dict.fromkeys(part, 0.0) for part in (modulus, group))
    nothing = {
        "moduli": {"11": no_modulus | {"frequencies": []}},
        "groups": {"product": no_group | {"missed": 3, "energy_error": np.inf}},
    }
    assert {rule.judge(nothing).word for rule in rules} == {"fails"}


@pytest.mark.parametrize(
    "infonce, quadratic, word",
    [
        ([70, 71, 72], [60, 61, 62], "holds"),
        ([70, 71, 72], [69, 71, 72], "fails"),
        ([60, 61, 62], [70, 71, 72], "fails"),
        ([70, None, 72], [60, 61, 62], "left out"),
    ],
)
def test_losses_on_images_are_compared_in_standard_errors(infonce, quadratic, word):
    rules = claim("losses_on_images").RULES
    numbers = {"images": {"fashion": {"accuracy": {"InfoNCE": infonce, "Quadratic": quadratic}}}}
    assert {rule.name: rule.judge(numbers).word for rule in rules} == {
        "InfoNCE ahead, fashion": word,
        "InfoNCE ahead, data": "left out",
    }


def test_infonce_with_the_uniform_importance_is_not_ahead_torch(monkeypatch):
    """A fault: with the quadratic loss's α it trains the quadratic loss's encoder."""
    module, name = claim("losses_on_images"), "InfoNCE ahead, fashion"
    monkeypatch.setattr(module, "_size", lambda settings: (300, 5, 32))
    trainings = [f"fashion: {loss}, seed {seed}" for loss in ("InfoNCE", "Quadratic") for seed in range(3)]
    hooks = Hooks(importance=lambda alpha: acl.Uniform(diagonal=False))
    result = module.run(Settings(quick=True, hooks=hooks, parts=Only("fashion: reading", *trainings)))
    accuracy = result.numbers["images"]["fashion"]["accuracy"]
    assert accuracy["InfoNCE"] == pytest.approx(accuracy["Quadratic"], abs=2)  # an image is a third
    assert {verdict.rule.name: verdict.word for verdict in result.verdicts}[name] == "fails"


def framework_words(before, after, error):
    """Verdicts of three trainings, per cent at the start and at the end of 600 test images; chance is 11."""
    module = claim("framework")
    runs = [[before + k, after + 2 * k] for k in (-0.2, 0, 0.2)]
    training = {"accuracy": dict.fromkeys(module._WAYS, runs), "error_of_gain": dict.fromkeys(module._WAYS, error)}
    numbers = {"training": {**training, "asked": 600, "chance": 11.0}}
    rules = [rule for rule in module.RULES if rule.name in ("all three teach", "above chance")]
    return {rule.name: rule.judge(numbers).word for rule in rules}


def test_what_teaches_gains_more_than_its_error():
    assert framework_words(80, 83, 1.0) == {"all three teach": "holds", "above chance": "holds"}
    assert framework_words(80, 83, 2.0) == {"all three teach": "fails", "above chance": "holds"}
    assert framework_words(83, 80, 1.0) == {"all three teach": "fails", "above chance": "holds"}
    assert framework_words(8, 13, 1.0) == {"all three teach": "holds", "above chance": "fails"}


def test_in_standard_errors():
    assert in_standard_errors([1.0, 2.0, 3.0]) == pytest.approx(2 * math.sqrt(3))
    assert in_standard_errors([1.0, 2.0, 3.0], other=1.0) == pytest.approx(2 / math.sqrt(4 / 3))
    assert in_standard_errors([1.0]) is None
    assert in_standard_errors([0.0, 0.0]) == 0


def test_nodes_that_have_not_converged_are_no_maxima():
    """Of three groups one has no node that converged; another keeps the better of those that did."""
    group, converged = np.array([0, 1, 2, 2, 0, -1, 2]), np.array([True, False, True, True, False, True, False])
    energy = np.array([9.0, 8, 6, 7, 9, 0, 7.5])
    ends = theory.LocalMaxima(np.eye(7), energy, None, energy, energy, energy, converged, group)
    assert ends.best.tolist() == [0, 1, 6]
    kept = converged_alone(ends)
    assert kept.group.tolist() == [0, -1, 1, 1, -1, -1, -1]
    assert kept.num_maxima == 2
    assert kept.best.tolist() == [0, 3]
    nothing = converged_alone(ends._replace(converged=np.zeros(7, bool)))
    assert (nothing.num_maxima, len(nothing.best)) == (0, 0)


@pytest.mark.parametrize(
    "given, kind, message",
    [
        ({"seed": -1}, ValueError, "seed: expected an integer of at least 0, got -1"),
        ({"seed": 0.5}, TypeError, "seed: expected an integer, got float"),
        ({"threads": 0}, ValueError, "threads: expected an integer of at least 1, got 0"),
        ({"quick": "yes"}, TypeError, "quick: expected True or False, got 'yes'"),
        ({"data": "nowhere"}, ValueError, "data: expected a folder or an archive that exists, got nowhere"),
    ],
)
def test_errors_of_settings(given, kind, message):
    with pytest.raises(kind, match=message):
        Settings(**given)
