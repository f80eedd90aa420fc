"""What the commands share: their common options, and how they speak."""

import os
import re
import shlex
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

import typer
from rich.console import Console

from engine import plugins
from engine.environment import MOST_WORKERS
from engine.errors import BadInput, shown, unknown
from engine.files import PRESET
from engine.urls import hidden

console = Console()

SERVERS = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")  # schemes of MLflow's addresses
FORMATS = ("png", "pdf")


def _tracking(uri: str | None) -> str | None:
    """MLflow's address; raises BadInput for what MLflow would not take."""
    scheme, _, rest = (uri or "").partition("://")
    if uri is not None and (scheme.partition("+")[0] not in SERVERS or not rest):
        raise BadInput(f"--tracking {shown(uri)}: expected http://host:5000, sqlite:///FILE, or another address of "
                       f"MLflow's (accepted: {', '.join(SERVERS)})")  # fmt: skip
    if uri is not None and scheme == "sqlite":
        target(Path(unquote(rest.removeprefix("/"))))
    return uri


def target(path: Path | None) -> Path | None:
    """Where a file will be written; raises BadInput, before any work, where it cannot be."""
    if path is None:
        return None
    folder = path.parent
    if os.path.isdir(path):
        raise BadInput(f"{shown(str(path), 200)} is a folder; name a file in it")
    if not os.path.isdir(folder):
        raise BadInput(f"cannot write {shown(str(path), 150)}: there is no folder {shown(str(folder), 150)}")
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise BadInput(f"cannot write {shown(str(path), 200)}: Permission denied")
    return path


def _format(name: str) -> str:
    if name not in FORMATS:
        raise unknown("figure format", name, FORMATS)
    return name


StudyName = Annotated[str, typer.Argument(help="A TOML file, or the name of a shipped study (scans list).")]


def _known(context: typer.Context, uri: str) -> str:
    """Notes the store for who reports a failure, which has no other way to know it."""
    if context.obj is not None:
        context.obj["store"] = uri
    return uri


def _preset(context: typer.Context, name: str | None) -> str | None:
    """Notes the preset for the settings, of which it is one."""
    context.meta[PRESET] = name
    return name


def _settings(context: typer.Context, settings: list[str] | None) -> list[str]:
    name = context.meta.get(PRESET)
    return [*([] if name is None else [f"{PRESET}{name}"]), *(settings or ())]


StoreUri = Annotated[
    str, typer.Option("--store", callback=_known, help="Where results live: a folder or s3://bucket/prefix.")
]
Tracking = Annotated[
    str | None, typer.Option("--tracking", help="MLflow URI; by default SQLite in the store.", callback=_tracking)
]
Address = Annotated[str | None, typer.Option("--address", help="A Ray cluster; by default a local one is started.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=0, max=MOST_WORKERS, help="Processes of the local Ray; 0: no Ray.")
]
Share = Annotated[
    str | None,
    typer.Option("--share", metavar="I/N", help="As the I-th of N processes that share the study by its store alone."),
]
Setting = Annotated[
    list[str] | None,
    typer.Option("--set", callback=_settings, help="Override a key of the study: key.path=value."),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset", is_eager=True, callback=_preset,
        help="A smaller form of the study, by its name there; paper: as it stands.",
    ),
]  # fmt: skip
Quiet = Annotated[bool, typer.Option("--quiet", help="Only errors and where the results are.")]
NoCode = Annotated[
    bool,
    typer.Option(
        "--no-code", envvar="RECOILSCAN_NO_CODE", callback=plugins.refuse_code,
        help="Refuse a study that names code of its own: a .py file or a module.",
    ),
]  # fmt: skip
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage", envvar="RECOILSCAN_STORAGE", show_envvar=True,
        help="Where Optuna copies the trials of a search: sqlite:///FILE or postgresql://; else a file in the store.",
    ),
]  # fmt: skip
Curves = Annotated[
    list[Path] | None, typer.Option("--curve", help="CSV of a curve on the plane: m_chi_GeV,sigma_si_cm2; may repeat.")
]
DEFAULT_STORE = "./recoilscan-store"
Format = Annotated[str, typer.Option(help="png or pdf", callback=_format)]


def say(line: str) -> None:
    """One line as it is, but for secrets: paths may be long and hold brackets."""
    console.print(hidden(line), markup=False, highlight=False, soft_wrap=True)


def again(command: str, study: str, store: str, settings: list[str] | None, uri: str | None = None) -> str:
    """The line that does a command on the same study; a password is not printed."""
    words = [study, "--store", store, *(word for setting in settings or () for word in _as_option(setting))]
    return shlex.join(map(hidden, ["recoilscan", command, *words, *(["--tracking", uri] if uri else [])]))


def _as_option(setting: str) -> tuple[str, str]:
    name = setting.removeprefix(PRESET)
    return ("--set", setting) if name == setting else ("--preset", name)


def stem(study: str) -> str:
    """The name of a study, without the folder and the suffix of its file; as a store can keep it."""
    return re.sub(r"[^\w .+@=,()-]", "_", Path(study).stem)[:100]


def finished(study, store, again: str, name: str | None = None):
    """A study's results as they are in the store; raises BadInput that says what makes them, and in what the study
    differs from the one of this name that was scanned there last."""
    from engine.plan.members import plan_of
    from engine.run import pipeline, request

    outcome = pipeline.finished(study, store)
    if outcome is None:
        before = None if name is None else request.last(store, name)
        other = before and request.first_difference(before.fields, request.of_plan(plan_of(study)).fields)
        since = f" (of {name!r} as it was last scanned there: {other})" if other else ""
        raise BadInput(f"no finished table of this study in {store.uri!r}{since}; run: {again}")
    return outcome
