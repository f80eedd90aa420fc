"""The papers' vector: summed S1 waveform, summed S2 waveform, top and bottom S2 hit pattern; 3835 for DARWIN."""

import numpy as np

from engine.physics.detectors import TPC, Readout

COLUMNS = ("s1_waveform", "s2_waveform", "s2_top", "s2_bottom")
SATURATION = np.iinfo(np.uint16).max  # in PE five to eight times the hottest PMT of a 100 keV electron recoil


def sections(tpc: TPC) -> dict[str, int]:
    """Lengths of the vector's stretches, in their order."""
    top, bottom = (len(tpc.pmt_positions_cm(array)) for array in ("top", "bottom"))
    return {"s1_waveform": tpc.s1_samples, "s2_waveform": tpc.s2_samples, "s2_top": top, "s2_bottom": bottom}


def features(readout: Readout, tpc: TPC) -> np.ndarray:
    """(n, length) uint16: samples in steps of the detector's `sample_step_pe`, whole PE per PMT; none is negative."""
    whole = np.concatenate([getattr(readout, name) for name in COLUMNS], axis=1)
    whole[:, : tpc.s1_samples + tpc.s2_samples] /= tpc.sample_step_pe
    return np.clip(np.rint(whole, out=whole), 0, SATURATION, out=whole).astype(np.uint16)
