"""The documentation: it builds without a warning, asks no other host for anything, and its notebooks run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
NOTEBOOKS = sorted((TOP / "docs" / "pages" / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """All of it, as a folder."""
    folder = tmp_path_factory.mktemp("site")
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(TOP)}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", TOP / "docs" / "mkdocs.yml", "-d", folder]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=quiet, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_reached_and_nothing_comes_from_another_host(site):
    pages = {str(path.relative_to(site)): path.read_text() for path in site.rglob("*.html")}
    assert {"index.html", "scans.html", "study.html", "kubernetes.html", "notebooks/own_model.html"} < pages.keys()
    loaded = re.compile(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="?(?:https?:)?//[^">]*')
    assert {name: loaded.findall(text) for name, text in pages.items() if loaded.search(text)} == {}
    in_the_menu = {Path(link).name for link in re.findall(r'href="([^"#]+\.html)"', pages["index.html"])}
    assert in_the_menu >= {Path(name).name for name in pages} - {"404.html", "index.html"}


def test_every_key_choice_and_column_is_there(site):
    study, choices = (site / "study.html").read_text(), (site / "choices.html").read_text()
    assert all(f"<code>{key}</code>" in study for key in ("seed", "er_window_keVee", "g1", "toys_pool_error", "rungs"))
    assert all(f'id="{name}"' in choices for name in ("excess_scan", "dense_vae", "darwin", "xe124_ec", "weighted_sum"))
    assert "one-sided significance of p_median" in (site / "columns.html").read_text()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_prints_what_it_says(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    known: dict[str, object] = {"__name__": "notebook"}
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert any(cell["outputs"] for cell in cells), "it was executed before it was kept"
    for cell in cells:
        exec(compile("".join(cell["source"]), path.stem, "exec"), known)
        kept = "".join("".join(one["text"]) for one in cell["outputs"] if one["output_type"] == "stream")
        assert _without_numbers(capsys.readouterr().out) == _without_numbers(kept)


def _without_numbers(text: str) -> str:
    """What is printed but for numbers, which networks fitted on another processor may move."""
    return re.sub(r"\d+(\.\d+)?", "#", text)
