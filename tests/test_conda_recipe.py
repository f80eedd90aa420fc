"""The conda recipe asks for what pyproject.toml asks for; what conda-forge is not known to have comes by pip."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
RECIPE = yaml.safe_load((ROOT / "docs" / "conda" / "recipe.yaml").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ON_CONDA_FORGE = {"matplotlib": "matplotlib-base", "ray": "ray-core", "torch": "pytorch"}  # where the names differ
BY_PIP = ("finufft", "nestpy", "wimprates")


def named(requirement: str) -> tuple[str, str]:
    name = re.match(r"[\w-]+", requirement)[0]
    return name, requirement[len(name) :].replace(" ", "")


def test_every_dependency_is_in_it_with_its_versions():
    wanted = {name: versions for name, versions in map(named, PROJECT["dependencies"]) if name not in BY_PIP}
    wanted = {ON_CONDA_FORGE.get(name, name): versions for name, versions in wanted.items()}
    asked = dict(map(named, RECIPE["requirements"]["run"]))
    assert asked.pop("python") == PROJECT["requires-python"]
    assert asked == wanted


def test_what_comes_by_pip_is_pinned_as_it_is_here():
    assert RECIPE["context"]["pip"].split() == [line for line in PROJECT["dependencies"] if named(line)[0] in BY_PIP]


def test_it_is_this_package():
    assert {RECIPE["context"][key] for key in ("name", "version")} == {PROJECT["name"], PROJECT["version"]}
    assert RECIPE["build"]["python"]["entry_points"] == [f"{k} = {v}" for k, v in PROJECT["scripts"].items()]
    source = (ROOT / "docs" / "conda" / RECIPE["source"]["path"]).resolve()
    assert source == ROOT and (source / RECIPE["about"]["license_file"]).is_file()
    assert RECIPE["schema_version"] == 1 and RECIPE["about"]["license"] == PROJECT["license"]
