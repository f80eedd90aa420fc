"""The figures of the simulated physics show what they were given and leave nothing behind."""

import matplotlib
import matplotlib.pyplot
import numpy as np
import pytest
from matplotlib.collections import EllipseCollection

from engine.plots import physics, render
from engine.plots._tubes import EMPTY

ENERGY = np.linspace(1, 14, 30)
CENTRES = np.array([[x, y] for x in (-8.0, 0.0, 8.0) for y in (-8.0, 0.0, 8.0)])


def make_spectra():
    flat, falling = np.full(30, 2.0), np.geomspace(10, 1e-3, 30)
    passed = np.where(ENERGY > 5, 0.5, 0.0)
    er = (ENERGY, {"one": (flat, flat * passed), "two": (falling, falling * passed)}, {})
    nr = (ENERGY, {"three": (falling, 0 * falling)}, {"signal": (flat, flat * passed)})
    return {"ER": er, "NR": nr}


def make_bands(n=3000):
    rng = np.random.default_rng(1)
    return {kind: (rng.uniform(0, 100, n), rng.normal(mean, 0.1, n)) for kind, mean in (("ER", 2.5), ("NR", 2.0))}


def make_profiles():
    one = {"energy_keV": ENERGY, "registered": np.ones(30), "selected": np.linspace(0, 1, 30)}
    one |= {"resolution": 0.3 / np.sqrt(ENERGY), "mean": np.ones(30)}
    return {"ER": one, "NR": one | {"mean": np.full(30, 0.2), "registered": np.full(30, np.nan)}}


def make_event(image=True, scale=1.0):
    charge, late = scale * np.arange(9.0), np.concatenate([np.zeros(1000), np.hanning(502), np.zeros(1000)])
    return physics.event(
        "an event", {"S1": (np.array([0, 3.0, 1, 0, 0, 0, 0, 0, 0, 0]), 10.0), "S2": (scale * late, 20.0)},
        {"S2, top": (CENTRES, charge), "S2, bottom": (CENTRES, charge / 2)}, radius_cm=13.0,
        image=np.full((75, 75, 3), 200, np.uint8) if image else None,
    )  # fmt: skip


def make_beside(n=3000):
    rng = np.random.default_rng(2)
    bands = {kind: (rng.uniform(0, 100, n), 10 ** rng.normal(mean, 0.1, n), np.ones(n))
             for kind, mean in (("ER", 3.8), ("NR", 3.4))}  # fmt: skip
    return physics.beside((np.array([10.0, 40.0]), np.array([4000.0, 6000.0])), bands, "phd")


FIGURES = {
    "beside": make_beside,
    "spectra": lambda: physics.spectra(make_spectra()),
    "bands": lambda: physics.bands(make_bands()),
    "response": lambda: physics.response(make_profiles(), {"resolution": {2.0: 0.16}}),
    "event": make_event,
}


@pytest.mark.parametrize("name", FIGURES)
def test_rendering_gives_the_same_bytes_twice_and_leaves_nothing(name):
    before = dict(matplotlib.rcParams)
    assert render(FIGURES[name](), "png") == render(FIGURES[name](), "png")
    assert dict(matplotlib.rcParams) == before and not matplotlib.pyplot.get_fignums()


def lines(axes, style):
    return [line for line in axes.lines if line.get_linestyle() == style]


def test_spectra_are_dashed_before_and_solid_after_with_a_black_total():
    er, nr = FIGURES["spectra"]().axes
    assert len(lines(er, "--")) == len(lines(er, "-")) == 3 and len(lines(nr, "-")) == 3
    total = {line.get_linestyle(): line.get_ydata() for line in er.lines if line.get_color() == "black"}
    one, two = make_spectra()["ER"][1].values()
    np.testing.assert_allclose(total["--"], one[0] + two[0])
    np.testing.assert_allclose(total["-"][ENERGY > 5], (one[1] + two[1])[ENERGY > 5])
    assert np.isnan(total["-"][ENERGY < 5]).all(), "no point of a log axis"
    nr_total = next(line for line in lines(nr, "--") if line.get_color() == "black")
    np.testing.assert_allclose(nr_total.get_ydata(), make_spectra()["NR"][1]["three"][0])  # not the signal
    words = [text.get_text() for text in nr.get_legend().get_texts()]
    assert words == ["three", "signal", "total background", "before cuts", "after"]
    assert "keVnr" in nr.get_xlabel() and "keVnr" not in er.get_xlabel()


