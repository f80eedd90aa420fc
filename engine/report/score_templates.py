"""Histograms of a score under background and with signal, in the HDF5 layout of XENON's `inference_interface`.

Its `template_to_multihist`, and with it alea's template sources, read them: `bins/0` has the edges, and the axis's name
in its attribute `name`; `templates/NAME` is a histogram, here of expected events in each bin (in alea:
`in_events_per_bin: true`).
"""

import io

import h5py
import numpy as np

from engine.assembly.population import signal_weights
from engine.inference.population import Population
from engine.plan.plan import Plan
from engine.run.observation import Observation

BULK, TAIL = 50, 50  # bins of equal expectation; and evenly in the logarithm of what is expected above
LEAST = 1e-3  # events expected above the last edge of the tail but the outermost


def templates(
    plan: Plan, population: Population, exposure_ty: float, R: float
) -> tuple[np.ndarray, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Edges (bins + 1,) in TS, and by name the events (bins,) expected at an exposure, with their variance (bins,) from
    the finite pool.

    `background` and each of its components by its name; `signal_40GeV` for every mass of the grid, or `signal`, at the
    size's reference value. The whole pool counts, and no event lies beyond the edges.
    """
    weights = dict(zip(population.names, population.weights, strict=True))
    weights["background"] = population.weights.sum(axis=0)
    for mass in plan.study.grid.masses:
        name = "signal" if mass is None else f"signal_{mass:g}GeV"
        weights[name] = signal_weights(plan.study.signal.at(mass), population)
    expected, ts = {name: w * exposure_ty for name, w in weights.items()}, population.ts[R]
    at = edges(ts, expected["background"], sum(weights.values()) > 0)
    return at, {name: tuple(np.histogram(ts, at, weights=w**power)[0] for power in (1, 2))
                for name, w in expected.items()}  # fmt: skip


def edges(ts: np.ndarray, expected: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Ascending edges in a score, fine where few background events (pool,) are expected above; around all used ones."""
    order = np.argsort(-ts, kind="stable")
    above = np.cumsum(expected[order])
    wanted = [np.linspace(0, above[-1], BULK + 1)[1:-1], np.geomspace(LEAST, above[-1], TAIL)[:-1]]
    inner = ts[order][np.searchsorted(above, np.sort(np.concatenate(wanted)))]
    outer = ts[used].min(), ts[used].max()
    return np.unique(np.clip([*outer, *inner], *outer))


def encoded(seen: Observation, R: float) -> bytes:
    """The templates of one R as an HDF5 file."""
    at, histograms = templates(seen.plan, seen.population, seen.exposure_ty, R)
    size, sink = seen.plan.study.signal.size, io.BytesIO()
    with h5py.File(sink, "w") as file:
        file.attrs.update(exposure_ty=seen.exposure_ty, R=R, unit="events", signal=f"{size.name} = {size.reference:g}")
        axis = file.create_dataset("bins/0", data=at)
        axis.attrs["name"] = "TS"
        for name, (expected, _) in histograms.items():
            file.create_dataset(f"templates/{name}", data=expected)
    return sink.getvalue()
