"""The units of work that are missing, stage by stage: what `engine.work` and its like are called with.

A unit names the items it makes. How many units a task carries is the fan-out's affair.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np

from engine.assembly import assemble
from engine.inference.population import Population
from engine.lineage import row_label
from engine.plan import asked
from engine.plan.plan import HYPOTHESES
from engine.plan.points import Cell
from engine.run.state import Run
from engine.stages import compute, limits, reach, systematics
from engine.store.units import Unit


def simulations(run: Run, missing: set[str]) -> Iterable[Unit]:
    """Shards of training events, those together that show the same events."""
    plan, same = run.share(run.plan), {}
    for shard in run.plan.shards["train"]:
        if shard.item in missing:
            same.setdefault((shard.kind, shard.number), []).append(shard)
    return [Unit((plan, *shards), items=tuple(shard.item for shard in shards), name=_shard(shards[0]))
            for shards in same.values()]  # fmt: skip


def fits(run: Run, missing: set[str]) -> Iterable[Unit]:
    """A fit per slot."""
    for slot, model in run.plan.fitted.items():
        item = run.plan.models[slot]
        if item in missing:
            entries = [run.ledger.entries[shard.item] for shard in run.plan.training(model)]
            yield Unit((run.plan, slot, run.store, entries), items=(item,), name=f"fit of {model.name}")


def scorings(run: Run, missing: set[str]) -> Iterable[Unit]:
    """A shard of scored events each, with the slots that are missing."""
    plan, shared = run.plan, run.share(run.plan)
    models = run.share({slot: run.ledger.read(plan.models[slot]) for slot in plan.fitted})
    shards = [shard for purpose in plan.scored for shard in plan.shards[purpose]]
    for shard in (*shards, *plan.varied_shards):
        slots = [slot for slot in plan.fitted if plan.score_item(shard, slot) in missing]
        if slots or shard.item in missing:
            items = shard.item, *(plan.score_item(shard, slot) for slot in slots)
            yield Unit((shared, shard, slots, models), items=items, name=_shard(shard))


def nulls(run: Run, population: Population, missing: set[str]) -> Iterable[Unit]:
    """A block of background toys each."""
    plan, inputs = run.plan, (run.share(run.plan), run.share(population))
    for exposure in plan.study.grid.exposure_ty.points():
        for hypothesis in HYPOTHESES:
            for block in range(plan.n_blocks(hypothesis)):
                items = tuple(plan.null_item(exposure, hypothesis, block, *pair) for pair in plan.by_toys)
                if not missing.isdisjoint(items):
                    name = f"{hypothesis} toys, block {block}, {exposure:g} t y"
                    yield Unit((*inputs, exposure, hypothesis), block, items, name)


def cells(
    run: Run, population: Population, signals: dict[float | None, np.ndarray], missing: set[str]
) -> Iterable[Unit]:
    """A point each, for every score and statistic; the cross-sections of one mass together have their toys once."""
    plan, inputs = run.plan, (run.share(run.plan), run.share(population))
    shared = {mass: run.share(weights) for mass, weights in signals.items()}
    for exposure, found in groupby(_missing(plan.cells, missing), lambda cell: cell[1][0].exposure_ty):
        toys = run.share({name: assemble.toys(plan, run.ledger, exposure, name) for name in HYPOTHESES})
        for (mass, size), of_point in groupby(found, lambda cell: (cell[1][0].m_chi_GeV, cell[1][0].size)):
            name, items = _place(plan, exposure, mass, size), tuple(item for item, _ in of_point)
            yield Unit((*inputs, toys, shared[mass], exposure, mass), size, items, name)


def _missing(cells: dict[str, Cell], missing: set[str]) -> Iterator[tuple[str, Cell]]:
    """Those of a plan's cells, in its order: by exposure, mass and size; one after the other, as there may be many."""
    return ((item, cell) for item, cell in cells.items() if item in missing)


def exact(run: Run, population: Population, signals: dict, missing: set[str]) -> Iterable[Unit]:
    """A point each, of one exposure, R and statistic; those whose toys have failed wait for them."""
    inputs, weights = (run.share(run.plan), run.share(population)), run.share(signals)
    for exposure, found in groupby(_missing(run.plan.exact, missing), lambda cell: cell[1][0].exposure_ty):
        with_toys = {cell: item for item, cell in run.plan.cells.items() if cell[0].exposure_ty == exposure}
        q_median, wanted = _medians(run, with_toys), {}
        for item, (point, *pair) in found:
            place = (point, *pair)
            if place in q_median or place not in with_toys:
                wanted.setdefault(tuple(pair), []).append((item, point, q_median.get(place)))
        for pair, laws in wanted.items():
            for item, point, q in laws:
                name = f"exact {row_label(pair[1], pair[0])}, {_of_point(run.plan, point)}"
                yield Unit((*inputs, exposure, pair, weights), (point, q), (item,), name)


