"""What the first commands that anybody types import: modules are counted, not seconds, which depend on the machine."""

import dataclasses
import json
import subprocess
import sys

import pytest

import zoo
from engine import plugins

HEAVY = {"torch", "ray", "mlflow", "optuna", "wimprates", "nestpy", "pandas", "sklearn", "matplotlib", "scipy.stats"}
LIGHT = HEAVY | {"numba", "scipy.optimize", "pyarrow"}  # what no list of names needs either
LOADED = "import sys, json; print(json.dumps(sorted(sys.modules)))"
COMMAND = "from engine.cli import app; app.app({}, standalone_mode=False, obj={{}})"


def imported(code: str, folder) -> set[str]:
    """The modules that a fresh process has when it has run this."""
    done = subprocess.run([sys.executable, "-c", f"{code}; {LOADED}"], cwd=folder, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_a_study_is_read_without_what_simulates_fits_or_scores(tmp_path):
    assert sorted(HEAVY & imported("import engine.study; engine.study.load('quickstart')", tmp_path)) == []


@pytest.mark.parametrize("words", [["status", "quickstart"], ["scan", "quickstart", "--plan"]])
def test_how_far_and_how_dear_need_none_of_it_either(words, tmp_path):
    assert sorted(HEAVY & imported(COMMAND.format(words), tmp_path)) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["zoo", "list"], ["scans", "list"]])
def test_lists_of_names_need_nothing_heavy(words, tmp_path):
    assert sorted(LIGHT & imported(COMMAND.format(words), tmp_path)) == []


@pytest.mark.parametrize("name", zoo.names())
def test_what_a_family_declares_is_what_its_module_says(name):
    said, module = zoo.declared(name), plugins.load("zoo", name)
    assert said.__doc__ == module.__doc__.strip()
    constants = [part for part in dir(module) if part.isupper()]
    assert {"KIND", "TRAINS_ON"} <= set(constants)
    assert [getattr(said, part) for part in constants] == [getattr(module, part) for part in constants]
    assert dataclasses.asdict(zoo.configure(said, {})) == dataclasses.asdict(zoo.configure(module, {}))
    assert said.build is module.build and said.terms is module.terms  # by way of the module, once it is asked for
    assert not hasattr(said, "no_such_part")
    assert hasattr(said, "check") == hasattr(module, "check")
