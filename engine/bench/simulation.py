"""Simulated events as networks see them, and the quanta and the S2 light in them, beside their plain twins."""

from functools import partial
from unittest.mock import patch

import nestpy
import numpy as np

from engine.bench.painting import plain_image
from engine.bench.s2 import fast_s2, plain_s2, s2_light
from engine.bench.speed import Side, Work
from engine.physics import events
from engine.physics.detectors import TPC, _quanta, _s2, darwin, xenonnt
from engine.physics.representations import image, vector

ENERGY_KEV = (1.0, 100.0)  # electron recoils, uniform: the papers' population
N_EVENTS = 500

Simulated = tuple[dict[str, np.ndarray], np.ndarray]


def sides() -> list[Side]:
    """S2 light, vectors, images and quanta."""
    tpc, energy_keV, light = darwin.CONSTANTS, energies_keV(), s2_light(n_events=50)
    few_keV, rng = energy_keV[:10], np.random.default_rng(1)
    photons = int(light.electrons.sum() * tpc.single_electron_gain)
    return [
        Side(
            "S2 light", "photons / s",
            Work(lambda: fast_s2(tpc, light), photons), Work(lambda: plain_s2(rng, tpc, light), photons),
        ),
        Side(
            "vectors with truth, DARWIN, ER 1-100 keV", "events / s",
            Work(lambda: vectors(energy_keV), N_EVENTS), Work(lambda: plain_vectors(energy_keV), N_EVENTS),
        ),
        Side(
            "images with truth, XENONnT, ER 1-100 keV", "events / s",
            Work(lambda: images(energy_keV), N_EVENTS), Work(lambda: plain_images(few_keV), len(few_keV)),
        ),
        Side(
            "quanta", "events / s",
            Work(partial(_quanta.quanta, "ER", energy_keV, tpc.drift_field_V_cm, tpc.density_g_cm3, 1), N_EVENTS),
            Work(lambda: bare_quanta(tpc, energy_keV), N_EVENTS),
        ),
    ]  # fmt: skip


def energies_keV() -> np.ndarray:
    """(N_EVENTS,) true energies."""
    return np.random.default_rng(1).uniform(*ENERGY_KEV, N_EVENTS)


def vectors(energy_keV: np.ndarray) -> Simulated:
    """Truth and vectors of electron recoils in DARWIN."""
    columns, readout = events.simulate(darwin.CONSTANTS, "ER", energy_keV, "bench")
    return columns, vector.features(readout, darwin.CONSTANTS)


def plain_vectors(energy_keV: np.ndarray) -> Simulated:
    """`vectors` with every S2 photon followed by itself, as otherwise those of faint S2s alone are."""
    with patch.object(_s2, "FEW_PHOTONS", np.iinfo(np.int64).max):
        return vectors(energy_keV)


def images(energy_keV: np.ndarray) -> Simulated:
    """Truth and images of electron recoils in XENONnT, the detector of the images' paper."""
    columns, readout = events.simulate(xenonnt.CONSTANTS, "ER", energy_keV, "bench")
    return columns, image.features(readout, xenonnt.CONSTANTS)


def plain_images(energy_keV: np.ndarray) -> Simulated:
    """`images` with every S2 photon followed by itself, and each image drawn large and shrunk."""
    with patch.object(_s2, "FEW_PHOTONS", np.iinfo(np.int64).max):
        columns, readout = events.simulate(xenonnt.CONSTANTS, "ER", energy_keV, "bench")
    drawn = [plain_image(readout, event, xenonnt.CONSTANTS) for event in range(len(energy_keV))]
    return columns, np.rint(drawn).astype(np.uint8).reshape(len(drawn), -1)


def bare_quanta(tpc: TPC, energy_keV: np.ndarray) -> None:
    """nestpy's two calls per event and nothing else: what the engine's loop may cost at least."""
    calc, _ = _quanta._nest()
    for energy in energy_keV.tolist():
        yields = calc.GetYields(nestpy.interactions.beta, energy, tpc.density_g_cm3, tpc.drift_field_V_cm)
        calc.GetQuanta(yields, tpc.density_g_cm3)
