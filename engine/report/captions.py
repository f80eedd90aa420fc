"""What the figures and columns of a report show, in sentences for a reader who has the page and nothing else."""

import importlib.resources
import re
import tomllib
from dataclasses import dataclass
from functools import cache

from engine.report import figures

MORE = "more"  # the section of what no other shows
PARTS = re.compile(  # of a name behind its kind: statistic, R, exposure, panel; or a size and an exposure
    r"(?:_(?P<size>[\d.e+-]+)(?=_[\d.e+-]+ty$)|(?P<what>.*?))(?:_R(?P<R>[\d.e+-]+))?(?:_(?P<ty>[\d.e+-]+)ty)?"
    r"(?:_(?P<panel>\d+))?"
)


@dataclass(frozen=True)
class Caption:
    """Of a kind of figures: the section that shows it, what it is in a line, and how it is read, with its error."""

    section: str
    line: str
    told: str


@cache
def captions() -> dict[str, Caption]:
    """Of all kinds of figures, by what their names begin with, in the order of captions.toml."""
    return {name: Caption(**one) for name, one in _file()["figures"].items()}


@cache
def glossary() -> dict[str, str]:
    """What columns are, by their names in the tables, where their stored meaning supposes that one knows the words."""
    return _file()["columns"]


def _file() -> dict:
    return tomllib.loads(importlib.resources.files("engine.report").joinpath("captions.toml").read_text())


def of(name: str, benchmark: str) -> tuple[str, str, str]:
    """Section of a figure, what it is in a line, and how it is read; benchmark: in words. MORE without a caption."""
    kind = figures.kind(name) or name
    if kind not in captions():
        return MORE, name.replace("_", " "), ""
    caption, which = captions()[kind], _which(name.removeprefix(kind).strip("_"))
    told = caption.told.replace("the benchmark", f"the benchmark ({benchmark})", 1)
    return caption.section, ": ".join(filter(None, (caption.line, which))), told


def _which(rest: str) -> str:
    """What a figure's name says behind its kind, as one reads it: tail count, R = 10000, 50 t y."""
    found = PARTS.fullmatch(f"_{rest}")
    what, R, size, ty, panel = (found[name] for name in ("what", "R", "size", "ty", "panel"))
    words = re.sub(r"(?<=\d)(?=GeV|sigma)", " ", (what or "").strip("_").replace("_", " "))
    said = [words, R and f"R = {R}", size, ty and f"{ty} t y", panel and f"part {panel}"]
    return ", ".join(filter(None, said))
