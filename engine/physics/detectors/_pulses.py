"""Photons drawn once, then each given a time, a PMT and a charge.

Distributing drawn photons keeps the photon noise what it is; a second Poisson draw per sample would
double it and multiply the leakage of electron recoils into the nuclear-recoil region.
"""

from functools import lru_cache

import numpy as np
from numba import njit
from scipy.stats import norm

from engine.lineage import mix64
from engine.physics.detectors import TPC
from engine.sampling import fill_guide, search

TABLE_BITS = 12
TABLE_SIZE = 1 << TABLE_BITS
GUIDE_SIZE = 1024

# NEST PhotonTime (nestpy 2.1.3): singlet-to-triplet ratio and lifetimes in ns
SINGLET_RATIO = {"ER": 0.042, "NR": 0.269}
SINGLET_NS, SINGLET_SPREAD_NS = 3.27, 0.66
TRIPLET_NS = {"ER": 25.89, "NR": 23.97}
NR_EXCITON_RECOMBINATION_NS = 0.5
LONGEST_RECOMBINATION_NS = 1000.0  # fuse cuts the tail here
PROMPT_TRANSPORT = 0.05  # NEST OptTrans: fraction of photons that reach a PMT without reflection
GAS_SINGLET_NS, GAS_TRIPLET_NS, GAS_SINGLET_FRACTION = 5.18, 100.1, 0.1 / 1.1  # NEST, electroluminescence


@lru_cache(maxsize=8)
def charge_table(double_pe_probability: float, resolution: float) -> np.ndarray:
    """TABLE_SIZE equally probable charges of one detected photon, in PE, zero-truncated."""
    charge = np.linspace(0, 6, 60_001)
    if resolution == 0:
        return np.where(np.arange(TABLE_SIZE) < double_pe_probability * TABLE_SIZE, 2.0, 1.0).astype(np.float32)
    single = (norm.cdf(charge, 1, resolution) - norm.cdf(0, 1, resolution)) / norm.sf(0, 1, resolution)
    width = resolution * np.sqrt(2)
    double = (norm.cdf(charge, 2, width) - norm.cdf(0, 2, width)) / norm.sf(0, 2, width)
    cdf = (1 - double_pe_probability) * single + double_pe_probability * double
    return np.interp(_quantiles(), cdf, charge).astype(np.float32)


@lru_cache(maxsize=8)
def gas_time_table(gas_transit_us: float, pmt_transit_ns: float) -> np.ndarray:
    """TABLE_SIZE equally probable delays of an S2 photon behind its electron's arrival, in ns.

    Uniform transit of the gas gap, then the gas excimer's decay, then the PMT's transit spread.
    """
    step = 1.0
    t = np.arange(0, gas_transit_us * 1e3 + 12 * GAS_TRIPLET_NS, step)
    gap = (t < gas_transit_us * 1e3).astype(float)
    excimer = GAS_SINGLET_FRACTION / GAS_SINGLET_NS * np.exp(-t / GAS_SINGLET_NS)
    excimer += (1 - GAS_SINGLET_FRACTION) / GAS_TRIPLET_NS * np.exp(-t / GAS_TRIPLET_NS)
    density = np.convolve(gap, excimer)[: len(t)]
    if pmt_transit_ns:
        spread = np.arange(-6, 6.001, step / pmt_transit_ns)
        density = np.convolve(density, norm.pdf(spread), mode="same")
    cdf = np.cumsum(density)
    return np.interp(_quantiles(), cdf / cdf[-1], t).astype(np.float32)


def _quantiles() -> np.ndarray:
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


