"""The report of a finished scan: whole, from the stored tables, and of nothing beside itself."""

import base64
import io
import re
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pages import Page
from PIL import Image
from scanned import tracked
from studies import TINY

import engine
from engine import schemas, stages, study
from engine.assembly import results
from engine.assembly.results import Result
from engine.progress import Silent
from engine.report import captions, figures, headline, page, references, results_page, scan_report
from engine.report.tracking.journal import pages
from engine.run import pipeline
from engine.stages import battery, combined, leakage, limits, reach
from engine.store.store import Store
from engine.study.figures import KINDS

SECTIONS = ["headline", "plane", "answer", "limits", "networks", "scores", "autoencoder", "published", "audit",
            "simulated", "lines", "study", "made"]  # fmt: skip
ADDRESSES = {"src", "href", "srcset", "data", "poster", "action", "background"}


@pytest.fixture(scope="module")
def scan(reference):
    store = Store(str(reference.store))
    outcome = pipeline.finished(study.load(str(TINY)), store)
    return scan_report.Scanned("tiny", TINY.read_text(), (), outcome, store, figures.whole(outcome, store))


@pytest.fixture(scope="module")
def made(scan):
    return scan_report.html(scan)


@pytest.fixture(scope="module")
def found(made):
    return Page(made)


def changed(scan, **tables):
    """The scan with other results of some stages."""
    return replace(scan, outcome=replace(scan.outcome, results=scan.outcome.results | tables))


def filled(schema: pa.Schema, *rows: dict) -> Result:
    """Rows of a stage as if it had made them: of what they leave open any value will do."""
    plain = {pa.float64(): 0.25, pa.int64(): 3, pa.bool_(): False, pa.string(): "x",
             pa.list_(pa.float64()): [0.25]}  # fmt: skip
    rest = {field.name: plain[field.type] for field in schema}
    return Result(pa.Table.from_pylist([rest | row for row in rows], schema), None)


def test_a_notebooks_scan_ends_with_it(reference, tmp_path):
    said, store = [], shutil.copytree(reference.store, tmp_path / "store")

    class Listener(Silent):
        def note(self, line: str) -> None:
            said.append(line)

    engine.scan(tomllib.loads(TINY.read_text()), store, workers=0, progress=Listener(), name="mine")

    where = Path(re.fullmatch(r"report: (.*mine\.html)", said[-1])[1])
    assert [one["id"] for one in Page(where.read_bytes()).all("section")] == SECTIONS


def test_a_study_without_a_file_has_its_fields_in_it(scan):
    said = scan_report.html(replace(scan, text="")).decode()
    assert "The file (TOML)" not in said and "Every field" in said


