"""The command line: thin commands over public functions, one clear line for a mistake."""

import importlib.metadata
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from engine import cli_bench, cli_store
from engine.cli_options import (
    DEFAULT_STORE,
    Address,
    Overlay,
    Quiet,
    Setting,
    Storage,
    StoreUri,
    StudyName,
    Tracking,
    Workers,
    again,
    console,
    finished,
    resumable,
    say,
    stem,
)
from engine.errors import BadInput, ScanStalled, StoreFault, TaskFailed
from engine.launch.command import launch
from engine.progress import reporter

BAD_INPUT, PARTIAL = 2, 3

app = typer.Typer(
    no_args_is_help=True, invoke_without_command=True, add_completion=False, pretty_exceptions_enable=False,
    rich_markup_mode=None,  # [tune] is a section, no colour
)  # fmt: skip
zoo_app = typer.Typer(no_args_is_help=True, help="Model families.")
scans_app = typer.Typer(no_args_is_help=True, help="Studies that come with the package.")
app.command()(cli_store.status)
app.command()(cli_store.track)
app.command()(cli_store.gc)
app.command()(cli_bench.bench)
app.add_typer(zoo_app, name="zoo")
app.add_typer(scans_app, name="scans")
app.command()(launch)


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """How sensitive is a xenon detector to something that is not background, without assuming what it is?"""
    if version:
        say(f"recoilscan {importlib.metadata.version('recoilscan')}")
        raise typer.Exit()


@app.command()
def scan(
    study: StudyName,
    store: StoreUri = DEFAULT_STORE,
    tracking: Tracking = None,
    address: Address = None,
    workers: Workers = None,
    settings: Setting = None,
    overlay: Overlay = None,
    quiet: Quiet = False,
    plan: Annotated[bool, typer.Option("--plan", help="Say what is to be done and its cost; start nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --plan: machine-readable.")] = False,
) -> None:
    """Runs a study: simulate, fit, score, toys, p-values, table, figures. Run it again to resume."""
    if plan or as_json:
        return _say_plan(study, store, settings, plan, as_json)
    from engine import pipeline, summary, tracked  # torch and Ray take seconds to import: who uses them pays
    from engine.cluster.store import Store
    from engine.plan import Plan
    from engine.study import load

    parsed, progress = load(study, tuple(settings or ())), reporter(quiet)
    curves = _overlays(overlay, parsed)
    place, later = Store(store), again("track", study, store, settings, tracking)
    if parsed.compare:
        from engine import cli_compare

        return cli_compare.scan(study, parsed, place, tracking, progress, later, address=address, workers=workers)
    with resumable(), tracked.followed(stem(study), Plan(parsed), place, tracking, progress, later) as watched:
        outcome = pipeline.run(
            parsed, place, address=address, workers=workers, progress=watched, name=stem(study)
        )  # fmt: skip
        if outcome.n_failed:
            raise typer.Exit(_partial(outcome, again("scan", study, store, settings)))
    computed, total = sum(outcome.computed.values()), sum(map(len, outcome.plan.items.values()))
    progress.note(f"computed {computed} of {total} items, reused {total - computed}, corrupt {len(outcome.set_aside)}")
    for line in summary.lines(outcome):
        progress.note(line)
    say(f"table: {outcome.path}")
    say(f"diagnostics: {outcome.diagnostics.path}")
    if outcome.reach_path:
        say(f"reach: {outcome.reach_path}")
    if outcome.limits_path:
        say(f"limits: {outcome.limits_path}")
    files = _draw(outcome, place, curves, "png")
    say(f"figures: {place.where(_figures(outcome))}")
    tracked.send_scan(stem(study), outcome, place, files, tracking, progress, later)
    curve = " --overlay limit.csv" if parsed.grid.m_chi_GeV else " --format pdf"
    progress.note(f"next: {again('plot', study, store, settings)}{curve}")


@app.command()
def plot(
    study: StudyName,
    store: StoreUri = DEFAULT_STORE,
    settings: Setting = None,
    overlay: Overlay = None,
    format: Annotated[str, typer.Option(help="png or pdf")] = "png",
) -> None:
    """Draws a finished study's figures again, with curves of your own on the plane."""
    from engine.cluster.store import Store
    from engine.study import load

    parsed, place = load(study, tuple(settings or ())), Store(store)
    if parsed.compare:
        raise BadInput(f"{study!r} compares pairs of models; run: {again('compare', study, store, settings)}")
    curves = _overlays(overlay, parsed)
    outcome = finished(parsed, place, again("scan", study, store, settings))
    for name in _draw(outcome, place, curves, format):
        say(place.where(f"{_figures(outcome)}/{name}"))


@app.command()
def tune(
    study: StudyName,
    store: StoreUri = DEFAULT_STORE,
    tracking: Tracking = None,
    address: Address = None,
    workers: Workers = None,
    settings: Setting = None,
    to: Annotated[Path, typer.Option("--to", help="Where the study with the best goes; never overwritten.")] = Path(
        "tuned.toml"
    ),
    storage: Storage = None,
    quiet: Quiet = False,
) -> None:
    """Scans R, and the fields of [tune.search], on a pool of its own; writes the study with the best values."""
    from engine import search, searched, tracked, tuned, tuning
    from engine import study as studies
    from engine.cluster.store import Store

    raw, progress, place = studies.read(study, tuple(settings or ())), reporter(quiet), Store(store)
    parsed = studies.parse(raw, study)
    is_search = bool(parsed.tune and parsed.tune.search)
    with resumable():
        options = {"address": address, "workers": workers, "progress": progress}
        found = search.run(parsed, place, storage, **options) if is_search else tuning.run(parsed, place, **options)
    said = searched if is_search else tuned
    progress.note(f"computed {sum(found.computed.values())} items")
    progress.note(said.words(found))
    say(f"table: {found.path}")
    files = said.files(found, raw)
    for name, data in files.items():
        place.put(f"figures/{found.item}/{name}", data)
    say(f"figures: {place.where(f'figures/{found.item}')}")
    later = again("tune", study, store, settings, tracking)  # which then computes nothing
    tracked.send(said.records(stem(study), found, files), place, tracking, progress, later)
    say(_keep(to, files["tuned.toml"].decode()))


