"""Finished parts in a folder or a bucket: whole or absent, never changed, verified when read."""

import os
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.compute as pc
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, NotFoundError
from obstore.store import LocalStore, MemoryStore
from pydantic import Field, TypeAdapter
from pydantic_core import to_json

from engine.errors import CorruptPart, StoreError, StoreFault, one_line, warn
from engine.store import sealed
from engine.store.backend import checked, first_line, folder_of, is_local, opened
from engine.store.parts import UNREADABLE, Entry, Failure, decode, holds, items_of, sha256
from engine.urls import hidden

A, B, T = TypeVar("A"), TypeVar("B"), TypeVar("T")
LEDGER = "ledger"
ASIDE = "aside"
ERRORS = "errors"  # what was raised that nobody had thought of
FLUSH_S = 2.0
MANY = 100  # segments, from which on one more that holds them is sooner read
HOLDS_OTHERS = "-all.jsonl"  # how the name of such a segment ends
FEW = 4  # parts of a folder, which are sooner read than the folder is listed
LISTINGS = 4  # times that a listing is asked for whose answer is cut short
CUT = "list response body"  # what obstore says of it
READERS = 16  # requests at a time: of a bucket each takes some 20 ms, whatever it reads


@dataclass(frozen=True)
class Stored:
    """An object as a listing knows it; modified_s since the epoch; e_tag: of other bytes, another."""

    path: str
    size_bytes: int
    modified_s: float
    e_tag: str | None


class Store:
    """A folder or an object store, by URI: a path, file://, s3://, gs://, az://. Pickles.

    create: whether to make a folder that is not there; without, an empty store stands for it, to be read only.
    """

    def __init__(self, uri: str | os.PathLike, create: bool = True):
        uri = checked(uri)
        # absolute, since a worker may have another working directory than the driver
        self.uri = uri if "://" in uri else str(Path(uri).absolute())
        self.exists = create or not is_local(self.uri) or folder_of(self.uri).is_dir()
        self._backend = opened(self.uri) if self.exists else MemoryStore()

    def __reduce__(self):
        return Store, (self.uri,)

    def check_writable(self) -> None:
        """Writes and removes a small object; raises StoreError in one line."""
        path = f"probe-{uuid.uuid4().hex}"
        try:
            obstore.put(self._backend, path, b"probe")
            obstore.delete(self._backend, path)
        except Exception as error:  # obstore raises its own, OSError or ValueError, by backend
            raise StoreError(f"cannot write to the store {hidden(self.uri)!r}: {first_line(error)}") from error

    def put_new(self, path: str, data: bytes, items: tuple[str, ...] = ()) -> tuple[bytes, str | None]:
        """Create-if-absent; returns what is there from now on, and its e_tag where it is ours.

        It is the other's where another driver was first: the same bytes or, for the same items, those of another
        kind of processor, whose sums end in other digits. What is there and is no such part is set aside.
        """
        try:
            with self._faults("write", path):
                return data, obstore.put(self._backend, path, data, mode="create")["e_tag"]
        except AlreadyExistsError:
            with suppress(FileNotFoundError, StoreFault):  # a folder, a link that leads nowhere, what may not be read
                there = self.get(path)
                if there == data or holds(path, there, items):
                    return there, None
            with suppress(FileNotFoundError):  # another driver has set it aside
                self.set_aside(path)
            return self.put_new(path, data, items)

    def put(self, path: str, data: bytes) -> None:
        """Writes or replaces: for figures and what else may be drawn again, never for parts. A folder in its place is
        set aside."""
        try:
            with self._faults("write", path):
                obstore.put(self._backend, path, data)
        except StoreFault:
            if not (self.folder() and (self.folder() / path).is_dir()):
                raise
            self.set_aside(path)
            self.put(path, data)

    def get(self, path: str) -> bytes:
        """The object's bytes; raises FileNotFoundError where there is none, or a file that may not be read."""
        with self._faults("read", path):
            try:
                return bytes(obstore.get(self._backend, path).bytes())
            except BaseError as error:
                place = Path(self.where(path))  # of a bucket it is nowhere: there, nothing is said of this one object
                if not place.exists() or os.access(place, os.R_OK, effective_ids=True):
                    raise
                raise FileNotFoundError(f"{path} may not be read") from error

    def keep(self, path: str, value: object) -> None:
        """Writes or replaces a dataclass, sealed; that it cannot be written is a note, since no result needs it."""
        try:
            self.put(path, sealed.dumped(value))
        except StoreFault as fault:
            warn(str(fault))

    def kept(self, path: str, kind: type[T]) -> T | None:
        """A dataclass that was kept; None where there is none, and a note where it is damaged."""
        try:
            return sealed.parsed(kind, self.get(path))
        except FileNotFoundError:
            return None
        except (ValueError, StoreFault) as error:
            warn(f"{path} is left out: {error}")
            return None

    def delete(self, path: str) -> None:
        """Removes an object, if it is there: for what is of no use any more."""
        with self._faults("remove", path), suppress(FileNotFoundError):
            obstore.delete(self._backend, path)

    def objects(self, prefix: str) -> list[Stored]:
        """What is under a prefix, sorted by path; raises StoreError where the store cannot be read."""
        try:
            listed = self._listed(prefix)
        except NotFoundError:
            return []
        except BaseError as error:
            raise StoreError(f"cannot read the store {hidden(self.uri)!r}: {first_line(error)}") from error
        known = (Stored(one["path"], one["size"], one["last_modified"].timestamp(), one["e_tag"]) for one in listed)
        return sorted(known, key=lambda one: one.path)

    def _listed(self, prefix: str) -> list[dict]:
        """As obstore lists it, which asks again where a bucket refuses, and not where its answer is cut short."""
        for _ in range(LISTINGS - 1):
            try:
                return [item for page in obstore.list(self._backend, prefix) for item in page]
            except GenericError as error:
                if CUT not in str(error):
                    raise
        return [item for page in obstore.list(self._backend, prefix) for item in page]

    def sizes(self, prefix: str) -> dict[str, int]:
        """Bytes of the objects under a prefix, by path; raises the same."""
        return {one.path: one.size_bytes for one in self.objects(prefix)}

    def list(self, prefix: str) -> list[str]:
        """Paths under a prefix, sorted; raises StoreError where the store cannot be read."""
        return [one.path for one in self.objects(prefix)]

    def set_aside(self, path: str) -> str:
        """Moves a part that does not verify out of the way, keeping it for inspection."""
        name = f"{ASIDE}/{path}.{uuid.uuid4().hex[:8]}"
        with self._faults("move", path):
            if folder := self.folder():  # else a link that leads nowhere would not be moved
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
            obstore.rename(self._backend, path, name)
        return name

    @contextmanager
    def _faults(self, what: str, path: str) -> Iterator[None]:
        """What a store says when it is full or does not answer becomes a StoreFault."""
        try:
            yield
        except (AlreadyExistsError, FileNotFoundError):
            raise
        except (BaseError, OSError, ValueError) as error:  # the last: no path, as a control character makes it
            why = first_line(error)
            raise StoreFault(f"the store {hidden(self.uri)!r} failed to {what} {path!r}: {why}") from error

    def where(self, path: str) -> str:
        """The path as a user opens it."""
        if isinstance(self._backend, LocalStore):
            return str(folder_of(self.uri) / path)
        return f"{self.uri.rstrip('/')}/{path}"

    def folder(self) -> Path | None:
        """The local folder, or None for an object store."""
        return folder_of(self.uri) if isinstance(self._backend, LocalStore) else None


