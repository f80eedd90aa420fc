"""Fast kernels beside slow, obvious twins that do the same: what each does per second of one core."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import lgamma, log

import numpy as np

from engine import sampling
from engine.inference import cells, toys
from engine.inference.cells import Background, Population
from engine.inference.pools import TOY_HALF, Pool
from engine.inference.teststats import extended_poisson, tail_count
from engine.physics.detectors import _pulses, darwin

POOL_SIZE = 10_000  # scored events of each kind
RATES_PER_TY = {"ER": 6470.0, "NR": 30.0}  # selected background events in 1 t y: the papers' number at 200 t y
N_SIGNAL = 170.0  # signal events expected at the largest cross-section: the papers' benchmark
STEPS = np.geomspace(0.01, 1, 10)  # cross-sections over the largest
GRID = 1000  # points of the plain toys' interpolated density
R = 1.0  # the surrogate score's only one
WANTED = [(R, extended_poisson), (R, tail_count)]


@dataclass(frozen=True)
class Comparison:
    """A fast kernel and its plain twin: units of work that each does per second."""

    name: str
    fast_per_s: float
    slow_per_s: float
    unit: str

    @property
    def ratio(self) -> float:
        """How many times faster."""
        return self.fast_per_s / self.slow_per_s


def run(seconds: float = 2.0) -> list[Comparison]:
    """Every comparison; each side works for `seconds`, after a first call that compiles it."""
    population, rng = surrogate(), np.random.default_rng(1)
    plain, light = plain_inputs(population), s2_light(n_events=50)
    photons, block, plain_block = int(light.photons.sum()), toys.BLOCK, 10
    sides = [
        ("background toys", "toys / s",
         (lambda: cells.background_block(population, 1.0, "null", 0, WANTED), block),
         (lambda: plain_toys(rng, plain_block, plain, 0.0), plain_block)),
        ("signal toys", "toys / s",
         (lambda: signal_toys(population, rng), block * len(STEPS)),
         (lambda: [plain_toys(rng, 1, plain, N_SIGNAL * step) for step in STEPS], len(STEPS))),
        ("S2 light", "photons / s", (lambda: fast_s2(light), photons), (lambda: plain_s2(rng, light), photons)),
    ]  # fmt: skip
    return [
        Comparison(name, per_second(*fast, seconds), per_second(*slow, seconds), unit)
        for name, unit, fast, slow in sides
    ]


def per_second(work: Callable[[], object], units: int, seconds: float) -> float:
    """Units of work, `units` a call, per second of processor time, which a busy neighbour does not lengthen."""
    work()
    done, spent, start = 0, 0.0, time.process_time()
    while spent < seconds:
        work()
        done += units
        spent = time.process_time() - start
    return done / spent


def surrogate() -> Population:
    """A scored pool with a narrow ER spike and a broad NR bump, flat spectra, and rates that are known exactly."""
    rng = np.random.default_rng(1)
    n = 2 * POOL_SIZE
    ts = np.concatenate([2e4 + 5e3 * rng.gamma(4, size=POOL_SIZE), rng.normal(6e5, 1.2e5, POOL_SIZE)])
    thrown = np.full(2, POOL_SIZE)
    pool = Pool(np.repeat([0, 1], POOL_SIZE), rng.random(n), np.ones(n), np.arange(n) % 2, thrown, {})
    return cells.populate(
        pool, {R: ts}, [Background(kind, kind, _flat(rate), 0.0) for kind, rate in RATES_PER_TY.items()],
        idealised=True, tail_b0=1.0, tail_exposure_ty=None, bandwidth=1.0, relative_floor=1e-12, stream_key=("bench",),
    )  # fmt: skip


def _flat(rate_per_ty: float) -> Callable:
    """A spectrum between 0 and 1 keV."""
    return lambda energy_keV: np.full(len(energy_keV), rate_per_ty)


def signal_toys(population: Population, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A block's signal events for all cross-sections, nested: counts (toys, steps) and sums (toys, steps, 2)."""
    half = population.pool.half == TOY_HALF
    null = population.null(R, 1.0)
    values = np.stack([statistic.per_event(population.ts[R][half], null) for _, statistic in WANTED], axis=1)
    cdf, guide = sampling.table(population.pool.weights("NR", _flat(N_SIGNAL))[half])
    counts = toys.nested_counts(rng, N_SIGNAL * STEPS, toys.BLOCK)
    return counts, toys.signal_sums(rng, counts, cdf, guide, values)


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
    half = population.pool.half == TOY_HALF
    ts, null = population.ts[R][half], population.null(R, 1.0)
    background, signal = population.weights.sum(axis=0)[half], population.pool.weights("NR", _flat(1.0))[half]
    grid = np.geomspace(ts.min(), ts.max(), GRID)
    shares = background / background.sum(), signal / signal.sum()
    return Plain(ts, *shares, grid, null.f0.ln(grid), null.n_background, null.tail_threshold)


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


