"""Timings on one GPU beside torch eager: python benchmarks/gpu.py [--out FILE.jsonl] [--emulated] [CASE ...]

One process, float32 with TF32 off (the default of torch). Each case: inputs on the device, the truth by the N × N
formula in double, every provider's answer against it, then rounds in turn, forwards and backwards, by CUDA events; the
median, and the smallest and largest ratio of a round. A line of JSON per provider, a table last. With --emulated, or
where ALPHACL_FAST_BACKEND=emulated, the kernels run on the CPU at tiny sizes: no timing is meant.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):
    sys.path[0] = str(ROOT)
if "--emulated" in sys.argv:
    os.environ["ALPHACL_FAST_BACKEND"] = "emulated"  # read when the package is imported
EMULATED = os.environ.get("ALPHACL_FAST_BACKEND") == "emulated"

import torch  # noqa: E402

import alphacl_fast as acl  # noqa: E402
from alphacl_fast import _backend  # noqa: E402
from benchmarks import machine  # noqa: E402
from benchmarks.harness import NULL, OURS, PEER  # noqa: E402
from benchmarks.report import bytes_text, number, seconds_text  # noqa: E402

DEVICE = torch.device("cpu" if EMULATED else "cuda")
ROUNDS = 2 if EMULATED else 8
SPAN = 0.0 if EMULATED else 0.01
"""A measurement repeats a call until it lasts about this many seconds."""
BUDGET = 15.0
"""Seconds that the rounds of a case may take: beyond, fewer rounds, at least two."""


@dataclass(frozen=True)
class Provider:
    """make(inputs, sizes) gives the call that is timed; its answer is a tensor or several, compared with the truth."""

    name: str
    role: str
    make: Callable[[dict, dict], Callable[[], Any]]


@dataclass(frozen=True)
class Case:
    """operations, bytes: the least that the result takes (a product of a symmetric result is half of one).

    most: relative error in the Frobenius norm beyond which an answer is wrong.
    """

    name: str
    sizes: dict
    tiny: dict
    make: Callable[[dict], dict]
    truth: Callable[[dict, dict], Any]
    operations: Callable[[dict], float]
    bytes: Callable[[dict], float]
    providers: tuple[Provider, ...]
    most: float = 1e-5


# Inputs and formulas.


def normal(seed, *shape):
    generator = torch.Generator(DEVICE).manual_seed(seed)
    return torch.randn(*shape, generator=generator, device=DEVICE)


def views(sizes):
    x = normal(1, sizes["N"], sizes["d"])
    return {"x": x, "x_aug": x + 0.3 * normal(2, *x.shape)}


def unit(seed, n, m):
    return torch.nn.functional.normalize(normal(seed, n, m))


def gaussian_alpha(features, tau):
    """exp(−‖f_i − f_j‖²/2τ), N × N."""
    f = features.reshape(len(features), -1)
    return torch.cdist(f, f, compute_mode="donot_use_mm_for_euclid_dist").square_().mul_(-0.5 / tau).exp_()


def gaussian_alpha_by_products(features, tau):
    """The same by one matrix product, as a user would write it who is short of time."""
    f = features.reshape(len(features), -1)
    f = (f - f.mean(0)) * tau**-0.5
    half = 0.5 * (f * f).sum(1)
    return (f @ f.T).sub_(half[:, None]).sub_(half).clamp_(max=0).exp_()


def laplacian(x, x_aug, alpha):
    """C_α by matrix products with α, of centred samples."""
    n, mean = len(x), x.mean(0)
    x, x_aug = x - mean, x_aug - mean
    rows, cols, delta = alpha.sum(1), alpha.sum(0), x - x_aug
    cross = x.T @ (alpha @ x)
    total = (x * (rows + cols)[:, None]).T @ x - cross - cross.T - (delta * rows[:, None]).T @ delta
    return total / (2.0 * n * n)


def half_trace(x, x_aug, alpha):
    """E_α = ½ tr C_α by one product with α."""
    n, mean = len(x), x.mean(0)
    x, delta = x - mean, x - x_aug
    rows, cols = alpha.sum(1), alpha.sum(0)
    between = ((rows + cols) * x.square().sum(1)).sum() - 2 * (x * (alpha @ x)).sum()
    return (between - (rows * delta.square().sum(1)).sum()) / (4.0 * n * n)


def info_nce_literal(z, z_aug, tau=0.5):
    """τ log(1 + Σ_{j≠i} e^{(d_i² − d_ij²)/τ}), averaged."""
    square = z.square().sum(1)
    half = (0.5 * (square[:, None] + square) - z @ z.T).clamp(min=0)
    own = 0.5 * (z - z_aug).square().sum(1)
    t = (own[:, None] - half) / tau
    t = t.masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), -torch.inf)
    return tau * torch.logsumexp(torch.cat([torch.zeros_like(t[:, :1]), t], 1), 1).mean()


def nt_xent_literal(a, b, temperature=0.2):
    z = torch.nn.functional.normalize(torch.cat([a, b]))
    scores = (z @ z.T / temperature).fill_diagonal_(-torch.inf)
    half = len(a)
    target = torch.arange(2 * half, device=z.device).roll(half)
    return torch.nn.functional.cross_entropy(scores, target)


def keys_literal(a, b, temperature=0.2):
    a, b = torch.nn.functional.normalize(a), torch.nn.functional.normalize(b)
    return torch.nn.functional.cross_entropy(a @ b.T / temperature, torch.arange(len(a), device=a.device))


def with_gradients(loss):
    """inputs -> a call that gives the loss and its gradients with respect to both views."""

    def make(inputs, sizes):
        a, b = (inputs[name].detach().requires_grad_() for name in ("z", "z_aug"))

        def call():
            value = loss(a, b)
            return (value, *torch.autograd.grad(value, (a, b)))

        return call

    return make


def doubled(inputs):
    return {name: value.double() for name, value in inputs.items()}


def exactly(make):
    """The truth: the same formula in double."""
    return lambda inputs, sizes: make(doubled(inputs), sizes)()


def gated_loop(x, x_aug, weights):
    """gated_cov of ReLU and uniform α, node by node."""
    out = []
    for w in weights:
        gated = [v * (v @ w > 0)[:, None] for v in (x, x_aug)]
        mean, delta = gated[0].mean(0), gated[0] - gated[1]
        # Σ_ij (a_i − a_j)(a_i − a_j)ᵀ / 2N² = aᵀa / N − mean meanᵀ; the same samples' part has N equal terms a sample.
        out.append(gated[0].T @ gated[0] / len(x) - torch.outer(mean, mean) - delta.T @ delta / (2 * len(x)))
    return torch.stack(out)


def product_literal(x, x_aug, weights, v):
    """A(w) v of ReLU and uniform α for all nodes, four matrix products."""
    gates = [view @ weights.T > 0 for view in (x, x_aug)]
    a, a_aug = ((view @ v.T) * gate for view, gate in zip((x, x_aug), gates, strict=True))
    n, delta = len(x), a - a_aug
    z, z_aug = (2 * n * (a - a.mean(0)) - n * delta) * gates[0], n * delta * gates[1]
    return (z.T @ x + z_aug.T @ x_aug) / (2 * n * n)


def products_made(inputs, sizes):
    layer = acl.GatedCovariance(inputs["x"], inputs["x_aug"], inputs["weights"])
    return lambda: layer.matmul(inputs["v"])


def outer_loop(x, omega):
    return torch.stack([(x * w[:, None]).T @ x for w in omega.T])


def ours(make):
    return Provider("ours", OURS, make), Provider("ours again", NULL, make)


def peer(name, make):
    return Provider(name, PEER, make)


def gaussian_make(sizes):
    return {**views(sizes), "features": unit(3, sizes["N"], sizes["m"])}


def scalar_make(sizes):
    return {**views(sizes), "features": normal(3, sizes["N"])}


def energy_operations(s):
    """Two half products."""
    return s["N"] ** 2 * (s["m"] + s["d"])


def covariance_operations(s):
    """And 4Nd² for the rest."""
    return energy_operations(s) + 4.0 * s["N"] * s["d"] ** 2


def by(function, alpha):
    """function(x, x', α) with α made from the features at every call."""
    return lambda i, s: lambda: function(i["x"], i["x_aug"], alpha(i["features"], s["tau"]))


def gaussian_case(name, function, formula, operations, *, d, m, make=gaussian_make):
    """function of ours, formula the same of N × N arrays; α Gaussian in m features."""
    return Case(
        name=name,
        sizes={"N": 8192, "d": d, "m": m, "tau": 0.5},
        tiny={"N": 130, "d": 20, "m": min(m, 5), "tau": 0.5},
        make=make,
        truth=exactly(by(formula, gaussian_alpha)),
        operations=operations,
        bytes=lambda s: 4.0 * s["N"] * (2 * s["d"] + s["m"]),
        providers=(*ours(by(function, acl.Gaussian)), peer("torch eager", by(formula, gaussian_alpha_by_products))),
    )


def loss_case(name, sizes, ours_loss, literal, operations):
    """Both views and both gradients are read or written once."""
    return Case(
        name=name,
        sizes=sizes,
        tiny={**sizes, "N": 96, "m": 16},
        make=lambda s: {"z": unit(1, s["N"], s["m"]), "z_aug": unit(2, s["N"], s["m"])},
        truth=exactly(with_gradients(literal)),
        operations=operations,
        bytes=lambda s: 16.0 * s["N"] * s["m"],
        providers=(*ours(with_gradients(ours_loss)), peer("torch eager", with_gradients(literal))),
    )


def spectra(sizes):
    """B symmetric matrices with 1 on top and the others evenly between 1 − gap and 0, in bases of two reflections."""
    b, d = sizes["B"], sizes["d"]
    u, v = torch.nn.functional.normalize(normal(4, 2, b, d).double(), dim=2)[..., None]
    q = torch.eye(d, dtype=torch.float64, device=DEVICE) - 2 * u @ u.mT
    q = q - 2 * v @ (v.mT @ q)
    values = torch.linspace(1 - sizes["gap"], 0, d - 1, dtype=torch.float64, device=DEVICE)
    values = torch.cat([torch.ones(1, dtype=torch.float64, device=DEVICE), values])
    a = (q.mT * values) @ q
    return {"a": ((a + a.mT) / 2).float()}


def eigen_case(sizes):
    return Case(
        name=f"power_iteration, B = {sizes['B']}",
        sizes={**sizes, "gap": 0.1, "residual": 1e-5},
        tiny={**sizes, "B": 3, "d": 24, "gap": 0.1, "residual": 1e-5},
        make=spectra,
        truth=lambda i, s: torch.linalg.eigh(i["a"].double())[0][:, -1],
        operations=lambda s: 2.0 * s["B"] * s["d"] ** 2 * 20,  # some twenty products
        bytes=lambda s: 4.0 * s["B"] * s["d"] ** 2,
        providers=(
            *ours(lambda i, s: lambda: acl.power_iteration(i["a"], tol=s["residual"]).eigenvalue),
            peer("torch eigh", lambda i, s: lambda: torch.linalg.eigh(i["a"])[0][:, -1]),
        ),
    )


CASES = (
    Case(
        name="contrastive_cov, dense",
        sizes={"N": 8192, "d": 256},
        tiny={"N": 130, "d": 20},
        make=lambda s: {**views(s), "alpha": normal(3, s["N"], s["N"]).abs_()},
        truth=exactly(lambda i, s: lambda: laplacian(i["x"], i["x_aug"], i["alpha"])),
        operations=lambda s: s["N"] ** 2 * s["d"] + 4.0 * s["N"] * s["d"] ** 2,
        bytes=lambda s: 4.0 * s["N"] * (s["N"] + 2 * s["d"]),
        providers=(
            *ours(lambda i, s: lambda: acl.contrastive_cov(i["x"], i["x_aug"], i["alpha"])),
            peer("torch eager", lambda i, s: lambda: laplacian(i["x"], i["x_aug"], i["alpha"])),
        ),
    ),
    gaussian_case("contrastive_cov, Gaussian", acl.contrastive_cov, laplacian, covariance_operations, d=256, m=64),
    gaussian_case(
        "contrastive_cov, scalars", acl.contrastive_cov, laplacian, covariance_operations, d=256, m=1, make=scalar_make
    ),
    gaussian_case("energy, Gaussian", acl.energy, half_trace, energy_operations, d=128, m=64),
    Case(
        name="gated_outer",
        sizes={"K": 64, "N": 50000, "d": 256},
        tiny={"K": 3, "N": 200, "d": 20},
        make=lambda s: {"x": normal(1, s["N"], s["d"]), "omega": normal(2, s["N"], s["K"]).clamp_(min=0)},
        truth=exactly(lambda i, s: lambda: outer_loop(i["x"], i["omega"])),
        operations=lambda s: 0.5 * s["K"] * s["N"] * s["d"] ** 2,
        bytes=lambda s: 4.0 * (s["N"] * (s["d"] + s["K"]) + s["K"] * s["d"] ** 2),
        providers=(
            *ours(lambda i, s: lambda: acl.gated_outer(i["x"], i["omega"])),
            peer("torch loop", lambda i, s: lambda: outer_loop(i["x"], i["omega"])),
        ),
    ),
    Case(
        name="gated_cov, ReLU, uniform",
        sizes={"K": 64, "N": 50000, "d": 256},
        tiny={"K": 3, "N": 200, "d": 20},
        make=lambda s: {**views(s), "weights": normal(3, s["K"], s["d"])},
        truth=exactly(lambda i, s: lambda: gated_loop(i["x"], i["x_aug"], i["weights"])),
        operations=lambda s: 1.0 * s["K"] * s["N"] * s["d"] ** 2,
        bytes=lambda s: 4.0 * (2 * s["N"] * s["d"] + s["K"] * s["d"] * (s["d"] + 1)),
        providers=(
            *ours(lambda i, s: lambda: acl.gated_cov(i["x"], i["x_aug"], i["weights"])),
            peer("torch loop", lambda i, s: lambda: gated_loop(i["x"], i["x_aug"], i["weights"])),
        ),
        most=1e-4,  # a gate at 0 may open in double alone
    ),
    Case(
        name="GatedCovariance, a product of every node",
        sizes={"K": 256, "N": 50000, "d": 256},
        tiny={"K": 3, "N": 200, "d": 20},
        make=lambda s: {**views(s), "weights": normal(3, s["K"], s["d"]), "v": normal(4, s["K"], s["d"])},
        truth=exactly(
            lambda i, s: lambda: torch.einsum("kij,kj->ki", gated_loop(i["x"], i["x_aug"], i["weights"]), i["v"])
        ),
        operations=lambda s: 8.0 * s["K"] * s["N"] * s["d"],
        bytes=lambda s: 4.0 * (2 * s["N"] * s["d"] + 3 * s["K"] * s["d"]),
        providers=(
            *ours(products_made),
            peer("torch", lambda i, s: lambda: product_literal(i["x"], i["x_aug"], i["weights"], i["v"])),
        ),
        most=1e-4,  # a gate at 0 may open in double alone
    ),
    loss_case(
        "InfoNCE of the family",
        {"N": 8192, "m": 128},
        acl.losses.InfoNCE(tau=0.5),
        info_nce_literal,
        lambda s: 4.0 * s["N"] ** 2 * s["m"],
    ),
    loss_case(
        "info_nce of two sets",
        {"N": 8192, "m": 128},
        lambda a, b: acl.losses.info_nce(a, b, temperature=0.2),
        keys_literal,
        lambda s: 8.0 * s["N"] ** 2 * s["m"],
    ),
    loss_case(
        "nt_xent",
        {"N": 4096, "m": 128},
        lambda a, b: acl.losses.nt_xent(a, b, temperature=0.2),
        nt_xent_literal,
        lambda s: 16.0 * s["N"] ** 2 * s["m"],
    ),
    eigen_case({"B": 1024, "d": 128}),
    eigen_case({"B": 4096, "d": 32}),
    eigen_case({"B": 64, "d": 512}),
)


# Measuring.


def seconds(call, repeats):
    """Seconds per call, of `repeats` in a row."""
    if EMULATED:
        begin = perf_counter()
        for _ in range(repeats):
            call()
        return (perf_counter() - begin) / repeats
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(repeats):
        call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3 / repeats


def rates():
    """Bytes a second of a copy (read and written), operations a second of matrix products in float32 and float64."""
    side = 256 if EMULATED else 8192
    a = normal(9, side, side)
    found, to = {}, torch.empty_like(a)
    products = {"gemm_float32": a, "gemm_float64": a.double()}
    calls = {"copy": (lambda: to.copy_(a), 2.0 * a.nbytes)}
    for name, m in products.items():
        calls[name] = (lambda m=m: m @ m, 2.0 * side**3)
    for name, (call, work) in calls.items():
        seconds(call, 2)
        found[name] = work / min(seconds(call, 5) for _ in range(3))
    return found


def clocks():
    """What nvidia-smi says of the first GPU just now."""
    if EMULATED:
        return {}
    query = "clocks.sm,clocks.mem,clocks.max.sm,power.draw,temperature.gpu"
    command = ["nvidia-smi", "--id=0", f"--query-gpu={query}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except OSError:
        return {}
    return dict(zip(query.split(","), (v.strip() for v in done.stdout.split(",")), strict=False))


def facts():
    """Device and versions, in every line."""
    device = "emulated on the CPU" if EMULATED else torch.cuda.get_device_name(0)
    info = _backend.cuda_info() or {}
    kept = {key: info.get(key) for key in ("toolkit", "architectures", "driver")}
    return {"device": device, "cuda": kept, "torch_cuda": torch.version.cuda, "versions": machine.versions()}


def parts(answer):
    return answer if isinstance(answer, tuple) else (answer,)


def error(answer, truth):
    """The largest ‖answer − truth‖ / ‖truth‖ of the parts."""
    pairs = zip(parts(answer), parts(truth), strict=True)
    return max(float((a.detach().double() - t.detach()).norm() / t.detach().norm()) for a, t in pairs)


def reason_of(failure):
    text = " ".join(str(failure).split())
    return "oom" if "out of memory" in text else f"error: {type(failure).__name__}: {text[:200]}"


def peak_of(call):
    """The answer of a call, and the most memory that it takes beyond what there is."""
    if EMULATED:
        return call(), None
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    answer = call()
    torch.cuda.synchronize()
    return answer, torch.cuda.max_memory_allocated() - before


def measure(case):
    """One record per provider. A wrong answer, or an error, is a reason and has no time."""
    sizes = case.tiny if EMULATED else case.sizes
    inputs = case.make(sizes)
    truth = case.truth(inputs, sizes)
    records, calls = {}, {}
    for provider in case.providers:
        record = {"provider": provider.name, "role": provider.role, "seconds": [], "rel_error": None, "reason": None}
        records[provider.name] = record
        try:
            call = provider.make(inputs, sizes)
            call()
            answer, record["peak_extra_bytes"] = peak_of(call)
            record["rel_error"] = error(answer, truth)
            del answer
            if not record["rel_error"] <= case.most:
                record["reason"] = f"wrong: error {record['rel_error']:.1e}, allowed {case.most:.0e}"
            else:
                calls[provider.name] = call
        except Exception as failure:
            record["reason"] = reason_of(failure)
    del truth
    repeats, total = {}, 0.0
    for name, call in calls.items():
        once = min(seconds(call, 1), seconds(call, 1))
        repeats[name] = max(1, min(100, int(SPAN / once)))
        total += once * repeats[name]
    rounds = ROUNDS if total * ROUNDS <= BUDGET else max(2, int(BUDGET / total) // 2 * 2)
    for turn in range(rounds):
        for name in calls if turn % 2 == 0 else reversed(calls):
            records[name]["seconds"].append(seconds(calls[name], repeats[name]))
    return sizes, list(records.values())


def finish(case, sizes, records, rate):
    """Medians, ratios, shares of the measured rates."""
    own = next(r["seconds"] for r in records if r["role"] == OURS)
    for record in records:
        spent = record["seconds"]
        record["median_seconds"] = at = median(spent) if spent else None
        ratios = [theirs / mine for theirs, mine in zip(spent, own, strict=True)] if spent and own else None
        record["ratio_to_ours"] = ratios and {"median": median(ratios), "low": min(ratios), "high": max(ratios)}
        record["percent_of_copy"] = at and 100 * case.bytes(sizes) / rate["copy"] / at
        for kind in ("float32", "float64"):
            record[f"percent_of_gemm_{kind}"] = at and 100 * case.operations(sizes) / rate[f"gemm_{kind}"] / at


def table(records, rate):
    header = ("case", "provider", "time", "x ours", "of FP64", "of FP32", "of copy", "extra memory", "error")
    rows = [header]
    for r in records:
        if r["reason"]:
            rows.append((r["case"], r["provider"], r["reason"], *[""] * 6))
            continue
        ratio = r["ratio_to_ours"]
        band = f"{number(ratio['median'])} ({number(ratio['low'])}-{number(ratio['high'])})" if ratio else "-"
        shares = [
            f"{r[key]:.0f} %" for key in ("percent_of_gemm_float64", "percent_of_gemm_float32", "percent_of_copy")
        ]
        end = bytes_text(r.get("peak_extra_bytes")), f"{r['rel_error']:.0e}"
        rows.append((r["case"], r["provider"], seconds_text(r["median_seconds"]), band, *shares, *end))
    widths = [max(len(row[k]) for row in rows) for k in range(len(header))]
    widths[2] = 10  # a reason may be longer
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    print(
        f"measured here: copy {rate['copy'] / 1e9:.0f} GB/s, products {rate['gemm_float64'] / 1e12:.3g} (float64, by "
        f"tensor cores where there are some) and {rate['gemm_float32'] / 1e12:.3g} TFLOP/s (float32)"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help="parts of names; default: all")
    parser.add_argument("--out", type=Path, help="append the lines to this file")
    parser.add_argument("--emulated", action="store_true", help="tiny sizes on the CPU: does everything run?")
    parser.add_argument("--list", action="store_true", help="names of the cases")
    options = parser.parse_args()
    chosen = [c for c in CASES if not options.cases or any(part in c.name for part in options.cases)]
    if options.list or not chosen:
        print(*(c.name for c in CASES), sep="\n")
        return 0 if options.list else 2
    if not EMULATED and not torch.cuda.is_available():
        print("benchmarks/gpu.py: no GPU; --emulated tries the script without one", file=sys.stderr)
        return 2
    torch.backends.cuda.matmul.allow_tf32 = False
    common, rate, records = facts(), rates(), []
    print(f"{common['device']}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    for case in chosen:
        before = clocks()
        try:
            sizes, found = measure(case)
        except Exception as failure:  # the inputs or the truth do not fit: the other cases go on
            sizes, found = case.sizes, [{"provider": "ours", "role": OURS, "seconds": [], "reason": reason_of(failure)}]
        finish(case, sizes, found, rate)
        after = clocks()
        if not EMULATED:
            torch.cuda.empty_cache()
        for record in found:
            line = {"case": case.name, **record, "sizes": sizes, "dtype": "float32", "rates": rate, **common}
            line |= {"timer": "wall clock" if EMULATED else "CUDA events", "clocks": [before, after]}
            records.append(line)
            if options.out:
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
        print(f"  {case.name}: {', '.join(seconds_text(r['median_seconds']) for r in found)}", flush=True)
    print()
    if EMULATED:
        print("emulated, no timing is meant")
    table(records, rate)
    return 1 if any(r["reason"] for r in records if r["role"] == OURS) else 0


if __name__ == "__main__":
    sys.exit(main())
