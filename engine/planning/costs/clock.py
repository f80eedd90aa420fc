"""Costs that are measured on two small inputs and drawn through them as a line."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from engine.cluster.parts import Part, encode


@dataclass(frozen=True)
class Cost:
    """Processor time of one core, and bytes for the store."""

    core_s: float
    n_bytes: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.core_s + other.core_s, self.n_bytes + other.n_bytes)

    def __mul__(self, times: float) -> "Cost":
        return Cost(self.core_s * times, self.n_bytes * times)


NOTHING = Cost(0.0)


@dataclass(frozen=True)
class Line:
    """A cost that is linear in something; neither part is below nothing, however the measurements scattered."""

    fixed: Cost
    slope: Cost

    def at(self, x: float) -> Cost:
        """The cost of x."""
        return self.fixed + self.slope * x


def line(low: tuple[float, Cost], high: tuple[float, Cost]) -> Line:
    """Through two measurements (x, cost); through the first and no cost at 0 where both are at one x."""
    (x, cost), (x_high, cost_high) = low, high
    if x == x_high:
        return Line(NOTHING, cost * (1 / x))
    pairs = [(cost.core_s, cost_high.core_s), (cost.n_bytes, cost_high.n_bytes)]
    slopes = [min(max(b - a, 0.0) / (x_high - x), b / x_high) for a, b in pairs]
    fixed = [max(b - slope * x_high, 0.0) for (_, b), slope in zip(pairs, slopes, strict=True)]
    return Line(Cost(*fixed), Cost(*slopes))


@dataclass
class Clock:
    """Measures work; the first time that it sees a kind of work it does it twice, since the first compiles or loads.

    start_up_s: what those first times took beyond the second, which every process of a scan pays.
    """

    start_up_s: float = 0.0
    seen: set[str] = field(default_factory=set)

    def time(self, kind: str, work: Callable[[], Iterable[Part]]) -> Cost:
        """The cost of some parts, made and encoded."""
        cost = self._once(work)
        if kind not in self.seen:
            self.seen.add(kind)
            cold, cost = cost, self._once(work)
            self.start_up_s += max(cold.core_s - cost.core_s, 0.0)
        return cost

    @staticmethod
    def _once(work: Callable[[], Iterable[Part]]) -> Cost:
        start = time.process_time()
        n_bytes = sum(len(encode(part)) for part in work())
        return Cost(time.process_time() - start, n_bytes)
