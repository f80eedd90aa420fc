"""What lies beside the parts says what it is, and proves that it is whole."""

import json
from dataclasses import asdict, dataclass

import pytest

from engine.run.request import Request
from engine.store import sealed
from engine.store.heartbeat import Owner
from engine.store.store import Store
from engine.store.timings import Timing

PLAN = Request({"seed": 1, "grid": {"m_chi_GeV": [1e-46, 200.0]}}, {"cells": ["a", "b"]})


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path))


def test_what_was_kept_is_there_again_and_says_what_it_is(store):
    store.keep("plans/x.json", PLAN)
    assert store.kept("plans/x.json", Request) == PLAN
    written = json.loads(store.get("plans/x.json"))
    assert (written["schema"], written["version"], written["content"]) == ("request", 1, asdict(PLAN))
    assert store.kept("plans/none.json", Request) is None


@pytest.mark.parametrize("data", [sealed.dumped(PLAN), sealed.sealed("request", b"a\nb", lines=True)])
def test_no_flipped_bit_and_no_cut_goes_unnoticed(data):
    for place in range(len(data)):
        for other in (data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], data[:place]):
            with pytest.raises(ValueError):
                if sealed.unsealed("request", other)[0]:
                    raise AssertionError(other)
                sealed.parsed(Request, other)


def test_what_was_written_before_there_were_seals_is_read(store):
    store.put("timings/x.json", json.dumps({"training_s": 2.0, "scored_per_s": 3.0}).encode())
    assert store.kept("timings/x.json", Timing) == Timing(2.0, 3.0)


def test_fields_of_a_newer_version_are_passed_over_and_one_that_lacks_is_named(store, monkeypatch, capsys):
    @dataclass
    class Timing:
        training_s: float
        scored_per_s: float
        epochs: int

    monkeypatch.setattr(sealed, "VERSION", 2)
    store.keep("timings/x.json", Timing(1.0, 2.0, 3))
    store.keep("drivers/x.json", type("Owner", (Timing,), {})(1.0, 2.0, 3))
    monkeypatch.setattr(sealed, "VERSION", 1)
    assert store.kept("timings/x.json", globals()["Timing"]) == globals()["Timing"](1.0, 2.0)
    assert store.kept("drivers/x.json", Owner) is None
    assert "it is of version 2, and 1 is read here: host: Field required" in capsys.readouterr().err


DAMAGED = [
    b"", b"{", b"null", b"[]", b"\xff\xfe", b"\x00" * 40, b"[" * 100_000, b'{"a":' * 5_000, b"1" * 5_000, b"NaN",
    b'{"training_s": "many"}', b'{"training_s": [1]}', b'{"training_s": {"training_s": 1}}',
    sealed.dumped(PLAN), sealed.dumped(Timing(1.0, 2.0))[:-1] + b"?",
]  # fmt: skip


@pytest.mark.parametrize("data", DAMAGED, ids=range(len(DAMAGED)))
def test_what_is_damaged_is_one_note_and_left_out(store, data, capsys):
    store.put("timings/x.json", data)
    assert store.kept("timings/x.json", Timing) is None
    said = capsys.readouterr().err
    assert said.startswith("note: timings/x.json is left out: ") and said.count("\n") == 1 and len(said) < 400


def test_a_folder_or_a_link_in_its_place_is_left_out_and_written_over(store, tmp_path):
    (tmp_path / "timings" / "folder.json").mkdir(parents=True)
    (tmp_path / "timings" / "link.json").symlink_to(tmp_path.parent / "nowhere")
    for name in ("folder", "link"):
        assert store.kept(f"timings/{name}.json", Timing) is None
        store.keep(f"timings/{name}.json", Timing(1.0))
        assert store.kept(f"timings/{name}.json", Timing) == Timing(1.0)
    assert not (tmp_path.parent / "nowhere").exists()
