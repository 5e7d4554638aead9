"""Importing the package loads numpy and nothing heavy; the public names are there."""

from support import run_python

import alphacl_fast as acl

HEAVY = ("torch", "matplotlib", "scipy", "sklearn", "tqdm", "pandas")


def test_import_loads_nothing_heavy():
    code = f"import sys, alphacl_fast; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert run_python(code).stdout.strip() == "[]"


def test_numpy_work_does_not_load_torch():
    code = """
import sys
import numpy as np
import alphacl_fast as acl
x = np.eye(4)
acl.contrastive_cov(x, 2 * x, acl.Gaussian(x, 1.0))
acl.energy(x, 2 * x, acl.Direct(x))
assert "torch" not in sys.modules
"""
    run_python(code)


def test_works_where_torch_is_not_installed():
    code = """
import sys
sys.modules["torch"] = None
import numpy as np
import alphacl_fast as acl
acl.contrastive_cov(np.eye(4), np.eye(4), np.eye(4))
"""
    run_python(code)


def test_torch_before_or_after():
    for first, second in (("torch", "alphacl_fast"), ("alphacl_fast", "torch")):
        code = f"""
import warnings
warnings.simplefilter("ignore")
import {first}
import {second}
import alphacl_fast as acl
import torch
x = torch.randn(300, 300)
assert acl.contrastive_cov(x, x, x @ x).shape == (300, 300)
"""
        run_python(code)


def test_public_names():
    names = {"contrastive_cov", "energy", "Uniform", "Dense", "LowRank", "Gaussian", "Direct", "importance"}
    assert names <= set(dir(acl))
    assert isinstance(acl.__version__, str)
    for name in ("contrastive_cov", "energy", "Uniform", "Dense", "LowRank", "Gaussian", "Direct"):
        assert getattr(acl, name).__doc__
