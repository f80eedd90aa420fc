"""The numbers of a study's physics report: rates, leakage, detector response and two events, beside references.

Everything is thrown anew, uniform in the true energies of the study's pool and under keys of its own, so that a
report neither needs a scan nor shares an event with one. Nothing here is tuned.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine import lineage, plugins
from engine.inference.pools import KINDS, Pool, effective_size
from engine.inference.significance import clopper_pearson
from engine.physics import proposals, selection, spectra
from engine.physics.detectors import darwin
from engine.physics.events import mean_charge, simulate
from engine.plan.event_plan import SHARD
from engine.plan.plan import Plan
from engine.study import Study

VERSION = 3  # raised whenever a report changes for an unchanged study
EXPOSURE_TY = 200.0  # the papers'

# Public reference computation: the public inputs named in the spectra and in detectors/darwin.py, through a fast
# simulation without waveforms; N4T200 and CES in 2-10 keVee for both kinds. Not the papers' own numbers. 136Xe: 1150
# with its abundance read as a mass fraction, times 1.035.
REFERENCE_EVENTS = {  # in 200 t y; value, and the unit of its last digit
    "pp": (3662, 1), "be7": (319, 1), "pb214": (858, 1), "xe136": (1190, 1), "kr85": (692, 1),
    "atm": (5.5, 0.1), "dsnb": (0.1, 0.1), "neutrons": (0.9, 0.1), "b8": (0.0, 0.1), "hep": (0.0, 0.1),
    "wimp_si": (170, 1),
}  # fmt: skip
REFERENCE_BENCHMARK = (50.0, 6.5e-48)  # m_chi_GeV, sigma_si_cm2 of the reference for wimp_si
REFERENCE_LEAKAGE = {0.3: 2.0e-4, 0.5: 1.0e-3}  # NR acceptance: ER leakage
REFERENCE_RESOLUTION = {2.0: 0.158, 5.0: 0.119, 10.0: 0.091}  # true keV of ER: sigma / mean of CES
REFERENCE_EFFICIENCY = {2.0: 0.90}  # true keV of ER: share in coincidence

LEAKAGE_CES_KEVEE = np.linspace(1.4, 11.6, 18)  # the reference's range, in bins of 0.6
RESPONSE_BINS = 20
LINE_EVENTS = 2000  # at each true energy that has a reference


@dataclass(frozen=True)
class ThrownEvents:
    """Events of one kind as thrown, selected or not: every array is (n,); columns are those of `simulate`."""

    kind: str
    range_keV: tuple[float, float]
    energy_keV: np.ndarray
    columns: dict[str, np.ndarray]
    selected: np.ndarray
    efficiency: np.ndarray | float = 1.0

    @property
    def kept(self) -> np.ndarray:
        """(n,) share of each event that the selection keeps."""
        return self.selected * self.efficiency

    @property
    def seen(self) -> np.ndarray:
        """(n,) whether an event is registered with both signals, of which a ratio can be taken."""
        return self.columns["registered"] & (self.columns["cs1_pe"] > 0) & (self.columns["cs2_pe"] > 0)

    def fraction(self, passed: np.ndarray, edges: np.ndarray) -> np.ndarray:
        """(bins,) mean of `passed`, (n,), over the events thrown between edges in true keV; NaN without events."""
        thrown = np.histogram(self.energy_keV, edges)[0]
        kept = np.histogram(self.energy_keV, edges, weights=passed.astype(float))[0]
        return np.divide(kept, thrown, out=np.full(len(thrown), np.nan), where=thrown > 0)


@dataclass(frozen=True)
class ComponentRate:
    """A component, or a sum of some, per t y: before and after the selection, with the error of the simulation."""

    name: str
    kind: str
    before_per_ty: float
    per_ty: float
    error_per_ty: float
    uncertainty: float | None
    n_effective: float
    reference: tuple[float, float] | None = None  # events in EXPOSURE_TY, unit of the last digit

    @property
    def ratio(self) -> float | None:
        """Expected events over the reference; None without one, or with one of 0."""
        return self.per_ty * EXPOSURE_TY / self.reference[0] if self.reference and self.reference[0] else None

    @property
    def pull(self) -> float | None:
        """Difference from the reference over the errors of the simulation and of the reference's rounding."""
        if self.reference is None:
            return None
        value, unit = self.reference
        return (self.per_ty * EXPOSURE_TY - value) / math.hypot(self.error_per_ty * EXPOSURE_TY, unit / math.sqrt(12))


