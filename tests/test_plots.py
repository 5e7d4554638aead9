"""theory.plots: what is drawn on the axis, colours that colour-blind people tell, the errors."""

import numpy as np
import pytest
from support import run_python, torch

from alphacl_fast.theory import plots


def _axis():
    from matplotlib.figure import Figure

    return Figure().add_subplot()


def test_a_pattern_is_symmetric_about_white():
    axis = _axis()
    drawn = plots.draw_pattern(axis, np.array([[1.0, -3], [0, 2]]), "E = 1", size=7)
    assert drawn.norm.vmax == 3
    assert drawn.norm.vmin == -3
    assert axis.get_title() == "E = 1"
    np.testing.assert_allclose(drawn.cmap(drawn.norm(0.0))[:3], 1, atol=0.04)
    red, blue = (drawn.cmap(drawn.norm(v)) for v in (3.0, -3.0))
    assert red[0] > 2 * red[2]
    assert blue[2] > 2 * blue[0]
    assert plots.draw_pattern(_axis(), np.zeros((2, 2))).norm.vmax == 1


def test_patterns_stand_row_by_row_each_with_its_own_scale():
    patterns = np.arange(1.0, 31).reshape(5, 6) * np.array([1, -10, 1, 1, 1])[:, None]
    drawn = plots.draw_patterns(_axis(), patterns, (2, 3), columns=2)
    sheet = drawn.get_array()
    assert sheet.shape == (8, 7)
    for k in range(5):
        part = sheet[3 * (k // 2) :][:2, 4 * (k % 2) :][:, :3]
        np.testing.assert_allclose(part, patterns[k].reshape(2, 3) / np.abs(patterns[k]).max())
    assert np.ma.getmaskarray(np.ma.masked_invalid(sheet))[2].all()
    assert plots.draw_patterns(_axis(), patterns[:1], (2, 3)).get_array().shape == (2, 8 * 4 - 1)


def test_spectra_are_lines_over_ranks():
    axis = _axis()
    lines = plots.draw_spectra(axis, {"uniform": [1.0, 4, -2, 0, 2], "Gaussian": [3.0]})
    np.testing.assert_allclose(lines[0].get_xydata(), [[1, 4], [2, 2], [3, 1]])
    assert axis.get_xscale() == axis.get_yscale() == "log"
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["uniform", "Gaussian"]
    assert axis.get_xlabel()
    assert axis.get_ylabel()
    assert lines[0].get_color() != lines[1].get_color()


def test_coverage_is_a_mean_in_a_band():
    axis = _axis()
    counts = np.array([[1, 2, 4], [1, 4, 6]])
    (line,) = plots.draw_coverage(axis, [1, 10, 100], {"relu": counts}, total=6)
    np.testing.assert_allclose(line.get_ydata(), [1, 3, 5])
    (band,) = axis.collections
    corners = band.get_paths()[0].vertices
    for corner in ([10, 2], [10, 4], [100, 4], [100, 6]):
        assert (corners == corner).all(axis=1).any()
    assert axis.lines[-1].get_ydata()[0] == 6
    assert axis.get_xlabel()
    assert axis.get_ylabel()


# Machado et al. 2009: what people without one kind of cones see, linear RGB.
DEFICIENCIES = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("seen", DEFICIENCIES)
def test_colours_that_colour_blind_people_tell(seen):
    """The first five colours, which most pictures need, stay apart; all seven can be told."""
    from matplotlib.colors import to_rgb

    linear = np.array([to_rgb(c) for c in plots.PALETTE]) ** 2.2
    colours = np.clip(linear @ np.array(DEFICIENCIES[seen]).T, 0, 1) ** (1 / 2.2)
    distances = np.linalg.norm(colours[:, None] - colours, axis=2)
    assert distances[:5, :5][np.triu_indices(5, 1)].min() > 0.24
    assert distances[np.triu_indices(7, 1)].min() > 0.11
    assert len(set(plots.PALETTE)) == len(plots.PALETTE)


def test_tensors_are_drawn_with_torch():
    drawn = plots.draw_patterns(_axis(), torch().ones(2, 6, requires_grad=True), (2, 3))
    assert drawn.get_array().shape == (2, 31)


def test_nothing_imports_matplotlib():
    code = "import sys, alphacl_fast.theory.plots; assert 'matplotlib' not in sys.modules; print('clean')"
    assert "clean" in run_python(code).stdout


P = np.ones((2, 6))
ERRORS = [
    (r"side: expected \(H, W\) with H · W = 6", lambda: plots.draw_patterns(_axis(), P, (2, 2))),
    (r"side: expected \(H, W\), got \(6,\)", lambda: plots.draw_patterns(_axis(), P, (6,))),
    (r"side: expected \(H, W\), got 6", lambda: plots.draw_patterns(_axis(), P, 6)),
    ("side: expected an integer of at least 1, got -2", lambda: plots.draw_patterns(_axis(), P, (-2, -3))),
    ("columns: expected an integer of at least 1, got 0", lambda: plots.draw_patterns(_axis(), P, (2, 3), columns=0)),
    ("patterns: expected an array with 2 axes", lambda: plots.draw_patterns(_axis(), P[0], (2, 3))),
    ("image: expected an array with 2 axes", lambda: plots.draw_pattern(_axis(), P[0])),
    ("num_nodes: expected positive numbers, got 0", lambda: plots.draw_coverage(_axis(), [0, 1], {"relu": P[:, :2]})),
    ("relu: expected 3 columns like num_nodes", lambda: plots.draw_coverage(_axis(), [1, 2, 3], {"relu": P})),
    ("a: expected an array with 1 axes", lambda: plots.draw_spectra(_axis(), {"a": []})),
]


@pytest.mark.parametrize("text, call", ERRORS, ids=[text for text, _ in ERRORS])
def test_errors(text, call):
    with pytest.raises(ValueError, match=text):
        call()


def test_kinds_of_arguments():
    with pytest.raises(TypeError, match="columns: expected an integer, got float"):
        plots.draw_patterns(_axis(), P, (2, 3), columns=2.5)
    with pytest.raises(TypeError, match="side: expected an integer, got float"):
        plots.draw_patterns(_axis(), P, (1.5, 4))
    with pytest.raises(TypeError, match="patterns: expected real numbers, got complex128"):
        plots.draw_patterns(_axis(), P + 0j, (2, 3))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_pixel_that_is_not_finite_leaves_the_scale_to_others(bad):
    image = np.array([[1.0, -3], [bad, 2]])
    assert plots.draw_pattern(_axis(), image).get_clim() == (-3, 3)
    sheet = plots.draw_patterns(_axis(), image.reshape(1, 4), (2, 2)).get_array()
    assert np.nanmin(sheet[0]) == -1
    assert plots.draw_pattern(_axis(), np.full((2, 2), bad)).get_clim() == (-1, 1)
