"""What the bytes of a fit say of it without its weights, and without torch."""

import json
import struct
from typing import Any

KEY = "recoilscan"


def metadata(data: bytes, key: str) -> dict[str, Any]:
    """The JSON that a safetensors blob holds under a key of its metadata."""
    return json.loads(_header(data)["__metadata__"][key])


def history(data: bytes) -> dict[str, list[float]]:
    """The curves of a fit that `zoo.save` wrote, see `zoo.Fitted`; of an ensemble its first member's."""
    if metadata(data, KEY).get("n_members"):
        first, end = _header(data)["member.0"]["data_offsets"]
        tensors = memoryview(data)[8 + _length(data) :]
        return history(bytes(tensors[first:end]))
    return metadata(data, KEY)["history"]


def _length(data: bytes) -> int:
    return struct.unpack("<Q", data[:8])[0]


def _header(data: bytes) -> dict[str, Any]:
    return json.loads(data[8 : 8 + _length(data)])
