"""Who made a run and by what: MLflow's own tags for user, command and git commit."""

import getpass
import importlib.metadata
import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import engine

COMMANDS = {"compare": "scan", "fit": "scan", "scan": "scan", "observe": "observe", "tune": "tune", "search": "tune",
            "trial": "tune"}  # fmt: skip


def origin(tags: dict[str, str]) -> dict[str, str]:
    """User, command and git commit of a run with these tags, under MLflow's own names for them; what MLflow's own
    `MLFLOW_RUN_CONTEXT` says goes before."""
    from mlflow.tracking.context.system_environment_context import SystemEnvironmentContext

    words = ["recoilscan", COMMANDS.get(tags.get("stage", ""), ""), tags.get("study", "")]
    given, commit = SystemEnvironmentContext(), _commit()
    made = {"mlflow.user": _user(), "mlflow.source.name": " ".join(filter(None, words)), "mlflow.source.type": "LOCAL"}
    made |= {"mlflow.source.git.commit": commit} if commit else {}
    return made | (given.tags() if given.in_context() else {})


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in a pod
        return "unknown"


def _commit() -> str | None:
    """The commit of recoilscan's own sources: of the package's folder, or of what it was installed from."""
    from mlflow.utils.git_utils import get_git_commit

    packages = Path(engine.__path__[0]).parent
    if packages.name != "site-packages":
        return get_git_commit(str(packages))
    said = json.loads(importlib.metadata.distribution("recoilscan").read_text("direct_url.json") or "{}")
    folder = urlsplit(said.get("url", ""))
    local = get_git_commit(unquote(folder.path)) if folder.scheme == "file" else None
    return said.get("vcs_info", {}).get("commit_id") or local
