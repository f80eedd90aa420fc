"""A scored pool without physics: a narrow ER spike, a broad NR bump, flat spectra."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from engine.inference.cells import BackgroundToys, Choice, background_block, signal_cells
from engine.inference.pools import Pool
from engine.inference.population import Background, populate
from engine.options import configure

ENERGY_KEV = {"ER": 10.0, "NR": 50.0}  # events of a kind are thrown uniformly up to here


def flat(rate):
    return lambda energy_keV: np.full(len(energy_keV), float(rate))


def make_pool(n_per_kind=4000, seed=0):
    rng = np.random.default_rng(seed)
    width = np.repeat(list(ENERGY_KEV.values()), n_per_kind)
    kind, half = np.repeat([0, 1], n_per_kind), np.arange(2 * n_per_kind) % 2
    energy = width * rng.random(2 * n_per_kind)
    gain = np.array([[1.0, 1.0], [100.0, 20.0]])[:, kind]  # S1 and S2 per keV and kind, up to a common factor
    cs1_pe, cs2_pe = gain * energy * rng.gamma(20, 0.4, size=(2, 2 * n_per_kind))
    return Pool(kind, energy, 1 / width, half, np.array([n_per_kind, n_per_kind]), cs1_pe, cs2_pe, {})


def make_scores(pool, seed=0):
    """Positive, so that a log is a monotone map of them."""
    rng = np.random.default_rng((seed, 1))
    er, nr = 2e4 + 5e3 * rng.gamma(4, size=len(pool.kind)), np.abs(rng.normal(6e5, 1.2e5, len(pool.kind)))
    return np.where(pool.kind == 0, er, nr)


def make_population(pool=None, ts=None, expected=(60.0, 3.0), relative_uncertainty=(0.0, 0.0), key=("test",), R=1.0):
    """Flat spectra that give the expected numbers of events in 1 t y."""
    pool = make_pool() if pool is None else pool
    ts = make_scores(pool) if ts is None else ts
    backgrounds = [
        Background(kind.lower(), kind, flat(n / ENERGY_KEV[kind]), sd)
        for kind, n, sd in zip(ENERGY_KEV, expected, relative_uncertainty, strict=True)
    ]
    return populate(
        pool, {R: ts}, backgrounds, idealised=not any(relative_uncertainty), bandwidth=1.0, relative_floor=1e-12,
        stream_key=key,
    )  # fmt: skip


def once(module, population, exposure_ty=1.0, **options):
    """A statistic, prepared for this null once and for all: neither pool nor law knows a stream."""
    options, R = configure(module, options), 1.0 if "score" in module.NEEDS else None
    statistic = module.prepare(population.null(R, exposure_ty), options)
    return Choice(R, SimpleNamespace(prepare=lambda null, options: statistic), options)


def cells_of(population, choices, key, expected, exposure_ty=1.0, blocks=1):
    """Cells [step][choice] of one lineage: `blocks` thousand null and signal toys of streams that are named by `key`.

    expected: ascending numbers of signal events; the signal is NR, flat in energy.
    """
    own, toys_of = dataclasses.replace(population, stream_key=key), {}
    for hypothesis in ("null", "background"):
        drawn = [background_block(own, exposure_ty, hypothesis, block, choices) for block in range(blocks)]
        n_events = np.concatenate([counts for counts, _ in drawn])
        columns = zip(*(totals for _, totals in drawn), strict=True)
        toys_of[hypothesis] = [BackgroundToys(n_events, np.concatenate(totals)) for totals in columns]
    weights = own.pool.weights("NR", flat(1 / ENERGY_KEV["NR"]))
    scales = np.asarray(expected) / (weights.sum() * exposure_ty)
    return signal_cells(own, weights, ("flat",), scales, exposure_ty, choices, toys_of["null"], toys_of["background"])


def assert_standard(pulls):
    """Mean 0 and width 1 of independent pulls (n,), within three of their own errors."""
    n = len(pulls)
    assert abs(pulls.mean()) < 3 / np.sqrt(n)
    assert abs(pulls.std() - 1) < 3 / np.sqrt(2 * n)


@pytest.fixture(name="assert_standard")
def _assert_standard():
    return assert_standard


@pytest.fixture(name="once")
def _once():
    return once


@pytest.fixture(name="cells_of")
def _cells_of():
    return cells_of


@pytest.fixture(name="make_pool")
def _make_pool():
    return make_pool


@pytest.fixture(name="make_scores")
def _make_scores():
    return make_scores


@pytest.fixture(name="make_population")
def _make_population():
    return make_population


@pytest.fixture(scope="session")
def population():
    """60 ER and 3 NR events per t y, known exactly."""
    return make_population()


TEMPLATE_NAMES = ("pp", "pb214", "atm", "neutrons", "dsnb")
TEMPLATE_SD = np.array([0.03, 0.10, 0.20, 0.50, 0.50])


def make_bands(n_per_kind=6000, seed=0, expected=(3980.0, 2680.0, 5.5, 1.9, 0.1)):
    """Two bands in (cS1, cS2) as a xenon TPC has them: (cs1_pe, cs2_pe, weights (5, n), signal_weights (n,)).

    ER of 2-10 keV and NR of 10-46 keV, thrown uniformly; the NR spectra fall, each at its own pace, as the signal's.
    The weights add up to `expected`, the signal's to 171.
    """
    rng = np.random.default_rng((seed, 2))
    er, nr = 2 + 8 * rng.random(n_per_kind), 10 + 36 * rng.random(n_per_kind)
    electrons = np.concatenate([er * (52 - 2.4 * er), nr * (6.6 - 0.06 * nr)])
    photons = np.concatenate([74 * er, nr * (14.0 + 0.005 * nr)]) - electrons
    moved = np.append(0.05 * electrons[:n_per_kind], np.zeros(n_per_kind)) * rng.standard_normal(2 * n_per_kind)
    cs1 = np.maximum(rng.poisson(0.15 * (photons - moved)) + 0.3 * rng.standard_normal(2 * n_per_kind), 1.0)
    cs2 = 54 * np.maximum(electrons + moved + np.sqrt(electrons) * rng.standard_normal(2 * n_per_kind), 5.0)
    nothing = np.zeros(n_per_kind)
    shapes = [np.append(1 + 0.05 * er, nothing), np.append(np.ones(n_per_kind), nothing)]
    shapes += [np.append(nothing, np.exp(-nr / scale)) for scale in (18, 24, 9, 14)]
    weights = [total * shape / shape.sum() for total, shape in zip((*expected, 171.0), shapes, strict=True)]
    order = rng.permutation(2 * n_per_kind)  # either half holds both kinds
    return cs1[order], cs2[order], np.array(weights[:-1])[:, order], weights[-1][order]


@pytest.fixture(scope="session", name="bands")
def _bands():
    return make_bands()


@pytest.fixture(scope="session")
def band_names():
    return TEMPLATE_NAMES, TEMPLATE_SD
