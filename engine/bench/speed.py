"""Work done per second, and two ways of doing the same work beside each other."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """What is run again and again, and how many units of work one call does."""

    call: Callable[[], object]
    units: int

    def per_second(self, seconds: float) -> float:
        """Units of work per second of processor time, which a busy neighbour does not lengthen.

        Runs for `seconds`, after a first call that compiles.
        """
        self.call()
        done, spent, start = 0, 0.0, time.process_time()
        while spent < seconds:
            self.call()
            done += self.units
            spent = time.process_time() - start
        return done / spent


@dataclass(frozen=True)
class Side:
    """A fast kernel side by side with its plain twin; `unit` is what they do per second, "toys / s"."""

    name: str
    unit: str
    fast: Work
    slow: Work

    def compare(self, seconds: float) -> "SpeedRatio":
        """Both at work, each for `seconds`."""
        return SpeedRatio(self.name, self.fast.per_second(seconds), self.slow.per_second(seconds), self.unit)


@dataclass(frozen=True)
class SpeedRatio:
    """A fast kernel and its plain twin: units of work that each does per second."""

    name: str
    fast_per_s: float
    slow_per_s: float
    unit: str

    @property
    def ratio(self) -> float:
        """How many times faster."""
        return self.fast_per_s / self.slow_per_s
