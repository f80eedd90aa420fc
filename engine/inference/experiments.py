"""Experiments for upper limits, from the two halves of a scored pool: templates from one, what is observed from the
other."""

from dataclasses import dataclass

import numpy as np

from engine.inference import limits, profile, templates
from engine.inference.hypothesis import Null, Scored
from engine.inference.limits import Experiment
from engine.inference.pools import effective_size

FIRST_EVENTS = 5.0  # of signal: the strength at which the first strata are made; the next are made at their limit


@dataclass(frozen=True)
class Backgrounds:
    """What the experiments of one exposure share, whatever the signal.

    seen (reference,): events of the templates' half that have both signals; drawn: events of the other half;
    density (drawn, groups) per PE^2; weights (groups, drawn): expected events; left_out: components without events in
    one of the halves, of which nothing can be said.
    """

    reference: Scored
    seen: np.ndarray
    drawn: Scored
    density: np.ndarray
    weights: np.ndarray
    relative_sd: np.ndarray
    left_out: tuple[str, ...]

    def unbinned(self, signal_reference: np.ndarray, signal_drawn: np.ndarray) -> Experiment | None:
        """An experiment with a row for each pool event; None where one of the halves has no signal event.

        signal_reference (reference,): in any unit; signal_drawn (drawn,): expected events at mu = 1.
        """
        weights = signal_reference[self.seen]
        if not (weights.sum() > 0 and signal_drawn.sum() > 0):
            return None
        density = _densities(self.reference, self.seen, weights[None], self.drawn)[:, 0]
        return limits.experiment(self.density, density, self.weights, signal_drawn, self.relative_sd)


def backgrounds(null: Null) -> Backgrounds:
    """The background side of every experiment at one exposure; templates from the half that toys do not draw from."""
    law, drawn = null.reference, null.drawn
    seen = (law.events.cs1_pe > 0) & (law.events.cs2_pe > 0)
    known = [i for i, name in enumerate(law.names) if name in drawn.names and law.weights[i, seen].sum() > 0]
    names = tuple(law.names[i] for i in known)
    expected = law.weights[known].sum(axis=1)
    groups = profile.nuisances(names, law.relative_sd[known])
    density = _densities(law.events, seen, law.weights[np.ix_(known, seen)], drawn.events)
    in_toys = drawn.weights[[drawn.names.index(name) for name in names]]
    return Backgrounds(
        law.events, seen, drawn.events, groups.sum(density * expected) / groups.sum(expected), groups.sum(in_toys.T).T,
        groups.relative_sd, tuple(sorted({*law.names, *drawn.names} - {*names})),
    )  # fmt: skip


def _densities(reference: Scored, seen: np.ndarray, weights: np.ndarray, events: Scored) -> np.ndarray:
    """(events, components) per PE^2; an event without S1 or S2 is put at 1 PE, on every template's floor."""
    fitted = templates.estimate(reference.cs1_pe[seen], reference.cs2_pe[seen], weights)
    return templates.densities(fitted, np.fmax(events.cs1_pe, 1.0), np.fmax(events.cs2_pe, 1.0))


def settled(unbinned: Experiment) -> Experiment:
    """An unbinned experiment in strata, which are made where they matter: at the limit itself."""
    first = limits.binned(unbinned, FIRST_EVENTS / unbinned.expected[-1])
    return limits.binned(unbinned, limits.median_limit(first).mu_90)


def like_signal(unbinned: Experiment) -> float:
    """Effective number of background pool events that look as much like signal as the upper half of it does."""
    ratio = unbinned.rows[:, -1] / unbinned.rows[:, :-1].sum(axis=1)
    order = np.argsort(ratio)
    below = np.cumsum(unbinned.content[order, -1])
    median = ratio[order][np.searchsorted(below, below[-1] / 2)]
    return effective_size(unbinned.asimov[ratio >= median])
