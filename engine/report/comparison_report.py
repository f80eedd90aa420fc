"""What a comparison leaves behind: lines, files (tables, figure) and records for MLflow, of the same numbers."""

import io
import itertools
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.csv
from rich.table import Table

from engine import plots
from engine.assembly import results
from engine.assembly.results import Result
from engine.inference.reach import FOUND
from engine.lineage import row_label
from engine.plots import comparison as figures
from engine.report import results_page
from engine.report.tracking import Record, metrics, records, words
from engine.report.tracking.journal import environment, in_words
from engine.report.tracking.record import HEADLINE
from engine.run.comparison import Comparison
from engine.stages import combined
from engine.store.parts import Part, encode
from engine.store.store import Store

# of a row, by their names in it and in MLflow
METRICS = ("z", "z_pool_error", "z_seed_error", "z_mean", "z_mean_error", "t3_ty", "t3_error_ty", "t3_seed_error_ty",
           "auc", "accuracy", "er_leakage_30", "er_leakage_50")  # fmt: skip
OF_TWO = ("z_difference", "z_difference_error", "z_mean_difference", "z_mean_difference_error", "better")
OF_MODELS = ("parameters", "training_s", "scored_per_s")
MISSING = "-"


def shown(comparison: Comparison) -> Iterator[Table]:
    """The ranking, the networks behind it and the differences, for a terminal."""
    by = comparison.plan.study.ranking
    title = f"{by.statistic}, R = {by.R:g}, {by.exposure_ty:g} t y"
    ranking = Table("", "pair", "Z", "mean of seeds", "exposure for three sigma / t y", title=title)
    networks, listed = Table("", "AUC", "accuracy", "ER, 30, 50 % NR", "parameters", "fit / s", "scored / s"), {}
    for row in comparison.ranking.to_pylist():
        ranking.add_row(str(row["rank"]), row["pair"], significance(row), mean_of_seeds(row), _t3(row))
        listed |= {(role, row[role]): _network(row, role, kind) for role, kind in comparison.plan.study.kinds.items()}
    for (_, name), cells in sorted(listed.items()):
        networks.add_row(name, *cells)
    yield ranking
    yield networks
    of_two = Table("pair", "minus", "mean of Z - Z", "smaller p in", "same in", "bound in", "mean of seeds",
                   title="on the same toys")  # fmt: skip
    for row in comparison.differences.to_pylist():
        more = f"{row['z_difference']:+.3f} +- {row['z_difference_error']:.3f}"
        shares = (f"{row[name]:.1%}" for name in ("better", "tied", "bound"))
        of_two.add_row(row["pair"], row["other"], more, *shares, mean_of_seeds(row, "z_mean_difference"))
    yield of_two
    heads, rows = by_weight(comparison)
    if rows:
        of_weights = Table(*heads, title=f"by the weight of the classifier: {by.statistic}, {by.exposure_ty:g} t y")
        for row in rows:
            of_weights.add_row(*row)
        yield of_weights
    at_benchmark = results.rows_at(comparison.together, comparison.plan.study.at)
    if at_benchmark:
        smallest = Table("exposure / t y", "tried", "Z", "trial factor", "best one, alone", "its Z",
                         title="smallest p of all pairs, at the benchmark")  # fmt: skip
        for row in at_benchmark:
            best = f"{row['best_pair']}, {row_label(row['best_statistic'], row['best_R'])}"
            numbers = f"{row['z_median']:.2f}", f"{row['trial_factor']:.3g}", best, f"{row['z_best']:.2f}"
            smallest.add_row(f"{row['exposure_ty']:g}", str(row["n_choices"]), *numbers)
        yield smallest


