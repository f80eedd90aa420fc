"""Where the light of an S1 is seen: what flies straight to a tube by its solid angle, the rest evenly.

A photon that was reflected on the way has forgotten where it was made, and may be seen by any tube of an array. Upwards
the light leaves the liquid: seen from the gas its source is nearer, at depth / n, and a solid angle is n^2 as wide
(Snell, for steep light). The arrays' mean shares are the detector's own, `s1_bottom_fraction`.
"""

from functools import lru_cache

import numpy as np
from numba import njit

from engine.physics.detectors import TPC, _collection

REFRACTIVE_INDEX = 1.69  # of liquid xenon at its own 178 nm (Solovov et al. 2004, physics/0307044)
WINDOW_CM2 = np.pi * 3.2**2  # of an R11410: 64 mm of photocathode (ricmperes/pmtarray)
BELOW_CATHODE_CM = 5.0  # of the bottom tubes: sfs's DARWIN baseline, and a choice for the others


def optics(tpc: TPC, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """(n, 6) of events in cm, as `direct` takes them, and (2, tubes) places of the top and of the bottom array."""
    above = tpc.s2_light_height_cm + (tpc.drift_length_cm - z) / REFRACTIVE_INDEX
    seen = np.minimum(tpc.g1 * _collection.relative_light_collection(tpc, z), 1.0)  # of all photons, by any way
    level = tpc.s1_direct_efficiency * WINDOW_CM2 / (4 * np.pi) / seen
    events = np.stack([x, y, above, level / REFRACTIVE_INDEX**2, z + BELOW_CATHODE_CM, level], axis=1)
    return events, tuple(np.ascontiguousarray(tpc.pmt_positions_cm(array).T) for array in ("top", "bottom"))


@lru_cache(maxsize=8)
def bottom_share(tpc: TPC) -> float:
    """The bottom array's share of the reflected light: with it, it has `s1_bottom_fraction` of all in the volume."""
    if not tpc.s1_direct_efficiency:
        return tpc.s1_bottom_fraction
    places = (np.arange(20) + 0.5) / 20
    r, z = np.meshgrid(tpc.fiducial_radius_cm * np.sqrt(places), tpc.wall_distance_cm + tpc.fiducial_height_cm * places)
    events, tubes = optics(tpc, r.ravel(), np.zeros(r.size), z.ravel())
    shares, (n_top, n_bottom) = np.zeros((len(events), 2)), (each.shape[1] for each in tubes)
    for event, out in zip(events, shares, strict=True):
        each = np.empty(n_top + n_bottom)
        direct(event, *tubes, each)
        out[:] = each[n_top - 1], each[-1]
    top, both = shares.mean(axis=0)
    return float(np.clip((tpc.s1_bottom_fraction - (both - top)) / (1 - both), 0.0, 1.0))


@njit(cache=True, error_model="numpy")  # no division by zero, of which a check in each turn takes three times as long
def direct(event, top, bottom, summed):
    """Fills, summed over top and then bottom tubes, the shares of an event's detected light that reach them straight.

    `event`: x, y, then height under the tubes and level of the top array, and of the bottom array.
    """
    _solid_angles(event[0], event[1], event[2], event[3], top, 0, summed)
    _solid_angles(event[0], event[1], event[4], event[5], bottom, top.shape[1], summed)
    for i in range(1, len(summed)):
        summed[i] += summed[i - 1]
    if summed[-1] > 1:
        summed /= summed[-1]


@njit(cache=True, inline="always", error_model="numpy")
def _solid_angles(x, y, height, level, tubes, first, out):
    for i in range(tubes.shape[1]):
        distance2 = (tubes[0, i] - x) ** 2 + (tubes[1, i] - y) ** 2 + height * height
        out[first + i] = level * height / (distance2 * np.sqrt(distance2))
