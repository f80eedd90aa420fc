"""What tasks do: each function takes a plan and its inputs, and returns finished parts. Knows no Ray."""

import numpy as np
import pyarrow as pa

import zoo
from engine import assemble, lineage, plugins, schemas, scores
from engine.cluster.store import Entry, Part, Store, decode, read
from engine.inference import cells as inference
from engine.inference.cells import Population, Toys
from engine.inference.pools import TOY_HALF, effective_size
from engine.plan import Plan, Shard
from engine.samples import sample


def simulate(plan: Plan, shard: Shard) -> list[Part]:
    """A shard of training events: the selected ones, with their features."""
    columns, features = sample(plan, shard)
    selected = columns["selected"]
    table = schemas.table(schemas.EVENTS, {name: values[selected] for name, values in columns.items()})
    flat = pa.array(features[selected].reshape(-1))
    table = table.append_column("features", pa.FixedSizeListArray.from_arrays(flat, features.shape[1]))
    return [Part(f"events/{shard.item}.parquet", (shard.item,), table)]


def fit(plan: Plan, slot: str, store: Store, entries: list[Entry]) -> list[Part]:
    """Fits the model of a slot to the training parts; one torch thread, since parallelism is Ray's."""
    model = getattr(plan.study.models, slot)
    family = plugins.load("zoo", model.name)
    tables = [decode(read(store, entry)) for entry in entries]
    features = np.concatenate([_features(table) for table in tables])
    labels = np.concatenate([table["kind"].to_numpy() == "NR" for table in tables]).astype(np.float32)
    fitted = zoo.fit(family, zoo.configure(family, model.config), features, labels, seed=plan.study.seed, threads=1)
    item = plan.models[slot]
    return [Part(f"models/{item}.safetensors", (item,), zoo.save(fitted))]


def _features(table: pa.Table) -> np.ndarray:
    column = table["features"].combine_chunks()
    return column.flatten().to_numpy().reshape(len(column), -1)


def score(plan: Plan, shard: Shard, slots: list[str], models: dict[str, bytes]) -> list[Part]:
    """A shard of test or pool events, made and scored in one stream: its features are never stored."""
    columns, features = sample(plan, shard)
    parts = [Part(f"events/{shard.item}.parquet", (shard.item,), schemas.table(schemas.EVENTS, columns))]
    for slot in slots:
        family = plugins.load("zoo", getattr(plan.study.models, slot).name)
        terms = scores.evaluate(zoo.load(models[slot], family), features[columns["selected"]])
        item = plan.score_item(shard, slot)
        parts.append(Part(f"scores/{item}.parquet", (item,), terms))
    return parts


def background_toys(
    plan: Plan, population: Population, exposure_ty: float, hypothesis: str, blocks: list[int]
) -> list[Part]:
    """Blocks of background toys for every score and statistic, as one part."""
    wanted = assemble.statistics(plan)
    items, n_events, totals = [], [], []
    for block in blocks:
        drawn, sums = inference.background_block(population, exposure_ty, hypothesis, block, wanted)
        for pair, column in zip(plan.wanted, sums.T, strict=True):
            items.append(plan.null_item(exposure_ty, hypothesis, block, *pair))
            n_events.append(drawn)
            totals.append(column)
    names = np.repeat(items, [len(drawn) for drawn in n_events])
    columns = {"item": names, "n_events": np.concatenate(n_events), "total": np.concatenate(totals)}
    return [_bundle("nulls", items, schemas.table(schemas.TOYS, columns))]


