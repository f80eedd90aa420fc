"""`recoilscan scan` and `plot`: a study from its events to its table, and its figures again."""

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import (
    DEFAULT_STORE,
    Address,
    Curves,
    Format,
    NoCode,
    Preset,
    Quiet,
    Setting,
    Share,
    StoreUri,
    StudyName,
    Tracking,
    Workers,
    again,
    console,
    finished,
    say,
    stem,
)
from engine.errors import BadInput
from engine.progress import reporter

PARTIAL = 3


def scan(
    study: StudyName,
    store: StoreUri = DEFAULT_STORE,
    tracking: Tracking = None,
    address: Address = None,
    workers: Workers = None,
    share: Share = None,
    settings: Setting = None,
    preset: Preset = None,
    curve: Curves = None,
    quiet: Quiet = False,
    plan: Annotated[bool, typer.Option("--plan", help="Say what is to be done and its cost; start nothing.")] = False,
    calibrate: Annotated[bool, typer.Option("--calibrate", help="With --plan: try a small copy first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --plan: machine-readable.")] = False,
    no_code: NoCode = False,
) -> None:
    """Runs a study: simulate, fit, score, toys, p-values, table, figures. Run it again to resume."""
    if (as_json or calibrate) and not plan:
        raise BadInput("--json and --calibrate go with --plan; of a scan itself: recoilscan status --json")
    if plan:
        return _say_plan(study, store, settings, as_json, calibrate)
    _scan(study, store, settings, tracking, curve, reporter(quiet), (address, workers, share))


def _scan(
    study: str, store: str, settings: list[str] | None, tracking: str | None, curve: list[Path] | None, progress,
    where: tuple[str | None, int | None, str | None],
) -> None:  # fmt: skip
    from engine.estimate import pricing
    from engine.plan.plan import Plan
    from engine.report.tracking import tracked
    from engine.run import pipeline, sharing  # torch and Ray take seconds to import: who uses them pays
    from engine.run.executors import executor
    from engine.store.store import Store
    from engine.study import load, text

    address, workers, share = where
    part = sharing.Share.parse(share) if share else None
    if part and (address or workers):
        raise BadInput("--share works in this process: no --address with it, and no --workers but 0")
    parsed = load(study, tuple(settings or ()))
    curves = _curves(curve, parsed)
    opened_store, later = Store(store), again("track", study, store, settings, tracking)
    named = (stem(study), text(study), tuple(settings or ()))
    cluster, price = {"address": address, "workers": 0 if part else workers}, pricing()
    if part and part.number > 1:
        return _take_part(study, parsed, opened_store, progress, cluster | {"share": part, "price": price})
    if parsed.compare:
        from engine.cli import comparison

        how = cluster | {"share": part, "price": price}
        return comparison.scan(study, parsed, opened_store, settings, tracking, progress, later, **how)
    with closing(executor(**cluster, note=progress.note)) as on:
        with tracked.followed(stem(study), Plan(parsed), opened_store, tracking, progress, later) as watched:
            outcome = pipeline.run(
                parsed, opened_store, progress=watched, name=stem(study), share=part, price=price, on=on
            )
            from engine.report.scan import keep  # only now: earlier, tasks would wait a second for it

            if outcome.n_failed:
                _tell_failed(outcome)  # first, should what there is of it not be drawn
                kept = keep(*named, outcome, opened_store)
                _tell_partial(kept, again("scan", study, store, settings))
                tracked.send_partial(stem(study), outcome, opened_store, kept.files, tracking, progress, later)
        if outcome.n_failed:  # beyond the watch, which would take it for a failure
            raise typer.Exit(PARTIAL)
        _tell(outcome, progress, again("results", study, store, settings))
        kept = keep(*named, outcome, opened_store, curves, on)
    more = " --curve limit.csv" if parsed.grid.m_chi_GeV else ""
    say(f"figures: {kept.folder}; all of them: {again('plot', study, store, settings)} --all{more}")
    say(f"report: {kept.report}")
    tracked.send_scan(stem(study), outcome, opened_store, kept.files, tracking, progress, later)


