"""What a unit of work costs: numbers that ship with the package, and the pace of this machine beside the one's
on which they were measured.
"""

import importlib.resources
import time
import tomllib
from dataclasses import dataclass, field

import numpy as np
from scipy.special import gammaln
from threadpoolctl import threadpool_limits

PACE_S = 0.25  # that the pace is measured for: a hundred rounds


@dataclass(frozen=True)
class Cost:
    """Processor time of one core, and bytes for the store."""

    core_s: float
    n_bytes: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.core_s + other.core_s, self.n_bytes + other.n_bytes)

    def __mul__(self, times: float) -> "Cost":
        return Cost(self.core_s * times, self.n_bytes * times)


@dataclass(frozen=True)
class Costs:
    """Seconds of a unit, by stage and what it is a unit of (`amounts` of a stage), and bytes of an item, by stage.

    factors: by stage, how much dearer it was in a copy of the study; how: what all this was measured on. The last words
    of a name are its unit: "by toys".
    """

    known: dict[str, dict[str, float]]
    item_bytes: dict[str, float]
    how: str
    factors: dict[str, Cost] = field(default_factory=dict)

    def of(self, stage: str, amounts: dict[str, float], n_items: float) -> tuple[Cost, tuple[str, ...]]:
        """The cost of amounts of work that make so many items, and which of them were priced as the stage's dearest."""
        known, core_s, unknown = self.known.get(stage, {}), 0.0, []
        for name, amount in amounts.items():
            if name not in known:
                unknown.append(name)
            core_s += known.get(name, _dearest(known, name)) * amount
        factor = self.factors.get(stage, Cost(1.0, 1.0))
        n_bytes = self.item_bytes.get(stage, 0.0) * n_items
        return Cost(core_s * factor.core_s, n_bytes * factor.n_bytes), tuple(unknown) if known else ()


def _dearest(known: dict[str, float], name: str) -> float:
    unit = name.partition(" ")[2]
    return max((core_s for other, core_s in known.items() if other.partition(" ")[2] == unit), default=0.0)


def shipped() -> Costs:
    """The costs of costs.toml at this machine's pace, which takes a quarter of a second to measure."""
    table = tomllib.loads(importlib.resources.files("engine.estimate").joinpath("costs.toml").read_text())
    slower = table["pace"] / pace()
    known = {stage: {name: core_s * slower for name, core_s in rows.items()}
             for stage, rows in table["core_s"].items()}  # fmt: skip
    return Costs(known, table["item_bytes"], f"by costs that ship, on a core {1 / slower:.2g} times as fast as theirs")


def pace(seconds: float = PACE_S) -> float:
    """How often a second this machine does a little of what a scan does: sums, sorts, special functions, Python."""
    draws, done = np.random.default_rng(1).gamma(2.0, 10.0, 20_000), 0
    with threadpool_limits(1):
        begun = time.process_time()
        while (spent := time.process_time() - begun) < seconds:
            np.cumsum(np.sort(draws)), gammaln(draws), sum(i * i for i in range(5000))
            done += 1
    return done / spent