def by_weight(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Z of every pair at every R of the study, by the statistic and at the exposure of the ranking, in its order: names
    of columns, and rows of text. Nothing where there is one R."""
    study, by = comparison.plan.study, comparison.plan.study.ranking
    weights, rows = study.score.R, []
    for pair in comparison.ranking["pair"].to_pylist() if len(weights) > 1 else ():
        table, at = comparison.outcomes[pair].table, study.at | vars(by)
        found = [results.rows_at(table, at | {"R": R})[0] for R in weights]
        seeds = ["" if row["z_seed_error"] is None else f" +- {row['z_seed_error']:.2g} (seed)" for row in found]
        rows.append([pair, *(results_page.significance(row) + seed for row, seed in zip(found, seeds, strict=True))])
    return ["pair", *(f"Z at R = {R:g}" for R in weights)], rows


def significance(row: dict) -> str:
    """Z of a row of the ranking with its errors, `>` before a bound."""
    sign = "> " if row["z_tail"] == "bound" else ""
    return sign + _with_errors(row, "z", "z_pool_error", "z_seed_error")


def mean_of_seeds(row: dict, column: str = "z_mean") -> str:
    """A mean over training seeds with its error from their number."""
    return MISSING if row[column] is None else f"{row[column]:.2f} +- {row[f'{column}_error']:.2f}"


def _t3(row: dict) -> str:
    if row["t3_status"] != FOUND:
        return (row["t3_status"] or MISSING).replace("_", " ")
    return _with_errors(row, "t3_ty", "t3_error_ty", "t3_seed_error_ty")


def _network(row: dict, role: str, kind: str) -> list[str]:
    quality = [MISSING] * 3
    if kind == "classifier":
        leakage = f"{row['er_leakage_30']:.2g}, {row['er_leakage_50']:.2g}"
        quality = [f"{row['auc']:.4f}", f"{row['accuracy']:.4f}", leakage]
    sizes = [row[f"{role}_{name}"] for name in OF_MODELS]
    return quality + [MISSING if value is None else f"{value:,.0f}" for value in sizes]


def _with_errors(row: dict, value: str, pool: str, seed: str) -> str:
    errors = [f" +- {row[name]:.2g}{what}" for name, what in ((pool, ""), (seed, " (seed)")) if row[name] is not None]
    return f"{row[value]:.3g}" + "".join(errors)


def files(comparison: Comparison, format: str = "png") -> dict[str, bytes]:
    """Both tables as Parquet and CSV, the figure, and perhaps the smallest p of all, by file name."""
    tables = {"comparison": comparison.ranking, "differences": comparison.differences}
    parquet = {f"{name}.parquet": encode(Part(f"{name}.parquet", (), table)) for name, table in tables.items()}
    csv = {f"{name}.csv": _csv(table) for name, table in tables.items()}
    if len(comparison.together):
        parquet |= {"combined.parquet": encode(Part("combined.parquet", (), comparison.together))}
    figure = plots.render(
        figures.ranking(comparison.ranking, comparison.differences, tuple(comparison.plan.study.roles)), format
    )
    return parquet | csv | {f"ranking.{format}": figure}


def _csv(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pyarrow.csv.write_csv(table, sink)
    return sink.getvalue()


def keep(comparison: Comparison, store: Store, format: str = "png") -> dict[str, bytes]:
    """Writes the files into the store, where they may be written again."""
    made = files(comparison, format)
    for name, data in made.items():
        store.put(f"{comparison.plan.folder}/{name}", data)
    return made


def logged(
    name: str, comparison: Comparison, store: Store, made: dict[str, bytes], note: tuple[str, ...]
) -> list[Record]:  # fmt: skip
    """Records for MLflow: the scan of every pair with its fits, and the comparison with the files `made`, whose lines
    the note are."""
    pairs = (_pair(name, row, comparison, store) for row in comparison.ranking.to_pylist())
    return [*itertools.chain(*pairs), _record(name, comparison, made, note)]


def _pair(name: str, row: dict, comparison: Comparison, store: Store) -> list[Record]:
    """The scan of a pair by the statistic of the ranking, and how far behind the best pair it is on the same toys."""
    pair, by, outcome = row["pair"], comparison.plan.study.ranking, comparison.outcomes[row["pair"]]
    place = outcome.plan.study.at | vars(by)
    (ranked,) = results.rows_at(outcome.table, place)
    scan, *rest = records.records(name, outcome.plan, store, outcome, {}, _labels(row, comparison), ranked)
    best = comparison.ranking["pair"][0].as_py()
    found = results.rows_at(comparison.differences, {"pair": best, "other": pair})
    behind, error = (found[0]["z_difference"], found[0]["z_difference_error"]) if found else (0.0, None)
    margin = {f"{HEADLINE}behind_best": behind, f"{HEADLINE}behind_best_error": error}
    return [replace(scan, metrics=scan.metrics | metrics.rounded(margin)), *rest]


def _labels(row: dict, comparison: Comparison) -> dict[str, str]:
    """The family in every role of a pair, after its title where the comparison has another of that family."""
    made = {}
    for role in comparison.plan.study.roles:
        family, rows = row[f"{role}_family"], comparison.ranking.to_pylist()
        others = {one[role] for one in rows if one[f"{role}_family"] == family}
        made[role] = (f"{row[role]} " if len(others) > 1 else "") + words.short(family)
    return made


def _record(name: str, comparison: Comparison, made: dict[str, bytes], note: tuple[str, ...]) -> Record:
    plan, numbers = comparison.plan, {}
    for row in comparison.ranking.to_pylist():
        columns = *METRICS, *(f"{role}_{name}" for role in plan.study.roles for name in OF_MODELS)
        numbers |= {f"{column}/{row['pair']}": row[column] for column in columns}
    for row in comparison.differences.to_pylist():
        of_two = f"{row['pair']}_minus_{row['other']}"
        numbers |= {f"{column}/{of_two}": row[column] for column in OF_TWO}
    numbers |= combined.metrics(Result(comparison.together, None), plan.study)
    tags = {"stage": "compare", "study": name} | in_words(environment())
    parameters = vars(plan.study.ranking) | {"pairs": ", ".join(plan.members)}
    return Record(
        plan.comparison, f"{name}: {len(plan.members)} pairs compared", parameters, metrics.finite(numbers), {},
        records.filed(made), tags, note=note,
    )  # fmt: skip
