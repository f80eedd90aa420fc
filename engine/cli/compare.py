"""`recoilscan compare`: the ranking of a comparison that has ended."""

from engine.cli.options import DEFAULT_STORE, Format, NoCode, Preset, Setting, StoreUri, StudyName


def compare(
    study: StudyName,
    store: StoreUri = DEFAULT_STORE,
    settings: Setting = None,
    preset: Preset = None,
    format: Format = "png",
    no_code: NoCode = False,
) -> None:
    """Ranks the pairs of a finished comparison, and draws it again; reads the store alone."""
    from engine.cli import comparison
    from engine.study import load

    comparison.show(study, load(study, tuple(settings or ())), store, settings, format)
