"""Finite groups as tables of products, the task of multiplying in them, and the blocks of their representations."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Block:
    """The functions on a group in which one real irreducible representation acts: all its copies together."""

    basis: np.ndarray  # (n, m), orthonormal columns
    dimension: int  # of the representation over the reals


def cyclic(n: int) -> np.ndarray:
    """Z_n: (a + b) mod n."""
    return np.add.outer(np.arange(n), np.arange(n)) % n


def direct_product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pairs (a, b), numbered a·n + b with n the order of the second, multiplied entry by entry."""
    n = len(second)
    a, b = np.divmod(np.arange(len(first) * n), n)
    return n * first[np.ix_(a, a)] + second[np.ix_(b, b)]


def dihedral(n: int) -> np.ndarray:
    """D_n, of order 2n: r^i s^k, numbered k·n + i, with s r = r⁻¹ s."""
    k, i = np.divmod(np.arange(2 * n), n)
    turns = i[:, None] + np.where(k[:, None] == 1, -1, 1) * i
    return turns % n + n * (k[:, None] ^ k)


def symmetric(n: int) -> np.ndarray:
    """S_n: permutations in lexicographic order, (pq)(i) = p(q(i))."""
    elements = list(itertools.permutations(range(n)))
    place = {p: index for index, p in enumerate(elements)}
    return np.array([[place[tuple(p[i] for i in q)] for q in elements] for p in elements])


def task(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x: (n², 2n), one-hot(a) ⊕ one-hot(b) of all pairs, and Ỹ: (n², n), the centred one-hot products ab."""
    n = len(table)
    a, b = np.divmod(np.arange(n**2), n)
    one = np.eye(n)
    return np.concatenate([one[a], one[b]], axis=1), one[table[a, b]] - 1 / n


def blocks(table: np.ndarray) -> list[Block]:
    """All blocks, the constant functions first, then by dimension.

    c(hk⁻¹), c a random function of classes with c(g) = c(g⁻¹), commutes with left and right products: its eigenspaces
    are the blocks. A pair of conjugate representations is one block, as the functions are real.
    """
    n = len(table)
    unit = int(np.flatnonzero((table == np.arange(n)).all(axis=1))[0])
    inverse = (table == unit).argmax(axis=1)
    least = table[table, inverse[:, None]].min(axis=0)  # of the class of g: x g x⁻¹ over all x
    values = np.random.default_rng(0).standard_normal(n)[np.minimum(least, least[inverse])]
    eigenvalues, vectors = np.linalg.eigh(values[table[:, inverse]])
    ends = np.flatnonzero(np.diff(eigenvalues) > 1e-9 * np.abs(eigenvalues).max()) + 1
    squares = np.diagonal(table)
    found = [Block(basis, _dimension(basis, unit, squares)) for basis in np.split(vectors, ends, axis=1)]
    return sorted(found, key=lambda block: (np.ptp(block.basis) > 1e-9, block.dimension))


def _dimension(basis: np.ndarray, unit: int, squares: np.ndarray) -> int:
    """Of the irreducible representation, from the size m of its block, by the indicator of Frobenius and Schur.

    ψ(g) = n P(g, 1), P = basis basisᵀ, is d χ(g), or d (χ + χ̄)(g) for a pair of conjugate ones; the mean of ψ(g²) is
    d, 0 or −d for real, complex and quaternionic representations, of real dimension √m, 2√(m/2) and 2√m.
    """
    n, m = basis.shape
    psi = n * basis @ basis[unit]
    indicator = round(float(psi[squares].mean()))
    return round({1: m**0.5, 0: 2 * (m / 2) ** 0.5, -1: 2 * m**0.5}[int(np.sign(indicator))])


def shares(weights: np.ndarray, parts: list[Block]) -> np.ndarray:
    """(K, B): share of ‖w‖² of both halves of w, (K, 2n), that lies in each block."""
    halves = weights.reshape(len(weights), 2, -1)
    power = np.stack([((halves @ block.basis) ** 2).sum(axis=(1, 2)) for block in parts], axis=1)
    return power / (halves**2).sum(axis=(1, 2))[:, None]


def greatest_energies(parts: list[Block]) -> np.ndarray:
    """(B,) 1/(2n³D), the energy of the best unit vector of a block of dimension D; 0 for the constants.

    With h = u² and w = u ⊕ v, Ỹᵀh = 2 u∗v less its mean, and E = ½‖Ỹᵀh‖²/n⁴. ‖u∗v‖² = (1/n) Σ_ρ d_ρ ‖û(ρ)v̂(ρ)‖² is at
    most n/D · ‖u‖²‖v‖² in one block, with ‖u‖² = ‖v‖² = ½ at best.
    """
    n = len(parts[0].basis)
    return np.array([0.0] + [1 / (2 * n**3 * block.dimension) for block in parts[1:]])
