"""What a user can do wrong, said in one line."""

import difflib
import re
import sys
from collections.abc import Iterable

from engine.urls import hidden

LONGEST = 390  # characters of a refusal: with the word before it and the end of its line, 400
SHOWN = 60  # of a value that it shows
LISTED = 200  # of the names that would be accepted


class BadInput(ValueError):
    """The study, the command line or a file of the user's is wrong: one short line, exit code 2."""

    def __init__(self, message: str):
        super().__init__(one_line(message))


class StoreError(BadInput):
    """The store cannot be opened, read or written."""


# What mathematics raises where it has no answer: a root that is not bracketed, a matrix that is not positive. Another
# attempt would end alike, and other cells may well have one. Everything else is a mistake of the program.
UNANSWERED = (ValueError, ArithmeticError)


class Unanswerable(ValueError):
    """Some items of a task have no answer. `parts`: those that have; `reasons`: item -> (what it is, the error)."""

    def __init__(self, parts: list, reasons: dict[str, tuple[str, Exception]]):
        super().__init__("; ".join(f"{name}: {said(error)}" for name, error in reasons.values()))
        self.parts, self.reasons = parts, reasons


class StoreFault(RuntimeError):
    """The store failed in the middle of the work, and kept failing: it is full, or does not answer."""


class CorruptPart(RuntimeError):
    """A part is missing, or its bytes are not those that were committed. `entry`: as the ledger knows it."""

    def __init__(self, entry, what: str):
        super().__init__(entry, what)  # what it takes on its way from a worker
        self.entry, self.what = entry, what

    def __str__(self) -> str:
        return f"{self.entry.path} {self.what}"


AS_IT_IS = (BadInput, StoreFault, CorruptPart)  # what work raises and the driver is to be told as it is


class TaskFailed(RuntimeError):
    """A task's own work raised: in one line, what. `failure`: as the ledger notes it, if it is known whose; `details`:
    where the traceback is, if the store has it."""

    def __init__(self, message: str, failure=None, details: str | None = None):
        super().__init__(message)
        self.failure, self.details = failure, details


class Interrupted(RuntimeError):
    """Ctrl-C, where there is more to say of it than that what was finished is kept."""


class ScanStalled(RuntimeError):
    """The cluster made no progress within the limit; what was finished is kept."""


def unknown(what: str, value: object, accepted: Iterable[str]) -> BadInput:
    """The error for a name that is not among `accepted`: shows the value, the nearest, and of all what fits."""
    accepted = sorted(accepted)
    near = difflib.get_close_matches(str(value)[:LISTED], accepted, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return BadInput(f"unknown {what} {shown(value)}{hint} (accepted: {listed(accepted)})")


def listed(names: list[str]) -> str:
    """Names by comma; of very many the first, and how many there are beside."""
    n, length = 0, 0
    while n < len(names) and (length := length + len(names[n]) + 2) <= LISTED:
        n += 1
    return ", ".join(names[:n]) + (f", ... and {len(names) - n} more" if n < len(names) else "")


def shown(value: object, longest: int = SHOWN) -> str:
    """A value as it is typed; of a long one the beginning and the end."""
    try:
        return one_line(repr(value), longest)
    except (ValueError, RecursionError):  # an integer of thousands of digits, lists in lists in lists
        return f"<{type(value).__name__} too large to show>"


def one_line(text: str, longest: int = LONGEST) -> str:
    """A text on one line of printable characters, without secrets; of a long one the middle is left out."""
    text = hidden(text)
    joined = re.sub(r"\s*[\r\n]\s*", " ", text[: 10 * longest] + text[10 * longest :][-longest:])
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in joined.strip())
    if len(line) <= longest:
        return line
    end = longest // 3
    return f"{line[: longest - end - 5]} ... {line[-end:]}"


def said(error: BaseException) -> str:
    """An exception in one line, without a secret or what a terminal would take for itself."""
    lines = str(error).splitlines()
    return one_line(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__)


def warn(line: str) -> None:
    """A line on what is wrong and stops nothing: beside the output, which a program may read."""
    print(f"note: {one_line(line)}", file=sys.stderr, flush=True)
