"""Files: of the user's, read whole or refused in one line; and the studies that ship, by name."""

import importlib.resources
import os
import stat
from pathlib import Path

from engine.errors import BadInput, shown

KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
         stat.S_IFSOCK: "a socket"}  # fmt: skip
PRESET = "preset="  # what a setting that chooses a preset of a study begins with


def check(path: str | Path, most_bytes: float = float("inf")) -> None:
    """Raises BadInput unless there is an ordinary file of at most so many bytes, which may be read."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise BadInput(f"no such file: {shown(str(path), 200)}") from None
    except (OSError, ValueError) as error:  # ValueError: of a NUL in it
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise BadInput(f"{shown(str(path), 200)} is {kind}, no file")
    if status.st_size > most_bytes:
        raise BadInput(f"{shown(str(path), 200)} has {status.st_size:,} bytes; at most {most_bytes:,} are read")
    if not os.access(path, os.R_OK):
        raise BadInput(f"cannot read {shown(str(path), 200)}: Permission denied")


def read(path: str | Path, most_bytes: int) -> bytes:
    """The bytes of an ordinary file; raises BadInput."""
    check(path, most_bytes)
    try:
        with open(path, "rb") as file:
            return file.read(most_bytes)
    except OSError as error:
        raise _unreadable(path, error) from error


def text(path: str | Path, most_bytes: int) -> str:
    """The text of a file in UTF-8, with or without a byte-order mark; raises BadInput."""
    content = read(path, most_bytes)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        guess = ", which looks like UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise BadInput(f"{path}: not a text in UTF-8: {error.reason} at byte {error.start}{guess}") from error


def shipped() -> list[str]:
    """Names of the studies that come with the package."""
    there = importlib.resources.files("scans").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in there if file.name.endswith(".toml"))


def shipped_text(name: str) -> str:
    """The TOML of a study that ships."""
    return importlib.resources.files("scans").joinpath(f"{name}.toml").read_text(encoding="utf-8")


def _unreadable(path: str | Path, error: OSError | ValueError) -> BadInput:
    return BadInput(f"cannot read {shown(str(path), 200)}: {getattr(error, 'strerror', None) or error}")
