"""CITATION.cff: what the format asks for is there, and it says nothing that the package does not."""

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# of the schema 1.2.0 of the Citation File Format
REQUIRED = {"authors", "cff-version", "message", "title"}
KEYS = REQUIRED | {"abstract", "commit", "contact", "date-released", "doi", "identifiers", "keywords", "license",
                   "license-url", "preferred-citation", "references", "repository", "repository-artifact",
                   "repository-code", "type", "url", "version"}  # fmt: skip
PERSON = {"affiliation", "alias", "email", "family-names", "given-names", "name-particle", "name-suffix", "orcid"}
DOI = re.compile(r"10\.\d{4,9}(\.\d+)?/[A-Za-z0-9:/_;\-.()\[\]\\]+")


def test_it_has_the_fields_of_the_format():
    assert REQUIRED <= set(CITATION) <= KEYS
    assert CITATION["cff-version"] == "1.2.0" and CITATION["type"] == "software"
    assert CITATION["authors"] == [{"name": "recoilscan developers"}], "a group: no person is named"
    assert not isinstance(CITATION.get("date-released"), date), "it has not been released"


def test_it_agrees_with_the_package():
    assert {name: CITATION[name] for name in ("version", "license")} == {
        name: PROJECT[name] for name in ("version", "license")
    }
    assert CITATION["title"] == PROJECT["name"]


@pytest.mark.parametrize("reference", CITATION["references"], ids=lambda reference: reference["title"][:30])
def test_a_reference_can_be_found(reference):
    assert {"authors", "title", "type"} <= set(reference) and DOI.fullmatch(reference["doi"])
    assert all(set(author) == {"name"} or set(author) <= PERSON for author in reference["authors"])


def test_the_simulations_are_cited_in_the_versions_that_are_installed():
    pinned = dict(line.split("==") for line in PROJECT["dependencies"] if "==" in line)
    cited = {one["title"]: one["version"] for one in CITATION["references"] if one["type"] == "software"}
    assert cited == {name: pinned[name] for name in ("nestpy", "wimprates")}
