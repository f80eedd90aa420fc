"""Where a study asks: points of the plane, and the cells that toys and laws fill at each."""

from dataclasses import dataclass, field

Wanted = tuple[float | None, str]  # R and the name of a statistic


@dataclass(frozen=True, slots=True)
class Point:
    """Where in the plane, at which exposure, and whether the grid or the benchmark asks for it.

    `size` is what the signal is linear in: sigma_si_cm2, or the strength of a signal without a mass; `level` is the
    round of refinement that added the point, 0 for what the study names.
    """

    exposure_ty: float | None
    m_chi_GeV: float | None
    size: float
    origin: str = field(compare=False)
    level: int = field(default=0, compare=False)


Cell = tuple[Point, float | None, str]  # a point, R and the name of a statistic


class InOrder:
    """Items of cells, asked for in the order that they are in: an index of very many would be as large as they."""

    def __init__(self, cells: dict[str, Cell]):
        self._left = iter(cells.items())
        self._item, self._cell = next(self._left, (None, None))

    def take(self, cell: Cell) -> str | None:
        """The item of a cell, which is asked for once and in its turn; None where there is no such cell."""
        if cell != self._cell:
            return None
        item = self._item
        self._item, self._cell = next(self._left, (None, None))
        return item
