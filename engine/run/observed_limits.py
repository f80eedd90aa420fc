"""Limits on the signal from observed events: of one list, or of several that share nothing but the signal.

As in the stage `limits`: a profile likelihood in (cS1, cS2), the section `[limits]` of the study, and the random
streams of its toys, so that the sensitivity beside an observed limit is the one that the scan's table has.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from engine import lineage, schemas
from engine.assembly.population import signal_weights
from engine.errors import BadInput, listed
from engine.inference import discovery, experiments, limits, neyman
from engine.inference.experiments import ExpectedBackground
from engine.inference.limits import Experiment, Observed
from engine.inference.pools import DENSITY_HALF, TOY_HALF, effective_size
from engine.inference.teststats.tail_count import SMALLEST_TAIL
from engine.run.observation import Observation
from engine.size import Size

VERSION = 1  # rises when another limit follows from the same events


@dataclass(frozen=True)
class CountedList:
    """A list in the strata of an experiment: what is expected there at one mass, and how many events there are."""

    where: Experiment
    counts: np.ndarray
    like_signal: float
    signal_pool_size: float


@dataclass(frozen=True)
class OfList:
    """One list, ready for every mass."""

    seen: Observation

    @cached_property
    def background(self) -> ExpectedBackground:
        """Templates and expectations of the background, whatever the signal."""
        return experiments.backgrounds(self.seen.population.null(None, self.seen.exposure_ty))

    def at(self, m_chi_GeV: float | None) -> CountedList | None:
        """At one mass; None where the pool has no event of the signal."""
        seen, pool = self.seen, self.seen.population
        weights = signal_weights(seen.plan.study.signal.at(m_chi_GeV), pool)
        reference = weights[pool.pool.half == DENSITY_HALF]
        unbinned = self.background.unbinned(reference, pool.signal(weights) * seen.exposure_ty)
        if unbinned is None:
            return None
        binning = experiments.settling(unbinned)
        rows = self.background.rows(seen.seen[None], reference, unbinned)
        sizes = experiments.like_signal(unbinned), effective_size(weights[pool.pool.half == TOY_HALF])
        return CountedList(binning.merged(unbinned), binning.counts(rows), *sizes)


def masses(lists: list[Observation]) -> list[float | None]:
    """Those at which all studies ask for a limit; raises BadInput where their signals are not the same.

    Empty where one of them asks for none (`[limits] enabled = false`).
    """
    studies = [seen.plan.study for seen in lists]
    asked = [one.limits.masses(one.grid.masses, one.benchmark_signal.m_chi_GeV) for one in studies]
    if not all(asked):
        return []
    if any(seen.plan.signal != lists[0].plan.signal for seen in lists):
        raise BadInput("the studies have different signals, of which no common limit follows; the same [signal] in all "
                       "would do, or limits.enabled = false in one")  # fmt: skip
    common = [mass for mass in asked[0] if all(mass in some for some in asked)]
    if not common:
        words = "; ".join(listed([f"{mass:g}" for mass in some]) for some in asked)
        raise BadInput(f"the studies have no mass in common, in GeV: {words}")
    return common


def table(lists: list[Observation]) -> pa.Table:
    """A row for every mass (`engine.schemas.observed_limits`): of one list, or of all of them together."""
    size, wanted = lists[0].plan.study.signal.size, masses(lists)
    of_lists = [OfList(seen) for seen in lists] if wanted else []
    return schemas.of_rows(schemas.observed_limits(size), [_row(of_lists, mass) for mass in wanted])


def _row(lists: list[OfList], m_chi_GeV: float | None) -> dict:
    first = lists[0].seen
    section, size = first.plan.study.limits, first.plan.study.signal.size
    counted = [some for one in lists if (some := one.at(m_chi_GeV))]
    row = dict.fromkeys(schemas.observed_limits(size).names) | {
        "dm_mass_gev": m_chi_GeV, "interval": section.interval, "level": limits.LEVEL, "power": section.power,
        "n_toys": section.n_toys, "method": section.method, "exposure_ty": sum(one.seen.exposure_ty for one in lists),
        "n_events": sum(len(one.seen.events) for one in lists), "pool_limited": True, "signal_pool_size": 0.0,
        "background_pool_size": 0.0, "n_background": sum(one.background.weights.sum() for one in lists),
        "left_out": ", ".join(sorted({name for one in lists for name in one.background.left_out})),
        "setting": setting([one.seen for one in lists]),
    }  # fmt: skip
    if len(counted) < len(lists):
        return row | {"method": "none"}
    where = limits.together([one.where for one in counted]) if len(counted) > 1 else counted[0].where
    counts = np.concatenate([one.counts for one in counted])
    found, (z, p) = _found(where, counts, [one.seen for one in lists], m_chi_GeV)
    sizes = min(one.signal_pool_size for one in counted), min(one.like_signal for one in counted)
    return row | dict(_on_size(found, size)) | {
        "n_signal": found.constrained * where.expected[-1], "p_discovery": p, "z_discovery_asymptotic": z,
        "pool_limited": min(sizes) < SMALLEST_TAIL, "signal_pool_size": sizes[0], "background_pool_size": sizes[1],
    }  # fmt: skip


def _found(
    where: Experiment, counts: np.ndarray, lists: list[Observation], m_chi_GeV: float | None
) -> tuple[Observed, tuple[float, float | None]]:
    section = lists[0].plan.study.limits
    key = tuple(part for seen in lists for part in (*seen.population.stream_key, "limits", seen.exposure_ty, m_chi_GeV))
    q_zero = discovery.observed(where, counts, section.n_toys, key)
    if section.n_toys is None:
        return limits.observed(where, counts, section.power), q_zero
    return neyman.observed(where, counts, section.n_toys, key, section.interval, section.power), q_zero


def _on_size(found: Observed, size: Size) -> Iterator[tuple[str, float | None]]:
    strengths = {
        "sensitivity_median": found.sensitivity[2], "sensitivity_median_error": found.median_error,
        **{f"sensitivity_{name}sigma": found.sensitivity[place] for name, place in schemas.SIGMA.items()},
        "upper_limit": found.constrained, "unconstrained_upper_limit": found.upper, "upper_limit_error": found.error,
        "lower_limit": found.lower, "power_constrained": found.power_constrained,
    }  # fmt: skip
    for word, mu in strengths.items():
        yield schemas.limit_name(word, size), None if mu is None else mu * size.reference


def setting(lists: list[Observation]) -> str:
    """The digest of everything that the limits of these lists follow from."""
    section = lists[0].plan.study.limits.model_dump()
    return lineage.digest("observed_limits", VERSION, section, [seen.setting for seen in lists])