@dataclass(frozen=True)
class LeakedShare:
    """ER below the line that NR stay below with probability `acceptance`."""

    acceptance: float
    n_leaked: int
    n_er: int

    @property
    def interval(self) -> tuple[float, float, float]:
        """Share of ER that leaks, and its central 68 % binomial interval."""
        if self.n_er == 0:
            return math.nan, 0.0, 1.0
        return self.n_leaked / self.n_er, *clopper_pearson(self.n_leaked, self.n_er)


@dataclass(frozen=True)
class Component:
    """A spectrum of the study: `rate` maps true keV to events / (t y keV); a signal has no uncertainty."""

    name: str
    kind: str
    label: str
    rate: Callable[[np.ndarray], np.ndarray]
    uncertainty: float | None
    is_default: bool


def throw(plan: Plan, kind: str, n: int) -> ThrownEvents:
    """`n` events uniform in the pool's true energies, with the pool's selection, in shards to bound memory."""
    low, high = plan.energy_range("pool", kind)
    energy = proposals.draw("uniform", low, high, n, lineage.stream("report energy", plan.study.seed, kind))
    tpc, shards = plan.study.detector.constants, []
    for number, start in enumerate(range(0, n, SHARD)):
        shards.append(simulate(tpc, kind, energy[start : start + SHARD], ("report", plan.study.seed, kind, number))[0])
    columns = {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]}
    seen, pe_per_phd, backgrounds = columns | {"energy_keV": energy}, mean_charge(tpc), plan.study.backgrounds
    kept = selection.efficiency(backgrounds.efficiency_of(kind), seen, pe_per_phd)
    selected = selection.passes(seen, backgrounds.windows(kind), pe_per_phd) & (kept > 0)
    return ThrownEvents(kind, (low, high), energy, columns, selected, kept)


def pool(samples: list[ThrownEvents]) -> Pool:
    """The selected events of both kinds as the pool that weights are made for."""
    density = [1 / (sample.range_keV[1] - sample.range_keV[0]) for sample in samples]
    n = [int(sample.selected.sum()) for sample in samples]
    return Pool(
        kind=np.repeat(np.array([KINDS.index(sample.kind) for sample in samples], np.int8), n),
        energy_keV=np.concatenate([sample.energy_keV[sample.selected] for sample in samples]),
        proposal_per_keV=np.repeat(density, n) / np.concatenate([s.kept[s.selected] for s in samples]),
        half=np.zeros(sum(n), np.int8),
        n_thrown=np.array([len(sample.energy_keV) for sample in samples]),
        **{name: np.concatenate([s.columns[name][s.selected] for s in samples]) for name in ("cs1_pe", "cs2_pe")},
        terms={},
    )


def components(study: Study) -> list[Component]:
    """The study's backgrounds in its order, but for event tables, which have no spectrum."""
    backgrounds = []
    for name in study.backgrounds.components:
        module, options = study.backgrounds.spectrum(name)
        kind, uncertainty = spectra.describe(module, options)[0], study.backgrounds.relative_uncertainty(name)
        label = module.LABEL if study.backgrounds.spectrum_name(name) == name else name
        if kind in KINDS:
            is_default = name not in study.backgrounds.options
            backgrounds.append(Component(name, kind, label, study.backgrounds.rate(name), uncertainty, is_default))
    return backgrounds


def notes(study: Study) -> list[str]:
    """What a reader of the components' rates must know of them, by name."""
    of_components = {name: study.backgrounds.spectrum(name) for name in study.backgrounds.components}
    return [f"{name}: {said}" for name, (module, options) in of_components.items()
            if (said := module.note(options) if hasattr(module, "note") else "")]  # fmt: skip


