"""The published two-layer experiment: its stream of draws, its network and losses, its measures, its logged losses."""

import random
import sys

import numpy as np
import pytest
from support import torch as import_torch

from alphacl_fast import experiments
from alphacl_fast.experiments import Settings
from alphacl_fast.experiments._two_layer.data import WILDCARD, Stream, draw_patterns
from alphacl_fast.experiments._two_layer.metrics import chi
from alphacl_fast.experiments._two_layer.setting import ACTIVATIONS, Setting

two_layer = experiments.claim("two_layer")
SMALL = Setting(
    num_loc=4, num_tokens=6, tokens_per_loc=3, num_patterns=5, pattern_len=2, aug_degree=1, beta=2, output_d=3, batch=8
)

# Data.


class Recorder(random.Random):
    """A generator that writes down what was asked for."""

    def __init__(self, seed):
        super().__init__(seed)
        self.asked = []

    def shuffle(self, x):
        self.asked.append(("shuffle", tuple(x)))
        x.reverse()

    def choice(self, seq):
        self.asked.append(("choice", tuple(seq)))
        return seq[0]

    def choices(self, population, *, k):
        self.asked.append(("choices", len(population), k))
        return list(population[:k])

    def randint(self, a, b):
        self.asked.append(("randint", a, b))
        return b


def test_patterns_by_hand():
    """Lists are shuffled in place: the second shuffle begins where the first ended."""
    rng = Recorder(0)
    setting = Setting(num_loc=2, num_tokens=3, tokens_per_loc=2, num_patterns=2, pattern_len=1, aug_degree=1)
    assert draw_patterns(setting, rng) == [[WILDCARD, 0], [2, WILDCARD]]
    assert rng.asked == [
        ("shuffle", (0, 1, 2)),
        ("shuffle", (2, 1, 0)),
        ("shuffle", (0, 1)),
        ("choice", (0, 1)),
        ("shuffle", (1, 0)),
        ("choice", (2, 1)),
    ]


def test_batch_by_hand():
    """Wildcards of all first views are drawn before any second view is."""
    stream = Stream(Setting(num_loc=3, num_tokens=9, pattern_len=1, aug_degree=1, num_patterns=2, batch=2), 0)
    stream.rng, stream.patterns = Recorder(0), [[4, WILDCARD, WILDCARD], [WILDCARD, 5, WILDCARD]]
    first, second = stream.batch()
    draw = ("randint", 0, 8)
    assert stream.rng.asked == [
        ("choices", 2, 2),
        *[draw] * 4,
        ("shuffle", (1, 2)),
        draw,
        ("shuffle", (0, 2)),
        draw,
    ]
    np.testing.assert_array_equal(first, [[4, 8, 8], [8, 5, 8]])
    np.testing.assert_array_equal(second, first)


def test_patterns_of_the_public_log():
    """First and last pattern as its log has them, A = token 0."""
    patterns = Stream(Setting(), 1).patterns
    words = ["".join("-" if a == WILDCARD else chr(ord("A") + a) for a in pattern) for pattern in patterns]
    assert (len(words), words[0], words[1], words[-1]) == (40, "-F-H--C-MO", "-JFL--EN--", "-FOM-KI---")


