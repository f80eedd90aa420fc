"""An archive of parts: taken in whole by another store, or refused in one line before anything is written."""

import io
import tarfile

import numpy as np
import pyarrow as pa
import pytest
from damage import flip
from safetensors.numpy import save

from engine.errors import BadInput, CorruptPart
from engine.store import archive, sealed
from engine.store.parts import Entry, Part, sha256
from engine.store.store import Ledger, Store
from engine.store.units import commit

FOLDERS = ("models", "scores")
ITEMS = ("0" * 24, "1" * 24)


@pytest.fixture
def made(tmp_path):
    """A store with a fit and a score, and the archive of both."""
    store = Store(str(tmp_path / "a"))
    ledger = Ledger(store)
    ledger.add(commit(store, [
        Part(f"models/{ITEMS[0]}.safetensors", ITEMS[:1], save({"w": np.ones(3)})),
        Part(f"scores/{ITEMS[1]}.parquet", ITEMS[1:], pa.table({"logit": [0.5, 1.5]})),
    ]))  # fmt: skip
    ledger.flush()
    to = tmp_path / "fits.tar"
    archive.pack(store, ledger, ITEMS, "mine", "0.1.0", to)
    return store, to


def members(path) -> list[tuple[str, bytes]]:
    with tarfile.open(path) as tar:
        return [(one.name, tar.extractfile(one).read()) for one in tar]


def write(path, parts, kind=tarfile.REGTYPE):
    with tarfile.open(path, "w:") as tar:
        for name, data in parts:
            member = tarfile.TarInfo(name)
            member.size, member.type = len(data), kind if name != archive.LIST else tarfile.REGTYPE
            tar.addfile(member, io.BytesIO(data))


def listing(entries, study="mine"):
    return archive.LIST, sealed.dumped(archive.Archive(study, "0.1.0", tuple(entries)))


def refused(path, tmp_path) -> str:
    with pytest.raises(BadInput) as error:
        archive.unpack(path, str(tmp_path / "b"), FOLDERS)
    assert not (tmp_path / "b").exists(), "nothing is written before all of it is verified"
    assert "\n" not in str(error.value) and "is no whole archive of recoilscan" in str(error.value)
    return str(error.value)


def test_another_store_has_the_same_parts_and_knows_them(made, tmp_path):
    store, to = made
    listed, new = archive.unpack(to, str(tmp_path / "b"), FOLDERS)
    other = Store(str(tmp_path / "b"))
    assert (listed.study, listed.version, new) == ("mine", "0.1.0", 2)
    assert Ledger(other).entries == Ledger(store).entries and len(Ledger(other).entries) == 2
    assert all(other.get(entry.path) == store.get(entry.path) for entry in listed.parts)


def test_to_take_it_in_again_adds_nothing(made, tmp_path):
    _, to = made
    archive.unpack(to, str(tmp_path / "b"), FOLDERS)
    before = {path: path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file()}
    assert archive.unpack(to, str(tmp_path / "b"), FOLDERS)[1] == 0
    assert before == {path: path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file()}


def test_a_damaged_part_in_the_other_store_is_replaced(made, tmp_path):
    store, to = made
    listed, _ = archive.unpack(to, str(tmp_path / "b"), FOLDERS)
    flip(tmp_path / "b" / listed.parts[0].path)
    archive.unpack(to, str(tmp_path / "b"), FOLDERS)
    assert Store(str(tmp_path / "b")).get(listed.parts[0].path) == store.get(listed.parts[0].path)
    assert len(list((tmp_path / "b" / "aside").rglob("*.safetensors.*"))) == 1


