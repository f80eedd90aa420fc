"""How much work a task carries: learnt from the tasks that ended, of no consequence for what they say."""

from collections import deque

import numpy as np

TARGET_S = 20.0  # of work in a task: between 5 s, where overhead is nothing, and 60 s, which a kill may cost
TASKS_PER_CPU = 4  # at least, so that the last tasks end together
GROWTH = 4  # at most from task to task: the first of a kind compile and prepare
MEMORY = 8  # tasks that are looked at: what comes later may be of another kind


class Grain:
    """The size of the next task in units of work, for a stage of `n_items` items on `cpus` processors."""

    def __init__(self, cpus: int, n_items: int):
        self.cpus, self.n_items = cpus, n_items
        self.seen: deque[tuple[int, float]] = deque(maxlen=MEMORY)
        self.units = self.items = 0

    def learn(self, units: int, items: int, seconds: float) -> None:
        """A task ended: its units, the items it made, the seconds it worked."""
        self.seen.append((units, seconds))
        self.units += units
        self.items += items

    @property
    def size(self) -> int:
        """Units of the next task: one until a task has ended."""
        if not self.items:
            return 1
        largest = self.n_items * self.units / self.items / (TASKS_PER_CPU * self.cpus)
        grown = GROWTH * max(units for units, _ in self.seen)
        return max(int(min(self._on_target(), largest, grown)), 1)

    def _on_target(self) -> float:
        """Units that take TARGET_S, by the straight line through the tasks seen; at least those of its mean pace."""
        units, seconds = np.array(self.seen).T
        by_pace = TARGET_S * units.sum() / max(seconds.sum(), 1e-9)
        spread = units - units.mean()
        if not spread.any():
            return by_pace
        per_unit_s = spread @ seconds / (spread @ spread)
        start_s = seconds.mean() - per_unit_s * units.mean()
        if per_unit_s <= 0 or start_s >= TARGET_S:
            return np.inf if per_unit_s <= 0 else by_pace
        return max((TARGET_S - max(start_s, 0.0)) / per_unit_s, 1.0)