class TestOfAFinishedScan:
    def test_every_section_is_there(self, found):
        assert [one["id"] for one in found.all("section")] == SECTIONS
        assert {one["href"] for one in found.all("a")} == {f"#{name}" for name in SECTIONS}
        assert "Does the path hold together?" in found.words

    def test_it_loads_nothing(self, made, found):
        for tag, attributes in found.tags:
            for name in ADDRESSES & attributes.keys():
                assert attributes[name].startswith(("#", "data:image/png;base64,")), (tag, name)
        assert not found.all("link") and not found.all("iframe")
        (style,) = re.findall(rb"<style>(.*?)</style>", made, re.DOTALL)
        assert b"url(" not in style and b"@import" not in style
        policy = next(one["content"] for one in found.all("meta") if "http-equiv" in one)
        assert policy.startswith("default-src 'none'; img-src data:;")

    def test_every_figure_is_a_png_in_it_with_words(self, scan, found):
        drawn = [name for name in scan.figures if name.endswith(".png")]
        images = found.all("img")
        assert len(images) == len(drawn) == len({image["alt"] for image in images})
        for image in images:
            data = base64.b64decode(image["src"].partition("base64,")[2], validate=True)
            with Image.open(io.BytesIO(data)) as picture:
                assert picture.format == "PNG" and picture.size[0] > 300
            assert len(image["alt"].split()) >= 3
        assert images[0]["alt"].endswith("tail count, R = 10000, 50 t y")
        assert "The star is the benchmark (50 GeV, 6.5e-48 cm2)" in found.words

    def test_its_size_and_its_bytes(self, scan, made):
        assert len(made) <= page.MOST_BYTES
        assert scan_report.html(scan) == made

    def test_numbers_are_those_of_the_stored_table(self, scan, found):
        stored = results.rows_at(scan.outcome.table, scan.outcome.plan.study.at)
        table = found.table("Z in detail")
        for head, name in (("p median", "p_median"), ("p low", "p_low"), ("p high", "p_high"),
                           ("z exact [sigma]", "z_exact"), ("z pool error [sigma]", "z_pool_error"),
                           ("n background [events]", "n_background"), ("exposure [t y]", "exposure_ty")):  # fmt: skip
            assert table.column(head) == [row[name] for row in stored], name
        head, rows = results_page.benchmark(scan.outcome)
        shown = found.table("At 50 GeV, 6.5e-48 cm2")
        assert shown.heads == head
        assert [[text for text, _ in row] for row in shown.rows] == [[one.strip("`") for one in row] for row in rows]

    def test_so_are_those_of_classifiers_limits_and_rates(self, scan, found):
        quality, limited = scan.outcome["diagnostics"].table, scan.outcome["limits"].table
        table = found.table("On events that no fit has seen")
        assert table.column("auc") == quality["auc"].to_pylist()
        assert table.column("er leakage at 30 percent nr high") == (
            quality["er_leakage_at_30_percent_nr_high"].to_pylist()
        )  # fmt: skip
        assert [row[0][0] for row in table.rows] == ["classifier", "classifier", "floor", "floor"]
        table = found.table("Median upper limits without signal, and discovery at the benchmark")
        assert table.column("sigma si 90 [cm2]") == limited["sigma_si_90_cm2"].to_pylist()
        assert table.column("z discovery [sigma]") == limited["z_discovery"].to_pylist()
        table, first = found.table("Backgrounds"), scan.outcome.table.to_pylist()[0]
        per_ty = first["n_background"] / first["exposure_ty"]
        assert sum(table.column("selected per t y")) == pytest.approx(per_ty, rel=1e-12)

    def test_the_headline_the_audit_and_every_line_are_in_it(self, scan, found):
        from engine.report import summary

        lines = headline.lines(scan.outcome)
        assert len(lines) == 4
        for line in (*lines, *headline.remarks(scan.outcome), *summary.lines(scan.outcome)):
            assert " ".join(line.split()) in found.words
        row = headline.chosen(scan.outcome)
        assert (row["statistic"], row["exposure_ty"]) == ("tail_count", 50)
        assert f"Z = {row['z_exact']:.2f} +- {row['z_pool_error']:.2f}" in lines[1]
        assert row["pool_limited"] == ("too few pool events" in lines[1])
        limits = scan.outcome["limits"].table.to_pylist()
        (limit,) = (one for one in limits if (one["m_chi_GeV"], one["exposure_ty"]) == (50, 50))
        value, error = limit["sigma_si_90_cm2"], limit["sigma_si_90_error_cm2"]
        assert f"a median limit of {value:.3g} cm2 (90 % CL +- {error:.2g}" in lines[1]
        (other,) = results.rows_at(scan.outcome.table, {**scan.outcome.plan.study.at, "exposure_ty": 50.0,
                                                        "statistic": "extended_poisson", "R": 1e4})  # fmt: skip
        assert lines[2] == ("Z of the other searches in such an experiment: extended_poisson "
                            f"{results_page.significance(other)} (moves with the unit of TS).")  # fmt: skip

    def test_the_headline_has_all_statistics_as_one_test_where_the_study_has_it(self, scan):
        at = scan.outcome.plan.study.at | {"exposure_ty": 50.0}
        row = {"z_median": 2.345, "tail": "bound", "R": [1e4]} | at
        made = filled(combined.table_schema(scan.outcome.plan.study.signal.size), row, row | {"exposure_ty": 20.0})
        lines = headline.lines(changed(scan, combined=made).outcome)
        assert "experiment: all of them as one test, 'combined', > 2.35, extended_poisson " in lines[2]

    def test_study_lineage_versions_and_time_are_in_it(self, scan, found):
        assert " ".join(scan.text.split()) in found.words
        plan, (one_pass,) = scan.outcome.plan, pages(scan.store, scan.outcome.plan.table)
        told = {row[0][0]: row[1][0] for row in found.table("Lineage").rows}
        assert told["table"] == plan.table and {f"model {role}" for role in plan.models} <= told.keys()
        assert told["SHA-256 of the table"] == scan.outcome.ledger.entries[plan.table].sha256
        told = {row[0][0]: row[1][0] for row in found.table("Versions and machine").rows}
        assert told["nestpy"] == one_pass.environment["version.nestpy"] and told["cpus"]
        spent = found.table("Time by stage, of every pass that computed something")
        time = {row[0][0]: row[1][1] for row in spent.rows}
        assert time.pop("all") == pytest.approx(sum(one_pass.seconds.values())) and time == one_pass.seconds

    def test_secrets_of_a_study_are_hidden(self, scan):
        text = "# tiny: may this be read?\n# store: s3://me:hunter22@host/b\n"
        made = scan_report.html(replace(scan, text=text, settings=("token=abcdef",), figures={}))
        assert b"hunter22" not in made and b"abcdef" not in made and b"May this be read?" in made


