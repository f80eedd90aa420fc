"""Parts of a store in one file, which another store takes: a tar without compression, its first member a sealed list.

What is taken in is verified first, all of it: the list by its seal, every part by its hash in the list, by its own seal
and by its name, which is that of its items. Nothing of an archive is executed: parts are Parquet and safetensors.
"""

import io
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine import files
from engine.errors import BadInput, shown
from engine.store import sealed
from engine.store.backend import first_line
from engine.store.parts import Entry, items_of, sha256
from engine.store.store import PATH, Ledger, Store

LIST = "archive.json"
MOST_LISTED = 100_000_000  # bytes of the list


@dataclass(frozen=True)
class Archive:
    """What is in one. `study`: what a user called it; `version`: of the program that wrote it."""

    study: str
    version: str
    parts: tuple[Entry, ...]


def pack(store: Store, ledger: Ledger, items: Iterable[str], study: str, version: str, to: Path) -> Archive:
    """Writes the parts that hold these items; the same parts give the same bytes. Raises CorruptPart for one that is
    damaged, and BadInput for one whose bytes do not say what is in it, as those of old versions."""
    entries = {entry.path: entry for entry in (ledger.entries[item] for item in items)}
    listed = Archive(study, version, tuple(entries[path] for path in sorted(entries)))
    unfinished = to.with_name(f"{to.name}.unfinished")
    try:
        with tarfile.open(unfinished, "w:", format=tarfile.USTAR_FORMAT) as tar:
            _add(tar, LIST, sealed.dumped(listed))
            for entry in listed.parts:
                _add(tar, entry.path, _whole(entry, ledger.read(entry.items[0])))
        unfinished.replace(to)
    finally:
        unfinished.unlink(missing_ok=True)
    return listed


def _whole(entry: Entry, data: bytes) -> bytes:
    try:
        if items_of(entry.path, data) == entry.items:
            return data
    except ValueError as error:
        raise BadInput(f"{error}, so that no other store would take it; a scan in a new store makes it anew") from error
    raise BadInput(f"{entry.path} holds other items than its store noted")


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """A member without date and owner."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def unpack(path: Path, uri: str, folders: Iterable[str]) -> tuple[Archive, int]:
    """Takes what an archive holds into the store at `uri`; returns that, and how many of its parts were new there.

    folders: of a store, where its parts may go. Raises BadInput, before anything is written, for what is no archive, is
    damaged or has anything that its list has not.
    """
    folders = tuple(folders)
    with _opened(path, folders) as (listed, parts):
        for _ in parts:
            continue
    store = Store(uri)
    store.check_writable()
    ledger, new = Ledger(store), 0
    with _opened(path, folders) as (listed, parts):
        for entry, data in parts:
            held, e_tag = store.put_new(entry.path, data, entry.items)
            there = Entry(entry.path, sha256(held), entry.items, len(held), e_tag)
            if any(ledger.entries.get(item) != there for item in entry.items):
                ledger.add([there])
                new += 1
    ledger.flush()
    return listed, new


@contextmanager
def _opened(path: Path, folders: tuple[str, ...]) -> Iterator[tuple[Archive, Iterator[tuple[Entry, bytes]]]]:
    """The list of an archive, and its parts as they are read and verified."""
    files.check(path)
    try:
        with tarfile.open(path, "r:") as tar:
            listed = _listed(tar)
            yield listed, _parts(tar, listed, folders)
    except (tarfile.TarError, ValueError, OSError, EOFError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{shown(str(path), 150)} is no whole archive of recoilscan: {first_line(error)}") from error


def _listed(tar: tarfile.TarFile) -> Archive:
    member = tar.next()
    if member is None or member.name != LIST or member.size > MOST_LISTED:
        raise ValueError(f"it does not begin with {LIST}")
    data = _content(tar, member)
    version, _ = sealed.unsealed("archive", data)
    if not version:
        raise ValueError(f"{LIST} has no seal")
    return sealed.parsed(Archive, data)


def _parts(tar: tarfile.TarFile, listed: Archive, folders: tuple[str, ...]) -> Iterator[tuple[Entry, bytes]]:
    for entry in listed.parts:
        if not PATH.fullmatch(entry.path) or entry.path.split("/")[0] not in folders:
            raise ValueError(f"{shown(entry.path)} is no part of {', '.join(folders)}")
        member = tar.next()
        if member is None or member.name != entry.path:
            raise ValueError(f"{entry.path} is not where its list has it")
        data = _content(tar, member)
        if sha256(data) != entry.sha256 or items_of(entry.path, data) != entry.items:
            raise ValueError(f"{entry.path} does not verify")
        yield entry, data
    if (more := tar.next()) is not None:
        raise ValueError(f"{shown(more.name)} is not in its list")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if not member.isreg() or member.issparse():
        raise ValueError(f"{shown(member.name)} is no plain file")
    data = tar.extractfile(member).read()
    if len(data) != member.size:
        raise ValueError(f"{member.name} ends early")
    return data
