"""The two computations of a scan: a block of background toys, and the cells of one mass and exposure."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from engine import sampling
from engine.errors import BadInput
from engine.inference import density, toys
from engine.inference.pools import DENSITY_HALF, TOY_HALF, Pool, effective_size
from engine.inference.significance import Significance, median_significance

SMALLEST_TAIL = 400  # pool events above a tail's threshold, below which the row is `pool_limited`


@dataclass(frozen=True)
class Background:
    """A background component: its kind in the pool, rate (energy_keV -> 1 / (t y keV)) and relative uncertainty."""

    name: str
    kind: str
    rate: Callable
    relative_uncertainty: float


@dataclass(frozen=True)
class Null:
    """The background-only hypothesis of one score at one exposure, as the statistics see it.

    n_background: expected selected events; f0: density of TS; tail_threshold: above it, tail_b0 events are
    expected at the exposure that it is set for; tail_pool: per kind the effective number and the weight of the
    toy half's events there.
    """

    n_background: float
    f0: density.Density
    tail_threshold: float
    tail_pool: tuple[tuple[float, float], ...]

    @property
    def pool_limited(self) -> bool:
        """Whether the tail of any kind that matters rests on too few pool events."""
        expected = sum(k * w for k, w in self.tail_pool)
        return any(k < SMALLEST_TAIL and (k + 1) * w > 0.1 * expected for k, w in self.tail_pool)


@dataclass(frozen=True)
class Population:
    """Scored pool and background rates, ready for toys: made once per scan, shared by all tasks.

    ts[R]: scores of all pool events; weights (components, pool): selected events per t y.
    """

    pool: Pool
    ts: dict[float, np.ndarray]
    f0: dict[float, density.Density]
    names: tuple[str, ...]
    weights: np.ndarray
    relative_uncertainty: np.ndarray
    tail_b0: float
    tail_exposure_ty: float | None
    stream_key: tuple

    def n_background(self, exposure_ty: float) -> float:
        """B: expected selected background events."""
        return float(self.weights.sum() * exposure_ty)

    def effective_events(self) -> dict[str, float]:
        """Effective number of pool events behind each component: what its spectrum makes of the proposal."""
        return {name: effective_size(weights) for name, weights in zip(self.names, self.weights, strict=True)}

    def null(self, R: float, exposure_ty: float) -> Null:
        """What background alone says about the score with this R at this exposure."""
        half = self.pool.half == DENSITY_HALF
        expected = self.weights.sum(axis=0) * exposure_ty
        scale = 1.0 if self.tail_exposure_ty is None else self.tail_exposure_ty / exposure_ty
        threshold = tail_threshold(self.ts[R][half], 2 * expected[half] * scale, self.tail_b0)
        toy_half = self.pool.half == TOY_HALF
        tail = toy_half & (self.ts[R] > threshold)
        pool = tuple(self._tail(code, tail, toy_half, 2 * expected) for code in range(len(self.pool.kinds)))
        return Null(self.n_background(exposure_ty), self.f0[R], threshold, pool)

    def _tail(self, code: int, tail: np.ndarray, toy_half: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
        w = expected[tail & (self.pool.kind == code)]
        if w.sum() > 0:
            return effective_size(w), float(np.square(w).sum() / w.sum())
        mine = toy_half & (self.pool.kind == code)
        return 0.0, float(expected[mine].mean()) if mine.any() else 0.0


def tail_threshold(ts: np.ndarray, expected: np.ndarray, b0: float) -> float:
    """The lowest score above which at most b0 events are expected (by the density half alone)."""
    order = np.argsort(-ts, kind="stable")
    above = np.cumsum(expected[order])
    first = int(np.searchsorted(above, b0, side="right"))
    return float(ts[order[min(first, len(ts) - 1)]])


def populate(
    pool: Pool,
    ts: dict[float, np.ndarray],
    backgrounds: list[Background],
    *,
    idealised: bool,
    tail_b0: float,
    tail_exposure_ty: float | None,
    bandwidth: float,
    relative_floor: float,
    stream_key: tuple,
) -> Population:
    """Weights of every component, and f0 for every score from the density half of the pool.

    Raises BadInput where one half of the pool has no background event.
    """
    weights = np.array([pool.weights(b.kind, b.rate) for b in backgrounds])
    half = pool.half == DENSITY_HALF
    if not (weights[:, half].sum() > 0 and weights[:, ~half].sum() > 0):
        raise BadInput(f"of {pool.n_thrown.tolist()} {', '.join(pool.kinds)} events thrown for the pool too few pass "
                       "the selection; raise pool.er_events or widen the window")  # fmt: skip
    f0 = {
        R: density.estimate(score[half], weights[:, half], bandwidth=bandwidth, relative_floor=relative_floor)
        for R, score in ts.items()
    }
    uncertainty = np.array([0.0 if idealised else b.relative_uncertainty for b in backgrounds])
    names = tuple(b.name for b in backgrounds)
    return Population(pool, ts, f0, names, weights, uncertainty, tail_b0, tail_exposure_ty, stream_key)


def _values(population: Population, exposure_ty: float, wanted: list[tuple[float, ModuleType]]) -> np.ndarray:
    """(toy half, wanted): each statistic's additive quantity, per event that toys may draw."""
    half = population.pool.half == TOY_HALF
    columns = []
    for R, statistic in wanted:
        columns.append(statistic.per_event(population.ts[R][half], population.null(R, exposure_ty)))
    return np.ascontiguousarray(np.stack(columns, axis=1))


