"""The image of arXiv:2110.12248: against a slow twin, and what its panels say of an event."""

from dataclasses import replace
from functools import cache

import matplotlib
import numpy as np
import pytest

from engine import plugins
from engine.bench.painting import plain_image
from engine.physics import events
from engine.physics.detectors import TPC, Readout
from engine.physics.representations import image
from engine.physics.representations.image import MARGIN, PANEL

DETECTORS = {
    name: plugins.load("engine.physics.detectors", name).CONSTANTS
    for name in plugins.names("engine.physics.detectors")
}  # fmt: skip
NT = DETECTORS["xenonnt"]
UPPER, LOWER = np.s_[:PANEL], np.s_[-PANEL:]
each_detector = pytest.mark.parametrize("tpc", DETECTORS.values(), ids=DETECTORS)


@cache
def readout_of(tpc, kind="ER", n=6):
    return events.simulate(tpc, kind, np.linspace(1, 30, n), ["image", kind])[1]


def images(readout, tpc=NT):
    return image.features(readout, tpc).reshape(-1, *image.SHAPE)


def dark(n=1, tpc=NT):
    """The readout of n events without any light."""
    some = vars(readout_of(tpc))
    return Readout(**{name: np.zeros((n, *part.shape[1:]), part.dtype) for name, part in some.items()})


def hot(tube, pe, array="top"):
    """One tube with this charge, in the pattern that the image shows of its array."""
    name = {"top": "s2_top", "bottom": "s1_bottom"}[array]
    hits = np.zeros_like(getattr(dark(), name))
    hits[0, tube] = pe
    return images(replace(dark(), **{name: hits}))[0].astype(int)


# The twin


@each_detector
@pytest.mark.parametrize("kind", ["ER", "NR"])
def test_the_slow_twin_paints_the_same(tpc, kind):
    readout = readout_of(tpc, kind)
    painted = images(readout, tpc)
    for event in range(len(painted)):
        difference = np.abs(painted[event] - plain_image(readout, event, tpc))
        assert np.mean(difference > 0.501) < 2e-3, event  # a sample's edge on a pixel's, by rounding
        assert difference.mean() < 0.3, event


# The whole


@each_detector
def test_shape_and_frame(tpc):
    flat = image.features(readout_of(tpc), tpc)
    assert flat.dtype == np.uint8 and flat.shape == (6, image.sections(tpc)["image"]) == (6, 75 * 75 * 3)
    painted = images(readout_of(tpc), tpc)
    assert np.all(painted[:, PANEL] == 255) and np.all(painted[:, :, PANEL] == 255)
    for row, column in ((UPPER, UPPER), (UPPER, LOWER), (LOWER, UPPER), (LOWER, LOWER)):
        panel = painted[:, row, column]
        assert np.all(np.any(panel < 200, axis=(1, 2, 3)))
    assert len(np.unique(flat, axis=0)) == len(flat)


def test_a_dark_event_shows_its_tubes_alone():
    painted = images(dark(3))
    assert np.all(painted[:, LOWER] == 255)
    middle = painted[0, PANEL // 2, PANEL // 2]  # the middle tube has no charge
    np.testing.assert_array_equal(middle, np.rint(image.colours()[0]))
    assert images(dark(0)).shape == (0, *image.SHAPE)


# Hit patterns


@pytest.mark.parametrize("array", ["top", "bottom"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.71, 1.0])
def test_a_hot_tube_lights_the_pixels_at_its_place(array, part):
    pmts = NT.pmt_positions_cm(array)
    tube = int(part * (len(pmts) - 1))
    changed = np.argwhere(np.any(hot(tube, 1e3, array) != images(dark())[0], axis=2))
    column, row = (1 + pmts[tube] * [1, -1] / (MARGIN * NT.radius_cm)) * PANEL / 2
    column += (PANEL + 1) * (array == "top")
    assert np.abs(changed + 0.5 - [row, column]).max() <= 0.5 + 3.8 / (2 * MARGIN * NT.radius_cm) * PANEL
    assert 4 <= len(changed) <= 9


def test_brighter_means_more_charge():
    tube = len(NT.pmt_positions_cm()) // 2
    row, column = PANEL // 2, PANEL + 1 + PANEL // 2
    shades = [hot(tube, pe)[row, column] for pe in (0.0, 0.3, 1.0, 5.0, 30.0, 200.0, 1000.0, 9000.0)]
    luminance = np.array(shades) @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(luminance) > 1)
    assert np.all(np.diff(image.colours() @ [0.2126, 0.7152, 0.0722]) > 0)
    np.testing.assert_array_equal(hot(tube, 1e4), hot(tube, 1e6))


def test_colours_are_viridis_over_white():
    viridis = matplotlib.colormaps["viridis"](np.arange(256))[:, :3] * 255
    assert np.abs((image.colours() - 0.6 * 255) / 0.4 - viridis).max() < 7


# Pulses


@each_detector
def test_pulses_do_not_tell_the_amplitude(tpc):
    tpc = TPC(**tpc.model_dump() | {"dark_count_rate_hz": 0.0})  # eight dark counts at once are none
    readout = readout_of(tpc)
    louder = replace(readout, s1_waveform=8 * readout.s1_waveform, s2_waveform=8 * readout.s2_waveform)
    np.testing.assert_array_equal(images(louder, tpc), images(readout, tpc))


def test_pulses_do_not_tell_the_time():
    early, late = np.zeros_like(dark().s2_waveform), np.zeros_like(dark().s2_waveform)
    early[0, 5:905] = late[0, 3000:3900] = np.random.default_rng(1).exponential(size=900)
    np.testing.assert_array_equal(*(images(replace(dark(), s2_waveform=pulse)) for pulse in (early, late)))


def test_a_lone_photoelectron_does_not_widen_the_panel():
    """Far from the pulse it is not shown; near it, or of more charge, it is."""
    alone, far, near, bright = (np.zeros_like(dark().s2_waveform) for _ in range(4))
    for waveform in (alone, far, near, bright):
        waveform[0, 1000:1400] = 5.0
    far[0, 3000] = near[0, 1450] = 1.0
    bright[0, 3000] = 3.0
    panels = [images(replace(dark(), s2_waveform=pulse))[0] for pulse in (alone, far, near, bright)]
    same = [np.array_equal(panels[0], panel) for panel in panels]
    assert same == [True, True, False, False]


def test_a_box():
    """20 equal samples of 40: a line at 1 / 1.1 of the height over the middle half, at the foot beside it."""
    waveform = np.zeros_like(dark().s1_waveform)
    waveform[0, 3:23] = 4.0
    panel = images(replace(dark(), s1_waveform=waveform))[0, LOWER, UPPER, 0]
    top = int(PANEL - PANEL / 1.1)
    inked = panel < 255
    assert np.all(np.flatnonzero(inked[:, PANEL // 2]) == top)
    assert np.all(np.flatnonzero(inked[:, PANEL // 8]) == PANEL - 1)
    assert sorted(set(np.flatnonzero(inked[PANEL // 2]))) == [PANEL // 4, PANEL * 3 // 4]
