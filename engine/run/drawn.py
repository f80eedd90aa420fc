"""Events of a study's spectra as its detector records them: drawn one by one, not weighted, as a list holds them.

They are thrown as the study's pool is, in the same detector and under the same selection, with streams of their own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from engine import lineage
from engine.errors import BadInput
from engine.physics import events, selection, spectra
from engine.plan.event_plan import SHARD
from engine.study import SignalPoint, Study

N_ENERGIES = 20_001  # of a spectrum: some eV apart
PILOT = 10_000  # events that the share of the selected is told by
FEWEST = 20  # of them
Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class EventSource:
    """What makes events of a kind: `per_ty` of them before the selection; `energies`: n, rng -> (n,) true energies in
    keV, and charge yields over an ordinary recoil's, or None."""

    name: str
    kind: str
    per_ty: float
    energies: Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray | None]]


def of_rate(study: Study, name: str, kind: str, rate: Callable[[np.ndarray], np.ndarray]) -> EventSource:
    """A spectrum within the true energies of the study's pool."""
    low, high = study.pool.er_energy_keV if kind == "ER" else study.pool.nr_energy_keV
    energy = np.linspace(low, high, N_ENERGIES)
    of_bin = (rate(energy[1:]) + rate(energy[:-1])) / 2 * np.diff(energy)
    below = np.concatenate([[0.0], np.cumsum(of_bin)])
    per_ty = float(below[-1])
    return EventSource(name, kind, per_ty, lambda n, rng: (np.interp(rng.random(n) * per_ty, below, energy), None))


def of_signal(study: Study, point: SignalPoint) -> EventSource:
    """The study's signal at a point."""
    return of_rate(study, study.signal.name, study.signal.kind, point.rate)


def of_component(study: Study, name: str) -> EventSource:
    """A background; raises BadInput for one that is a table of events, which are no list's."""
    module, options = study.backgrounds.spectrum(name)
    if hasattr(module, "read"):
        raise BadInput(f"backgrounds.{name} is a table of events as networks see them, of which no list can be made: "
                       "leave it out by backgrounds.components")  # fmt: skip
    rate = partial(module.rate, **options.model_dump())
    if not hasattr(module, "throw"):
        return of_rate(study, name, spectra.describe(module, options)[0], rate)
    energy, density, _ = module.throw(1000, lineage.stream("drawn rate", name), options)
    per_ty = float(np.mean(rate(energy) / density))  # the same for each: they are drawn from their spectrum

    def energies(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        energy_keV, _, ratio = module.throw(n, rng, options)
        return energy_keV, ratio

    return EventSource(name, module.KIND, per_ty, energies)


def of_range(kind: str, low_keV: float, high_keV: float) -> EventSource:
    """Energies that are uniform: one event per t y."""
    return EventSource(kind, kind, 1.0, lambda n, rng: (rng.uniform(low_keV, high_keV, n), None))


def thrown(study: Study, source: EventSource, n: int, key: tuple, pulses: tuple[str, ...] = ()) -> Columns:
    """n events, selected or not: columns of `simulate`, energy_keV and `selected`, and these fields of the readout."""
    energy_keV, ratio = source.energies(n, lineage.stream("drawn energy", *key))
    assumed = study.detector.constants
    tpc = events.shifted(assumed, study.detector.nuisance, ("drawn", *key))
    columns, readout = events.simulate(tpc, source.kind, energy_keV, ("drawn", *key), assumed, ratio, bool(pulses))
    columns |= {"energy_keV": energy_keV} | {name: getattr(readout, name) for name in pulses}
    backgrounds, per_phd = study.backgrounds, events.mean_charge(assumed)
    kept = selection.efficiency(backgrounds.efficiency_of(source.kind), columns, per_phd)
    passed = selection.passes(columns, backgrounds.windows(source.kind), per_phd)
    return columns | {"selected": passed & (lineage.stream("drawn kept", *key).random(n) < kept)}


def only(columns: Columns, kept: np.ndarray) -> Columns:
    """These events of them."""
    return {name: values[kept] for name, values in columns.items()}


def joined(parts: list[Columns]) -> Columns:
    """One after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _shards(
    study: Study, source: EventSource, sizes: Iterator[int], key: tuple, pulses: tuple[str, ...]
) -> Iterator[Columns]:
    for number, n in enumerate(sizes):
        events_ = thrown(study, source, n, (*key, number), pulses)
        yield only(events_, events_["selected"])


def exposures(
    study: Study, source: EventSource, exposure_ty: float, key: tuple, pulses: tuple[str, ...] = ()
) -> Iterator[Columns]:
    """The selected events of an exposure, shard by shard; their number is a Poisson one."""
    n = int(lineage.stream("drawn number", *key).poisson(source.per_ty * exposure_ty))
    sizes = (min(SHARD, n - start) for start in range(0, max(n, 1), SHARD))
    yield from _shards(study, source, sizes, key, pulses)


def exposed(study: Study, source: EventSource, exposure_ty: float, key: tuple, pulses: tuple[str, ...] = ()) -> Columns:
    """Columns of all events of an exposure at once; see `exposures`."""
    return joined(list(exposures(study, source, exposure_ty, key, pulses)))


def exactly(study: Study, source: EventSource, n: int, key: tuple, pulses: tuple[str, ...] = ()) -> Columns:
    """The first n selected events; raises BadInput where hardly any is selected."""
    parts, found, number = [], 0, 0
    while not parts or found < n:
        if number * SHARD >= PILOT:
            _refuse_few(source, found)
        parts += _shards(study, source, iter([SHARD]), (*key, number), pulses)
        found, number = found + len(parts[-1]["selected"]), number + 1
    return only(joined(parts), np.s_[:n])


def selected_per_ty(study: Study, source: EventSource) -> float:
    """Selected events per t y, to a few per cent; raises BadInput where hardly any event is selected."""
    n_selected = pilot(study, source)
    _refuse_few(source, n_selected)
    return source.per_ty * n_selected / PILOT


def pilot(study: Study, source: EventSource) -> int:
    """How many of PILOT events are selected; none of a spectrum that is 0 all over the pool's energies."""
    if not source.per_ty:
        return 0
    shards = _shards(study, source, iter([SHARD] * (PILOT // SHARD)), ("pilot", study.seed, source.name), ())
    return sum(len(shard["selected"]) for shard in shards)


def _refuse_few(source: EventSource, n_selected: int) -> None:
    if n_selected < FEWEST:
        raise BadInput(f"{source.name}: {n_selected} of {PILOT} events are in the study's selection; at least {FEWEST} "
                       "must be")  # fmt: skip
