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


NAMES = """
import sys
sys.modules["torch"] = None
import alphacl_fast as acl
from alphacl_fast import *
from alphacl_fast import losses as lazy
for name in ("losses", "datasets", "theory"):
    assert hasattr(acl, name) and name in dir(acl) and name in acl.__all__, name
assert datasets.load_digits and repr(losses) == "<module 'alphacl_fast.losses'>" and dir(losses) == []
assert not hasattr(losses, "__file__") and not hasattr(acl, "loss")
def loss():
    return acl.losses.InfoNCE
def same():
    return lazy.nt_xent
def module():
    import alphacl_fast.losses
def name():
    from alphacl_fast.losses import nt_xent
for use in (loss, same, module, name):
    try:
        use()
    except ImportError as error:
        text = str(error)
        assert text.startswith("torch is needed here") and text.endswith("pip install torch"), text
    else:
        raise AssertionError(use)
"""


def test_names_without_torch():
    run_python(NAMES)


def test_names_before_torch_is_loaded():
    code = """
import sys
from alphacl_fast import *
import alphacl_fast as acl
from alphacl_fast import losses as lazy
assert "losses" in dir(acl) and hasattr(acl, "losses") and "torch" not in sys.modules
assert acl.losses is acl.losses is lazy is losses and lazy.__doc__ and "torch" not in sys.modules
assert lazy.InfoNCE(tau=0.5).tau == 0.5 and "nt_xent" in dir(lazy) and lazy.__all__
import alphacl_fast.losses
assert acl.losses is alphacl_fast.losses is sys.modules["alphacl_fast.losses"]
assert lazy.nt_xent is acl.losses.nt_xent is losses.nt_xent and lazy.__file__ == acl.losses.__file__
assert "nt_xent" in dir(acl.losses)
"""
    run_python(code)


def test_losses_are_the_module_where_torch_is_loaded():
    run_python("""
import torch, sys
import alphacl_fast as acl
assert acl.losses is sys.modules["alphacl_fast.losses"]
""")
