"""A minute of hostile calls, others each time: ALPHACL_FUZZ_SEED repeats them, ALPHACL_FUZZ_SECONDS is their time."""

import os

from . import hunt


def test_hostile_calls_keep_what_is_promised():
    seed = int(os.environ.get("ALPHACL_FUZZ_SEED") or int.from_bytes(os.urandom(4)))
    print(f"ALPHACL_FUZZ_SEED={seed}")
    seconds = float(os.environ.get("ALPHACL_FUZZ_SECONDS") or 60)
    calls, findings = hunt(seconds, seed=seed, limit=max(20.0, seconds / 10))
    print(f"{calls.total()} calls: {dict(calls)}")
    assert calls
    assert not findings, f"{len(findings)} findings with ALPHACL_FUZZ_SEED={seed}, see the output"