class Ledger:
    """Which part holds which item, with its hash: small create-only segments, written by the driver alone."""

    def __init__(self, store: Store):
        self.store = store
        self.entries: dict[str, Entry] = {}
        self.failures: dict[str, Failure] = {}  # why an item could not be computed; its entry, if any, came later
        self.unreadable: list[str] = []  # segments that do not parse: what they noted is adopted anew
        self._paths: set[str] = set()
        self._hashes: dict[str, str] = {}  # of each path the last that was noted, though it be set aside since
        self._pending: list[Entry | Failure] = []
        self._verified: set[str] = set()
        self._flushed = time.monotonic()
        self._segments = store.list(LEDGER)
        self._records: list[Entry | Failure] = []  # in the order in which they were read
        self._by_themselves: list[str] = []  # segments that were read by themselves
        self._read()

    def _read(self) -> None:
        """The newest segment that holds others, if there is one, and side by side all that it does not hold."""
        left = self._segments
        for path in reversed([path for path in left if path.endswith(HOLDS_OTHERS)]):
            if records := self._of_segment(path):
                held, *rest = records
                self._note(rest)
                left = sorted({*left} - {f"{LEDGER}/{name}" for name in held.items} - {path})
                break
        for path, records in zip(left, side_by_side(self._of_segment, left), strict=True):
            if records is None:
                self.unreadable.append(path)
            else:
                self._by_themselves.append(path)
                self._note(records)

    def _of_segment(self, path: str) -> list[Entry | Failure] | None:
        try:
            return _parse(self.store.get(path))
        except (ValueError, FileNotFoundError):
            return None

    def _note(self, records: list[Entry | Failure]) -> None:
        known = [one for one in records if isinstance(one, Failure) or not one.path.startswith(f"{LEDGER}/")]
        self._records += known
        for record in known:
            self._learn(record)

    def refresh(self) -> list[Entry | Failure]:
        """What other drivers have noted since it was read last; without what they have read themselves."""
        new = sorted({*self.store.list(LEDGER)} - {*self._segments})
        new = [path for path in new if not path.endswith(HOLDS_OTHERS)]
        self._segments += new
        before = len(self._records)
        for records in side_by_side(self._of_segment, new):
            self._note(records or [])
        return self._records[before:]

    def compact(self) -> None:
        """Adds a segment that holds all others, if many had to be read by themselves; deletes nothing.

        Its first line is an entry for itself, whose items are the names of those that it holds: a reader of before
        reads it as one more segment, which says nothing new.
        """
        if len(self._by_themselves) < MANY:
            return
        path = f"{LEDGER}/{time.time_ns()}-{uuid.uuid4().hex[:8]}{HOLDS_OTHERS}"
        held = tuple(Path(one).name for one in self._segments if one not in self.unreadable)
        lines = (to_json(record) for record in (Entry(path, "", held), *self._records))
        self.store.put_new(path, sealed.sealed(LEDGER, b"\n".join(lines), lines=True))
        self._segments.append(path)
        self._by_themselves.clear()

    def _learn(self, record: Entry | Failure) -> None:
        if isinstance(record, Failure):
            self.failures |= dict.fromkeys(record.items, record)
            return
        self._paths.add(record.path)
        self._hashes[record.path] = record.sha256
        for item in record.items:
            self.entries[item] = record
            self.failures.pop(item, None)

    def add(self, records: list[Entry | Failure]) -> None:
        """Notes what was committed and what failed, at most every FLUSH_S seconds; `flush` makes the rest durable."""
        self.know(records)
        self._pending += records
        if time.monotonic() - self._flushed > FLUSH_S:
            self.flush()

    def had_other_bytes(self, entry: Entry) -> bool:
        """Whether its part was noted before, with bytes that it has no more."""
        return self._hashes.get(entry.path, entry.sha256) != entry.sha256

    def flush(self) -> None:
        """Writes what was noted since the last flush as one new segment."""
        if self._pending:
            lines = sealed.sealed(LEDGER, b"\n".join(to_json(record) for record in self._pending), lines=True)
            path = f"{LEDGER}/{time.time_ns()}-{uuid.uuid4().hex[:8]}.jsonl"
            self.store.put_new(path, lines)
            self._segments.append(path)
            self._pending.clear()
        self._flushed = time.monotonic()

    def rewrite(self, without: set[str]) -> None:
        """One segment for all that were, which forgets these paths: their items are missing from now on."""
        known = {entry.path: entry for entry in self.entries.values() if entry.path not in without}
        self.entries = {item: entry for item, entry in self.entries.items() if entry.path not in without}
        self._pending = [*known.values(), *dict.fromkeys(self.failures.values())]
        old, self._segments = self._segments, []
        self.flush()
        for path in old:
            self.store.delete(path)

    def set_aside(self, entry: Entry) -> None:
        """Moves a part that does not verify out of the way; its items are missing from now on."""
        self.entries = {item: known for item, known in self.entries.items() if known.path != entry.path}
        self._paths.discard(entry.path)
        with suppress(FileNotFoundError):  # it is gone, or another driver was here first
            self.store.set_aside(entry.path)

    def read(self, item: str) -> bytes:
        """The bytes of the part that holds an item; raises CorruptPart where they do not verify."""
        return read(self.store, self.entries[item])

    def table(self, item: str, columns: list[str] | None = None) -> pa.Table:
        """The table of the part that holds an item, all of it or these columns."""
        return decode(self.read(item), columns)

    def pieces(
        self, items: list[str], column: str, columns: list[str] | None = None
    ) -> Iterator[tuple[np.ndarray, pa.Table]]:
        """The rows of these items part by part, each part read once: places of the rows' items in `items`, and the
        rows; `column` says whose row it is, and `columns` (default: all) what is wanted of them."""
        by_part: dict[str, list[int]] = {}
        for place, item in enumerate(items):
            by_part.setdefault(self.entries[item].path, []).append(place)
        for places in by_part.values():
            part = self.table(items[places[0]], None if columns is None else [*dict.fromkeys([*columns, column])])
            mine = pc.index_in(part[column].cast(pa.string()), pa.array([items[place] for place in places]))
            yield np.array(places)[mine.drop_null().to_numpy()], part.filter(mine.is_valid())

    def rows(self, items: list[str], column: str, columns: list[str] | None = None) -> pa.Table:
        """The rows of these items as one table, in the items' order; `column` names the item of a row."""
        places, parts = zip(*self.pieces(items, column, columns), strict=True)
        order = np.argsort(np.concatenate(places), kind="stable")
        return pa.concat_tables(parts).unify_dictionaries().take(order)

    def check(self, items: Iterable[str], thorough: bool = False) -> list[Entry]:
        """The parts that these items live in and that do not verify.

        A part of which a listing has the size and the e_tag that it was written with is taken for whole, since `read`
        holds it against its hash before anything is made of it; any other is read, and so is each if `thorough`.
        """
        parts = {self.entries[item].path: self.entries[item] for item in items if item in self.entries}
        new = [entry for path, entry in parts.items() if path not in self._verified]
        doubtful = new if thorough or len(new) <= FEW else self._unlike_their_listing(new)
        return [entry for entry, whole in zip(doubtful, side_by_side(self._verify, doubtful), strict=True) if not whole]

    def _unlike_their_listing(self, entries: list[Entry]) -> list[Entry]:
        folders = {entry.path.split("/")[0] for entry in entries}
        objects = [one for folder in folders for one in self.store.objects(f"{folder}/")]
        listed = {one.path: (one.size_bytes, one.e_tag) for one in objects}
        return [entry for entry in entries
                if entry.e_tag is None or listed.get(entry.path) != (entry.size_bytes, entry.e_tag)]  # fmt: skip

    def doubt(self) -> None:
        """Takes nothing for verified: a part was found damaged that had been whole."""
        self._verified.clear()

    def twin(self, entry: Entry) -> Entry | None:
        """What lies at the place of a part that does not verify, if it is whole and of the same items: another kind of
        processor made it. None if it is not."""
        try:
            data = self.store.get(entry.path)
        except FileNotFoundError:
            return None
        if not holds(entry.path, data, entry.items):
            return None
        return Entry(entry.path, sha256(data), entry.items, len(data))

    def _verify(self, entry: Entry) -> bool:
        try:
            read(self.store, entry)
        except CorruptPart:
            return False
        self._verified.add(entry.path)
        return True

    def orphans(self, prefix: str) -> tuple[list[Entry], list[str]]:
        """Parts that were committed but not noted, since the driver died in between; and those that do not decode."""
        unknown = [path for path in self.store.list(prefix) if path not in self._paths]
        found = dict(zip(unknown, side_by_side(self._by_itself, unknown), strict=True))
        return [entry for entry in found.values() if entry], [path for path, entry in found.items() if not entry]

    def _by_itself(self, path: str) -> Entry | None:
        """A part as it says itself what it is; None where it does not decode."""
        try:
            data = self.store.get(path)
            return Entry(path, sha256(data), items_of(path, data), len(data))
        except UNREADABLE:
            return None

    def know(self, records: Iterable[Entry | Failure]) -> None:
        """Takes records into account without noting them: for a reader, who changes nothing."""
        for record in records:
            self._learn(record)
            if isinstance(record, Entry):
                self._verified.add(record.path)


