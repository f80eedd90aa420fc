"""What MLflow is told of a finished scan: one record per fit, one for the scan."""

import importlib.metadata
import math
import platform

import zoo
from engine import limits, plugins, reach
from engine.cluster.parts import Part, encode
from engine.cluster.store import Ledger
from engine.event_plan import SLOTS
from engine.lineage import label, row_label
from engine.pipeline import Outcome
from engine.plan import Plan
from engine.tracking import Record

PACKAGES = ("recoilscan", "nestpy", "numpy", "pyarrow", "ray", "torch", "wimprates")


def records(name: str, plan: Plan, ledger: Ledger, outcome: Outcome, files: dict[str, bytes]) -> list[Record]:
    """The fits, then the scan; `files` are the figures by name."""
    return [*(_fit(plan, ledger, outcome, slot) for slot in SLOTS), _scan(name, plan, outcome, files)]


def environment() -> dict[str, str]:
    """Versions beside which a result was made; they are recorded, and no digest depends on them."""
    versions = {f"version.{package}": importlib.metadata.version(package) for package in PACKAGES}
    return versions | {"python": platform.python_version(), "machine": platform.machine()}


def _fit(plan: Plan, ledger: Ledger, outcome: Outcome, slot: str) -> Record:
    model = getattr(plan.study.models, slot)
    fitted = zoo.load(ledger.read(plan.models[slot]), plugins.load("zoo", model.name))
    numbers = outcome.diagnostics.numbers
    mine = {name: value for name, value in numbers.items() if ("spearman" in name) == (slot == "vae")}
    return Record(
        lineage=plan.models[slot],
        name=f"{model.name}-{plan.models[slot][:8]}",
        parameters={"family": model.name, "seed": plan.study.seed} | model.config,
        metrics=_finite(mine),
        curves={key: list(enumerate(values, start=1)) for key, values in fitted.history.items()},
        files={},
        tags={"stage": "fit", "family": model.name} | environment(),
    )


def _scan(name: str, plan: Plan, outcome: Outcome, files: dict[str, bytes]) -> Record:
    study = plan.study
    data = encode(Part("table.parquet", (plan.table,), outcome.table))
    metrics, curves = dict(outcome.diagnostics.numbers), {}
    metrics |= {f"effective_events_{name}": n for name, n in outcome.population.effective_events().items()}
    for row in outcome.table.to_pylist():
        score = row_label(row["statistic"], row["R"])
        if all(row[name] == value for name, value in study.at.items()):
            metrics[f"benchmark_z_{score}_{label(row['exposure_ty'])}ty"] = row["z_median"]
            if row["z_exact"] is not None:
                metrics[f"benchmark_z_exact_{score}_{label(row['exposure_ty'])}ty"] = row["z_exact"]
            metrics[f"benchmark_z_count_{label(row['exposure_ty'])}ty"] = row["z_count"]
    for row in outcome.table.to_pylist() if study.grid.m_chi_GeV else ():
        if row["point"] == "grid" and row["sigma_si_cm2"] == _middle(study.grid.sigma_si_cm2.points()):
            key = f"p_median_{row_label(row['statistic'], row['R'])}_{label(row['exposure_ty'])}ty"
            curves.setdefault(key, []).append((round(row["m_chi_GeV"]), row["p_median"]))
    metrics |= reach.metrics(outcome.reach)
    metrics |= limits.metrics(outcome.limits, study.at.get("m_chi_GeV"))
    parameters = _flat(study.model_dump(mode="json", exclude={"detector": {"constants"}}))
    tags = {"stage": "scan", "study": name, "vae": plan.models["vae"], "classifier": plan.models["classifier"]}
    return Record(
        plan.table, f"{name}-{plan.table[:8]}", parameters, _finite(metrics), curves,
        files | {"table.parquet": data}, tags | environment(),
    )  # fmt: skip


def _middle(points: tuple[float, ...]) -> float:
    return points[len(points) // 2]


def _finite(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _flat(value: dict, prefix: str = "") -> dict[str, object]:
    flat = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {f"{prefix}{key}": inner}
    return flat