def benchmark(study: Study) -> Component:
    """The signal at the study's benchmark."""
    module, options = study.signal.spectrum()
    is_default = not study.signal.options and tuple(study.at.values()) == REFERENCE_BENCHMARK
    kind, _ = spectra.describe(module, options)
    return Component(study.signal.name, kind, module.LABEL, study.benchmark_signal.rate, None, is_default)


def is_reference_detector(study: Study) -> bool:
    """Whether the detector is the one that all references were computed for."""
    return study.detector.constants == darwin.CONSTANTS


def is_reference_selection(study: Study) -> bool:
    """Whether detector and selection are those that the reference rates were computed for."""
    backgrounds = study.backgrounds
    window = (backgrounds.er_window_keVee, backgrounds.nr_window, backgrounds.cuts, backgrounds.efficiency)
    return is_reference_detector(study) and window == ((2.0, 10.0), "ces", {}, 1.0)


def before_range_keV(plan: Plan, kind: str) -> tuple[float, float]:
    """True energies over which spectra before cuts are integrated: as many keV as keVee for ER, the pool's for NR."""
    window = plan.study.backgrounds.er_window_keVee
    return window if kind == "ER" and window != "none" else plan.energy_range("pool", kind)


def rates(plan: Plan, backgrounds: list[Component], signal: Component, events: Pool) -> list[ComponentRate]:
    """A row per background and, after those of each kind, their total, which shares their events; then the signal."""
    rows = []
    for kind in KINDS:
        mine = [component for component in backgrounds if component.kind == kind]
        weights = [events.weights(kind, component.rate) for component in mine]
        singles = [_rate(plan, *pair, events) for pair in zip(mine, weights, strict=True)]
        rows += singles + ([_total(kind, singles, np.sum(weights, axis=0), events)] if len(mine) > 1 else [])
    return [*rows, _rate(plan, signal, events.weights(signal.kind, signal.rate), events)]


def _rate(plan: Plan, component: Component, weights: np.ndarray, events: Pool) -> ComponentRate:
    energy = np.linspace(*before_range_keV(plan, component.kind), 4001)
    comparable = component.is_default and is_reference_selection(plan.study)
    return ComponentRate(
        name=component.name,
        kind=component.kind,
        before_per_ty=float(np.trapezoid(component.rate(energy), energy)),
        per_ty=float(weights.sum()),
        error_per_ty=standard_error(weights, events.n_thrown[KINDS.index(component.kind)]),
        uncertainty=component.uncertainty,
        n_effective=effective_size(weights),
        reference=REFERENCE_EVENTS.get(component.name) if comparable else None,
    )


def _total(kind: str, rows: list[ComponentRate], weights: np.ndarray, events: Pool) -> ComponentRate:
    per_ty, before = float(weights.sum()), sum(row.before_per_ty for row in rows)
    spread = math.hypot(*((row.uncertainty or 0.0) * row.per_ty for row in rows))
    known = [row.reference for row in rows]
    reference = None if None in known else (sum(value for value, _ in known), math.hypot(*(unit for _, unit in known)))
    error = standard_error(weights, events.n_thrown[KINDS.index(kind)])
    relative = spread / per_ty if per_ty else None
    return ComponentRate(f"{kind} total", kind, before, per_ty, error, relative, effective_size(weights), reference)


def standard_error(weights: np.ndarray, n_thrown: int) -> float:
    """Of a sum of importance weights of the selected among `n_thrown` events, each with weight / n_thrown."""
    return math.sqrt(max(float(np.square(weights).sum() - weights.sum() ** 2 / n_thrown), 0.0))


def discriminator(sample: ThrownEvents) -> np.ndarray:
    """log10(cS2 / cS1) of the events seen."""
    return np.log10(sample.columns["cs2_pe"][sample.seen] / sample.columns["cs1_pe"][sample.seen])


