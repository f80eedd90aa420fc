"""The report of a finished scan, and of two side by side: one page of HTML, from what is stored and nothing else."""

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from engine import plots, stages
from engine.assembly import battery_rows, results
from engine.lineage import label, row_label
from engine.report import captions, figures, headline, page, references, results_page, summary
from engine.report.page import Figure, PageSection, Part, Report, Table, TableCell, TableColumn, Verbatim, Words
from engine.report.tracking import records
from engine.report.tracking.journal import pages
from engine.run.pipeline import Outcome
from engine.store.store import Store
from engine.study import Study
from engine.study.layers import AS_IT_STANDS

FOLDER = "reports"
TERMS = (
    "Z is the significance, one-sided and in standard deviations, with which the median experiment rejects background "
    "alone when this signal is there; T3 is the exposure from which on it is three. The anomaly score TS of an event "
    "is what its networks make of it, by default -ELBO + R H_B: R weighs the classifier's term against the "
    "autoencoder's, 0 leaves it out. A statistic whose 'monotone invariant' is no moves with the scale of TS: its rows "
    "rank neither networks nor R.",
    "Toys are drawn from one half of a pool of simulated events; the density f0 of TS and all thresholds are made of "
    "the other half. Where the halves differ, or counts are few whole numbers, a signal may even seem to "
    "lower a count: 'half z shift' says how far halves differ. "
    "+- is what a finite pool leaves open (a jack-knife), not the error of one training or of simulation. The floor "
    "is a small network on cS1, cS2 and drift time alone, fitted to the same events: what others must beat.",
    "'tail_count_R250000' is the statistic tail_count of TS at R = 250000. The literal statistic is extended_poisson, "
    "-2 ln L as the papers print it. CES is the energy W (cS1 / g1 + cS2 / g2) of an event. ARGOS (Hein et al., "
    "arXiv:2511.14832) ranks scores without knowing a signal. Numbers such as 2110.12248 are papers on arxiv.org.",
)
SIGNIFICANCE = (
    "statistic", "R", "exposure_ty", "p_median", "p_low", "p_high", "tail", "z_median", "z_exact", "exact_tail",
    "z_pool_error", "z_seed_error", "half_z_shift", "z_count", "n_background", "n_signal", "pool_limited",
    "model_dependent", "monotone_invariant", "n_toys_null", "n_toys_signal",
)  # fmt: skip
QUALITY = (
    "role", "model", "population", "auc", "accuracy", "precision", "recall", "er_leakage_at_30_percent_nr",
    "er_leakage_at_30_percent_nr_low", "er_leakage_at_30_percent_nr_high", "er_leakage_at_50_percent_nr",
    "n_er", "n_nr", "er_with_one_logit", "nr_with_one_logit",
)  # fmt: skip
COMBINED = ("exposure_ty", "n_choices", "p_median", "p_low", "p_high", "tail", "z_median", "trial_factor",
            "best_statistic", "best_R", "z_best", "tail_best", "statistics")  # fmt: skip


@dataclass(frozen=True)
class Scanned:
    """A finished scan as its report takes it: the study's name, its text, what `--set` changed, its figures."""

    name: str
    text: str
    settings: tuple[str, ...]
    outcome: Outcome
    store: Store
    figures: dict[str, bytes]


def path(one: Scanned, *others: Scanned) -> str:
    """Where in its store the report of a scan is, or that of it beside others."""
    return f"{FOLDER}/{one.outcome.plan.table}/{'-beside-'.join(scan.name for scan in (one, *others))}.html"


def html(one: Scanned, *others: Scanned) -> bytes:
    """The report of a scan, or of it beside others: UTF-8, `page.MOST_BYTES` at most."""
    scans = (one, *others)
    names = [scan.name for scan in scans]
    if len(set(names)) < len(names):  # a study beside itself with other settings
        names = [f"{scan.name} {scan.outcome.plan.table[:8]}" for scan in scans]
    reports = [Report(name, question(scan.name, scan.text), tuple(_sections(scan)))
               for name, scan in zip(names, scans, strict=True)]  # fmt: skip
    before = (_beside(names, scans),) if others else ()
    return page.rendered(" beside ".join(names), reports, before)


def partial_path(one: Scanned) -> str:
    """Where in its store the report of a scan without all answers is."""
    return f"partial/{one.outcome.plan.table}/{one.name}.html"


