"""Rounds of refinement: where contours of Z are not yet known well enough, a point in the middle of each bracket.

What a round asks for follows from finished rows alone, so that any number of workers, kills and resumes end with the
same points; and a row is the one that any other study would have at its point.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from engine.assembly import contours
from engine.lineage import row_label
from engine.plan import lattice
from engine.plan.plan import Plan, Point
from engine.plan.refined_plan import ROUNDS, Added, Refined
from engine.run.state import Run
from engine.stages import cells, exact, nulls, tables
from engine.store.store import Ledger
from engine.study import Study


def spend(run: Run) -> None:
    """Computes round after round until no contour asks for a point; the run's plan then holds them all."""
    if not run.plan.study.grid.refine:
        return
    plan = Refined(run.plan.study)
    while points := next_points(plan, known(plan, run.ledger)):
        plan = plan.with_round(points)
        _compute(run, plan.added(points), f"round {len(plan.rounds)}")
    run.plan = plan


def _compute(run: Run, added: Added, name: str) -> None:
    """The stages of a round, whose parts nobody has verified before its points were known."""
    of_round = run.under(added)
    of_round.population, of_round.shared = run.population, run.shared  # the same pool and scores
    for stage in (nulls, cells, exact):
        for entry in run.ledger.check(stage.items(added)):
            run.put_aside(entry)
        if of_round.missing(stage.items(added)):
            of_round.stage(stage, f"{name} {stage.NAME}")


def next_points(plan: Refined, contours_now: pa.Table) -> tuple[Point, ...]:
    """The points of the next round: none where every contour is known, or the rounds are used up."""
    level = len(plan.rounds) + 1
    if level > plan.section.max_rounds:
        return ()
    places = {
        (row["exposure_ty"], row["m_chi_GeV"], lattice.middle(row["bracket_low"], row["bracket_high"]))
        for row in contours_now.to_pylist()
        if is_bracketed(row) and is_wide(plan, row)
    }
    return tuple(Point(*place, "grid", level) for place in sorted(places))


def known(plan: Refined, ledger: Ledger) -> pa.Table:
    """The contours so far (`engine.assembly.contours`), by exact laws where rows have them."""
    rows = tables.table(plan, ledger, only=plan.pair).filter(pc.field("point") == "grid")
    return contours.contours(contours.by_law(rows), plan.study.signal.size, plan.section.z)


def is_bracketed(row: dict) -> bool:
    """Whether a contour lies between two points, the lower of which is no bound."""
    return None not in (row["bracket_low"], row["bracket_high"])


def is_wide(plan: Refined, row: dict) -> bool:
    """Whether these two are further apart than the contour should be known."""
    return lattice.is_wider(row["bracket_low"], row["bracket_high"], plan.section.log10_sigma)


def replay(study: Study, ledger: Ledger) -> tuple[Plan, bool]:
    """The plan as far as what is stored decides it, and whether that is all; changes nothing in the store."""
    if not study.grid.refine:
        return Plan(study), True
    for stage in ROUNDS:
        ledger.know(ledger.orphans(f"{stage}/")[0])
    plan = Refined(study)
    while _is_whole(plan, ledger):
        points = next_points(plan, known(plan, ledger))
        if not points:
            return plan, True
        plan = plan.with_round(points)
    return plan, False


def _is_whole(plan: Refined, ledger: Ledger) -> bool:
    """Whether every row that decides is stored and verifies."""
    needed = [item for place, items in plan.rows() if place[1:] == plan.pair for item in items if item]
    return all(item in ledger.entries for item in needed) and not ledger.check(needed)


def progress(plan: Plan, ledger: Ledger, is_settled: bool) -> dict | None:
    """What is known of the rounds: points and finished ones of each; `settled`: no round will follow."""
    if not isinstance(plan, Refined):
        return None
    rounds = []
    for points in plan.rounds:
        rows = [*(added := plan.added(points)).cells, *added.exact]
        done = sum(item in ledger.entries for item in rows)
        rounds.append({"points": len(points), "rows": len(rows), "rows_done": done})
    return {"rounds": rounds, "settled": is_settled}


def lines(plan: Plan, table: pa.Table) -> Iterator[str]:
    """What a finished refinement spent, what it found, and where there is no contour to be found."""
    if not isinstance(plan, Refined):
        return
    R, name = plan.pair
    mine = table.filter((pc.field("point") == "grid") & (pc.field("statistic") == name))
    mine = mine if R is None else mine.filter(pc.field("R") == R)
    spent, dense = mine.filter(pc.field(plan.study.signal.size.name) > 0).num_rows, _dense(plan)
    yield (f"refined: {row_label(name, R)}, {len(plan.rounds)} rounds, {sum(map(len, plan.rounds))} points added; "
           f"{spent} in all, where a grid as fine has {dense}")  # fmt: skip
    groups: dict[str, list[str]] = {}
    for row in contours.contours(contours.by_law(mine), plan.study.signal.size, plan.section.z).to_pylist():
        groups.setdefault(_said(plan, row), []).append(_words(row))
    for words, which in groups.items():
        yield f"refined: {len(which)} contours {words}{': ' + '; '.join(which) if words != _known(plan) else ''}"


def _known(plan: Refined) -> str:
    return f"known to {plan.section.log10_sigma:g} in log10 sigma"


def _said(plan: Refined, row: dict) -> str:
    if is_bracketed(row):
        return "not so well within max_rounds" if is_wide(plan, row) else _known(plan)
    if row["status"] == "bound_limited":
        return "hidden by the toys' smallest p (more toys would tell)"
    return {"above_grid": "above the grid", "below_grid": "below the grid"}[row["status"]]


def _words(row: dict) -> str:
    return f"{row['level_sigma']:g} sigma at {row['m_chi_GeV']:g} GeV, {row['exposure_ty']:g} t y"


def _dense(plan: Refined) -> int:
    """Points of a grid over the same plane that is as fine everywhere."""
    grid = plan.study.grid
    sizes = [size for size in grid.size.points() if size > 0]
    per_mass = 1 + -(-lattice.width(sizes[0], sizes[-1]) // plan.section.log10_sigma) if sizes else 0
    return int(per_mass) * len(grid.m_chi_GeV.points()) * len(grid.exposure_ty.points())
