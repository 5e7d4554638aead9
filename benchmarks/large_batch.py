"""InfoNCE of 65 536 samples, forwards and backwards, where an N × N array would take 16 GiB.

python benchmarks/large_batch.py [--samples N] [--features M] prints one JSON line, kept in
results/large_batch.jsonl: time against the floor, extra memory of value and gradient together.
"""

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):
    sys.path[0] = str(ROOT)

from benchmarks import losses, machine, rates  # noqa: E402
from benchmarks.cases.info_nce import work  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=65_536)
    parser.add_argument("--features", type=int, default=128)
    args = parser.parse_args()
    import torch

    import alphacl_fast as acl

    sizes = {"N": args.samples, "m": args.features, "tau": 0.5, "dtype": "float32"}
    inputs, _ = losses.make(sizes, np.random.default_rng(0))
    found = rates.best(rates.measure("float32"))
    z, z_aug = (torch.from_numpy(inputs[name]).requires_grad_() for name in ("z", "z_aug"))
    loss = acl.losses.InfoNCE(tau=sizes["tau"])
    loss(z[:256], z_aug[:256]).backward()  # what is loaded at the first call
    z.grad = z_aug.grad = None
    peak = machine.PeakMemory()
    start = perf_counter()
    value = loss(z, z_aug)
    value.backward()
    seconds = perf_counter() - start
    floor = work(sizes).floor_seconds(found)
    line = {
        **sizes,
        "threads": machine.threads(),
        "seconds": seconds,
        "floor_seconds": floor,
        "percent_of_floor": 100 * floor / seconds,
        "peak_extra_bytes": peak.growth(),
        "input_bytes": z.nbytes + z_aug.nbytes,
        "loss": value.item(),
        "gradient_norm": z.grad.norm().item(),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
