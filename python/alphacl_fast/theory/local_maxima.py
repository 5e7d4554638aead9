"""What the nodes of a one-layer network learn: the local maxima of their contrastive energy."""

from __future__ import annotations

import math
import warnings
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np

from alphacl_fast._arrays import empty, from_host, given_back, like, on_host, operand, positive, refuse_grad
from alphacl_fast._backend import constructor_for
from alphacl_fast._gated import GatedCovariance, checked_layer, importance_arguments
from alphacl_fast._power_iteration import at_least
from alphacl_fast.activations import is_odd
from alphacl_fast.importance import NodeGaussian
from alphacl_fast.theory._gaps import DEFAULT_TOL, eigenvalue_gaps

__all__ = ["LocalMaxima", "find_local_maxima"]

_MOST_GAP_PRODUCTS = 1000


class LocalMaxima(NamedTuple):
    """Where K nodes ended. λ, gap, residual and energy are those of A(w) at the weights returned.

    A gap is known to tol · ‖A‖ (the default tol, or a smaller one given); it is negative where w is not the top
    eigenvector, +inf where d = 1 leaves no complement, and NaN where 1000 products were not enough to find it.
    """

    weights: Any  # (K, d), of length 1
    eigenvalue: Any  # (K,) λ = wᵀA(w)w
    gap: Any  # (K,) λ minus the largest eigenvalue of A in the complement of w, or None; see above
    residual: Any  # (K,) ‖A(w)w − λw‖
    energy: Any  # (K,) ½ C_α[h(wᵀx)]
    steps: Any  # (K,) int64
    converged: Any  # (K,) bool: residual ≤ tol · the largest ‖A(w)w‖ met, or steps raise the energy no more
    group: Any  # (K,) int64: which maximum, 0 that of the highest energy; −1 for a node that never opens, or is NaN

    @property
    def num_maxima(self) -> int:
        """The number of different maxima found."""
        return int(self.group.max()) + 1

    @property
    def num_open(self) -> int:
        """The number of nodes that end with a gate open, those in a group; where it is 0 nothing was found."""
        return int((self.group >= 0).sum())

    @property
    def best(self) -> Any:
        """(num_maxima,) int64: of each maximum, in the order of ``group``, the node with the highest energy."""
        group, energy = on_host(self.group), on_host(self.energy)
        order = np.argsort(-energy, kind="stable")
        order = order[group[order] >= 0]
        first = np.unique(group[order], return_index=True)[1]
        model = operand("weights", self.weights)
        return given_back(from_host(order[first].astype(np.int64), model), model.is_torch)


def find_local_maxima(
    x: Any,
    x_aug: Any,
    num_nodes: int | None = None,
    *,
    activation: Any = "relu",
    alpha: Any = None,
    frozen: bool = False,
    weights0: Any = None,
    tol: float | None = None,
    max_iter: int = 500,
    gap: bool = True,
    angle: float = 0.1,
    seed: int = 0,
    progress: bool | None = None,
) -> LocalMaxima:
    """max_{‖w_k‖=1} ½ C_α[h(w_kᵀx)] for each of K independent nodes: w ← (A(w)w + σw)/‖·‖ from random or given starts.

    x, x_aug : (N, d) float32 or float64, two augmented views. num_nodes : K; may be left out when weights0 is given.
    activation, alpha : as for ``gated_cov``. With NodeGaussian α is computed anew from the outputs at each step, or
        with ``frozen`` once, at the start.
    weights0 : (K, d) starts; None draws directions uniformly from ``seed``.
    tol : a node stops at ‖A(w)w − λw‖ ≤ tol · max ‖A(w)w‖. Default 1e-4 for float32, 1e-8 for float64. It also stops
        when ten steps in a row raise its energy by nothing: A(w) of gates that switch is piecewise constant, and a
        maximum of N samples may lie where one of them switches, with a residual of order 1/N that does not vanish.
    max_iter : steps at most; not converged is a result, not an error.
    gap : also compute the gap at the end, by Lanczos (some dozens of products more).
    angle : radians, at most π/2, within which two nodes count as the same maximum; up to sign where h is odd (linear,
        odd powers).
    progress : a progress bar; None shows one on a terminal when tqdm is installed.

    σ ≥ 0 is raised from 0 until the energy, with the α of the step, does not fall (beyond rounding); where A is
    indefinite a plain power step could lower it. Each node stops on its own. A node whose gates are all closed stays
    where it is (λ = 0), and counts as converged. When all end like that a RuntimeWarning says so: no maximum was found,
    as where α, τ small, joins so few pairs that the energy of every open node is negative. ``num_open`` counts others.
    Raises TypeError or ValueError naming the argument, what was expected and what came.
    Cost: 8NdK operations a step, as a product of GatedCovariance; memory: about eight arrays of N x block, blocks
    of 16 to 256 nodes. Source: poster, "local maxima of 1-layer networks"; the line search: derived.
    """
    climb_of = constructor_for("Climb", operand("x", x))
    starts = _starts(x, num_nodes, weights0, at_least("seed", seed, 0))
    a, b, w, name, parameter = checked_layer("find_local_maxima", x, x_aug, starts, activation)
    tol = DEFAULT_TOL[a.dtype] if tol is None else positive("tol", tol)
    max_iter = at_least("max_iter", max_iter, 1)
    angle = positive("angle", angle)
    if angle > math.pi / 2:
        raise ValueError(f"angle: expected radians up to π/2, got {angle}")
    given = importance_arguments("find_local_maxima", alpha, a)
    count, d = w.shape
    weights = empty((count, d), a.dtype, a)
    values, residuals, energies = (empty((count,), a.dtype, a) for _ in range(3))
    steps, converged = empty((count,), np.int64, a), empty((count,), np.bool_, a)
    block = climb_of.block(a.shape[0], count)
    with _bar(count, progress) as bar:
        for k in range(0, count, block):
            part = slice(k, min(k + block, count))
            climb = climb_of(a.array, b.array, w.array[part], name, parameter, *given, bool(frozen), tol)
            going = part.stop - part.start
            for _ in range(max_iter):
                left = climb.step()
                bar.update(going - left)
                going = left
                if going == 0:
                    break
            climb.finish()
            bar.update(going)
            climb.write(weights[part], values[part], residuals[part], energies[part], steps[part], converged[part])
            del climb  # and what it has computed of the data, before the next one is made
    ends = given_back(weights, a.is_torch)
    ended = [on_host(found) for found in (weights, values, energies)]
    gaps = None
    if gap:
        alpha_weights = starts if frozen and isinstance(alpha, NodeGaussian) else None
        layer = GatedCovariance(x, x_aug, ends, activation=activation, alpha=alpha, alpha_weights=alpha_weights)
        gap_tol = min(tol, DEFAULT_TOL[a.dtype])
        gaps = eigenvalue_gaps(layer, weights, ended[1], on_host(residuals), gap_tol, _MOST_GAP_PRODUCTS, seed)
    groups = from_host(_groups(*ended, angle, is_odd(activation)), a)
    if not (ended[1].any() or ended[2].any()):
        warnings.warn(
            f"find_local_maxima: found no maximum: the energy of each of the {count} nodes is 0, as where all gates "
            "are closed; other starts, a larger tau or weaker augmentation may keep some open",
            RuntimeWarning,
            stacklevel=2,
        )
    found = (values, gaps, residuals, energies, steps, converged, groups)
    return LocalMaxima(ends, *(None if f is None else given_back(f, a.is_torch) for f in found))


