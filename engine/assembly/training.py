"""Training sets: stored parts, read as a stream into one array that the system pages, not the process's own memory."""

import tempfile
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from engine.store.parts import Entry, batches
from engine.store.store import Store, read

ROWS = 256  # events decoded at once


def gather(store: Store, entries: Iterable[Entry]) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, length) in the integers they are stored as, and labels (n,) float32, 1 for NR, in the parts' order.

    The features lie in a mapped file without a name, in the folder of Python's `tempfile`: an order that visits all
    events anew in every epoch may pick any row, while what of them is in memory is the page cache's, which gives it
    up where memory is short. The file is gone with the array. Raises OSError where the folder is full.
    """
    labels, length, stored = [np.zeros(0, np.float32)], 0, np.dtype(np.uint8)
    with tempfile.TemporaryFile() as file:
        for entry in entries:
            for batch in batches(read(store, entry), ["kind", "features"], ROWS):
                flat = batch["features"].flatten().to_numpy()
                length, stored = batch["features"].type.list_size, flat.dtype
                file.write(flat)
                labels.append(is_nr(batch["kind"]).astype(np.float32))
        file.flush()
        of_all = np.concatenate(labels)
        features = np.memmap(file, stored, mode="r+", shape=(len(of_all), length))  # "r" would refuse an empty file
    features.flags.writeable = False
    return features, of_all


def is_nr(kind: pa.Array) -> np.ndarray:
    """(n,) bool of the column `kind`."""
    return kind.to_numpy(zero_copy_only=False) == "NR"
