"""One contract, kept by a folder and by a bucket: whole or absent, never changed, verified when read."""

import io
import json
import os
import pickle

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
from moto.server import ThreadedMotoServer

from engine.errors import StoreError
from engine.store import units
from engine.store.parts import ITEMS, Entry, Failure, Part, bundle, decode, encode, is_whole, items_of, sha256
from engine.store.store import CorruptPart, Ledger, Store

WEIGHTS = safetensors.numpy.save({"w": np.arange(3.0)}, metadata={"about": "a model"})
TABLE = pa.table({"item": ["a", "a", "b", "c"], "x": [1.0, 2.0, 3.0, 4.0]})


@pytest.fixture(scope="module")
def bucket():
    settings = {
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings["AWS_ENDPOINT_URL"] = f"http://{host}:{port}"
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    boto3.client("s3").create_bucket(Bucket="scans")
    yield "s3://scans"
    server.stop()
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(params=["folder", "bucket"])
def store(request, tmp_path):
    if request.param == "folder":
        return Store(str(tmp_path / "store"))
    return Store(f"{request.getfixturevalue('bucket')}/{tmp_path.name}")


def commit(store: Store, ledger: Ledger, part: Part) -> Entry:
    data = encode(part)
    store.put_new(part.path, data)
    entry = Entry(part.path, sha256(data), part.items)
    ledger.add([entry])
    return entry


def damage(store: Store, path: str) -> None:
    data = bytearray(store.get(path))
    data[len(data) // 2] ^= 1
    store.put(path, bytes(data))


def test_what_is_there_is_not_written_again(store):
    store.put_new("events/x", b"first")
    store.put_new("events/x", b"first")
    assert store.list("events") == ["events/x"]
    assert not store.list("aside")


def test_other_bytes_under_a_taken_name_are_set_aside_and_kept(store):
    store.put_new("events/x", b"damaged")
    store.put_new("events/x", b"right")
    assert store.get("events/x") == b"right"
    (aside,) = store.list("aside")
    assert store.get(aside) == b"damaged"


def test_a_store_survives_the_way_to_another_process(store):
    store.put_new("a", b"1")
    assert pickle.loads(pickle.dumps(store)).get("a") == b"1"


def test_the_ledger_is_found_again(store):
    ledger = Ledger(store)
    commit(store, ledger, Part("nulls/one.parquet", ("a", "b", "c"), TABLE))
    ledger.flush()
    again = Ledger(store)
    assert again.entries == ledger.entries
    assert again.rows(["c", "a"], "item")["x"].to_pylist() == [4.0, 1.0, 2.0]


def test_a_flipped_byte_is_noticed_set_aside_and_its_items_are_missing(store):
    ledger = Ledger(store)
    entry = commit(store, ledger, Part("nulls/one.parquet", ("a", "b", "c"), TABLE))
    commit(store, ledger, Part("nulls/two.parquet", ("d",), TABLE))
    ledger.flush()
    damage(store, entry.path)
    again = Ledger(store)
    with pytest.raises(CorruptPart, match="one.parquet"):
        again.table("a")
    assert again.check(["a", "b", "d"]) == [entry]
    again.set_aside(entry)
    assert set(again.entries) == {"d"}
    assert store.list("nulls") == ["nulls/two.parquet"]
    assert len(store.list("aside")) == 1


@pytest.fixture
def several(store, monkeypatch):
    """A store with seven parts, as its tasks commit them; a ledger that another process has of it; what that reads."""
    ledger, reads = Ledger(store), []
    ledger.add(units.commit(store, [Part(f"cells/{name}.parquet", (name,), TABLE) for name in "abcdefg"]))
    ledger.flush()
    again, get = Ledger(Store(store.uri)), Store.get
    monkeypatch.setattr(Store, "get", lambda self, path: reads.append(path) or get(self, path))
    return store, again, reads


def test_parts_that_lie_as_they_were_written_are_not_read_unless_asked(several):
    _, ledger, reads = several
    assert ledger.check("abcdefg") == [] and not reads
    assert ledger.check("abcdefg", thorough=True) == [] and len(reads) == 7
    assert ledger.check("abcdefg", thorough=True) == [] and len(reads) == 7, "once is enough"


def test_of_parts_that_lie_otherwise_each_is_read(several):
    store, ledger, reads = several
    damage(store, "cells/c.parquet")
    store.delete("cells/e.parquet")
    store.put("cells/f.parquet", store.get("cells/f.parquet"))  # the same bytes, written again
    reads.clear()
    assert [entry.items for entry in ledger.check("abcdefg")] == [("c",), ("e",)]
    assert {*reads} <= {"cells/c.parquet", "cells/e.parquet", "cells/f.parquet"}


def test_a_flip_that_no_listing_shows_is_noticed_before_anything_is_made_of_it(several):
    store, ledger, _ = several
    if not store.folder():
        pytest.skip("a bucket makes the e_tag of the bytes")
    path = store.folder() / "cells" / "b.parquet"
    before, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ledger.check("abcdefg") == []
    with pytest.raises(CorruptPart, match="b.parquet"):
        ledger.table("b")
    assert [entry.items for entry in ledger.check("abcdefg", thorough=True)] == [("b",)]


def test_a_part_that_is_gone_is_noticed(store):
    ledger = Ledger(store)
    entry = commit(store, ledger, Part("models/m.safetensors", ("m",), WEIGHTS))
    ledger.flush()
    store.set_aside(entry.path)
    again = Ledger(store)
    assert again.check(["m"]) == [entry]
    again.set_aside(entry)
    assert not again.entries


def test_parts_committed_but_not_noted_are_adopted_and_damaged_ones_named(store):
    whole = encode(Part("", ("a", "b", "c"), TABLE))
    store.put_new(path := bundle("nulls", ("a", "b", "c"), TABLE).path, whole)
    store.put_new("nulls/cut.parquet", whole[:-10])
    ledger = Ledger(store)
    whole, damaged = ledger.orphans("nulls")
    assert damaged == ["nulls/cut.parquet"]
    ledger.add(whole)
    assert {item: entry.path for item, entry in ledger.entries.items()} == dict.fromkeys("abc", path)
    assert ledger.orphans("nulls") == ([], ["nulls/cut.parquet"])


@pytest.mark.parametrize("path", ["models/m.safetensors", "nulls/m.parquet"])
def test_no_flipped_byte_of_a_part_that_was_not_noted_is_adopted(store, path):
    """Wherever it is: in a tensor, in a header or in the seal; of a big part, in a hundred places."""
    data = encode(Part(path, ("m",), WEIGHTS if path.startswith("models") else TABLE))
    assert is_whole(data)
    for place in range(0, len(data), 1 + len(data) // 400):
        flipped = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        assert not is_whole(flipped), place
    store.put_new(path, data)
    store.put_new(path + "x", data[:-1])
    store.put_new(path.replace("m.", "n."), data[:-1] + bytes([data[-1] ^ 1]))
    whole, damaged = Ledger(store).orphans(path.split("/")[0])
    assert [(entry.path, entry.items) for entry in whole] == [(path, ("m",))]
    assert damaged == sorted([path + "x", path.replace("m.", "n.")])


def test_a_sealed_model_is_the_model(tmp_path):
    sealed = encode(Part("models/m.safetensors", ("m",), WEIGHTS))
    assert safetensors.numpy.load(sealed)["w"].tolist() == [0.0, 1.0, 2.0]
    with open(tmp_path / "m", "wb") as file:
        file.write(sealed)
    with safetensors.safe_open(tmp_path / "m", "numpy") as opened:
        assert opened.metadata()["about"] == "a model"
    with pytest.raises(ValueError, match="seal"):
        items_of("models/m.safetensors", WEIGHTS)


def test_why_an_item_failed_is_remembered_until_it_succeeds(store):
    ledger = Ledger(store)
    failure = Failure(("a", "b"), "cells: 50 GeV", "ValueError: no root")
    ledger.add([failure])
    ledger.flush()
    again = Ledger(store)
    assert again.failures == {"a": failure, "b": failure} and not again.entries
    commit(store, again, Part("cells/one.parquet", ("a",), TABLE))
    again.flush()
    assert set(Ledger(store).failures) == {"b"}


def test_a_part_without_our_metadata_is_damaged(store):
    sink = io.BytesIO()
    pq.write_table(TABLE, sink)
    store.put_new("cells/foreign.parquet", sink.getvalue())
    assert Ledger(store).orphans("cells") == ([], ["cells/foreign.parquet"])


@pytest.mark.parametrize("content", [b'{"path": "x", "sha2', b"[1]", b'{"path": "x"}', b"\xff\xfe"])
def test_an_unreadable_segment_is_named_and_the_rest_is_read(store, content):
    ledger = Ledger(store)
    commit(store, ledger, Part("nulls/one.parquet", ("a", "b", "c"), TABLE))
    ledger.flush()
    store.put("ledger/broken.jsonl", content)
    again = Ledger(store)
    assert again.unreadable == ["ledger/broken.jsonl"]
    assert set(again.entries) == {"a", "b", "c"}


def test_a_superseded_part_is_no_orphan(store):
    ledger = Ledger(store)
    commit(store, ledger, Part("nulls/one.parquet", ("a", "b"), TABLE))
    commit(store, ledger, Part("nulls/two.parquet", ("a",), TABLE))
    commit(store, ledger, Part("nulls/three.parquet", ("b",), TABLE))
    ledger.flush()
    assert Ledger(store).orphans("nulls") == ([], [])


def test_a_folder_is_the_same_from_another_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store("here")
    store.put_new("a", b"1")
    data = pickle.dumps(store)
    monkeypatch.chdir("/")
    assert pickle.loads(data).get("a") == b"1"


def test_equal_content_is_equal_bytes():
    assert encode(Part("p", ("a",), TABLE)) == encode(Part("q", ("a",), TABLE))
    assert json.loads(decode(encode(Part("p", ("a",), TABLE))).schema.metadata[ITEMS]) == ["a"]


@pytest.mark.parametrize("uri", ["memory://", "ftp://host/x", "/dev/null/store"])
def test_unusable_stores_are_one_clear_line(uri):
    with pytest.raises(StoreError, match="store") as error:
        Store(uri).check_writable()
    assert "\n" not in str(error.value)


def test_a_bucket_that_does_not_exist_is_one_clear_line(bucket):
    with pytest.raises(StoreError, match="nowhere") as error:
        Store("s3://nowhere/x").check_writable()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("what", ["folder", "link"])
def test_what_is_no_file_in_the_place_of_a_part_is_set_aside(tmp_path, what):
    store, place = Store(str(tmp_path)), tmp_path / "cells" / "x"
    place.parent.mkdir()
    place.mkdir() if what == "folder" else place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        store.get("cells/x")
    store.put_new("cells/x", b"right")
    assert store.get("cells/x") == b"right"
    assert len(list((tmp_path / "aside" / "cells").iterdir())) == 1


def test_a_folder_in_the_place_of_what_may_be_written_again_is_set_aside(tmp_path):
    store = Store(str(tmp_path / "store"))
    (tmp_path / "store" / "figures" / "a.png" / "inside").mkdir(parents=True)
    store.put("figures/a.png", b"drawn")
    assert store.get("figures/a.png") == b"drawn"
    assert [path.is_dir() for path in (tmp_path / "store" / "aside" / "figures").iterdir()] == [True]
