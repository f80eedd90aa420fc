"""Photons and electrons of a recoil, by NEST through nestpy."""

from functools import lru_cache

import nestpy
import numpy as np

from engine import lineage

INTERACTIONS = {"ER": nestpy.interactions.beta, "NR": nestpy.interactions.NR}
ATOMS_PER_GRAM = 6.0221409e23 / 131.293


@lru_cache(maxsize=1)
def _nest() -> tuple[object, object]:
    # NESTcalc keeps a raw pointer to its detector, so both are kept.
    detector = nestpy.detectors.VDetector()
    return nestpy.NESTcalc(detector), detector


def work_function_eV(density_g_cm3: float) -> float:
    """NEST's own mean energy per quantum (WorkFunction): 13.51 eV at 2.875 g/cm3."""
    electrons_per_cm3 = density_g_cm3 * ATOMS_PER_GRAM * 54
    return (18.7263 - 1.01e-23 * electrons_per_cm3) * 1.1716263232


def quanta(kind: str, energy_keV: np.ndarray, field_V_cm: float, density_g_cm3: float, seed: int) -> np.ndarray:
    """(n, 3) int64 numbers of photons, electrons and excitons; one fluctuated event per energy.

    nestpy's generator is one per process: it is seeded here and nothing else draws from it in between.
    """
    calc, _ = _nest()
    generator = nestpy.RandomGen.rndm()
    generator.unlock_seed()
    generator.set_seed(seed)
    generator.lock_seed()
    out = np.empty((len(energy_keV), 3), dtype=np.int64)
    for row, energy in zip(out, energy_keV.tolist(), strict=True):
        drawn = calc.GetQuanta(calc.GetYields(INTERACTIONS[kind], energy, density_g_cm3, field_V_cm), density_g_cm3)
        row[:] = drawn.photons, drawn.electrons, drawn.excitons
    return out


def recombined(
    photons: np.ndarray, electrons: np.ndarray, charge_yield_ratio: np.ndarray, key: object
) -> tuple[np.ndarray, np.ndarray]:
    """Photons and electrons, (n,) each, when every electron stays free with this probability only.

    One that recombines makes a photon, so an event's number of quanta, and its energy, are what they were.
    """
    free = lineage.stream("recombination", key).binomial(electrons, charge_yield_ratio)
    return photons + electrons - free, free
