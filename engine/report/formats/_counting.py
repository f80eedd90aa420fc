"""The counts of a finished scan as sums of samples: what is expected of each, and what moves several together.

That is what HistFactory can say of `count` and `tail_count`: one bin, and how well what is expected in it is known.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, polygamma

from engine.assembly import results
from engine.assembly.population import benchmark_weights, choices
from engine.errors import BadInput
from engine.inference.hypothesis import Null
from engine.inference.teststats import count, tail_count
from engine.lineage import label, row_label
from engine.plan.plan import Wanted
from engine.run.pipeline import Outcome

LEAKAGE = "leakage"
SIGMAS = 5.0  # of a nuisance, either side: the range of a fit


@dataclass(frozen=True)
class Sample:
    """Events expected of one origin.

    rate: the nuisance of its rate with its relative standard deviation, a Gaussian's, None where it is known; factors:
    further nuisances, each with the standard deviation of its logarithm.
    """

    name: str
    expected: float
    rate: tuple[str, float] | None
    factors: dict[str, float]

    @property
    def ends(self) -> dict[str, tuple[float, float]]:
        """Of every further nuisance the factors at one sigma below and above."""
        return {name: (float(np.exp(-sd)), float(np.exp(sd))) for name, sd in self.factors.items()}


@dataclass(frozen=True)
class Counting:
    """A count at one exposure. signal: events expected at the benchmark; row: of the study's table, at the benchmark;
    threshold: in TS, None where all events count."""

    row: dict
    words: str
    signal: float
    samples: tuple[Sample, ...]
    threshold: float | None

    @property
    def name(self) -> str:
        """Of a channel, and of a file."""
        return f"{row_label(self.row['statistic'], self.row['R'])}_{label(self.row['exposure_ty'])}ty"

    @property
    def background(self) -> float:
        """Events expected without signal."""
        return sum(sample.expected for sample in self.samples)

    @property
    def largest_mu(self) -> float:
        """Strength of the signal that is far beyond any that one would ask of this count."""
        return 10.0 + (20.0 * (1 + np.sqrt(self.background)) / self.signal if self.signal > 0 else 0.0)

    @property
    def nuisances(self) -> list[str]:
        """Names of all that is constrained, each once."""
        rates = [sample.rate[0] for sample in self.samples if sample.rate]
        return list(dict.fromkeys([*rates, *(name for sample in self.samples for name in sample.factors)]))


def countings(outcome: Outcome) -> list[Counting]:
    """Every count of a study at every exposure, by `count` and `tail_count`; raises BadInput where it has neither."""
    wanted = [(R, name) for R, name in outcome.plan.wanted
              if outcome.plan.study.toys.statistic(name)[0] in (count, tail_count)]  # fmt: skip
    if not wanted:
        raise BadInput("the study counts no events: toys.statistics has neither 'count' nor 'tail_count'")
    return [_counting(outcome, pair, exposure) for pair in wanted for exposure in outcome.plan.exposures]


def _counting(outcome: Outcome, pair: Wanted, exposure_ty: float) -> Counting:
    plan, population = outcome.plan, outcome.population
    null = population.null(pair[0], exposure_ty)
    statistic = choices(plan, [pair])[0].prepare(null)
    threshold = getattr(statistic, "threshold", None)
    counted = np.ones(len(null.drawn.events), bool) if threshold is None else null.drawn.events.ts > threshold
    signal = population.signal(benchmark_weights(plan, population)) * exposure_ty
    pool = statistic.pool if getattr(statistic, "pool_error", False) else ()
    samples = tuple(_samples(null, counted, population.pool.kinds, pool))
    places = (row for row in results.rows_at(outcome.table, plan.study.at) if row["exposure_ty"] == exposure_ty)
    row = next(row for row in places if (row["R"], row["statistic"]) == pair)
    return Counting(row, plan.study.benchmark_signal.words, float(signal[counted].sum()), samples, threshold)


def _samples(null: Null, counted: np.ndarray, kinds: tuple[str, ...], pool) -> Iterator[Sample]:
    """A sample for every rate, kind of event and whether it leaks, which counts events; and one for every kind of which
    the pool has none there, whose expectation is then that of one event of mean weight, as the null of `tail_count`.

    pool: per kind the effective number k of pool events and their weight; () where the pool is taken for the truth.
    """
    law, leakage = null.drawn.grouped, null.leakage
    shifts = {f"pool_{kinds[i]}": _of_gamma(k) for i, (k, w) in enumerate(pool) if w > 0}
    if not leakage.is_known:
        shifts[LEAKAGE] = (1.0, np.log(leakage.factor)) if leakage.leaked is None else _of_gamma(leakage.leaked)
    leaks = law.leaks if LEAKAGE in shifts and law.leaks is not None else np.zeros(len(counted), bool)
    for name, sd, weights in zip(law.names, law.relative_sd, law.weights, strict=True):
        for i, kind in enumerate(kinds):
            for leaking in (False, True):
                mine = counted & (law.events.kind == i) & (leaks == leaking)
                if (expected := float(weights[mine].sum())) > 0:
                    of = {key: shifts[key] for key in (f"pool_{kind}", *[LEAKAGE] * leaking) if key in shifts}
                    rate = (f"rate_{name}", float(sd)) if sd > 0 else None
                    yield _sample(f"{name}_{kind}{'_leaking' if leaking else ''}", expected, rate, of)
    for i, (k, w) in enumerate(pool):
        if k == 0 and w > 0:
            yield _sample(f"unseen_{kinds[i]}", w, None, {f"pool_{kinds[i]}": _of_gamma(k)})


def _of_gamma(k: float) -> tuple[float, float]:
    """The log-normal in the place of Gamma(k + 1) / k, of Gamma(1) for k = 0: its median, and its logarithm's standard
    deviation, both such that mean and variance of the logarithm are the Gamma's."""
    return float(np.exp(digamma(k + 1)) / (k or 1)), float(np.sqrt(polygamma(1, k + 1)))


def _sample(name: str, expected: float, rate: tuple[str, float] | None, of: dict[str, tuple[float, float]]) -> Sample:
    """A sample whose expectation is that at the medians of its further nuisances."""
    medians = float(np.prod([median for median, _ in of.values()]))
    return Sample(name, expected * medians, rate, {key: float(sd) for key, (_, sd) in of.items()})


def readme(counted: list[Counting], name: str, form: str) -> bytes:
    """What lies beside the files: which count each is, and what its row of the table says."""
    head = (f"# Counts of {name} as {form}\n\nObservations are the expected background (Asimov); mu = 1 is the signal "
            "of the benchmark. What these likelihoods say, and where they differ from the table: the page on files\n"
            "for other tools in the documentation.\n\n"
            "| file | TS above | background | signal | Z of the table (prior predictive) |\n"
            "| --- | --- | --- | --- | --- |\n")  # fmt: skip
    rows = [f"| {one.name}.json | {'' if one.threshold is None else f'{one.threshold:.6g}'} | {one.background:.4g} | "
            f"{one.signal:.4g} | {_z(one.row)} |\n" for one in counted]  # fmt: skip
    return (head + "".join(rows)).encode()


def _z(row: dict) -> str:
    if row["z_exact"] is None:
        return f"{row['z_median']:.3f} ({row['tail']})"
    return f"{row['z_exact']:.3f} ({row['exact_tail']})"
