"""The XENONnT paper's image (arXiv:2110.12248): hit patterns above, pulses below, 75 x 75 pixels in three colours.

Panels: S1 on the bottom array and S2 on the top array, one disc per PMT whose colour is the logarithm of its
charge; below them the waveforms of S1 and of S2, stretched in both directions to fill their panels, so that only
the colours carry the energy. What is painted follows the authors' plots (LucyMars/SearchForDarkMatter); instead of
shrinking a plot of 800 x 800 pixels, each pixel is given the mean of the area it covers. Left out are the cross at
the reconstructed position, which the readout does not have, and the circle of the wall, the same in every image.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from numba import njit
from scipy.sparse import coo_array
from scipy.spatial import cKDTree

from engine.physics.detectors import TPC, Readout

COLUMNS = ("s1_bottom", "s2_top", "s1_waveform", "s2_waveform")
SHAPE = (75, 75, 3)  # the paper, section IV A: rows from the top, columns, red-green-blue
PANEL = 37  # pixels on a side; a white row and a white column are between the panels
MARGIN = 1.2  # a hit panel's half width over the TPC's radius
DISC_RADIUS_CM = 3.8  # of a tube: 76 mm packaging of the R11410
FAINTEST_PE, DECADES = 0.1, 5  # the colours span 0.1 to 10^4 PE; tubes without charge have the faintest
OPACITY = 0.4  # of a disc, over white
COLOUR_STEPS = 256
VIRIDIS = (  # every 17th of the colours of matplotlib's viridis (CC0)
    "440154 481a6c 472f7d 414487 39568c 31688e 2a788e 23888e 1f988b 22a884 35b779 54c568 7ad151 a5db36 d2e21b fde725"
)
S1_PADDING, S2_PADDING = 10, 200  # samples before and after the pulse
LONGEST_GAP_NS = 650.0  # pax, GapSizeClustering: a longer one parts two pulses
LONE_PE = 2.5  # up to here a pulse apart from the others is a dark count, and none of the event's
HEADROOM = 1.1  # height of a waveform panel over the pulse's maximum
FINE = 5  # parts of a pixel: a line is one part wide, 2 of the 800 pixels


def sections(tpc: TPC) -> dict[str, int]:  # the same for every detector
    """The one stretch: SHAPE, flattened in C order."""
    return {"image": int(np.prod(SHAPE))}


def features(readout: Readout, tpc: TPC) -> np.ndarray:
    """(n, 16875) uint8, white 255; `reshape(-1, *SHAPE)` gives the images."""
    image = np.full((len(readout.s1_area), *SHAPE), 255, np.uint8)
    start = SHAPE[1] - PANEL
    _paint_hits(readout.s1_bottom, *_discs(tpc, "bottom"), colours(), image[:, :PANEL, :PANEL])
    _paint_hits(readout.s2_top, *_discs(tpc, "top"), colours(), image[:, :PANEL, start:])
    for waveform, sample_ns, padding, columns in (
        (readout.s1_waveform, tpc.s1_sample_ns, S1_PADDING, np.s_[:PANEL]),
        (readout.s2_waveform, tpc.s2_sample_ns, S2_PADDING, np.s_[start:]),
    ):
        _draw_pulses(waveform, _longest_gap(tpc, waveform, sample_ns), padding, image[:, start:, columns])
    return image.reshape(len(image), np.prod(SHAPE))


@lru_cache(maxsize=1)
def colours() -> np.ndarray:
    """(COLOUR_STEPS, 3) from dark to bright in 0 to 255, laid over white: viridis, linear between a few of its own."""
    few = np.array([list(bytes.fromhex(colour)) for colour in VIRIDIS.split()], float)
    at = np.linspace(0, len(few) - 1, COLOUR_STEPS)
    rgb = np.column_stack([np.interp(at, np.arange(len(few)), channel) for channel in few.T])
    return OPACITY * rgb + (1 - OPACITY) * 255


def _longest_gap(tpc: TPC, waveform: np.ndarray, sample_ns: float) -> int:
    """Dark samples within a pulse, at most, so that a dark count farther off does not widen the panel."""
    return int(LONGEST_GAP_NS / sample_ns) if tpc.dark_count_rate_hz else waveform.shape[1]


@lru_cache(maxsize=8)
def _discs(tpc: TPC, array: Literal["top", "bottom"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which pixels the disc of PMT i covers, and their share in it: entries first[i] to first[i + 1] of both."""
    pmts, limit, fine = tpc.pmt_positions_cm(array), MARGIN * tpc.radius_cm, 4 * FINE
    at = np.arange(PANEL * fine)
    row, column = (line.ravel() for line in np.meshgrid(at, at, indexing="ij"))
    x, y = (2 * (column + 0.5) / len(at) - 1) * limit, (1 - 2 * (row + 0.5) / len(at)) * limit
    distance, nearest = cKDTree(pmts).query(np.column_stack([x, y]))
    inside = distance <= DISC_RADIUS_CM
    pixel = row // fine * PANEL + column // fine
    shares = np.full(inside.sum(), 1 / fine**2)
    matrix = coo_array((shares, (nearest[inside], pixel[inside])), (len(pmts), PANEL**2)).tocsr()
    return matrix.indptr, matrix.indices, matrix.data