def partial_html(one: Scanned) -> bytes:
    """The report of a scan some of whose items have no answer, which has no headline: how far it came, and why no
    further."""
    outcome, study = one.outcome, one.outcome.plan.study
    total = sum(map(len, stages.items(outcome.plan).values()))
    said = (f"Partial: {outcome.n_failed} of {total} items have no answer. What is shown is of the others; before a "
            "number is quoted, run the scan again, which computes what is missing alone.")  # fmt: skip
    why = [(stage, reason, str(n)) for stage, failed in outcome.failed.items()
           for reason, n in Counter(failed.values()).items()]  # fmt: skip
    drawn = [Figure(name, alt, plots.lean(data), told=told)
             for name, data in ((file.removesuffix(".png"), data) for file, data in sorted(one.figures.items()))
             for _, alt, told in [captions.of(name, headline.place(study))]]  # fmt: skip
    rows = results.at(outcome.table, study.at)
    sections = (
        in_short((said,), one.text),
        PageSection("failed", "What has no answer", (page.plain(("stage", "why", "items"), why),)),
        PageSection("plane", "How far it came", tuple(drawn)),
        PageSection("answer", f"At {headline.place(study)}",
                    (_stored(rows, (*SIGNIFICANCE, "reason"), "Z in detail"),)),
        of_study(study, one.text, one.settings),
    )
    return page.rendered(one.name, [Report(one.name, question(one.name, one.text), sections)])


def question(name: str, text: str) -> str:
    """The first line of a study's file, which says what it asks."""
    asked = opening(text).partition("\n")[0].removeprefix(f"{name}:").strip() or f"what does the study {name} say?"
    return asked[0].upper() + asked[1:]


def opening(text: str) -> str:
    """The comment that a study's file opens with."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)


def in_short(lines: Iterable[str], text: str) -> PageSection:
    """The headline, above what a study's file says of itself."""
    parts: list[Part] = [Words(tuple(lines), listed=True)]
    if "\n" in (said := opening(text)):  # more than its question, which stands above
        parts.append(Verbatim("What the study's file says of itself: command, cost, expected answer", said))
    return PageSection("headline", "In short", tuple(parts))


def of_study(study: Study, text: str, settings: tuple[str, ...]) -> PageSection:
    """A study's file, what `--set` changed of it, and all of its fields."""
    changed = (Words(("Changed by --set:",)), Words(settings, listed=True)) if settings else ()
    file = (Verbatim("The file (TOML)", text, folded=False),) if text else ()  # a study may be handed over as an object
    fields = json.dumps(study.fields(), indent=1)
    every = Verbatim("Every field, with its default where the file is silent (JSON)", fields)
    return PageSection("study", "The study", (*changed, *file, every))


def _sections(one: Scanned) -> Iterator[PageSection]:
    outcome = one.outcome
    shown = _by_section(one)
    yield in_short([*headline.lines(outcome), *_of_preset(outcome.plan.study)], one.text)
    yield PageSection("plane", "The plane", tuple(shown["plane"]) or (Words(("This scan has no figure of a plane.",)),))
    yield PageSection("answer", "Z and the exposure for three sigma", (*_answers(outcome), *shown["answer"]))
    yield PageSection("limits", "A search that knows the signal", tuple(_limits(outcome)))
    if len(outcome["battery"].table):
        yield PageSection("battery", "What the search is blind to", (*_battery(outcome), *shown["battery"]))
    yield PageSection("networks", "Classifiers beside the floor", (*_networks(outcome), *shown["networks"]))
    yield PageSection("scores", "Scores and test statistics",
                  tuple(shown["scores"]) or (Words(("This scan has no figure of scores.",)),))  # fmt: skip
    if outcome["diagnostics"].autoencoders:
        yield PageSection("autoencoder", "The autoencoder", (*_autoencoders(outcome), *shown["autoencoder"]))
    if outcome["systematics"] is not None:
        yield PageSection("systematics", "Under shifted assumptions", tuple(shown["systematics"]))
    yield PageSection("published", "Published and ours", tuple(_published(one)))
    yield PageSection("audit", "The audit", tuple(_audit(outcome)))
    yield PageSection("simulated", "What was simulated", tuple(_simulated(outcome)))
    yield PageSection(
        "lines", "Every line", (Verbatim("What recoilscan results prints", "\n".join(summary.lines(outcome))),)
    )
    yield of_study(outcome.plan.study, one.text, one.settings)
    yield PageSection("made", "How it was made", tuple(_made(one)))
    if shown[captions.MORE]:
        yield PageSection(captions.MORE, "More figures", tuple(shown[captions.MORE]))


def _of_preset(study: Study) -> Iterator[str]:
    if study.preset != AS_IT_STANDS:
        yield f"This is the preset {study.preset!r} of the study: what it changes is in the study's file."


