"""What a command raised: in one line, with an exit code and, of what nobody had thought of, a file that has it all."""

import shlex
import sys
import tempfile
import time
import traceback
import uuid

from engine import errors
from engine.errors import BadInput, CorruptPart, Interrupted, ScanStalled, StoreFault, TaskFailed, one_line
from engine.urls import hidden

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
LONGEST = 400  # characters of a line


def said(error: Exception, store: str | None) -> int:
    """Says on stderr what was wrong, and returns the exit code. `store`: URI of the one in use, if any."""
    if isinstance(error, Interrupted):
        _say(f"interrupted; {error}")
        return INTERRUPTED
    if isinstance(error, BadInput):
        _say(f"error: {error}")
        return BAD_INPUT
    if isinstance(error, CorruptPart):
        _say(one_line(f"error: {error}; `recoilscan scan` of this study makes it anew"))
        return FAILED
    known = isinstance(error, ScanStalled | StoreFault | TaskFailed)
    what = str(error).rstrip(".") if known else errors.said(error)
    is_told = isinstance(error, ScanStalled | StoreFault) or (known and error.__cause__ is None)
    where = getattr(error, "details", None)  # of what a task raised: kept where it was
    where = where if where or is_told else _kept(error, store)
    end = f"; what was finished is kept{f'; details: {where}' if where else ''}"
    _say(one_line(f"error: {what}", LONGEST - len(end)) + end)
    return FAILED


def _say(line: str) -> None:
    print(hidden(line), file=sys.stderr)


def command() -> str:
    """The command line as it was given, without passwords."""
    return shlex.join(["recoilscan", *map(hidden, sys.argv[1:])])


def _kept(error: Exception, store: str | None) -> str | None:
    """Where the traceback is written: the store or, where that takes nothing, the folder of temporary files."""
    story = "".join([f"{command()}\n", *traceback.format_exception(error)])
    name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid.uuid4().hex[:8]}.txt"
    for keep in (_in_store, _in_temporary):
        try:
            return keep(store, name, hidden(story).encode(errors="replace"))
        except Exception:  # whatever is wrong with one place, the line is said
            continue
    return None


def _in_store(uri: str | None, name: str, story: bytes) -> str:
    from engine.store.store import ERRORS, Store

    store = Store(uri, create=False)
    if not store.exists:
        raise FileNotFoundError(uri)
    store.put(f"{ERRORS}/{name}", story)
    return store.where(f"{ERRORS}/{name}")


def _in_temporary(uri: str | None, name: str, story: bytes) -> str:
    with tempfile.NamedTemporaryFile(prefix="recoilscan-", suffix=f"-{name}", delete=False) as file:
        file.write(story)
    return file.name
