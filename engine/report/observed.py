"""What `observe` leaves behind: lines, tables, a figure and a record for MLflow, of the same numbers."""

import io
import json
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from engine import plots, schemas
from engine.inference.goodness import UNFIT, GoodnessOfFit
from engine.inference.observed import Local
from engine.inference.significance import z_one_sided
from engine.lineage import label as label_of
from engine.lineage import row_label
from engine.physics import events
from engine.plan.plan import Wanted
from engine.plots import observed as figures
from engine.report import event_display, score_templates
from engine.report.tracking import Record
from engine.report.tracking.journal import environment, in_words
from engine.run import observed_limits
from engine.run.joint import JointObservation
from engine.run.observation import FOLDER, Observation
from engine.size import Size
from engine.store.parts import Part, encode
from engine.store.store import Store

COMBINED = "combined"
SHOWN, DISPLAYED = 10, 5  # events in lines and on the figure; with a figure of their own, where there are pulses


def lines_before(seen: Observation) -> Iterator[str]:
    """What may be said of blinded data: what was left out, counts and fits outside the signal region, the power."""
    left_out, n_outside = seen.events.n_listed - len(seen.events), int(np.count_nonzero(~seen.inside))
    yield f"events outside the study's selection, left out: {left_out}"
    for name in seen.not_applied:
        yield f"the list has no {name}: its events are taken to have passed that cut"
    law = seen.outside.null(None, seen.exposure_ty).drawn.grouped
    error = np.sqrt(np.square(law.weights.sum(axis=1) * law.relative_sd).sum())
    yield (f"outside the signal region (beyond the line of 30 % of nuclear recoils in cS1, cS2): {n_outside} events, "
           f"{law.n_expected:.1f} +- {error:.1f} expected in {seen.exposure_ty:g} t y")  # fmt: skip
    yield from (f"fit outside the signal region, {_fit(fit)}" for fit in seen.fits)
    if not seen.fits_well:
        yield f"the background model does not fit (p < {UNFIT:g}): p-values of these data are not to be trusted"
    place = ", ".join(f"{name} = {value:g}" for name, value in seen.plan.study.at.items())
    for (R, statistic), power in seen.powers().items():
        yield f"power for three sigma at {place}: {row_label(statistic, R)} {power:.3f}"


def lines_after(seen: Observation, tables: dict[str, pa.Table]) -> Iterator[str]:
    """What the signal region holds, too."""
    rows = tables["statistics"].to_pylist()
    first = rows[0]
    yield f"all selected events: {first['n_events']}, {first['n_background']:.1f} expected"
    for fit in tables["fits"].to_pylist():
        if fit.pop("where") == "everywhere":
            yield f"fit with the signal region, {_fit(GoodnessOfFit(**fit))}"
    yield from p_lines(rows)
    yield from limit_lines(tables["limits"], seen.plan.study.signal.size)
    for row in tables["events"].to_pylist():
        if row["rank"] <= SHOWN:
            label = "".join(f", {name} {row[name]}" for name in ("run_id", "event_number") if row[name] is not None)
            yield (f"R = {row['R']:g}, rank {row['rank']}: row {row['row']}{label}, TS = {row['TS']:.4g}, cS1 = "
                   f"{row['cs1_phd']:.1f} phd, cS2 = {row['cs2_phd']:.0f} phd; {row['n_above']:.3g} +- "
                   f"{row['n_above_error']:.2g} background events expected there or above")  # fmt: skip
    if others := first["other_settings"]:
        yield (f"these data were unblinded before under {others} other settings: no p here knows of those trials, "
               "the analyst's own")  # fmt: skip


def p_lines(rows: list[dict]) -> Iterator[str]:
    """A line for every statistic, and for the global p."""
    doubt = "" if rows[0]["trusted"] else " (not to be trusted: the background model does not fit)"
    for row in rows:
        name = "global" if row["statistic"] == COMBINED else row_label(row["statistic"], row["R"])
        exact = "" if row["p_exact"] is None else f"; exact p = {row['p_exact']:.3g}, Z = {row['z_exact']:.2f}"
        q = "smallest local p" if row["statistic"] == COMBINED else "q"
        yield (f"{name}: {q} = {row['q']:.4g}, p = {row['p']:.3g} [{row['p_low']:.2g}, {row['p_high']:.2g}] "
               f"({row['tail']}), Z = {row['z']:.2f}{exact}{doubt}")  # fmt: skip