class TestOfLess:
    def test_without_figures_limits_journal_or_comment(self, scan, tmp_path):
        plan = scan.outcome.plan
        less = changed(scan, limits=stages.empty(limits, plan))
        bare = replace(less, figures={}, text="seed = 3\n", store=Store(str(tmp_path)), name="mine")
        found = Page(scan_report.html(bare))
        assert [one["id"] for one in found.all("section")] == SECTIONS and not found.all("img")
        for words in ("What does the study mine say?", "no figure of a plane", "no figure of scores",
                      "Limits were not asked for", "was not asked for ([reach] enabled = false)",
                      "no journal of this scan"):  # fmt: skip
            assert words in found.words

    def test_t3_and_the_leakage_are_shown_where_they_were_asked_for(self, scan):
        size, at = scan.outcome.plan.study.signal.size, scan.outcome.plan.study.at
        t3 = {"statistic": "tail_count", "R": 1e4, "t3_ty": 123.456, "t3_error_ty": 7.5, "status": "found"} | at
        known = {"statistic": "tail_count", "R": 1e4, "calibration_events": None, "leakage_known": 1.2, "z": 2.5} | at
        more = changed(scan, reach=filled(reach.table_schema(size), t3, t3 | {"m_chi_GeV": 20.0}),
                       leakage=filled(leakage.table_schema(size), known | {"exposure_ty": 50.0}))  # fmt: skip
        found = Page(scan_report.html(replace(more, figures={})))
        assert found.table("T3, the exposure for three sigma, in detail").column("t3 [t y]") == [123.456, 123.456]
        assert found.table("At 50 GeV, 6.5e-48 cm2").rows[1][-1] == ("123 +- 7.5", 123.0)
        assert "three sigma in t y: 123 +- 7.5; a search told the signal has a median limit of" in found.words
        assert found.table("By how well the leakage is known").rows[0][-1] == ("2.50", 2.5)

    def test_a_study_that_ranks_no_statistic_is_told_by_its_largest_z(self, scan, monkeypatch):
        monkeypatch.setattr(headline.ranking, "headline", lambda plan, table: None)
        rows = results.rows_at(scan.outcome.table, scan.outcome.plan.study.at | {"exposure_ty": 50.0})
        assert headline.chosen(scan.outcome) == max(rows, key=lambda row: row["z_exact"])
        assert "extended_poisson_R10000 has Z = " in headline.lines(scan.outcome)[1]

    def test_a_figure_that_no_section_knows_comes_last(self, scan):
        found = Page(scan_report.html(replace(scan, figures={"new_kind.png": scan.figures["roc.png"], "a.pdf": b"%"})))
        assert found.all("section")[-1]["id"] == "more" and [image["alt"] for image in found.all("img")] == ["new kind"]


