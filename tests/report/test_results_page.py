"""Tables of a README from stored results: what stands between two lines is made anew, and nothing else is touched."""

import pytest
from studies import TINY

from engine import study
from engine.errors import BadInput
from engine.report import results_page, summary
from engine.run import pipeline
from engine.store.store import Store


@pytest.fixture(scope="module")
def outcome(reference):
    return pipeline.finished(study.load(str(TINY)), Store(str(reference.store)))


def test_every_statistic_has_a_row_with_the_tables_own_numbers(outcome):
    lines = results_page.headline(outcome).splitlines()
    assert lines[0] == "| statistic | R | Z at 20 t y | Z at 50 t y |"
    rows = {row["statistic"]: row for row in outcome.table.to_pylist()
            if row["point"] == "benchmark" and row["exposure_ty"] == 20}  # fmt: skip
    assert len(lines) == 2 + len(rows) + 2 and rows
    for name, row in rows.items():
        (line,) = (one for one in lines if one.startswith(f"| `{name}` |"))
        assert f"{row['z_exact']:.2f}" in line or f"> {row['z_exact']:.1f}" in line
    assert "no electron recoil of the pool leaks, which is taken as exactly known" in lines[-1]


def test_a_point_has_a_column_of_exposures(scored):
    point = "reach.points=[{m_chi_GeV=40,sigma_si_cm2=1e-47,statistics=[]}]"
    settings = ("toys.null=100", "toys.signal=100", "toys.statistics=['count','tail_count']", "reach.enabled=true",
                "grid.exposure_ty.values=[20]", "grid.sigma_si_cm2.values=[0.0]", "limits.enabled=false")  # fmt: skip
    made = pipeline.run(study.load(str(TINY), (*settings, point)), Store(str(scored)), workers=0)
    head, _, *lines = results_page.headline(made).splitlines()[:-2]
    assert head == "| statistic | R | Z at 20 t y | T3 in t y | T3 at 40 GeV, 1e-47 cm2 in t y |"
    last = {line.split("|")[1].strip(): line.split("|")[-2].strip() for line in lines}
    at = {row["statistic"]: row for row in made["reach"].table.to_pylist() if row["m_chi_GeV"] == 40}
    assert last["`tail_count`"] == "" and set(at) == {"count", "known_signal"}
    for name, row in at.items():
        said = {"found": f"{row['t3_ty'] or 0:.3g}", "beyond_range": "beyond", "below_range": "below"}[row["status"]]
        assert last[f"`{name}`"].startswith(said)


def test_only_the_block_of_the_study_changes(outcome):
    text = "a\n<!-- results tiny -->\nold\n<!-- end -->\nb\n<!-- results other -->\nkept\n<!-- end -->\n"
    made = results_page.filled(text, "tiny", outcome)
    assert made.startswith("a\n<!-- results tiny -->\n") and "old" not in made
    assert made.endswith("<!-- end -->\nb\n<!-- results other -->\nkept\n<!-- end -->\n")
    assert results_page.headline(outcome) in made
    assert results_page.filled(made, "tiny", outcome) == made


def test_a_file_without_a_block_and_a_study_without_a_scan_of_leakage_are_refused(outcome):
    with pytest.raises(BadInput, match="no line <!-- results tiny --> or <!-- leakage tiny -->"):
        results_page.filled("nothing", "tiny", outcome)
    with pytest.raises(BadInput, match=r"no \[leakage_scan\]"):
        results_page.filled("<!-- leakage tiny -->\n<!-- end -->", "tiny", outcome)


def test_the_command_prints_them_and_puts_them_into_a_file(reference, outcome, run_here, tmp_path):
    shown = run_here("results", TINY, "--store", reference.store)
    assert shown.stdout.startswith("| statistic | R | Z at 20 t y |")
    rest = shown.stdout.partition("behind it.\n")[2].splitlines()
    assert rest[:-3] == list(summary.lines(outcome)) and len(rest) > 15
    assert [line.partition(": ")[0] for line in rest[-3:]] == ["limits", "diagnostics", "table"]
    page = tmp_path / "page.md"
    page.write_text("<!-- results tiny -->\n<!-- end -->\n")
    run_here("results", TINY, "--store", reference.store, "--into", page)
    made = page.read_text().removeprefix("<!-- results tiny -->\n\n").removesuffix("\n\n<!-- end -->\n")
    assert shown.stdout.startswith(f"{made}\n")
    assert "is no file" in run_here("results", TINY, "--into", tmp_path / "absent.md", check=2).stderr
