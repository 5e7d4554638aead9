"""The `alphacl-fast` command: one sub-command per module with `add_arguments(parser)` and `run(args)`.

Every command takes --threads; those whose answer depends on random numbers also --seed.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from alphacl_fast import _backend, _info, demo
from alphacl_fast._optional import MissingPackageError
from alphacl_fast._threads import MOST, set_num_threads
from alphacl_fast.datasets import DamagedFileError
from alphacl_fast.experiments import _command as reproduce

_COMMANDS = {
    "demo": (demo, "leading eigenvectors of C_α on real images, and what nodes learn: tables and a picture", True),
    "reproduce": (reproduce, "every claim of the poster: numbers, pictures and a verdict each, in one report", True),
    "info": (_info, "facts of this build and machine: versions, instruction set, BLAS, OpenMP, CUDA", False),
}  # module, summary, whether it is random


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code, or 2 with one sentence on stderr when something outside is missing or wrong."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # α and × where the locale has neither
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    if args.threads is not None:
        set_num_threads(args.threads)
    try:
        code = args.run(args) or 0
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has gone; without this Python complains once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except (MissingPackageError, DamagedFileError, OSError) as error:
        print(f"alphacl-fast: {error}", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    version = argparse.ArgumentParser(add_help=False)
    version.add_argument("--version", action="version", version=f"alphacl-fast {_backend.build_info()['version']}")
    common = argparse.ArgumentParser(add_help=False, parents=[version])
    common.add_argument(
        "--threads", type=_threads, help="number of threads (default: what OpenMP takes, e.g. OMP_NUM_THREADS)"
    )
    random = argparse.ArgumentParser(add_help=False)
    random.add_argument("--seed", type=_seed, default=0, help="seed of everything random (default: %(default)s)")
    parser = argparse.ArgumentParser(
        prog="alphacl-fast",
        description="Contrastive covariance of paired views, with pairwise importances, without N×N arrays.",
        parents=[version],
    )
    commands = parser.add_subparsers(metavar="COMMAND", dest="command")
    for name, (module, summary, is_random) in _COMMANDS.items():
        parents = [common, random] if is_random else [common]
        command = commands.add_parser(name, help=summary, description=summary, parents=parents)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def _seed(text: str) -> int:
    return _integer(text, 0, None)


def _threads(text: str) -> int:
    return _integer(text, 1, MOST)


def _integer(text: str, low: int, high: int | None) -> int:
    bounds = f">= {low}" if high is None else f"from {low} to {high}"
    try:
        value = int(text)
    except ValueError:
        value = None
    if value is None or value < low or (high is not None and value > high):
        raise argparse.ArgumentTypeError(f"expected an integer {bounds}, got {text}")
    return value