class TestWords:
    def test_every_kind_of_figure_has_a_caption_of_sentences(self):
        assert set(KINDS) <= captions.captions().keys() <= {*KINDS, "coverage"}
        for name, caption in captions.captions().items():
            assert caption.section in (*SECTIONS, "battery", "systematics") and caption.told[-1] in ".:" and (
                len(caption.told.split()) > 15), name

    @pytest.mark.parametrize(("name", "which"), [
        ("plane_tail_count_R2.5e+05_200ty", "tail count, R = 2.5e+05, 200 t y"), ("q_count_0.5ty", "count, 0.5 t y"),
        ("p_against_exposure_2", "part 2"), ("p_against_R_1e-45_5ty", "1e-45, 5 t y"),
        ("size_against_exposure_50GeV_3sigma", "50 GeV 3 sigma"), ("q_panels_20ty_2", "20 t y, part 2"),
        ("scores_R0", "R = 0"), ("roc", ""),
    ])  # fmt: skip
    def test_what_a_figure_is_of_is_read_off_its_name(self, name, which):
        line = captions.captions()[figures.kind(name)].line
        assert captions.of(name, "")[1] == (f"{line}: {which}" if which else line)

    def test_columns_are_told_plainly_and_the_tables_keep_their_meaning(self, scan, found):
        size = scan.outcome.plan.study.signal.size
        shown = {*scan_report.SIGNIFICANCE, *scan_report.QUALITY, *scan_report.COMBINED}
        stored = {*schemas.results(size).names, *schemas.DIAGNOSTICS.names, *reach.table_schema(size).names,
                  *schemas.combined(size).names, *battery.table_schema(size).names}  # fmt: skip
        assert set(captions.glossary()) <= stored
        for name in shown & set(captions.glossary()) & set(schemas.results(size).names):
            if scan.outcome.table[name].null_count < len(scan.outcome.table):
                assert captions.glossary()[name] in found.words, name
        field = scan.outcome.table.schema.field("monotone_invariant")
        assert b"nor with any monotone map" in field.metadata[b"meaning"]


