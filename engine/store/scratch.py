"""A store that is gone with the process, for what is only tried."""

from obstore.store import MemoryStore

from engine.store.store import Store


class Scratch(Store):
    """Parts in memory."""

    def __init__(self):
        self.uri, self.exists = "memory://", True
        self._backend = MemoryStore()
