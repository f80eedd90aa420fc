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


def display(title: str, readout: Readout, tpc: TPC) -> figures.Figure | None:
    """The figure of a readout's first event; None where it has no charge of single tubes, as lists of areas have not.

    What a list does not hold is (n, 0) in its readout, and left out.
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
    return figures.event(title, pulses, hits, radius_cm=tpc.radius_cm, image=image(readout, tpc) if whole else None)
