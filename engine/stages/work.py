"""What tasks do: each function takes a plan and its inputs, and returns finished parts. Knows no Ray."""

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa

import zoo
from engine import lineage, plugins, schemas
from engine.assembly import assemble, rows, scores, training
from engine.assembly.samples import Columns, Features, sample
from engine.errors import UNANSWERED, Unanswerable, said
from engine.inference import cells as inference
from engine.inference.cells import Toys
from engine.inference.jackknife import z_pool_error
from engine.inference.population import Population
from engine.plan.event_plan import Shard
from engine.plan.plan import HYPOTHESES, Plan, Point, Wanted
from engine.store import timings
from engine.store.checkpoints import Checkpoint
from engine.store.parts import Entry, Part
from engine.store.store import Store
from engine.store.timings import Timing

TIMED = 512  # events that are scored to see how fast that is: a batch


def simulate(plan: Plan, *shards: Shard) -> Iterator[Part]:
    """Shards of the same training events as several representations show them: the selected ones, with features."""
    columns, seen = sample(plan, shards[0], {shard.representation for shard in shards})
    selected = columns["selected"]
    truth = schemas.table(schemas.EVENTS, {name: values[selected] for name, values in columns.items()})
    for shard in shards:
        table = with_features(truth, seen[shard.representation][selected])
        yield Part(f"events/{shard.item}.parquet", (shard.item,), table)


def with_features(table: pa.Table, features: np.ndarray) -> pa.Table:
    """The table with a column `features` (n, length)."""
    flat = pa.array(features.reshape(-1))
    return table.append_column("features", pa.FixedSizeListArray.from_arrays(flat, features.shape[1]))


def fit(plan: Plan, slot: str, store: Store, entries: list[Entry], device: str = "cpu") -> list[Part]:
    """Fits the model of a slot to the training parts, and notes beside it how fast that was."""
    item = plan.models[slot]
    features, labels = training.gather(store, entries)
    checkpoint = Checkpoint(store, item)
    goes_on = checkpoint.read() is not None
    with timings.stopwatch() as timing:
        fitted = train(plan, slot, features, labels, checkpoint, device=device)
    training_s = None if goes_on else timing.training_s
    timings.write(store, item, Timing(training_s, scored_per_s(fitted, features)))
    return [Part(f"models/{item}.safetensors", (item,), zoo.save(fitted))]


def train(
    plan: Plan, slot: str, features: np.ndarray, labels: np.ndarray, checkpoint: Checkpoint, *,
    until: int | None = None, device: str = "cpu",
) -> zoo.Fitted:  # fmt: skip
    """The model of a slot, fitted up to an epoch if one is given; one torch thread, since parallelism is Ray's.

    Goes on from the checkpoint of a fit that was killed; one that cannot be read is set aside.
    """
    model = plan.fitted[slot]
    family = plugins.load("zoo", model.name)
    fit_from = partial(
        zoo.fit, family, zoo.configure(family, model.config), features, labels, seed=plan.study.seed_of(model),
        threads=1, save=checkpoint.offer, until=until, lineage=plan.models[slot], device=device,
        precision=plan.study.training.precision,
    )  # fmt: skip
    try:
        return fit_from(resume=checkpoint.read())
    except zoo.BadCheckpoint:
        checkpoint.set_aside()
        return fit_from()


def scored_per_s(fitted: zoo.Fitted, features: np.ndarray) -> float:
    """Events per second that a model scores, the second time: the first one warms up."""
    batch = features[:TIMED]
    zoo.terms(fitted, batch)
    with timings.stopwatch() as timing:
        zoo.terms(fitted, batch)
    return len(batch) / timing.training_s


def score(plan: Plan, shard: Shard, slots: list[str], models: dict[str, bytes]) -> list[Part]:
    """A shard of test or pool events, made and scored in one stream: its features are never stored.

    Events are made once, and one representation after the other is made of them, for all models that read it.
    """
    return scored(plan, shard, *sample(plan, shard, [plan.view(slot) for slot in slots]), slots, models)


def scored(
    plan: Plan, shard: Shard, columns: Columns, seen: Features, slots: list[str], models: dict[str, bytes]
) -> list[Part]:
    """A sample of a shard as parts: its truth, and the terms of these slots' models."""
    parts = [Part(f"events/{shard.item}.parquet", (shard.item,), schemas.table(schemas.EVENTS, columns))]
    for slot in slots:
        family = plugins.load("zoo", plan.fitted[slot].name)
        terms = scores.evaluate(zoo.load(models[slot], family), seen[plan.view(slot)][columns["selected"]])
        item = plan.score_item(shard, slot)
        parts.append(Part(f"scores/{item}.parquet", (item,), terms))
    return parts


def background_toys(
    plan: Plan, population: Population, exposure_ty: float, hypothesis: str, blocks: list[int]
) -> list[Part]:
    """Blocks of background toys for every score and statistic, as one part."""
    choices = assemble.choices(plan, plan.by_toys)
    items, n_events, totals = [], [], []
    for block in blocks:
        drawn, found = inference.background_block(population, exposure_ty, hypothesis, block, choices)
        for pair, columns in zip(plan.by_toys, found, strict=True):
            items.append(plan.null_item(exposure_ty, hypothesis, block, *pair))
            n_events.append(drawn)
            totals.append(_lists(columns))
    names = np.repeat(items, [len(drawn) for drawn in n_events])
    columns = {"item": names, "n_events": np.concatenate(n_events), "totals": pa.concat_arrays(totals)}
    return [_bundle("nulls", items, schemas.table(schemas.TOYS, columns))]


