"""The plane of a classical search: corrected S1 and corrected S2, without the drift time.

What (cS1, cS2) alone are worth, and what a network gains over a cut in them.
"""

import numpy as np

from engine.physics.detectors import TPC, Readout

PULSES = False
COLUMNS = ("cs1_pe", "cs2_pe")


def sections(tpc: TPC) -> dict[str, int]:  # the same for every detector
    """The two numbers, by name and unit."""
    return dict.fromkeys(COLUMNS, 1)


def features(readout: Readout, tpc: TPC) -> np.ndarray:
    """(n, 2) float32, since few PE are no whole numbers."""
    return np.column_stack([readout.cs1_pe, readout.cs2_pe]).astype(np.float32)
