"""A finished scan in lines: models, pool, the benchmark by every statistic, and what was asked beside the grid."""

from collections.abc import Iterator

from engine.report import audit
from engine.run import refine
from engine.run.pipeline import Outcome
from engine.stages import STAGES, diagnostics, limits, tables
from engine.study import Study

LINES_OF_124XE_KEVEE = (4.0, 12.0)  # LM and LL with their widths


def lines(outcome: Outcome) -> Iterator[str]:
    """Every line: of the stages in the order of the work, but that the models and the benchmark come first."""
    study = outcome.plan.study
    yield from diagnostics.lines(outcome["diagnostics"], study)
    sizes = outcome.population.effective_events()
    yield "effective pool events: " + ", ".join(f"{name} {size:.0f}" for name, size in sizes.items())
    yield from tables.lines(outcome["tables"], study)
    yield from refine.lines(outcome.plan, outcome.table)
    for stage in STAGES:
        if hasattr(stage, "lines") and stage not in (diagnostics, tables):
            yield from stage.lines(outcome[stage.NAME], study)
        if stage is limits:
            yield from (f"audit: {line}" for line in (*audit.lines(outcome.table, study.at), *left_out(study)))


def left_out(study: Study) -> Iterator[str]:
    """What a claim about a tail needs and the study does not have."""
    backgrounds, (low, high) = study.backgrounds, LINES_OF_124XE_KEVEE
    first, last = backgrounds.er_window_keVee
    if first < high and low < last and "xe124_ec" not in map(backgrounds.spectrum_name, backgrounds.components):
        yield ("124Xe's double captures (backgrounds.components: xe124_ec) are left out; each leaks some eighty times "
               "as much as a beta: what rests on a tail is too good")  # fmt: skip
