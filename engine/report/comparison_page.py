"""The report of a finished comparison: one page of HTML, from its tables and those of every pair."""

from collections.abc import Iterator

from engine.assembly import results
from engine.lineage import row_label
from engine.report import captions, headline, page, scan_report
from engine.report.comparison_report import by_weight, mean_of_seeds, significance
from engine.report.page import Figure, PageSection, Part, Report, Words
from engine.run.comparison import Comparison


def html(name: str, text: str, settings: tuple[str, ...], comparison: Comparison, figure: bytes) -> bytes:
    """The page, UTF-8; `text`: the study's file, `settings`: what changed it, `figure`: the ranking as PNG."""
    sections = (
        scan_report.in_short(lines(comparison), text),
        PageSection("ranking", "The ranking", tuple(_ranking(comparison, figure))),
        PageSection("differences", "Two at a time, on the same toys", tuple(_differences(comparison))),
        PageSection("audit", "Every pair, and its audit", tuple(
            Words(tuple(f"{pair}: {said}" for said in (*headline.lines(outcome), *headline.remarks(outcome))), True)
            for pair, outcome in comparison.outcomes.items()
        )),
        scan_report.of_study(comparison.plan.study, text, settings),
        PageSection("made", "How it was made", (page.plain(
            ("what", "digest of the table"),
            [("comparison", comparison.plan.comparison),
             *((pair, outcome.plan.table) for pair, outcome in comparison.outcomes.items())],
        ),)),
    )  # fmt: skip
    return page.rendered(name, [Report(name, scan_report.question(name, text), sections)])


def lines(comparison: Comparison) -> tuple[str, str, str]:
    """What was simulated, who is ranked first, and by how much."""
    by, (first, *others) = comparison.plan.study.ranking, comparison.ranking.to_pylist()
    simulated = headline.lines(comparison.outcomes[first["pair"]])[0]
    ranked = f"By {row_label(by.statistic, by.R)} at {by.exposure_ty:g} t y: {first['pair']}, Z {significance(first)}"
    if not others:
        return simulated, f"{ranked}.", "How sure: there is no second pair to hold it against."
    (row,) = results.rows_at(comparison.differences, {"pair": first["pair"], "other": others[0]["pair"]})
    seeds = mean_of_seeds(row, "z_mean_difference")
    of_seeds = f"; mean over them of Z minus Z: {seeds}" if row["z_mean_difference"] is not None else ""
    return simulated, f"{ranked}; last of {len(others) + 1}: {others[-1]['pair']}, Z {significance(others[-1])}.", (
        f"How sure: on the same toys Z of the first minus that of the second, {row['other']}, is "
        f"{row['z_difference']:+.3f} +- {row['z_difference_error']:.3f} (the toys' error; bounds in {row['bound']:.0%} "
        f"of them); training seeds: {first['n_seeds']}{of_seeds}."
    )  # fmt: skip


def _ranking(comparison: Comparison, figure: bytes) -> Iterator[Part]:
    yield Figure("ranking", "Z of every pair, and the differences between them", figure)
    ranking = comparison.ranking
    yield page.stored(ranking, [name for name in ranking.column_names if name != "lineage"], "All pairs",
                      glossary=captions.glossary())  # fmt: skip
    head, rows = by_weight(comparison)
    if rows:
        title = "By R, the weight of the classifier against the autoencoder in the score"
        note = "R = 0 is the autoencoder alone. +- is the finite pool's error, (seed) the spread of trainings."
        yield page.plain(head, rows, title, note)


def _differences(comparison: Comparison) -> Iterator[Part]:
    differences = comparison.differences
    yield page.stored(differences, differences.column_names, "Z of a pair minus that of another")
    if len(tried := results.at(comparison.together, comparison.plan.study.at)):
        yield page.stored(tried, scan_report.COMBINED, "The smallest p of all pairs, and its price")
