"""The tables of a README from stored results, between two lines that say whose they are."""

import re
from collections.abc import Callable

from engine.assembly import battery_rows, results
from engine.errors import BadInput
from engine.lineage import label
from engine.plan.battery_plan import KNOWN_PLANE
from engine.report.markdown import table
from engine.run.pipeline import Outcome
from engine.study.battery import ORACLE
from engine.study.sources import Backgrounds

NOTHING = ""


def headline(outcome: Outcome) -> str:
    """`benchmark` in Markdown, and `known_to` below it."""
    return f"{table(*benchmark(outcome))}\n\n{known_to(outcome)}"


def known_to(outcome: Outcome) -> str:
    """How well rates and leakage are known to every Z, and what the signs in `benchmark` mean."""
    backgrounds, rows = outcome.plan.study.backgrounds, results.rows_at(outcome.table, outcome.plan.study.at)
    by_law = [row["z_exact"] is not None for row in rows]
    toys = f"{rows[0]['n_toys_null']} toys, whose number leaves the interval of 'Z in detail'"
    exact = "exact laws, +- the pool's error"
    by = exact if all(by_law) else f"{exact}, or where there is none by {toys}" if any(by_law) else toys
    return (f"Rates {backgrounds.rates.replace('_', ' ')}; {leakage(rows[0]['er_leakage'], backgrounds)}. "
            f"Z by {by}; `>`: a bound; `*`: too few pool events behind it.")  # fmt: skip


def leakage(share: float, backgrounds: Backgrounds) -> str:
    """How many electron recoils leak by a plain cut in (cS1, cS2), and how well that is taken to be known."""
    if not share:
        return f"no electron recoil of the pool leaks, which is taken as {backgrounds.leakage.words}"
    return (f"{share:.2g} of electron recoils leak by a plain cut that keeps 30 % of nuclear ones, "
            f"taken as {backgrounds.leakage.words}")  # fmt: skip


