"""What a launched study is called: it follows from the study alone, the command and the overlay.

A study is handed over parsed, or as plain data that says what is in its files (`carried.Files.named`).
"""

import re

from engine.launch.command import Command
from engine.lineage import digest
from engine.study import Study

Named = Study | dict
VERSION = 1  # of these names: another one finds no job of before
LONGEST_NAME = 47  # of a RayJob: KubeRay makes longer names of it, which must be labels of DNS
DIGITS = 16
SCAN = Command()


def job_name(study: Named, overlay: str, command: Command = SCAN) -> str:
    """A label of DNS with a letter first, 47 characters at most; another study, overlay or command has another."""
    tail = digest("launch", VERSION, study, [overlay, *command.key])[:DIGITS]
    room = LONGEST_NAME - len(f"{command.verb}--{tail}")
    return f"{command.verb}-{_slug(overlay)[:room]}-{tail}".replace("--", "-")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
