"""A choice is known by its text: a user's file, or a module named by its dotted path."""

import sys
from pathlib import Path

import pytest
from studies import TINY

from engine import plugins, study
from engine.errors import BadInput
from engine.inference.teststats import CONTRACT
from engine.plan.plan import Plan

PACKAGE = "engine.inference.teststats"
OWN = """
ADDITIVE = True
EXACT = False
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = True
MODEL_DEPENDENT = False
NEEDS = ()


def prepare(null, options):
    raise NotImplementedError
"""
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


def naming(path: Path, folder: Path) -> Path:
    """The small study, with a statistic of one's own."""
    mine = folder / "mine.toml"
    said = f"[toys]\nstatistics = ['mine']\noptions.mine.statistic = '{path}'"
    mine.write_text(TINY.read_text().replace("[toys]", said))
    return mine


def test_what_a_files_text_says_is_read_and_not_executed(tmp_path, run_here):
    touched, path = tmp_path / "touched", tmp_path / "mystat.py"
    path.write_text(f"from pathlib import Path\nPath({str(touched)!r}).write_text('')\n{OWN}")
    mine = naming(path, tmp_path)
    assert "cells" in run_here("status", mine).stdout
    assert "objects" in run_here("gc", mine).stdout
    assert "quickstart" in run_here("scans", "list").stdout
    module = plugins.load(PACKAGE, str(path), *CONTRACT)
    assert module.ADDITIVE is True and not hasattr(module, "Options") and not touched.exists()
    assert callable(module.prepare) and touched.exists()


def test_a_literal_that_another_line_changes_is_refused(tmp_path):
    path = tmp_path / "mystat.py"
    path.write_text(f"{COUNT}\nglobals().update(ADDITIVE=None)\n")
    with pytest.raises(BadInput, match="ADDITIVE is True in its text and another when it has run"):
        plugins.load(PACKAGE, str(path)).prepare  # noqa: B018


@pytest.mark.parametrize("end", [
    "if True:\n    Options = 3\n", "from os.path import *\nOptions = 3\n", "x, Options = 1, 3\n", "(Options := 3)\n",
])  # fmt: skip
def test_where_a_text_does_not_say_its_names_it_is_executed(tmp_path, end):
    path = tmp_path / "mystat.py"
    path.write_text(COUNT + end)
    assert plugins.load(PACKAGE, str(path)).Options == 3


@pytest.mark.parametrize(
    "command", ["scan", "plot", "status", "track", "gc", "tune", "compare", "observe", "physics", "launch"]
)
def test_no_code_refuses_it_before_anything_is_executed(tmp_path, run_here, command):
    touched, path = tmp_path / "touched", tmp_path / "mystat.py"
    path.write_text(f"with open({str(touched)!r}, 'w') as file:\n    pass\n{COUNT}")
    launched = ("--jobs", "http://127.0.0.1:1", "--store", "/x", "--tracking", "/y")
    words = {"launch": launched, "observe": ("list.csv",)}.get(command, ())
    done = run_here(command, naming(path, tmp_path), "--no-code", *words, check=2)
    assert done.stderr.count("\n") == 1 and len(done.stderr) <= 400 and not touched.exists()
    if command != "launch":  # which takes no file of this machine
        assert f"toys: {str(path)!r} is code" in done.stderr and "refused by --no-code" in done.stderr


@pytest.mark.parametrize("setting", [
    "models.vae.name='xml.dom'", "representation.name='xml.dom'", "detector.name='xml.dom'", "signal.name='xml.dom'",
    "score.name='xml.dom'", "toys.statistics=['xml.dom']", "backgrounds.components=['pp','xml.dom']",
])  # fmt: skip
def test_a_module_is_code_wherever_a_study_names_it(run_here, setting, monkeypatch):
    monkeypatch.setenv("RECOILSCAN_NO_CODE", "1")
    sys.modules.pop("xml.dom", None)
    done = run_here("status", TINY, "--set", setting, check=2)
    assert "'xml.dom' is code" in done.stderr and "xml.dom" not in sys.modules
    monkeypatch.delenv("RECOILSCAN_NO_CODE")
    run_here("status", TINY)


@pytest.mark.parametrize(
    ("text", "why"), [("x = 1 / 0", "ZeroDivisionError"), ("def", "SyntaxError"), ("\0", "null bytes")]
)
def test_a_text_that_fails_is_one_line_when_it_is_needed(tmp_path, text, why):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(BadInput, match=f"cannot import .*{why}") as refused:
        plugins.load(PACKAGE, str(tmp_path / "mine.py")).x  # noqa: B018
    assert "\n" not in str(refused.value)
