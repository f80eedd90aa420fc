"""What a user can do wrong, said in one line."""

import difflib
from collections.abc import Iterable


class BadInput(ValueError):
    """The study, the command line or a file of the user's is wrong: one sentence, exit code 2."""


class StoreError(BadInput):
    """The store cannot be opened, read or written."""


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
