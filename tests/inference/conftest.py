"""A scored pool without physics: a narrow ER spike, a broad NR bump, flat spectra."""

import numpy as np
import pytest

from engine.inference.pools import Pool
from engine.inference.population import Background, populate

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
