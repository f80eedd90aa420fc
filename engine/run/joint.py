"""Several lists of observed events, each under the finished scan of its own study, as one search with one p."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine import lineage
from engine.errors import BadInput, listed
from engine.inference import observed
from engine.inference.observed import Local
from engine.lineage import row_label
from engine.physics.event_list import DIGITS, EventList
from engine.plan.plan import Wanted
from engine.run import observed_limits
from engine.run.observation import Observation

VERSION = 1  # rises when another p follows from the same lists
MOST_COMMON = 0.01  # of a list's events that may be another's: coincidences of lists that were rounded


def check_apart(lists: list[tuple[str, str, EventList]]) -> None:
    """Raises BadInput where a list (detector, path, events) holds events of another of the same detector."""
    for place, (detector, path, events) in enumerate(lists):
        for other_detector, other_path, others in lists[:place]:
            if events.data == others.data:
                raise BadInput(f"{path} holds the events of {other_path}: a list counts once")
            common = len(_areas(events) & _areas(others)) if detector == other_detector else 0
            if common > MOST_COMMON * min(len(events), len(others)):
                raise BadInput(f"{path}: {common} of its {len(events)} events are in {other_path}, too: an event "
                               "counts once")  # fmt: skip


def _areas(events: EventList) -> set[tuple[float, float]]:
    areas = (events.columns[name] for name in ("cs1_pe", "cs2_pe"))
    return set(zip(*(np.round(np.log10(np.maximum(area, 1e-9)), DIGITS).tolist() for area in areas), strict=True))


def common_statistics(lists: Sequence[Observation]) -> list[Wanted]:
    """(R, statistic) that all studies have; raises BadInput where there is none."""
    first, *others = (seen.plan.by_toys for seen in lists)
    if common := [pair for pair in first if all(pair in other for other in others)]:
        return common
    words = "; ".join(listed([row_label(name, R) for R, name in some]) for some in (first, *others))
    raise BadInput(f"the studies have no statistic with the same R in common: {words}")


@dataclass(frozen=True)
class JointObservation:
    """Lists that share nothing but the signal: what is open of their rates and leakage is drawn for each by itself."""

    lists: tuple[Observation, ...]

    @cached_property
    def statistics(self) -> list[Wanted]:
        """(R, statistic) that all studies have."""
        return common_statistics(self.lists)

    @cached_property
    def setting(self) -> str:
        """The digest of everything that p follow from."""
        return lineage.digest("observed_together", VERSION, None, [seen.setting for seen in self.lists])

    @property
    def exposure_ty(self) -> float:
        """That of all lists."""
        return sum(seen.exposure_ty for seen in self.lists)

    @property
    def fits_well(self) -> bool:
        """Whether p may be trusted: every list's background model fits."""
        return all(seen.fits_well for seen in self.lists)

    @cached_property
    def judged(self) -> tuple[list[Local], Local]:
        """p of every statistic in all lists at once, and the global one: for who has unblinded."""
        values, limited = [], np.zeros(len(self.statistics), bool)
        for seen in self.lists:
            places = [seen.plan.by_toys.index(pair) for pair in self.statistics]
            q, q_null = seen.values
            values.append((q[places], q_null[:, places]))
            limited |= [seen.judged[0][place].pool_limited for place in places]
        return observed.judged_together(values, limited.tolist())

    def powers(self) -> dict[Wanted, float]:
        """How often a signal at every study's benchmark would reach three sigma; it looks at no data."""
        return {pair: observed.power_together([seen.at_benchmark[pair] for seen in self.lists])
                for pair in self.statistics}  # fmt: skip


def check(lists: list[Observation]) -> None:
    """Raises BadInput where lists are no search together: no statistic in common, other signals, no common mass."""
    common_statistics(lists)
    observed_limits.masses(lists)