def test_a_panel_without_any_rate_is_drawn():
    nothing = {kind: (ENERGY, {"none": (np.zeros(30), np.full(30, np.nan))}, {}) for kind in ("ER", "NR")}
    render(physics.spectra(nothing), "png")
    render(physics.spectra({"NR": (ENERGY, {}, {})}), "png")


def test_bands_have_their_quantiles():
    (axes,) = FIGURES["bands"]().axes
    by_name = {line.get_gid(): line for line in axes.lines if line.get_gid()}
    assert set(by_name) == {f"{kind} {q}" for kind in ("ER", "NR") for q in (10, 50, 90)} | {"events ER", "events NR"}
    assert len(by_name["events NR"].get_xdata()) == 3000
    for percent, shift in ((10, -1.2816), (50, 0.0), (90, 1.2816)):
        assert by_name[f"ER {percent}"].get_ydata().mean() == pytest.approx(2.5 + 0.1 * shift, abs=0.02)
        assert by_name[f"NR {percent}"].get_ydata().mean() == pytest.approx(2.0 + 0.1 * shift, abs=0.02)


def test_bands_of_few_or_no_events_are_drawn():
    few = {"ER": make_bands(5)["ER"], "NR": (np.array([]), np.array([]))}
    (axes,) = physics.bands(few).axes
    assert all(len(line.get_xdata()) == 0 for line in axes.lines if line.get_gid() == "ER 50")
    render(physics.bands({"ER": few["NR"], "NR": few["NR"]}), "png")


def test_response_has_reference_points_where_they_are_given():
    efficiency, resolution, _ = FIGURES["response"]().axes
    stars = {axes: [line for line in axes.lines if line.get_marker() == "*"] for axes in (efficiency, resolution)}
    assert not stars[efficiency]
    np.testing.assert_array_equal(stars[resolution][0].get_xydata(), [[2.0, 0.16]])
    assert len(lines(efficiency, "--")) == len(lines(efficiency, "-")) == 2


def test_an_event_shows_pulses_hits_and_the_image():
    s1, s2, top, bottom, picture, bar = _by_place(make_event())
    assert s1.get_xlim()[1] == 80 and "ns" in s1.get_xlabel(), "cut after the pulse"
    assert s1.get_title(loc="left") == "S1: 4 PE" and r"$\mu$s" in s2.get_xlabel()
    assert s2.get_xlim() == pytest.approx((20e-3 * (1001 - 50), 20e-3 * (1501 + 50))), "from just before to just after"
    for axes in (top, bottom):
        (discs,) = [c for c in axes.collections if isinstance(c, EllipseCollection)]
        assert len(discs.get_offsets()) == 9
        np.testing.assert_allclose(discs.get_facecolors()[0], EMPTY)  # no charge, no colour
        assert not np.allclose(discs.get_facecolors()[8], EMPTY)
    assert picture.images[0].get_array().shape == (75, 75, 3)
    assert "PE" in bar.get_ylabel()


def test_an_event_without_image_or_charge_is_drawn():
    figure = make_event(image=False, scale=0.0)
    assert not any(axes.images for axes in figure.axes)
    render(figure, "pdf")


def _by_place(figure):
    """S1, S2, both patterns, image, colour bar."""
    pulses = [axes for axes in figure.axes if "time" in axes.get_xlabel()]
    patterns = [axes for axes in figure.axes if axes.get_xlabel() == "x [cm]"]
    picture = [axes for axes in figure.axes if axes.images]
    return *pulses, *patterns, *picture, *[axes for axes in figure.axes if axes.get_ylabel() == "charge [PE]"]


def test_bands_beside_events_have_their_sigmas():
    axes = make_beside().axes[0]
    drawn = {line.get_gid(): line.get_ydata() for line in axes.lines}
    np.testing.assert_allclose(drawn["events"], np.log10([4000.0, 6000.0]))
    for share, sigma in ((0.5, 0), (0.15865, -1), (0.84135, 1), (0.02275, -2), (0.97725, 2)):
        assert np.mean(drawn[f"ER {share:g}"]) == pytest.approx(3.8 + 0.1 * sigma, abs=0.02)
        assert np.mean(drawn[f"NR {share:g}"]) == pytest.approx(3.4 + 0.1 * sigma, abs=0.02)
