"""`recoilscan salt`: hidden signal events in a list, and what they were."""

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import NoCode, Preset, Setting, say, target
from engine.errors import BadInput, listed

Seed = Annotated[
    int | None, typer.Option("--seed", min=0, help="Everything follows from it; unless given, one nobody knows.")
]


def salt(
    what: Annotated[str, typer.Argument(help="A study: a TOML file or a shipped name; with --reveal a salted list.")],
    data: Annotated[Path | None, typer.Argument(help="The list to salt: .csv, .parquet or .npy.")] = None,
    into: Annotated[Path | None, typer.Option("--into", help="The salted list, in the format of DATA.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="The key; by default --into with .key.json.")] = None,
    events: Annotated[
        float | None, typer.Option("--events", help="Hidden events expected; by default those of the benchmark.")
    ] = None,
    seed: Seed = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Say which rows of a salted list are salt.")] = False,
    settings: Setting = None,
    preset: Preset = None,
    no_code: NoCode = False,
) -> None:
    """Hides events of a study's signal in a list, as many as its benchmark gives there; --reveal tells them."""
    from engine.run import observation
    from engine.run import salt as salted
    from engine.study import load

    if reveal:
        return _reveal(salted, what, key)
    if data is None or into is None:
        raise BadInput("salt needs a study, a list and --into FILE; or a salted list and --reveal")
    study = load(what, tuple(settings or ()))
    kept = target(salted.key_of(into) if key is None else key)
    exposure_ty = observation.exposure_of(study)
    expected, left_out = salted.salt(study, data, target(into), kept, exposure_ty, events, seed)
    if left_out:
        say(f"left out, since no simulated event has them: {listed(left_out)}")
    say(f"salted list: {into}; events hidden in it: a Poisson number about {expected:.3g}")
    say(f"key: {kept}; whoever analyses the list has not to see it, nor {data}")


def _reveal(salted, path: str, key: Path | None) -> None:
    kept = salted.reveal(path, salted.key_of(path) if key is None else key)
    place = ", ".join(f"{name} = {value:g}" for name, value in kept.signal.items())
    say(f"salt: {len(kept.rows)} events, of {kept.n_expected:.3g} expected, of a signal at {place}")
    if kept.rows:
        say(f"rows: {', '.join(map(str, kept.rows))}")
