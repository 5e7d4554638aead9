"""The scripts of the documents run and do what the text around them says."""

import re
from pathlib import Path

import numpy as np
import pytest

from alphacl_fast import NodeGaussian, datasets, theory

ROOT = Path(__file__).parent.parent


def _scripts(document):
    found = re.findall(r"^```python\n(.*?)^```", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found


def test_patterns_of_your_own_data(tmp_path, monkeypatch):
    """One linear pattern, ten or more of ReLU nodes, a picture; in at most ten statements after the imports."""
    (script,) = _scripts("docs/patterns.md")
    body = [line for line in script.splitlines() if line and not line.startswith(("import", "from"))]
    assert len(body) <= 10
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(script, "docs/patterns.md", "exec"), names)
    titles = [axis.get_title() for axis in names["figure"].axes]
    assert titles[0] == "300 linear nodes: 1 different patterns"
    assert int(re.fullmatch(r"300 relu nodes: (\d+) different patterns", titles[1])[1]) >= 10
    assert (tmp_path / "patterns.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("images, side", [(datasets.load_digits()[:400, :60], (6, 10))])
def test_other_shapes_of_images(images, side, tmp_path, monkeypatch):
    """The script with another array in the line that says "yours"."""
    (script,) = _scripts("docs/patterns.md")
    first = re.search(r"^images, side = .*$", script, re.MULTILINE)[0]
    monkeypatch.chdir(tmp_path)
    exec(script.replace(first, "").replace("300", "20"), {"images": np.ascontiguousarray(images), "side": side})
    assert (tmp_path / "patterns.png").exists()


def test_readme(capsys):
    """Linear nodes find one pattern of the digits, ReLU nodes eleven."""
    script = next(s for s in _scripts("README.md") if "find_local_maxima" in s)
    exec(script, {})
    assert capsys.readouterr().out.splitlines() == ["linear 1 1.0", "relu 11 1.0"]


def test_the_table_of_widths():
    """Ten v: as many patterns as without an importance, energies above 0; one v: energies below 0."""
    images = datasets.load_digits()
    x, x_aug = (v.reshape(images.shape) for v in datasets.two_views(images.reshape(-1, 8, 8), shift=0, noise=0.1))
    white = theory.whiten(x, x_aug)
    free = theory.find_local_maxima(white.x, white.x_aug, 60, max_iter=300, gap=False)
    v = float(np.maximum(white.x @ free.weights.T, 0).var())
    assert v == pytest.approx(0.011, abs=0.001)
    for factor, low, high in ((10, 0.003, 0.004), (1, -0.01, 0)):
        found = theory.find_local_maxima(
            white.x, white.x_aug, 60, alpha=NodeGaussian(factor * v), max_iter=300, gap=False
        )
        assert low < found.energy.max() < high
        assert (found.num_maxima >= 30) == (factor == 1)
