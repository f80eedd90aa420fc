"""Memory that was not there: whose it was, in which batches, and how much was asked for."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

# of torch on a GPU, of torch on a CPU, of NumPy
ASKED = re.compile(r"(?:tried to allocate|Unable to allocate) ([\d.]+ ?\w+)", re.IGNORECASE)


class OutOfMemory(MemoryError):
    """A fit or a scoring that needs more memory than its device has: to try again would be to fail again."""


@contextmanager
def named(what: str) -> Iterator[None]:
    """Raises OutOfMemory, one sentence that begins with `what`, for an allocation that fails in the block."""
    try:
        yield
    except OutOfMemory:
        raise
    except (RuntimeError, MemoryError) as error:  # torch's own is a RuntimeError, and of a CPU nothing else
        asked = ASKED.search(str(error))
        if not (asked or isinstance(error, MemoryError)):
            raise
        size = _readable(asked[1]) if asked else "more than there is"
        raise OutOfMemory(f"{what}: out of memory, {size} asked for; smaller batches or networks need less") from error


def _readable(size: str) -> str:
    """Bytes in GiB; a size with another unit as it is."""
    number, unit = re.fullmatch(r"([\d.]+) ?(\w+)", size).groups()
    return f"{float(number) / 2**30:.3g} GiB" if unit == "bytes" else size