def limit_lines(table: pa.Table, size: Size) -> Iterator[str]:
    """A line for every mass: the observed upper limit beside what is expected without signal."""
    for row in table.to_pylist():
        upper, free, error, median, lower, *band = (
            row[schemas.limit_name(word, size)]
            for word in ("upper_limit", "unconstrained_upper_limit", "upper_limit_error", "sensitivity_median",
                         "lower_limit", "sensitivity_m1sigma", "sensitivity_p1sigma")
        )  # fmt: skip
        at = "upper limit" if row["dm_mass_gev"] is None else f"upper limit at {row['dm_mass_gev']:g} GeV"
        if upper is None:
            yield f"{at}: none, the pool has no signal event"
            continue
        unit = f" {size.unit}" if size.unit else ""
        how = "asymptotic" if error is None else f"+- {error:.2g} of its toys"
        free = f" by the power constraint; without, {free:.3g}" if upper > free else ""
        lower = f"; lower end {lower:.3g}" if lower is not None else ""
        poor = "; pool limited" if row["pool_limited"] else ""
        yield (f"{at}: {upper:.3g}{unit} ({how}){free}{lower}; expected {median:.3g} [{band[0]:.3g}, "
               f"{band[1]:.3g}]; {row['level']:.0%} CL, {row['interval']}{poor}")  # fmt: skip


def _fit(fit: GoodnessOfFit) -> str:
    what = "(cS1, log10 cS2)" if fit.R is None else f"score with R = {fit.R:g}"
    return f"{what}: deviance {fit.deviance:.1f} in {fit.n_bins} bins, p = {fit.p:.3g}"


def tables(seen: Observation, other_settings: int) -> dict[str, pa.Table]:
    """`statistics`, `events` and `fits` (`engine.schemas`)."""
    places = {"outside": seen.fits, "everywhere": seen.fits_inside_too}
    fits = [vars(fit) | {"where": where} for where, some in places.items() for fit in some]
    return {
        "statistics": statistics([seen], seen, seen.plan.by_toys, other_settings),
        "events": pa.concat_tables([_events(seen, R) for R in seen.plan.study.score.R]),
        "fits": schemas.of_rows(schemas.FITS, fits),
        "limits": observed_limits.table([seen]),
    }


def statistics(
    lists: Sequence[Observation], judged: Observation | JointObservation, pairs: list[Wanted], other_settings: int
) -> pa.Table:  # fmt: skip
    """`engine.schemas.OBSERVED`: what was judged of one list or of several at once, by pairs of R and statistic."""
    shared = {
        "exposure_ty": judged.exposure_ty, "n_events": sum(len(seen.events) for seen in lists),
        "n_background": sum(seen.population.n_background(seen.exposure_ty) for seen in lists),
        "trusted": judged.fits_well, "other_settings": other_settings, "setting": judged.setting,
    }  # fmt: skip
    return schemas.of_rows(schemas.OBSERVED, list(_rows(shared, pairs, *judged.judged)))


def _rows(shared: dict, pairs: list[Wanted], locals_: list[Local], together: Local) -> Iterator[dict]:
    for (R, statistic), local in zip([*pairs, (None, COMBINED)], [*locals_, together], strict=True):
        z_exact = None if local.p_exact is None else z_one_sided(local.p_exact)
        of = {"statistic": statistic, "R": R, "z": z_one_sided(local.p), "z_exact": z_exact}
        yield shared | vars(local) | of | {"n_toys_null": local.n_toys}


def _events(seen: Observation, R: float) -> pa.Table:
    """The events by their score with R, the largest first."""
    ts, (above, error) = seen.seen[R].ts, seen.rarity(R)
    columns, labels = seen.events.columns, seen.events.labels
    pe_per_phd = events.mean_charge(seen.plan.study.detector.constants)
    terms = {f"{role}_{name}": values for role, own in seen.terms.items() for name, values in own.items()}
    areas = {name: columns[name] for name in ("cs1_pe", "cs2_pe")}
    made = {
        "row": seen.events.row, "TS": ts, "n_above": above, "n_above_error": error, "p_any": -np.expm1(-above),
        "in_region": seen.inside, **areas, **terms,
    } | {name.replace("_pe", "_phd"): area / pe_per_phd for name, area in areas.items()}  # fmt: skip
    order = np.argsort(-ts, kind="stable")
    made = {name: values[order] for name, values in made.items()}
    made |= {name: labels[name][order] if name in labels else pa.nulls(len(ts), pa.string())
             for name in ("run_id", "event_number")}  # fmt: skip
    made |= {"R": np.full(len(ts), R), "rank": np.arange(1, len(ts) + 1)}
    return schemas.table(schemas.observed_events(list(terms)), made)


def files(seen: Observation, made: dict[str, pa.Table], format: str = "png") -> dict[str, bytes]:
    """Every table as Parquet and CSV, templates of the score as HDF5, and the figures, by file name."""
    by_R = {f"{row_label('templates', R)}.h5": score_templates.encoded(seen, R) for R in seen.plan.study.score.R}
    return csv_and_parquet(made) | by_R | _figures(seen, format) | limit_figure([seen], made["limits"], format)


