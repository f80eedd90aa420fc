"""What was detected of an event's quanta, before tubes and digitisers: no experiment has it, and none could do better.

Given where a recoil was, what tells an electron recoil from a nuclear one is how many photons and electrons are
detected, and when the photons are. Of 40 photons of an ER of 5 keV and an NR of 25 the mean time has an AUC of 0.803,
the likelihood ratio of all times 0.804. A classifier on these four numbers is the ceiling, as one on `summary` is the
floor: what lies between is what the rest of a readout can be worth.
"""

import numpy as np

from engine.physics.detectors import TPC, Readout

PULSES = False
NAMES = ("s1_photons", "s1_mean_time_ns", "s2_electrons", "drift_us")


def sections(tpc: TPC) -> dict[str, int]:  # the same for every detector
    """The four numbers, by name and unit."""
    return dict.fromkeys(NAMES, 1)


def features(readout: Readout, tpc: TPC) -> np.ndarray:
    """(n, 4) float32: photons detected, their mean time after the first, electrons extracted, drift time."""
    return np.column_stack([getattr(readout, name) for name in NAMES]).astype(np.float32)
