"""Finite groups of the claim on features of a task: tables, blocks of representations, energies."""

import itertools

import numpy as np
import pytest

from alphacl_fast import reference
from alphacl_fast.experiments import Settings, _groups, modular_addition


def quaternions():
    """Q₈ as 2×2 matrices: its representation of dimension 2 is quaternionic, 4 over the reals."""
    i, j = np.array([[1j, 0], [0, -1j]]), np.array([[0, 1], [-1, 0]])
    elements = [s * m for m in (np.eye(2), i, j, i @ j) for s in (1, -1)]
    return np.array(
        [[next(k for k, e in enumerate(elements) if np.allclose(a @ b, e)) for b in elements] for a in elements]
    )


S3 = _groups.symmetric(3)
GROUPS = {  # table, dimensions over the reals and sizes of the blocks
    "Z5": (_groups.cyclic(5), [1, 2, 2], [1, 2, 2]),
    "Z2xZ2": (_groups.direct_product(_groups.cyclic(2), _groups.cyclic(2)), [1] * 4, [1] * 4),
    "S3": (S3, [1, 1, 2], [1, 1, 4]),
    "D4": (_groups.dihedral(4), [1, 1, 1, 1, 2], [1, 1, 1, 1, 4]),
    "S4": (_groups.symmetric(4), [1, 1, 2, 3, 3], [1, 1, 4, 9, 9]),
    "Q8": (quaternions(), [1, 1, 1, 1, 4], [1, 1, 1, 1, 4]),
    "Z3xS3": (_groups.direct_product(_groups.cyclic(3), S3), [1, 1, 2, 2, 2, 4], [1, 1, 2, 2, 4, 8]),
}


@pytest.mark.parametrize("name", GROUPS)
def test_tables_are_groups(name):
    table = GROUPS[name][0]
    n = len(table)
    np.testing.assert_array_equal(table[table], table[np.arange(n)[:, None, None], table])  # (ab)c = a(bc)
    assert any((table[e] == np.arange(n)).all() and (table[:, e] == np.arange(n)).all() for e in range(n))
    for line in (*table, *table.T):
        assert sorted(line) == list(range(n))


def test_tables_by_hand():
    assert _groups.cyclic(3).tolist() == [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
    table = _groups.dihedral(3)  # r = 1, s = 3
    assert table[1, 3] == 4  # r s, numbered k n + i
    assert table[3, 1] == 5  # s r = r⁻¹ s
    elements = list(itertools.permutations(range(3)))
    p, q = (1, 2, 0), (1, 0, 2)
    assert elements[S3[elements.index(p), elements.index(q)]] == (2, 1, 0)
    pairs = _groups.direct_product(_groups.cyclic(2), _groups.cyclic(3))
    assert pairs[1 * 3 + 2, 1 * 3 + 2] == 0 * 3 + 1


@pytest.mark.parametrize("name", GROUPS)
def test_blocks(name):
    """Known dimensions; each is left alone by products from both sides; together they are all functions."""
    table, dimensions, sizes = GROUPS[name]
    n, found = len(table), _groups.blocks(table)
    assert sorted((b.dimension, b.basis.shape[1]) for b in found) == sorted(zip(dimensions, sizes, strict=True))
    np.testing.assert_allclose(np.abs(found[0].basis), n**-0.5)
    everything = np.concatenate([b.basis for b in found], axis=1)
    np.testing.assert_allclose(everything.T @ everything, np.eye(n), atol=1e-12)
    for block in found:
        projector = block.basis @ block.basis.T
        for g in range(n):
            for moved in (projector[np.ix_(table[g], table[g])], projector[np.ix_(table[:, g], table[:, g])]):
                np.testing.assert_allclose(moved, projector, atol=1e-12)


def test_task_by_hand():
    x, y = _groups.task(_groups.cyclic(2))
    assert x.tolist() == [[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]]
    assert y.tolist() == [[0.5, -0.5], [-0.5, 0.5], [-0.5, 0.5], [0.5, -0.5]]


def test_shares_by_hand():
    """Of Z₄: constants in one half, the alternating function in the other."""
    parts = _groups.blocks(_groups.cyclic(4))
    w = np.array([[3, 3, 3, 3, 4, -4, 4, -4.0]])
    found = dict(
        zip([(b.dimension, round(np.ptp(b.basis), 6)) for b in parts], _groups.shares(w, parts)[0], strict=True)
    )
    np.testing.assert_allclose([found[1, 0.0], found[1, 1.0]], [9 / 25, 16 / 25])
    np.testing.assert_allclose(sum(found.values()), 1)


def test_shares_of_frequencies_are_those_of_the_blocks():
    w = np.random.default_rng(0).standard_normal((20, 14))
    parts = _groups.blocks(_groups.cyclic(7))
    np.testing.assert_allclose(np.sort(modular_addition._shares(w, 7)), np.sort(_groups.shares(w, parts)[:, 1:]))


@pytest.mark.parametrize("name", ["Z5", "S3", "D4", "Q8", "Z3xS3"])
def test_energies_of_blocks(name):
    """No vector of a block has more than its energy, by the definition; nodes reach it."""
    table = GROUPS[name][0]
    n, parts, rng = len(table), _groups.blocks(table), np.random.default_rng(0)
    x, y = _groups.task(table)
    for block, greatest in zip(parts, _groups.greatest_energies(parts), strict=True):
        inside = rng.standard_normal((30, 2, block.basis.shape[1])) @ block.basis.T
        inside = inside.reshape(30, 2 * n) / np.linalg.norm(inside, axis=(1, 2))[:, None]
        energies = [reference.energy((x @ w)[:, None] ** 2, (x @ w)[:, None] ** 2, -y @ y.T) for w in inside]
        assert max(energies) <= greatest + 1e-15
    for seed in range(20):
        ends = modular_addition._climb(table, 100, Settings(seed=seed))
        assert ends.converged.all()
        most = _groups.shares(ends.weights, parts).argmax(1)
        assert set(most) == set(range(1, len(parts)))
        np.testing.assert_allclose(ends.energy, _groups.greatest_energies(parts)[most], rtol=1e-9)


def test_claim_measures_groups_and_moduli():
    result = modular_addition.run(Settings(quick=True))
    assert {verdict.word for verdict in result.verdicts} == {"holds"}
    assert list(result.numbers["moduli"]) == ["11", "23"]
    for found in result.numbers["groups"].values():
        assert np.shape(found["shares"]) == (300, len(found["dimensions"]))
        assert found["residual"] < 1e-6
        assert found["chance"] < 0.9


def test_the_large_modulus_is_in_the_full_run_alone(monkeypatch):
    seen = []
    monkeypatch.setattr(modular_addition, "_modulus", lambda m, settings: seen.append(m))
    monkeypatch.setattr(modular_addition, "_group", lambda name, settings: None)
    result = modular_addition.run(Settings())
    assert seen == [11, 23, 97]
    assert {verdict.word for verdict in result.verdicts} == {"left out"}