def csv_and_parquet(made: dict[str, pa.Table]) -> dict[str, bytes]:
    """Every table that has rows, by file name."""
    made = {name: table for name, table in made.items() if table.num_rows}
    parquet = {f"{name}.parquet": encode(Part(f"{name}.parquet", (), table)) for name, table in made.items()}
    return parquet | {f"{name}.csv": _csv(table) for name, table in made.items()}


def limit_figure(lists: Sequence[Observation], table: pa.Table, format: str) -> dict[str, bytes]:
    """The limits over mass; none of a signal without one."""
    size = lists[0].plan.study.signal.size
    needed = pc.field("dm_mass_gev"), pc.field(schemas.limit_name("upper_limit", size))
    shown = table.filter(needed[0].is_valid() & needed[1].is_valid())
    return {f"limits.{format}": plots.render(figures.limits(shown, size), format)} if shown.num_rows else {}


def _csv(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pyarrow.csv.write_csv(table, sink)
    return sink.getvalue()


def _figures(seen: Observation, format: str) -> dict[str, bytes]:
    population = seen.population
    pool, expected = population.pool, population.weights.sum(axis=0) * seen.exposure_ty
    bands = {kind: (pool.cs1_pe[mine], pool.cs2_pe[mine]) for i, kind in enumerate(pool.kinds[:2])
             if (mine := pool.kind == i).any()}  # fmt: skip
    made = {}
    for R in seen.plan.study.score.R:
        ts = seen.seen[R].ts
        top = np.argsort(-ts, kind="stable")[:SHOWN]
        areas = seen.events.columns["cs1_pe"], seen.events.columns["cs2_pe"]
        page = figures.page(bands, areas, top, ts, population.ts[R], expected, exposure_ty=seen.exposure_ty, R=R)
        made[f"{row_label(FOLDER, R)}.{format}"] = plots.render(page, format)
        made |= _displays(seen, R, top, format)
    return made


def _displays(seen: Observation, R: float, top: np.ndarray, format: str) -> dict[str, bytes]:
    """What was recorded of the most anomalous events, where the list has it."""
    made, events_of = {}, seen.events
    for rank, event in enumerate(top[:DISPLAYED].tolist(), 1):
        label = "".join(f", {name} {values[event]}" for name, values in events_of.labels.items())
        title = f"rank {rank}: row {events_of.row[event]}{label}, CES {events_of.columns['ces_keVee'][event]:.1f} keVee"
        readout = event_display.of_one(events_of.readout, event)
        if figure := event_display.display(title, readout, seen.plan.study.detector.constants):
            made[f"{row_label('event', R)}_{rank}.{format}"] = plots.render(figure, format)
    return made


def keep(setting: str, store: Store, made: dict[str, bytes]) -> str:
    """Writes the files into the store, where they may be written again; returns where."""
    folder = f"{FOLDER}/{setting}"
    for name, data in made.items():
        store.put(f"{folder}/{name}", data)
    return store.where(folder)


def record(name: str, seen: Observation, made: dict[str, pa.Table], kept: dict[str, bytes]) -> Record:
    """A run for MLflow, with the tables and figures."""
    rows, metrics = made["statistics"].to_pylist(), measured(made, seen.plan.study.signal.size)
    for fit in made["fits"].to_pylist():
        metrics[f"p/fit_{row_label(fit['where'], fit['R'])}"] = fit["p"]
    shared = {name: rows[0][name] for name in ("exposure_ty", "n_events", "n_background", "other_settings")}
    study = {"study.json": json.dumps(seen.plan.study.fields(), indent=1).encode()}
    tags = {"stage": "observe", "study": name, "trusted": str(rows[0]["trusted"])} | in_words(environment())
    title = f"{name} observed, {seen.events.n_listed} events"
    return Record(f"{seen.setting}-{seen.events.data[:8]}", title, shared, metrics, {},
                  kept | study, tags, {"data": seen.events.data, "pool": seen.plan.scored_pool})  # fmt: skip


def measured(made: dict[str, pa.Table], size: Size) -> dict[str, float]:
    """p, Z and q of every statistic and the limits by mass, under names for MLflow."""
    metrics = {}
    for row in made["statistics"].to_pylist():
        label = row_label(row["statistic"], row["R"])
        metrics |= {f"p/{label}": row["p"], f"z/{label}": row["z"], f"q/{label}": row["q"]}
        metrics |= {} if row["p_exact"] is None else {f"p/exact_{label}": row["p_exact"]}
    upper = schemas.limit_name("upper_limit", size)
    for row in made["limits"].to_pylist():
        mass = "" if row["dm_mass_gev"] is None else f"_{label_of(row['dm_mass_gev'])}GeV"
        metrics |= {} if row[upper] is None else {f"limits/{upper}{mass}": row[upper]}
    return metrics
