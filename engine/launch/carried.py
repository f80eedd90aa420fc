"""The files of one's own that a study names, which travel with it to a cluster under the words it has for them."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import engine
from engine.errors import BadInput, shown
from engine.launch.fetch import STUDY
from engine.study import Study

UNREAD = ("data", "tuned_on", "confirm")  # sections and words of a study that name no file of a scan
SHIPPED = Path(engine.__file__).parent


@dataclass(frozen=True)
class Files:
    """SHA-256 of each file by the study's word for it, which is its path from the working directory."""

    digests: dict[str, str] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Of all together."""
        return sum(os.path.getsize(word) for word in self.digests)

    def named(self, study: Study) -> dict[str, Any]:
        """The study as plain data that says the content of every file, and not where this machine has it."""
        words = {word: f"{word} {digest}" for word, digest in self.digests.items()}
        named = {str(Path(word).absolute()): text for word, text in words.items()} | words
        return _replaced(study.model_dump(mode="json"), lambda text: named.get(text) or _shipped(text))


def of(raw: dict, study: Study) -> Files:
    """What a study as it is written, and as it was parsed, needs of this machine.

    Raises BadInput for a file that has no place beside the study on a cluster, or that only a file of code names.
    """
    words = sorted({word for word in _texts(raw) if _is_file(word)})
    for word in words:
        if os.path.isabs(word) or ".." in PurePath(word).parts:
            raise BadInput(f"{shown(word, 200)} is no path from the working directory down, and a cluster has no place "
                           "for another; put the file there, or a link to it (ln -s), and name it so")  # fmt: skip
        if os.path.normpath(word) == STUDY:
            raise BadInput(f"{word!r} is what the study is called on a cluster: give the file another name")
    travelling = {str(Path(word).absolute()) for word in words}
    for text in _texts(study.model_dump(mode="json")):
        if _is_file(text) and str(Path(text).absolute()) not in travelling and _shipped(text) is None:
            raise BadInput(f"{shown(text, 200)} would stay on this machine, since the study does not name it itself: "
                           "name it in the study, or put it into the image (k8s/README.md)")  # fmt: skip
    return Files({word: _sha256(word) for word in words})


def _is_file(text: str) -> bool:
    """A name without a dot and a slash is that of a choice, whatever files lie here."""
    return ("." in text or "/" in text) and os.path.isfile(text)


def _texts(value: object, key: str = "") -> Iterator[str]:
    """Every text within plain data but those that name no file of a scan."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from () if name in UNREAD and not key else _texts(inner, name)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, key or "list")
    elif isinstance(value, str):
        yield value


def _replaced(value: object, of_text) -> object:
    if isinstance(value, dict):
        return {key: _replaced(inner, of_text) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, of_text) for inner in value]
    return (of_text(value) or value) if isinstance(value, str) else value


def _shipped(text: str) -> str | None:
    """A file that comes with the engine, by its place in it: another installation has it elsewhere."""
    return str(PurePath(text).relative_to(SHIPPED)) if PurePath(text).is_relative_to(SHIPPED) else None


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
