"""What reaches the PMTs: positions, light collection, drift, extraction; and the corrections for them."""

import numpy as np

from engine.physics.detectors import TPC
from engine.physics.detectors._quanta import work_function_eV


def positions(tpc: TPC, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y, z in cm, uniform in the fiducial cylinder; z is 0 at the cathode."""
    radius = tpc.fiducial_radius_cm * np.sqrt(rng.random(n))
    angle = 2 * np.pi * rng.random(n)
    z = rng.uniform(tpc.wall_distance_cm, tpc.drift_length_cm - tpc.wall_distance_cm, n)
    return radius * np.cos(angle), radius * np.sin(angle), z


def relative_light_collection(tpc: TPC, z_cm: np.ndarray) -> np.ndarray:
    """S1 light collection at z over its mean along the drift length."""
    polynomial = np.polynomial.Polynomial(tpc.light_collection_map)
    height = tpc.light_collection_height_cm
    mean = (polynomial.integ()(0) - polynomial.integ()(-height)) / height
    return polynomial((z_cm / tpc.drift_length_cm - 1) * height) / mean


def drift_us(tpc: TPC, z_cm: np.ndarray) -> np.ndarray:
    """Drift time from z to the liquid's surface."""
    return (tpc.drift_length_cm - z_cm) * 10 / tpc.drift_velocity_mm_us


def survival(tpc: TPC, drift: np.ndarray) -> np.ndarray:
    """Fraction of electrons left after a drift time in us."""
    return np.exp(-drift / tpc.electron_lifetime_us)


def combined_energy_keVee(tpc: TPC, cs1_phd: np.ndarray, cs2_phd: np.ndarray) -> np.ndarray:
    """CES = W (cS1/g1 + cS2/g2), both in photons detected, with NEST's own W: using another shifts it."""
    return work_function_eV(tpc.density_g_cm3) * 1e-3 * (cs1_phd / tpc.g1 + cs2_phd / tpc.g2)
