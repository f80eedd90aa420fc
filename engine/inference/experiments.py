"""Experiments for upper limits, from the two halves of a scored pool: templates from one, what is observed from the
other."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.inference import limits, profile, templates
from engine.inference.hypothesis import Null, Scored
from engine.inference.limits import Binning, Experiment
from engine.inference.pools import effective_size
from engine.inference.profile import Groups
from engine.inference.templates import Template

FIRST_EVENTS = 5.0  # of signal: the strength at which the first strata are made; the next are made at their limit


@dataclass(frozen=True)
class ExpectedBackground:
    """What the experiments of one exposure share, whatever the signal.

    seen (reference,): events of the templates' half that have both signals; drawn: events of the other half;
    fitted: a template for each component, of which `expected` (components,) events are expected; weights (groups,
    drawn): expected events; left_out: components without events in one of the halves, of which nothing can be said.
    """

    reference: Scored
    seen: np.ndarray
    drawn: Scored
    fitted: tuple[Template, ...]
    groups: Groups
    expected: np.ndarray
    weights: np.ndarray
    left_out: tuple[str, ...]

    @cached_property
    def _density(self) -> np.ndarray:
        return self.density(self.drawn)

    def density(self, events: Scored) -> np.ndarray:
        """(n, groups) per PE^2 of any events."""
        density = _at(self.fitted, events)
        return self.groups.sum(density * self.expected) / self.groups.sum(self.expected)

    def unbinned(self, signal_reference: np.ndarray, signal_drawn: np.ndarray) -> Experiment | None:
        """An experiment with a row for each pool event; None where one of the halves has no signal event.

        signal_reference (reference,): in any unit; signal_drawn (drawn,): expected events at mu = 1.
        """
        if not (signal_reference[self.seen].sum() > 0 and signal_drawn.sum() > 0):
            return None
        signal = self._signal(signal_reference, self.drawn)
        return limits.experiment(self._density, signal, self.weights, signal_drawn, self.groups.relative_sd)

    def rows(self, events: Scored, signal_reference: np.ndarray, unbinned: Experiment) -> np.ndarray:
        """(n, groups + 1) b_g f_g of any events, as `unbinned` with the same signal has them of the pool's."""
        return np.column_stack([self.density(events), self._signal(signal_reference, events)]) * unbinned.expected

    def _signal(self, signal_reference: np.ndarray, events: Scored) -> np.ndarray:
        return _at(_fitted(self.reference, self.seen, signal_reference[None, self.seen]), events)[:, 0]


def backgrounds(null: Null) -> ExpectedBackground:
    """The background side of every experiment at one exposure; templates from the half that toys do not draw from."""
    law, drawn = null.reference, null.drawn
    seen = (law.events.cs1_pe > 0) & (law.events.cs2_pe > 0)
    known = [i for i, name in enumerate(law.names) if name in drawn.names and law.weights[i, seen].sum() > 0]
    names = tuple(law.names[i] for i in known)
    groups = profile.nuisances(names, law.relative_sd[known])
    in_toys = drawn.weights[[drawn.names.index(name) for name in names]]
    return ExpectedBackground(
        law.events, seen, drawn.events, _fitted(law.events, seen, law.weights[np.ix_(known, seen)]), groups,
        law.weights[known].sum(axis=1), groups.sum(in_toys.T).T, tuple(sorted({*law.names, *drawn.names} - {*names})),
    )  # fmt: skip


def _fitted(reference: Scored, seen: np.ndarray, weights: np.ndarray) -> tuple[Template, ...]:
    return templates.estimate(reference.cs1_pe[seen], reference.cs2_pe[seen], weights)


def _at(fitted: tuple[Template, ...], events: Scored) -> np.ndarray:
    """(events, components) per PE^2; an event without S1 or S2 is put at 1 PE, on every template's floor."""
    return templates.densities(fitted, np.fmax(events.cs1_pe, 1.0), np.fmax(events.cs2_pe, 1.0))


def settling(unbinned: Experiment) -> Binning:
    """The strata of an unbinned experiment, which are made where they matter: at the limit itself."""
    first = limits.binned(unbinned, FIRST_EVENTS / unbinned.expected[-1])
    return limits.binning(unbinned, limits.median_limit(first).mu_90)


def settled(unbinned: Experiment) -> Experiment:
    """An unbinned experiment in strata (`settling`)."""
    return settling(unbinned).merged(unbinned)


def like_signal(unbinned: Experiment) -> float:
    """Effective number of background pool events that look as much like signal as the upper half of it does."""
    ratio = unbinned.rows[:, -1] / unbinned.rows[:, :-1].sum(axis=1)
    order = np.argsort(ratio)
    below = np.cumsum(unbinned.content[order, -1])
    median = ratio[order][np.searchsorted(below, below[-1] / 2)]
    return effective_size(unbinned.asimov[ratio >= median])
