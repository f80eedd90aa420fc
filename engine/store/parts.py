"""A part's bytes: Parquet or safetensors, with a seal inside that says whether every byte is as it was committed."""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter
from pydantic_core import from_json

from engine import lineage, schemas

ITEMS = b"recoilscan.items"
SEAL = "recoilscan.sha256"
ITEMS_LIST = TypeAdapter(tuple[str, ...])
OPEN = b"sha256:" + b"0" * 64  # what the seal says while the hash is taken


@dataclass(frozen=True)
class Part:
    """What a task hands over: a path in the store, the items (digests) in it, and its content."""

    path: str
    items: tuple[str, ...]
    content: pa.Table | bytes


def bundle(stage: str, items: Iterable[str], table: pa.Table) -> Part:
    """A table with what is said of several items of a stage."""
    made = tuple(items)
    return Part(f"{stage}/{_bundled(made)}.parquet", made, table)


def _bundled(items: tuple[str, ...]) -> str:
    return lineage.digest("bundle", 1, None, items)


def of_rows(stage: str, schema: pa.Schema, rows: list[dict]) -> Part:
    """Rows, each with its item as `lineage`, as a bundle of this schema."""
    return bundle(stage, [row["lineage"] for row in rows], schemas.of_rows(schema, rows))


@dataclass(frozen=True)
class Entry:
    """A committed part as the ledger knows it; size_bytes, e_tag: as the store told them when it was written."""

    path: str
    sha256: str
    items: tuple[str, ...]
    size_bytes: int | None = None
    e_tag: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Failure:
    """Items that could not be computed, what a user calls them, and why."""

    items: tuple[str, ...]
    name: str
    reason: str

    @property
    def words(self) -> str:
        """What it is and why."""
        return f"{self.name}: {self.reason}" if self.name else self.reason


def sha256(data: bytes) -> str:
    """The whole-file hash that the ledger holds."""
    return hashlib.sha256(data).hexdigest()


def encode(part: Part) -> bytes:
    """A part's bytes, sealed, with the list of its items: a table as Parquet with page checksums; other bytes, which
    must be safetensors, with both in their metadata."""
    if isinstance(part.content, bytes):
        return _closed(_with_metadata(part)) if part.path.endswith(".safetensors") else part.content
    metadata = {**(part.content.schema.metadata or {}), ITEMS: json.dumps(part.items)}
    sink = io.BytesIO()
    table = part.content.replace_schema_metadata(metadata)
    options = {"compression": "zstd", "write_page_checksum": True, **_encodings(table.schema)}
    with pq.ParquetWriter(sink, table.schema, **options) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({SEAL: OPEN.decode()})
    return _closed(sink.getvalue())


def _encodings(schema: pa.Schema) -> dict[str, list[str]]:
    """Dictionaries for plain columns, split bytes for lists: counts are then smaller, and far sooner written."""
    lists = [field.name for field in schema if pa.types.is_fixed_size_list(field.type)]
    plain = [name for name in schema.names if name not in lists]
    return {"use_dictionary": plain, "use_byte_stream_split": [f"{name}.list.element" for name in lists]}


def _with_metadata(part: Part) -> bytes:
    """A safetensors file with its items and an open seal among its metadata; its tensors and offsets stay."""
    data = part.content
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    own = header.get("__metadata__", {}) | {ITEMS.decode(): json.dumps(part.items)}
    header["__metadata__"] = own | {SEAL: OPEN.decode()}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format wants its tensors aligned
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _closed(data: bytes) -> bytes:
    """The hash of the file as it is, written over its zeros."""
    start = data.rindex(OPEN) + len(OPEN) - 64
    return data[:start] + sha256(data).encode() + data[start + 64 :]


def is_whole(data: bytes) -> bool:
    """Whether a part's seal fits its bytes; False without a seal."""
    start = data.rfind(SEAL.encode())
    start = data.find(b"sha256:", start + len(SEAL)) + len(b"sha256:") if start >= 0 else 0
    if not start:
        return False
    seal, opened = data[start : start + 64], data[:start] + b"0" * 64 + data[start + 64 :]
    return seal == sha256(opened).encode()


def decode(data: bytes, columns: list[str] | None = None) -> pa.Table:
    """A table from a part's bytes, all of it or these columns; raises OSError where a page's checksum fails."""
    return _parquet(data).read(columns, use_threads=False)


def batches(data: bytes, columns: list[str], n_rows: int) -> Iterator[pa.RecordBatch]:
    """A part's table as a stream: n_rows at a time (the last may be shorter), and no more of it in memory."""
    return _parquet(data).iter_batches(n_rows, columns=columns, use_threads=False)


def _parquet(data: bytes) -> pq.ParquetFile:
    """A file to be read without threads, and not by `read_table`, which has them: one that lets go of a Python object
    while the interpreter ends aborts the process, whose work was done (exit code 134)."""
    return pq.ParquetFile(io.BytesIO(data), page_checksum_verification=True, pre_buffer=False)


# what `items_of` raises of bytes that are no part
UNREADABLE = (OSError, ValueError, KeyError, TypeError)


def holds(path: str, data: bytes, items: tuple[str, ...]) -> bool:
    """Whether a part is whole and says itself that it holds these items, whatever its hash."""
    try:
        return bool(items) and items[0].encode() in data and items_of(path, data) == items
    except UNREADABLE:
        return False


def items_of(path: str, data: bytes) -> tuple[str, ...]:
    """The items of a part, which its metadata lists.

    Raises ValueError where the seal does not fit the bytes, or the path not the items: of two files that changed
    places, neither is what its name says. A model of before models had this list has none that can be trusted.
    """
    if not is_whole(data):
        raise ValueError(f"{path}: its seal does not fit its bytes")
    try:
        items = ITEMS_LIST.validate_json(_metadata(path, data)[ITEMS])
    except Exception as error:  # whatever a library makes of bytes that anybody may have written
        raise ValueError(f"{path}: it does not say what is in it") from error
    if Path(path).stem not in (*items[:1], _bundled(items)):
        raise ValueError(f"{path}: its name is not that of its items")
    return items


def _metadata(path: str, data: bytes) -> dict[bytes, bytes]:
    if path.endswith(".parquet"):
        return pq.read_schema(io.BytesIO(data)).metadata
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    return {name.encode(): text.encode() for name, text in from_json(header)["__metadata__"].items()}
