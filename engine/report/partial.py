"""What a scan without all answers is looked at by: how far it came, and the planes that have most of their points."""

import pyarrow as pa
import pyarrow.compute as pc

from engine import plots
from engine.assembly import contours
from engine.lineage import label, row_label
from engine.plan.plan import Plan
from engine.plots import coverage as tiles
from engine.plots import plane
from engine.run.coverage import Coverage, coverage
from engine.run.pipeline import Outcome
from engine.store.store import Store

LEAST_SHARE = 0.5  # of a plane's points with an answer: with fewer, colours and contours would be of the gaps


def draw(outcome: Outcome, format: str = "png") -> dict[str, bytes]:
    """Figures by file name: the coverage of the grid, and of a WIMP the planes that there is enough of."""
    plan = outcome.plan
    state_of = {item: "failed" for failed in outcome.failed.values() for item in failed}
    files = {f"coverage.{format}": plots.render(covered(coverage([plan], state_of)), format)}
    if plan.study.grid.m_chi_GeV:
        files |= {f"{name}.{format}": plots.render(figure, format) for name, figure in _planes(outcome)}
    return files


def keep(store: Store, plan: Plan, files: dict[str, bytes]) -> str:
    """Writes the figures of a scan without all answers into the store; returns their folder."""
    folder = f"partial/{plan.table}/figures"
    for name, data in files.items():
        store.put(f"{folder}/{name}", data)
    return folder


def covered(coverages: list[Coverage]):
    """The figure of the coverage of all exposures."""
    first, states = coverages[0], [one.states for one in coverages]
    exposures = [one.exposure_ty for one in coverages]
    return tiles.coverage(states, exposures, list(first.m_chi_GeV), list(first.sizes), first.size)


def _planes(outcome: Outcome):
    study, table = outcome.plan.study, outcome.table
    size = study.signal.size
    grid = table.filter((pc.field("point") == "grid") & (pc.field("level") == 0) & (pc.field(size.name) > 0))
    answered = grid.filter(pc.field("z_median").is_valid())
    for R, statistic in outcome.plan.wanted:
        for exposure_ty in study.grid.exposure_ty.points():
            n_asked, n_known = (len(_of(rows, R, statistic, exposure_ty)) for rows in (grid, answered))
            if n_known >= max(LEAST_SHARE * n_asked, 1):
                yield f"plane_{row_label(statistic, R)}_{label(exposure_ty)}ty", plane.plane(
                    answered, contours.contours(answered, size), size,
                    exposure_ty=exposure_ty, statistic=statistic, R=R,
                    benchmark=tuple(study.at.values()), limits=outcome["limits"].table,
                )  # fmt: skip


def _of(rows: pa.Table, R: float | None, statistic: str, exposure_ty: float) -> pa.Table:
    of_R = pc.field("R").is_null() if R is None else pc.field("R") == R
    return rows.filter(of_R & (pc.field("statistic") == statistic) & (pc.field("exposure_ty") == exposure_ty))
