"""What a user can do wrong, said in one line."""

import difflib
import sys
from collections.abc import Iterable

from engine.urls import hidden


class BadInput(ValueError):
    """The study, the command line or a file of the user's is wrong: one sentence, exit code 2."""


class StoreError(BadInput):
    """The store cannot be opened, read or written."""


# What mathematics raises where it has no answer: a root that is not bracketed, a matrix that is not positive. Another
# attempt would end alike, and other cells may well have one. Everything else is a mistake of the program.
UNANSWERED = (ValueError, ArithmeticError)


class Unanswerable(ValueError):
    """Some items of a task have no answer. `parts`: those that have; `reasons`: item -> (what it is, why)."""

    def __init__(self, parts: list, reasons: dict[str, tuple[str, str]]):
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in reasons.values()))
        self.parts, self.reasons = parts, reasons


class StoreFault(RuntimeError):
    """The store failed in the middle of the work, and kept failing: it is full, or does not answer."""


class TaskFailed(RuntimeError):
    """A task's own work raised: in one line, what."""


class ScanStalled(RuntimeError):
    """The cluster made no progress within the limit; what was finished is kept."""


def unknown(what: str, value: object, accepted: Iterable[str]) -> BadInput:
    """The error for a name that is not among `accepted`: shows the value, the nearest and all of them."""
    accepted = sorted(accepted)
    near = difflib.get_close_matches(str(value), accepted, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return BadInput(f"unknown {what} {value!r}{hint} (accepted: {', '.join(accepted)})")


def said(error: BaseException) -> str:
    """An exception in one line, without a secret or what a terminal would take for itself."""
    lines = str(error).splitlines()
    return printable(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__)


def printable(text: str) -> str:
    """A text without secrets, with every character that is not to be printed as a question mark."""
    return "".join(letter if letter.isprintable() else "?" for letter in hidden(text))


def warn(line: str) -> None:
    """A line on what is wrong and stops nothing: beside the output, which a program may read."""
    print(f"note: {printable(line)}", file=sys.stderr, flush=True)
