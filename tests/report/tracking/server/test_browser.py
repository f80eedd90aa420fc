"""The link that a scan prints, in a real browser on a real server: six architectures, best first, with their margin."""

import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from engine.report.tracking import link, log

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
NAME, COLUMNS = "attributes.`Run Name`", ("z", "z_error", "behind_best")
PAIRS = [f"{vae} + {classifier}" for vae in ("narrow", "wide") for classifier in ("floor", "sums", "trees")]


class Grid(HTMLParser):
    """The text of every cell of the runs table, by row and column."""

    def __init__(self, text: str):
        super().__init__()
        self.cells: dict[int, dict[str, str]] = {}
        self.row = self.column = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        about = dict(attributes)
        if "row-index" in about:
            self.row = int(about["row-index"])
        self.column = about.get("col-id", self.column)

    def handle_data(self, data):
        if self.row is not None and self.column:
            cells = self.cells.setdefault(self.row, {})
            cells[self.column] = cells.get(self.column, "") + data


@pytest.fixture
def shown(server, make, tmp_path):
    """The table as the link shows it in a window of 1600 pixels, beside an MLflow that has the scans of six pairs."""
    scans = [
        replace(
            make(scan=pair), name=f"six {pair}, seed 1", parameters={"vae": pair.split()[0]},
            metrics={"headline/z": place / 2, "headline/z_error": 0.25, "headline/behind_best": (5 - place) / 2},
            children=(replace(make(fit=pair).children[0], model=None),),
        )
        for place, pair in enumerate(PAIRS)
    ]  # fmt: skip
    log(scans, server.uri)
    own = [f"--user-data-dir={tmp_path}/profile", "--no-sandbox", "--disable-gpu", "--window-size=1600,1000"]
    done = subprocess.run(
        [CHROMIUM, "--headless=new", *own, "--virtual-time-budget=30000", "--dump-dom", link(server.uri)],
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    return Grid(done.stdout).cells


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_six_architectures_are_ranked_with_their_margin_and_without_scrolling(shown):
    rows = [shown[row] for row in sorted(shown)]
    names = [row[NAME].removeprefix(row[NAME][:7]) for row in rows]  # the colour of its mark goes before
    assert names == [f"six {pair}, seed 1" for pair in reversed(PAIRS)], "best first, and no fit"
    numbers = [[float(row[f"metrics.`headline/{name}`"]) for name in COLUMNS] for row in rows]
    assert numbers == [[place / 2, 0.25, (5 - place) / 2] for place in reversed(range(6))]
