"""A store in which anything may lie: it is set aside or passed over, and nothing outside the store is touched."""

import io
import json
import os
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy

from engine.store import sealed
from engine.store.parts import SEAL, Entry, Part, _closed, encode, items_of, sha256
from engine.store.store import CorruptPart, Ledger, Store

TABLE = pa.table({"item": ["a"], "x": [1.0]})
WEIGHTS = {name: safetensors.numpy.save({"w": np.full(3, value)}) for name, value in (("a", 1.0), ("b", 2.0))}
GOOD = Entry("cells/a.parquet", "0" * 64, ("a",))


def line(**changed) -> bytes:
    return json.dumps({"path": GOOD.path, "sha256": GOOD.sha256, "items": GOOD.items} | changed).encode()


ODD = {
    "up": line(path="../outside.parquet"), "up within": line(path="cells/../../outside.parquet"),
    "dots": line(path="cells/.."), "absolute": line(path="/etc/hostname"), "drive": line(path="C:\\x"),
    "nul": line(path="cells/a\0.parquet"), "newline": line(path="cells/a\n.parquet"), "empty": line(path=""),
    "escape": line(path="cells/\x1b[2J.parquet"), "folder": line(path="cells/"), "url": line(path="s3://b/x"),
    "a number": line(path=1), "a list": line(path=["cells/a.parquet"]), "no items": line(items=None),
    "text for items": line(items="abc"), "numbers for items": line(items=[1, 2]), "nested": line(items=[["a"]]),
    "items that are no digests": line(items=["../a"]), "item with nul": line(items=["a\0"]),
    "item with a way out": line(items=["a/../b"]), "no object": b'"cells"', "deep": b"[" * 100_000, "null": b"null",
    "a huge number": b"1" * 10_000, "binary": bytes(range(256)), "half": line()[:-3], "nothing said": b"{}",
}  # fmt: skip


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def folder(store):
    return store.folder()


@pytest.mark.parametrize("with_seal", [True, False])
@pytest.mark.parametrize("name", ODD)
def test_a_segment_of_odd_lines_is_unreadable_and_the_part_is_adopted_anew(store, tmp_path, name, with_seal):
    (tmp_path / "outside.parquet").write_bytes(b"mine")
    store.put_new("cells/a.parquet", encode(Part("cells/a.parquet", ("a",), TABLE)))
    store.put("ledger/1.jsonl", sealed.sealed("ledger", ODD[name], lines=True) if with_seal else ODD[name])
    ledger = Ledger(store)
    assert ledger.unreadable == ["ledger/1.jsonl"] and not ledger.entries
    whole, damaged = ledger.orphans("cells")
    assert [entry.items for entry in whole] == [("a",)] and not damaged
    assert (tmp_path / "outside.parquet").read_bytes() == b"mine"


def test_a_key_that_stands_twice_and_one_too_many_do_no_harm(store):
    data = encode(Part("cells/a.parquet", ("a",), TABLE))
    store.put_new("cells/a.parquet", data)
    twice = b'{"path": "cells/x.parquet", ' + line(sha256=sha256(data), more={"a": 1})[1:]
    store.put("ledger/1.jsonl", sealed.sealed("ledger", twice, lines=True))
    assert Ledger(store).table("a")["x"].to_pylist() == [1.0]


