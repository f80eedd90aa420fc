"""The way to MLflow: a client that gives up soon, and the experiment that holds all runs."""

import logging
import os
import socket
import sqlite3
import ssl
import urllib.error
import urllib.request
import warnings
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

EXPERIMENT = "recoilscan"
ADDRESSES = (
    ("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
    ("model_versions", "source"), ("model_versions", "storage_location"),
)  # fmt: skip
ANSWER_S = 5.0  # within which somebody must answer at all: mlflow itself would try for minutes
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
IMPATIENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines for every run and fit; one link is printed for all
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # a server may pass a model's megabytes on before it answers
}


def default_uri(folder: Path | None) -> str:
    """SQLite inside the store's folder, or beside the user for a store that has none."""
    base = (folder or Path("recoilscan-mlflow").absolute()) / "mlflow"
    base.mkdir(parents=True, exist_ok=True)
    path = f"{base}/mlflow.db".translate({ord(letter): quote(letter) for letter in "%?#"})  # a URL's own letters
    return f"sqlite:///{path}"


def connect(uri: str):
    """A client of the MLflow at a server's or a database's URI; raises OSError where nobody answers.

    Unless the environment says otherwise, a request is given up after 20 s and a second attempt.
    """
    _answers(uri)
    for name, value in IMPATIENT.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():  # mlflow warns of its own type hints
        warnings.simplefilter("ignore", UserWarning)
        import mlflow.pyfunc  # a second to import, and only commands that track need it

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


def _answers(uri: str) -> None:
    """Raises OSError unless somebody listens at the URI's host, and speaks if it is a web server."""
    parts = urlsplit(uri)
    scheme = parts.scheme.partition("+")[0]
    if not parts.hostname or scheme not in PORTS:
        return
    if scheme not in ("http", "https"):
        socket.create_connection((parts.hostname, parts.port or PORTS[scheme]), timeout=ANSWER_S).close()
        return
    health = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=f"{parts.path.rstrip('/')}/health")
    try:
        urllib.request.urlopen(health.geturl(), timeout=ANSWER_S).close()
    except urllib.error.HTTPError as error:  # it speaks: what it has to say of itself, requests will hear
        error.close()
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ssl.SSLError):  # whom to trust is for mlflow to decide
            raise


def experiment(client, uri: str) -> str:
    """The id of the experiment of all runs, which is made where it is missing."""
    existing, given = client.get_experiment_by_name(EXPERIMENT), uri.removeprefix("sqlite:///")
    database = unquote(given)
    beside = Path(database).absolute().parent / "artifacts" if given != uri else None
    if not existing:
        kind = {"mlflow.experimentKind": "custom_model_development"}  # the UI then shows what is for runs and models
        return client.create_experiment(EXPERIMENT, beside and beside.as_uri(), kind)
    if beside and beside.is_dir() and existing.artifact_location != beside.as_uri():
        _follow(database, existing.artifact_location, beside.as_uri())
    return existing.experiment_id


def _follow(database: str, old: str, new: str) -> None:
    """Makes the addresses of artifacts those beside the database, after it was copied with them: MLflow keeps absolute
    ones. Artifacts that were never beside one stay where they are."""
    if not (old.startswith("file:") and old.endswith("/artifacts")):
        return
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in ADDRESSES:
            begins = f"substr({column}, 1, length(?1)) = ?1"
            moved = f"?2 || substr({column}, length(?1) + 1)"
            connection.execute(f"UPDATE {table} SET {column} = {moved} WHERE {begins}", (old, new))