def _by_section(one: Scanned) -> dict[str, list[Figure]]:
    """The PNGs by section. The plane of the headline comes first; other statistics' and exposures' are folded."""
    row, kinds = headline.chosen(one.outcome), [*captions.captions(), ""]
    shown = {caption.section: [] for caption in captions.captions().values()} | {captions.MORE: []}
    main = f"plane_{row_label(row['statistic'], row['R'])}_{label(row['exposure_ty'])}ty"
    names = [file.removesuffix(".png") for file in one.figures if file.endswith(".png")]
    for name in sorted(names, key=lambda name: (name != main, kinds.index(figures.kind(name)), name)):
        section, alt, told = captions.of(name, headline.place(one.outcome.plan.study))
        folded = section == "plane" and name != main
        shown[section].append(Figure(name, alt, plots.lean(one.figures[f"{name}.png"]), folded, told))
    return shown


def _stored(*table: object, **how: object) -> Table:
    return page.stored(*table, **how, glossary=captions.glossary())


def _answers(outcome: Outcome) -> Iterator[Part]:
    study = outcome.plan.study
    note, (head, rows) = results_page.known_to(outcome).replace("`", ""), results_page.benchmark(outcome)
    yield Words(TERMS)
    yield page.plain(head, rows, title=f"At {headline.place(study)}", note=note)
    names = dict.fromkeys(row[0].strip("`") for row in rows)
    yield Words(tuple(f"{name}: {_about(study, name)}" for name in names), listed=True)
    yield _stored(results.at(outcome.table, study.at), SIGNIFICANCE, "Z in detail", folded=True)
    reached = outcome["reach"].table
    if not len(reached):
        yield Words(("The exposure for three sigma was not asked for ([reach] enabled = false).",))
        return
    columns = ["statistic", "R", "m_chi_GeV", study.signal.size.name, "t3_ty", "t3_error_ty", "t3_seed_error_ty",
               "t3_low_ty", "t3_high_ty", "t3_oracle_ty", "t3_count_ty", "status", "from_ty", "to_ty", "p_false_alarm",
               "power", "method", "pool_limited"]  # fmt: skip
    yield _stored(reached, columns, "T3, the exposure for three sigma, in detail", folded=True)


def _about(study: Study, name: str) -> str:
    """A statistic in a sentence, with the numbers that a study gives it."""
    module, _ = study.toys.statistic(name)
    given = ", ".join(f"{option} = {value}" for option, value in study.toys.options.get(name, {}).items())
    return (module.__doc__ or "").strip().partition("\n")[0] + (f" Here {given}." if given else "")


def _limits(outcome: Outcome) -> Iterator[Part]:
    study, table, size = outcome.plan.study, outcome["limits"].table, outcome.plan.study.signal.size
    if len(table):
        columns = ["m_chi_GeV", "exposure_ty", *map(size.named, ("90", "90_error", "low", "high", "lower_end")),
                   "interval", "level", "method", "n_toys", "z_discovery", "discovery_tail", "n_signal",
                   "pool_limited"]  # fmt: skip
        yield _stored(table, columns, "Median upper limits without signal, and discovery at the benchmark")
    else:
        yield Words(("Limits were not asked for ([limits] enabled = false).",))
    if len(tried := results.at(outcome["combined"].table, study.at)):
        yield _stored(tried, COMBINED, "The smallest p of all that was tried, and its price")


def _battery(outcome: Outcome) -> Iterator[Part]:
    found = outcome["battery"].table
    yield Words((battery_rows.answer(found),))
    yield page.plain(*results_page.battery(outcome), title="Signals that the search knows nothing of",
                     note=results_page.OF_BATTERY.replace("`", ""))  # fmt: skip
    columns = ["signal", "kind", "m_chi_GeV", "size", "size_name", "replaces", "n_signal_per_ty", "score", "R",
               "statistic", "t3_ty", "t3_error_ty", "t3_oracle_ty", "ratio", "ratio_error", "ratio_is", "t3_priced_ty",
               "n_choices", "status", "from_ty", "to_ty", "signal_pool_size", "pool_limited"]  # fmt: skip
    yield _stored(found, columns, "Every exposure of the battery", folded=True)


def _networks(outcome: Outcome) -> Iterator[Part]:
    rows = outcome["diagnostics"].table
    if len(rows):
        yield _stored(rows, QUALITY, "On events that no fit has seen",
                          "The floor sees cS1, cS2 and drift time alone: what a network must beat.")  # fmt: skip
    else:
        yield Words(("The score has no classifier.",))
    if len(outcome["leakage"].table):
        yield page.plain(*results_page.leakages(outcome), title="By how well the leakage is known")


def _autoencoders(outcome: Outcome) -> Iterator[Part]:
    for role, one in outcome["diagnostics"].autoencoders.items():
        rows = tuple((TableCell(name.replace("_", " ")), page.cell(value)) for name, value in one.numbers.items())
        yield Table(f"{role} {one.family}", (TableColumn("number"), TableColumn("value")), rows)


