"""The image of a readout by a plain twin of the painter: a large drawing, disc by disc and line by line, shrunk."""

import numpy as np

from engine.physics.detectors import TPC, Readout
from engine.physics.representations import image
from engine.physics.representations.image import FINE, MARGIN, PANEL

UPPER, LOWER = np.s_[:PANEL], np.s_[-PANEL:]


def plain_image(readout: Readout, event: int, tpc: TPC) -> np.ndarray:
    """(75, 75, 3) float in 0 to 255, one image, disc by disc and line by line."""
    canvas = np.full(image.SHAPE, 255.0)
    canvas[UPPER, UPPER] = plain_hits(readout.s1_bottom[event], tpc.pmt_positions_cm("bottom"), tpc.radius_cm)
    canvas[UPPER, LOWER] = plain_hits(readout.s2_top[event], tpc.pmt_positions_cm("top"), tpc.radius_cm)
    longest = image.LONGEST_GAP_NS if tpc.dark_count_rate_hz else np.inf
    apart = [longest // sample_ns for sample_ns in (tpc.s1_sample_ns, tpc.s2_sample_ns)]
    canvas[LOWER, UPPER] = plain_pulse(readout.s1_waveform[event], image.S1_PADDING, apart[0])[:, :, None]
    canvas[LOWER, LOWER] = plain_pulse(readout.s2_waveform[event], image.S2_PADDING, apart[1])[:, :, None]
    return canvas


def plain_hits(hits: np.ndarray, pmts: np.ndarray, radius_cm: float, fine: int = 20) -> np.ndarray:
    """(37, 37, 3): a drawing `fine` times as fine, each of whose points is inside a disc or white, averaged."""
    edge = MARGIN * radius_cm
    middle = (np.arange(PANEL * fine) + 0.5) / (PANEL * fine) * 2 * edge - edge
    drawing = np.full((PANEL * fine, PANEL * fine, 3), 255.0)
    for pe, (x_pmt, y_pmt) in zip(hits, pmts, strict=True):
        x, y = middle - x_pmt, middle[::-1] - y_pmt
        row, column = (each.ravel() for each in np.meshgrid(*(np.flatnonzero(abs(d) < 4) for d in (y, x))))
        inside = np.hypot(x[column], y[row]) <= 3.8
        step = np.floor(np.log10(max(pe, 0.1) / 0.1) / 5 * 256)
        drawing[row[inside], column[inside]] = image.colours()[int(min(step, 255))]
    return drawing.reshape(PANEL, fine, PANEL, fine, 3).mean(axis=(1, 3))


def plain_pulse(waveform: np.ndarray, padding: int, apart: float = np.inf) -> np.ndarray:
    """(37, 37): the line's lowest and highest point in each fifth of a pixel; the shade is the ink's area.

    Of stretches with more than `apart` dark samples between them, those that are more than a dark count.
    """
    lit = np.flatnonzero(waveform)
    parts = np.split(lit, np.flatnonzero(np.diff(lit) > apart + 1) + 1)
    lit = np.concatenate([part for part in parts if waveform[part].sum() > image.LONE_PE] or parts)
    waveform = np.maximum(waveform, 0)
    if len(lit) == 0:
        return np.full((PANEL, PANEL), 255.0)
    padded = np.pad(waveform.astype(float), padding)[lit[0] : lit[-1] + 1 + 2 * padding]
    ends = np.linspace(0, len(padded), PANEL * FINE + 1)
    ink = np.zeros((PANEL, PANEL * FINE))
    for part, (start, stop) in enumerate(zip(ends, ends[1:], strict=False)):
        crossed = padded[int(start + 1e-9) : int(stop + 1e-9) + 1] / padded.max() / 1.1 * PANEL
        foot, head = crossed.min() - 0.5 / FINE, crossed.max() + 0.5 / FINE
        rows = np.arange(PANEL)
        ink[PANEL - 1 - rows, part] = np.clip(np.minimum(head, rows + 1) - np.maximum(foot, rows), 0, 1)
    return 255 * (1 - ink.reshape(PANEL, PANEL, FINE).mean(axis=2))
