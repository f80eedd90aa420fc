"""What the brightest tubes see of S1 and S2, one by one: where each is, its area, and the mean and spread of its times.

Sparse: of the 1910 tubes of DARWIN an S1 lights a few dozen. The BRIGHTEST of each pulse are kept, by falling area, in
slots of five numbers: x, y, area, mean time, spread. They hold every tube of 98 % of the S1s of 2 to 10 keVee; of a
brighter S1, and of an S2, which nearly all tubes see, some 40 % of the light. Before them stands the pulse itself, by
the same five numbers of all its tubes. Slots without a tube are zeros, and only they have no area.

Lengths in cm: both arrays lie side by side in one plane, so that no place is negative and two tubes of one array are as
far apart as they are. Areas in PE. Times in ns after the first photon of the S1; the S2's mean is at the drift time.
"""

import numpy as np
from numba import njit

from engine.physics.detectors import TPC, Readout

CHANNEL_TIMES = True
BRIGHTEST = 64
NUMBERS = ("x_cm", "y_cm", "area_pe", "time_ns", "spread_ns")  # of a slot


def sections(tpc: TPC) -> dict[str, int]:  # the same for every detector
    """The slot of each pulse, and those of its tubes from the brightest on."""
    return {f"{pulse}_{part}": len(NUMBERS) * n for pulse in ("s1", "s2")
            for part, n in (("pulse", 1), ("channels", BRIGHTEST))}  # fmt: skip


def features(readout: Readout, tpc: TPC) -> np.ndarray:
    """(n, 650) float32; `reshape(-1, 2, 1 + BRIGHTEST, 5)` gives pulses, slots and their NUMBERS."""
    places = _places(tpc)
    s1 = _slots(places, np.hstack([readout.s1_top, readout.s1_bottom]), readout.s1_channel_ns)
    s2 = _slots(places, np.hstack([readout.s2_top, readout.s2_bottom]), readout.s2_channel_ns)
    seen = s2[:, :, 2] > 0
    s2[:, :, 3] += seen * (readout.drift_us * 1e3 - s2[:, 0, 3])[:, None]
    return np.stack([s1, s2], axis=1).astype(np.float32).reshape(len(s1), sum(sections(tpc).values()))


def _places(tpc: TPC) -> np.ndarray:
    """(tubes, 2) of the top and then of the bottom array, from the lower left corner of the plane they lie in."""
    top, bottom = (tpc.pmt_positions_cm(array) for array in ("top", "bottom"))
    radius = max(tpc.pmt_top_radius_cm, tpc.pmt_bottom_radius_cm)
    return np.concatenate([top + radius, bottom + [3 * radius, radius]])


def _slots(places: np.ndarray, areas: np.ndarray, times_ns: np.ndarray) -> np.ndarray:
    """(n, 1 + BRIGHTEST, 5) float64 of one pulse."""
    made = np.zeros((len(areas), 1 + BRIGHTEST, len(NUMBERS)))
    _fill(places, areas, times_ns, made)
    return made


@njit(cache=True)
def _fill(places, areas, times_ns, made):
    order = np.empty(made.shape[1] - 1, np.int64)
    for event in range(len(made)):
        _fill_pulse(places, areas[event], times_ns[event], made[event, 0])
        for slot in range(_brightest(areas[event], order)):
            tube, out = order[slot], made[event, slot + 1]
            out[0], out[1], out[2] = places[tube, 0], places[tube, 1], areas[event, tube]
            out[3], out[4] = times_ns[event, tube]


@njit(cache=True)
def _fill_pulse(places, areas, times_ns, out):
    """Place, area, mean time and spread of all tubes, each by its area."""
    area, x, y, time, square = 0.0, 0.0, 0.0, 0.0, 0.0
    for tube in range(len(areas)):
        own, mean, spread = areas[tube], float(times_ns[tube, 0]), float(times_ns[tube, 1])
        area += own
        x += own * places[tube, 0]
        y += own * places[tube, 1]
        time += own * mean
        square += own * (mean**2 + spread**2)
    if area > 0:
        mean = time / area
        out[0], out[1], out[2], out[3] = x / area, y / area, area, mean
        out[4] = np.sqrt(max(square / area - mean**2, 0.0))


@njit(cache=True)
def _brightest(areas, order):
    """Fills `order` with the tubes that have light, by falling area, of equal ones the first; returns how many."""
    n = 0
    for tube in range(len(areas)):
        if areas[tube] <= 0 or (n == len(order) and areas[tube] <= areas[order[n - 1]]):
            continue
        n = min(n + 1, len(order))
        place = n - 1
        while place > 0 and areas[order[place - 1]] < areas[tube]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = tube
    return n
