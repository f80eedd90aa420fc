"""What a launched study is called, and where its results lie: both follow from the study alone and from its overlay.

A study is handed over parsed, or as plain data that says what is in its files (`carried.Files.named`).
"""

import re

from engine.launch.command import Command
from engine.lineage import digest
from engine.study import Study

Named = Study | dict
VERSION = 1  # of these names: another one finds no job and no store of before
LONGEST_NAME = 47  # of a RayJob: KubeRay makes longer names of it, which must be labels of DNS
DIGITS = 16
SCAN = Command()


def study_digest(study: Named) -> str:
    """The whole study's digest: what two studies share or not, to the last field."""
    return digest("study", VERSION, study)


def job_name(study: Named, overlay: str, command: Command = SCAN) -> str:
    """A label of DNS with a letter first, 47 characters at most; another study, overlay or command has another."""
    tail = digest("launch", VERSION, study, [overlay, *command.key])[:DIGITS]
    room = LONGEST_NAME - len(f"{command.verb}--{tail}")
    return f"{command.verb}-{_slug(overlay)[:room]}-{tail}".replace("--", "-")


def store_uri(prefix: str, study: Named) -> str:
    """The study's own store under a prefix: the same for every overlay, so that each resumes what another began."""
    return f"{prefix.rstrip('/')}/{study_digest(study)}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
