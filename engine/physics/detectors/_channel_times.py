"""When each tube sees an event's light: the mean and the spread of its charge over time, of those who ask for it.

An S1's photons have a tube and a time each, and so has each dark count; their moments are summed as they are made. An
S2's photons are not all followed. Which tube sees one has nothing to do with when it was made: for a tube with so much
charge, as many photons are drawn from the event's waveform.
"""

import numpy as np
from numba import njit

from engine.lineage import mix64
from engine.sampling import fill_guide, search

TIMES_STREAM = np.uint64(1 << 61)  # of an event's key: photons are numbered from 0 on
GUIDE_SIZE = 2048


def of_moments(moments: np.ndarray, *hits: np.ndarray) -> np.ndarray:
    """(n, tubes, 2) float32: mean and standard deviation in ns, 0 of a tube without light.

    moments (n, tubes, 2): charge times time and times its square, summed; hits: the charges, of array by array.
    """
    charge = np.concatenate(hits, axis=1)[..., None]
    mean, square = np.moveaxis(np.divide(moments, charge, out=np.zeros(moments.shape), where=charge > 0), 2, 0)
    return np.stack([mean, np.sqrt(np.maximum(square - mean**2, 0.0))], axis=2).astype(np.float32)


def of_waveforms(
    waveforms: np.ndarray, hits: tuple[np.ndarray, np.ndarray], keys: np.ndarray, sample_ns: float, mean_charge: float
) -> np.ndarray:
    """As `of_moments`, of photons drawn from waveforms (n, samples) in PE: of a tube as many as its charge is of.

    `keys` (n,): of the events' streams. Light behind a waveform's end has the times of what is in it.
    """
    charge = np.concatenate(hits, axis=1)
    moments = np.zeros((*charge.shape, 2))
    _draw(waveforms, charge, keys, sample_ns, mean_charge, moments)
    return of_moments(moments, charge)


@njit(cache=True)
def _draw(waveforms, charge, keys, sample_ns, mean_charge, moments):
    guide = np.empty(GUIDE_SIZE, dtype=np.int64)
    for event in range(len(charge)):
        summed = np.cumsum(waveforms[event].astype(np.float64))
        if not summed[-1] > 0:
            continue
        summed /= summed[-1]
        fill_guide(summed, guide)
        stream = mix64(keys[event], TIMES_STREAM)
        for tube in range(charge.shape[1]):
            if charge[event, tube] > 0:
                n = max(int(np.rint(charge[event, tube] / mean_charge)), 1)
                first, second = _moments(mix64(stream, np.uint64(tube)), n, summed, guide, sample_ns)
                moments[event, tube, 0] = charge[event, tube] * first
                moments[event, tube, 1] = charge[event, tube] * second


@njit(cache=True)
def _moments(key, n, cdf, guide, sample_ns):
    """Mean and mean square of the times of n photons, even over the sample that each is in."""
    first, second = 0.0, 0.0
    for photon in range(n):
        u = (mix64(key, np.uint64(photon)) >> np.uint64(11)) / 2.0**53
        sample = search(cdf, guide, u)
        below = cdf[sample - 1] if sample > 0 else 0.0
        time = (sample + (u - below) / (cdf[sample] - below)) * sample_ns
        first += time
        second += time * time
    return first / n, second / n
