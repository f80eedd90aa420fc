"""A store that is gone with the process, for what is only tried."""

from pathlib import Path

from obstore.store import MemoryStore

from engine.cluster.store import Store


class Scratch(Store):
    """Parts in memory."""

    def __init__(self):
        self.uri = "memory://"
        self._backend = MemoryStore()


def readable(uri: str) -> Store:
    """The store at a URI; where no folder is, an empty one, since opening a store would make the folder."""
    path = uri.removeprefix("file://")
    return Store(uri) if "://" in path or Path(path).is_dir() else Scratch()