def searches(run: Run, population: Population, missing: set[str]) -> Iterable[Unit]:
    """One search each."""
    inputs = run.share(run.plan), run.share(population)
    shared = {mass: run.share(weights) for mass, weights in reach.signals(run.plan, population, missing).items()}
    for item, sought in reach.wanted(run.plan, missing):
        R, statistic, mass, size = sought
        name = f"reach of {row_label(statistic, R)}, {_place(run.plan, None, mass, size)}"
        yield Unit((*inputs, shared[mass], item, sought), items=(item,), name=name)


def limit_masses(run: Run, population: Population, missing: set[str]) -> Iterable[Unit]:
    """A mass at one exposure each."""
    inputs = run.share(run.plan), run.share(population), run.share(limits.signals(run.plan, population, missing))
    for exposure, masses in limits.wanted(run.plan, missing).items():
        for mass in masses:
            item, name = run.plan.limit_item(exposure, mass), f"limit at {mass:g} GeV, {exposure:g} t y"
            yield Unit((*inputs, exposure), mass, (item,), name)


def varied(run: Run, nominal: Population, missing: set[str]) -> Iterable[Unit]:
    """One variation, exposure, R and statistic each."""
    plan, signal = run.plan, systematics.benchmark(run.plan, nominal)
    shared, wanted = (run.share(plan), run.share(nominal)), {}
    for item, (variation, exposure, *pair) in plan.systematics.items():
        if item in missing:
            wanted.setdefault(variation, []).append((exposure, tuple(pair), item))
    for variation, places in wanted.items():
        varied = systematics.population(plan, run.ledger, nominal, variation)
        inputs = run.share(varied), run.share((signal, systematics.benchmark(plan, varied)))
        for exposure, pair, item in places:
            moved = f"{variation.nuisance} {variation.direction} {variation.amount:g}"
            name = f"{moved}, {row_label(pair[1], pair[0])}, {exposure:g} t y"
            yield Unit((*shared, *inputs, variation, exposure, pair), items=(item,), name=name)


def diagnosed(run: Run, missing: set[str]) -> Iterable[Unit]:
    """Each classifier, and the autoencoder: what is made of events by a function of `compute`."""
    plan, entries = run.plan, run.ledger.entries
    wanted = {what for what, item in plan.diagnostics.items() if item in missing}
    populations = asked.populations(plan).items()
    if network := tuple(plan.diagnostics[what] for what in asked.NETWORK if what in wanted):
        model = run.ledger.read(plan.models["vae"])
        yield Unit((compute.network, plan, model, asked.sampled(plan)), items=network, name="autoencoder")
    if asked.FLOOR in wanted:
        training = [entries[shard.item] for shard in asked.training(plan)]
        events = {name: [entries[shard.item] for shard in shards] for name, shards in populations}
        items = (plan.diagnostics[asked.FLOOR],)
        yield Unit((compute.floor, plan, run.store, training, events), items=items, name="floor")
    if asked.CLASSIFIER in wanted:
        scored = {name: [(entries[shard.item], entries[plan.score_item(shard, "classifier")]) for shard in shards]
                  for name, shards in populations}  # fmt: skip
        items = (plan.diagnostics[asked.CLASSIFIER],)
        yield Unit((compute.classifier, plan, run.store, scored), items=items, name="classifier")


def _medians(run: Run, cells: dict[Cell, str]) -> dict[Cell, float]:
    """q_median of the toys by cell; cells that failed have none."""
    known = [cell for cell, item in cells.items() if item in run.ledger.entries]
    pieces = run.ledger.pieces([cells[cell] for cell in known], "lineage", ["q_median"])
    return {known[i]: q for places, part in pieces for i, q in zip(places, part["q_median"].to_pylist(), strict=True)}


def _shard(shard) -> str:
    return f"{shard.purpose} events of {shard.kind}, shard {shard.number}"


def _of_point(plan, point) -> str:
    return _place(plan, point.exposure_ty, point.m_chi_GeV, point.size)


def _place(plan, exposure_ty: float | None, m_chi_GeV: float | None, size: float) -> str:
    """A point as a user calls it."""
    at = {"m_chi_GeV": m_chi_GeV, plan.study.signal.axes[-1]: size, "exposure_ty": exposure_ty}
    return ", ".join(f"{name} = {value:g}" for name, value in at.items() if value is not None)
