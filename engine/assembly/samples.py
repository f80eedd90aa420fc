"""The events of a shard as networks see them: thrown and simulated, or read from a user's table."""

from collections.abc import Iterable

import numpy as np

from engine import lineage, plugins
from engine.inference.pools import KINDS
from engine.physics import events, proposals, selection
from engine.physics.detectors import Readout
from engine.plan import variations
from engine.plan.event_plan import POOLS, SHARD, Shard
from engine.plan.plan import Plan

Columns = dict[str, np.ndarray]  # of `engine.schemas.EVENTS`
Features = dict[str, np.ndarray]  # (n, length) by the name of a representation


def sample(plan: Plan, shard: Shard, representations: Iterable[str] = ()) -> tuple[Columns, Features]:
    """All events of a shard, selected or not, with the features that each of these representations makes of them.

    The rows of a user's table have the features that they came with, which a study holds against what models read.
    """
    module, options = (None, None) if shard.kind in KINDS else plan.study.backgrounds.spectrum(shard.kind)
    if hasattr(module, "read"):
        columns, features = _of_table(plan, shard, module, options)
        return columns, dict.fromkeys(representations, features)
    columns, readout = _recoils(plan, shard) if module is None else _of_component(plan, shard)
    return columns, {name: _features(plan, name, readout) for name in dict.fromkeys(representations)}


def _features(plan: Plan, representation: str, readout: Readout) -> np.ndarray:
    view = plugins.load("engine.physics.representations", representation)
    return view.features(readout, plan.study.detector.constants)


def _recoils(plan: Plan, shard: Shard) -> tuple[Columns, Readout]:
    low, high = plan.energy_range(shard.purpose, shard.kind)
    proposal = plan.proposal(shard.purpose)
    energy = proposals.draw(proposal, low, high, shard.n_thrown, lineage.stream("energy", *_key(plan, shard)))
    density = proposals.density_per_keV(proposal, low, high, energy)
    return _simulated(plan, shard, shard.kind, energy, density)


def _of_component(plan: Plan, shard: Shard) -> tuple[Columns, Readout]:
    module, options = plan.study.backgrounds.spectrum(shard.kind)
    options = options.model_copy(update=variations.of_component(shard.shift, shard.kind))
    energy, density, ratio = module.throw(shard.n_thrown, lineage.stream("energy", *_key(plan, shard)), options)
    return _simulated(plan, shard, module.KIND, energy, density, ratio)


def _simulated(
    plan: Plan, shard: Shard, recoil: str, energy_keV: np.ndarray, density_per_keV: np.ndarray,
    charge_yield_ratio: np.ndarray | None = None,
) -> tuple[Columns, Readout]:  # fmt: skip
    key, tpc = _key(plan, shard), plan.study.detector.constants
    true = events.shifted(events.moved(tpc, variations.of_constants(shard.shift)), plan.study.detector.nuisance, key)
    columns, readout = events.simulate(true, recoil, energy_keV, key, tpc, charge_yield_ratio)
    columns["energy_keV"] = energy_keV
    selected = columns["registered"]
    if shard.purpose in POOLS:
        backgrounds, pe_per_phd = plan.study.backgrounds, events.mean_charge(tpc)
        kept = selection.efficiency(backgrounds.efficiency_of(recoil), columns, pe_per_phd)
        selected = selection.passes(columns, backgrounds.windows(recoil), pe_per_phd) & (kept > 0)
        # so many fewer are as good as proposed: each counts that much less
        density_per_keV = density_per_keV / np.where(selected, kept, 1.0)
    del columns["registered"]
    columns |= {
        "event": shard.number * SHARD + np.arange(shard.n_thrown),
        "kind": np.full(shard.n_thrown, shard.kind),
        "proposal_per_keV": density_per_keV,
        "selected": selected,
    }
    return columns, readout


def _key(plan: Plan, shard: Shard) -> tuple:
    return plan.study.seed, shard.purpose, shard.kind, shard.number


def _of_table(plan: Plan, shard: Shard, module, options) -> tuple[Columns, np.ndarray]:
    """Rows of a user's table. Their proposal is such that a constant rate weighs them as the table says."""
    share = module.weights(options, plan.study.backgrounds.ces_keVee)
    selected, rows = share > 0, slice(shard.number * SHARD, shard.number * SHARD + shard.n_thrown)
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
