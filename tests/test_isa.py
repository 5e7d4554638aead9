"""Every instruction set that was compiled and that this processor has gives results within the contract."""

import pytest
from support import run_python

from alphacl_fast import _cpu

COMPARE = """
import numpy as np
from support import DTYPES, IMPORTANCES, check, importance, relative_error, two_views
import alphacl_fast as acl
from alphacl_fast import reference
from alphacl_fast import _cpu

assert _cpu.build_info()["isa"] == {isa!r}, _cpu.build_info()["isa"]
for dtype in DTYPES:
    for name in IMPORTANCES:
        for n, d in ((1, 2), (3, 33), (130, 7), (601, 19)):
            check(*two_views(n, d, dtype), importance(name, n, dtype))
    x, x_aug = two_views(1101, 3, dtype)
    f = np.random.default_rng(81).standard_normal((1101, 9)).astype(dtype)
    for exponent in range(-8, 9, 4):
        check(x, x_aug, acl.Gaussian(f[:, 0], 10.0**exponent))
    for exponent in (-6, 0, 6):
        check(x[:301], x_aug[:301], acl.Gaussian(f[:301], 10.0**exponent))
    for p in (1, 2, 2.5, 3, 4):
        for normalize in (True, False):
            check(x[:131], x_aug[:131], acl.Direct(f[:131], p=p, tau=4.0, normalize=normalize))
    weights = np.random.default_rng(82).standard_normal((3, 3)).astype(dtype)
    for alpha in (None, acl.NodeGaussian(0.5), acl.Gaussian(f[:, :2], 1.0)):
        for activation in ("linear", "relu", acl.Monomial(2)):
            ours = acl.gated_cov(x, x_aug, weights, activation=activation, alpha=alpha)
            truth = reference.gated_cov(x, x_aug, weights, activation=activation, alpha=alpha)
            assert relative_error(ours, truth) < (2e-6 if dtype is np.float32 else 2e-12)
print("all good")
"""


@pytest.mark.parametrize("isa", _cpu.supported_isas())
def test_contract_on_every_instruction_set(isa):
    assert "all good" in run_python(COMPARE.format(isa=isa), ALPHACL_FAST_ISA=isa).stdout


def test_without_a_choice_the_strongest_is_taken():
    code = "from alphacl_fast import _cpu; print(_cpu.build_info()['isa'])"
    assert run_python(code, ALPHACL_FAST_ISA="").stdout.strip() == _cpu.supported_isas()[-1]


def test_an_unknown_name_is_refused_at_import():
    done = run_python("import alphacl_fast", check=False, ALPHACL_FAST_ISA="z80")
    assert done.returncode != 0
    for word in ("ALPHACL_FAST_ISA", "expected", "got z80", *_cpu.supported_isas()):
        assert word in done.stderr
