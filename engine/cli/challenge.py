"""`recoilscan challenge`: blinded search lists with a sealed answer, and how well answers to them do."""

import os
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import NoCode, Preset, Setting, say, stem, target
from engine.cli.salt import Seed
from engine.errors import BadInput, shown


def challenge(
    what: Annotated[str, typer.Argument(help="A study: a TOML file or a shipped name; with --score a folder.")],
    answer: Annotated[Path, typer.Option("--answer", help="The file with what is hidden; not in the folder.")],
    into: Annotated[Path | None, typer.Option("--into", help="The folder to make.")] = None,
    n_lists: Annotated[int, typer.Option("--sets", min=1, max=1000, help="Search lists.")] = 20,
    seed: Seed = None,
    score: Annotated[Path | None, typer.Option("--score", help="Answers to the challenge in a folder, as CSV.")] = None,
    settings: Setting = None,
    preset: Preset = None,
    no_code: NoCode = False,
) -> None:
    """Writes search lists with and without a hidden signal and what a search may learn from; --score judges answers."""
    from engine.report import challenge as said
    from engine.run import challenge as made
    from engine.run import judgement, observation, salt
    from engine.study import load

    if score is not None:
        for line in said.lines(judgement.judge(Path(what), score, answer)):
            say(line)
        return
    if into is None:
        raise BadInput("challenge needs a study and --into FOLDER; or a folder and --score ANSWERS")
    study = load(what, tuple(settings or ()))
    exposure_ty = observation.exposure_of(study)
    _check(into, answer)
    rates = made.make(study, into, answer, exposure_ty, n_lists, salt.fresh_seed() if seed is None else seed)
    (into / "README.md").write_text(said.readme(study, stem(what), rates, exposure_ty, n_lists), encoding="utf-8")
    say(f"challenge: {into}, {n_lists} search lists of {exposure_ty:g} t y; answer: {answer}")


def _check(folder: Path, answer: Path) -> None:
    """Raises BadInput where the folder holds something, or the answer would be in it or written over."""
    if os.path.exists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
        raise BadInput(f"--into {shown(str(folder), 150)} is there already; a challenge has a new folder")
    target(answer)
    if answer.exists():
        raise BadInput(f"{shown(str(answer), 150)} is there already; nothing is written over")
    if answer.resolve().is_relative_to(folder.resolve()):
        raise BadInput(f"--answer {shown(str(answer), 150)} would be in the folder that is given away")
    target(folder / "README.md" if folder.exists() else folder)
