"""Fast kernels beside slow, obvious twins that do the same: what each does per second of one core."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import lgamma, log
from unittest.mock import patch

import nestpy
import numpy as np

from engine import sampling
from engine.inference import cells, toys
from engine.inference.cells import Background, Population
from engine.inference.pools import TOY_HALF, Pool
from engine.inference.teststats import extended_poisson, tail_count
from engine.physics import events
from engine.physics.detectors import TPC, _pulses, _quanta, _s2, darwin
from engine.physics.representations import vector

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
    population, rng, tpc = surrogate(), np.random.default_rng(1), darwin.CONSTANTS
    plain, light, energy_keV = plain_inputs(population), s2_light(n_events=50), rng.uniform(1, 100, 500)
    photons, block, plain_block = int(light.electrons.sum() * tpc.single_electron_gain), toys.BLOCK, 10
    sides = [
        ("background toys", "toys / s",
         (lambda: cells.background_block(population, 1.0, "null", 0, WANTED), block),
         (lambda: plain_toys(rng, plain_block, plain, 0.0), plain_block)),
        ("signal toys", "toys / s",
         (lambda: signal_toys(population, rng), block * len(STEPS)),
         (lambda: [plain_toys(rng, 1, plain, N_SIGNAL * step) for step in STEPS], len(STEPS))),
        ("S2 light", "photons / s",
         (lambda: fast_s2(tpc, light), photons), (lambda: plain_s2(rng, tpc, light), photons)),
        ("vectors with truth, ER 1-100 keV", "events / s",
         (lambda: vectors(energy_keV), len(energy_keV)), (lambda: plain_vectors(energy_keV), len(energy_keV))),
        ("quanta", "events / s",
         (lambda: _quanta.quanta("ER", energy_keV, tpc.drift_field_V_cm, tpc.density_g_cm3, 1), len(energy_keV)),
         (lambda: bare_quanta(tpc, energy_keV), len(energy_keV))),
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


def vectors(energy_keV: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Truth and vectors of electron recoils in DARWIN."""
    columns, readout = events.simulate(darwin.CONSTANTS, "ER", energy_keV, "bench")
    return columns, vector.features(readout, darwin.CONSTANTS)


def plain_vectors(energy_keV: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The same with every S2 photon followed by itself, as otherwise those of faint S2s alone are."""
    with patch.object(_s2, "FEW_PHOTONS", np.iinfo(np.int64).max):
        return vectors(energy_keV)


def bare_quanta(tpc: TPC, energy_keV: np.ndarray) -> None:
    """nestpy's two calls per event and nothing else: what the engine's loop may cost at least."""
    calc, _ = _quanta._nest()
    for energy in energy_keV.tolist():
        yields = calc.GetYields(nestpy.interactions.beta, energy, tpc.density_g_cm3, tpc.drift_field_V_cm)
        calc.GetQuanta(yields, tpc.density_g_cm3)


@dataclass(frozen=True)
class Light:
    """The arguments of `_s2.pulses` behind the detector, in its order: electrons that make light."""

    drift_us: np.ndarray
    electrons: np.ndarray
    x: np.ndarray
    y: np.ndarray
    keys: np.ndarray


def s2_light(n_events: int, electrons: int = 150) -> Light:
    """S2s of this many extracted electrons, 1 ms of drift, anywhere in the detector."""
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-85, 85, (2, n_events))
    keys = rng.integers(0, 2**64, n_events, dtype=np.uint64)
    return Light(np.full(n_events, 1e3), np.full(n_events, electrons), x, y, keys)


def fast_s2(tpc: TPC, light: Light) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(events, samples) waveform, (events, PMTs) charge of top and bottom tubes, (events,) charge, by the kernel."""
    waveform, top, bottom, charge = _s2.pulses(tpc, *vars(light).values())
    return waveform, np.hstack([top, bottom]), charge


def plain_s2(rng: np.random.Generator, tpc: TPC, light: Light) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same in distribution, photon by photon: one histogram of times, one choice of tubes."""
    charges = _pulses.charge_table(tpc.double_pe_probability, tpc.spe_resolution)
    edges, waveforms, hits, areas = tpc.s2_sample_ns * np.arange(tpc.s2_samples + 1), [], [], []
    for drift_us, electrons, x, y in zip(light.drift_us, light.electrons, light.x, light.y, strict=True):
        times = plain_times_ns(rng, tpc, drift_us, electrons)
        charge = rng.choice(charges, len(times)).astype(float)
        share = plain_share(tpc, x, y)
        tube = rng.choice(len(share), len(times), p=share)
        waveforms.append(np.histogram(times, edges, weights=charge)[0])
        hits.append(np.bincount(tube, charge, minlength=len(share)))
        areas.append(charge.sum())
    return np.array(waveforms), np.array(hits), np.array(areas)


def plain_times_ns(rng: np.random.Generator, tpc: TPC, drift_us: float, electrons: int) -> np.ndarray:
    """Time of each detected photon after the first electron: diffusion, trapping, gas gap, excimer, PMT."""
    sigma_us = np.sqrt(2e-6 * tpc.diffusion_longitudinal_cm2_s * drift_us) * 10 / tpc.drift_velocity_mm_us
    arrived = rng.normal(0, sigma_us, electrons) + rng.exponential(tpc.electron_trapping_us, electrons)
    made = rng.normal(tpc.el_photons_per_electron, np.sqrt(tpc.el_fano * tpc.el_photons_per_electron), electrons)
    photons = rng.binomial(np.maximum(np.rint(made), 0).astype(int), tpc.g1_gas)
    start = np.repeat(arrived - arrived.min(), photons) * 1e3
    n = len(start)
    decay = np.where(rng.random(n) < _s2.GAS_SINGLET_FRACTION, _s2.GAS_SINGLET_NS, _s2.GAS_TRIPLET_NS)
    delay = rng.uniform(0, tpc.gas_transit_us * 1e3, n) + rng.exponential(decay) + rng.normal(0, tpc.pmt_transit_ns, n)
    return start + np.maximum(delay, 0)


def plain_share(tpc: TPC, x: float, y: float) -> np.ndarray:
    """Probability of each tube, top array first, to see a photon made at x, y in cm."""
    top, bottom = (tpc.pmt_positions_cm(array) for array in ("top", "bottom"))
    near = (((top - [x, y]) ** 2).sum(axis=1) + tpc.s2_light_height_cm**2) ** -1.5
    share = tpc.s2_focused_fraction * near / near.sum() + (1 - tpc.s2_focused_fraction) / len(top)
    return np.append(tpc.s2_top_fraction * share, np.full(len(bottom), (1 - tpc.s2_top_fraction) / len(bottom)))
