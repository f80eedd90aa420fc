"""Every command and every study that the documentation shows: the former are parsed, or run; the latter are read."""

import re
import shlex
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import typer
from studies import TINY

from engine import study
from engine.cli.app import app
from engine.physics import event_table
from engine.physics.detectors import darwin
from engine.physics.events import simulate
from engine.physics.representations import vector

TOP = Path(__file__).parents[2]
PAGES = [*(TOP / one / "README.md" for one in ("", "scans", "scans/reports", "k8s")),
         *sorted((TOP / "docs" / "pages").glob("*.md"))]  # fmt: skip
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
IN_LINE = re.compile(r"`(recoilscan [^`]+)`")
WORDS = {"FORMAT": "hepdata", "STUDY": "quickstart", "STUDY.toml": "quickstart", "N": "2", "NAME": "quickstart"}


def blocks(page: Path, language: str) -> list[str]:
    """The text of the code blocks of a page in a language."""
    return [re.sub(f"^{indent}", "", text, flags=re.MULTILINE)
            for indent, name, text in BLOCK.findall(page.read_text()) if name == language]  # fmt: skip


def commands(page: Path) -> list[list[str]]:
    """The arguments of every `recoilscan` that a page shows, in a block or in a line."""
    lines = [line for text in blocks(page, "sh") for line in text.replace("\\\n", " ").splitlines()]
    lines += [re.sub(r"\s+", " ", text) for text in IN_LINE.findall(page.read_text())]
    found = [shlex.split(re.sub(r"^.*?\brecoilscan ", "", line, count=1), comments=True)
             for line in lines if re.match(r"(.*[/&] *)?recoilscan ", line.strip())]  # fmt: skip
    return [[WORDS.get(word, word) for word in words] for words in found if not any("[" == word[0] for word in words)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_every_command_that_is_shown_is_one(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = typer.main.get_command(app)
    for words in commands(page):
        command, arguments = whole, list(words)
        with typer.Context(command) as context:
            while hasattr(command, "resolve_command"):
                name, command, arguments = command.resolve_command(context, arguments)
            try:
                command.make_context(name, arguments, parent=context)
            except typer.BadParameter as error:
                assert type(error).__name__ == "MissingParameter", words  # a command that a sentence only names


def test_commands_are_found():
    assert sum(len(commands(page)) for page in PAGES) > 40
    assert ["scan", "quickstart", "--plan"] in commands(TOP / "docs" / "pages" / "index.md")


def test_the_first_page_works_as_it_stands(run_here, reference, undrawn, tmp_path):
    """Its commands in their order, on a study that is as small as a scan can be."""
    shutil.copytree(reference.store, tmp_path / "recoilscan-store")
    shutil.copy(TINY, tmp_path / "tiny.toml")
    for words in commands(TOP / "docs" / "pages" / "index.md"):
        if words[0] == "scans":
            run_here(*words)
        elif "quickstart.toml" not in words:
            without_ray = ["--workers", "0"] if words[-1] == "quickstart" and words[0] == "scan" else []
            run_here(*["tiny.toml" if word == "quickstart" else word for word in words], *without_ray)
    assert study.load(tmp_path / "quickstart.toml") == study.load("quickstart")


@pytest.fixture
def files_of_a_user(tmp_path, monkeypatch):
    """The files that examples name."""
    monkeypatch.chdir(tmp_path)
    energy = np.linspace(2, 10, 30)
    table = "energy_keV,rate\n" + "".join(f"{e},1.0\n" for e in energy)
    for name in ("line.csv", "peak.csv"):
        (tmp_path / name).write_text(table)
    shutil.copy(TOP / "zoo" / "mlp_classifier.py", "my_classifier.py")
    shutil.copy(TOP / "engine" / "inference" / "scores" / "classifier.py", "my_score.py")
    columns, readout = simulate(darwin.CONSTANTS, "NR", np.full(5, 20.0), "surface")
    event_table.write(tmp_path / "surface.parquet", vector.features(readout, darwin.CONSTANTS), columns)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_every_study_that_is_shown_is_read(page, files_of_a_user):
    for text in blocks(page, "toml"):
        raw = tomllib.loads(text)
        study.parse(_whole(raw), name=f"{page.name}: {text[:60]!r}")


def _whole(raw: dict) -> dict:
    """An example in a study, which has of quickstart what the example leaves open."""
    if "extends" in raw:
        return raw  # whole by itself
    base = study.read("quickstart")
    del base["reach"]
    if "compare" in raw:
        base["models"] = {role: model for role, model in base["models"].items() if role not in raw["compare"]}
    if "models" in raw and "score" in raw:
        base["models"] = {}
    if "signal" in raw:
        base["grid"] = {}
    if "detector" in raw:
        del base["backgrounds"]["components"], base["systematics"]  # the detector's own
    return base | {name: base.get(name, {}) | part if isinstance(part, dict) and name in ("grid", "models", "toys")
                   else part for name, part in raw.items()}  # fmt: skip


def test_a_spectrum_of_a_user_is_one(tmp_path, monkeypatch):
    """The file that the page on signals shows, as a signal and as a background."""
    (text,) = blocks(TOP / "docs" / "pages" / "signals.md", "python")
    monkeypatch.chdir(tmp_path)
    Path("axion.py").write_text(text)
    raw = _whole({"signal": {"name": "axion.py", "options": {"energy_keV_line": 5.0}},
                  "grid": {"strength": [1.0], "exposure_ty": [20.0]}})  # fmt: skip
    signal = study.parse(raw).benchmark_signal
    energy = np.linspace(4, 6, 2001)
    assert np.trapezoid(signal.rate(energy), energy) == pytest.approx(signal.value, rel=1e-6)
