"""The accuracy contract for every importance, dtype and awkward shape."""

import numpy as np
import pytest
from support import DTYPES, IMPORTANCES, check, importance, two_views

import alphacl_fast as acl

# (N, d): around vector widths, around tiles, more columns than rows.
SHAPES = [
    (1, 1),
    (1, 33),
    (2, 1),
    (2, 257),
    (3, 2),
    (31, 3),
    (33, 31),
    (129, 33),
    (257, 1),
    (257, 129),
    (129, 257),
    (5, 1030),
    (33, 513),
    (600, 31),
    (1300, 3),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n, d", SHAPES)
@pytest.mark.parametrize("name", IMPORTANCES)
def test_contract(name, n, d, dtype):
    check(*two_views(n, d, dtype), importance(name, n, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["none", "dense", "low_rank", "gaussian", "direct"])
def test_contract_above_a_tile_in_every_direction(name, dtype):
    check(*two_views(1101, 67, dtype), importance(name, 1101, dtype), operations=("contrastive_cov",))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [1, 2, 3, 7, 8, 9, 16, 17, 31, 33, 64, 129, 257])
def test_every_feature_width(width, dtype):
    n = 131
    x, x_aug = two_views(n, 5, dtype)
    features = np.random.default_rng(width).standard_normal((n, width)).astype(dtype)
    check(x, x_aug, acl.Gaussian(features, float(width)))
    check(x, x_aug, acl.Direct(features, p=2, tau=float(width)))
    check(x, x_aug, acl.Direct(features, tau=float(width) ** 2, normalize=False))
    check(x, x_aug, acl.LowRank(features))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", IMPORTANCES)
def test_no_columns_give_an_empty_matrix_and_no_energy(name, dtype):
    x = np.zeros((5, 0), dtype)
    c = acl.contrastive_cov(x, x, importance(name, 5, dtype))
    assert c.shape == (0, 0)
    assert c.dtype == dtype
    assert acl.energy(x, x, importance(name, 5, dtype)) == 0
