"""A page of HTML as tests read it: well-formed or refused, with its tables, figures and addresses."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link", "input", "hr"}


@dataclass
class Shown:
    """A table: its words, and of every cell its text and the number that it keeps."""

    title: str = ""
    heads: list[str] = field(default_factory=list)
    rows: list[list[tuple[str, float | None]]] = field(default_factory=list)

    def column(self, head: str) -> list[float | None]:
        """The numbers under a head."""
        place = self.heads.index(head)
        return [row[place][1] for row in self.rows]


class Page(HTMLParser):
    """Parses a page; raises ValueError where tags do not match."""

    def __init__(self, data: bytes):
        super().__init__()
        self.open, self.tags, self.tables, self.text, self.summary = [], [], [], [], ""
        self.feed(data.decode())
        self.close()
        if self.open:
            raise ValueError(f"left open: {self.open}")

    def handle_starttag(self, tag, attributes):
        """Notes it; a cell and a table begin."""
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append(Shown(self.summary if self.open[-3:-2] == ["details"] else ""))
        elif tag == "tr" and "tbody" in self.open:
            self.tables[-1].rows.append([])
        elif tag == "td":
            value = dict(attributes).get("data-value")
            self.tables[-1].rows[-1].append(("", None if value is None else float(value)))
        elif tag == "th":
            self.tables[-1].heads.append("")
        elif tag == "summary":
            self.summary = ""

    def handle_endtag(self, tag):
        """It must be of the last one that was opened."""
        if not self.open or self.open.pop() != tag:
            raise ValueError(f"</{tag}> where {self.open[-3:]} are open")

    def handle_data(self, data):
        """A text, to the cell, head or title that it is in."""
        inside = self.open[-1] if self.open else ""
        self.text.append(data if inside not in ("style", "script") else "")
        if inside == "td":
            text, value = self.tables[-1].rows[-1][-1]
            self.tables[-1].rows[-1][-1] = (text + data, value)
        elif inside == "th":
            self.tables[-1].heads[-1] += data
        elif "caption" in self.open:
            self.tables[-1].title += data
        elif inside == "summary":
            self.summary += data

    @property
    def words(self) -> str:
        """All text."""
        return " ".join("".join(self.text).split())

    def table(self, title: str) -> Shown:
        """The table with this title, which there is once."""
        (found,) = (table for table in self.tables if table.title == title)
        return found

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]
