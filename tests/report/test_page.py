"""A page of HTML that needs nothing beside it: escaped, without secrets, of a size that a mail takes, and sortable."""

import importlib.resources
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pyarrow as pa
import pytest
from pages import Page
from PIL import Image

from engine import plots, schemas
from engine.report import page
from engine.report.page import Figure, PageSection, Report, Table, TableCell, TableColumn, Verbatim, Words


def report(*parts, name="mine") -> Report:
    return Report(name, "What is it?", (PageSection("only", "The only one", parts),))


def noise(n_bytes: int) -> bytes:
    """What no coding makes smaller."""
    return np.random.default_rng(1).bytes(n_bytes)


def test_texts_are_escaped_wherever_they_stand():
    bad = '<script>alert("1")</script> & <b>'
    table = Table(bad, (TableColumn(bad, bad, bad),), ((TableCell(bad),),), bad)
    made = page.rendered(bad, [report(table, Words((bad,)), Verbatim(bad, bad), Figure("a", bad, b"x"), name=bad)])
    found = Page(made)
    assert len(found.all("script")) == 1 and not found.all("b")
    assert found.tables[0].rows == [[(bad, None)]] and found.all("img")[0]["alt"] == bad
    assert found.words.count('<script>alert("1")</script>') >= 8


def test_secrets_are_hidden_and_figures_left_alone():
    figure = Figure("a", "A", noise(2000))
    made = page.rendered("t", [report(Words(("s3://me:hunter22@host/bucket", "token = abcdefgh")), figure)])
    assert b"hunter22" not in made and b"abcdefgh" not in made and figure.uri.encode() in made


def test_a_page_is_of_three_megabytes_at_most_and_names_what_it_leaves_out():
    figures = [Figure("folded", "A", noise(900_000), folded=True), Figure("first", "B", noise(900_000)),
               Figure("second", "C", noise(900_000)), Figure("small", "D", noise(1000))]  # fmt: skip
    made = page.rendered("t", [report(*figures)])
    assert len(made) < page.MOST_BYTES
    found = Page(made)
    assert [image["alt"] for image in found.all("img")] == ["B", "C", "D"], "folded ones go first"
    assert "3 MB at most; they are among the scan's figures: folded." in found.words


def test_two_studies_share_the_room():
    large, small = Figure("one", "A", noise(1_300_000)), Figure("two", "B", noise(900_000))
    made = page.rendered("a beside b", [report(large, name="a"), report(small, name="b")])
    assert [image["alt"] for image in Page(made).all("img")] == ["B"] and len(made) < page.MOST_BYTES


def test_a_section_that_one_study_lacks_is_said_to_be_missing():
    other = Report("other", "Why?", (PageSection("more", "More", (Words(("here",)),)),))
    found = Page(page.rendered("t", [report(Words(("there",))), other]))
    assert [one["id"] for one in found.all("section")] == ["only", "more"]
    assert found.words.count("Not in this study.") == 2


def test_a_stored_table_keeps_its_numbers_units_and_meanings():
    fields = [
        schemas.column("exposure_ty", pa.float64(), "t y", "how long"),
        schemas.column("n", pa.int64(), "", "many"),
        schemas.column("known", pa.bool_(), "", "whether", True),
    ]
    rows = [{"exposure_ty": 1 / 3, "n": 10**6, "known": None}, {"exposure_ty": 2e-48, "n": 0, "known": True},
            {"exposure_ty": 60000.0, "n": 1, "known": False}]  # fmt: skip
    made = page.stored(pa.Table.from_pylist(rows, pa.schema(fields)), ["exposure_ty", "n", "known"], "T")
    assert [(head.name, head.unit, head.meaning) for head in made.columns][0] == ("exposure", "t y", "how long")
    assert [[one.text for one in row] for row in made.rows] == [
        ["0.3333", "1000000", ""], ["2e-48", "0", "yes"], ["60000", "1", "no"]
    ]  # fmt: skip
    shown = Page(page.rendered("t", [report(made)])).table("T")
    assert shown.column("exposure [t y]") == [1 / 3, 2e-48, 60000.0]


def test_a_text_is_sorted_by_the_first_number_in_it():
    table = page.plain(["a"], [["0.37 +- 0.08"], ["> 5.1*"], ["beyond 2000"], ["`name`"], [""]])
    assert [row[0].value for row in table.rows] == [0.37, 5.1, 2000.0, None, None]
    assert table.rows[3][0].text == "name"


def test_a_lean_figure_keeps_its_colours_and_loses_most_bytes():
    drawn = np.full((400, 2000, 3), 255, np.uint8)
    drawn[:, :, :2] = np.linspace(0, 255, 2000).astype(np.uint8)[None, :, None]
    buffer = io.BytesIO()
    Image.fromarray(drawn).save(buffer, format="png", compress_level=0)
    lean = plots.lean(buffer.getvalue())
    assert lean == plots.lean(buffer.getvalue()) and len(lean) < len(buffer.getvalue()) / 3
    with Image.open(io.BytesIO(lean)) as image:
        assert image.size == (plots.LEAN_PX, 320)
        ends = np.asarray(image.convert("RGB"))[100, [0, -1]].astype(int)
    assert np.abs(ends - [[0, 0, 255], [255, 255, 255]]).max() < 20


SORTING = """
%s
function cell(text, value) { return { textContent: text, dataset: value === null ? {} : { value: String(value) } }; }
const made = JSON.parse(process.argv[1]).map(([text, value]) => ({ cells: [cell(text, value)] }));
const body = { rows: made, append(...rows) { body.rows = rows; } };
const head = {
  state: null, getAttribute() { return head.state; }, setAttribute(name, value) { head.state = value; },
  removeAttribute() { head.state = null; }, closest() { return { tBodies: [body] }; },
};
head.parentNode = { cells: [head] };
const said = [];
for (let i = 0; i < 2; i++) { sort(head, 0); said.push([head.state, body.rows.map(row => row.cells[0].textContent)]); }
console.log(JSON.stringify(said));
"""


def test_the_pages_own_script_sorts_numbers_then_words_and_what_is_empty_last():
    """In node, on stand-ins for the elements: no browser is needed for the order."""
    if (node := shutil.which("node")) is None:
        pytest.skip("there is no node here to run the page's script")
    text = importlib.resources.files("engine.report").joinpath("page.html").read_text()
    functions = re.search(r"function key.*?(?=^for \(const row)", text, re.DOTALL | re.MULTILINE)[0]
    cells = [["", None], ["b", None], ["10", 10.0], ["> 9*", 9.0], ["a", None], ["1e-48", 1e-48], ["-3", -3.0]]
    command = [node, "-e", SORTING % functions, json.dumps(cells)]
    assert json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) == [
        ["ascending", ["-3", "1e-48", "> 9*", "10", "a", "b", ""]],
        ["descending", ["b", "a", "10", "> 9*", "1e-48", "-3", ""]],
    ]
