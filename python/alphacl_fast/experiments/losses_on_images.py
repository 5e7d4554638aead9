"""On real images InfoNCE's importance learns better features than the uniform one of the quadratic loss.

Claim: Encoders trained with InfoNCE (normalised Gaussian α) classify better, by a linear probe, than with the quadratic
loss (uniform α): 87.86 ± 0.12 against 73.58 ± 0.82 % on CIFAR-10, 83.70 ± 0.12 against 67.28 ± 1.21 % on STL-10.
Source: poster, last table (its figures; ResNet-18, far longer training than here); arXiv 2206.01342, Table 1.
Test: A small convolutional encoder trained on the CPU by InfoNCE, the quadratic loss and (without --quick) α-CL-direct
from the same seeds; the accuracy of logistic regression on its features, on test images. The order is tested, not the
poster's figures. Beside it, the probe on the same encoder before training.
Refuted by: A mean accuracy of InfoNCE that is not above that of the quadratic loss by two standard errors.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from alphacl_fast import Direct
from alphacl_fast._optional import require
from alphacl_fast.experiments import _data
from alphacl_fast.experiments._claim import Figure, Numbers, Result, Rule
from alphacl_fast.experiments._settings import Settings
from alphacl_fast.experiments._style import CYCLE, absent, array

TITLE = "InfoNCE against the quadratic loss on real images"
ORDER = 8
USES_DATA = True  # the images of --data
_LOSSES = ("InfoNCE", "Quadratic", "α-CL-direct")  # with --quick without the last one
_SETS = ("fashion", "data")
_NOT_TRAINED = "not trained"
POSTER = {"CIFAR-10": {"InfoNCE": 87.86, "Quadratic": 73.58}, "STL-10": {"InfoNCE": 83.70, "Quadratic": 67.28}}


def run(settings: Settings) -> Result:
    """One part per training."""
    found: Numbers = {}
    for name in _SETS:
        loaded = settings.part(f"{name}: reading", lambda n=name: _described(n, settings))
        if loaded is None:
            continue
        accuracy: Numbers = {}
        for loss in (_NOT_TRAINED, *_LOSSES[: settings.pick(2, 3)]):
            accuracy[loss] = [
                settings.part(f"{name}: {loss}, seed {s}", lambda n=name, k=loss, s=s: _accuracy(n, k, s, settings))
                for s in range(settings.seed, settings.seed + 3)
            ]
        found[name] = {**loaded, "accuracy": accuracy}
    return settings.result({"images": found, "poster": POSTER}, RULES, FIGURES)


def _size(settings: Settings) -> tuple[int, int, int]:
    """Images, steps and batch of a training."""
    return settings.pick((2000, 30, 96), (20_000, 300, 256))


def _images(name: str, settings: Settings) -> tuple[Any, ...]:
    """Training and test images and labels, as tensors."""
    settings.torch()
    return _read(name, settings.data, _size(settings)[0])


@functools.lru_cache(maxsize=1)
def _read(name: str, data: Path | None, count: int) -> tuple[Any, ...]:
    torch = require("torch")
    if name == "fashion":
        from alphacl_fast.experiments._training import load_labelled

        return load_labelled("fashion", None, count)
    arrays = []
    for split in ("train", "test"):
        pixels, labels = _data.read_given(data, split)
        arrays += [pixels[:count].astype(np.float32) / np.float32(255), labels[:count]]
    return tuple(torch.from_numpy(a) for a in arrays)


def _described(name: str, settings: Settings) -> Numbers:
    parts = _images(name, settings)
    _, steps, batch = _size(settings)
    title = "Fashion-MNIST" if name == "fashion" else _data.title_of(settings.data)
    return {"title": title, "train": len(parts[0]), "test": len(parts[2]), "steps": steps, "batch": batch}


def _loss(name: str, settings: Settings) -> Any:
    from alphacl_fast import losses

    if name == "Quadratic":
        return losses.Quadratic()
    given = losses.InfoNCE(tau=0.1).importance if name == "InfoNCE" else lambda z, z_aug: Direct(z, p=4, tau=0.1)
    return losses.AlphaCLLoss(lambda z, z_aug: settings.hooks.importance(given(z, z_aug)))


def _accuracy(name: str, loss: str, seed: int, settings: Settings) -> float:
    """Per cent right on the test images."""
    torch = settings.torch()
    from alphacl_fast.experiments._training import SmallEncoder, probe, train

    data = _images(name, settings)
    _, steps, batch = _size(settings)
    torch.manual_seed(seed)
    encoder = SmallEncoder(data[0].shape[1])
    if loss != _NOT_TRAINED:
        compared, pairing = _loss(loss, settings), settings.hooks.pairing

        def paired(z: Any, z_aug: Any) -> Any:
            return compared(*pairing(z, z_aug))

        train(paired, data[0], steps=steps, batch=batch, seed=seed, encoder=encoder)
    return probe(encoder, data)


def _ahead(name: str) -> Any:
    """InfoNCE's mean minus Quadratic's, in standard errors of that difference."""

    def measure(numbers: Numbers) -> float | None:
        scores = numbers["images"].get(name, {}).get("accuracy", {})
        given = [scores.get(loss) for loss in ("InfoNCE", "Quadratic")]
        if any(runs is None or None in runs for runs in given):
            return None
        mine, theirs = map(array, given)
        error = np.sqrt(mine.var(ddof=1) / len(mine) + theirs.var(ddof=1) / len(theirs))
        return float((mine.mean() - theirs.mean()) / max(error, 1e-12))

    return measure


RULES = tuple(
    Rule(
        f"InfoNCE ahead, {name}",
        f"{title}: InfoNCE's mean probe accuracy above Quadratic's, in standard errors of the difference",
        _ahead(name),
        ">",
        2,
    )
    for name, title in (("fashion", "Fashion-MNIST"), ("data", "images of --data"))
)


def _draw(axes: Any, numbers: Numbers) -> None:
    for place, name in zip(axes[0], _SETS, strict=False):
        found = numbers["images"].get(name)
        if found is None or any(None in scores for scores in found["accuracy"].values()):
            absent(place, name)
            continue
        for index, (loss, scores) in enumerate(found["accuracy"].items()):
            colour = "0.6" if loss == _NOT_TRAINED else CYCLE[index - 1]
            mean = float(np.mean(scores))
            place.bar(index, mean, 0.7, color=colour, alpha=0.35)
            place.plot(index + np.linspace(-0.15, 0.15, len(scores)), scores, "o", color=colour, markersize=3.5)
            place.text(index, max(scores), f"{mean:.1f}\n", ha="center", va="center", size=7)
        low = min(min(scores) for scores in found["accuracy"].values())
        high = max(max(scores) for scores in found["accuracy"].values())
        place.set_ylim(max(0, low - 0.5 * (high - low) - 1), high + 0.25 * (high - low) + 0.5)
        place.set_xticks(
            range(len(found["accuracy"])), [k.replace(" ", "\n").replace("-d", "\nd") for k in found["accuracy"]]
        )
        place.set_title(f"{found['title']}\n{found['train']} images, {found['steps']} steps")
    axes[0, 0].set_ylabel("linear probe, % right")
    place = axes[0, 2]
    for group, (name, figures) in enumerate(numbers["poster"].items()):
        for k, loss in enumerate(("InfoNCE", "Quadratic")):
            at = 3 * group + k
            place.bar(at, figures[loss], 0.8, color="white", edgecolor=CYCLE[k], hatch="///")
            place.text(at, figures[loss] + 0.7, f"{figures[loss]:.1f}", ha="center", size=7)
        place.text(3 * group + 0.5, 62, name, ha="center", va="bottom", size=7, backgroundcolor="white")
    place.set_xticks([0, 1, 3, 4], ["InfoNCE", "Quad.", "InfoNCE", "Quad."])
    place.set(ylim=(60, 92), title="quoted from the poster")


FIGURES = (
    Figure(
        "accuracy",
        "Linear probe on test images after training without labels; dots are seeds, bars their means (the axes do "
        "not begin at 0). InfoNCE is above the quadratic loss. Hatched: the poster's own figures, with ResNet-18 and "
        "full training, quoted.",
        _draw,
        (1, 3),
        (7.2, 2.9),
        needs=("images",),
    ),
)