def test_views_of_a_batch():
    stream = Stream(SMALL, 3)
    first, second = stream.batch()
    assert first.shape == second.shape == (SMALL.batch, SMALL.num_loc)
    assert 0 <= min(first.min(), second.min()) <= max(first.max(), second.max()) < SMALL.num_tokens
    assert (first != second).sum(1).max() == SMALL.aug_degree
    patterns = np.array(stream.patterns)
    fits = ((patterns == WILDCARD) | ((patterns == first[:, None]) & (patterns == second[:, None]))).all(2)
    assert fits.any(1).all()
    np.testing.assert_array_equal(Stream(SMALL, 3).batch(), (first, second))
    assert not np.array_equal(Stream(SMALL, 4).batch(), (first, second))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"num_loc": 0}, "num_loc: expected an integer of at least 1, got 0"),
        ({"aug_degree": -1}, "aug_degree: expected an integer of at least 0, got -1"),
        ({"pattern_len": 11}, "pattern_len: expected at most num_loc = 10, got 11"),
        ({"aug_degree": 6}, "aug_degree: expected from 0 to 5 wildcards, got 6"),
        ({"tokens_per_loc": 21}, "tokens_per_loc: expected at most num_tokens = 20, got 21"),
        ({"batch": 1}, "batch: expected an integer of at least 2, got 1"),
        ({"temperature": 0}, "temperature: expected a positive finite number, got 0"),
        ({"lr": float("nan")}, "lr: expected a positive finite number, got nan"),
        ({"lr": -0.1}, "lr: expected a positive finite number, got -0.1"),
        ({"momentum": 1.0}, r"momentum: expected a number in \[0, 1\), got 1.0"),
        ({"weight_decay": -1}, "weight_decay: expected a number of at least 0, got -1"),
        ({"weight_decay": float("inf")}, "weight_decay: expected a finite number, got inf"),
        ({"activation": "cube"}, "activation: expected one of relu, linear, .*, got 'cube'"),
        ({"loss": "mine"}, "loss: expected one of infonce, quadratic, got 'mine'"),
    ],
)
def test_errors_of_a_setting(change, message):
    with pytest.raises(ValueError, match=message):
        Setting(**change)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"beta": 1.5}, "beta: expected an integer, got float"),
        ({"batch_norm": "no"}, "batch_norm: expected True or False, got 'no'"),
        ({"lr": "fast"}, "lr: expected a positive number, got str"),
    ],
)
def test_kinds_of_a_setting(change, message):
    with pytest.raises(TypeError, match=message):
        Setting(**change)


def test_errors_of_a_training_torch():
    import_torch()
    from alphacl_fast.experiments._two_layer.train import train

    with pytest.raises(ValueError, match="steps: expected an integer of at least 0, got -1"):
        train(SMALL, -1, 0)
    with pytest.raises(ValueError, match="seed: expected an integer of at least 0, got -3"):
        train(SMALL, 1, -3)


# Measures.


def literal_chi(weights, patterns, linear):
    sums = []
    for wanted in (True, False):
        of_locations = []
        for k, w in enumerate(weights):
            used = {pattern[k] for pattern in patterns} - {WILDCARD}
            tokens = [a for a in range(w.shape[1]) if (a in used) is wanted]
            best = []
            for a in tokens:
                floor = max(np.abs(w).max() / 1000, 1e-6)
                shares = [(abs(row[a]) if linear else row[a]) / (np.linalg.norm(row) + floor) for row in w]
                best.append(max(shares))
            if best:
                of_locations.append(np.mean(best))
        sums.append(np.mean(of_locations))
    return sums


@pytest.mark.parametrize("linear", [False, True])
def test_chi_is_its_formula(linear):
    rng = np.random.default_rng(0)
    patterns = [[0, 1, WILDCARD], [2, WILDCARD, 1], [0, 3, WILDCARD]]
    weights = rng.standard_normal((3, 2, 4))
    np.testing.assert_allclose(chi(weights, patterns, linear), literal_chi(weights, patterns, linear), rtol=1e-12)


def test_chi_of_perfect_and_of_no_detectors():
    patterns = [[0, 1], [1, 0]]
    perfect = np.zeros((2, 2, 4))
    perfect[:, [0, 1], [0, 1]] = 5.0
    np.testing.assert_allclose(chi(perfect, patterns), (1 / 1.001, 0.0))
    assert chi(-perfect, patterns)[0] == 0
    assert chi(-perfect, patterns, linear=True)[0] == pytest.approx(1 / 1.001)
    assert chi(np.zeros((2, 2, 4)), patterns) == (0, 0)


