"""Photons and electrons of a recoil, by NEST through nestpy."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType

import numpy as np

from engine import lineage

INTERACTIONS = {"ER": "beta", "NR": "NR"}  # by the names of `nestpy.interactions`
ATOMS_PER_GRAM = 6.0221409e23 / 131.293
RECOMBINATION_WIDTH = 7  # of NEST's width parameters: the amplitude of recombination fluctuations of electron recoils


def _nestpy() -> ModuleType:
    """Half a second to import: who simulates pays, and who reads a study does not."""
    import nestpy

    return nestpy


def _interaction(kind: str) -> object:
    return getattr(_nestpy().interactions, INTERACTIONS[kind])


@lru_cache(maxsize=1)
def _nest() -> tuple[object, object]:
    nestpy = _nestpy()
    # NESTcalc keeps a raw pointer to its detector, so both are kept.
    detector = nestpy.detectors.VDetector()
    calc = nestpy.NESTcalc(detector)
    with _mute():  # NEST says once in a process that a parameter "is slightly energy dependent", which is its model
        calc.GetYields(_interaction("ER"), 5.0, 2.9, 200.0)
    return calc, detector


@contextmanager
def _mute() -> Iterator[None]:
    """What a library in C++ writes to the process's stderr is lost meanwhile."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def work_function_eV(density_g_cm3: float) -> float:
    """NEST's own mean energy per quantum (WorkFunction): 13.51 eV at 2.875 g/cm3."""
    electrons_per_cm3 = density_g_cm3 * ATOMS_PER_GRAM * 54
    return (18.7263 - 1.01e-23 * electrons_per_cm3) * 1.1716263232


def quanta(
    kind: str, energy_keV: np.ndarray, field_V_cm: float, density_g_cm3: float, seed: int, er_width_scale: float = 1.0
) -> np.ndarray:
    """(n, 3) int64 numbers of photons, electrons and excitons; one fluctuated event per energy.

    `er_width_scale` multiplies the amplitude of ER recombination fluctuations. nestpy's generator is one per process:
    it is seeded here and nothing else draws from it in between.
    """
    calc, _ = _nest()
    generator = _nestpy().RandomGen.rndm()
    generator.unlock_seed()
    generator.set_seed(seed)
    generator.lock_seed()
    interaction, widths, rows = _interaction(kind), _widths(er_width_scale), []
    for energy in energy_keV.tolist():
        drawn = calc.GetQuanta(calc.GetYields(interaction, energy, density_g_cm3, field_V_cm), density_g_cm3, *widths)
        rows.append((drawn.photons, drawn.electrons, drawn.excitons))
    return np.array(rows, np.int64).reshape(-1, 3)


def _widths(er_width_scale: float) -> tuple:
    """NEST's width parameters as further arguments; none where they are NEST's own, which is faster."""
    if er_width_scale == 1:
        return ()
    widths = list(_nestpy().default_nr_er_width_parameters)
    widths[RECOMBINATION_WIDTH] *= er_width_scale
    return (widths,)


def recombined(
    photons: np.ndarray, electrons: np.ndarray, charge_yield_ratio: np.ndarray, key: object
) -> tuple[np.ndarray, np.ndarray]:
    """Photons and electrons, (n,) each, when the mean of an event's electrons is multiplied by a ratio.

    Below 1 every electron stays free with this probability only, and one that recombines makes a photon; above 1 as
    many photons as are needed were electrons instead. An event's number of quanta, and its energy, are what they were.
    """
    rng = lineage.stream("recombination", key)
    free = rng.binomial(electrons, np.minimum(charge_yield_ratio, 1.0))
    if np.any(charge_yield_ratio > 1):
        share = np.maximum(charge_yield_ratio - 1, 0) * electrons / np.maximum(photons, 1)
        free = free + rng.binomial(photons, np.minimum(share, 1.0))
    return photons + electrons - free, free
