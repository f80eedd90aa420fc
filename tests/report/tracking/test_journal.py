"""The journal holds the time of the stages that had work, a page a pass, and where they ran."""

import pytest

from engine.progress import Silent
from engine.report.tracking.journal import Journal, environment, in_words, pages
from engine.store.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(str(tmp_path))


def a_pass(store, *stages: tuple[str, int, int]) -> None:
    journal = Journal(Silent(), store, "table")
    for name, total, reused in stages:
        journal.stage(name, total, reused)
        journal.advance(total - reused)
        journal.done()


def test_a_page_a_pass_with_the_stages_that_had_work(store):
    a_pass(store, ("events", 2, 0), ("models", 2, 2))
    a_pass(store, ("events", 2, 2), ("models", 2, 1))
    first, second = pages(store, "table")
    assert list(first.seconds) == ["events"] and list(second.seconds) == ["models"]
    assert first.began_s < second.began_s and first.environment == environment()


def test_a_pass_without_work_leaves_no_page(store):
    a_pass(store, ("events", 2, 2))
    assert pages(store, "table") == []


def test_a_pass_that_dies_keeps_the_stages_that_ended(store):
    journal = Journal(Silent(), store, "table")
    journal.stage("events", 2, 0)
    journal.done()
    journal.stage("models", 2, 0)
    (page,) = pages(store, "table")
    assert list(page.seconds) == ["events"]


def test_another_scan_has_pages_of_its_own(store):
    a_pass(store, ("events", 2, 0))
    assert pages(store, "tab") == []


def test_what_is_reported_is_passed_on(store):
    class Noted(Silent):
        def __init__(self):
            self.said = []

        def stage(self, *about):
            self.said.append(about)

        def advance(self, n_items):
            self.said.append(n_items)

        def note(self, line):
            self.said.append(line)

    noted = Noted()
    journal = Journal(noted, store, "table")
    journal.stage("events", 2, 0)
    journal.advance(1)
    journal.note("a line")
    assert noted.said == [("events", 2, 0), 1, "a line"]


def test_the_environment_names_versions_and_the_processor():
    found = environment()
    assert {"version.ray", "version.torch", "version.nestpy", "version.numpy", "version.recoilscan"} <= found.keys()
    said = in_words(found)
    assert set(said) == {"versions", "machine"} and f"torch {found['version.torch']}" in said["versions"]
    assert found["cpu"] and found["cpu"] in said["machine"]
    assert int(found["cpus"]) >= 1 and found["python"].startswith("3.")
