"""The Apptainer definition: it installs what the Dockerfile installs, on the same base, by the same constraints."""

import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
IMAGE = TOP / "k8s" / "image"
SECTIONS = ("files", "post", "environment", "runscript", "test")


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (IMAGE / "Dockerfile").read_text().replace("\\\n", " ")


@pytest.fixture(scope="module")
def parts() -> dict[str, str]:
    """The definition's sections by name; "" is what stands before them."""
    names, texts = ["", *SECTIONS], re.split(r"^%(?:\w+)$", (IMAGE / "recoilscan.def").read_text(), flags=re.MULTILINE)
    assert re.findall(r"^%(\w+)$", (IMAGE / "recoilscan.def").read_text(), re.MULTILINE) == list(SECTIONS)
    return dict(zip(names, texts, strict=True))


def installs(text: str) -> list[str]:
    """What pip is told to install, whatever an argument of the build is called."""
    found = re.findall(r"pip install (.*?)(?:$|&&)", text, re.MULTILINE)
    return [re.sub(r'"(\$\{TORCH_INDEX\}|\{\{ TORCH_INDEX \}\})"', "INDEX", line).strip() for line in found]


def test_it_starts_from_the_same_base(parts, dockerfile):
    base = re.search(r"ARG BASE_IMAGE=(\S+)", dockerfile)[1]
    assert f"From: {base}\n" in parts[""]


def test_it_installs_the_same(parts, dockerfile):
    assert installs(parts["post"]) == installs(dockerfile) and len(installs(dockerfile)) == 2


def test_it_copies_the_same(parts, dockerfile):
    lines = re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.MULTILINE)
    copied = [word for line in lines for word in line.split()[:-1]]
    pairs = [line.split() for line in parts["files"].splitlines() if line.strip()]
    assert {source for source, _ in pairs} == set(copied) and all((TOP / source).exists() for source, _ in pairs)
    assert all(target == f"/build/{Path(source).name}" for source, target in pairs)


def test_its_programs_find_the_same_environment(parts, dockerfile):
    said = dict(re.findall(r"(\w+)=(\S+)", parts["environment"]))
    of_image = dict(re.findall(r"(\w+)=(\S+)", dockerfile.rpartition("ENV PATH")[2]))
    places = {"HOME", "USER", "LOGNAME", "NUMBA_CACHE_DIR", "MPLCONFIGDIR"}  # a user of Apptainer has their own
    places |= {name for name in of_image if name.startswith("NVIDIA")}
    assert {name: said.get(name) for name in of_image.keys() - places} == {
        name: value for name, value in of_image.items() if name not in places
    }
    assert said["PATH"] == "/opt/recoilscan/bin:$PATH"


def test_its_shell_is_one(parts):
    for name in ("post", "environment", "runscript", "test"):
        assert subprocess.run(["sh", "-n"], input=parts[name], text=True).returncode == 0, name
