"""A page of HTML that needs nothing beside it: sections of words, tables, figures and texts, of one study or of two."""

import base64
import importlib.resources
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import jinja2
import pyarrow as pa

from engine.urls import hidden

MOST_BYTES = 3_000_000  # of a page: what a mail still takes
BESIDE_FIGURES = 100_000  # bytes that are kept free for the markup around texts
OF_BASE64 = 4 / 3


@dataclass(frozen=True)
class TableCell:
    """What a cell shows, and the number by which it is sorted, if it has one."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class TableColumn:
    """The head of a column; `meaning` is shown where one points at it."""

    name: str
    unit: str = ""
    meaning: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under a title; `note` goes below. `folded`: shown when asked for, as of the parts that follow."""

    title: str
    columns: tuple[TableColumn, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    note: str = ""
    folded: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class Figure:
    """A PNG with what it shows in a line, which stands for it where it is not seen, and how it is read (below it)."""

    name: str
    alt: str
    data: bytes = field(repr=False)
    folded: bool = False
    told: str = ""
    kind: str = "figure"

    @property
    def uri(self) -> str:
        """The figure as an address that holds it."""
        return f"data:image/png;base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True)
class Words:
    """Paragraphs, or the points of a list."""

    lines: tuple[str, ...]
    listed: bool = False
    kind: str = "words"


@dataclass(frozen=True)
class Verbatim:
    """A text whose lines stay as they are."""

    title: str
    text: str
    folded: bool = True
    kind: str = "source"


Part = Table | Figure | Words | Verbatim


@dataclass(frozen=True)
class PageSection:
    """Parts under a heading; the sections of several studies with one `key` stand side by side."""

    key: str
    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Report:
    """What is said of one study: its name, its question, and the sections."""

    name: str
    question: str
    sections: tuple[PageSection, ...]


def plain(head: Iterable[str], rows: Iterable[Iterable[str]], title: str = "", note: str = "") -> Table:
    """A table of cells that are text already; its numbers are those that the texts begin with."""
    cells = tuple(tuple(TableCell(text.strip("`"), _first_number(text)) for text in row) for row in rows)
    return Table(title, tuple(map(TableColumn, head)), cells, note)


def stored(
    table: pa.Table, names: Iterable[str], title: str, note: str = "", folded: bool = False,
    glossary: Mapping[str, str] | None = None,
) -> Table:  # fmt: skip
    """Columns of a stored table, with unit and meaning as its schema has them, or the meaning as a glossary does; no
    number is changed but in how it is written, and each cell keeps the stored one beside it. A column without any value
    is left out."""
    names = [name for name in names if table[name].null_count < len(table)]
    heads = tuple(_column(table.schema.field(name), glossary or {}) for name in names)
    rows = tuple(tuple(cell(row[name]) for name in names) for row in table.select(names).to_pylist())
    return Table(title, heads, rows, note, folded)


def cell(value: object) -> TableCell:
    """A stored value as it is shown: four digits of a number, words for truth, nothing where there is none."""
    if value is None:
        return TableCell("")
    if isinstance(value, bool):
        return TableCell("yes" if value else "no")
    if isinstance(value, int | float):
        digits = ".0f" if 1e4 <= abs(value) < 1e7 else ".4g"
        return TableCell(f"{value:{digits}}" if isinstance(value, float) else str(value), float(value))
    return TableCell(str(value))


def _column(column: pa.Field, glossary: Mapping[str, str]) -> TableColumn:
    told = {key.decode(): value.decode() for key, value in (column.metadata or {}).items()}
    unit = told.get("unit", "")
    name = column.name.removesuffix(f"_{unit.partition('/')[0].replace(' ', '')}")
    return TableColumn(name.replace("_", " "), unit, glossary.get(column.name, told.get("meaning", "")))


def _first_number(text: str) -> float | None:
    for word in text.split():
        try:
            value = float(word.strip("*>"))
        except ValueError:
            continue
        return value if math.isfinite(value) else None
    return None


def rendered(title: str, reports: list[Report], before: tuple[Part, ...] = ()) -> bytes:
    """The page, UTF-8, of at most MOST_BYTES; `before`: parts above the sections of all studies.

    Figures come in the order of the page, those that are not folded first, while there is room; the rest are named.
    """
    lean = [_with_figures(report, set()) for report in reports]
    room = MOST_BYTES - BESIDE_FIGURES - len(_html(title, lean, before))
    return _html(title, _fitted(reports, room), before)


def _fitted(reports: list[Report], room: float) -> list[Report]:
    """The reports with as many of their figures as the room (bytes) holds, each study with an equal share of it."""
    fitted = []
    for place, report in enumerate(reports):
        share, kept = room / (len(reports) - place), set()
        for figure in sorted(_figures(report), key=lambda one: one.folded):  # stable: in the page's order
            needed = OF_BASE64 * len(figure.data) + 2000  # its words and tags
            if needed <= share:
                kept.add(figure.name)
                share, room = share - needed, room - needed
        fitted.append(_with_figures(report, kept))
    return fitted


def _figures(report: Report) -> Iterator[Figure]:
    return (part for section in report.sections for part in section.parts if isinstance(part, Figure))


def _with_figures(report: Report, kept: set[str]) -> Report:
    """A report with the figures of these names alone; a line says which were left out."""
    sections = []
    for section in report.sections:
        parts = tuple(part for part in section.parts if not isinstance(part, Figure) or part.name in kept)
        out = [part.name for part in section.parts if isinstance(part, Figure) and part.name not in kept]
        if out:
            parts += (Words((f"Left out, since a page has {MOST_BYTES / 1e6:g} MB at most; they are among the "
                             f"scan's figures: {', '.join(out)}.",)),)  # fmt: skip
        sections.append(replace(section, parts=parts))
    return replace(report, sections=tuple(sections))


def _html(title: str, reports: list[Report], before: tuple[Part, ...]) -> bytes:
    text = importlib.resources.files("engine.report").joinpath("page.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    titles = {section.key: section.title for report in reports for section in report.sections}
    by_key = [{section.key: section for section in report.sections} for report in reports]
    sections = [(key, words, [mine.get(key) for mine in by_key]) for key, words in titles.items()]
    page = environment.from_string(text).render(title=title, reports=reports, sections=sections, before=before)
    return page.encode()


def _shown(value: object) -> object:
    """Texts without their secrets; markup, which is made of such texts, and figures, which are long, as they are."""
    is_text = isinstance(value, str) and not hasattr(value, "__html__") and not value.startswith("data:image/png;")
    return hidden(value) if is_text else value
