"""Files beside the parts: each says what it holds and of which version, and has a seal over that and its content.

JSON is `{"schema": ..., "version": ..., "sha256": ..., "content": ...}`; of lines, the first is that without a content.
Fields that a newer version has are passed over. What was written before there were seals is read as it is.
"""

import hashlib
import re
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

T = TypeVar("T")
VERSION = 1  # of all of them: rises when one changes its meaning
HEAD = re.compile(rb'\{"schema": "([a-z]+)", "version": (\d{1,9}), "sha256": "([0-9a-f]{64})"(\}\n|, "content": )')


def sealed(schema: str, content: bytes, lines: bool = False) -> bytes:
    """A file of this schema; `content` is JSON, or lines."""
    head = f'{{"schema": "{schema}", "version": {VERSION}, "sha256": "{_seal(schema, VERSION, content)}"'.encode()
    return head + b"}\n" + content if lines else head + b', "content": ' + content + b"}"


def unsealed(schema: str, data: bytes) -> tuple[int, bytes]:
    """The version and the content of a file; 0 and all of it where it has no seal.

    Raises ValueError where it is damaged or of another schema.
    """
    if (match := HEAD.match(data)) is None:
        return 0, data
    name, version, seal, form = match.groups()
    content = data[match.end() :] if form == b"}\n" else data[match.end() :].removesuffix(b"}")
    if name.decode() != schema:
        raise ValueError(f"it is a {name.decode()}, not a {schema}")
    if _seal(schema, int(version), content) != seal.decode():
        raise ValueError("its seal does not fit its content")
    return int(version), content


def _seal(schema: str, version: int, content: bytes) -> str:
    return hashlib.sha256(f"{schema} {version} ".encode() + content).hexdigest()


def dumped(value: object) -> bytes:
    """The file of a dataclass, whose name is that of the schema."""
    return sealed(_schema(type(value)), to_json(value))


def parsed(kind: type[T], data: bytes) -> T:
    """The dataclass in a file; raises ValueError where it is damaged, of another schema or of a version too new."""
    version, content = unsealed(_schema(kind), data)
    try:
        return TypeAdapter(kind).validate_json(content)
    except ValidationError as error:
        newer = f"it is of version {version}, and {VERSION} is read here: " if version > VERSION else ""
        first = error.errors()[0]
        raise ValueError(f"{newer}{'.'.join(map(str, first['loc']))}: {first['msg']}".replace("\n", " ")) from None


def _schema(kind: type) -> str:
    return kind.__name__.lower()