def cells(
    plan: Plan,
    population: Population,
    toys: dict[str, list[Toys]],
    signal_weights: np.ndarray,
    exposure_ty: float,
    m_chi_GeV: float | None,
    sizes: list[float],
) -> list[Part]:
    """The rows of one mass and exposure for ascending cross-sections (or strengths, without a mass), as one part."""
    signal = plan.study.signal
    wanted = assemble.statistics(plan)
    results = inference.signal_cells(
        population, signal_weights, (plugins.identity("engine.physics.spectra", signal.name), m_chi_GeV),
        np.array(sizes) / assemble.REFERENCE[signal.axes[-1]], exposure_ty,
        wanted, toys["null"], toys["background"],
    )  # fmt: skip
    places = {(point.exposure_ty, point.m_chi_GeV, point.size, R, statistic): item
              for item, (point, R, statistic) in plan.cells.items()}  # fmt: skip
    common = _common_columns(plan, population, signal_weights, exposure_ty)
    by_R = {R: _score_columns(population, signal_weights, exposure_ty, R) for R in plan.study.score.R}
    rows = []
    for size, row in zip(sizes, results, strict=True):
        for (R, statistic), (_, module), cell in zip(plan.wanted, wanted, row, strict=True):
            item = places[exposure_ty, m_chi_GeV, size, R, statistic]
            of_score = by_R[R]
            rows.append({
                "m_chi_GeV": m_chi_GeV, "exposure_ty": exposure_ty, "statistic": statistic,
                "R": R, "n_signal": cell.n_signal, "z_count": cell.z_count, "lineage": item,
                "q_median": cell.significance.q_median, "p_median": cell.significance.p,
                "p_low": cell.significance.p_low, "p_high": cell.significance.p_high,
                "z_median": cell.significance.z, "tail": cell.significance.tail,
                "floor_events": of_score["floor_background"] + cell.n_signal * of_score["floor_signal_share"],
                "pool_limited": of_score["pool_limited"] and hasattr(module, "widen"),
                "entropy_nat": of_score["entropy_nat"],
            } | {"sigma_si_cm2": None, "strength": None, signal.axes[-1]: size} | common)  # fmt: skip
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return [_bundle("cells", columns["lineage"], schemas.table(schemas.CELLS, columns))]


def _common_columns(plan: Plan, population: Population, signal_weights: np.ndarray, exposure_ty: float) -> dict:
    """The columns that all rows of one mass and exposure share."""
    study = plan.study
    tpc, toy_half = study.detector.constants, population.pool.half == TOY_HALF
    coincidence = f"N{tpc.s1_coincidence}T{tpc.s1_coincidence_ns:g}"
    return {
        "vae": study.models.vae.name, "classifier": study.models.classifier.name, "beta": plan.beta,
        "n_background": population.n_background(exposure_ty), "rates": study.backgrounds.rates,
        "n_toys_null": study.toys.null, "n_toys_signal": study.toys.signal,
        "nr_window": f"{coincidence}, {_words(plan.window('NR'))}",
        "er_window": f"{coincidence}, {_words(plan.window('ER'))}",
        "tuned_on": study.tuned_on, "detector": study.detector.name, "representation": study.representation.name,
        "signal": study.signal.name, "signal_pool_size": effective_size(signal_weights[toy_half]),
        "ts_unit": f"nat, preprocess = {study.models.vae.config['preprocess']}",
    }  # fmt: skip


def _score_columns(population: Population, signal_weights: np.ndarray, exposure_ty: float, R: float) -> dict:
    """The columns that follow from a score; by the half of the pool that toys draw from, which f0 has not seen."""
    half = population.pool.half == TOY_HALF
    background, signal = population.weights.sum(axis=0)[half], signal_weights[half]
    ts, f0 = population.ts[R][half], population.f0[R]
    floor = f0.on_floor(ts)
    return {
        "floor_background": float(background[floor].sum() / background.sum() * population.n_background(exposure_ty)),
        "floor_signal_share": float(signal[floor].sum() / (signal.sum() or 1.0)),
        "pool_limited": population.null(R, exposure_ty).pool_limited,
        "entropy_nat": float(-(background @ f0.ln(ts)) / background.sum()),
    }


def _words(window: dict[str, tuple[float, float]]) -> str:
    said = {"ces_keVee": "CES {:g}-{:g} keVee", "energy_keV": "true {:g}-{:g} keVnr"}
    return ", ".join(said[name].format(*ends) for name, ends in window.items())


def _bundle(stage: str, items: list[str], table: pa.Table) -> Part:
    return Part(f"{stage}/{lineage.digest('bundle', 1, None, items)}.parquet", tuple(items), table)
