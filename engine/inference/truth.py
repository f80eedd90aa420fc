"""What experiments are drawn from when the truth is not what the search takes it to be.

A statistic's thresholds, bins, f0 and B stay those of the nominal null; its values follow the law of the truth.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from engine.inference import cells, toys
from engine.inference.cells import Choice
from engine.inference.exact import Distribution
from engine.inference.hypothesis import Law, Null
from engine.inference.leakage import KNOWN

# of a log-normal factor, in its sigma: a tail turns from next to 0 to next to 1 within one, which Gauss's nodes miss
NODES_SIGMA = np.linspace(-4, 4, 17)
UNLIKELY = 1e-3


@dataclass(frozen=True)
class Truth:
    """Laws of the background's events with their probabilities, the signal's events, and a split of both.

    laws: (probability, law) pairs over the same events, more than one where a nuisance is averaged over;
    signal (events,): expected; group (events,): which tenth of the pool an event belongs to, for a jack-knife.
    """

    laws: tuple[tuple[float, Law], ...]
    signal: np.ndarray
    group: np.ndarray

    def coarse(self) -> "Truth":
        """This truth with every fourth law of an average, and of those the likely ones: enough for an error."""
        kept = [(share, law) for share, law in self.laws[::4] if share > UNLIKELY]
        total = sum(share for share, _ in kept)
        return self if len(self.laws) == 1 else replace(self, laws=tuple((s / total, law) for s, law in kept))

    def changed(self, change: Callable[[Law], list[tuple[float, Law]]]) -> "Truth":
        """Every law replaced by what `change` makes of it: laws with their probabilities."""
        laws = [(share * part, law) for share, one in self.laws for part, law in change(one)]
        return replace(self, laws=tuple(laws))


def _without(law: Law, group: np.ndarray, left_out: int, groups: int) -> Law:
    """The law of a pool that lacks one of so many groups; what is left stands for all events."""
    kept = group != left_out
    leaks = None if law.leaks is None else law.leaks[kept]
    weights = law.weights[:, kept] * (groups / (groups - 1))
    return replace(law, events=law.events[kept], weights=weights, leaks=leaks)


def averaged(law: Law, factor: float) -> list[tuple[float, Law]]:
    """The leak times a log-normal factor: its median is 1, and one sigma of it the given factor.

    With 10 events in the tail and a factor 2, false alarms are right to 0.1 %; with 100, or a factor 5, to 5 %.
    """
    if factor == 1:
        return [(1.0, law)]
    shares = np.exp(-(NODES_SIGMA**2) / 2)
    pairs = zip(shares / shares.sum(), NODES_SIGMA, strict=True)
    return [(float(share), law.leaking(factor**z)) for share, z in pairs]


@dataclass(frozen=True)
class Mixture:
    """The law of q where one of several truths holds."""

    laws: tuple[tuple[float, object], ...]

    def sf(self, q: np.ndarray) -> np.ndarray:
        """P(Q >= q) for q of any shape."""
        return sum(share * law.sf(q) for share, law in self.laws)

    @property
    def smallest_p(self) -> float:
        """Below it p is a bound."""
        return max(law.smallest_p for _, law in self.laws)

    def median(self) -> float:
        """The median of the likeliest truth."""
        return max(self.laws, key=lambda pair: pair[0])[1].median()


@dataclass(frozen=True)
class ToyLaw:
    """The law of q as toys show it."""

    q: np.ndarray

    @cached_property
    def ranked(self) -> np.ndarray:
        """Ascending values."""
        return np.sort(self.q)

    @property
    def smallest_p(self) -> float:
        """That of no toy."""
        return 1 / (len(self.q) + 1)

    def sf(self, q: np.ndarray) -> np.ndarray:
        """(k + 1) / (n + 1) of k toys at or above q."""
        return (len(self.q) - np.searchsorted(self.ranked, q, side="left") + 1) / (len(self.q) + 1)

    def median(self) -> float:
        """The lower median."""
        return float(self.ranked[(len(self.q) - 1) // 2])


def exact_laws(null: Null, choice: Choice, truth: Truth) -> tuple[Mixture, Mixture]:
    """Laws of q under background and with signal, events drawn from the truth and the statistic made for the null."""
    laws = []
    for share, law in truth.laws:
        laws.append((share, *_of_truth(null, choice, law).distributions(truth.signal)))
    return Mixture(tuple((s, b) for s, b, _ in laws)), Mixture(tuple((s, a) for s, _, a in laws))


def tails_without(null: Null, choice: Choice, truth: Truth, q: float, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """(groups,) P(Q >= q) under background as if the pool without each of so many groups were the truth, for a
    jack-knife, which asks how far off it is; and (groups,) the p below which each is a bound."""
    tails, smallest_p = np.zeros(groups), np.zeros(groups)
    for share, law in truth.laws:
        statistic, p = _of_truth(null, choice, law), None
        if hasattr(statistic, "tails_without"):
            p, least = statistic.tails_without(q, truth.group, groups), statistic.background.smallest_p
        if p is None:
            fewer = [_without(law, truth.group, each, groups) for each in range(groups)]
            laws = [_of_pool(_of_truth(null, choice, one)) for one in fewer]
            p, least = np.array([(float(one.sf(np.array([q]))[0]), one.smallest_p) for one in laws]).T
        tails += share * p
        smallest_p = np.maximum(smallest_p, least)
    return tails, smallest_p


def _of_truth(null: Null, choice: Choice, law: Law):
    """The statistic made for the null, of events drawn from the law."""
    return choice.prepare(replace(null, drawn=law, stated=null.n_background))


def _of_pool(statistic) -> Distribution:
    return statistic.unwidened() if hasattr(statistic, "unwidened") else statistic.background


def toy_laws(null: Null, choice: Choice, truth: Truth, stream_key: tuple, n_toys: int) -> tuple[Mixture, Mixture]:
    """Laws of q under background and with signal, from n_toys toys of each law of the truth.

    stream_key: of their random numbers, which truths that differ share.
    """
    statistic, laws = choice.prepare(null), []
    for share, law in truth.laws:
        sides = [law, _with_signal(law, truth.signal)]
        values = [_values(statistic, side, (*stream_key, null.exposure_ty, i), n_toys) for i, side in enumerate(sides)]
        laws.append((share, *map(ToyLaw, values)))
    return Mixture(tuple((s, b) for s, b, _ in laws)), Mixture(tuple((s, a) for s, _, a in laws))


def _with_signal(law: Law, signal: np.ndarray) -> Law:
    if not signal.sum() > 0:
        return law
    weights, sd = np.vstack([law.weights, signal]), np.append(law.relative_sd, 0.0)
    return replace(law, names=(*law.names, "signal"), weights=weights, relative_sd=sd)


def _values(statistic, law: Law, key: tuple, n_toys: int) -> np.ndarray:
    wanted, q = toys.quantities([cells.quantity(statistic, law.events)]), []
    for block in range(-(-n_toys // toys.BLOCK)):
        rng = toys.stream(*key, "systematics", block)
        rates, factor = toys.rates(rng, law, KNOWN, toys.BLOCK)
        counts = rng.poisson(rates.weights.sum(axis=1) * factor)
        drawing = toys.drawing(rng, rates.weights)
        if cells.takes_events(statistic):
            made = cells.made_of(statistic, law.events, drawing.events(counts))
        else:
            made = drawing.totals(counts, wanted)
        q.append(statistic.q(counts.sum(axis=1), made))
    return np.concatenate(q)[:n_toys]
