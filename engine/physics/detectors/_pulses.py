"""Photons drawn once, then each given a time, a PMT and a charge.

Distributing drawn photons keeps the photon noise what it is; a second Poisson draw per sample would
double it and multiply the leakage of electron recoils into the nuclear-recoil region.
"""

from functools import lru_cache

import numpy as np
import scipy
from numba import njit

from engine.lineage import mix64
from engine.physics.detectors import TPC, _s1_light

TABLE_BITS = 12
TABLE_SIZE = 1 << TABLE_BITS

# NEST PhotonTime (nestpy 2.1.3): singlet-to-triplet ratio and lifetimes in ns
SINGLET_RATIO = {"ER": 0.042, "NR": 0.269}
SINGLET_NS, SINGLET_SPREAD_NS = 3.27, 0.66
TRIPLET_NS = {"ER": 25.89, "NR": 23.97}
NR_EXCITON_RECOMBINATION_NS = 0.5
LONGEST_RECOMBINATION_NS = 1000.0  # fuse cuts the tail here
PROMPT_TRANSPORT = 0.05  # NEST OptTrans: fraction of photons that reach a PMT without reflection


@lru_cache(maxsize=8)
def charge_table(double_pe_probability: float, resolution: float) -> np.ndarray:
    """TABLE_SIZE equally probable charges of one detected photon, in PE, zero-truncated."""
    charge = np.linspace(0, 6, 60_001)
    if resolution == 0:
        return np.where(np.arange(TABLE_SIZE) < double_pe_probability * TABLE_SIZE, 2.0, 1.0).astype(np.float32)
    norm = scipy.stats.norm  # whose import takes half a second: who simulates pays
    single = (norm.cdf(charge, 1, resolution) - norm.cdf(0, 1, resolution)) / norm.sf(0, 1, resolution)
    width = resolution * np.sqrt(2)
    double = (norm.cdf(charge, 2, width) - norm.cdf(0, 2, width)) / norm.sf(0, 2, width)
    cdf = (1 - double_pe_probability) * single + double_pe_probability * double
    return np.interp(quantiles(), cdf, charge).astype(np.float32)


def quantiles() -> np.ndarray:
    """Midpoints of TABLE_SIZE equally probable cells."""
    return (np.arange(TABLE_SIZE) + 0.5) / TABLE_SIZE


def s1_times_ns(
    tpc: TPC, kind: str, energy_keV: np.ndarray, is_exciton: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Detection time of each S1 photon after the recoil (NEST PhotonTime and OptTrans, fuse for the PMT).

    One energy and one flag per photon: whether it stems from an exciton rather than from recombination.
    """
    n = len(energy_keV)
    singlet = rng.random(n) < SINGLET_RATIO[kind] / (1 + SINGLET_RATIO[kind])
    lifetime = np.where(singlet, np.abs(rng.normal(SINGLET_NS, SINGLET_SPREAD_NS, n)), TRIPLET_NS[kind])
    if kind == "ER":
        slow = np.exp(-0.009 * tpc.drift_field_V_cm) * (7.3138 + 3.8431 * np.log10(energy_keV))
        recombination = np.where(is_exciton, 0.0, np.maximum(slow, 0.0))
    else:
        recombination = np.where(is_exciton, NR_EXCITON_RECOMBINATION_NS, 0.0)
    wait = np.minimum(recombination * (1 / (1 - rng.random(n)) - 1), LONGEST_RECOMBINATION_NS)
    transport = np.where(rng.random(n) < PROMPT_TRANSPORT, 0.0, rng.exponential(tpc.s1_transport_ns, n))
    return lifetime * rng.standard_exponential(n) + wait + transport + rng.normal(0, tpc.pmt_transit_ns, n)


@njit(cache=True)
def in_coincidence(times_ns, first, fold, window_ns):
    """(n,) bool: `fold` photons of event i, times_ns[first[i]:first[i + 1]], fall within the window.

    The first photons alone nearly always do; only where they do not are all of them sorted.
    """
    out = np.zeros(len(first) - 1, dtype=np.bool_)
    for event in range(len(out)):
        own = times_ns[first[event] : first[event + 1]]
        out[event] = _coincide(np.sort(own[: 8 * fold]), fold, window_ns) or _coincide(np.sort(own), fold, window_ns)
    return out


@njit(cache=True)
def mean_times_ns(times_ns, first):
    """(n,) mean time after the earliest of the photons of event i, times_ns[first[i]:first[i + 1]]; 0 without any."""
    out = np.zeros(len(first) - 1)
    for event in range(len(out)):
        own = times_ns[first[event] : first[event + 1]]
        if len(own):
            out[event] = own.mean() - own.min()
    return out


@njit(cache=True)
def _coincide(times, fold, window):
    for i in range(len(times) - fold + 1):
        if times[i + fold - 1] - times[i] <= window:
            return True
    return False


@njit(cache=True)
def fill_s1(
    times, first, keys, charges, sample_ns, bottom, places, tubes, waveform, hits_top, hits_bottom, area, moments
):
    """Gives every S1 photon a PMT and a charge; the waveform starts with the event's first photon.

    One 64-bit draw per photon: 12 bits for the charge, 40 for the channel. `places` (n, 6) and `tubes` say which
    light goes straight to which tube (`_s1_light.optics`), none if places is (0, 6); of the rest, `bottom` is the
    bottom array's share, and each array's tubes have it evenly. `moments` (n, tubes, 2), or (0, tubes, 2) for none:
    charge times time after the first photon, and times its square, are added there.
    """
    mask, n_top = np.uint64(len(charges) - 1), hits_top.shape[1]
    straight = np.zeros(n_top + hits_bottom.shape[1])
    for event in range(len(first) - 1):
        start, stop = first[event], first[event + 1]
        if start == stop:
            continue
        origin = times[start:stop].min()
        if len(places):
            _s1_light.direct(places[event], tubes[0], tubes[1], straight)
        for i in range(start, stop):
            bits = mix64(keys[event], np.uint64(i - start))
            charge = charges[bits & mask]
            area[event] += charge
            sample = int((times[i] - origin) / sample_ns)
            if sample < waveform.shape[1]:
                waveform[event, sample] += charge
            u = (bits >> np.uint64(24)) / 2.0**40
            if u < straight[-1]:
                tube = np.searchsorted(straight, u, side="right")
            else:
                u = (u - straight[-1]) / (1 - straight[-1])
                if u < bottom:
                    tube = n_top + _even(u / bottom, hits_bottom.shape[1])
                else:
                    tube = _even((u - bottom) / (1 - bottom), n_top)
            if tube < n_top:
                hits_top[event, tube] += charge
            else:
                hits_bottom[event, tube - n_top] += charge
            if len(moments):
                time = times[i] - origin
                moments[event, tube, 0] += charge * time
                moments[event, tube, 1] += charge * time * time


@njit(cache=True)
def s1_charge(keys, detected, charges):
    """(n,) charge of events of so many photons each, (n,): what `fill_s1` would give them, to the bit."""
    mask, area = np.uint64(len(charges) - 1), np.zeros(len(detected))
    for event in range(len(detected)):
        for i in range(detected[event]):
            area[event] += charges[mix64(keys[event], np.uint64(i)) & mask]
    return area


@njit(cache=True)
def _even(u, n):
    return min(int(u * n), n - 1)