@dataclass(frozen=True)
class Light:
    """The first arguments of `_pulses.fill_s2`, in its order: S2 electrons of some events, and what they may do."""

    times: np.ndarray
    photons: np.ndarray
    first: np.ndarray
    keys: np.ndarray
    charges: np.ndarray
    delays: np.ndarray
    x: np.ndarray
    y: np.ndarray


def s2_light(n_events: int, electrons: int = 150) -> Light:
    """DARWIN's S2 of events with this many extracted electrons, 1 ms of drift, anywhere in the detector."""
    rng, tpc = np.random.default_rng(1), darwin.CONSTANTS
    times = _pulses.electron_times_ns(tpc, np.full(n_events * electrons, 1e3), rng)
    return Light(
        times, _pulses.photons_per_electron(tpc, len(times), rng), electrons * np.arange(n_events + 1),
        rng.integers(0, 2**64, n_events, dtype=np.uint64),
        _pulses.charge_table(tpc.double_pe_probability, tpc.spe_resolution),
        _pulses.gas_time_table(tpc.gas_transit_us, tpc.pmt_transit_ns), *rng.uniform(-85, 85, (2, n_events)),
    )  # fmt: skip


def fast_s2(light: Light) -> tuple[np.ndarray, np.ndarray]:
    """(events, samples) waveform and (events, 2 PMTs) charge of the top and bottom tubes, by the kernel."""
    tpc, pmts, n = darwin.CONSTANTS, darwin.CONSTANTS.pmt_positions_cm(), len(light.x)
    waveform, top, bottom = (np.zeros((n, m), np.float32) for m in (tpc.s2_samples, len(pmts), len(pmts)))
    _pulses.fill_s2(
        *vars(light).values(), pmts, tpc.s2_light_height_cm, tpc.s2_top_fraction, tpc.s2_focused_fraction,
        tpc.sample_ns, waveform, top, bottom, np.zeros(n),
    )  # fmt: skip
    return waveform, np.hstack([top, bottom])


def plain_s2(rng: np.random.Generator, light: Light) -> tuple[np.ndarray, np.ndarray]:
    """The same in distribution, event by event: one histogram of times, one choice of tubes."""
    tpc, pmts = darwin.CONSTANTS, darwin.CONSTANTS.pmt_positions_cm()
    edges = tpc.sample_ns * np.arange(tpc.s2_samples + 1)
    waveforms, hits = [], []
    for i, (x, y) in enumerate(zip(light.x, light.y, strict=True)):
        mine = slice(light.first[i], light.first[i + 1])
        times = np.repeat(light.times[mine] - light.times[mine].min(), light.photons[mine])
        charge = rng.choice(light.charges, len(times))
        near = (((pmts - [x, y]) ** 2).sum(axis=1) + tpc.s2_light_height_cm**2) ** -1.5
        top = tpc.s2_focused_fraction * near / near.sum() + (1 - tpc.s2_focused_fraction) / len(pmts)
        share = np.append(tpc.s2_top_fraction * top, np.full(len(pmts), (1 - tpc.s2_top_fraction) / len(pmts)))
        tube = rng.choice(2 * len(pmts), len(times), p=share)
        waveforms.append(np.histogram(times + rng.choice(light.delays, len(times)), edges, weights=charge)[0])
        hits.append(np.bincount(tube, charge, minlength=2 * len(pmts)))
    return np.array(waveforms), np.array(hits)