def test_chi_leaves_out_what_is_not_there():
    """No pattern uses location 1: χ₊ is location 0's; all tokens are used at both: there is no χ₋."""
    weights = np.ones((2, 1, 2))
    weights[1] = 100
    plus, minus = chi(weights, [[0, WILDCARD], [1, WILDCARD]])
    assert plus == pytest.approx(1 / (2**0.5 + 1e-3))
    assert minus == pytest.approx(100 / (2e4**0.5 + 0.1))
    assert np.isnan(chi(weights, [[0, 0], [1, 1]])[1])


# The network.


def generator(seed=0):
    return import_torch().Generator().manual_seed(seed)


def network(**change):
    """A small network in float64 and both views of a batch."""
    from dataclasses import replace

    from alphacl_fast.experiments._two_layer.model import TwoLayer

    torch = import_torch()
    setting = replace(SMALL, **change)
    model = TwoLayer(setting, generator()).double()
    return model, *(torch.from_numpy(view) for view in Stream(setting, 0).batch())


def literal(model, tokens, statistics):
    """As the formula has it, one-hot inputs and products; statistics: BatchNorm's mean and variance, or None."""
    torch = import_torch()
    from torch.nn import functional

    one_hot = functional.one_hot(tokens, SMALL.num_tokens).double()
    h = torch.cat([one_hot[:, k] @ model.first[k] for k in range(SMALL.num_loc)], 1)
    h = {
        "relu": lambda u: u.clamp(min=0),
        "linear": lambda u: u,
        "leaky": lambda u: torch.where(u > 0, u, 0.05 * u),
        "sigmoid": lambda u: 1 / (1 + (-u).exp()),
        "square": lambda u: u * u,
    }[model.setting.activation](h)
    if statistics is not None:
        mean, var = statistics(h)
        h = (h - mean) / (var + 1e-5).sqrt()
    f = h @ model.second.T
    return f / f.norm(dim=1, keepdim=True)


def test_initial_weights_are_those_of_linear_layers_torch():
    torch = import_torch()
    from alphacl_fast.experiments._two_layer.model import TwoLayer

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        first = [torch.nn.Linear(SMALL.num_tokens, SMALL.nodes, bias=False).weight.T for _ in range(SMALL.num_loc)]
        second = torch.nn.Linear(SMALL.num_loc * SMALL.nodes, SMALL.output_d, bias=False).weight
    model = TwoLayer(SMALL, generator(7))
    assert torch.equal(model.first, torch.stack(first))
    assert torch.equal(model.second, second)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("flags", [None, (True, True), (True, False), (False, True), (False, False)])
def test_network_and_its_gradient_torch(activation, flags):
    """Against one-hot products; a statistic that is a constant in the gradient is one computed before."""
    torch = import_torch()
    names = dict(zip(("backprop_mean", "backprop_var"), flags or (True, True), strict=True))
    model, tokens, _ = network(activation=activation, batch_norm=flags is not None, **names)
    known = {}

    def fixed(h):
        known["mean"], known["var"] = h.mean(0).detach(), h.var(0, unbiased=False).detach()
        return known["mean"], known["var"]

    def statistics(h):
        mean, var = h.mean(0), ((h - h.mean(0)) ** 2).mean(0)
        return (mean if flags[0] else known["mean"]), (var if flags[1] else known["var"])

    if flags is not None:
        literal(model, tokens, fixed)
    truth = literal(model, tokens, None if flags is None else statistics)
    weight = torch.randn(truth.shape, generator=generator(1), dtype=torch.float64)
    expected = torch.autograd.grad((truth * weight).sum(), [model.first, model.second])
    ours = model(tokens)
    torch.testing.assert_close(ours, truth, rtol=1e-11, atol=1e-12)
    found = torch.autograd.grad((ours * weight).sum(), [model.first, model.second])
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_losses_are_those_of_the_family_torch():
    """InfoNCE(tau=T)/T; the quadratic loss counts positive pairs N times instead of N − 1, both over NT."""
    from alphacl_fast import losses
    from alphacl_fast.experiments._two_layer.model import infonce, quadratic

    torch = import_torch()
    model, *views = network()
    z, z_aug = (model(view) for view in views)
    n, t = len(z), 0.3
    torch.testing.assert_close(infonce(z, z_aug, t), losses.InfoNCE(tau=t)(z, z_aug) / t)
    positive = (z * z_aug).sum() / (n * n * t)
    torch.testing.assert_close(quadratic(z, z_aug, t), losses.Quadratic()(z, z_aug) / (n * t) - positive)


