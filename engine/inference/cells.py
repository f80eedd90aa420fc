"""The two computations of a scan: a block of background toys, and the cells of one mass and exposure."""

from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType

import numpy as np

from engine.inference import toys
from engine.inference.exact import Distribution
from engine.inference.exact.averaged import Averaged
from engine.inference.hypothesis import Null, Scored
from engine.inference.leakage import KNOWN
from engine.inference.population import Population
from engine.inference.significance import Significance, median_significance
from engine.options import Options


@dataclass(frozen=True)
class Choice:
    """A statistic of a study on one score: its module with its options; R is None for one that needs no score."""

    R: float | None
    module: ModuleType
    options: Options

    def prepare(self, null: Null):
        """The statistic, ready for toys of this null (see `engine.inference.teststats`)."""
        return self.module.prepare(null, self.options)

    def laws(self, null: Null) -> "Laws":
        """The statistic's laws under this null, with what is open of its leakage."""
        return Laws(self, null)


@dataclass(frozen=True)
class Laws:
    """The exact laws of a choice: under background averaged over what is left open of the leakage, with signal at the
    nominal one. What the statistic is made from stays nominal in every law."""

    choice: Choice
    null: Null

    @cached_property
    def _nominal(self):
        return self.choice.prepare(self.null)

    @cached_property
    def background(self) -> Distribution:
        """The law of q under background, of a statistic whose null knows no signal."""
        return self._nominal.background if self.null.leakage.is_known else self._averaged(None)

    def _averaged(self, signal: np.ndarray | None) -> Averaged:
        def at(z: float) -> Distribution:
            drawn = self.null.drawn.leaking(float(self.null.leakage.at(z)))
            statistic = self.choice.prepare(replace(self.null, drawn=drawn, stated=self.null.n_background))
            return statistic.background if signal is None else statistic.distributions(signal)[0]

        return Averaged(at, self.null.leakage.step(self.null.drawn.leaking_precision))

    def distributions(self, signal: np.ndarray) -> tuple[Distribution, Distribution]:
        """The law of q under background, and with a signal of these expected events (drawn events,)."""
        null, alternative = self._nominal.distributions(signal)
        if self.null.leakage.is_known:
            return null, alternative
        return self._averaged(signal) if self.choice.module.MODEL_DEPENDENT else self.background, alternative


def prepare(population: Population, exposure_ty: float, choices: list[Choice]) -> list:
    """Every choice ready for toys at this exposure."""
    return [choice.prepare(population.null(choice.R, exposure_ty)) for choice in choices]


def _quantities(population: Population, exposure_ty: float, choices: list[Choice], statistics: list) -> toys.Quantities:
    """What the toys sum, side by side, for every event that they may draw."""
    parts = []
    for choice, statistic in zip(choices, statistics, strict=True):
        parts.append(quantity(statistic, population.null(choice.R, exposure_ty).drawn.events))
    return toys.quantities(parts)


def quantity(statistic, events: Scored) -> tuple[str, np.ndarray, int]:
    """What a statistic sums or counts, for each of these events (see `toys.quantities`); nothing, where it wants the
    events themselves."""
    if takes_events(statistic):
        return "sums", np.zeros((len(events), 0)), 0
    if hasattr(statistic, "bins"):
        return "bins", statistic.bins(events), statistic.n_bins
    columns = statistic.columns(events)
    return "sums", columns, columns.shape[1]


def takes_events(statistic) -> bool:
    """Whether a prepared statistic looks at the events of each toy, and not at sums over them."""
    return hasattr(statistic, "of_toys")


def made_of(statistic, events: Scored, drawn: toys.Drawn) -> np.ndarray:
    """(n_toys, m) what a statistic that takes events makes of toys that hold some of these."""
    return statistic.of_toys(statistic.columns(events), drawn.event, drawn.ends)


def value(statistic, events: Scored) -> float:
    """q of one experiment that holds these events."""
    n = len(events)
    if takes_events(statistic):
        made = made_of(statistic, events, toys.Drawn(np.arange(n), np.array([n])))
        return float(statistic.q(np.array([n]), made)[0])
    form, values, width = quantity(statistic, events)
    totals = values.sum(axis=0) if form == "sums" else np.bincount(values, minlength=width)
    return float(statistic.q(np.array([n]), totals[None].astype(np.float64))[0])


def expected_totals(statistic, events: Scored, weights: np.ndarray) -> np.ndarray:
    """(rows, columns) what a statistic sums or counts on average, of weights (rows, events)."""
    form, values, width = quantity(statistic, events)
    return weights @ values if form == "sums" else np.array([np.bincount(values, w, minlength=width) for w in weights])