def test_a_flipped_bit_of_a_segment_is_noticed(store):
    data = sealed.sealed("ledger", line(), lines=True)
    for place in range(len(data)):
        store.put("ledger/1.jsonl", data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert Ledger(store).unreadable, place


def test_why_something_failed_does_nothing_to_a_terminal(store):
    failed = json.dumps({"items": ["a"], "name": "x\x1b[2J", "reason": "OSError: http://u:secret@h\x07"})
    store.put("ledger/1.jsonl", failed.encode())
    failure = Ledger(store).failures["a"]
    assert (failure.name, failure.reason) == (r"x\x1b[2J", r"OSError: http://u:***@h\x07")


def folder_in_place(path):
    path.mkdir()
    (path / "inner").write_text("x")


def no_link(path):
    path.symlink_to(path.parent.parent.parent / "nowhere")


@pytest.mark.parametrize("lay", [os.mkdir, folder_in_place, no_link])
@pytest.mark.parametrize("noted", [True, False])
def test_a_folder_or_a_link_in_the_place_of_a_part_is_set_aside_and_the_part_made_again(store, folder, lay, noted):
    data, path = encode(Part("cells/a.parquet", ("a",), TABLE)), folder / "cells" / "a.parquet"
    path.parent.mkdir(parents=True)
    lay(path)
    ledger = Ledger(store)
    entry = Entry("cells/a.parquet", sha256(data), ("a",))
    if noted:
        ledger.add([entry])
        ledger.flush()
        ledger = Ledger(store)
        with pytest.raises(CorruptPart):
            ledger.read("a")
        assert ledger.check(["a"]) == [entry]
    whole, _ = ledger.orphans("cells")
    assert not whole
    store.put_new("cells/a.parquet", data)
    assert store.get("cells/a.parquet") == data
    assert not (folder.parent / "nowhere").exists() and os.listdir(folder / "aside" / "cells")


@pytest.mark.parametrize("lay", [os.mkdir, folder_in_place, no_link])
def test_a_folder_or_a_link_in_the_place_of_a_segment_stops_nothing(store, folder, lay):
    (folder / "ledger").mkdir(parents=True)
    lay(folder / "ledger" / "1.jsonl")
    store.put("ledger/2.jsonl", sealed.sealed("ledger", line(), lines=True))
    assert set(Ledger(store).entries) == {"a"}


@pytest.fixture
def nobody(tmp_path_factory):
    """As a user who may read nothing of another's, in a folder of their own."""
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        if os.geteuid() == 0:
            os.chown(place, 65534, 65534)
            os.seteuid(65534)
            yield place
            os.seteuid(0)
        else:
            yield place


def test_what_may_not_be_read_is_made_again(nobody):
    store = Store(nobody)
    data = encode(Part("cells/a.parquet", ("a",), TABLE))
    for path in ("cells/a.parquet", "ledger/1.jsonl", "plans/x.json"):
        store.put(path, data)
        os.chmod(f"{nobody}/{path}", 0)
    ledger = Ledger(store)
    assert ledger.unreadable == ["ledger/1.jsonl"]
    assert ledger.orphans("cells") == ([], ["cells/a.parquet"])
    store.put_new("cells/a.parquet", data)
    assert store.get("cells/a.parquet") == data
    assert store.kept("plans/x.json", Entry) is None


def header(text: bytes, length: int | None = None) -> bytes:
    return (len(text) if length is None else length).to_bytes(8, "little") + text


def with_seal(header_text: bytes) -> bytes:
    """A file whose seal fits, as who knows the format can make it."""
    return _closed(header(header_text) + b'{"recoilscan.sha256":"sha256:' + b"0" * 64 + b'"}')


def zipped() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb", bytes(10_000_000))
    return sink.getvalue()


def foreign_parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"x": [[[[[1]]]]]}), sink)
    return sink.getvalue()


MALICIOUS = {
    "length of 2^63": header(b"{}", 2**63), "length of 2^64 - 1": header(b"{}", 2**64 - 1),
    "deep": header(b"[" * 10**5),
    "overlap": header(b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]},"b":{"dtype":"F32","shape":[9],'
                      b'"data_offsets":[4,40]}}') + bytes(40),
    "zip": zipped(), "magic": b"PAR1" + bytes(100) + b"PAR1", "parquet": foreign_parquet(), "short": b"\x01",
    "sealed, deep": with_seal(b"[" * 10**5), "sealed, no metadata": with_seal(b"{}"),
    "sealed, odd metadata": with_seal(b'{"__metadata__":{"recoilscan.items":3}}'),
    "sealed, nested": with_seal(b'{"__metadata__":{"recoilscan.items":"[[1]]"}}'),
    "sealed, another's name": with_seal(b'{"__metadata__":{"recoilscan.items":"[\\"other\\"]"}}'),
}  # fmt: skip


@pytest.mark.parametrize("name", MALICIOUS)
@pytest.mark.parametrize("ending", ["safetensors", "parquet"])
def test_a_malicious_file_is_no_part(store, name, ending):
    path = f"models/x.{ending}"
    with pytest.raises(ValueError, match=rf"^models/x.{ending}: ") as refused:
        items_of(path, MALICIOUS[name])
    assert len(str(refused.value)) < 200
    store.put_new(path, MALICIOUS[name])
    assert Ledger(store).orphans("models") == ([], [path])


def swapped(store, ending, contents) -> None:
    one, two = (encode(Part(f"models/{item}.{ending}", (item,), contents[item])) for item in "ab")
    store.put_new(f"models/a.{ending}", two)
    store.put_new(f"models/b.{ending}", one)


def test_two_models_that_changed_places_are_not_adopted(store):
    swapped(store, "safetensors", WEIGHTS)
    assert Ledger(store).orphans("models") == ([], ["models/a.safetensors", "models/b.safetensors"])


def test_two_tables_that_changed_places_are_not_adopted(store):
    swapped(store, "parquet", {"a": TABLE, "b": TABLE})
    assert Ledger(store).orphans("models") == ([], ["models/a.parquet", "models/b.parquet"])


def test_a_model_that_does_not_say_whose_it_is_is_read_with_a_ledger_and_not_adopted_without(store):
    opened = safetensors.numpy.save({"w": np.ones(3)}, metadata={SEAL: "sha256:" + "0" * 64})
    data = _closed(opened)
    store.put_new("models/a.safetensors", data)
    assert Ledger(store).orphans("models") == ([], ["models/a.safetensors"])
    ledger = Ledger(store)
    ledger.add([Entry("models/a.safetensors", sha256(data), ("a",))])
    assert safetensors.numpy.load(ledger.read("a"))["w"].tolist() == [1.0] * 3 and not ledger.check(["a"])
