"""Starts a measuring process and reads its events, each within a time limit."""

import json
import os
import select
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from benchmarks.machine import thread_environment

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Outcome:
    """The events that came, and why the process ended early (None: it did not)."""

    events: list[dict] = field(default_factory=list)
    failure: str | None = None

    def all(self, event: str) -> list[dict]:
        return [e for e in self.events if e["event"] == event]

    def first(self, event: str) -> dict | None:
        return next(iter(self.all(event)), None)


def run_worker(mode: str, spec: dict, limits: dict[str, float], verbose: bool = False) -> Outcome:
    """limits: seconds allowed after the event of that name (and after "begin"); "" for any other."""
    path = Path(spec["folder"]) / f"{mode}.json"
    path.write_text(json.dumps(spec))
    environment = {**os.environ, **thread_environment(spec["threads"])}
    if spec["isa"] is not None:
        environment["ALPHACL_FAST_ISA"] = spec["isa"]
    environment["KEOPS_CACHE_FOLDER"] = str(Path(spec["cache"]) / "keops")
    environment["TORCHINDUCTOR_CACHE_DIR"] = str(Path(spec["cache"]) / "inductor")
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.worker", mode, str(path)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=None if verbose else subprocess.DEVNULL,
        start_new_session=True,
    )
    with process:
        finished = False
        try:
            outcome = _read(process, limits)
            finished = outcome.failure is None
        finally:
            if not finished:  # also when the reader is interrupted: leave nothing running
                os.killpg(process.pid, signal.SIGKILL)
    if outcome.failure is None and process.returncode:
        code = process.returncode
        outcome.failure = "oom (killed)" if code == -signal.SIGKILL else f"crash (exit status {code})"
    return outcome


def _read(process: subprocess.Popen, limits: dict[str, float]) -> Outcome:
    outcome, pending = Outcome(), b""
    deadline = monotonic() + limits.get("begin", limits[""])
    while True:
        left = deadline - monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            outcome.failure = "timeout"
            return outcome
        chunk = os.read(process.stdout.fileno(), 1 << 16)
        if not chunk:
            return outcome
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            event = json.loads(line)
            outcome.events.append(event)
            deadline = monotonic() + limits.get(event["event"], limits[""])
