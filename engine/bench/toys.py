"""Toy experiments: the kernels beside whole experiments that are drawn and evaluated one by one."""

from collections.abc import Callable
from dataclasses import dataclass
from math import lgamma, log

import numpy as np

from engine.bench.speed import Side, Work
from engine.inference import cells, toys
from engine.inference.cells import Choice
from engine.inference.pools import Pool
from engine.inference.population import Background, Population, populate
from engine.inference.teststats import extended_poisson, tail_count
from engine.options import configure

POOL_SIZE = 10_000  # scored events of each kind
RATES_PER_TY = {"ER": 6470.0, "NR": 30.0}  # selected background events in 1 t y: the papers' number at 200 t y
N_SIGNAL = 170.0  # signal events expected at the largest cross-section: the papers' benchmark
STEPS = np.geomspace(0.01, 1, 10)  # cross-sections over the largest
GRID = 1000  # points of the plain toys' interpolated density
R = 1.0  # the surrogate score's only one
CHOICES = [Choice(R, module, configure(module, {})) for module in (extended_poisson, tail_count)]


def sides() -> list[Side]:
    """Background and signal toys of 6500 events."""
    population, rng = surrogate(), np.random.default_rng(1)
    plain, block, plain_block = plain_inputs(population), toys.BLOCK, 10
    return [
        Side(
            "background toys", "toys / s",
            Work(lambda: cells.background_block(population, 1.0, "null", 0, CHOICES), block),
            Work(lambda: plain_toys(rng, plain_block, plain, 0.0), plain_block),
        ),
        Side(
            "signal toys", "toys / s",
            Work(lambda: signal_toys(population, rng), block * len(STEPS)),
            Work(lambda: [plain_toys(rng, 1, plain, N_SIGNAL * step) for step in STEPS], len(STEPS)),
        ),
    ]  # fmt: skip


def surrogate() -> Population:
    """A scored pool with a narrow ER spike and a broad NR bump, flat spectra, and rates that are known exactly."""
    rng = np.random.default_rng(1)
    n = 2 * POOL_SIZE
    ts = np.concatenate([2e4 + 5e3 * rng.gamma(4, size=POOL_SIZE), rng.normal(6e5, 1.2e5, POOL_SIZE)])
    thrown = np.full(2, POOL_SIZE)
    charges = np.ones(n), np.ones(n)
    pool = Pool(np.repeat([0, 1], POOL_SIZE), rng.random(n), np.ones(n), np.arange(n) % 2, thrown, *charges, {})
    return populate(
        pool, {R: ts}, [Background(kind, kind, _flat(rate), 0.0) for kind, rate in RATES_PER_TY.items()],
        idealised=True, bandwidth=1.0, relative_floor=1e-12, stream_key=("bench",),
    )  # fmt: skip


def _flat(rate_per_ty: float) -> Callable:
    """A spectrum between 0 and 1 keV."""
    return lambda energy_keV: np.full(len(energy_keV), rate_per_ty)


def signal_toys(population: Population, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A block's signal events for all cross-sections, nested: counts (toys, steps) and totals (toys, steps, 2)."""
    null = population.null(R, 1.0)
    columns = [choice.prepare(null).columns(null.drawn.events) for choice in CHOICES]
    wanted = toys.quantities([("sums", column, 1) for column in columns])
    weights = population.signal(population.pool.weights("NR", _flat(1.0)))
    counts = toys.nested_counts(rng, N_SIGNAL * STEPS, toys.BLOCK)
    return counts, toys.signal_totals(rng, counts, weights, wanted)


@dataclass(frozen=True)
class Plain:
    """What a plain toy needs: scores, their probabilities under background and signal, ln f0 on a grid, B."""

    ts: np.ndarray
    background: np.ndarray
    signal: np.ndarray
    grid: np.ndarray
    ln_f0: np.ndarray
    n_background: float
    tail_threshold: float


def plain_inputs(population: Population) -> Plain:
    """The population's toy half; the grid is logarithmic, for with equal steps q would be 17 too low."""
    null = population.null(R, 1.0)
    ts, background = null.drawn.events.ts, null.drawn.total
    signal = population.signal(population.pool.weights("NR", _flat(1.0)))
    grid = np.geomspace(ts.min(), ts.max(), GRID)
    shares = background / background.sum(), signal / signal.sum()
    return Plain(ts, *shares, grid, null.f0.ln(grid), null.n_background, CHOICES[1].prepare(null).threshold)


def plain_toys(rng: np.random.Generator, n_toys: int, plain: Plain, n_signal: float) -> np.ndarray:
    """(3, n_toys): N, Eq. 6's q and the tail's count, of whole experiments drawn and evaluated one by one."""
    rows = []
    for _ in range(n_toys):
        events = rng.choice(plain.ts, rng.poisson(plain.n_background), p=plain.background)
        if n_signal:
            events = np.concatenate([events, rng.choice(plain.ts, rng.poisson(n_signal), p=plain.signal)])
        n, b = len(events), plain.n_background
        q = 2 * (b + lgamma(n + 1) - n * log(b)) - 2 * np.interp(events, plain.grid, plain.ln_f0).sum()
        rows.append((n, q, np.count_nonzero(events > plain.tail_threshold)))
    return np.array(rows).T
