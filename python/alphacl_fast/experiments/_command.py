"""`alphacl-fast reproduce`: which claims, with which settings; records, pictures and a report go to a folder."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from alphacl_fast._optional import require
from alphacl_fast.experiments._claim import Result
from alphacl_fast.experiments._data import check_given
from alphacl_fast.experiments._folder import claim, claims, in_order
from alphacl_fast.experiments._settings import Settings
from alphacl_fast.experiments._store import Store, key


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("claims", nargs="*", metavar="CLAIM", type=_claim, help="names of claims (default: all)")
    parser.add_argument("--list", action="store_true", help="print the claims and stop")
    parser.add_argument("--quick", action="store_true", help="smaller data and fewer seeds: a minute or two")
    parser.add_argument(
        "--data",
        type=_existing,
        metavar="DIR|ARCHIVE",
        help="further images: JPEG and PNG files at CLASS/NAME, or so below train/ and test/, in a folder or tar",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        default="alphacl_reproduce",
        help="folder for report.html, figures/ and claims/; what it holds of finished claims is not computed again "
        "(default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """0, or 1 where a verdict fails."""
    if args.list:
        for name in in_order():
            print(f"{claim(name).ORDER:>2}  {name:<22} {claim(name).TITLE}")
        return 0
    names = [name for name in in_order() if name in (args.claims or claims())]
    folder = _writable(args.out)
    if args.data is not None:
        check_given(args.data)
    tqdm = require("tqdm").tqdm
    require("matplotlib.figure")
    from alphacl_fast.experiments._report import write_report

    began, results = time.perf_counter(), {}
    # disable=None: a bar on a terminal, none in a pipe.
    with tqdm(total=len(names), disable=None, leave=False, unit="claim") as bar:
        for name in names:
            results[name] = _run_one(name, args, folder, bar)
            bar.write(_summary(name, results[name]), file=sys.stdout)
            bar.update()
    report = write_report(folder, _with_kept(results, args, folder), _facts(args, time.perf_counter() - began))
    print(f"\nThe report: {report}")
    judged = any(verdict.passed is not None for result in results.values() for verdict in result.verdicts)
    if not judged:
        print("No verdict: all that these claims need was left out.")
    return 0 if judged and all(result.passed for result in results.values()) else 1


def _with_kept(results: dict[str, Result], args: argparse.Namespace, folder: Path) -> dict[str, Result]:
    """Beside the claims of this call those that earlier calls with the same settings have finished."""
    settings = Settings(args.quick, args.seed, args.data, args.threads)
    found = {}
    for name in in_order():
        result = results.get(name) or _store(name, settings, folder).load(claim(name), complete=False)
        if result is not None:
            found[name] = result
    return found


def _store(name: str, settings: Settings, folder: Path) -> Store:
    return Store(folder / "claims", name, key(claim(name), settings))


def _run_one(name: str, args: argparse.Namespace, folder: Path, bar: Any) -> Result:
    module = claim(name)

    def watch(part: str) -> None:
        bar.set_description_str(f"{name}: {part}")

    settings = Settings(args.quick, args.seed, args.data, args.threads, watch=watch)
    store = _store(name, settings, folder)
    found = store.load(module)
    if found is None:
        settings.parts = store
        found = module.run(settings)
        store.save(module, found)
    return found


def _summary(name: str, result: Result) -> str:
    lines = [f"{claim(name).ORDER}. {claim(name).TITLE}  ({name}, {sum(result.seconds.values()):.1f} s)"]
    lines += [f"   {v.word:<8}  {v.rule.statement}: {v.as_text()}" for v in result.verdicts]
    lines += [f"   left out  {reason}" for reason in result.left_out]
    return "\n".join(lines)


def _facts(args: argparse.Namespace, seconds: float) -> dict[str, str]:
    return {
        "size": "quick" if args.quick else "full",
        "seed": str(args.seed),
        "data": "none" if args.data is None else args.data.name,
        "this call": f"{seconds:.0f} s",
    }


def _claim(text: str) -> str:
    if text not in claims():
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(claims())}, got {text}")
    return text


def _existing(text: str) -> Path:
    if not Path(text).exists():
        raise argparse.ArgumentTypeError(f"expected a folder or an archive that exists, got {text}")
    return Path(text).absolute()  # "." has a name too


def _writable(folder: Path) -> Path:
    """The folder with its two sub-folders; OSError now rather than after minutes of work."""
    try:
        for place in (folder, folder / "claims", folder / "figures"):
            place.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        raise OSError(f"--out: cannot write {folder}: {error.strerror}") from error
    return folder
