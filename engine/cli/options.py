"""What the commands share: their common options, and how they speak."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from engine.errors import BadInput
from engine.urls import hidden

console = Console()

StudyName = Annotated[str, typer.Argument(help="A TOML file, or the name of a shipped study (scans list).")]


def _known(context: typer.Context, uri: str) -> str:
    """Notes the store for who reports a failure, which has no other way to know it."""
    if context.obj is not None:
        context.obj["store"] = uri
    return uri


StoreUri = Annotated[
    str, typer.Option("--store", callback=_known, help="Where results live: a folder or s3://bucket/prefix.")
]
Tracking = Annotated[str | None, typer.Option("--tracking", help="MLflow URI; by default SQLite in the store.")]
Address = Annotated[str | None, typer.Option("--address", help="A Ray cluster; by default a local one is started.")]
Workers = Annotated[int | None, typer.Option("--workers", min=0, help="Processes of the local Ray; 0: no Ray.")]
Setting = Annotated[list[str] | None, typer.Option("--set", help="Override a key of the study: key.path=value.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Only errors and where the results are.")]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage", envvar="RECOILSCAN_STORAGE", show_envvar=True,
        help="Where Optuna copies the trials of a search: sqlite:///FILE or postgresql://; else a file in the store.",
    ),
]  # fmt: skip
Overlay = Annotated[list[Path] | None, typer.Option("--overlay", help="CSV of a limit curve: m_chi_GeV,sigma_si_cm2.")]
DEFAULT_STORE = "./recoilscan-store"


def say(line: str) -> None:
    """One line as it is: paths may be long and hold brackets."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def again(command: str, study: str, store: str, settings: list[str] | None, uri: str | None = None) -> str:
    """The line that does a command on the same study; a password is not printed."""
    words = [study, "--store", store, *(word for setting in settings or () for word in ("--set", setting))]
    return shlex.join(["recoilscan", command, *words, *(["--tracking", hidden(uri)] if uri else [])])


def stem(study: str) -> str:
    """The name of a study, without the folder and the suffix of its file."""
    return Path(study).stem


def finished(study, store, again: str):
    """A study's results as they are in the store; raises BadInput that says what makes them."""
    from engine.run import pipeline

    outcome = pipeline.finished(study, store)
    if outcome is None:
        raise BadInput(f"no finished table of this study in {store.uri!r}; run: {again}")
    return outcome