def _lists(values: np.ndarray) -> pa.ListArray:
    """(n, k) as n lists of k."""
    ends = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(values.reshape(-1)))


def cells(
    plan: Plan,
    population: Population,
    toys: dict[str, list[Toys]],
    signal_weights: np.ndarray,
    exposure_ty: float,
    m_chi_GeV: float | None,
    sizes: list[float],
) -> list[Part]:
    """What toys say of one mass and exposure for ascending cross-sections, as one part.

    Raises Unanswerable, with the others' rows, where some statistics have no answer at a single cross-section.
    """
    of = partial(_cells, plan, population, toys, signal_weights, exposure_ty, m_chi_GeV, sizes)
    everything = range(len(plan.by_toys))
    try:
        return [_rows("cells", schemas.CELLS, of(everything))]
    except UNANSWERED:
        if len(sizes) > 1:
            raise  # the caller asks again, for fewer
    found, reasons, places = [], {}, _places(plan.cells)
    for one in everything:
        try:
            found += of([one])
        except UNANSWERED as error:
            R, statistic = plan.by_toys[one]
            item = places[exposure_ty, m_chi_GeV, sizes[0], R, statistic]
            reasons[item] = lineage.row_label(statistic, R), said(error)
    raise Unanswerable([_rows("cells", schemas.CELLS, found)] if found else [], reasons)


def _cells(plan, population, toys, signal_weights, exposure_ty, m_chi_GeV, sizes, which: Iterable[int]) -> list[dict]:
    """The rows of these statistics, by their places in `plan.by_toys`."""
    signal, wanted = plan.study.signal, [plan.by_toys[i] for i in which]
    results = inference.signal_cells(
        population, signal_weights, (plugins.identity("engine.physics.spectra", signal.name), m_chi_GeV),
        np.array(sizes) / assemble.REFERENCE[signal.axes[-1]], exposure_ty, assemble.choices(plan, wanted),
        *([toys[hypothesis][i] for i in which] for hypothesis in HYPOTHESES), kde=plan.study.toys.tail == "kde",
    )  # fmt: skip
    places = _places(plan.cells)
    describe = rows.Describer(plan, population, signal_weights, exposure_ty)
    found = []
    for size, row in zip(sizes, results, strict=True):
        for (R, statistic), cell in zip(wanted, row, strict=True):
            found.append(describe.row(R, statistic, m_chi_GeV, size) | cell.columns | {
                "n_below": cell.significance.n_below,
                "n_toys_null": plan.study.toys.null, "n_toys_signal": plan.study.toys.signal,
                "lineage": places[exposure_ty, m_chi_GeV, size, R, statistic],
            })  # fmt: skip
    return found


def exact(
    plan: Plan,
    population: Population,
    exposure_ty: float,
    pair: Wanted,
    signal_weights: dict[float | None, np.ndarray],
    points: list[tuple[Point, float | None]],
) -> list[Part]:
    """What the exact law of one score and statistic says at one exposure, as one part.

    signal_weights: (pool,) by mass; points: each with the toys' q_median, None without toys.
    """
    places = _places(plan.exact)
    choice = assemble.choices(plan, [pair])[0]
    statistic = choice.prepare(population.null(choice.R, exposure_ty))
    describe = {mass: rows.Describer(plan, population, w, exposure_ty) for mass, w in signal_weights.items()}
    found = []
    for point, q_toys in points:
        mass, size = point.m_chi_GeV, point.size
        weights = signal_weights[mass] * (size / assemble.REFERENCE[plan.study.signal.axes[-1]])
        null, alternative = statistic.distributions(population.signal(weights) * exposure_ty)
        found.append(describe[mass].row(*pair, mass, size) | exact_values(null, alternative, q_toys) | {
            "z_pool_error": z_pool_error(population, choice, weights, exposure_ty)
            if plan.at_benchmark(point) else None,
            "half_shift": None, "lineage": places[exposure_ty, mass, size, *pair],
        })  # fmt: skip
    return [_rows("exact", schemas.EXACT, found)]


def exact_values(null, alternative, q_toys: float | None) -> dict:
    """The median with signal and its p, and where the toys' median lies under either law."""
    q = alternative.median()
    p = float(null.sf(np.array([q]))[0])
    at_toys = [None, None]
    if q_toys is not None:
        above = np.nextafter(q_toys, np.inf)
        at_toys = float(null.sf(np.array([q_toys]))[0]), float(1 - alternative.sf(np.array([above]))[0])
    return {
        "q_exact": q, "p_exact": max(p, null.smallest_p), "exact_tail": "exact" if p >= null.smallest_p else "bound",
        "p_at_toys": at_toys[0], "level_at_toys": at_toys[1],
    }  # fmt: skip


def _places(cells: dict) -> dict[tuple, str]:
    return {(point.exposure_ty, point.m_chi_GeV, point.size, R, statistic): item
            for item, (point, R, statistic) in cells.items()}  # fmt: skip


def _rows(stage: str, schema: pa.Schema, found: list[dict]) -> Part:
    columns = {name: [row[name] for row in found] for name in found[0]}
    return _bundle(stage, columns["lineage"], schemas.table(schema, columns))


def _bundle(stage: str, items: list[str], table: pa.Table) -> Part:
    return Part(f"{stage}/{lineage.digest('bundle', 1, None, items)}.parquet", tuple(items), table)