def background_block(
    population: Population, exposure_ty: float, hypothesis: str, block: int, choices: list[Choice]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """One block of background toys: numbers of events (BLOCK,), and per choice its totals (BLOCK, columns).

    `hypothesis` is "null" (gives g0) or "background" (carries the signal toys): the two never share toys. For a
    statistic that takes events, toys that carry signal have no totals: they are drawn again, with their signal.
    """
    law, factor, counts, drawing = _drawing(population, exposure_ty, hypothesis, block)
    statistics = prepare(population, exposure_ty, choices)
    wanted = _quantities(population, exposure_ty, choices, statistics)
    totals = drawing.totals(counts, wanted)
    by_choice = [totals[:, columns] for columns in wanted.places]
    if hypothesis == "null":
        for column, (choice, statistic) in enumerate(zip(choices, statistics, strict=True)):
            events = population.null(choice.R, exposure_ty).drawn.events
            if takes_events(statistic):
                by_choice[column] = made_of(statistic, events, drawing.events(counts))
            elif hasattr(statistic, "widen"):
                rng = toys.stream(*population.stream_key, exposure_ty, "widen", block)
                expected = factor @ expected_totals(statistic, events, law.weights)
                by_choice[column] = statistic.widen(by_choice[column], expected, rng)
    return counts.sum(axis=1), by_choice


def _drawing(population: Population, exposure_ty: float, hypothesis: str, block: int):
    """What a block of background toys is drawn from: the law with a row for each rate, factors on these (BLOCK, rows),
    numbers of events (BLOCK, rows), and what draws them."""
    rng = toys.stream(*population.stream_key, exposure_ty, hypothesis, block)
    # what is open of the leakage is a matter of false alarms: toys that carry signal have the nominal one
    leakage = population.leakage if hypothesis == "null" else KNOWN
    law, factor = toys.rates(rng, population.null(None, exposure_ty).drawn, leakage, toys.BLOCK)
    counts = rng.poisson(law.weights.sum(axis=1) * factor)
    return law, factor, counts, toys.drawing(rng, law.weights)


@dataclass(frozen=True)
class BackgroundToys:
    """Background toys of one choice: numbers of events (toys,) and totals (toys, columns)."""

    n_events: np.ndarray
    totals: np.ndarray


def background_toys(
    population: Population, exposure_ty: float, hypothesis: str, choices: list[Choice], n_toys: int
) -> list[BackgroundToys]:
    """The first n_toys background toys of a hypothesis, per choice."""
    blocks = [
        background_block(population, exposure_ty, hypothesis, block, choices)
        for block in range(-(-n_toys // toys.BLOCK))
    ]
    n_events = np.concatenate([n for n, _ in blocks])[:n_toys]
    return [
        BackgroundToys(n_events, np.concatenate([totals[i] for _, totals in blocks])[:n_toys])
        for i in range(len(choices))
    ]


@dataclass(frozen=True)
class Cell:
    """What toys say about one point and one choice."""

    significance: Significance
    half_shift: float | None
    p_deficit: float | None

    @property
    def columns(self) -> dict[str, float | str]:
        """As columns of a table (`engine.schemas.CELLS`)."""
        said = self.significance
        return {
            "q_median": said.q_median, "p_median": said.p, "p_low": said.p_low, "p_high": said.p_high,
            "tail": said.tail, "half_shift": self.half_shift, "p_deficit": self.p_deficit,
        }  # fmt: skip


def signal_cells(
    population: Population,
    signal_weights: np.ndarray,
    signal_key: tuple,
    scales: np.ndarray,
    exposure_ty: float,
    choices: list[Choice],
    null: list[BackgroundToys],
    background: list[BackgroundToys],
    kde: bool = False,
) -> list[list[Cell]]:
    """Cells [scale][choice] of one mass and exposure, for ascending multiples of the signal's weights.

    signal_weights (pool,): selected signal events per t y at scale 1; scales (n,): ascending, e.g. sigma_SI
    over the reference cross-section. null and background: one entry per choice.
    """
    mean = signal_weights.sum() * exposure_ty * scales
    statistics = prepare(population, exposure_ty, choices)
    q_signal = _signal_q(population, signal_weights, signal_key, mean, exposure_ty, choices, statistics, background)
    columns = []
    for choice, statistic, drawn, q in zip(choices, statistics, null, q_signal, strict=True):
        q_drawn = statistic.q(drawn.n_events, drawn.totals)
        q_null, few = np.sort(q_drawn), drawn.n_events < population.n_background(exposure_ty)
        shift = half_shift(statistic, population.null(choice.R, exposure_ty), q_null)
        found = [median_significance(q_null, q[:, step], kde) for step in range(len(scales))]
        deficits = [_p_deficit(statistic, q_drawn[few], one.q_median, len(q_null)) for one in found]
        columns.append([Cell(one, shift, deficit) for one, deficit in zip(found, deficits, strict=True)])
    return [list(row) for row in zip(*columns, strict=True)]


def _p_deficit(statistic, q_few: np.ndarray, q_median: float, n_toys: int) -> float | None:
    """Share of the null toys that reach q_median with fewer events than B; q_few: q of all with fewer."""
    return np.count_nonzero(q_few >= q_median) / n_toys if getattr(statistic, "sees_deficit", False) else None


def q_values(
    population: Population,
    signal_weights: np.ndarray,
    signal_key: tuple,
    scales: np.ndarray,
    exposure_ty: float,
    choices: list[Choice],
    null: list[BackgroundToys],
    background: list[BackgroundToys],
) -> list[tuple[np.ndarray, np.ndarray]]:
    """q without (toys,) and with signal (toys, scales), per choice: of the toys that `signal_cells` compares."""
    statistics, mean = prepare(population, exposure_ty, choices), signal_weights.sum() * exposure_ty * scales
    with_signal = _signal_q(population, signal_weights, signal_key, mean, exposure_ty, choices, statistics, background)
    pairs = zip(statistics, null, with_signal, strict=True)
    return [(statistic.q(one.n_events, one.totals), q) for statistic, one, q in pairs]


def signal_q(
    population: Population, signal_weights: np.ndarray, signal_key: tuple, exposure_ty: float, choice: Choice,
    n_toys: int,
) -> np.ndarray:  # fmt: skip
    """(n_toys,) q with signal: of the toys of `signal_cells`, drawn again, in their order.

    signal_weights (pool,): selected signal events per t y.
    """
    background = background_toys(population, exposure_ty, "background", [choice], n_toys)
    mean, statistics = np.array([signal_weights.sum() * exposure_ty]), prepare(population, exposure_ty, [choice])
    options = population, signal_weights, signal_key, mean, exposure_ty, [choice], statistics, background
    return _signal_q(*options)[0][:, 0]


def half_shift(statistic, null: Null, q_null: np.ndarray) -> float | None:
    """q of the experiment expected from the half that toys draw from, minus that of the half behind f0, over sd(q);
    None for a statistic that takes events, of which there are no expected ones."""
    if takes_events(statistic):
        return None
    n_events, q = np.array([round(null.n_background)]), []
    for law in (null.drawn, null.reference):
        q.append(statistic.q(n_events, expected_totals(statistic, law.events, law.total[None]))[0])
    spread = q_null.std()
    return float((q[0] - q[1]) / spread) if spread > 0 else 0.0


def _signal_q(population, signal_weights, signal_key, mean, exposure_ty, choices, statistics, background):
    """(toys, steps) values of q with signal for each choice, block by block."""
    quantities = _quantities(population, exposure_ty, choices, statistics)
    n_toys, weights = len(background[0].n_events), population.signal(signal_weights)
    q = [np.empty((n_toys, len(mean))) for _ in choices]
    for block, start in enumerate(range(0, n_toys, toys.BLOCK)):
        rng = toys.stream(*population.stream_key, exposure_ty, *signal_key, block)
        counts = toys.nested_counts(rng, mean if weights.sum() > 0 else np.zeros(len(mean)), toys.BLOCK)
        drawing = toys.signal_drawing(rng, weights)
        totals = drawing.totals(counts, quantities)
        some = slice(start, min(start + toys.BLOCK, n_toys))
        n = some.stop - some.start
        for i, (statistic, columns, drawn, out) in enumerate(
            zip(statistics, quantities.places, background, q, strict=True)
        ):
            if takes_events(statistic):
                events = population.null(choices[i].R, exposure_ty).drawn.events
                _, _, of_background, below = _drawing(population, exposure_ty, "background", block)
                out[some] = _q_of_events(statistic, events, below.events(of_background[:n]), drawing, counts[:n])
                continue
            for step in range(len(mean)):
                n_events = drawn.n_events[some] + counts[:n, step]
                out[some, step] = statistic.q(n_events, drawn.totals[some] + totals[:n, step, columns])
    return q


def _q_of_events(statistic, events: Scored, background: toys.Drawn, signal: toys.SignalDrawing, counts: np.ndarray):
    """(n_toys, steps) q of toys with counts (n_toys, steps) of signal events on their background; a step that adds
    none to a toy has the q of the step before."""
    q = np.empty(counts.shape)
    for step, n_signal in enumerate(counts.T):
        moved = n_signal != counts[:, step - 1] if step else np.full(len(counts), True)
        q[:, step] = q[:, step - 1]
        if moved.any():
            drawn = background.joined(signal.events(n_signal)).only(moved)
            q[moved, step] = statistic.q(drawn.counts, made_of(statistic, events, drawn))
    return q
