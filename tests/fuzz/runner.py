"""Runs cases in worker processes: a crash or a hang costs a worker and names its case."""

import argparse
import collections
import json
import os
import queue
import select
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

TESTS = Path(__file__).parents[1]


def run_case(name, seed):
    """The case again, here and now: raises what it finds, and returns the case with its `arguments`."""
    from .case import Case
    from .subjects import SUBJECTS

    case = Case(name, seed)
    try:
        SUBJECTS[name](case)
        case.check_guards()
    except Exception as error:
        error.add_note(f"{case}")
        raise
    return case


def outcome(name, seed):
    """None, or what is to be printed about the case."""
    try:
        run_case(name, seed)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f" ({Path(last.filename).name}:{last.lineno})"
        return f"{type(error).__name__}: {str(error)[:600]}{where}\n    {error.__notes__[-1]}"
    return None


def work(names, seed, first, journal, setup):
    """In the worker: cases first, first + 1, … for ever; the one at hand stands in the journal."""
    from .case import Case
    from .subjects import SUBJECTS  # noqa: F401  what takes time to import counts for no case

    exec(setup, {})
    handle = os.open(journal, os.O_WRONLY | os.O_CREAT)
    print("ready", flush=True)
    for number in range(first, sys.maxsize):
        name, own = names[number % len(names)], case_seed(seed, number)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{number} {name} {own}\n".encode(), 0)
        Case.say = lambda text: os.write(handle, f"    {text}\n".encode())
        os.lseek(handle, 0, os.SEEK_END)
        print(json.dumps([number, name, own, outcome(name, own)]), flush=True)


def case_seed(seed, number):
    return (seed * 1_000_003 + number) % 2**53


def pasteable(name, seed):
    return f'from tests.fuzz import run_case; run_case("{name}", {seed})'


class _Worker:
    """A process that works through the cases of one lane."""

    def __init__(self, names, seed, first, limit, setup):
        self.limit, self.start = limit, max(60.0, limit)
        self.folder = tempfile.TemporaryDirectory()
        self.journal = Path(self.folder.name) / "case"
        self.errors = (Path(self.folder.name) / "stderr").open("w+b")
        command = [
            sys.executable,
            "-m",
            "fuzz",
            "--work",
            json.dumps([names, seed, first, str(self.journal), setup]),
        ]
        # Threads that spin while they wait take minutes for what takes a second, where other workers want the cores.
        one = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
        environment = {**os.environ, **one}
        if "LD_PRELOAD" not in environment:  # sanitizers report for themselves
            environment["PYTHONFAULTHANDLER"] = "1"
        self.process = subprocess.Popen(command, cwd=TESTS, env=environment, stdout=subprocess.PIPE, stderr=self.errors)
        self.buffer = b""

    def line(self):
        """The next line, or an exception where the worker died or hangs."""
        deadline = time.monotonic() + self.limit + self.start
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise _LostError(f"no end within {self.limit:g} s", self)
            ready, _, _ = select.select([self.process.stdout], [], [], min(left, 1.0))
            if ready:
                chunk = os.read(self.process.stdout.fileno(), 1 << 16)
                if not chunk:
                    raise _LostError(f"the process died with status {self.process.wait()}", self)
                self.buffer += chunk
        self.start = 0.0  # what is imported once
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode()

    def case(self):
        """Number, name, seed of the case at hand, and what it had said of itself."""
        first, *notes = self.journal.read_text().splitlines()
        number, name, seed = first.split()
        return int(number), name, int(seed), "\n".join(notes)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()
        self.folder.cleanup()


class _End:
    """When everybody stops."""

    def __init__(self, seconds):
        self.time = time.monotonic() + seconds


class _LostError(Exception):
    def __init__(self, what, worker):
        worker.errors.seek(0)
        tail = worker.errors.read().decode(errors="replace")[-3000:]
        super().__init__(f"{what}\n{tail}".rstrip())


def _lane(names, seed, first, until, limit, setup, found):
    """Cases from `first` on, the last being at hand at the end of the time; a new worker after each that is lost."""
    over = False
    while not over:
        worker = _Worker(names, seed, first, limit, setup)
        try:
            assert worker.line() == "ready"
            while not over:
                number, name, own, text = json.loads(worker.line())
                first = number + 1
                found.put((name, own, text))
                over = time.monotonic() >= until.time
        except _LostError as lost:
            if not worker.journal.exists():
                found.put(("start of a worker", 0, str(lost)))
                return
            number, name, own, notes = worker.case()
            first = number + 1
            found.put((name, own, f"{lost}\n{notes}"))
            over = time.monotonic() >= until.time
        finally:
            worker.close()


def hunt(seconds, *, seed, names=None, jobs=1, limit=60.0, say=print, setup="", enough=None):
    """Runs for so long; returns the number of calls by name and the findings (name, seed, text).

    The cases at hand at the end come to their own. limit: seconds that a case may take. enough: findings that end it.
    setup: what each worker executes first, for the tests of the hunt itself.
    """
    if names is None:
        from .subjects import SUBJECTS

        names = list(SUBJECTS)
    found, until = queue.Queue(), _End(seconds)
    lanes = [
        threading.Thread(target=_lane, args=(names, seed, lane * 10**9, until, limit, setup, found), daemon=True)
        for lane in range(jobs)
    ]
    for lane in lanes:
        lane.start()
    calls, findings, shown = collections.Counter(), [], time.monotonic()
    while any(lane.is_alive() for lane in lanes) or not found.empty():
        try:
            name, own, text = found.get(timeout=0.2)
        except queue.Empty:
            continue
        calls[name] += 1
        if text is not None:
            findings.append((name, own, text))
            say(f"\n{name} {own}: {text}\n    {pasteable(name, own)}")
            if enough is not None and len(findings) >= enough:
                until.time = 0.0
        if time.monotonic() - shown > 30:
            shown = time.monotonic()
            say(f"{calls.total()} calls, {len(findings)} findings, {until.time - shown:.0f} s left")
    return calls, findings


def main(argv=None):
    from .subjects import SUBJECTS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Hostile calls against literal sums.")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, printed")
    parser.add_argument("--only", nargs="+", choices=sorted(SUBJECTS), metavar="NAME", help=", ".join(SUBJECTS))
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds that one case may take")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.work:
        return work(*json.loads(options.work))
    seed = int.from_bytes(os.urandom(4)) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    calls, findings = hunt(
        60 * options.minutes,
        seed=seed,
        names=options.only or list(SUBJECTS),
        jobs=options.jobs,
        limit=options.limit,
        say=lambda text: print(text, flush=True),
    )
    print(f"\nseed {seed}: {calls.total()} calls, {len(findings)} findings")
    for name, count in sorted(calls.items()):
        print(f"  {name:24s} {count:8d} calls {sum(f[0] == name for f in findings):6d} findings")
    return 1 if findings else 0
