"""How much of a study's grid is done: the state of every point, as arrays and as text."""

from dataclasses import dataclass

import numpy as np

from engine.plan.plan import Plan
from engine.size import Size

STATES = ("done", "missing", "failed", "corrupt")  # of a point: the worst of its rows'
LETTERS = "#.x!"


@dataclass(frozen=True)
class Coverage:
    """One exposure: states (sizes, masses) as places in STATES, -1 where the grid has no such point."""

    exposure_ty: float
    size: Size
    m_chi_GeV: tuple[float | None, ...]
    sizes: tuple[float, ...]
    states: np.ndarray

    @property
    def counts(self) -> dict[str, int]:
        """Points by state."""
        return {name: int((self.states == i).sum()) for i, name in enumerate(STATES)}

    @property
    def lines(self) -> list[str]:
        """A letter for each point: masses to the right, sizes upwards."""
        shown = ["".join(" " if state < 0 else LETTERS[state] for state in row) for row in self.states[::-1]]
        return [f"{size:>9.3g} {row}" for size, row in zip(self.sizes[::-1], shown, strict=True)]


def coverage(plans: list[Plan], state_of: dict[str, str]) -> list[Coverage]:
    """The grid of every exposure, for all plans over it; state_of: of an item, one of STATES, done if absent."""
    worst: dict[tuple, int] = {}
    for (point, _, _), items in (row for plan in plans for row in plan.rows()):
        if point.origin == "grid":
            place = point.exposure_ty, point.m_chi_GeV, point.size
            states = (STATES.index(state_of.get(item, "done")) for item in items if item)
            worst[place] = max(worst.get(place, 0), *states)
    return [_one(plans[0], exposure, worst) for exposure in sorted({place[0] for place in worst})]


def _one(plan: Plan, exposure_ty: float, worst: dict[tuple, int]) -> Coverage:
    places = [place[1:] for place in worst if place[0] == exposure_ty]
    masses = sorted({mass for mass, _ in places}, key=lambda mass: mass or 0.0)
    sizes = sorted({size for _, size in places})
    states = np.array([[worst.get((exposure_ty, mass, size), -1) for mass in masses] for size in sizes])
    return Coverage(exposure_ty, plan.study.signal.size, tuple(masses), tuple(sizes), states)