@njit(cache=True)
def _paint_hits(hits, first, pixels, shares, colours, panels):
    """Lays the discs over white, linear in each colour."""
    canvas = np.empty((PANEL**2, 3))
    for event in range(len(hits)):
        canvas[:] = 255.0
        for i in range(len(first) - 1):
            colour = colours[_colour_step(hits[event, i])]
            for j in range(first[i], first[i + 1]):
                for c in range(3):
                    canvas[pixels[j], c] += shares[j] * (colour[c] - 255.0)
        for pixel in range(PANEL**2):
            for c in range(3):
                panels[event, pixel // PANEL, pixel % PANEL, c] = np.uint8(canvas[pixel, c] + 0.5)


@njit(cache=True)
def _colour_step(pe):
    if pe <= FAINTEST_PE:
        return 0
    return min(int(np.log10(pe / FAINTEST_PE) / DECADES * COLOUR_STEPS), COLOUR_STEPS - 1)


@njit(cache=True)
def _draw_pulses(waveforms, gap, padding, panels):
    """Step lines in black from a pulse's first to its last sample, padded; nothing where there is none."""
    ink = np.empty(PANEL)
    for event in range(len(waveforms)):
        waveform = waveforms[event]
        first, last = _extent(waveform, gap)
        if first > last or waveform[first : last + 1].max() <= 0:
            continue
        step = (last - first + 1 + 2 * padding) / (PANEL * FINE)
        scale = HEADROOM * waveform[first : last + 1].max() / PANEL
        for column in range(PANEL):
            ink[:] = 0.0
            for part in range(column * FINE, (column + 1) * FINE):
                low, high = _span(waveform, first - padding + part * step, first - padding + (part + 1) * step)
                _add_line(ink, low / scale, high / scale)
            for row in range(PANEL):
                panels[event, row, column, :] = np.uint8(255 * (1 - ink[row]) + 0.5)


@njit(cache=True)
def _extent(waveform, gap):
    """First and last sample with charge, but for lone photoelectrons beyond a gap; (0, -1) if there is none."""
    first, begin, last, charge, pulse = -1, 0, -gap - 2, 0.0, (-1, -1)
    for i in range(len(waveform) + 1):
        end = i == len(waveform)
        if not end and waveform[i] == 0:
            continue
        if end or i - last > gap + 1:
            if charge > LONE_PE:
                pulse = begin if pulse[0] < 0 else pulse[0], last
            begin, charge = i, 0.0
        if not end:
            first, last, charge = i if first < 0 else first, i, charge + waveform[i]
    if pulse[0] >= 0:
        return pulse
    return (first, last) if first >= 0 else (0, -1)


@njit(cache=True)
def _span(waveform, start, stop):
    """Lowest and highest sample between two times in samples, both ends included: a step is a vertical line."""
    low, high = np.inf, -np.inf
    for i in range(int(np.floor(start)), int(np.floor(stop)) + 1):
        value = max(waveform[i], 0.0) if 0 <= i < len(waveform) else 0.0
        low, high = min(low, value), max(high, value)
    return low, high


@njit(cache=True)
def _add_line(ink, low, high):
    """Adds a vertical line, one part of a pixel wide, between two heights in pixels above the panel's foot."""
    foot, head = max(low - 0.5 / FINE, 0.0), min(high + 0.5 / FINE, float(PANEL))
    for height in range(int(foot), min(int(head), PANEL - 1) + 1):
        ink[PANEL - 1 - height] += (min(head, height + 1.0) - max(foot, height)) / FINE