def _take_part(name: str, parsed, store, progress, how: dict) -> None:
    """Computes with others, of whom the first draws, reports and tracks what has come out."""
    from engine.run import comparison, pipeline

    if parsed.compare:
        comparison.run(parsed, store, progress=progress, **how)
    elif pipeline.run(parsed, store, progress=progress, name=stem(name), **how).n_failed:
        raise typer.Exit(PARTIAL)
    progress.note(f"whole: share 1 of {how['share'].of} says what came out")


def plot(
    study: StudyName,
    store: StoreUri = DEFAULT_STORE,
    settings: Setting = None,
    preset: Preset = None,
    curve: Curves = None,
    format: Format = "png",
    every: Annotated[bool, typer.Option("--all", help="Of every statistic, R and exposure; else a dozen.")] = False,
    no_code: NoCode = False,
) -> None:
    """Draws a finished study's figures again, or all there are, with curves of your own on the plane."""
    from engine.report import figures
    from engine.store.store import Store
    from engine.study import load

    parsed, opened_store = load(study, tuple(settings or ())), Store(store)
    if parsed.compare:
        raise BadInput(f"{study!r} compares pairs of models; run: {again('compare', study, store, settings)}")
    curves = _curves(curve, parsed)
    outcome = finished(parsed, opened_store, again("scan", study, store, settings))
    files = figures.draw(outcome.plan, outcome, curves, format, every)
    folder = figures.keep(opened_store, outcome.plan, files)
    for name in files:
        say(opened_store.where(f"{folder}/{name}"))


def _say_plan(study: str, store: str, settings: list[str] | None, as_json: bool, calibrate: bool) -> None:
    from engine import estimate
    from engine.estimate import calibration, costs
    from engine.store.store import Store
    from engine.study import parse, read

    raw = read(study, tuple(settings or ()))
    parsed, known = parse(raw, study), costs.shipped()
    if calibrate:
        known = calibration.calibrated(raw, parsed, known)
    priced = estimate.estimate(parsed, Store(store, create=False), known)
    if as_json:
        print(priced.as_json())
        return
    console.print(priced.as_table())
    for line in priced.lines():
        say(line)


def _tell(outcome, progress, every_line: str) -> None:
    """What was done, what came out in a few lines, and where the table is: the rest is in the report."""
    from engine import stages
    from engine.report import headline

    computed, total = sum(outcome.computed.values()), sum(map(len, stages.items(outcome.plan).values()))
    reused = max(total - computed, 0)  # what was found damaged under way was computed twice
    progress.note(f"computed {computed} of {total} items, reused {reused}, corrupt {len(outcome.set_aside)}")
    for line in headline.lines(outcome):
        progress.note(line)
    say(f"table: {outcome.path}; every line of it: {every_line}")


def _tell_failed(outcome) -> None:
    """What has no answer and why, and where the table of the rest is."""
    for stage, failed in outcome.failed.items():
        for reason, n in Counter(failed.values()).items():
            say(f"failed: {n} of {stage}: {reason}")
    say(f"table: {outcome.path} (partial: {outcome.n_failed} items have no answer, see its column reason)")


def _tell_partial(kept, again: str) -> None:
    """Where figures and report of what there is are, and how to go on."""
    say(f"figures: {kept.folder}")
    say(f"report: {kept.report}")
    say(f"try them again: {again}; which they are: {again.replace(' scan ', ' status ', 1)}")


def _curves(paths: list[Path] | None, study) -> tuple:
    from engine.assembly.contours import read_curve

    if paths and study.compare:
        raise BadInput(f"--curve {paths[0]}: a comparison draws no plane")
    if paths and not study.grid.m_chi_GeV:
        raise BadInput(f"--curve {paths[0]}: the signal {study.signal.name!r} has no plane of mass and cross-section")
    return tuple((path.stem, *read_curve(path, study.signal.size.name)) for path in paths or ())
