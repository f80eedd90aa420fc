"""Where a simulated event's time goes, and how far that is from the cost of its random numbers alone."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
from numba import njit

from engine import lineage
from engine.bench.simulation import N_EVENTS, energies_keV
from engine.physics import events
from engine.physics.detectors import TPC, _collection, _electronics, _pulses, _quanta, _s2, darwin, xenonnt
from engine.physics.representations import image, vector

# What is timed: functions that `events.simulate` calls by their module, none of them from within another.
STAGES = {
    "quanta (nestpy)": [(_quanta, "quanta")],
    "collection": [(_collection, name) for name in ("positions", "drift_us", "relative_light_collection", "survival")],
    "S1 pulses": [(_pulses, name) for name in ("s1_times_ns", "fill_s1", "in_coincidence")],
    "S2 light": [(_s2, "pulses")],
    "electronics": [(_electronics, name) for name in ("add_dark_counts", "digitise")],
}
CASES = (("vectors, DARWIN", darwin.CONSTANTS, vector), ("images, XENONnT", xenonnt.CONSTANTS, image))
REPEATS = 5


@dataclass
class Clock:
    """Stands around functions: the processor time in them, and the arguments and result of the last call."""

    seconds: float = 0.0
    last: dict[str, tuple[tuple, Any]] = field(default_factory=dict)

    def around(self, function: Callable, name: str = "") -> Callable:
        """The function, timed."""

        def timed(*arguments, **named):
            start = time.process_time()
            result = function(*arguments, **named)
            self.seconds += time.process_time() - start
            self.last[name] = arguments, result
            return result

        return timed


class ClockedGenerator:
    """A random generator whose draws are timed."""

    def __init__(self, generator: np.random.Generator, clock: Clock):
        self.generator, self.clock = generator, clock

    def __getattr__(self, name: str) -> Callable:
        return self.clock.around(getattr(self.generator, name))


@dataclass(frozen=True)
class Budget:
    """Seconds of one core per 1000 events: by stage, and of the same random numbers drawn and nothing else.

    The random numbers are numpy's and the photons' (`lineage.mix64`); nestpy's own count as quanta alone.
    """

    name: str
    stages: dict[str, float]
    random_s: float

    @property
    def total_s(self) -> float:
        """Everything."""
        return sum(self.stages.values())

    @property
    def ratio(self) -> float:
        """How many times the cost of the random numbers alone."""
        return self.total_s / self.random_s


def run() -> list[Budget]:
    """The budget of every case in CASES, electron recoils of 1-100 keV; the fastest of a few repeats."""
    budgets = []
    for name, tpc, view in CASES:
        measure(name, tpc, view)  # compiles
        budgets.append(min((measure(name, tpc, view) for _ in range(REPEATS)), key=lambda budget: budget.total_s))
    return budgets


def rows(budgets: list[Budget]) -> list[tuple[str, ...]]:
    """The budgets side by side: what, then milliseconds per 1000 events of each; last, the ratio."""
    lines = {stage: [each.stages[stage] for each in budgets] for stage in budgets[0].stages}
    lines["all"] = [each.total_s for each in budgets]
    lines["its random numbers alone"] = [each.random_s for each in budgets]
    shown = [(name, *(f"{1e3 * seconds:.1f}" for seconds in values)) for name, values in lines.items()]
    return [*shown, ("ratio", *(f"{each.ratio:.1f}" for each in budgets))]


def measure(name: str, tpc: TPC, view: ModuleType) -> Budget:
    """One simulation of N_EVENTS, timed in its parts."""
    whole, drawn, features = Clock(), Clock(), Clock()
    with clocked(drawn) as clocks:
        _, readout = whole.around(events.simulate)(tpc, "ER", energies_keV(), "budget")
    features.around(view.features)(readout, tpc)
    stages = {stage: clock.seconds for stage, clock in clocks.items()}
    rest = whole.seconds - sum(stages.values())
    stages |= {"draws and sums between them": rest, "representation": features.seconds}
    photon_draws = draws(tpc, clocks["S1 pulses"].last["s1_times_ns"], clocks["S2 light"].last["pulses"])
    random_s = drawn.seconds + alone_s(photon_draws)
    per_1000 = 1000 / N_EVENTS
    return Budget(name, {stage: per_1000 * s for stage, s in stages.items()}, per_1000 * random_s)


@contextmanager
def clocked(drawn: Clock) -> Iterator[dict[str, Clock]]:
    """Clocks around every stage, and `drawn` around numpy's generators."""
    clocks, stream = {stage: Clock() for stage in STAGES}, lineage.stream
    with ExitStack() as patches:
        for stage, functions in STAGES.items():
            for module, name in functions:
                timed = clocks[stage].around(getattr(module, name), name)
                patches.enter_context(patch.object(module, name, timed))
        generator = patch.object(lineage, "stream", lambda *key: ClockedGenerator(stream(*key), drawn))
        patches.enter_context(generator)
        yield clocks


def draws(tpc: TPC, s1: tuple, s2: tuple) -> int:
    """64-bit draws of the photons: one for each of S1, and those of S2 as `s2_draws` counts them."""
    _, s1_times_ns = s1
    (_, _, electrons, *_), (waveform, top, bottom, charge) = s2
    return len(s1_times_ns) + s2_draws(electrons, waveform, np.hstack([top, bottom]), charge, events.mean_charge(tpc))


def s2_draws(
    electrons: np.ndarray, waveform: np.ndarray, hits: np.ndarray, charge: np.ndarray, mean_charge: float
) -> int:
    """Two for each electron; one for each photon that is followed; else one for each share and each photon in a few.

    Counted from what came out, to some per cent: a share that came out empty is missed among the samples.
    """
    followed = charge <= _s2.FEW_PHOTONS * mean_charge
    shares = np.hstack([waveform[~followed], hits[~followed]])
    in_few = shares[shares <= _s2.FEW_IN_SHARE * mean_charge].sum() / mean_charge
    each = np.count_nonzero(waveform[~followed]) + hits[~followed].size + np.count_nonzero(~followed)
    return int(2 * electrons.sum() + charge[followed].sum() / mean_charge + each + in_few)


def alone_s(n: int) -> float:
    """Processor time of n draws that nothing is made of."""
    mixed(1)
    clock = Clock()
    clock.around(mixed)(n)
    return clock.seconds


@njit(cache=True)
def mixed(n):
    """All of n draws in one number, so that none can be left out."""
    together = np.uint64(0)
    for i in range(n):
        together ^= lineage.mix64(np.uint64(1), np.uint64(i))
    return together
