"""What a user can do wrong, said in one line."""

import difflib
from collections.abc import Iterable


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


class CorruptPart(RuntimeError):
    """A part is missing, or its bytes are not those that were committed. `entry`: as the ledger knows it."""

    def __init__(self, entry, what: str):
        super().__init__(entry, what)  # what it takes on its way from a worker
        self.entry, self.what = entry, what

    def __str__(self) -> str:
        return f"{self.entry.path} {self.what}"


AS_IT_IS = (BadInput, StoreFault, CorruptPart)  # what work raises and the driver is to be told as it is


class TaskFailed(RuntimeError):
    """A task's own work raised: in one line, what."""


class Interrupted(RuntimeError):
    """Ctrl-C, where there is more to say of it than that what was finished is kept."""


class ScanStalled(RuntimeError):
    """The cluster made no progress within the limit; what was finished is kept."""


def unknown(what: str, value: object, accepted: Iterable[str]) -> BadInput:
    """The error for a name that is not among `accepted`: shows the value, the nearest and all of them."""
    accepted = sorted(accepted)
    near = difflib.get_close_matches(str(value), accepted, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return BadInput(f"unknown {what} {value!r}{hint} (accepted: {', '.join(accepted)})")


def said(error: BaseException) -> str:
    """An exception in one line."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
