"""Fitted models in MLflow's registry: weights and a file of code, no pickle; the best of them is `champion`.

A family's models are the versions of `recoilscan-FAMILY`, one per fit. What a version is worth is the Z of a scan that
used it, at the benchmark. Two are comparable only on the same ground: the same pool events, asked the same. So

- on the same ground the larger Z is `champion`, and an equal one changes nothing;
- on another ground the champion stays, unless the newcomer's pool has more events than any that the champion has
  been tried on: a trial run takes the name from nobody, and the serious study takes it from the trial run;
- an alias set by hand is the champion that the next fit has to beat.

A version's tags hold its largest Z on every ground (`z.GROUND`) and the size of the largest pool (`pool_events`).
"""

import importlib.metadata
import tempfile
from pathlib import Path

from engine.report.tracking.record import LoggedModel, Rank, Record

CHAMPION = "champion"
SERVING = Path(__file__).with_name("serving.py")
NEEDS = ("numpy", "safetensors", "torch")


def logged(client, experiment_id: str, run, record: Record):
    """The model of a run as MLflow keeps it, with its weights; logged unless it is there."""
    from mlflow.entities import LoggedModelOutput

    run_id = run.info.run_id
    model = _ready(client, experiment_id, record.lineage) or _logged(client, experiment_id, run_id, record)
    if not (run.outputs and run.outputs.model_outputs):  # the database refuses it twice
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return model


def publish(client, run_id: str, record: Record, model) -> None:
    """Registers a logged model unless it is, and lets it compete for the alias."""
    name = _name(record)
    version = _version(client, name, model, run_id, record)
    if record.model.rank:
        _compete(client, name, version, record.model.rank)


def _ready(client, experiment_id: str, lineage: str):
    models = client.search_logged_models([experiment_id], filter_string=f"tags.lineage = '{lineage}'")
    return next((model for model in models if model.status == "READY"), None)


def _name(record: Record) -> str:
    return f"recoilscan-{record.model.short}"


def _logged(client, experiment_id: str, run_id: str, record: Record):
    """READY when all of it is there."""
    from mlflow.models import Model as Description

    parameters = {key: str(value) for key, value in record.parameters.items()}
    tags = {"lineage": record.lineage}
    logged = client.create_logged_model(
        experiment_id, _name(record), run_id, tags, parameters, model_type=record.model.kind
    )  # fmt: skip
    about = Description(
        artifact_path=logged.artifact_location, model_uuid=logged.model_id, run_id=run_id, model_id=logged.model_id,
        metadata={"recoilscan": importlib.metadata.version("recoilscan"), "lineage": record.lineage},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        client.log_model_artifacts(logged.model_id, str(_saved(Path(folder), about, record.model)))
    return client.finalize_logged_model(logged.model_id, "READY")


def _saved(folder: Path, about, model: LoggedModel) -> Path:
    """Writes the model's folder: MLmodel, serving.py, the weights, an example; a user's family beside them."""
    import mlflow.pyfunc

    weights, path = folder / "model.safetensors", folder / "model"
    weights.write_bytes(model.data)
    files = {"model": str(weights)} | ({"family": model.family} if model.family.endswith(".py") else {})
    mlflow.pyfunc.save_model(
        path, mlflow_model=about, python_model=str(SERVING), artifacts=files, model_config={"family": model.family},
        signature=_signature(model), input_example=model.example, pip_requirements=_requirements(),
    )  # fmt: skip
    return path


def _signature(model: LoggedModel):
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    takes = Schema([TensorSpec(np.dtype("float32"), (-1, model.example.shape[1]))])
    gives = Schema([TensorSpec(np.dtype("float64"), (-1,), name) for name in model.terms])
    return ModelSignature(takes, gives)


def _requirements() -> list[str]:
    """Given, since mlflow would load the model to find them; recoilscan itself is on no index."""
    return [f"{name}=={importlib.metadata.version(name).partition('+')[0]}" for name in NEEDS]


def _version(client, name: str, logged, run_id: str, record: Record):
    versions = client.search_model_versions(f"name = '{name}' and tags.lineage = '{record.lineage}'")
    if versions:
        return versions[0]
    if not client.search_registered_models(f"name = '{name}'"):
        gives = ", ".join(record.model.terms)
        client.create_registered_model(name, description=f"{record.model.kind} {record.model.short}: {gives} per event")
    return client.create_model_version(
        name, logged.artifact_location, run_id, {"lineage": record.lineage}, description=record.model.about,
        model_id=logged.model_id,
    )  # fmt: skip


def _compete(client, name: str, version, rank: Rank) -> None:
    mark, tags = f"z.{rank.ground}", version.tags
    mine = Rank(max(rank.z, float(tags.get(mark, "-inf"))), rank.ground, max(rank.pool_events, _pool_events(tags)))
    client.set_model_version_tag(name, version.version, mark, repr(mine.z))
    client.set_model_version_tag(name, version.version, "pool_events", str(mine.pool_events))
    champion = client.get_registered_model(name).aliases.get(CHAMPION)
    if champion is None or _beats(mine, client.get_model_version(name, champion).tags):
        client.set_registered_model_alias(name, CHAMPION, version.version)


def _beats(mine: Rank, theirs: dict[str, str]) -> bool:
    """Whether a rank takes the alias from the champion with these tags; see above."""
    if (mark := f"z.{mine.ground}") in theirs:
        return mine.z > float(theirs[mark])
    return mine.pool_events > _pool_events(theirs)


def _pool_events(tags: dict[str, str]) -> int:
    return int(tags.get("pool_events", 0))
