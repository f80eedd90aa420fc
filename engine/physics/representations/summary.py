"""What a classical search keeps of an event: corrected S1, corrected S2 and drift time.

A classifier on these three numbers is the floor: what a network that sees waveforms and hit patterns gains is what
it gains over this one.
"""

import numpy as np

from engine.physics.detectors import TPC, Readout

PULSES = False
COLUMNS = ("cs1_pe", "cs2_pe", "drift_us")


def sections(tpc: TPC) -> dict[str, int]:  # the same for every detector
    """The three numbers, by name and unit."""
    return dict.fromkeys(COLUMNS, 1)


def features(readout: Readout, tpc: TPC) -> np.ndarray:
    """(n, 3) float32: an S1 at threshold is of a few PE, and rounding to whole ones would widen it."""
    return np.column_stack([readout.cs1_pe, readout.cs2_pe, readout.drift_us]).astype(np.float32)
