"""The reports that are kept beside the studies: whole in one file, small enough to send, and of no machine."""

import re
from pathlib import Path

import pytest

from engine.study import shipped

HERE = Path(__file__).parents[2] / "scans" / "reports"
MOST_BYTES = 3_000_000


@pytest.mark.parametrize("path", sorted(HERE.glob("*.html")), ids=lambda path: path.stem)
def test_it_is_of_a_shipped_study_and_needs_nothing_beside_it(path):
    page = path.read_text()
    assert path.stem in shipped() and f"<title>{path.stem}" in page
    assert len(page.encode()) <= MOST_BYTES
    assert not re.search(r'(src|href)="(?!data:|#)', page), "something is fetched"
    assert not re.search(r"/(home|root|tmp|Users)/", page), "a path of the machine that made it"


def test_the_list_names_every_one():
    listed = re.findall(r"\]\((\w+)\.html\)", (HERE / "README.md").read_text())
    assert sorted(listed) == sorted(path.stem for path in HERE.glob("*.html")) and len(listed) == len(set(listed))
