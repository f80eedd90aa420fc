"""The command line: thin commands over public functions, one clear line for a mistake."""

import importlib.metadata
import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from engine.errors import BadInput, ScanStalled, TaskFailed
from engine.launch.command import launch
from engine.progress import Silent, reporter

BAD_INPUT, INTERRUPTED = 2, 130

app = typer.Typer(
    no_args_is_help=True, invoke_without_command=True, add_completion=False, pretty_exceptions_enable=False
)
zoo_app = typer.Typer(no_args_is_help=True, help="Model families.")
scans_app = typer.Typer(no_args_is_help=True, help="Studies that come with the package.")
app.add_typer(zoo_app, name="zoo")
app.add_typer(scans_app, name="scans")
app.command()(launch)
console = Console()

StudyName = Annotated[str, typer.Argument(help="A TOML file, or the name of a shipped study (scans list).")]
StoreUri = Annotated[str, typer.Option("--store", help="Where results live: a folder or s3://bucket/prefix.")]
Tracking = Annotated[str | None, typer.Option("--tracking", help="MLflow URI; by default SQLite in the store.")]
Address = Annotated[str | None, typer.Option("--address", help="A Ray cluster; by default a local one is started.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes of the local Ray.")]
Setting = Annotated[list[str] | None, typer.Option("--set", help="Override a key of the study: key.path=value.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Only errors and where the results are.")]
Overlay = Annotated[list[Path] | None, typer.Option("--overlay", help="CSV of a limit curve: m_chi_GeV,sigma_si_cm2.")]
DEFAULT_STORE = "./recoilscan-store"


def say(line: str) -> None:
    """One line as it is: paths may be long and hold brackets."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


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
) -> None:
    """Runs a study: simulate, fit, score, toys, p-values, table, figures. Run it again to resume."""
    from engine import pipeline, summary  # torch and Ray take seconds to import: only commands that use them pay
    from engine.cluster.store import Store
    from engine.study import load

    parsed, progress = load(study, tuple(settings or ())), reporter(quiet)
    curves = _overlays(overlay, parsed)
    place = Store(store)
    with _resumable():
        outcome = pipeline.run(parsed, place, address=address, workers=workers, progress=progress)
    computed, total = sum(outcome.computed.values()), sum(map(len, outcome.plan.items.values()))
    progress.note(f"computed {computed} of {total} items, reused {total - computed}, corrupt {len(outcome.set_aside)}")
    for line in summary.lines(outcome):
        progress.note(line)
    say(f"table: {outcome.path}")
    if outcome.reach_path:
        say(f"reach: {outcome.reach_path}")
    if outcome.limits_path:
        say(f"limits: {outcome.limits_path}")
    files = _draw(outcome, place, curves, "png")
    say(f"figures: {place.where(_figures(outcome))}")
    _track(study, outcome, place, files, tracking, progress)
    curve = " --overlay limit.csv" if parsed.grid.m_chi_GeV else " --format pdf"
    progress.note(f"next: recoilscan plot {_same(study, store, settings)}{curve}")


@app.command()
def status(
    study: StudyName,
    store: StoreUri = DEFAULT_STORE,
    settings: Setting = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """How far a study is: items done, missing, corrupt; and where its table is. Changes nothing."""
    from engine import pipeline
    from engine.cluster.store import Store
    from engine.study import load

    found = pipeline.status(load(study, tuple(settings or ())), Store(store))
    if as_json:
        print(json.dumps(asdict(found) | {"corrupt": len(found.corrupt), "corrupt_paths": found.corrupt}))
        return
    rows = Table("stage", "done", "of")
    for stage, (done, total) in found.by_stage.items():
        rows.add_row(stage, str(done), str(total))
    console.print(rows)
    for path in found.corrupt:
        say(f"corrupt: {path}")
    say(f"done {found.done}, missing {found.missing}, corrupt {len(found.corrupt)}")
    say(f"table: {found.table or 'none yet: recoilscan scan ' + _same(study, store, settings)}")


@app.command()
def plot(
    study: StudyName,
    store: StoreUri = DEFAULT_STORE,
    settings: Setting = None,
    overlay: Overlay = None,
    format: Annotated[str, typer.Option(help="png or pdf")] = "png",
) -> None:
    """Draws a finished study's figures again, with curves of your own on the plane."""
    from engine import pipeline
    from engine.cluster.store import Store
    from engine.study import load

    parsed, place = load(study, tuple(settings or ())), Store(store)
    curves = _overlays(overlay, parsed)
    outcome = pipeline.finished(parsed, place)
    if outcome is None:
        again = _same(study, store, settings)
        raise BadInput(f"no finished table of {study!r} in {store!r}; run: recoilscan scan {again}")
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
    to: Annotated[Path, typer.Option("--to", help="Where the study with the best R goes; never overwritten.")] = Path(
        "tuned.toml"
    ),
    quiet: Quiet = False,
) -> None:
    """Scans R on a pool of its own by a study's [tune] section, and writes the study with the best R."""
    from engine import study as studies
    from engine import tuned, tuning
    from engine.cluster.store import Store

    raw, progress, place = studies.read(study, tuple(settings or ())), reporter(quiet), Store(store)
    parsed = studies.parse(raw, study)
    with _resumable():
        found = tuning.run(parsed, place, address=address, workers=workers, progress=progress)
    progress.note(f"computed {sum(found.computed.values())} items")
    progress.note(tuned.words(found))
    say(f"table: {found.path}")
    files = tuned.files(found, raw)
    for name, data in files.items():
        place.put(f"figures/{found.item}/{name}", data)
    say(f"figures: {place.where(f'figures/{found.item}')}")
    _log([tuned.record(Path(study).stem, found, files)], place, tracking, progress)
    say(_keep(to, files["tuned.toml"].decode()))


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


