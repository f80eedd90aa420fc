"""What the tests of tracking share: a small fit, records made of it, and an empty MLflow on SQLite."""

import shutil

import numpy as np
import pytest

import zoo
import zoo.dense_vae
from engine.report.tracking import LoggedModel, Rank, Record, log
from engine.report.tracking.client import EXPERIMENT, connect

N_FEATURES = 6


@pytest.fixture(scope="session")
def fitted() -> zoo.Fitted:
    """A network that has seen forty events of six features."""
    x = np.random.default_rng(1).poisson(3, (40, N_FEATURES))
    config = zoo.configure(zoo.dense_vae, {"hidden": [4], "latent": 2, "epochs": 1})
    return zoo.fit(zoo.dense_vae, config, x, np.zeros(40, np.float32), seed=1, threads=1, lineage="test")


@pytest.fixture
def make(fitted):
    """A scan's record with one fit in it; `z` None leaves the model without a rank."""

    def call(scan="scan0", fit="fit0", z: float | None = 1.0, ground="g", pool=100) -> Record:
        rank = None if z is None else Rank(z, ground, pool)
        example = np.ones((1, N_FEATURES), np.float32)
        model = LoggedModel(
            "dense_vae", "dense_vae", zoo.save(fitted), example, ("recon", "kl"), "autoencoder", f"vae of {scan}", rank
        )  # fmt: skip
        child = Record(
            fit, fit, {"family": "dense_vae"}, {"quality/auc": 0.9}, {"train_loss": [(1, 3.0), (2, 2.0)]}, {},
            {"stage": "fit", "study": scan}, {"train": "abc"}, {"train": 40}, model=model,
        )  # fmt: skip
        curves = {"by_mass/z": [(0, 1.0), (1, 2.0)], "by_mass/m_chi_GeV": [(0, 20.0), (1, 50.0)]}
        return Record(
            scan, scan, {"vae": "dense_vae", "seed": 1}, {"headline/z": z or 0.0}, curves,
            {"table.parquet": b"table"}, {"stage": "scan", "study": scan}, {"pool": "def"}, {"pool": 7}, (child,),
            note=("words",),
        )  # fmt: skip

    return call


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """A database with MLflow's tables, which take seconds to make."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    connect(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def uri(empty, tmp_path) -> str:
    """An empty MLflow of the test's own."""
    shutil.copy(empty, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def sent(uri, make):
    """Logs the records that `make` gives for some keywords."""
    return lambda **about: log([make(**about)], uri)


class Seen:
    """What a MLflow holds, as a reader finds it."""

    def __init__(self, uri: str):
        self.client = connect(uri)
        self.place = self.client.get_experiment_by_name(EXPERIMENT).experiment_id

    def runs(self, query: str = "", order: str = "attributes.start_time ASC") -> list:
        """Runs that a filter finds, in an order."""
        return list(self.client.search_runs([self.place], query, order_by=[order]))

    def points(self) -> int:
        """Points of all metrics of all runs."""
        names = [(run.info.run_id, name) for run in self.runs() for name in run.data.metrics]
        return sum(len(self.client.get_metric_history(*name)) for name in names)

    def champion(self, name: str = "recoilscan-dense_vae"):
        """The version that bears the alias."""
        return self.client.get_model_version_by_alias(name, "champion")


@pytest.fixture
def seen_at():
    """Looks at the MLflow of a URI as it is now."""
    return Seen


@pytest.fixture
def seen(uri):
    """Looks at the test's MLflow as it is now."""
    return lambda: Seen(uri)
