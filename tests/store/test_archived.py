"""A store as it was written: it must keep opening, and what has no new version is not made again."""

import tarfile
from pathlib import Path

import pytest

from engine import stages
from engine.run import pipeline, request, status
from engine.store.store import Ledger, Store
from engine.study import load

STORES = Path(__file__).parents[1] / "stores"
STUDY = str(STORES / "archived.toml")


@pytest.fixture
def archived(tmp_path) -> Store:
    with tarfile.open(STORES / "archived.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    return Store(str(tmp_path))


def raised(store: Store) -> set[str]:
    """The stages whose version is another one now."""
    then = request.last(store, "archived").fields["version"]
    return {stage.NAME for stage in stages.STAGES if then.get(stage.NAME) != stage.VERSION}


def test_every_part_verifies_and_reads(archived):
    ledger = Ledger(archived)
    assert not ledger.unreadable and not ledger.check(list(ledger.entries))
    kept = request.last(archived, "archived")
    tables = [item for item in kept.items["tables"] if item in ledger.entries]
    assert tables and all(ledger.table(item).num_rows for item in tables)


def test_what_has_no_new_version_is_there(archived):
    changed = raised(archived)
    if not changed:
        outcome = pipeline.finished(load(STUDY), archived)
        assert outcome is not None and outcome.table.num_rows == 3
    found = status.status(load(STUDY), archived, "archived")
    first = [name for name in found.by_stage if name in changed]
    untouched = list(found.by_stage)[: list(found.by_stage).index(first[0])] if first else list(found.by_stage)
    assert all(found.by_stage[name].done == found.by_stage[name].of for name in untouched)
    assert not found.corrupt