RECORD = TypeAdapter(Annotated[Entry | Failure, Field(union_mode="left_to_right")])
PATH = re.compile(r"[A-Za-z0-9_]+/[A-Za-z0-9_][A-Za-z0-9_.-]*")  # of a part: in a folder of this store
ITEMS = re.compile(r"[A-Za-z0-9_. -]*")  # with blanks between them


def _parse(segment: bytes) -> list[Entry | Failure]:
    """The records of a segment; raises ValueError for what is damaged, and for what would lead out of the store."""
    lines = sealed.unsealed(LEDGER, segment)[1].splitlines()
    records = [RECORD.validate_json(line) for line in lines]
    for record in records:
        if isinstance(record, Entry) and not PATH.fullmatch(record.path):
            raise ValueError(f"no path of a part: {record.path!r}")
        if not ITEMS.fullmatch(" ".join(record.items)):
            raise ValueError("no items")
    return [record if isinstance(record, Entry) else _shown(record) for record in records]


def _shown(failure: Failure) -> Failure:
    return replace(failure, name=one_line(failure.name), reason=one_line(failure.reason))


def side_by_side(function: Callable[[A], B], arguments: list[A]) -> Iterator[B]:
    """function of each, in their order, READERS at a time; what one of them raises, others that wait are not done."""
    pool = ThreadPoolExecutor(READERS)
    try:
        yield from pool.map(function, arguments)
    finally:
        pool.shutdown(cancel_futures=True)


def read(store: Store, entry: Entry) -> bytes:
    """A part's bytes, verified against the ledger's hash; raises CorruptPart."""
    try:
        data = store.get(entry.path)
    except FileNotFoundError as error:
        raise CorruptPart(entry, "is gone") from error
    if sha256(data) != entry.sha256:
        raise CorruptPart(entry, "does not have the bytes that were committed")
    return data