def _starts(x: Any, num_nodes: Any, weights0: Any, seed: int) -> Any:
    """(K, d) unit vectors of the kind of x."""
    model = operand("x", x, columns="feature")
    if weights0 is not None:
        given = operand("weights0", weights0, samples="node")
        like(given, model, shape=False)
        refuse_grad("find_local_maxima", given)
        if given.shape[1] != model.shape[1]:
            raise ValueError(
                f"weights0: expected shape (K, {model.shape[1]}) for x of shape {model.shape}, got {given.shape}"
            )
        if num_nodes is not None and num_nodes != given.shape[0]:
            raise ValueError(f"num_nodes: expected {given.shape[0]} like weights0, got {num_nodes}")
        starts = on_host(given.array).astype(np.float64)
        if not (np.isfinite(starts).all() and starts.any(axis=1).all()):
            raise ValueError("weights0: expected finite vectors other than 0")
    elif num_nodes is None:
        raise TypeError("num_nodes: expected the number of nodes where weights0 is not given, got None")
    else:
        shape = (at_least("num_nodes", num_nodes, 1), model.shape[1])
        starts = np.random.default_rng(seed).standard_normal(shape)
    starts /= np.abs(starts).max(axis=1, keepdims=True)  # no square overflows
    starts = (starts / np.linalg.norm(starts, axis=1, keepdims=True)).astype(model.dtype)
    return given_back(from_host(starts, model), model.is_torch)


def _bar(total: int, progress: bool | None) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return nullcontext(_NoBar())
    disable = None if progress is None else not progress
    # miniters=0: the clock runs on while no node ends.
    return tqdm(total=total, desc="nodes", unit="node", leave=False, disable=disable, miniters=0)


class _NoBar:
    def update(self, count: int) -> None:
        pass


def _groups(weights: np.ndarray, values: np.ndarray, energies: np.ndarray, angle: float, odd: bool) -> np.ndarray:
    """Nodes within the angle of the best node that no group has yet, group by group."""
    groups = np.full(len(weights), -1, np.int64)
    units = weights.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    nearly, chord = math.cos(angle) - 1e-6, 2 * math.sin(angle / 2)
    left = np.isfinite(energies) & ~((energies == 0) & (values == 0))
    for group in range(len(weights)):
        if not left.any():
            break
        leader = np.argmax(np.where(left, energies, -np.inf))
        along = units @ units[leader]
        signs = np.where(along < 0, -1, 1) if odd else np.ones(len(units))
        same = np.flatnonzero(left & (signs * along >= nearly))
        # The cosine of a small angle has few digits.
        apart = np.linalg.norm(signs[same, None] * units[same] - units[leader], axis=1)
        same = same[apart <= chord]
        groups[same] = groups[leader] = group
        left[same] = left[leader] = False
    return groups