class TestPublished:
    def test_all_are_of_shipped_studies_and_of_cells_that_their_tables_have(self, scan):
        names = {"tables": scan.outcome.table, "limits": scan.outcome["limits"].table,
                 "diagnostics": scan.outcome["diagnostics"].table}  # fmt: skip
        for name, some in references.known().items():
            assert name in study.shipped()
            for one in some:
                columns = names[one.table].column_names
                assert {one.column, *one.where, *one.error} <= set(columns), one.what

    def test_limits_are_those_that_the_tests_hold_studies_against(self, request):
        text = (request.path.parents[1] / "references" / "published_limits.toml").read_text()
        for name, limit in tomllib.loads(text).items():
            told = {one.where["m_chi_GeV"]: one for one in references.known()[name]}
            assert {mass: one.published for mass, one in told.items()} == pytest.approx(
                dict(zip(limit["m_chi_GeV"], limit["sigma_si_90_cm2"], strict=True))
            )
            assert {one.where["exposure_ty"] for one in told.values()} == {limit["exposure_ty"]}
            off = [one for one, ours in zip(told.values(), limit["ours"], strict=True)
                   if not 1 / 1.3 < ours / one.published < 1.3]  # fmt: skip
            assert all(one.why for one in off)

    def test_the_cell_is_the_stored_one_and_a_missing_one_is_said_to_be_missing(self, scan, monkeypatch):
        where = {"role": "classifier", "population": "uniform_1_100_keV"}
        ends = "er_leakage_at_30_percent_nr_low", "er_leakage_at_30_percent_nr_high"
        one = references.Published("AUC", "diagnostics", where, "auc", 0.5, "a paper", ends, "a reason")
        none = replace(one, what="other", where=where | {"role": "nobody"})
        monkeypatch.setattr(references, "known", lambda: {"tiny": [one, none]})
        rows = {row[0][0]: row for row in self._table(Page(scan_report.html(replace(scan, figures={})))).rows}
        (stored,) = results.rows_at(scan.outcome["diagnostics"].table, where)
        assert [value for _, value in rows["AUC"][1:5]] == [0.5, stored["auc"], None, stored["auc"] / 0.5]
        assert rows["AUC"][3][0] == "[{:.3g}, {:.3g}]".format(*(stored[name] for name in ends))
        assert [text for text, _ in rows["AUC"][5:]] == ["a reason", "a paper"]
        assert rows["other"][2] == ("not in this scan", None) and rows["other"][4][1] is None

    def test_rates_stand_beside_their_reference_where_the_selection_is_its_own(self, scan):
        found = {row.what: row for row in references.compared("tiny", scan.outcome)}
        pp = found["selected pp events in 200 t y"]
        assert abs(pp.ours - pp.published) < 4 * pp.error[0] and 0.9 < pp.ratio < 1.1

    @staticmethod
    def _table(found):
        (table,) = (table for table in found.tables if table.heads[:2] == ["what", "published"])
        return table


class TestTwo:
    def test_they_stand_side_by_side_in_every_section(self, scan):
        other = replace(changed(scan, limits=stages.empty(limits, scan.outcome.plan)), name="other")
        found = Page(scan_report.html(scan, other))
        assert [one["id"] for one in found.all("section")] == SECTIONS
        assert found.words.count("Limits were not asked for") == 1
        table = found.table("Side by side, each at its own benchmark")
        assert table.heads == ["statistic", "R", "what", "tiny", "other"] and len(table.rows) == 4
        assert all(row[3] == row[4] and row[3][1] is not None for row in table.rows)
        assert len(found.all("img")) == 2 * len([name for name in scan.figures if name.endswith(".png")])


class TestCommands:
    def test_a_scan_ends_in_ten_lines_and_the_report_that_the_command_makes_again(self, reference, scan, made, run_here,
                                                                                  tmp_path):  # fmt: skip
        lines = reference.log.partition("computed ")[2].splitlines()
        assert len(lines) <= 10
        assert lines[1:5] == list(headline.lines(scan.outcome))
        (kept,) = (reference.store / "reports").glob("*/*")
        assert f"report: {kept}" in lines and kept.name == "tiny.html" and kept.read_bytes() == made
        done = run_here("report", TINY, "--store", reference.store, "--into", "sent.html")
        assert done.stdout == "report: sent.html\n" and (tmp_path / "sent.html").read_bytes() == made

    def test_mlflow_has_it(self, reference, made):
        client, runs = tracked(reference.store)
        (scan,) = (run for run in runs if run.data.tags["stage"] == "scan")
        (kept,) = (reference.store / "mlflow").glob(f"artifacts/**/{scan.info.run_id}/**/report.html")
        assert kept.read_bytes() == made

    @pytest.mark.parametrize(("words", "said"), [
        ((TINY, "--store", "empty"), "no finished table of this study"),
        ((TINY, TINY), "have one and the same table"),
        ((TINY, "absent"), "study (neither a file nor a shipped one)"),
    ])  # fmt: skip
    def test_what_cannot_be_reported_is_one_line(self, reference, run_here, words, said):
        store = () if "--store" in words else ("--store", reference.store)
        done = run_here("report", *words, *store, check=2)
        assert said in done.stderr and done.stderr.count("\n") == 1