@app.command()
def bench(seconds: Annotated[float, typer.Option(min=0.1, help="Time given to each kernel.")] = 2.0) -> None:
    """Speed of the fast kernels beside their slow, obvious twins, in the same run; and where an event's time goes."""
    from engine.bench import budget, run

    rows = Table("kernel", "fast", "plain", "unit", "ratio")
    for result in run(seconds):
        fast, slow = (f"{rate:,.0f}" for rate in (result.fast_per_s, result.slow_per_s))
        rows.add_row(result.name, fast, slow, result.unit, f"{result.ratio:.1f}")
    console.print(rows)
    budgets = budget.run()
    rows = Table("ms per 1000 events", *(each.name for each in budgets))
    for row in budget.rows(budgets):
        rows.add_row(*row)
    console.print(rows)


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


@contextmanager
def _resumable() -> Iterator[None]:
    """Ctrl-C ends with the line that resumes."""
    try:
        yield
    except KeyboardInterrupt:
        resume = " ".join(["recoilscan", *sys.argv[1:]])
        print(f"interrupted; what was finished is kept. Resume with: {resume}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


def _keep(path: Path, text: str) -> str:
    """Writes a study where there is none; says what was done, or that nothing was overwritten."""
    if not path.exists():
        path.write_text(text)
    elif path.read_text() != text:
        return f"{path} exists and is another study; nothing was overwritten: say where with --to"
    return f"study with the best R: {path}; next: recoilscan scan {path}"


def _same(study: str, store: str, settings: list[str] | None) -> str:
    """What the user must repeat so that another command means the same study."""
    words = [study, "--store", store, *(word for setting in settings or () for word in ("--set", setting))]
    return shlex.join(words)


def _overlays(paths: list[Path] | None, study) -> tuple:
    from engine.contours import read_overlay

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


def _track(study: str, outcome, store, files: dict[str, bytes], uri: str | None, progress: Silent) -> None:
    from engine.cluster.store import Ledger
    from engine.records import records

    _log(records(Path(study).stem, outcome.plan, Ledger(store), outcome, files), store, uri, progress)


def _log(records: list, store, uri: str | None, progress: Silent) -> None:
    from engine import tracking

    uri = uri or tracking.default_uri(store.folder())
    try:
        new = tracking.log(records, uri)
    except Exception as error:  # the results are safe in the store: tracking never decides success
        print(f"warning: MLflow at {uri} took no runs ({type(error).__name__}: {error})", file=sys.stderr)
        return
    progress.note(f"tracking: {new} new runs in {uri}; look: mlflow ui --backend-store-uri {uri}")


def main() -> None:
    """Runs the command line; a mistake of the user's is one line and exit code 2."""
    try:
        app()
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except (ScanStalled, TaskFailed) as error:
        print(f"error: {str(error).rstrip('.')}; what was finished is kept", file=sys.stderr)
        sys.exit(1)
