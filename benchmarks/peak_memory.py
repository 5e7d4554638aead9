"""Peak memory of losses with gradients as N doubles, and where each provider stops.

python benchmarks/peak_memory.py [CASE ...] [--largest N] [--timeout S] -> results/peak_memory.jsonl

One call of each provider at each N, alone in a process; a provider that fails at one size is not asked for the next.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):
    sys.path[0] = str(ROOT)

from benchmarks.harness import NULL, load_cases  # noqa: E402
from benchmarks.machine import processor, versions  # noqa: E402
from benchmarks.runner import Options, peak_memory  # noqa: E402

LOSSES = ("info-nce", "info-nce-keys", "nt-xent")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", default=LOSSES, help="names; default: the losses")
    parser.add_argument("--smallest", type=int, default=1024)
    parser.add_argument("--largest", type=int, default=65_536)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for one call")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/peak_memory.jsonl")
    args = parser.parse_args(argv)
    cases = load_cases()
    with args.out.open("w", encoding="utf-8") as out, tempfile.TemporaryDirectory() as cache:
        options = Options(rounds=8, threads=args.threads, timeout=args.timeout, cache=cache, say=lambda text: None)
        for name in args.cases:
            case = cases[name]
            left = [provider.name for provider in case.providers if provider.role != NULL]
            n = args.smallest
            while left and n <= args.largest:
                sizes = {**case.sizes, "N": n}
                for provider, result in peak_memory(case, sizes, left, options).items():
                    line = {"case": name, "provider": provider, "sizes": sizes, "threads": args.threads, **result}
                    out.write(json.dumps({**line, "machine": processor(), "versions": versions()}) + "\n")
                    out.flush()
                    extra = result.get("peak_extra_bytes")
                    left = left if extra is not None else [other for other in left if other != provider]
                    text = f"{extra / 2**20:.0f} MiB" if extra is not None else result["reason"]
                    print(f"{name} N={n} {provider}: {text}", flush=True)
                n *= 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
