"""The S2: when electrons arrive, how many photons each makes, and where the photons are seen.

An event's photons are drawn once. A few of them are followed one by one. Of many, the event's charge is drawn, and
shared out twice: over the samples and over the PMTs. The shares are independent compound Poisson numbers scaled to
that charge, which leaves them a multinomial's variances and covariances: Poisson numbers with a given sum are one.
So waveform and hit pattern hold the same charge, and no average over the PMTs takes its noise away.

What sharing out gives up: the correlation between samples and PMTs beyond their sum, and the tie between a photon
and its electron, by which the photon noise of a sample widens: in variance by less than the largest part of an
electron's photons that falls into one sample, 0.8 % in DARWIN.
"""

from functools import lru_cache

import numpy as np
import scipy
from numba import njit

from engine.lineage import mix64
from engine.physics.detectors import TPC, _pulses
from engine.physics.detectors._pulses import TABLE_BITS, TABLE_SIZE
from engine.sampling import fill_guide, search

GAS_SINGLET_NS, GAS_TRIPLET_NS, GAS_SINGLET_FRACTION = 5.18, 100.1, 0.1 / 1.1  # NEST, electroluminescence
FEW_PHOTONS = 8000  # up to here following the photons costs no more than sharing them out
FEW_IN_SHARE = 8.0  # above, a share is continuous: in whole PE 0.3 % of its probability is misplaced, then less
GUIDE_SIZE = 2048
RECIPROCALS = 1.0 / np.maximum(np.arange(64), 1)
MASK = np.uint64(TABLE_SIZE - 1)


@lru_cache(maxsize=8)
def gas_delays_ns(gas_transit_us: float, pmt_transit_ns: float) -> np.ndarray:
    """TABLE_SIZE equally probable delays of an S2 photon behind its electron's arrival, in ns."""
    t, cdf = _gas_cdf(gas_transit_us, pmt_transit_ns)
    return np.interp(_pulses.quantiles(), cdf, t).astype(np.float32)


@lru_cache(maxsize=8)
def gas_kernel(gas_transit_us: float, pmt_transit_ns: float, sample_ns: float) -> np.ndarray:
    """Share of an electron's photons in each sample after its arrival, which is the first sample's start."""
    t, cdf = _gas_cdf(gas_transit_us, pmt_transit_ns)
    ends = sample_ns * np.arange(1, np.ceil(t[-1] / sample_ns) + 1)
    return np.diff(np.interp(ends, t, cdf), prepend=0.0)


def _gas_cdf(gas_transit_us, pmt_transit_ns):
    """Uniform transit of the gas gap, then the gas excimer's decay, then the PMT's transit spread."""
    step = 1.0
    t = np.arange(0, gas_transit_us * 1e3 + 12 * GAS_TRIPLET_NS, step)
    gap = (t < gas_transit_us * 1e3).astype(float)
    excimer = GAS_SINGLET_FRACTION / GAS_SINGLET_NS * np.exp(-t / GAS_SINGLET_NS)
    excimer += (1 - GAS_SINGLET_FRACTION) / GAS_TRIPLET_NS * np.exp(-t / GAS_TRIPLET_NS)
    density = np.convolve(gap, excimer)[: len(t)]
    if pmt_transit_ns:
        spread = np.arange(-6, 6.001, step / pmt_transit_ns)
        density = np.convolve(density, scipy.stats.norm.pdf(spread), mode="same")
    cdf = np.cumsum(density)
    return t, cdf / cdf[-1]


