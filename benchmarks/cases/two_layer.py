"""Case 10: steps of the published two-layer experiment, with the public setting.

Goal: ten times the speed of plain torch that gathers rows in place of products with one-hot tokens. The truth is that
torch model in float64: here, unlike elsewhere, it is the package's own.
"""

import copy

import numpy as np

from benchmarks.harness import PEER, Case, Goal, Provider, Work, ours


def _setting():
    from alphacl_fast.experiments._two_layer.setting import Setting

    return Setting()


def _network():
    import torch

    from alphacl_fast.experiments._two_layer import model

    return model.TwoLayer(_setting(), torch.Generator().manual_seed(3))


def make(sizes, rng):
    """The batches of a seed: tokens of two views, (steps, batch, locations)."""
    from alphacl_fast.experiments._two_layer import compiled, data

    stream = data.Stream(_setting(), int(rng.integers(1 << 30)))
    tokens, tokens_aug = compiled.draw_batches(stream, sizes["steps"])
    return {"tokens": tokens, "tokens_aug": tokens_aug}, {}


def truth(inputs, sizes) -> np.ndarray:
    """The losses of the steps, in float64."""
    from alphacl_fast.experiments._two_layer import model

    return np.array(model.Trainer(_network().double()).steps(inputs["tokens"], inputs["tokens_aug"]))


def work(sizes):
    """Of a step 12 T K M D for the tables of T tokens that V makes, 4 N K D to add up rows of N samples of two views,
    3 N² D for the scores, which are symmetric; gradients included."""
    s = _setting()
    step = s.output_d * (12.0 * s.num_tokens * s.num_loc * s.nodes + 4.0 * s.batch * s.num_loc + 3.0 * s.batch**2)
    return Work(sizes["steps"] * step, sizes["steps"] * 16.0 * s.batch * s.num_loc, sizes["steps"] * 1.0 * s.batch**2)


def prepare(inputs, sizes):
    from alphacl_fast.experiments._two_layer import compiled

    start = [weight.detach().numpy() for weight in _network().parameters()]

    def call():
        trainer = compiled.Trainer(_setting(), *(weight.copy() for weight in start))
        return trainer.steps(inputs["tokens"], inputs["tokens_aug"])

    return call


def plain_torch(inputs, sizes):
    from alphacl_fast.experiments._two_layer import model

    start = _network()
    return lambda: model.Trainer(copy.deepcopy(start)).steps(inputs["tokens"], inputs["tokens_aug"])


CASE = Case(
    number=10,
    name="two-layer",
    title="training of a two-layer network (arXiv 2206.01342)",
    sizes={"steps": 100, "dtype": "float32"},
    small={"steps": 5, "dtype": "float32"},
    make=make,
    truth=truth,
    work=work,
    providers=(*ours(prepare), Provider("torch", PEER, plain_torch, ("torch", "alphacl_fast"))),
    goals=(Goal("speedup", 10.0, "torch"),),
)
