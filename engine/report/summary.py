"""A finished scan in lines: models, pool, the benchmark by every statistic, and what was asked beside the grid."""

from collections.abc import Iterator

from engine.report import headline
from engine.run import refine
from engine.run.pipeline import Outcome
from engine.stages import STAGES, diagnostics, limits, tables


def lines(outcome: Outcome) -> Iterator[str]:
    """Every line: of the stages in the order of the work, but that the models and the benchmark come first."""
    study, fits = outcome.plan.study, outcome["diagnostics"]
    yield from diagnostics.lines(fits, study)
    sizes = outcome.population.effective_events()
    yield "effective pool events: " + ", ".join(f"{name} {size:.0f}" for name, size in sizes.items())
    yield from tables.lines(outcome["tables"], study)
    yield from refine.lines(outcome.plan, outcome.table)
    for stage in STAGES:
        if hasattr(stage, "lines") and stage not in (diagnostics, tables):
            yield from stage.lines(outcome[stage.NAME], study)
        if stage is limits:
            yield from (f"audit: {line}" for line in headline.remarks(outcome))
