"""The S2's light: the kernel beside a twin that makes it photon by photon."""

from dataclasses import dataclass

import numpy as np

from engine.physics.detectors import TPC, _pulses, _s2


@dataclass(frozen=True)
class Light:
    """The arguments of `_s2.pulses` behind the detector, in its order: electrons that make light."""

    drift_us: np.ndarray
    electrons: np.ndarray
    x: np.ndarray
    y: np.ndarray
    keys: np.ndarray


def s2_light(n_events: int, electrons: int = 150) -> Light:
    """S2s of this many extracted electrons, 1 ms of drift, anywhere in the detector."""
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-85, 85, (2, n_events))
    keys = rng.integers(0, 2**64, n_events, dtype=np.uint64)
    return Light(np.full(n_events, 1e3), np.full(n_events, electrons), x, y, keys)


def fast_s2(tpc: TPC, light: Light) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(events, samples) waveform, (events, PMTs) charge of top and bottom tubes, (events,) charge, by the kernel."""
    waveform, top, bottom, charge = _s2.pulses(tpc, *vars(light).values())
    return waveform, np.hstack([top, bottom]), charge


def plain_s2(rng: np.random.Generator, tpc: TPC, light: Light) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """S2 pulses photon by photon: one histogram of times, one choice of tubes; in distribution those of `_s2`."""
    charges = _pulses.charge_table(tpc.double_pe_probability, tpc.spe_resolution)
    edges, waveforms, hits, areas = tpc.s2_sample_ns * np.arange(tpc.s2_samples + 1), [], [], []
    for drift_us, electrons, x, y in zip(light.drift_us, light.electrons, light.x, light.y, strict=True):
        times = plain_times_ns(rng, tpc, drift_us, electrons)
        charge = rng.choice(charges, len(times)).astype(float)
        share = plain_share(tpc, x, y)
        tube = rng.choice(len(share), len(times), p=share)
        waveforms.append(np.histogram(times, edges, weights=charge)[0])
        hits.append(np.bincount(tube, charge, minlength=len(share)))
        areas.append(charge.sum())
    return np.array(waveforms), np.array(hits), np.array(areas)


def plain_times_ns(rng: np.random.Generator, tpc: TPC, drift_us: float, electrons: int) -> np.ndarray:
    """Time of each detected photon after the first electron: diffusion, trapping, gas gap, excimer, PMT."""
    sigma_us = np.sqrt(2e-6 * tpc.diffusion_longitudinal_cm2_s * drift_us) * 10 / tpc.drift_velocity_mm_us
    arrived = rng.normal(0, sigma_us, electrons) + rng.exponential(tpc.electron_trapping_us, electrons)
    made = rng.normal(tpc.el_photons_per_electron, np.sqrt(tpc.el_fano * tpc.el_photons_per_electron), electrons)
    photons = rng.binomial(np.maximum(np.rint(made), 0).astype(int), tpc.g1_gas)
    start = np.repeat(arrived - arrived.min(), photons) * 1e3
    n = len(start)
    decay = np.where(rng.random(n) < _s2.GAS_SINGLET_FRACTION, _s2.GAS_SINGLET_NS, _s2.GAS_TRIPLET_NS)
    delay = rng.uniform(0, tpc.gas_transit_us * 1e3, n) + rng.exponential(decay) + rng.normal(0, tpc.pmt_transit_ns, n)
    return start + np.maximum(delay, 0)


def plain_share(tpc: TPC, x: float, y: float) -> np.ndarray:
    """Probability of each tube, top array first, to see a photon made at x, y in cm."""
    top, bottom = (tpc.pmt_positions_cm(array) for array in ("top", "bottom"))
    near = (((top - [x, y]) ** 2).sum(axis=1) + tpc.s2_light_height_cm**2) ** -1.5
    share = tpc.s2_focused_fraction * near / near.sum() + (1 - tpc.s2_focused_fraction) / len(top)
    return np.append(tpc.s2_top_fraction * share, np.full(len(bottom), (1 - tpc.s2_top_fraction) / len(bottom)))
