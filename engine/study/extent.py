"""How much a study asks for: counted, and refused where it is too much, before any of it is expanded."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.errors import BadInput
from engine.inference.pools import KINDS
from engine.inference.toys import BLOCK
from engine.study.section import MOST_POINTS, Axis

if TYPE_CHECKING:  # it asks this module
    from engine.study.study import Study

MOST_EVENTS = 2_000_000_000  # of all kinds and purposes: in shards of 2000, as many as there may be points

Factors = dict[str, int]  # how many there are, by the key that says so


def check(study: "Study") -> None:
    """Raises BadInput where what multiplies makes more than MOST_POINTS of a thing, or more than MOST_EVENTS."""
    for what, factors, most in _products(study):
        if (n := math.prod(factors.values())) > most:
            product = " x ".join(f"{count:,} ({key})" for key, count in factors.items() if count != 1)
            raise BadInput(f"too many {what}: {product} = {n:,}; at most {most:,}")


def _products(study: "Study") -> Iterator[tuple[str, Factors, int]]:
    grid, toys, signal = study.grid, study.toys, study.signal
    axes: dict[str, Axis] = {"m_chi_GeV": grid.m_chi_GeV} if grid.m_chi_GeV else {}
    axes |= {signal.size.name: grid.size, "exposure_ty": grid.exposure_ty}
    of_grid = {f"grid.{name}": axis.n_points for name, axis in axes.items()}
    per_point = {"score.R": len(study.score.R), "toys.statistics": len(toys.statistics)}
    exposures = {"grid.exposure_ty": grid.exposure_ty.n_points}
    pairs = {}
    if study.compare:
        sides = study.compare.sides(study.fitted, study.kinds)
        pairs = {f"compare.{role}": len(side) for role, side in sides.items()}
    yield "points", of_grid | per_point | pairs, MOST_POINTS
    factor = grid.refine.toys_factor if grid.refine else 1
    blocks = -(-max(toys.null, toys.signal) * factor // BLOCK)
    seeds = {"training.n_seeds": study.training.n_seeds} if study.combined else {}
    yield f"blocks of {BLOCK} toys", {"toys": blocks} | exposures | per_point | pairs | seeds, MOST_POINTS
    reach = len(study.reach.m_chi_GeV) + len(study.reach.toys_m_chi_GeV) + len(study.reach.points) + 1
    yield "exposures sought", {"reach.m_chi_GeV": reach} | per_point | pairs, MOST_POINTS
    if study.tune:
        tuned = {"tune.R": study.tune.R.n_points, "tune.m_chi_GeV": len(study.tune.m_chi_GeV)}
        yield "points to tune", tuned | {"toys.statistics": len(toys.statistics)}, MOST_POINTS
    events, pool = study.events, study.pool
    thrown = sum(events.n_thrown(kind, events.train_per_kind + events.test_per_kind) for kind in KINDS)
    own = pool.component_events * len(study.backgrounds.own_kinds())
    shifts = 2 + 2 * len(study.systematics.constants if study.systematics else ())  # of the scan, of tuning, and varied
    thrown += (pool.er_events + pool.nr_events + own) * shifts
    yield "events", {"events and pool": thrown}, MOST_EVENTS
