"""What the commands share: their common options, and how they speak."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

console = Console()

StudyName = Annotated[str, typer.Argument(help="A TOML file, or the name of a shipped study (scans list).")]
StoreUri = Annotated[str, typer.Option("--store", help="Where results live: a folder or s3://bucket/prefix.")]
Tracking = Annotated[str | None, typer.Option("--tracking", help="MLflow URI; by default SQLite in the store.")]
Address = Annotated[str | None, typer.Option("--address", help="A Ray cluster; by default a local one is started.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes of the local Ray.")]
Setting = Annotated[list[str] | None, typer.Option("--set", help="Override a key of the study: key.path=value.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Only errors and where the results are.")]
Overlay = Annotated[list[Path] | None, typer.Option("--overlay", help="CSV of a limit curve: m_chi_GeV,sigma_si_cm2.")]
DEFAULT_STORE = "./recoilscan-store"


def say(line: str) -> None:
    """One line as it is: paths may be long and hold brackets."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def same(study: str, store: str, settings: list[str] | None) -> str:
    """What the user must repeat so that another command means the same study."""
    words = [study, "--store", store, *(word for setting in settings or () for word in ("--set", setting))]
    return shlex.join(words)
