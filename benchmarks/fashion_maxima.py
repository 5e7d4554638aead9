"""2000 ReLU nodes climb 30 steps on the 70 000 images of Fashion-MNIST, each with its own Gaussian importance.

python benchmarks/fashion_maxima.py [--nodes K] [--steps S] [--images N] prints one JSON line, kept in
results/fashion_maxima.jsonl: time against the floor of the products, peak memory against the data.
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

from benchmarks import machine, rates  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--images", type=int, default=70_000)
    args = parser.parse_args()
    import alphacl_fast as acl
    from alphacl_fast import datasets

    images = datasets.load_fashion_mnist(split="all")[: args.images]
    # Noise alone: under shifts by a pixel the intra-pair part outweighs the rest, and the nodes close for good.
    x, x_aug = (view.reshape(images.shape) for view in datasets.two_views(images.reshape(-1, 28, 28), shift=0))
    del images
    mean = x.mean(axis=0)
    x -= mean
    x_aug -= mean
    n, d = x.shape
    w = np.random.default_rng(0).standard_normal((64, d)).astype(np.float32)
    tau = float(np.mean([np.maximum(x @ v, 0).var() for v in w / np.linalg.norm(w, axis=1, keepdims=True)]))
    gemm = max(rates.gemm_rates("float32", False).values())
    peak = machine.PeakMemory()
    start = perf_counter()
    found = acl.theory.find_local_maxima(
        x, x_aug, args.nodes, alpha=acl.NodeGaussian(tau), max_iter=args.steps, gap=False
    )
    seconds = perf_counter() - start
    growth = peak.growth()
    # Four products a step and node (8 N d operations), two more at the start, two to judge the end.
    operations = 8.0 * n * d * (int(found.steps.sum()) + len(found.steps))
    line = {
        "nodes": args.nodes,
        "steps": int(found.steps.max()),
        "N": n,
        "d": d,
        "tau": tau,
        "seconds": seconds,
        "floor_seconds": operations / gemm,
        "percent_of_floor": 100 * operations / gemm / seconds,
        "peak_extra_bytes": growth,
        "data_bytes": x.nbytes + x_aug.nbytes,
        "peak_over_data": None if growth is None else (growth + x.nbytes + x_aug.nbytes) / (x.nbytes + x_aug.nbytes),
        "maxima": found.num_maxima,
        "highest_energy": float(np.nanmax(found.energy)),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