def background_block(
    population: Population, exposure_ty: float, hypothesis: str, block: int, wanted: list[tuple[float, ModuleType]]
) -> tuple[np.ndarray, np.ndarray]:
    """One block of background toys: numbers of events (BLOCK,), and sums (BLOCK, wanted).

    `hypothesis` is "null" (gives g0) or "background" (carries the signal toys): the two never share toys.
    """
    rng = toys.stream(*population.stream_key, exposure_ty, hypothesis, block)
    half, weights = population.pool.half == TOY_HALF, population.weights
    present = weights[:, half].sum(axis=1) > 0
    mean = weights[present].sum(axis=1) * exposure_ty
    counts = toys.background_counts(rng, mean, population.relative_uncertainty[present], toys.BLOCK)
    tables = [sampling.table(w[half]) for w in weights[present]]
    cdf, guide = (np.stack(parts) for parts in zip(*tables, strict=True))
    sums = toys.background_sums(rng, counts, cdf, guide, _values(population, exposure_ty, wanted))
    if hypothesis == "null":
        _widen(population, exposure_ty, block, wanted, sums)
    return counts.sum(axis=1), sums


def _widen(population, exposure_ty, block, wanted, sums) -> None:
    for column, (R, statistic) in enumerate(wanted):
        null = population.null(R, exposure_ty)
        if hasattr(statistic, "widen") and null.pool_limited:
            rng = toys.stream(*population.stream_key, exposure_ty, "widen", block)
            sums[:, column] = statistic.widen(sums[:, column], null, rng)


@dataclass(frozen=True)
class Toys:
    """Background toys of one statistic: numbers of events and sums, one entry per toy."""

    n_events: np.ndarray
    total: np.ndarray


@dataclass(frozen=True)
class Cell:
    """What toys say about one point, one score and one statistic."""

    n_signal: float
    significance: Significance
    z_count: float


def signal_cells(
    population: Population,
    signal_weights: np.ndarray,
    signal_key: tuple,
    scales: np.ndarray,
    exposure_ty: float,
    wanted: list[tuple[float, ModuleType]],
    null: list[Toys],
    background: list[Toys],
) -> list[list[Cell]]:
    """Cells [scale][wanted] of one mass and exposure, for ascending multiples of the signal's weights.

    signal_weights (pool,): selected signal events per t y at scale 1; scales (n,): ascending, e.g. sigma_SI
    over the reference cross-section. null and background: one entry per wanted statistic.
    """
    n_toys = len(background[0].n_events)
    mean = signal_weights.sum() * exposure_ty * scales
    counts, sums = _signal_toys(population, signal_weights, signal_key, mean, exposure_ty, wanted, n_toys)
    nulls = [population.null(R, exposure_ty) for R, _ in wanted]
    q_null = []
    for (_, statistic), hypothesis, drawn in zip(wanted, nulls, null, strict=True):
        q_null.append(np.sort(statistic.statistic(drawn.n_events, drawn.total, hypothesis)))
    count_null = np.sort(null[0].n_events)
    rows = []
    for step in range(len(scales)):
        n_events = background[0].n_events + counts[:, step]
        z_count = median_significance(count_null, n_events).z
        row = []
        for column, (_, statistic) in enumerate(wanted):
            total = background[column].total + sums[:, step, column]
            q = statistic.statistic(n_events, total, nulls[column])
            row.append(Cell(float(mean[step]), median_significance(q_null[column], q), z_count))
        rows.append(row)
    return rows


def _signal_toys(population, signal_weights, signal_key, mean, exposure_ty, wanted, n_toys):
    """counts (n_toys, steps) and sums (n_toys, steps, wanted) of the signal events alone."""
    half = population.pool.half == TOY_HALF
    values = _values(population, exposure_ty, wanted)
    drawable = signal_weights[half]
    if not drawable.sum() > 0:
        shape = n_toys, len(mean)
        return np.zeros(shape, dtype=np.int64), np.zeros((*shape, len(wanted)))
    cdf, guide = sampling.table(drawable)
    counts, sums = [], []
    for block in range(-(-n_toys // toys.BLOCK)):
        rng = toys.stream(*population.stream_key, exposure_ty, *signal_key, block)
        drawn = toys.nested_counts(rng, mean, toys.BLOCK)
        counts.append(drawn)
        sums.append(toys.signal_sums(rng, drawn, cdf, guide, values))
    return np.concatenate(counts)[:n_toys], np.concatenate(sums)[:n_toys]