def pulses(
    tpc: TPC, drift_us: np.ndarray, electrons: np.ndarray, x: np.ndarray, y: np.ndarray, keys: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Waveform (n, s2_samples), top and bottom hits (n, PMTs) in PE as float32, and charge (n,), of n S2s.

    Event i has electrons[i] extracted ones after a drift of drift_us[i], x[i] and y[i] in cm, and the random stream
    keys[i] to itself. The waveform starts at the detector's `s2_origin`; light behind its end is in the charge and
    in the hits alone.
    """
    n, n_top, n_bottom = len(x), *(len(tpc.pmt_positions_cm(array)) for array in ("top", "bottom"))
    waveform, hits = np.zeros((n, tpc.s2_samples), np.float32), np.zeros((n, n_top + n_bottom), np.float32)
    tables = (
        _pulses.charge_table(tpc.double_pe_probability, tpc.spe_resolution), half_normals(),
        gas_delays_ns(tpc.gas_transit_us, tpc.pmt_transit_ns) / np.float32(tpc.s2_sample_ns),
        gas_kernel(tpc.gas_transit_us, tpc.pmt_transit_ns, tpc.s2_sample_ns),
    )  # fmt: skip
    spread, waiting = spread_ns(tpc, drift_us) / tpc.s2_sample_ns, tpc.electron_trapping_us * 1e3 / tpc.s2_sample_ns
    lead = drift_us * 1e3 / tpc.s2_sample_ns if tpc.s2_origin == "s1_trigger" else np.full(n, np.nan)
    gain = tpc.single_electron_gain, np.sqrt(photon_variance(tpc))
    optics = tpc.pmt_positions_cm("top"), tpc.s2_light_height_cm, tpc.s2_top_fraction, tpc.s2_focused_fraction
    charge = _fill(electrons, lead, spread, waiting, gain, keys, x, y, tables, optics, FEW_PHOTONS, waveform, hits)
    return waveform, hits[:, :n_top], hits[:, n_top:], charge


def charge(tpc: TPC, electrons: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """(n,) charge of n S2s in PE: what `pulses` would give them, to the bit, without the pulses."""
    charges = _pulses.charge_table(tpc.double_pe_probability, tpc.spe_resolution)
    gain = tpc.single_electron_gain, np.sqrt(photon_variance(tpc))
    return _charge(electrons, gain, keys, charges, half_normals(), FEW_PHOTONS)


def spread_ns(tpc: TPC, drift_us: np.ndarray) -> np.ndarray:
    """Sigma of an electron's arrival by longitudinal diffusion."""
    return np.sqrt(2e-6 * tpc.diffusion_longitudinal_cm2_s * drift_us) * 1e4 / tpc.drift_velocity_mm_us


def photon_variance(tpc: TPC) -> float:
    """Variance of the photons detected of an electron: binomial, m g (1 - g), about a made number's F m g^2 (NEST)."""
    return tpc.single_electron_gain * (1 - tpc.g1_gas + tpc.el_fano * tpc.g1_gas)


@lru_cache(maxsize=1)
def half_normals() -> np.ndarray:
    """TABLE_SIZE numbers: the sum of two picked evenly is normal, with variance 1 and kurtosis 2.99, to 5.2 sigma."""
    half = scipy.stats.norm.ppf(_pulses.quantiles())
    return (half / (half.std() * np.sqrt(2))).astype(np.float32)


@njit(cache=True)
def _fill(electrons, lead, spread, waiting, gain, keys, x, y, tables, optics, few, waveform, hits):
    """Fills waveform and hits; lead (NaN: up to the first electron), spread, waiting in samples; returns charges."""
    charges, normals, delays, kernel = tables
    charge, moments = np.zeros(len(x)), _moments(charges)
    light, seen = np.empty(waveform.shape[1] + 1), np.empty(hits.shape[1])
    for event in range(len(x)):
        streams = [mix64(keys[event], np.uint64(stream)) for stream in range(4)]
        arrived, made = draw_electrons(streams[0], electrons[event], spread[event], waiting, gain, normals)
        n = made.sum()
        if n == 0:
            continue
        arrived = np.maximum(arrived + (-arrived.min() if np.isnan(lead[event]) else lead[event]), 0.0)
        expect_hits(n, x[event], y[event], optics, seen)
        if n <= few:
            charge[event] = follow(streams[1], arrived, made, delays, charges, seen, waveform[event], hits[event])
            continue
        expect_light(arrived, made, kernel, light)
        charge[event] = _of_many(n, streams[1], moments, normals)
        waveform[event] = share_out(streams[2], charge[event], light, charges, moments, normals)[:-1]
        hits[event] = share_out(streams[3], charge[event], seen, charges, moments, normals)
    return charge


@njit(cache=True)
def _charge(electrons, gain, keys, charges, normals, few):
    """As `_fill` draws it: of a few photons one by one, in the same order, of many by one number."""
    charge, moments = np.zeros(len(electrons)), _moments(charges)
    for event in range(len(electrons)):
        key, n = mix64(keys[event], np.uint64(0)), np.int64(0)
        for i in range(electrons[event]):
            n += _photons(mix64(key, np.uint64(2 * i)), gain, normals)
        key = mix64(keys[event], np.uint64(1))
        if n > few:
            charge[event] = _of_many(n, key, moments, normals)
            continue
        for photon in range(n):
            charge[event] += charges[(mix64(key, np.uint64(photon)) >> np.uint64(TABLE_BITS)) & MASK]
    return charge


@njit(cache=True, inline="always")
def _of_many(n, bits, moments, half_normals):
    return n * moments[0] + np.sqrt(n * (moments[1] - moments[0] ** 2)) * normal(bits, half_normals)


@njit(cache=True, inline="always")
def _photons(bits, gain, half_normals):
    """Photons of an electron, from the bits that its arrival leaves."""
    mean, sigma = gain
    return np.int64(max(np.rint(mean + sigma * normal(bits >> np.uint64(2 * TABLE_BITS), half_normals)), 0.0))


@njit(cache=True)
def draw_electrons(key, n, spread, waiting, gain, half_normals):
    """Arrival after the mean drift, of normal spread and exponential waiting time, and photons of each electron."""
    arrived, made = np.empty(n), np.empty(n, dtype=np.int64)
    for i in range(n):
        bits = mix64(key, np.uint64(2 * i))
        u = (mix64(key, np.uint64(2 * i + 1)) >> np.uint64(11)) / 2.0**53
        arrived[i] = spread * normal(bits, half_normals) - waiting * np.log(1 - u)
        made[i] = _photons(bits, gain, half_normals)
    return arrived, made


@njit(cache=True)
def _moments(charges):
    """Mean charge of a photon, mean square, and a sixth of the mean cube over the mean square."""
    mean, square, cube = 0.0, 0.0, 0.0
    for charge in charges:
        mean += charge
        square += charge * charge
        cube += charge * charge * charge
    n = len(charges)
    return mean / n, square / n, cube / (6 * square)


@njit(cache=True, inline="always")
def normal(bits, half_normals):
    """A draw close to the standard normal: a sum of two, each looked up by its own bits."""
    return half_normals[bits & MASK] + half_normals[(bits >> np.uint64(TABLE_BITS)) & MASK]


@njit(cache=True)
def expect_hits(n, x, y, optics, seen):
    """Photons expected per PMT: at the top some fall off as (d^2 + h^2)^-3/2, the rest is spread evenly."""
    pmts, height, top, focused = optics
    total, n_top = 0.0, len(pmts)
    for i in range(n_top):
        distance2 = (pmts[i, 0] - x) ** 2 + (pmts[i, 1] - y) ** 2 + height**2
        seen[i] = 1.0 / (distance2 * np.sqrt(distance2))
        total += seen[i]
    for i in range(n_top):
        seen[i] = n * top * (focused * seen[i] / total + (1 - focused) / n_top)
    seen[n_top:] = n * (1 - top) / (len(seen) - n_top)


@njit(cache=True)
def expect_light(arrived, made, kernel, light):
    """Photons expected per sample and, last, behind the window: an electron between two samples belongs to both."""
    n = len(light) - 1
    electrons = np.zeros(n + 1)
    for i in range(len(arrived)):
        sample = int(arrived[i])
        if sample < n:
            electrons[sample] += made[i] * (1 - arrived[i] + sample)
            electrons[sample + 1] += made[i] * (arrived[i] - sample)
    light[:] = 0
    for sample in range(n):
        if electrons[sample] > 0:
            for i in range(min(len(kernel), n - sample)):
                light[sample + i] += electrons[sample] * kernel[i]
    light[n] = max(made.sum() - light[:n].sum(), 0.0)


@njit(cache=True)
def follow(key, arrived, made, delays, charges, seen, waveform, hits):
    """Gives every photon a time, a PMT and a charge, from 12, 40 and 12 of 64 bits; returns the charge of all."""
    cdf, guide = np.cumsum(seen), np.empty(GUIDE_SIZE, dtype=np.int64)
    cdf /= cdf[-1]
    fill_guide(cdf, guide)
    total, draw = 0.0, np.uint64(0)
    for i in range(len(arrived)):
        for _ in range(made[i]):
            bits = mix64(key, draw)
            draw += np.uint64(1)
            charge = charges[(bits >> np.uint64(TABLE_BITS)) & MASK]
            total += charge
            sample = int(arrived[i] + delays[bits & MASK])
            if sample < len(waveform):
                waveform[sample] += charge
            hits[search(cdf, guide, (bits >> np.uint64(2 * TABLE_BITS)) / 2.0 ** (64 - 2 * TABLE_BITS))] += charge
    return total


@njit(cache=True)
def share_out(key, total, expected, charges, moments, half_normals):
    """Charges of Poisson numbers of photons about `expected`, scaled to the total.

    Few photons bring one charge each; more, a normal z with their variance and skewness: z + skewness (z^2 - 1) / 6
    (Cornish and Fisher 1938, first order). One loop, since numba counts references to arrays at every call.
    """
    shares, (mean, square, bend) = np.zeros(len(expected)), moments
    for i in range(len(expected)):
        bits = mix64(key, np.uint64(i))
        if expected[i] > FEW_IN_SHARE:
            z = normal(bits, half_normals)
            sigma = np.sqrt(expected[i] * square - 2 * bend * bend)
            shares[i] = max(expected[i] * mean + sigma * z + bend * (z * z - 1), 0.0)
        elif expected[i] > 0:
            for photon in range(_poisson(bits, expected[i])):
                shares[i] += charges[mix64(bits, np.uint64(photon)) & MASK]
    return shares * (total / shares.sum())


@njit(cache=True, inline="always")
def _poisson(bits, mean):
    """A Poisson number by inversion, for means up to FEW_IN_SHARE."""
    u, n = (bits >> np.uint64(11)) / 2.0**53, 0
    probability = np.exp(-mean)
    while u >= probability and n < len(RECIPROCALS) - 1:
        u -= probability
        n += 1
        probability *= mean * RECIPROCALS[n]
    return n
