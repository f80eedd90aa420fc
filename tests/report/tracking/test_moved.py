"""A store that was copied to another place has its artifacts where it is, not where it was."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
import numpy as np
import pytest

from engine.report.tracking import log
from engine.report.tracking.client import ADDRESSES, EXPERIMENT, connect, experiment


@pytest.fixture
def moved(empty, make, tmp_path):
    """The URI of an MLflow that was written elsewhere: it was copied, and the first is gone."""
    first, second = tmp_path / "first" / "mlflow", tmp_path / "second, with a blank" / "mlflow"
    first.mkdir(parents=True)
    shutil.copy(empty, first / "mlflow.db")
    log([make()], f"sqlite:///{first}/mlflow.db")
    shutil.copytree(first, second)
    shutil.rmtree(first)
    return f"sqlite:///{second}/mlflow.db"


def test_its_artifacts_and_models_open_after_track(moved, make, seen_at, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", moved)
    (run,) = seen_at(moved).runs("tags.stage = 'scan'")
    where = {"run_id": run.info.run_id, "artifact_path": "table.parquet", "tracking_uri": moved}
    with pytest.raises(mlflow.MlflowException, match="Failed to download"):
        mlflow.artifacts.download_artifacts(**where)
    assert log([make()], moved) == 0  # the runs are whole, and only the addresses were wrong
    assert Path(mlflow.artifacts.download_artifacts(**where)).read_bytes() == b"table"
    model = mlflow.pyfunc.load_model("models:/recoilscan-dense_vae@champion")
    assert set(model.predict(np.ones((2, 6), np.float32))) == {"recon", "kl"}
    with closing(sqlite3.connect(moved.removeprefix("sqlite:///"))) as database:
        for table, column in ADDRESSES:
            found = database.execute(f"SELECT {column} FROM {table} WHERE {column} LIKE '%/first/%'").fetchall()
            assert not found, (table, column)


def test_artifacts_that_were_put_elsewhere_stay_there(uri, tmp_path):
    client = connect(uri)
    client.create_experiment(EXPERIMENT, artifact_location="s3://bucket/artifacts")
    (tmp_path / "artifacts").mkdir()
    experiment(client, uri)
    assert client.get_experiment_by_name(EXPERIMENT).artifact_location == "s3://bucket/artifacts"
