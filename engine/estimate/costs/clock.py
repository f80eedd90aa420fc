"""Costs that are measured on two small inputs and drawn through them as a line."""

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from numba.core.event import Listener, install_listener
from threadpoolctl import threadpool_limits

from engine.store.parts import Part, encode


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
LITTLE, FEW_MODULES = 0.1, 10  # share of a time, and imports in it, that are start-up and do not matter


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


class _Compiling(Listener):
    """The seconds in which numba compiles, or loads what it has compiled."""

    def __init__(self):
        self.total_s, self._depth, self._begun = 0.0, 0, 0.0

    def on_start(self, event) -> None:
        """Compiling one function may compile those that it calls."""
        self._begun = self._begun if self._depth else time.perf_counter()
        self._depth += 1

    def on_end(self, event) -> None:
        """The outermost one counts."""
        self._depth -= 1
        self.total_s += 0.0 if self._depth else time.perf_counter() - self._begun


@dataclass
class Clock:
    """Measures work, on one thread; what compiled or loaded something is done again, since that is no part of it.

    start_up_s: what those first times took beyond the second, which every process of a scan pays.
    """

    start_up_s: float = 0.0

    def time(self, work: Callable[[], Iterable[Part]]) -> Cost:
        """The cost of some parts, made and encoded."""
        with threadpool_limits(1):  # as a task of a scan has it
            n_modules, begun = len(sys.modules), time.perf_counter()
            with install_listener("numba:compiler_lock", compiling := _Compiling()):
                cost = self._once(work)
            took_s = time.perf_counter() - begun
            if len(sys.modules) > n_modules + FEW_MODULES or compiling.total_s > LITTLE * took_s:
                cold, cost = cost, self._once(work)
                self.start_up_s += max(cold.core_s - cost.core_s, 0.0)
        return cost

    @staticmethod
    def _once(work: Callable[[], Iterable[Part]]) -> Cost:
        start = time.process_time()
        n_bytes = sum(len(encode(part)) for part in work())
        return Cost(time.process_time() - start, n_bytes)