def electron_times_ns(tpc: TPC, drift: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Arrival of each extracted electron about the mean drift time: longitudinal diffusion and trapping."""
    spread_cm = np.sqrt(2 * tpc.diffusion_longitudinal_cm2_s * drift * 1e-6)
    spread_ns = spread_cm * 10 / tpc.drift_velocity_mm_us * 1e3
    return rng.normal(0, spread_ns) + rng.exponential(tpc.electron_trapping_us * 1e3, len(drift))


def photons_per_electron(tpc: TPC, n: int, rng: np.random.Generator) -> np.ndarray:
    """Photons detected of each extracted electron: electroluminescence, then binomial detection (NEST)."""
    made = rng.normal(tpc.el_photons_per_electron, np.sqrt(tpc.el_fano * tpc.el_photons_per_electron), n)
    mean = made * tpc.g1_gas
    noise = np.sqrt(np.maximum(mean, 0) * (1 - tpc.g1_gas)) * rng.standard_normal(n)
    return np.maximum(np.rint(mean + noise), 0).astype(np.int64)


def in_coincidence(times_ns: np.ndarray, first: np.ndarray, fold: int, window_ns: float) -> np.ndarray:
    """(n,) bool: `fold` photons of event i, times_ns[first[i]:first[i + 1]], fall within the window."""
    order = np.lexsort((times_ns, np.repeat(np.arange(len(first) - 1), np.diff(first))))
    return _coincidence(times_ns[order], first, fold, window_ns)


@njit(cache=True)
def _coincidence(times, first, fold, window):
    out = np.zeros(len(first) - 1, dtype=np.bool_)
    for event in range(len(first) - 1):
        for i in range(first[event], first[event + 1] - fold + 1):
            if times[i + fold - 1] - times[i] <= window:
                out[event] = True
                break
    return out


@njit(cache=True)
def fill_s1(times, first, keys, charges, sample_ns, waveform, area):
    """Adds each S1 photon's charge to its sample; the waveform starts with the event's first photon."""
    mask = np.uint64(len(charges) - 1)
    for event in range(len(first) - 1):
        start, stop = first[event], first[event + 1]
        if start == stop:
            continue
        origin = times[start:stop].min()
        for i in range(start, stop):
            charge = charges[mix64(keys[event], np.uint64(i - start)) & mask]
            area[event] += charge
            sample = int((times[i] - origin) / sample_ns)
            if sample < waveform.shape[1]:
                waveform[event, sample] += charge


@njit(cache=True)
def fill_s2(
    times, photons, first, keys, charges, delays, x, y, pmts, height, top, focused, sample_ns, waveform, hits_top,
    hits_bottom, area,
):
    """Gives every S2 photon a time, a PMT and a charge; the waveform starts with the first electron.

    One 64-bit draw per photon: 12 bits for the delay, 12 for the charge, 40 for the channel.
    """
    n_pmts = len(pmts)
    cdf = np.empty(n_pmts)
    guide = np.empty(GUIDE_SIZE, dtype=np.int64)
    mask = np.uint64(TABLE_SIZE - 1)
    for event in range(len(first) - 1):
        start, stop = first[event], first[event + 1]
        if start == stop:
            continue
        _focused_cdf(x[event], y[event], pmts, height, cdf, guide)
        origin = times[start:stop].min()
        draw = np.uint64(0)
        for i in range(start, stop):
            for _ in range(photons[i]):
                bits = mix64(keys[event], draw)
                draw += np.uint64(1)
                charge = charges[(bits >> np.uint64(TABLE_BITS)) & mask]
                area[event] += charge
                sample = int((times[i] - origin + delays[bits & mask]) / sample_ns)
                if sample < waveform.shape[1]:
                    waveform[event, sample] += charge
                u = (bits >> np.uint64(24)) / 2.0**40
                if u < top * focused:
                    hits_top[event, search(cdf, guide, u / (top * focused))] += charge
                elif u < top:
                    hits_top[event, int((u - top * focused) / (top * (1 - focused)) * n_pmts)] += charge
                else:
                    hits_bottom[event, min(int((u - top) / (1 - top) * n_pmts), n_pmts - 1)] += charge


@njit(cache=True)
def _focused_cdf(x, y, pmts, height, cdf, guide):
    """Cumulative share of each top PMT in the light that falls off as (d^2 + h^2)^-3/2; and its guide."""
    total = 0.0
    for i in range(len(pmts)):
        distance2 = (pmts[i, 0] - x) ** 2 + (pmts[i, 1] - y) ** 2 + height**2
        total += 1.0 / (distance2 * np.sqrt(distance2))
        cdf[i] = total
    cdf /= total
    fill_guide(cdf, guide)