def test_the_same_parts_give_the_same_bytes(made, tmp_path):
    store, to = made
    archive.pack(store, Ledger(store), reversed(ITEMS), "mine", "0.1.0", tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == to.read_bytes()


@pytest.mark.parametrize("share", np.linspace(0, 0.6, 40))
def test_a_flipped_bit_is_refused_wherever_something_is_said(made, tmp_path, share):
    """Of a bit in what fills a block of the tar, nothing follows: the parts are then taken as they are."""
    store, to = made
    flip(to, share)
    try:
        listed, _ = archive.unpack(to, str(tmp_path / "b"), FOLDERS)
    except BadInput:
        refused(to, tmp_path)
    else:
        other = Store(str(tmp_path / "b"))
        assert {entry.path: other.get(entry.path) for entry in listed.parts} == {
            entry.path: store.get(entry.path) for entry in Ledger(store).entries.values()
        }


@pytest.mark.parametrize("n_bytes", [0, 100, 700, 1500, 2500])
def test_one_that_was_cut_is_refused(made, tmp_path, n_bytes):
    _, to = made
    to.write_bytes(to.read_bytes()[:n_bytes])
    refused(to, tmp_path)


def test_what_is_no_archive_is_refused(made, tmp_path):
    _, to = made
    (tmp_path / "text").write_text("hello")
    refused(tmp_path / "text", tmp_path)
    write(tmp_path / "other.tar", [("setup.py", b"print()")])
    assert "does not begin with archive.json" in refused(tmp_path / "other.tar", tmp_path)
    for name in ("absent", "."):
        with pytest.raises(BadInput, match="no such file|is a folder, no file"):
            archive.unpack(tmp_path / name, str(tmp_path / "b"), FOLDERS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda parts: [parts[0], parts[2], parts[1]], "is not where its list has it"),
        (lambda parts: parts[:2], "is not where its list has it"),
        (lambda parts: [*parts, ("models/more.safetensors", b"x")], "is not in its list"),
        (lambda parts: [parts[0], (parts[1][0], parts[2][1]), parts[2]], "does not verify"),
        (lambda parts: [(archive.LIST, parts[0][1].replace(b'"mine"', b'"ours"')), *parts[1:]], "seal does not fit"),
        (lambda parts: [(archive.LIST, parts[0][1].partition(b'"content": ')[2][:-1]), *parts[1:]], "has no seal"),
    ],
)  # fmt: skip
def test_one_that_was_changed_is_refused(made, tmp_path, change, said):
    _, to = made
    write(to, change(members(to)))
    assert said in refused(to, tmp_path)


@pytest.mark.parametrize("name", ["models/../../out", "/out", "observed/x.parquet", "ledger/x.jsonl", "models/a/b"])
def test_nothing_leaves_the_folders_of_fits_and_scores(made, tmp_path, name):
    """Even where the list names it, and its seal is right: whoever can write an archive can seal it."""
    _, to = made
    data = members(to)[2][1]
    write(to, [listing([Entry(name, sha256(data), ITEMS[1:])]), (name, data)])
    assert "is no part of models, scores" in refused(to, tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_part_must_be_what_its_name_says(made, tmp_path):
    """A list that is sealed anew over a part that is not the item it is called after."""
    _, to = made
    data, name = members(to)[2][1], f"scores/{'2' * 24}.parquet"
    write(to, [listing([Entry(name, sha256(data), ("2" * 24,))]), (name, data)])
    assert "its name is not that of its items" in refused(to, tmp_path)


def test_a_link_is_no_part(made, tmp_path):
    _, to = made
    (_, data), *parts = members(to)
    write(to, [(archive.LIST, data), *((name, b"") for name, _ in parts)], kind=tarfile.SYMTYPE)
    assert "is no plain file" in refused(to, tmp_path)


def test_a_damaged_part_is_not_packed(made, tmp_path):
    store, _ = made
    flip(tmp_path / "a" / f"models/{ITEMS[0]}.safetensors")
    with pytest.raises(CorruptPart):
        archive.pack(store, Ledger(store), ITEMS, "mine", "0.1.0", tmp_path / "new.tar")
    assert not list(tmp_path.glob("new.tar*"))
