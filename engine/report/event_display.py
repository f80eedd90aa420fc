"""One event as it was recorded: its pulses, what each tube saw and its composite image, as far as they are there."""

import dataclasses

import numpy as np

from engine import plugins
from engine.physics.detectors import TPC, Readout
from engine.plots import physics as figures


def of_one(readout: Readout, event: int) -> Readout:
    """The readout of one event, arrays of length 1."""
    parts = {field.name: getattr(readout, field.name)[event : event + 1] for field in dataclasses.fields(Readout)}
    return Readout(**parts)


def image(readout: Readout, tpc: TPC) -> np.ndarray | None:
    """(rows, columns, 3) uint8 composite image of the first event; None where that representation does not ship."""
    package = "engine.physics.representations"
    if "image" not in plugins.names(package):
        return None
    view = plugins.load(package, "image", "features", "SHAPE")
    return view.features(readout, tpc)[0].reshape(view.SHAPE)


def apart(waveform: np.ndarray, top_pe: float, bottom_pe: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A summed waveform (samples,) of photoelectrons as those of the two arrays, of which it is the sum.

    Which array a photon goes to has nothing to do with when it comes: of as many photoelectrons as there are, those of
    the bottom array are a draw without replacement. Exact for whole photoelectrons; others are shared in proportion.
    """
    counts = np.maximum(np.rint(waveform), waveform > 0).astype(np.int64)
    n_bottom = round(counts.sum() * bottom_pe / (top_pe + bottom_pe)) if counts.any() else 0
    drawn = rng.multivariate_hypergeometric(counts, n_bottom, method="marginals")
    bottom = waveform * drawn / np.maximum(counts, 1)
    return {"top": waveform - bottom, "bottom": bottom}


def _arrays(readout: Readout, tpc: TPC) -> dict[str, dict[str, np.ndarray]]:
    """The waveforms of both arrays in S1 and S2, of a simulated event whose samples hold photoelectrons; else none."""
    if tpc.spe_rise_ns or tpc.spe_fall_ns or tpc.baseline_noise_pe:
        return {}
    rng = np.random.default_rng(0)
    of = {"S1": (readout.s1_waveform, readout.s1_top, readout.s1_bottom),
          "S2": (readout.s2_waveform, readout.s2_top, readout.s2_bottom)}  # fmt: skip
    return {name: apart(samples[0], top.sum(), bottom.sum(), rng) for name, (samples, top, bottom) in of.items()}


def display(title: str, readout: Readout, tpc: TPC, is_simulated: bool = False) -> figures.Figure | None:
    """The figure of a readout's first event; None where it has no charge of single tubes, as lists of areas have not.

    What a list does not hold is (n, 0) in its readout, and left out; a simulated event has waveforms of both arrays.
    """
    arrays = {name: tpc.pmt_positions_cm(name) for name in ("top", "bottom")}
    patterns = {"S2, top array": ("top", readout.s2_top), "S2, bottom array": ("bottom", readout.s2_bottom),
                "S1, bottom array": ("bottom", readout.s1_bottom)}  # fmt: skip
    hits = {name: (arrays[array], charge[0]) for name, (array, charge) in patterns.items() if charge.shape[1]}
    waveforms = {"S1": (readout.s1_waveform, tpc.s1_sample_ns), "S2": (readout.s2_waveform, tpc.s2_sample_ns)}
    pulses = {name: (samples[0], width_ns) for name, (samples, width_ns) in waveforms.items() if samples.shape[1]}
    if not hits:
        return None
    whole = len(hits) == len(patterns) and len(pulses) == len(waveforms)
    arrays = _arrays(readout, tpc) if is_simulated else {}
    seen = image(readout, tpc) if whole else None
    return figures.event(title, pulses, hits, radius_cm=tpc.radius_cm, image=seen, arrays=arrays)
