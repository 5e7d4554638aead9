"""The machinery of the claims and their verdicts: rules judge numbers, and planted faults turn the right ones red."""

import json
import math

import numpy as np
import pytest
from support import torch as import_torch

import alphacl_fast as acl
from alphacl_fast import experiments, reference
from alphacl_fast.experiments import Hooks, Result, Rule, Settings
from alphacl_fast.experiments._claim import number
from alphacl_fast.experiments._folder import claim, claims, in_order, sections
from alphacl_fast.experiments._settings import MissingDataError, plain

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
    """Every weight of its own factor, from 0.5 to 1.5."""
    if alpha is None or isinstance(alpha, acl.Uniform):
        return alpha
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

CASES = {  # claim, part, rules -> faults that must turn one of these rules red
    ("framework", "gradients of eight losses", ("eight gradients",)): ("importance", "intra", "pairing"),
    ("framework", "InfoNCE's α as a minimiser", ("no change is lower", "mirror descent")): ("importance",),
    ("linear_networks", "deep linear networks", ("not above", "optimum reached")): ("importance", "intra", "pairing"),
    ("one_layer", "wᵀA(w)w = c² C_α[h]", ("gated data",)): ("importance", "intra", "pairing"),
    ("one_layer", "energy of a layer", ("sum over nodes",)): ("importance", "intra", "pairing"),
    ("linear_networks", "100 linear nodes, digits", ("top eigenvector, digits",)): ("pairing",),
    ("kernel_lemma", "error against terms", ("all terms",)): ("importance", "intra"),
    ("kernel_lemma", "error against N", ("slope, Gaussian", "slope, uniform")): ("intra", "pairing"),
    ("patterns", "categories", ("categories, ReLU", "categories, energies")): ("pairing",),
    ("modular_addition", "modulus 11", ("one frequency", "all frequencies")): ("importance",),
    ("modular_addition", "group dihedral", ("one representation", "energy of a representation")): ("importance",),
    ("two_layer", "public log", ("logged losses", "logged χ")): ("pairing",),
}


def _name(case):
    return f"{case[0]}-{case[1]}" + ("-torch" if case[0] in ("framework", "two_layer") else "")


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_faults_turn_verdicts_red(case):
    name, part, rules = case
    sound = verdicts(name, part)
    assert {sound[r] for r in rules} == {"holds"}
    for fault in CASES[case]:
        found = verdicts(name, part, **FAULTS[fault])
        assert "fails" in {found[r] for r in rules}, fault
