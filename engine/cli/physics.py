"""`recoilscan physics`: what a study simulates, beside references."""

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import DEFAULT_STORE, Format, NoCode, Preset, Setting, StoreUri, StudyName, say, stem
from engine.errors import BadInput, unknown


def physics(
    study: StudyName,
    data: Annotated[
        Path | None, typer.Option("--data", help="A list of events to set beside the bands: .csv, .parquet or .npy.")
    ] = None,
    unblind: Annotated[
        bool, typer.Option("--unblind", help="Its events of the signal region, too; the store keeps that it was done.")
    ] = False,
    store: StoreUri = DEFAULT_STORE,
    settings: Setting = None,
    preset: Preset = None,
    events: Annotated[int, typer.Option(min=100, max=10_000_000, help="Events simulated of each kind.")] = 20_000,
    energy: Annotated[
        str | None, typer.Option("--energy", help="ER or NR: energies by a flow, and its coverage; a minute more.")
    ] = None,
    format: Format = "png",
    no_code: NoCode = False,
) -> None:
    """Reports a study's rates, spectra, bands and detector response beside references; needs no scan."""
    from engine.inference.pools import KINDS
    from engine.report import physics_page, physics_report
    from engine.run import observation
    from engine.store.store import Store
    from engine.study import load

    parsed = load(study, tuple(settings or ()))
    if unblind and data is None:
        raise BadInput("--unblind shows events of a list: it goes with --data FILE")
    if energy not in (None, *KINDS):
        raise unknown("kind of recoil", energy, KINDS)
    seen = None if data is None else observation.selected_of(parsed, data)
    opened_store = Store(store)
    digest = physics_report.identity(parsed, events, seen and seen.content, unblind, energy)
    if unblind:
        observation.looked(opened_store, seen, (digest,), stem(study))
    for name, made in physics_page.files(parsed, events, format, seen, unblind, energy).items():
        opened_store.put(f"physics/{digest}/{name}", made)
    say(f"report: {opened_store.where(f'physics/{digest}/report.md')}")
