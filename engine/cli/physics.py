"""`recoilscan physics`: what a study simulates, beside references."""

from typing import Annotated

import typer

from engine.cli.options import DEFAULT_STORE, Format, NoCode, Setting, StoreUri, StudyName, say


def physics(
    study: StudyName,
    store: StoreUri = DEFAULT_STORE,
    settings: Setting = None,
    events: Annotated[int, typer.Option(min=100, max=10_000_000, help="Events simulated of each kind.")] = 20_000,
    format: Format = "png",
    no_code: NoCode = False,
) -> None:
    """Reports a study's rates, spectra, bands and detector response beside references; needs no scan."""
    from engine.report import physics_page, physics_report
    from engine.store.store import Store
    from engine.study import load

    parsed, opened_store = load(study, tuple(settings or ())), Store(store)
    folder = f"physics/{physics_report.identity(parsed, events)}"
    for name, data in physics_page.files(parsed, events, format).items():
        opened_store.put(f"{folder}/{name}", data)
    say(f"report: {opened_store.where(folder + '/report.md')}")