def test_first_updates_by_hand_torch():
    """v ← 0.9 v + g + 0.005 w, w ← w − 0.02 v, twice, in double precision."""
    torch = import_torch()
    from alphacl_fast.experiments._two_layer.model import TwoLayer, infonce
    from alphacl_fast.experiments._two_layer.train import train

    stream, model = Stream(SMALL, 5), TwoLayer(SMALL, generator(7)).double()
    speeds, losses = [torch.zeros_like(w) for w in model.parameters()], []
    for _ in range(2):
        loss = infonce(*(model(torch.from_numpy(view)) for view in stream.batch()), 0.1)
        losses.append(loss.item())
        with torch.no_grad():
            for w, v, g in zip(
                model.parameters(), speeds, torch.autograd.grad(loss, list(model.parameters())), strict=True
            ):
                v.mul_(0.9).add_(g + 0.005 * w)
                w.sub_(0.02 * v)
    done = train(SMALL, 2, 5)
    np.testing.assert_allclose(done.losses[:2], losses, rtol=1e-5)
    np.testing.assert_allclose(done.weights, model.first.detach().numpy().transpose(0, 2, 1), atol=1e-5)
    assert len(done.losses) == 3
    assert (done.chi_plus, done.chi_minus) == chi(done.weights, stream.patterns)


# The public log.


def test_replay_of_the_public_log_torch():
    """Losses of its steps 0 and 500; the random states of the caller stay as they are."""
    torch = import_torch()
    before = random.getstate(), torch.get_rng_state()
    replay = two_layer.replay_public_log(500)
    assert abs(replay.losses[0] - 2.595567226409912) < 1e-5
    assert abs(replay.losses[500] - 1.5258710384368896) < 1e-5
    assert list(replay.losses) == list(range(501))
    assert 0 < replay.chi_minus < replay.chi_plus < 1
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize(
    "arguments, options, kind, message",
    [
        ((0,), {}, ValueError, "steps: expected an integer of at least 1, got 0"),
        ((1.5,), {}, TypeError, "steps: expected an integer, got float"),
        ((1,), {"seed": -1}, ValueError, "seed: expected an integer of at least 0, got -1"),
        ((1,), {"seed": "1"}, TypeError, "seed: expected an integer, got str"),
    ],
)
def test_errors_of_the_replay(arguments, options, kind, message):
    with pytest.raises(kind, match=message):
        two_layer.replay_public_log(*arguments, **options)


