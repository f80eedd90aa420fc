"""Training sets read as a stream: the stored integers, bit for bit, and no second copy of them in memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from engine.assembly import training
from engine.store.parts import Entry, Part, batches, decode, encode, sha256
from engine.store.store import Ledger, Store

LENGTH = 3000
SHARDS = {"er": (700, "ER"), "none": (0, "ER"), "nr": (600, "NR"), "more": (900, "ER")}


def part(name, n, kind, dtype=np.uint16, seed=0):
    rng = np.random.default_rng([seed, n])
    counts = np.minimum(rng.poisson(rng.gamma(0.3, 40, (n, LENGTH))), np.iinfo(dtype).max).astype(dtype)
    columns = {
        "event": pa.array(np.arange(n)),
        "kind": pa.array([kind] * n, pa.string()).dictionary_encode(),
        "features": pa.FixedSizeListArray.from_arrays(pa.array(counts.reshape(-1)), LENGTH),
    }
    return Part(f"events/{name}.parquet", (name,), pa.table(columns))


def stored(folder, parts):
    store = Store(str(folder))
    entries = []
    for each in parts:
        data = encode(each)
        store.put_new(each.path, data)
        entries.append(Entry(each.path, sha256(data), each.items))
    return store, entries


def whole(parts):
    """All at once, as plainly as can be."""
    features = [np.array(each.content["features"].to_pylist()).reshape(-1, LENGTH) for each in parts]
    kinds = [kind for each in parts for kind in each.content["kind"].to_pylist()]
    return np.concatenate(features), np.array(kinds) == "NR"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_stream_gives_the_stored_integers_in_the_order_of_the_parts(tmp_path, dtype):
    parts = [part(name, n // 10, kind, dtype) for name, (n, kind) in SHARDS.items()]
    features, labels = training.gather(*stored(tmp_path, parts))
    wanted, is_nr = whole(parts)
    assert features.dtype == dtype and labels.dtype == np.float32
    np.testing.assert_array_equal(features, wanted)
    np.testing.assert_array_equal(labels, is_nr)
    assert np.all(labels[70:130] == 1) and labels.sum() == 60
    with pytest.raises(ValueError, match="read-only"):
        features[0] = 0


def test_no_events_are_a_case(tmp_path):
    features, labels = training.gather(*stored(tmp_path, [part("none", 0, "ER")]))
    assert len(features) == len(labels) == 0


MEMORY = """
import sys, tracemalloc
import numpy as np, pyarrow as pa
from engine.assembly import training
from engine.store.parts import decode
from engine.store.store import Ledger, Store
how, folder, times = sys.argv[1:]
store = Store(folder)
entries = list(Ledger(store).entries.values()) * int(times)
tracemalloc.start()
if how == "stream":
    features, labels = training.gather(store, entries)
else:
    features = np.concatenate([decode(store.get(each.path))["features"].to_numpy() for each in entries])
print(tracemalloc.get_traced_memory()[1] + pa.default_memory_pool().max_memory())
"""


def peak(how, folder, times=1) -> int:
    """Most bytes that numpy and Python, and Arrow, held in a process of its own; a mapped file is not among them."""
    command = [sys.executable, "-c", MEMORY, how, str(folder), str(times)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_memory_does_not_grow_with_the_set(tmp_path):
    parts = [part(name, n, kind) for name, (n, kind) in SHARDS.items()]
    size = sum(each.content["features"].nbytes for each in parts)
    store, entries = stored(tmp_path, parts)
    ledger = Ledger(store)
    ledger.add(entries)
    ledger.flush()
    grown = {how: peak(how, tmp_path, times=6) - peak(how, tmp_path) for how in ("stream", "at once")}
    assert grown["stream"] < 0.2 * size
    assert grown["at once"] > 5 * size  # what is measured sees a copy


def test_batches_are_the_table_and_verify_their_pages(tmp_path):
    each = part("er", 100, "ER")
    data = encode(each)
    found = list(batches(data, ["kind", "features"], 30))
    assert [len(batch) for batch in found] == [30, 30, 30, 10]
    assert pa.Table.from_batches(found).equals(decode(data, ["kind", "features"]))
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 1
    with pytest.raises(OSError, match="(?i)crc|checksum"):
        list(batches(bytes(damaged), ["kind", "features"], 30))


READING = """
import os, sys
from engine.store import parts
data = open(sys.argv[1], "rb").read()
before = len(os.listdir("/proc/self/task"))
parts.decode(data, ["kind"])
list(parts.batches(data, ["kind"], 30))
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted as Linux lists them")
def test_reading_a_part_starts_no_thread(tmp_path):
    """One of Arrow's that lets go of Python's bytes while the interpreter ends would abort it."""
    (tmp_path / "part").write_bytes(encode(part("er", 100, "ER")))
    done = subprocess.run(
        [sys.executable, "-c", READING, tmp_path / "part"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == 0


def test_counts_take_less_room_than_their_integers(tmp_path):
    """Rare and small, they compress; in fewer bytes than a dictionary of them would take."""
    each = part("er", 200, "ER")
    assert len(encode(each)) < 0.5 * each.content["features"].nbytes
