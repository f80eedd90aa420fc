"""What a run is called, and the few parameters that tell studies apart."""

import dataclasses
from pathlib import PurePath

from engine.lineage import label
from engine.plan.plan import Plan
from engine.report import headline
from engine.report.tracking.record import FIELDS
from engine.study import Model, Study
from engine.study.layers import AS_IT_STANDS
from engine.study.models import declared


def short(family: str) -> str:
    """A family's name without the folder, the suffix or the packages of who keeps it elsewhere."""
    path = PurePath(family)
    return path.stem if path.suffix == ".py" else family.rpartition(".")[2]


def labels(study: Study) -> dict[str, str]:
    """The family in every role of the score."""
    return {role: short(model.name) for role, model in study.fitted.items()}


def title(name: str, seed: int, models: dict[str, str]) -> str:
    """The name of a run: the study, its models, its seed."""
    return f"{name} {' + '.join(models.values())}, seed {seed}"


def changed(model: Model) -> dict[str, object]:
    """The fields of a model that are not what its family has by default."""
    usual = {field.name: field.default for field in dataclasses.fields(declared(model.name).Config)}
    own = {} if model.ensemble == 1 else {"ensemble": model.ensemble}
    own |= {key: model.model_dump()[key] for key in ("simulation", "adapt") if getattr(model, key)}
    differs = {name: value for name, value in model.config.items() if value != usual[name]}
    return own | {name: list(value) if isinstance(value, tuple) else value for name, value in differs.items()}


def parameters(plan: Plan, models: dict[str, str]) -> dict[str, object]:
    """Of a scan: what studies differ in first, each in words; `models` are the labels by role."""
    study = plan.study
    exposures = ", ".join(f"{one:g}" for one in study.grid.exposure_ty.points())
    fits = f" ({study.training.n_seeds} fits)" if study.training.n_seeds > 1 else ""
    fields = (f"{role}.{key} = {value}" for role, model in study.fitted.items()
              for key, value in changed(model).items())  # fmt: skip
    preset = {} if study.preset == AS_IT_STANDS else {"preset": study.preset}
    return models | preset | {"score": short(study.score.name), "representation": study.views,
                     "R": ", ".join(map(label, study.score.R))} | _numbers(plan.score_parameters) | {
        "detector": study.detector.name, "exposure": f"{exposures} t y",
        "signal": f"{study.signal.name}, {headline.place(study)}",
        "seed": f"{study.seed}{fits}", FIELDS: "; ".join(fields) or "as their families have them",
    }  # fmt: skip


def _numbers(parameters: dict) -> dict[str, float]:
    """The numbers of a score, where it has plain ones."""
    return {name: value for name, value in parameters.items() if isinstance(value, float)}
