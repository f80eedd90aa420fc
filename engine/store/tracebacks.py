"""Tracebacks of what had no answer or ended a scan: a text in the store for each, until its items are computed."""

import os
import socket
import time
import traceback
from collections.abc import Iterable

from engine.errors import StoreFault, warn
from engine.store.parts import Failure
from engine.store.store import ERRORS, Store
from engine.urls import hidden


def keep(store: Store, failure: Failure, error: BaseException) -> str | None:
    """Where the traceback of a failure is from now on; None where the store does not take it."""
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    where = f"process {os.getpid()} on {socket.gethostname()}, {when}"
    text = "".join([f"{failure.words}\n{where}\n\n", *traceback.format_exception(error)])
    try:
        store.put(path(failure), hidden(text).encode(errors="replace"))
    except StoreFault as fault:  # the reason is in the ledger
        warn(str(fault))
        return None
    return store.where(path(failure))


def path(failure: Failure) -> str:
    """Its place in a store: by the first of its items."""
    return f"{ERRORS}/{failure.items[0]}.txt"


def kept(store: Store, failures: Iterable[Failure]) -> dict[str, str]:
    """The places of those tracebacks that are there, by what a user calls the items."""
    there = set(store.list(ERRORS))
    return {failure.name: path(failure) for failure in failures if failure.items and path(failure) in there}


def discard(store: Store, failures: Iterable[Failure]) -> None:
    """Removes what is kept of failures whose items have been computed since."""
    for failure in set(failures):
        try:
            store.delete(path(failure))
        except StoreFault as fault:  # nobody looks there for an item that is done
            warn(str(fault))
