"""What the command line does with a study that compares pairs of models."""

from functools import partial
from pathlib import Path

from engine import plots, stages
from engine.cli.options import again, console, say, stem
from engine.errors import BadInput
from engine.progress import Silent, reporter
from engine.report import comparison_page, comparison_report
from engine.report.scan import keep_comparison
from engine.report.tracking import tracked
from engine.run import comparison
from engine.run.comparison import Comparison
from engine.store.store import Store
from engine.study import Study, text


def scan(
    name: str, parsed: Study, store: Store, settings: list[str] | None, tracking: str | None, progress: Silent,
    later: str, **options: object,
) -> None:  # fmt: skip
    """The whole comparison: one pass over the events, then every pair; its ranking at the end."""
    result = comparison.run(parsed, store, progress=progress, **options)
    computed, total = sum(result.computed.values()), sum(map(len, stages.items(result.plan).values()))
    reused = max(total - computed, 0)
    progress.note(f"computed {computed} of {total} items, reused {reused}, corrupt {len(result.set_aside)}")
    for line in comparison_page.lines(result):
        progress.note(line)
    kept = keep_comparison(stem(name), text(name), tuple(settings or ()), result, store)
    _tell(result, store)
    say(f"report: {kept.report}")
    for pair, outcome in result.outcomes.items():
        progress.note(f"table of {pair}: {outcome.path}")
    runs = partial(comparison_report.logged, stem(name), result, store, kept.files, comparison_page.lines(result))
    tracked.send(runs, store, tracking, progress, later)


def show(name: str, parsed: Study, store: str, settings: list[str] | None, format: str) -> None:
    """The ranking of a comparison that has ended, from the store alone. Raises BadInput where there is none."""
    if parsed.compare is None:
        raise BadInput(f"{name!r} has no [compare] section; at least: [compare.classifier.NAME] and name = 'FAMILY'")
    opened_store = Store(store, create=False)
    result = _finished(parsed, opened_store, again("scan", name, store, settings))
    comparison_report.keep(result, opened_store, format)
    _tell(result, opened_store, format)


def track(
    name: str, parsed: Study, store: Store, settings: list[str] | None, tracking: str | None, later: str,
    scan_again: str,
) -> bool:  # fmt: skip
    """Sends a comparison that has ended to MLflow, from the store alone; whether it was taken."""
    result = _finished(parsed, store, scan_again)
    made = comparison_report.files(result)
    made |= {"report.html": _page(name, settings, result, made)}
    runs = partial(comparison_report.logged, stem(name), result, store, made, comparison_page.lines(result))
    return tracked.send(runs, store, tracking, reporter(False), later)


def report(name: str, parsed: Study, store: Store, settings: list[str] | None, into: Path | None) -> None:
    """Writes the report of a comparison that has ended, from the store alone, to a file or into the store."""
    result = _finished(parsed, store, again("scan", name, store.uri, settings))
    page = _page(name, settings, result, comparison_report.files(result))
    path = f"{result.plan.folder}/{stem(name)}.html"
    if into:
        into.write_bytes(page)
    else:
        store.put(path, page)
    say(f"report: {into or store.where(path)}")


def _page(name: str, settings: list[str] | None, result: Comparison, made: dict[str, bytes]) -> bytes:
    return comparison_page.html(stem(name), text(name), tuple(settings or ()), result, plots.lean(made["ranking.png"]))


def _finished(parsed: Study, store: Store, scan_again: str) -> Comparison:
    result = comparison.finished(parsed, store)
    if result is None:
        raise BadInput(f"no finished comparison of this study in {store.uri!r}; run: {scan_again}")
    return result


def _tell(result: Comparison, store: Store, format: str = "png") -> None:
    for table in comparison_report.shown(result):
        console.print(table)
    for name in ("comparison.parquet", "differences.parquet", f"ranking.{format}"):
        say(f"{Path(name).stem}: {store.where(f'{result.plan.folder}/{name}')}")
