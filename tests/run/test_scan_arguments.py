"""`engine.scan` takes a study and a store in every form that a notebook has them in."""

import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from studies import PAIRS

import engine
from engine import study
from engine.errors import BadInput
from engine.report import scan
from engine.run import comparison, pipeline
from engine.store.store import Store


@pytest.fixture
def asked(monkeypatch):
    """What a scan would be run with."""
    calls = []

    def run(study, store, **options):
        calls.append((study, store.uri, options))
        return SimpleNamespace(table=None)

    monkeypatch.setattr(pipeline, "run", run)
    monkeypatch.setattr(scan, "keep", lambda *_, **options: scan.Kept({}, "", ""))
    return calls


def test_a_study_is_a_path_a_name_a_dictionary_or_parsed(asked, tiny, tmp_path):
    whole = study.load(tiny)
    for one in (tiny, str(tiny), tomllib.loads(tiny.read_text()), whole):
        engine.scan(one, tmp_path / "store", workers=0)
        engine.scan(one, str(tmp_path / "store"), workers=0)
        engine.scan(one, Store(tmp_path / "store"), workers=0)
    assert {uri for _, uri, _ in asked} == {str(tmp_path / "store")}
    assert all(parsed == whole for parsed, _, _ in asked)
    assert [options.get("name") for _, _, options in asked] == ["tiny"] * 6 + [None] * 6


def test_of_a_comparison_it_is_the_ranking(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "run", lambda study, store, workers: SimpleNamespace(ranking=study.ranking))
    monkeypatch.setattr(scan, "keep_comparison", lambda *_: scan.Kept({}, "", ""))
    assert engine.scan(PAIRS, tmp_path / "store", workers=0) == study.load(PAIRS).ranking and not asked


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"workers": "2"}, "workers = '2': expected an integer"), ({"workers": -1}, "workers = -1"),
        ({"workers": 2.0}, "workers = 2.0"), ({"workers": True}, "workers = True: expected an integer, 0 to 1024"),
        ({"workers": 10**9}, "workers = 1000000000"), ({"worker": 2}, "'worker'; did you mean 'workers'"),
        ({"progress": True}, "progress = True: expected a reporter"), ({"address": 5}, "address = 5: expected"),
        ({"name": None}, "name = None: expected a name"),
        ({"study": {"seed": 1}}, "grid: required"),
        ({"study": 3}, "study: 3 is none"), ({"study": None}, "None is none"),
        ({"study": Path("no.toml")}, "'no.toml'"), ({"store": 3}, "the store 3 is no folder"),
        ({"store": ""}, "the store '' is no folder"),
        ({"store": Path("s3:/bucket/x")}, "s3://bucket/x"), ({"store": "a\0b"}, "no folder"),
    ],
)  # fmt: skip
def test_anything_else_is_one_line(asked, tiny, tmp_path, arguments, said):
    with pytest.raises(BadInput, match=said):
        engine.scan(**{"study": tiny, "store": tmp_path / "store"} | arguments)
    assert not asked


def test_a_preset_is_of_a_study_that_is_not_yet_parsed():
    with pytest.raises(BadInput, match="unknown preset 'small'"):
        engine.scan("quickstart", preset="small")
    with pytest.raises(BadInput, match="parsed already"):
        engine.scan(study.load("quickstart"), preset="small")
