"""What a truth other than the assumed one does to a search, or another fit of its score.

False alarms, the threshold it ought to have, power.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.inference import bisection, jackknife
from engine.inference.cells import Choice
from engine.inference.exact.power import P_THREE_SIGMA
from engine.inference.hypothesis import Null
from engine.inference.significance import z_of_median
from engine.inference.truth import Mixture, Truth, exact_laws, tails_without, toy_laws

GROUPS = 10
HALVINGS = 40  # halvings of a bracket: the threshold of a continuous law to some 1e-12 of it


@dataclass(frozen=True)
class Effect:
    """One statistic under the nominal truth and under another.

    threshold, threshold_varied: the smallest q that background reaches with P_THREE_SIGMA at most, in either truth;
    false_alarm, false_alarm_varied: P(q >= threshold) under background, and power, power_varied with signal;
    power_recalibrated: P(q >= threshold_varied) with signal, of a search that knew the other truth;
    inflation_error: of false_alarm_varied / false_alarm, from the finite pool (exact; too large where it is limited,
    for the null is widened by part of it already; None where a false alarm is only a bound without some group) or the
    finite toys.
    """

    threshold: float
    threshold_varied: float
    false_alarm: float
    false_alarm_varied: float
    inflation: float
    inflation_error: float | None
    power: float
    power_varied: float
    power_recalibrated: float
    method: str


class Nominal:
    """One statistic under the nominal truth, beside which others are put: by its exact law, or by n_toys toys where
    that is not known. What is nominal is made once."""

    def __init__(
        self, null: Null, choice: Choice, truth: Truth, stream_key: tuple, n_toys: int, p: float = P_THREE_SIGMA
    ):
        self.null, self.choice, self.truth = null, choice, truth
        self.stream_key, self.n_toys, self.p = stream_key, n_toys, p
        self.is_exact = choice.module.EXACT is True
        self.laws = self._laws(truth)
        self.threshold = threshold(self.laws[0], p)

    def effect(self, varied: Truth) -> Effect:
        """What another truth does."""
        laws = self._laws(varied)
        q, q_varied = self.threshold, threshold(laws[0], self.p)
        at = {
            "false_alarm": (self.laws[0], q), "false_alarm_varied": (laws[0], q),
            "power": (self.laws[1], q), "power_varied": (laws[1], q), "power_recalibrated": (laws[1], q_varied),
        }  # fmt: skip
        tails = {name: _tail(law, value) for name, (law, value) in at.items()}
        inflation = tails["false_alarm_varied"] / tails["false_alarm"]
        if self.is_exact:
            error = _pool_error(self._without, self._false_alarms_without(varied))
            error = None if error is None else error * inflation
        else:
            error = _toy_error(tails, self.n_toys)
        method = "exact" if self.is_exact else "toys"
        return Effect(threshold=q, threshold_varied=q_varied, inflation=inflation, inflation_error=error,
                      method=method, **tails)  # fmt: skip

    def _laws(self, truth: Truth) -> tuple[Mixture, Mixture]:
        if self.is_exact:
            return exact_laws(self.null, self.choice, truth)
        return toy_laws(self.null, self.choice, truth, self.stream_key, self.n_toys)

    @cached_property
    def _without(self) -> tuple[np.ndarray, np.ndarray]:
        return self._false_alarms_without(self.truth)

    def _false_alarms_without(self, truth: Truth) -> tuple[np.ndarray, np.ndarray]:
        """(GROUPS,) at the nominal threshold, without each group of the pool, and the least p that is known; of few
        laws where there are many: the relative error hardly depends on how finely a nuisance is averaged over."""
        return tails_without(self.null, self.choice, truth.coarse(), self.threshold, GROUPS)


@dataclass(frozen=True)
class Refit:
    """One statistic on the score of one fit and on that of another, each calibrated to P_THREE_SIGMA by itself.

    Another fit of the same networks is another score: of an event it may say anything. So a threshold cannot be
    carried over, in TS or in a q that follows from its density, and no truth has changed that could make its false
    alarms more. What compares is the power of either at its own threshold, at the same nominal probability of a false
    alarm, and z: the significance of the median with signal; None where it is only a bound.
    """

    threshold: float
    threshold_varied: float
    false_alarm: float
    power: float
    power_recalibrated: float
    z: float | None
    z_varied: float | None
    method: str


def refit(
    nulls: tuple[Null, Null], choice: Choice, truths: tuple[Truth, Truth], stream_key: tuple, n_toys: int,
    p: float = P_THREE_SIGMA,
) -> Refit:  # fmt: skip
    """Of the same events by the first fit's score and by the second's: nulls and truths of either.

    By exact laws, or by n_toys toys of the same events where the law is not known.
    """
    exact = choice.module.EXACT is True
    laws = [exact_laws(null, choice, truth) if exact else toy_laws(null, choice, truth, stream_key, n_toys)
            for null, truth in zip(nulls, truths, strict=True)]  # fmt: skip
    q = [threshold(background, p) for background, _ in laws]
    power = [_tail(signal, value) for (_, signal), value in zip(laws, q, strict=True)]
    return Refit(
        *q, _tail(laws[0][0], q[0]), *power, *(z_of_median(*pair) for pair in laws), "exact" if exact else "toys"
    )


def _tail(law: Mixture, q: float) -> float:
    return float(law.sf(np.array([q]))[0])


def threshold(law: Mixture, p: float) -> float:
    """The smallest q with P(Q >= q) <= p: a value that q can take where those are known, else from a bracket."""
    kinds = [one for _, one in law.laws]
    if all(hasattr(one, "threshold") for one in kinds):  # counts
        ends = [one.threshold(p) for one in kinds]
        return _first(np.arange(min(ends), max(ends) + 1, dtype=np.float64), law, p)
    if all(hasattr(one, "table") for one in kinds):  # the scan's, whose table all truths share
        return _first(kinds[0].table.levels, law, p)
    if all(hasattr(one, "ranked") for one in kinds):  # toys
        return _first(np.append(np.unique(np.concatenate([one.ranked for one in kinds])), np.inf), law, p)
    return _bracketed(law, p)


def _first(values: np.ndarray, law: Mixture, p: float) -> float:
    """The first of ascending values that is reached with probability p at most; the last if none is."""
    return float(values[bisection.first(lambda i: _tail(law, values[i]) <= p, 0, len(values) - 1)])


def _bracketed(law: Mixture, p: float) -> float:
    low, step = law.median(), 1.0
    while _tail(law, low) <= p:  # the likeliest truth may lie above the mean of all
        low -= 1 + abs(low)
    while _tail(law, low + step) > p:
        step *= 2
    return bisection.bracket(lambda q: _tail(law, q) <= p, low, low + step, HALVINGS)[1]


def _pool_error(nominal: tuple[np.ndarray, np.ndarray], varied: tuple[np.ndarray, np.ndarray]) -> float | None:
    """Jack-knife of the inflation's relative error at a fixed threshold.

    Both truths lose the same events: where they share the pool, most of its error is in both.
    """
    if any((tails <= smallest_p).any() for tails, smallest_p in (nominal, varied)):
        return None
    ratios = varied[0] / nominal[0]
    return jackknife.error(ratios / ratios.mean())


def _toy_error(tails: dict[str, float], n_toys: int) -> float:
    """Of two binomial shares, as if no random number were shared."""
    shares = np.maximum([tails["false_alarm"], tails["false_alarm_varied"]], 1 / n_toys)
    return float(shares[1] / shares[0] * np.sqrt(((1 - shares) / (shares * n_toys)).sum()))
