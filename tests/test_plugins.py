"""A choice is known by its text: a user's file, or a module named by its dotted path."""

import sys
from pathlib import Path

import pytest
from studies import TINY

from engine import plugins, study
from engine.errors import BadInput
from engine.plan.plan import Plan

PACKAGE = "engine.inference.teststats"
COUNT = (Path(plugins.load(PACKAGE, "count").__file__)).read_text()


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes a module `pkg.mystat` of the user's own, as a process that starts now would import it."""
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    def write(text: str) -> Path:
        path = tmp_path / "pkg" / "mystat.py"
        path.write_text(text)
        for name in ("pkg", "pkg.mystat"):
            sys.modules.pop(name, None)
        plugins._imported.clear()
        return path

    yield write
    for name in ("pkg", "pkg.mystat"):
        sys.modules.pop(name, None)
    plugins._imported.clear()


def items(statistic: str) -> tuple[set[str], set[str]]:
    plan = Plan(study.load(str(TINY), (f"toys.statistics=['{statistic}']", "toys.exact=none")))
    return set(plan.cells), set(plan.nulls)


def test_an_edit_to_a_module_makes_new_cells(own):
    own(COUNT)
    before = items("pkg.mystat")
    own(COUNT)
    assert items("pkg.mystat") == before
    own(COUNT + "\n# another law\n")
    assert all(a.isdisjoint(b) for a, b in zip(items("pkg.mystat"), before, strict=True))


def test_an_edit_that_this_process_does_not_know_is_refused(own):
    path = own(COUNT)
    items("pkg.mystat")
    path.write_text(COUNT + "\n# another law\n")
    with pytest.raises(BadInput, match="'pkg.mystat' was edited after this process imported it"):
        items("pkg.mystat")


def test_a_module_without_source_is_no_choice():
    with pytest.raises(BadInput, match="'sys' has no source file"):
        plugins.identity(PACKAGE, "sys")


def test_a_file_is_executed_once_and_again_when_it_changed(tmp_path):
    log, path = tmp_path / "log.txt", tmp_path / "mystat.py"
    path.write_text(f"with open({str(log)!r}, 'a') as log: log.write('x')\n{COUNT}")
    first = plugins.load(PACKAGE, str(path))
    assert plugins.load(PACKAGE, str(path)) is first and log.read_text() == "x"
    path.write_text(path.read_text() + "\n# again\n")
    assert plugins.load(PACKAGE, str(path)) is not first and log.read_text() == "xx"


def test_words_that_no_number_follows_from_make_nothing_anew():
    plain, told = (Plan(study.load(str(TINY), more)) for more in ((), ("tuned_on='the hand that wrote it'",)))
    assert set(told.cells) == set(plain.cells) and set(told.exact) == set(plain.exact)
    assert told.table != plain.table


@pytest.mark.parametrize(
    ("text", "said"), [("1 / 0", "ZeroDivisionError"), ("def", "SyntaxError"), ("\0", "SyntaxError|ValueError")]
)
def test_a_text_that_fails_is_one_line(own, tmp_path, text, said):
    (tmp_path / "mine.py").write_text(text)
    own(text)
    for name in (str(tmp_path / "mine.py"), "pkg.mystat"):
        with pytest.raises(BadInput, match=f"cannot import .*({said})") as error:
            plugins.load(PACKAGE, name)
        assert "\n" not in str(error.value)
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(BadInput, match="is a folder"):
        plugins.load(PACKAGE, str(tmp_path / "folder.py"))
