"""The hunt finds what is planted: wrong numbers, changed inputs, hangs, crashes, raw errors; and goes on after each."""

import re

import pytest

from . import hunt

_WRAP = """
import os, time
import alphacl_fast as acl
right = acl.contrastive_cov
calls = 0
def planted(x, x_aug, alpha=None, **options):
    global calls
    calls += 1
    result = right(x, x_aug, alpha, **options)
    {body}
    return result
acl.contrastive_cov = planted
"""

# what -> (what is done with each result, what the report must say)
PLANTED = {
    "a small error": ("result *= 1 + 1e-5", "error .* > allowed"),
    "one entry": ("result[-1, 0] *= 1.25", "error .* > allowed|symmetry"),
    "NaN": ("result *= float('nan')", "error inf > allowed"),
    "another dtype": ("result = result.astype('f2') if hasattr(result, 'astype') else result.half()", "expected float"),
    "a changed input": ("if type(x).__name__ == 'ndarray' and x.flags.writeable: x[:1] -= 1", "input was modified"),
    "a raw error": ("if calls % 5 == 0: raise IndexError('list index out of range')", "IndexError"),
    "a crash": ("if calls % 5 == 0: os.abort()", "the process died with status -6"),
    "a hang": ("if calls % 5 == 0: time.sleep(1e6)", "no end within 2 s"),
}


def _hunt(body, seconds, **options):
    return hunt(seconds, seed=1, names=["contrastive_cov"], setup=_WRAP.format(body=body), **options)


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_found(what):
    body, text = PLANTED[what]
    said = []
    calls, findings = _hunt(body, 120, limit=2.0 if what == "a hang" else 60.0, enough=2, say=said.append)
    assert len(findings) >= 2, f"{calls.total()} calls, {findings}"
    assert any(re.search(text, finding) for _, _, finding in findings), findings
    name, seed, _ = findings[0]
    assert f'run_case("{name}", {seed})' in said[0]


def test_a_hang_that_outlasts_the_hunt_is_found():
    _, findings = _hunt("time.sleep(1e6)", 0, limit=5.0)
    assert ["no end within 5 s" in finding for _, _, finding in findings] == [True], findings


def test_the_case_at_the_end_of_the_hunt_counts():
    calls, findings = _hunt("pass", 0)
    assert (calls.total(), findings) == (1, [])
