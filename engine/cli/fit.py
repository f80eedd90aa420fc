"""`recoilscan fit`: background components of a study fitted to a list of events, outside the signal region."""

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import NoCode, Preset, Setting, StudyName, say


def fit(
    study: StudyName,
    data: Annotated[Path, typer.Argument(help="A list of events: .csv, .parquet or .npy.")],
    settings: Setting = None,
    preset: Preset = None,
    free: Annotated[
        str | None,
        typer.Option("--free", help="An option of a component's events: xe124_ec.charge_yield_ratio_LL=0.65:0.87."),
    ] = None,
    events: Annotated[int, typer.Option(min=1000, max=10_000_000, help="Events simulated of each kind.")] = 100_000,
    no_code: NoCode = False,
) -> None:
    """Fits the rates of a study's backgrounds to observed events outside the signal region; needs no scan.

    Prints what makes the result the study's priors: lines for its file, and the same as --set.
    """
    from engine.run import list_fit, observation
    from engine.study import load

    parsed = load(study, tuple(settings or ()))
    moving = None if free is None else list_fit.free(parsed, free)
    exposure_ty, listed = observation.exposure_of(parsed), observation.selected_of(parsed, data)
    for line in list_fit.lines(list_fit.fit(parsed, listed, exposure_ty, moving, events)):
        say(line)