def few_steps(**options):
    """The claim's parts, all runs but the replay with two steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(two_layer, "_steps", lambda settings: 2)
        patch.setattr(two_layer.on_images, "run", lambda settings: None)
        return two_layer.run(Settings(**options))


@pytest.fixture(scope="module")
def full():
    return few_steps()


def test_claim_of_the_public_log_torch(full):
    words = {verdict.rule.name: verdict.word for verdict in full.verdicts}
    assert {words[name] for name in ("logged losses", "logged χ", "tokens of patterns", "no other tokens")} == {"holds"}


def test_claim_has_all_runs_torch(full):
    grid, sweeps = full.numbers["grid"], full.numbers["sweeps"]
    assert grid["betas"] == [1, 2, 5, 10]
    assert {np.shape(run["chi_plus"]) for run in grid["runs"].values()} == {(5, 4)}
    assert set(sweeps) == set(two_layer._SWEEPS)
    rows = two_layer._rows(full.numbers)
    assert len(rows) == 16 + sum(len(values) for _, values in two_layer._SWEEPS.values())
    assert len({row[0] for row in rows}) == len(rows)
    on_images = {rule.name for rule in two_layer.on_images.RULES}
    assert {verdict.rule.name for verdict in full.verdicts if verdict.passed is None} == on_images


def test_a_quick_claim_torch():
    numbers = few_steps(quick=True).numbers
    assert (numbers["grid"]["betas"], numbers["sweeps"]) == ([1, 5], {})
    assert list(numbers["grid"]["runs"]) == ["ReLU, BatchNorm", "ReLU", "linear, BatchNorm"]


def test_claim_without_torch(monkeypatch):
    """One reason is given, and every verdict is left out."""
    monkeypatch.setitem(sys.modules, "torch", None)
    result = two_layer.run(Settings(quick=True))
    assert {verdict.word for verdict in result.verdicts} == {"left out"}
    assert [note.split(":")[0] for note in result.left_out] == ["public log"]
    assert not any(figure.drawable(result.numbers) for figure in result.figures)


def judged(sign, noise=0.0):
    """Verdicts of numbers in which all that is claimed differs by 0.1 in the direction of `sign`, over two seeds.

    noise : by which the second seed's differences are more than those of the first.
    """

    def run(plus, minus, slope=0.0):
        more = noise * np.sign(np.array([plus - 0.5, minus - 0.3, slope]))
        return {
            "chi_plus": [[plus + k * more[0], plus + slope + k * (more[0] + more[2])] for k in (0, 1)],
            "chi_minus": [[minus + k * more[1]] * 2 for k in (0, 1)],
        }

    step = 0.1 * sign
    grid = {
        "ReLU, BatchNorm": run(0.5, 0.3 - step, step),
        "ReLU": run(0.5, 0.3),
        "linear, BatchNorm": run(0.5 - step, 0.3),
    }
    sweeps = {
        "aug_degree": {"chi_plus": [[0, 0]] * 2, "chi_minus": [[0.5, 0.5 - step - k * noise] for k in (0, 1)]},
        "loss": {"chi_plus": [[0.5, 0.5 - step - k * noise] for k in (0, 1)], "chi_minus": [[0, 0]] * 2},
    }
    replay = {"error": 2e-5 * (sign < 0), "chi_minus": 0.3 * (sign < 0)}
    replay["chi_plus"] = two_layer._LOGGED_CHI["chi_plus"] - 0.5 * (sign < 0)
    replay["chi_minus"] += two_layer._LOGGED_CHI["chi_minus"]
    numbers = {
        "replay": replay,
        "grid": {"betas": [1, 5], "runs": grid},
        "sweeps": sweeps,
        "images": images(step, noise),
    }
    return {rule.name: rule.judge(numbers).word for rule in two_layer.RULES}


def images(step, noise):
    """ReLU nodes above linear ones by `step` and a little, seed by seed, at the last β alone."""
    over_seeds = step + (0.01 + noise) * np.array([-1, 0, 1])
    relu = {
        "chi_plus": [[0, 0.5 + s] for s in over_seeds],
        "chi_minus": [[0, 0.5]] * 3,
        "loss": [[0, 1 - s] for s in over_seeds],
    }
    linear = {"chi_plus": [[0, 0.5]] * 3, "chi_minus": [[0, 0.5]] * 3, "loss": [[0, 1]] * 3}
    runs = {"ReLU, BatchNorm": relu, "linear, BatchNorm": linear}
    return {name: {"runs": runs} for name in ("digits", "fashion")}


def test_each_rule_can_hold_and_fail():
    assert set(judged(1).values()) == {"holds"}
    assert set(judged(-1).values()) == {"fails"}


def test_a_difference_within_its_error_does_not_hold():
    """0.1 and 1.1: a mean of 0.6 with a standard error of 0.5."""
    words = judged(1, noise=1.0)
    of_one_run = {"logged losses", "logged χ", "tokens of patterns", "no other tokens"}
    assert {name for name, word in words.items() if word == "holds"} == of_one_run


def test_one_seed_has_no_error():
    numbers = {"grid": None, "sweeps": {"loss": {"chi_plus": [[0.5, 0.1]], "chi_minus": [[0, 0]]}}, "replay": None}
    numbers["images"] = None
    assert {rule.judge(numbers).word for rule in two_layer.RULES} == {"left out"}
