"""The events of a shard as networks see them: thrown and simulated, or read from a user's table."""

from collections.abc import Iterable
from functools import lru_cache
from types import ModuleType

import numpy as np

from engine import lineage, plugins
from engine.errors import BadInput
from engine.inference.pools import KINDS
from engine.options import Options
from engine.physics import events, proposals, selection, tails
from engine.physics.detectors import TPC, Readout
from engine.physics.tails import Tail
from engine.plan import variations
from engine.plan.event_plan import BATTERIES, POOLS, Shard
from engine.plan.plan import Plan

Columns = dict[str, np.ndarray]  # of `engine.schemas.EVENTS`
Features = dict[str, np.ndarray]  # (n, length) by the name of a representation
Light = dict[str, bool]  # of `events.simulate`: whether pulses are made, and times of channels
PILOT = 20_000  # recoils of each kind, as far as S1 and S2
FEWEST = 100  # of them that are in the window, of either kind


def sample(plan: Plan, shard: Shard, representations: Iterable[str] = ()) -> tuple[Columns, Features]:
    """All events of a shard, selected or not, with the features that each of these representations makes of them.

    Of an enriched shard those that are kept; its proposal is the density of energies thrown times their probability.
    The rows of a user's table have the features that they came with, which a study holds against what models read.
    """
    module, options = _spectrum(plan, shard)
    if hasattr(module, "read"):
        columns, features = _of_table(plan, shard, module, options)
        return columns, dict.fromkeys(representations, features)
    views = {name: plugins.load("engine.physics.representations", name) for name in representations}
    light = {"pulses": any(getattr(view, "PULSES", True) for view in views.values()),
             "channel_times": any(getattr(view, "CHANNEL_TIMES", False) for view in views.values())}  # fmt: skip
    if module is None:
        columns, readout = _recoils(plan, shard, light)
    elif hasattr(module, "throw"):
        columns, readout = _thrown(plan, shard, module, options, light)
    else:
        columns, readout = _of_rate(plan, shard, light)
    return columns, {name: view.features(readout, plan.study.detector.constants) for name, view in views.items()}


def _spectrum(plan: Plan, shard: Shard) -> tuple[ModuleType | None, Options | None]:
    """What a shard's events are thrown on, or read by; None of recoils that serve every spectrum."""
    if shard.purpose in BATTERIES:
        return plan.study.battery.signals[shard.kind].module
    return (None, None) if shard.kind in KINDS else plan.study.backgrounds.spectrum(shard.kind)


def _recoils(plan: Plan, shard: Shard, light: Light) -> tuple[Columns, Readout]:
    energy, density = _energies(plan, shard)
    if shard.enrichment is not None:
        return _enriched(plan, shard, energy, density, light)
    return _simulated(plan, shard, shard.kind, energy, density, light)


def _energies(plan: Plan, shard: Shard) -> tuple[np.ndarray, np.ndarray]:
    """(n_thrown,) energies of a shard of recoils, and the density of each per keV."""
    low, high = plan.energy_range(shard.purpose, shard.kind)
    rng = lineage.stream("energy", *_key(plan, shard))
    if plan.on_signal(shard.purpose, shard.kind):
        masses = plan.study.events.nr.m_chi_GeV.points()
        thrown = proposals.of_spectra([plan.study.signal.at(mass).rate for mass in masses], low, high)
        energy = thrown.draw(shard.n_thrown, rng)
        return energy, thrown.density_per_keV(energy)
    proposal = plan.proposal(shard.purpose)
    energy = proposals.draw(proposal, low, high, shard.n_thrown, rng)
    return energy, proposals.density_per_keV(proposal, low, high, energy)


def _thrown(
    plan: Plan, shard: Shard, module: ModuleType, options: Options, light: Light
) -> tuple[Columns, Readout]:  # fmt: skip
    """Events of a spectrum that throws its own."""
    key, n = _key(plan, shard), shard.n_thrown
    options = options.model_copy(update=variations.of_component(shard.shift, shard.kind))
    energy, density, ratio = module.throw(n, lineage.stream("energy", *key), options)
    how = {"charge_yield_ratio": ratio, "paired": getattr(module, "PAIRED", False)}
    if hasattr(module, "charge_kept"):
        how["charge_kept"] = module.charge_kept(n, lineage.stream("charge", *key), options)
    return _simulated(plan, shard, module.KIND, energy, density, light, **how)


def _of_rate(plan: Plan, shard: Shard, light: Light) -> tuple[Columns, Readout]:
    """Recoils of a signal of the battery, by the root of its rate: where that is steep, few are where few pass."""
    signal = plan.study.battery.signals[shard.kind]
    low, high = plan.energy_range("pool", signal.kind)
    drawn = proposals.of_shape(lambda energy_keV: np.sqrt(signal.shape(energy_keV)), low, high)
    if drawn is None:
        raise BadInput(f"battery.signals.{shard.kind}: no rate within {low:g} to {high:g} keV, where the pool's "
                       f"{signal.kind} are thrown")  # fmt: skip
    energy = drawn.draw(shard.n_thrown, lineage.stream("energy", *_key(plan, shard)))
    return _simulated(plan, shard, signal.kind, energy, drawn.density_per_keV(energy), light)