@app.command()
def compare(
    study: StudyName,
    store: StoreUri = DEFAULT_STORE,
    settings: Setting = None,
    format: Annotated[str, typer.Option(help="png or pdf")] = "png",
) -> None:
    """Ranks the pairs of a finished comparison, and draws it again; reads the store alone."""
    from engine import cli_compare
    from engine.study import load

    cli_compare.show(study, load(study, tuple(settings or ())), store, settings, format)


@app.command()
def physics(
    study: StudyName,
    store: StoreUri = DEFAULT_STORE,
    settings: Setting = None,
    events: Annotated[int, typer.Option(min=100, help="Events simulated of each kind.")] = 20_000,
    format: Annotated[str, typer.Option(help="png or pdf")] = "png",
) -> None:
    """Reports a study's rates, spectra, bands and detector response beside references; needs no scan."""
    from engine import physics_page, physics_report
    from engine.cluster.store import Store
    from engine.study import load

    parsed, place = load(study, tuple(settings or ())), Store(store)
    folder = f"physics/{physics_report.identity(parsed, events)}"
    for name, data in physics_page.files(parsed, events, format).items():
        place.put(f"{folder}/{name}", data)
    say(f"report: {place.where(folder + '/report.md')}")


@zoo_app.command("list")
def zoo_list() -> None:
    """The model families that ship, and what each is."""
    import zoo
    from engine import plugins

    for name in zoo.names():
        family = plugins.load("zoo", name)
        summary = (family.__doc__ or "").strip().splitlines()[0]
        say(f"{name:<16} {family.KIND:<12} {summary}")


@scans_app.command("list")
def scans_list() -> None:
    """The studies that ship, each with its question."""
    from engine.study import shipped, text

    for name in shipped():
        say(text(name).splitlines()[0].lstrip("# "))


@scans_app.command("copy")
def scans_copy(name: str, to: Annotated[Path | None, typer.Argument(help="By default ./NAME.toml.")] = None) -> None:
    """Copies a shipped study here, to be changed."""
    from engine.study import shipped, text

    target = to or Path(f"{name}.toml")
    if name not in shipped():
        raise BadInput(f"unknown study {name!r} (accepted: {', '.join(shipped())})")
    if target.exists():
        raise BadInput(f"{str(target)!r} exists; nothing was overwritten")
    target.write_text(text(name))
    say(f"{target}: edit it, then recoilscan scan {target}")


def _say_plan(study: str, store: str, settings: list[str] | None, plan: bool, as_json: bool) -> None:
    from engine import estimate, estimate_words
    from engine.study import load

    if not plan:
        raise BadInput("--json goes with --plan; of a scan itself: recoilscan status --json")
    found = estimate.estimate(load(study, tuple(settings or ())), store)
    if as_json:
        print(estimate_words.as_json(found))
        return
    console.print(estimate_words.table(found))
    for line in estimate_words.lines(found):
        say(line)


def _partial(outcome, again: str) -> int:
    """Says what has no answer, and where the rest is; figures and MLflow wait for the whole."""
    for stage, failed in outcome.failed.items():
        for reason, n in Counter(failed.values()).items():
            say(f"failed: {n} of {stage}: {reason}")
    say(f"table: {outcome.path} (partial: {outcome.n_failed} items have no answer, see its column reason)")
    say(f"try them again: {again}; which they are: {again.replace(' scan ', ' status ', 1)}")
    return PARTIAL


def _keep(path: Path, text: str) -> str:
    """Writes a study where there is none; says what was done, or that nothing was overwritten."""
    if not path.exists():
        path.write_text(text)
    elif path.read_text() != text:
        return f"{path} exists and is another study; nothing was overwritten: say where with --to"
    return f"study with the best values: {path}; next: recoilscan scan {path}"


def _overlays(paths: list[Path] | None, study) -> tuple:
    from engine.contours import read_overlay

    if paths and study.compare:
        raise BadInput(f"--overlay {paths[0]}: a comparison draws no plane")
    if paths and not study.grid.m_chi_GeV:
        raise BadInput(f"--overlay {paths[0]}: the signal {study.signal.name!r} has no plane of mass and cross-section")
    return tuple((path.stem, *read_overlay(path)) for path in paths or ())


def _figures(outcome) -> str:
    return f"figures/{outcome.plan.table}"


def _draw(outcome, store, overlays: tuple, format: str) -> dict[str, bytes]:
    from engine.figures import draw

    files = draw(outcome.plan, outcome, overlays, format)
    for name, data in files.items():
        store.put(f"{_figures(outcome)}/{name}", data)
    return files


def main() -> None:
    """Runs the command line; a mistake of the user's is one line and exit code 2."""
    try:
        app()
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except (ScanStalled, StoreFault, TaskFailed) as error:
        print(f"error: {str(error).rstrip('.')}; what was finished is kept", file=sys.stderr)
        sys.exit(1)
