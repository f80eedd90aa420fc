"""`recoilscan observe`: lists of observed events under the frozen models of finished scans."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

from engine.cli.options import (
    DEFAULT_STORE,
    Format,
    NoCode,
    Preset,
    Quiet,
    Setting,
    StoreUri,
    StudyName,
    Tracking,
    again,
    finished,
    say,
    stem,
)
from engine.errors import BadInput
from engine.progress import reporter


class WithPairs(TyperCommand):
    """A command whose `--also` takes two words, any number of times: typer knows no list of pairs."""

    def parse_args(self, context: typer.Context, arguments: list[str]) -> list[str]:
        """Gives each word of a pair an option of its own; raises BadInput for a pair that is none."""
        words, rest = [], iter(arguments)
        for word in rest:
            words.append(word)
            if word == "--also":
                pair = [next(rest, ""), next(rest, "")]
                if not all(pair) or any(one.startswith("-") for one in pair):
                    raise BadInput(f"--also {' '.join(pair).strip() or 'nothing'}: takes a study and its list of "
                                   "events, such as --also lz_ws2022 events.csv")  # fmt: skip
                words += [pair[0], "--also", pair[1]]
        return super().parse_args(context, words)


def observe(
    study: StudyName,
    data: Annotated[Path, typer.Argument(help="A list of events: .csv, .parquet or .npy.")],
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="STUDY DATA", help="Another list and its study, as it stands, in one search; may repeat."),
    ] = None,
    store: StoreUri = DEFAULT_STORE,
    tracking: Tracking = None,
    settings: Setting = None,
    preset: Preset = None,
    unblind: Annotated[
        bool, typer.Option("--unblind", help="Look into the signal region; the store keeps that it was done.")
    ] = False,
    format: Format = "png",
    quiet: Quiet = False,
    no_code: NoCode = False,
) -> None:
    """Puts observed events to a finished scan: fit of the background, p of every statistic, limits, rarest events.

    Without --unblind it says what is outside the signal region, and nothing of what is in it.
    """
    from engine.report import joint as of_joint
    from engine.report import observed
    from engine.report.tracking import tracked
    from engine.run import salt
    from engine.run.joint import JointObservation

    pairs = [(study, str(data)), *zip((also or ())[::2], (also or ())[1::2], strict=True)]
    stems = [stem(name) for name, _ in pairs]
    opened_store, seen = _observations(pairs, store, settings)
    joint = JointObservation(tuple(seen)) if len(seen) > 1 else None
    for name, (_, path), one in zip(stems, pairs, seen, strict=True):
        _say((*salt.notes(path), *observed.lines_before(one)), name if joint else "")
    _say(of_joint.lines_before(joint) if joint else ())
    if not unblind:
        return say("blinded: nothing of the signal region was shown; to look, and to have that kept: --unblind")
    words = shlex.join(["--unblind", str(data), *(word for pair in pairs[1:] for word in ("--also", *pair))])
    later = f"{again('observe', study, store, settings, tracking)} {words}"
    runs = _looked(stems, seen, joint, opened_store, format)
    tracked.send(lambda: runs, opened_store, tracking, reporter(quiet), later)


def _looked(stems: list[str], seen: list, joint, opened_store, format: str) -> list:
    """Says and keeps what the signal regions hold; records of it for MLflow."""
    from engine.report import joint as of_joint
    from engine.report import observed

    together, runs = joint and joint.setting, []
    others = [one.unblind(opened_store, name, together) for name, one in zip(stems, seen, strict=True)]
    for name, one, other in zip(stems, seen, others, strict=True):
        made = observed.tables(one, other)
        _say(observed.lines_after(one, made), name if joint else "")
        kept = observed.files(one, made, format)
        say(f"tables and figures: {observed.keep(one.setting, opened_store, kept)}")
        runs.append(observed.record(name, one, made, kept))
    if joint:
        made = of_joint.tables(joint, others)
        _say(of_joint.lines_after(joint, made))
        kept = of_joint.files(joint, made, format)
        say(f"together: tables and figures: {observed.keep(joint.setting, opened_store, kept)}")
        runs.append(of_joint.record(stems, joint, made, kept))
    return runs


def _observations(pairs: list[tuple[str, str]], store: str, settings: list[str] | None):
    """The store, and the selected events of every list under its study's scan; `settings` are of the first study.

    Raises BadInput for lists and studies that will not do, before anything is computed of them.
    """
    from engine.run import joint, observation
    from engine.store.store import Store
    from engine.study import load

    set_of = [settings or [], *[[]] * (len(pairs) - 1)]
    studies = [load(name, tuple(some)) for (name, _), some in zip(pairs, set_of, strict=True)]
    exposures = [observation.exposure_of(one) for one in studies]
    lists = [observation.read(one, path) for one, (_, path) in zip(studies, pairs, strict=True)]
    of_lists = zip((one.detector.name for one in studies), (path for _, path in pairs), lists, strict=True)
    joint.check_apart(list(of_lists))
    opened = Store(store, create=False)
    outcomes = [finished(one, opened, again("scan", name, store, some), stem(name))
                for one, (name, _), some in zip(studies, pairs, set_of, strict=True)]  # fmt: skip
    seen = [observation.observation(*triple) for triple in zip(outcomes, lists, exposures, strict=True)]
    if len(seen) > 1:
        joint.check(seen)
    return opened, seen


def _say(lines, name: str = "") -> None:
    for line in lines:
        say(f"{name}: {line}" if name else line)