def _published(one: Scanned) -> Iterator[Part]:
    found = references.compared(one.name, one.outcome)
    if not found:
        yield Words(("Nothing published is known that this study could be held against.",))
        return
    rows = tuple(
        (TableCell(row.what), page.cell(row.published),
         TableCell("not in this scan") if row.ours is None else page.cell(row.ours),
         _error(row.error), page.cell(row.ratio), TableCell(row.why), TableCell(row.source))
        for row in found
    )  # fmt: skip
    head = ("what", "published", "ours", "its error or 68 % interval", "ratio", "why", "source")
    yield Table(
        "", tuple(map(TableColumn, head)), rows, "No physics constant was tuned to meet a number of this table."
    )


def _error(known: tuple[float, ...]) -> TableCell:
    if len(known) == 2:
        return TableCell("[{:.3g}, {:.3g}]".format(*known))
    return page.cell(known[0] if known else None)


def _audit(outcome: Outcome) -> Iterator[Part]:
    said = headline.remarks(outcome)
    if said:
        yield Words(("Before a number is quoted:",))
        yield Words(tuple(said), listed=True)
    else:
        yield Words(("Nothing exceeds what pools and fits are trusted to: no remark.",))


def _simulated(outcome: Outcome) -> Iterator[Part]:
    study, population = outcome.plan.study, outcome.population
    first = results.rows_at(outcome.table, study.at)[0]
    yield Words((f"Detector {first['detector']}, representation {first['representation']}; nuclear recoils "
                 f"{first['nr_window']}, electron recoils {first['er_window']}. Signal: {first['signal']}. "
                 f"Models: {first['models']}; score: {first['score']}; tuned on: {first['tuned_on']}.",))  # fmt: skip
    sizes = population.effective_events()
    per_ty = zip(population.names, population.weights.sum(axis=1), population.relative_uncertainty, strict=True)
    rows = tuple((TableCell(name), page.cell(float(rate)), page.cell(float(error)), page.cell(float(sizes[name])))
                 for name, rate, error in per_ty)  # fmt: skip
    head = ("component", "selected per t y", "relative uncertainty (1 sigma)", "effective pool events")
    yield Table("Backgrounds", tuple(map(TableColumn, head)), rows,
                "Effective pool events: what the component's spectrum leaves of the events simulated.")  # fmt: skip


def _made(one: Scanned) -> Iterator[Part]:
    plan, passes = one.outcome.plan, pages(one.store, one.outcome.plan.table)
    begun = records.opening(one.name, plan)
    sha256 = one.outcome.ledger.entries[plan.table].sha256
    lineage = {"table": plan.table, "SHA-256 of the table": sha256}
    lineage |= {f"model {role}": item for role, item in plan.models.items()}
    lineage |= {f"events, {purpose}": item for purpose, item in begun.inputs.items()}
    yield page.plain(("what", "digest"), [list(pair) for pair in lineage.items()], "Lineage")
    if not passes:
        yield Words(("The store keeps no journal of this scan: its time and versions are not known.",))
        return
    made = passes[-1].environment
    versions = [[name.removeprefix("version."), value] for name, value in made.items()]
    yield page.plain(("what", "value"), versions, "Versions and machine")
    names = list(dict.fromkeys(stage for one_pass in passes for stage in one_pass.seconds))
    head = (TableColumn("stage"), *(TableColumn(_begun(one_pass.began_s), "s") for one_pass in passes))
    rows = [(TableCell(stage), *(page.cell(one_pass.seconds.get(stage)) for one_pass in passes)) for stage in names]
    rows.append((TableCell("all"), *(page.cell(sum(one_pass.seconds.values())) for one_pass in passes)))
    yield Table("Time by stage, of every pass that computed something", head, tuple(rows),
                f"Wall time; the driver's machine has {made.get('cpus', 'an unknown number of')} cores.")  # fmt: skip


def _begun(began_s: float) -> str:
    return f"{datetime.fromtimestamp(began_s, UTC):%Y-%m-%d %H:%M} UTC"


def _beside(names: list[str], scans: tuple[Scanned, ...]) -> Table:
    """Z and T3 of every study in one table, a row for each statistic, R and exposure."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for name, scan in zip(names, scans, strict=True):
        head, rows = results_page.benchmark(scan.outcome)
        for statistic, R, *cells in rows:
            for column, text in zip(head[2:], cells, strict=True):
                found.setdefault((statistic, R, column), {})[name] = text
    rows = [[*key, *(of.get(name, "") for name in names)] for key, of in found.items() if any(of.values())]
    return page.plain(["statistic", "R", "what", *names], rows, "Side by side, each at its own benchmark")
