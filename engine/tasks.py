"""The arguments of every task that is missing, stage by stage: what `engine.work` and its like are called with."""

from collections.abc import Iterable

import numpy as np

from engine import assemble, limits, reach, systematics
from engine.diagnostics import asked, compute
from engine.inference.population import Population
from engine.plan import HYPOTHESES
from engine.run import Run

BLOCKS_PER_TASK = 2
EXACT_PER_TASK = 200  # points; a law is prepared once per task


def simulations(run: Run, missing: set[str]) -> Iterable[tuple]:
    """Shards of training events, those together that show the same events."""
    plan, same = run.share(run.plan), {}
    for shard in run.plan.shards["train"]:
        if shard.item in missing:
            same.setdefault((shard.kind, shard.number), []).append(shard)
    return [(plan, *shards) for shards in same.values()]


def fits(run: Run, missing: set[str]) -> Iterable[tuple]:
    """A fit per slot."""
    for slot, model in run.plan.fitted.items():
        if run.plan.models[slot] in missing:
            entries = [run.ledger.entries[shard.item] for shard in run.plan.training(model)]
            yield run.plan, slot, run.store, entries


def scorings(run: Run, missing: set[str]) -> Iterable[tuple]:
    """Shards of scored events with the slots that are missing."""
    plan, shared = run.plan, run.share(run.plan)
    models = run.share({slot: run.ledger.read(plan.models[slot]) for slot in plan.fitted})
    shards = [shard for purpose in plan.scored for shard in plan.shards[purpose]]
    for shard in (*shards, *plan.varied_shards):
        slots = [slot for slot in plan.fitted if plan.score_item(shard, slot) in missing]
        if slots or shard.item in missing:
            yield shared, shard, slots, models


def nulls(run: Run, population: Population, missing: set[str]) -> Iterable[tuple]:
    """Blocks of background toys."""
    plan, inputs = run.plan, (run.share(run.plan), run.share(population))
    for exposure in plan.study.grid.exposure_ty.points():
        for hypothesis in HYPOTHESES:
            blocks = [
                block
                for block in range(plan.n_blocks(hypothesis))
                if any(plan.null_item(exposure, hypothesis, block, *pair) in missing for pair in plan.by_toys)
            ]
            for start in range(0, len(blocks), BLOCKS_PER_TASK):
                yield *inputs, exposure, hypothesis, blocks[start : start + BLOCKS_PER_TASK]


def cells(
    run: Run, population: Population, signals: dict[float | None, np.ndarray], missing: set[str]
) -> Iterable[tuple]:
    """One mass and exposure each."""
    plan, inputs = run.plan, (run.share(run.plan), run.share(population))
    shared = {mass: run.share(weights) for mass, weights in signals.items()}
    wanted: dict[float, dict[float | None, set[float]]] = {}
    for item, (point, _, _) in plan.cells.items():
        if item in missing:
            masses = wanted.setdefault(point.exposure_ty, {})
            masses.setdefault(point.m_chi_GeV, set()).add(point.size)
    for exposure, masses in wanted.items():
        toys = run.share({name: assemble.toys(plan, run.ledger, exposure, name) for name in HYPOTHESES})
        for mass, sizes in masses.items():
            yield *inputs, toys, shared[mass], exposure, mass, sorted(sizes)


def exact(run: Run, population: Population, signals: dict, missing: set[str]) -> Iterable[tuple]:
    """Points of one exposure, R and statistic."""
    inputs, weights = (run.share(run.plan), run.share(population)), run.share(signals)
    q_median = _medians(run)
    wanted: dict[tuple, list[tuple]] = {}
    for item, (point, *pair) in run.plan.exact.items():
        if item in missing:
            wanted.setdefault((point.exposure_ty, tuple(pair)), []).append((point, q_median.get((point, *pair))))
    for (exposure, pair), points in wanted.items():
        for start in range(0, len(points), EXACT_PER_TASK):
            yield *inputs, exposure, pair, weights, points[start : start + EXACT_PER_TASK]


def searches(run: Run, population: Population, missing: set[str]) -> Iterable[tuple]:
    """One search each."""
    inputs = run.share(run.plan), run.share(population)
    shared = {mass: run.share(weights) for mass, weights in reach.signals(run.plan, population, missing).items()}
    for item, sought in reach.wanted(run.plan, missing):
        yield *inputs, shared[sought[2]], item, sought


def limit_masses(run: Run, population: Population, missing: set[str]) -> Iterable[tuple]:
    """The masses of one exposure."""
    inputs = run.share(run.plan), run.share(population), run.share(limits.signals(run.plan, population, missing))
    return [(*inputs, exposure, masses) for exposure, masses in limits.wanted(run.plan, missing).items()]


def varied(run: Run, nominal: Population, missing: set[str]) -> Iterable[tuple]:
    """One variation, exposure, R and statistic each."""
    plan, signal = run.plan, systematics.benchmark(run.plan, nominal)
    shared, wanted = (run.share(plan), run.share(nominal)), {}
    for item, (variation, exposure, *pair) in plan.systematics.items():
        if item in missing:
            wanted.setdefault(variation, {}).setdefault(exposure, []).append(tuple(pair))
    for variation, exposures in wanted.items():
        varied = systematics.population(plan, run.ledger, nominal, variation.shift)
        inputs = run.share(varied), run.share((signal, systematics.benchmark(plan, varied)))
        for exposure, pairs in exposures.items():
            for pair in pairs:
                yield *shared, *inputs, variation, exposure, pair


def diagnosed(run: Run, missing: set[str]) -> Iterable[tuple]:
    """A task for each classifier and one for the autoencoder: what is made of events by a function of `compute`."""
    plan, entries = run.plan, run.ledger.entries
    wanted = {what for what, item in plan.diagnostics.items() if item in missing}
    populations = asked.populations(plan).items()
    if wanted.intersection(asked.NETWORK):
        yield compute.network, plan, run.ledger.read(plan.models["vae"]), asked.sampled(plan)
    if asked.FLOOR in wanted:
        training = [entries[shard.item] for shard in asked.training(plan)]
        events = {name: [entries[shard.item] for shard in shards] for name, shards in populations}
        yield compute.floor, plan, run.store, training, events
    if asked.CLASSIFIER in wanted:
        scored = {name: [(entries[shard.item], entries[plan.score_item(shard, "classifier")]) for shard in shards]
                  for name, shards in populations}  # fmt: skip
        yield compute.classifier, plan, run.store, scored


def _medians(run: Run) -> dict[tuple, float]:
    """q_median of the toys by cell."""
    items = list(run.plan.cells)
    rows = run.ledger.rows(items, "lineage") if items else None
    pairs = zip(rows["lineage"].to_pylist(), rows["q_median"].to_pylist(), strict=True) if items else ()
    return {run.plan.cells[item]: q for item, q in pairs}