def _simulated(
    plan: Plan, shard: Shard, recoil: str, energy_keV: np.ndarray, density_per_keV: np.ndarray, light: Light, **how
) -> tuple[Columns, Readout]:  # fmt: skip
    """how: what of `engine.physics.events.simulate` is not as usual."""
    key, tpc, assumed = _key(plan, shard), _true(plan, shard), plan.study.detector.constants
    columns, readout = events.simulate(tpc, recoil, energy_keV, key, assumed, **light, **how)
    places = np.arange(shard.n_thrown)
    return _columns(plan, shard, recoil, columns, places, energy_keV, density_per_keV), readout


def _enriched(
    plan: Plan, shard: Shard, energy_keV: np.ndarray, density_per_keV: np.ndarray, light: Light
) -> tuple[Columns, Readout]:
    """Those of the shard's events that are kept: density_per_keV falls with the probability, as weights rise."""
    keep = tail(plan, shard)

    def probability(columns: Columns) -> np.ndarray:
        inside, _ = _selected(plan, shard.kind, columns | {"energy_keV": energy_keV})
        return np.where(inside, keep.probability(columns["cs1_pe"], columns["cs2_pe"]), 0.0)

    assumed, tpc = plan.study.detector.constants, _true(plan, shard)
    places, chance, columns, readout = events.enriched(
        tpc, shard.kind, energy_keV, _key(plan, shard), probability, assumed, **light
    )
    kept = energy_keV[places], density_per_keV[places] * chance
    return _columns(plan, shard, shard.kind, columns, places, *kept), readout


def tail(plan: Plan, shard: Shard) -> Tail:
    """By which probabilities an enriched shard's events are kept."""
    pilots = tuple((kind, plan.proposal(shard.purpose), plan.energy_range(shard.purpose, kind),
                    tuple(plan.study.backgrounds.windows(kind).items())) for kind in KINDS)  # fmt: skip
    return _fitted(plan.study.detector.constants, pilots, plan.study.seed, shard.enrichment)


@lru_cache(maxsize=4)
def _fitted(tpc: TPC, pilots: tuple, seed: int, enrichment: int) -> Tail:
    """The tail that a pilot of each kind fixes: its energies are thrown as the pool's, its detector is the nominal."""
    seen = []
    for kind, proposal, (low, high), windows in pilots:
        key = ("pilot", seed, kind)
        energy = proposals.draw(proposal, low, high, PILOT, lineage.stream("energy", *key))
        columns = events.charged(tpc, kind, energy, key)
        inside = selection.passes(columns | {"energy_keV": energy}, dict(windows), events.mean_charge(tpc))
        if np.count_nonzero(inside) < FEWEST:
            raise BadInput(f"pool.tail = 'enriched': {np.count_nonzero(inside)} of {PILOT} {kind} recoils of "
                           f"{low:g} to {high:g} keV are in the window; at least {FEWEST} must be")  # fmt: skip
        seen.append((columns["cs1_pe"][inside], columns["cs2_pe"][inside]))
    return tails.fit(*seen, enrichment)


def _true(plan: Plan, shard: Shard) -> TPC:
    """The detector that a shard's events are thrown in."""
    nominal = events.moved(plan.study.detector.constants, variations.of_constants(shard.shift))
    return events.shifted(nominal, plan.study.detector.nuisance, _key(plan, shard))


def _selected(plan: Plan, recoil: str, columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    """(n,) whether an event passes the study's selection of a kind, and the share of such events that is kept."""
    backgrounds, pe_per_phd = plan.study.backgrounds, events.mean_charge(plan.study.detector.constants)
    kept = selection.efficiency(backgrounds.efficiency_of(recoil), columns, pe_per_phd)
    return selection.passes(columns, backgrounds.windows(recoil), pe_per_phd) & (kept > 0), kept


def _columns(
    plan: Plan, shard: Shard, recoil: str, columns: Columns, places: np.ndarray, energy_keV: np.ndarray,
    density_per_keV: np.ndarray,
) -> Columns:  # fmt: skip
    """What was simulated as `engine.schemas.EVENTS`; places (n,): of these events in the shard."""
    columns["energy_keV"] = energy_keV
    selected = columns["registered"]
    if shard.purpose in (*POOLS, *BATTERIES):
        selected, kept = _selected(plan, recoil, columns)
        # so many fewer are as good as proposed: each counts that much less
        density_per_keV = density_per_keV / np.where(selected, kept, 1.0)
    del columns["registered"]
    return columns | {
        "event": shard.first + places,
        "kind": np.full(len(places), shard.kind),
        "proposal_per_keV": density_per_keV,
        "selected": selected,
    }


def _key(plan: Plan, shard: Shard) -> tuple:
    return plan.study.seed, shard.purpose, shard.kind, shard.number


def _of_table(plan: Plan, shard: Shard, module, options) -> tuple[Columns, np.ndarray]:
    """Rows of a user's table. Their proposal is such that a constant rate weighs them as the table says."""
    share = module.weights(options, plan.study.backgrounds.ces_keVee)
    selected, rows = share > 0, slice(shard.first, shard.first + shard.n_thrown)
    # the selected ones first: they alternate between the halves, however the table is ordered
    number = np.where(selected, np.cumsum(selected), selected.sum() + np.cumsum(~selected)) - 1
    columns, features = module.read(options, rows.start, shard.n_thrown)
    one = 1 / len(share)
    return columns | {
        "event": number[rows],
        "kind": np.full(shard.n_thrown, shard.kind),
        "proposal_per_keV": np.divide(one, share[rows], out=np.ones(shard.n_thrown), where=selected[rows]),
        "selected": selected[rows],
    }, features
