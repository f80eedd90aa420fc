"""What a finished search leaves behind: words, the study with the best values, the figure, records for MLflow."""

import math

from engine import lineage, plots, toml_text
from engine.plots import search as figures
from engine.report.tracking import Record
from engine.report.tracking.records import environment
from engine.report.tuned import signals
from engine.run.tuning.search import Searched, cell
from engine.store.parts import Part, encode
from engine.study.tune import ER_LEAKAGE


def words(found: Searched) -> str:
    """The best trial beside the study as it was, and how the others ended."""
    values = ", ".join(f"{key} = {value}" for key, value in _values(found, found.best).items())
    states = found.table["state"].to_pylist()
    others = ", ".join(f"{n} {state}" for state in ("pruned", "diverged") if (n := states.count(state)))
    first = "" if found.first["best"] else f"; first trial: {_objective(found.first)}"
    return (f"best of {len(states)} trials{f' ({others})' if others else ''}: {values}, R = {found.best['R']:.4g}: "
            f"{found.best['objective_is']} = {_objective(found.best)}{first}")  # fmt: skip


def _objective(row: dict) -> str:
    if row["objective"] is None:
        return row["state"]
    at = "" if row["m_chi_GeV"] is None else f" at {row['m_chi_GeV']:g} GeV"
    error = "" if row["objective_error"] is None else f" +- {row['objective_error']:.2g}"
    value = "beyond the range" if math.isinf(row["objective"]) else f"{row['objective']:.4g}"
    return f"{value}{error}{at}"


def _values(found: Searched, row: dict) -> dict[str, object]:
    return {dimension.key: row[dimension.key] for dimension in found.plan.dimensions}


def tuned_on(found: Searched) -> str:
    """What was chosen and on which signals, for the rows of the study that uses it."""
    plan = found.plan
    names = ", ".join(["R", *(dimension.key for dimension in plan.dimensions)])
    if plan.tune.objective == ER_LEAKAGE:
        return f"{names}: er_leakage at 30 % of nuclear recoils, on a pool of its own"
    return f"{names}: {signals(plan)}, {found.best['objective_is']}, on a pool of its own"


def study_text(found: Searched, raw: dict) -> str:
    """The study as it was read (`engine.study.read`) with the best values and R, and with what it was tuned on."""
    changed = {"tuned_on": tuned_on(found)} | {key: value for key, value in raw.items() if key != "tuned_on"}
    changed["score"] = raw.get("score", {}) | {"R": [found.best["R"]]}
    models, now = dict(raw.get("models", {})), found.plan.study.models
    chosen = found.plan.of(_chosen(found)).study.models
    for dimension in found.plan.dimensions:
        _, slot, field = dimension.key.split(".")
        value = getattr(chosen, slot).config[field]
        written = {"name": getattr(now, slot).name} | models.get(slot, {})
        models[slot] = written | {field: list(value) if isinstance(value, tuple) else value}
    return f"# tuned: {words(found)}\n{toml_text.dumps(changed | {'models': models})}"


def _chosen(found: Searched) -> dict[str, object]:
    """The best values, lists as lists: a table holds them as words."""
    row = _values(found, found.best)
    lists = {d.key: {cell(one): one for one in d.space.choices or ()} for d in found.plan.dimensions}
    return {key: lists[key].get(value, value) for key, value in row.items()}


def files(found: Searched, raw: dict, format: str = "png") -> dict[str, bytes]:
    """The figure and the study by file name."""
    axes = {d.key: None if d.space.choices else d.space.log is not None for d in found.plan.dimensions}
    figure = figures.objective_against_fields(found.table, axes, tuned_on(found))
    return {
        f"objective_against_fields.{format}": plots.render(figure, format),
        "tuned.toml": study_text(found, raw).encode(),
    }


def records(name: str, found: Searched, files: dict[str, bytes]) -> list[Record]:
    """The search as one run, with a run for each trial in it."""
    rows = found.table.to_pylist()
    tags = {"stage": "search", "study": name} | environment()
    curve = [(row["trial"], row["objective"]) for row in rows]
    data = encode(Part("table.parquet", (found.item,), found.table))
    parameters = found.plan.tune.model_dump(mode="json") | {"tuned_on": tuned_on(found)}
    whole = Record(
        found.item, f"{name}-search-{found.item[:8]}", parameters | {f"best.{k}": v for k, v in
                                                                    _values(found, found.best).items()},
        _finite(found.best | {"best_R": found.best["R"]}, ("objective", "objective_error", "best_R", "er_leakage")),
        {"objective_by_trial": [(step, value) for step, value in curve if value is not None and math.isfinite(value)]},
        files | {"table.parquet": data}, tags, children=tuple(_trial(name, found, row) for row in rows),
    )  # fmt: skip
    return [whole]


def _trial(name: str, found: Searched, row: dict) -> Record:
    values = _values(found, row) | {"state": row["state"], "objective_is": row["objective_is"]}
    columns = ("objective", "objective_error", "R", "er_leakage", "epochs_vae", "epochs_classifier")
    return Record(
        lineage.digest("trial", 1, row["trial"], [found.item]), f"{name}-trial-{row['trial']}", values,
        _finite(row, columns), {}, {}, {"stage": "trial", "study": name, "search": found.item} | environment(),
    )  # fmt: skip


def _finite(row: dict, names: tuple[str, ...]) -> dict[str, float]:
    return {name: row[name] for name in names if row[name] is not None and math.isfinite(row[name])}
