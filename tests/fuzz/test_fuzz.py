"""Hostile calls for ALPHACL_FUZZ_SECONDS with new seeds; without that ten seconds of always the same ones.

ALPHACL_FUZZ_SEED repeats what was found."""

import os

from . import hunt


def test_hostile_calls_keep_what_is_promised():
    asked = "ALPHACL_FUZZ_SECONDS" in os.environ
    seed = int(os.environ.get("ALPHACL_FUZZ_SEED") or (int.from_bytes(os.urandom(4)) if asked else 1))
    print(f"ALPHACL_FUZZ_SEED={seed}")
    seconds = float(os.environ.get("ALPHACL_FUZZ_SECONDS", "10"))
    calls, findings = hunt(seconds, seed=seed, limit=max(20.0, seconds / 10))
    print(f"{calls.total()} calls: {dict(calls)}")
    assert calls
    assert not findings, f"{len(findings)} findings with ALPHACL_FUZZ_SEED={seed}, see the output"
