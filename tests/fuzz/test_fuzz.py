"""Hostile calls, others each time, for ALPHACL_FUZZ_SECONDS; ALPHACL_FUZZ_SEED repeats them.

Not part of a plain `pytest`: the hunt still finds a corner once in some thousand calls, and a test run must not depend
on luck. `.ci/run` hunts for a minute and prints what it finds.
"""

import os

import pytest

from . import hunt


@pytest.mark.skipif("ALPHACL_FUZZ_SECONDS" not in os.environ, reason="the hunt is asked for by ALPHACL_FUZZ_SECONDS")
def test_hostile_calls_keep_what_is_promised():
    seed = int(os.environ.get("ALPHACL_FUZZ_SEED") or int.from_bytes(os.urandom(4)))
    print(f"ALPHACL_FUZZ_SEED={seed}")
    seconds = float(os.environ["ALPHACL_FUZZ_SECONDS"])
    calls, findings = hunt(seconds, seed=seed, limit=max(20.0, seconds / 10))
    print(f"{calls.total()} calls: {dict(calls)}")
    assert calls
    assert not findings, f"{len(findings)} findings with ALPHACL_FUZZ_SEED={seed}, see the output"