def leakage(
    ces_er: np.ndarray, value_er: np.ndarray, ces_nr: np.ndarray, value_nr: np.ndarray, acceptance: float,
    edges_keVee: np.ndarray = LEAKAGE_CES_KEVEE,
) -> LeakedShare:  # fmt: skip
    """ER below the NR quantile `acceptance` of their bin in CES, each bin with a line of its own.

    Bins without NR have no line: their ER are not counted.
    """
    n_leaked = n_er = 0
    for low, high in zip(edges_keVee, edges_keVee[1:], strict=False):
        er, nr = (v[(c >= low) & (c < high)] for c, v in ((ces_er, value_er), (ces_nr, value_nr)))
        if len(nr):
            n_er += len(er)
            n_leaked += int((er < np.quantile(nr, acceptance)).sum())
    return LeakedShare(acceptance, n_leaked, n_er)


def leakages(er: ThrownEvents, nr: ThrownEvents) -> list[LeakedShare]:
    """At the acceptances that have a reference, for ER uniform in true energy."""
    coordinates = [part for s in (er, nr) for part in (s.columns["ces_keVee"][s.seen], discriminator(s))]
    return [leakage(*coordinates, acceptance) for acceptance in REFERENCE_LEAKAGE]


def response(sample: ThrownEvents) -> dict[str, np.ndarray]:
    """Per bin of true energy: centres (energy_keV), share registered and selected, mean CES / E, sigma / mean.

    CES / E and its width are those of all events: the coincidence keeps the upward fluctuations of a small S1.
    """
    edges = np.geomspace(*sample.range_keV, RESPONSE_BINS + 1)
    ratio = sample.columns["ces_keVee"] / sample.energy_keV
    first, second = (sample.fraction(ratio**power, edges) for power in (1, 2))
    return {
        "energy_keV": np.sqrt(edges[1:] * edges[:-1]),
        "registered": sample.fraction(sample.columns["registered"], edges),
        "selected": sample.fraction(sample.kept, edges),
        "mean": first,
        "resolution": np.sqrt(np.maximum(second - first**2, 0.0)) / first,
    }


def lines(plan: Plan) -> list[dict[str, float]]:
    """ER at the true energies that have a reference: energy_keV, registered, resolution and bias of CES."""
    rows = []
    for energy_keV in REFERENCE_RESOLUTION:
        energy, key = np.full(LINE_EVENTS, energy_keV), ("report line", plan.study.seed, energy_keV)
        columns, _ = simulate(plan.study.detector.constants, "ER", energy, key)
        mean, sigma = columns["ces_keVee"].mean(), columns["ces_keVee"].std()
        shares = {"registered": columns["registered"].mean(), "resolution": sigma / mean, "bias": mean / energy_keV - 1}
        rows.append({"energy_keV": energy_keV} | {name: float(value) for name, value in shares.items()})
    return rows


def identity(
    study: Study, n_events: int, data: str | None = None, unblind: bool = False, energy_of: str | None = None
) -> str:
    """Digest of everything a report is made of; data: what a list's events are known by; energy_of: the kind of recoil
    whose energies it estimates.
    """
    plan, backgrounds = Plan(study), study.backgrounds
    named = {
        name: [plugins.identity("engine.physics.spectra", backgrounds.spectrum_name(name)),
               spectra.identity(*backgrounds.spectrum(name)), backgrounds.relative_uncertainty(name),
               *([] if (factor := backgrounds.rate_factor(name)) == 1 else [factor])]
        for name in backgrounds.components
    }  # fmt: skip
    fields = {
        "seed": study.seed, "n": n_events, "detector": study.detector, "components": named,
        "order": backgrounds.components, "benchmark": study.at,
        "signal": study.signal if study.grid.m_chi_GeV else spectra.identity(*study.signal.spectrum()),
        "energy_keV": [plan.energy_range("pool", kind) for kind in KINDS],
        "window": [plan.selection(kind) for kind in KINDS], "er_window_keVee": backgrounds.er_window_keVee,
    }  # fmt: skip
    if data is not None:
        fields |= {"data": data, "unblind": unblind, "efficiency": backgrounds.efficiency, "leaks": study.pool}
    if energy_of is not None:
        fields |= {"energy_of": energy_of, "events_keV": study.events.energy_keV}
    return lineage.digest("physics", VERSION, fields)
