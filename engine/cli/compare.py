"""`recoilscan compare`: the ranking of a comparison that has ended."""

from typing import Annotated

import typer

from engine.cli.options import DEFAULT_STORE, NoCode, Setting, StoreUri, StudyName


def compare(
    study: StudyName,
    store: StoreUri = DEFAULT_STORE,
    settings: Setting = None,
    format: Annotated[str, typer.Option(help="png or pdf")] = "png",
    no_code: NoCode = False,
) -> None:
    """Ranks the pairs of a finished comparison, and draws it again; reads the store alone."""
    from engine.cli import comparison
    from engine.study import load

    comparison.show(study, load(study, tuple(settings or ())), store, settings, format)
