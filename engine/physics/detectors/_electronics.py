"""What tubes and digitisers make of the charge: dark counts, pulses that last, and the noise of the baseline.

All of it is in waveforms and hit patterns alone: S1 and S2 stay the charge of their photons. A tube is recorded only
around its own pulses, as in XENON and LZ, so that a sample without light has no noise.
"""

from functools import lru_cache

import numpy as np
from numba import njit

from engine.lineage import mix64
from engine.physics.detectors import TPC, _pulses
from engine.physics.detectors._s2 import half_normals, normal

NOISE_STREAM = np.uint64(1 << 62)  # of an event's key: photons are numbered from 0 on
RECORDED = (3, 6)  # samples of a tube kept before and after a photoelectron's own: 3 and 3 about its pulse (straxen)
BLOCK = 64  # samples
TAIL = 1e-4  # of a pulse, which its end cuts off; the rest has the charge of all


@lru_cache(maxsize=8)
def spe_kernel(rise_ns: float, fall_ns: float, sample_ns: float) -> np.ndarray:
    """Share of a photoelectron's charge in each sample from its own on, its time anywhere in that one.

    Its current is that of two exponentials in a row, (exp(-t / fall) - exp(-t / rise)) / (fall - rise).
    """
    if fall_ns == 0:
        return np.ones(1, np.float32)
    t = sample_ns * np.arange(np.ceil(-fall_ns * np.log(TAIL) / sample_ns) + 2)
    rise_ns = max(rise_ns, 1e-3)  # without one the pulse starts at once
    charge = t - rise_ns - fall_ns  # integrated up to t, and then over t
    charge += (fall_ns**2 * np.exp(-t / fall_ns) - rise_ns**2 * np.exp(-t / rise_ns)) / (fall_ns - rise_ns)
    shares = np.diff(charge, 2, prepend=0.0)
    return (shares / shares.sum()).astype(np.float32)


def add_dark_counts(
    tpc: TPC, sample_ns: float, waveform: np.ndarray, hits: tuple[np.ndarray, np.ndarray], rng: np.random.Generator,
    moments: np.ndarray | None = None,
) -> None:  # fmt: skip
    """Adds single photoelectrons anywhere in the window, in any tube; draws nothing where there are none.

    Their charge times their time, and times its square, is added to `moments` (n, tubes, 2).
    """
    if not tpc.dark_count_rate_hz:
        return
    (n, samples), tubes = waveform.shape, hits[0].shape[1] + hits[1].shape[1]
    event = np.repeat(np.arange(n), rng.poisson(tpc.dark_count_rate_hz * tubes * samples * sample_ns * 1e-9, n))
    charge = rng.choice(_pulses.charge_table(0.0, tpc.spe_resolution), len(event))
    sample = rng.integers(samples, size=len(event))
    np.add.at(waveform, (event, sample), charge)
    tube, first = rng.integers(tubes, size=len(event)), hits[0].shape[1]
    for array, chosen, shift in ((hits[0], tube < first, 0), (hits[1], tube >= first, first)):
        np.add.at(array, (event[chosen], tube[chosen] - shift), charge[chosen])
    if moments is not None:
        time_ns = (sample + 0.5) * sample_ns
        np.add.at(moments, (event, tube), charge[:, None] * np.stack([time_ns, time_ns**2], axis=1))


def digitise(tpc: TPC, sample_ns: float, waveform: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """(n, samples) PE of so much charge, with the shape of pulses and the noise of the tubes that see them."""
    tubes = sum(len(tpc.pmt_positions_cm(array)) for array in ("top", "bottom"))
    kernel = spe_kernel(tpc.spe_rise_ns, tpc.spe_fall_ns, sample_ns)
    if len(kernel) == 1 and not tpc.baseline_noise_pe:
        return waveform
    return _digitise(waveform, kernel, tpc.baseline_noise_pe, tubes, keys, half_normals())


@njit(cache=True)
def _digitise(waveform, kernel, noise, tubes, keys, half_normals):
    n, (before, after), out = waveform.shape[1], RECORDED, np.empty_like(waveform)
    charge, padded = np.zeros(n + before + after, np.float32), np.zeros(n + len(kernel), np.float32)
    for event in range(len(waveform)):
        padded[:] = 0
        charge[after : after + n] = waveform[event]
        for j in range(len(kernel) - 1, -1, -1):
            _add(padded[j:], waveform[event], kernel[j])
        if noise > 0:
            _add_noise(padded, charge, noise, tubes, mix64(keys[event], NOISE_STREAM), half_normals)
        out[event] = padded[:n]
    return out


@njit(cache=True)
def _add(target, source, factor):
    for i in range(len(source)):
        target[i] += factor * source[i]


@njit(cache=True, error_model="numpy")
def _add_noise(waveform, charge, noise, tubes, key, half_normals):
    """Normal noise of as many tubes as so much light hits, up to all of them: charge tubes / (charge + tubes).

    In blocks of samples, of which most hold no charge: a loop without a branch takes several samples at a time.
    """
    width, n = RECORDED[0] + 1 + RECORDED[1], len(charge) - RECORDED[0] - RECORDED[1]
    seen = np.empty(BLOCK, np.float32)
    for first in range(0, n, BLOCK):
        size = min(BLOCK, n - first)
        seen[:] = 0
        for shift in range(width):
            _add(seen, charge[first + shift : first + shift + size], np.float32(1))
        if not seen.max() > 0:
            continue
        target = waveform[first:]
        for i in range(size):
            lit = seen[i] * (tubes / (seen[i] + tubes))
            target[i] += noise * np.sqrt(lit) * normal(mix64(key, np.uint64(first + i)), half_normals)
