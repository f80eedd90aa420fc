"""What a finished scan over R leaves behind: words, the study with the best R, the figure, a record for MLflow."""

import math

from engine import plots, toml_text
from engine.plan.tune_plan import TunePlan
from engine.plots import weight
from engine.report.tracking import Record
from engine.report.tracking.journal import environment
from engine.run.tuning.tuning import Tuned
from engine.store.parts import Part, encode


def words(tuned: Tuned) -> str:
    """The best R with its error, and what it was chosen on."""
    best, (low, high) = tuned.best, (tuned.best.R_low, tuned.best.R_high)
    points = tuned.plan.tune.R.points()
    ends = [f"{low:.3g}" + (" or less" if low == points[0] else ""),
            f"{high:.3g}" + (" or more" if high == points[-1] else "")]  # fmt: skip
    at = "" if best.m_chi_GeV is None else f", at {best.m_chi_GeV:g} GeV"
    return (f"best R = {best.R:.4g} [{' to '.join(ends)}]: worst Z of {tuned.plan.tune.objective} = "
            f"{best.objective:.2f} +- {best.error:.2f}{at}")  # fmt: skip


def tuned_on(tuned: Tuned) -> str:
    """The signals that R was chosen on, for the rows of the study that uses it."""
    return f"R: {signals(tuned.plan)}, worst {tuned.plan.tune.objective}, on a pool of its own"


def signals(plan: TunePlan) -> str:
    """What is tuned on: the spectrum, its masses and strength, the exposure."""
    size = plan.study.signal.axes[-1]
    masses = [f"{point.m_chi_GeV:g}" for point in plan.points if point.m_chi_GeV is not None]
    value = f"{getattr(plan.tune, size):g}"
    signal = f"{', '.join(masses)} GeV at {value} cm2" if masses else f"strength {value}"
    return f"{plan.study.signal.name}, {signal}, {plan.tune.exposure_ty:g} t y"


def study_text(tuned: Tuned, raw: dict) -> str:
    """The study as it was read (`engine.study.read`) with the best R alone, and with what it was tuned on."""
    changed = {"tuned_on": tuned_on(tuned)} | {key: value for key, value in raw.items() if key != "tuned_on"}
    changed["score"] = raw.get("score", {}) | {"R": [tuned.best.R]}
    return f"# tuned: {words(tuned)}\n{toml_text.dumps(changed)}"


def files(tuned: Tuned, raw: dict, format: str = "png") -> dict[str, bytes]:
    """The figure and the study by file name."""
    best = tuned.best
    figure = weight.p_against_R(tuned.table, best.R, best.R_low, best.R_high)
    return {
        f"p_against_R.{format}": plots.render(figure, format),
        "tuned.toml": study_text(tuned, raw).encode(),
    }


def records(name: str, tuned: Tuned, files: dict[str, bytes]) -> list[Record]:
    """The scan over R as one run; its curve by the number of the trial in rising R."""
    best, tune = tuned.best, tuned.plan.tune
    of_weight = {row["R"]: row["objective"] for row in tuned.table.to_pylist()}
    metrics = {"best_R": best.R, "best_R_low": best.R_low, "best_R_high": best.R_high,
               "objective": best.objective, "objective_error": best.error}  # fmt: skip
    curve = [(step, value) for step, value in enumerate(of_weight.values()) if math.isfinite(value)]
    data = encode(Part("table.parquet", (tuned.item,), tuned.table))
    tags = {"stage": "tune", "study": name, **tuned.plan.models} | environment()
    return [Record(
        tuned.item, f"{name}-tune-{tuned.item[:8]}", tune.model_dump(mode="json") | {"tuned_on": tuned_on(tuned)},
        {key: value for key, value in metrics.items() if math.isfinite(value)}, {"objective_by_R": curve},
        files | {"table.parquet": data}, tags,
    )]  # fmt: skip