def benchmark(outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    """Z of the median experiment at the benchmark by every statistic and R, and the exposure of three sigma, there and
    at the study's further points: names of columns, and rows of text."""
    study = outcome.plan.study
    exposures = sorted({row["exposure_ty"] for row in results.rows_at(outcome.table, study.at)})
    z = {(row["statistic"], row["R"], row["exposure_ty"]): significance(row)
         for row in results.rows_at(outcome.table, study.at)}  # fmt: skip
    is_sought = len(outcome["reach"].table) > 0
    points = [study.signal.at(point.m_chi_GeV, point.size) for point in study.reach.points if is_sought]
    places = [study.at, *(point.place for point in points)] if is_sought else []
    t3 = {(row["statistic"], row["R"], i): exposure(row) for i, place in enumerate(places)
          for row in results.rows_at(outcome["reach"].table, place)}  # fmt: skip
    pairs = dict.fromkeys(pair[:2] for pair in (*z, *t3))
    named = ["", *(f" at {point.m_chi_GeV:g} GeV, {point.value:g} {study.signal.size.unit}" for point in points)]
    of_t3 = [f"T3{at} in t y" for at in named if is_sought]
    head = ["statistic", "R", *(f"Z at {one:g} t y" for one in exposures), *of_t3]
    rows = [[f"`{name}`", NOTHING if R is None else f"{R:g}", *(z.get((name, R, one), NOTHING) for one in exposures),
             *(t3.get((name, R, i), NOTHING) for i in range(len(places)))]
            for name, R in sorted(pairs, key=_order)]  # fmt: skip
    return head, rows


def by_leakage(outcome: Outcome) -> str:
    """`leakages` in Markdown; BadInput where the study has no [leakage_scan]."""
    if not len(outcome["leakage"].table):
        raise BadInput("the study has no [leakage_scan]; at least: [leakage_scan] and factors = [1, 1.2, 1.5, 2]")
    return table(*leakages(outcome))


def leakages(outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    """Z and T3 by how well the leakage is known: names of columns, and rows of text."""
    rows = outcome["leakage"].table.to_pylist()
    levels = list(dict.fromkeys((row["calibration_events"], row["leakage_known"]) for row in rows))
    wanted = list(dict.fromkeys((row["exposure_ty"], row["statistic"], row["R"]) for row in rows))
    cells = {(row["exposure_ty"], row["statistic"], row["R"], row["calibration_events"], row["leakage_known"]): row
             for row in rows}  # fmt: skip
    head = ["statistic", "R", "at", *(_level(*level) for level in levels)]
    body = [[f"`{name}`", NOTHING if R is None else f"{R:g}", "T3 in t y" if at is None else f"Z at {at:g} t y",
             *(_cell(cells[at, name, R, *level]) for level in levels)] for at, name, R in wanted]  # fmt: skip
    return head, body


def of_battery(outcome: Outcome) -> str:
    """`battery` in Markdown with its note; BadInput where the study has no [battery]."""
    if not len(outcome["battery"].table):
        raise BadInput("the study has no [battery]; at least: [battery.signals] and b8 = { spectrum = 'b8' }")
    return f"{table(*battery(outcome))}\n\n{OF_BATTERY}"


OF_BATTERY = ("T3, the exposure of three sigma, in t y, +- its error from the finite pool: of few groups of it, so "
              "that where it is as large as T3 a finding is no more than likely. In brackets T3 over that of the "
              "oracle in (cS1, cS2), which knows the signal, where that is within the range of exposures; `>`: T3 is "
              "beyond the range, and the ratio a lower bound; `*`: too few pool events behind it. `combined`: all "
              "searches as one, at the price of trying them. Last rows: median and worst ratio over the signals whose "
              "oracle is within the range, and how many of these are beyond it.")  # fmt: skip


def battery(outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    """Signals down; the oracle, `combined`, and of every score the statistic that is blind to fewest across: names of
    columns, and rows of text."""
    found = outcome["battery"].table
    ranked, shown = battery_rows.ranking(found), {}
    for one in ranked:
        shown.setdefault((one.score, one.is_combined), one)
    rows = {(row["signal"], row["score"], row["statistic"]): row for row in found.to_pylist()}
    head = ["signal", "events per t y", "oracle", *(f"`{one.words}`" for one in shown.values())]
    body = []
    for name in battery_rows.signals(found):
        known = rows[name, KNOWN_PLANE, ORACLE]
        cells = [_of_oracle(rows[name, one.score, one.statistic]) for one in shown.values()]
        body.append([name, f"{known['n_signal_per_ty']:.3g}", battery_rows.starred(known), *cells])
    best = list(shown.values())
    body.append(["median ratio", NOTHING, "1", *(battery_rows.bounded(*one.median) for one in best)])
    body.append(["worst ratio", NOTHING, "1", *(battery_rows.bounded(*one.worst) for one in best)])
    body.append(["beyond the range", NOTHING, "0", *(f"{len(one.blind_to)} of {one.n_signals}" for one in best)])
    return head, body


def _of_oracle(row: dict) -> str:
    """An exposure with its error and its ratio to the oracle's."""
    said = battery_rows.starred(row)
    if row["ratio"] is None:
        return said
    return f"{said} ({battery_rows.bounded(row['ratio'], row['ratio_is'] == battery_rows.AT_LEAST)})"


PAGES: dict[str, Callable[[Outcome], str]] = {"results": headline, "leakage": by_leakage, "battery": of_battery}


def filled(text: str, study: str, outcome: Outcome) -> str:
    """A text whose tables of a study are made anew: what stands between `<!-- results STUDY -->`
    (or `leakage`, or `battery`) and `<!-- end -->`. Raises BadInput where there is none."""
    n_filled = 0
    for name, page in PAGES.items():
        block = re.compile(rf"(<!-- {name} {re.escape(study)} -->\n).*?(<!-- end -->)", re.DOTALL)
        if block.search(text):
            made = page(outcome)
            text, n = block.subn(lambda match, made=made: f"{match[1]}\n{made}\n\n{match[2]}", text)
            n_filled += n
    if not n_filled:
        wanted = " or ".join(f"<!-- {name} {study} -->" for name in PAGES)
        raise BadInput(f"the file has no line {wanted} with an <!-- end --> behind it")
    return text


def _order(pair: tuple[str, float | None]) -> tuple:
    return (pair[1] is not None, -(pair[1] or 0.0), pair[0])


def significance(row: dict) -> str:
    """Z of a row of the table with its pool's error; `>`: a bound; `*`: too few pool events are behind it."""
    poor = "*" if row["pool_limited"] else ""
    if row["z_exact"] is None:
        return f"{'> ' if row['tail'] == 'bound' else ''}{row['z_median']:.2f}{poor}"
    if row["exact_tail"] == "bound":
        return f"> {row['z_exact']:.1f}{poor}"
    error = "" if row["z_pool_error"] is None else f" +- {row['z_pool_error']:.2f}"
    return f"{row['z_exact']:.2f}{error}{poor}"


def exposure(row: dict) -> str:
    """The exposure of three sigma of a row of `reach` with its error, or the end of the range beyond which it lies."""
    poor = "*" if row["pool_limited"] else ""
    if row["status"] != "found":
        return f"beyond {row['to_ty']:g}" if row["t3_ty"] is None else f"below {row['from_ty']:g}"
    error = "" if row["t3_error_ty"] is None else f" +- {row['t3_error_ty']:.2g}"
    return f"{row['t3_ty']:.3g}{error}{poor}"


def _cell(row: dict) -> str:
    if row["exposure_ty"] is not None:
        return f"{'> ' if row['tail'] == 'bound' else ''}{row['z']:.2f}"
    return "beyond" if row["t3_ty"] is None else f"{row['t3_ty']:.3g}"


def _level(calibration_events: float | None, known_to: float) -> str:
    if calibration_events is not None:
        return f"{label(calibration_events)} calibration events"
    return "exactly known" if known_to == 1 else f"to {known_to:g}"
