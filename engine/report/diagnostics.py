"""The figures of the diagnostics, by name."""

from collections.abc import Iterator

import numpy as np

from engine import plugins
from engine.assembly import scores
from engine.inference.population import Population
from engine.physics.detectors import TPC
from engine.plan.plan import Plan
from engine.plots.confusion import confusion
from engine.plots.elbo import elbo_against_energy
from engine.plots.latent import latent
from engine.plots.posterior import posterior_predictive
from engine.plots.reconstruction import Stretch, reconstruction
from engine.plots.roc import roc
from engine.stages.diagnostics import Diagnostics


def diagnosed(
    plan: Plan, population: Population, found: Diagnostics, signals: dict[str, np.ndarray]
) -> Iterator:
    """Name and figure of each. signals: (pool,) weights by label, of which what precedes a comma is the signal."""
    pool = population.pool
    by_name = {label.partition(",")[0]: weights for label, weights in signals.items()}  # shares, whatever the size
    negative_elbo = scores.negative_elbo(pool.terms, plan.beta)
    yield "roc", roc(found.table)
    yield "confusion", confusion(found.table)
    yield "posterior_predictive", posterior_predictive(found.posterior)
    yield "elbo_energy", elbo_against_energy(pool.energy_keV, negative_elbo, population.weights.sum(axis=0), by_name)
    yield "latent", latent(found.latent)
    yield "reconstruction", reconstruction(_examples(plan, found))


def _examples(plan: Plan, found: Diagnostics) -> dict[str, list[Stretch]]:
    """The stored events by title, cut into the sections of their representation."""
    study = plan.study
    view = plugins.load("engine.physics.representations", study.view(study.models.vae))
    tpc = study.detector.constants
    events = {}
    for row in found.examples.to_pylist():
        pair, start = [np.array(row[name]) for name in ("real", "reconstructed")], 0
        stretches = events.setdefault(f"{row['kind']}, {row['energy_keV']:.1f} keV", [])
        for name, length in view.sections(tpc).items():
            parts = [values[start : start + length] for values in pair]
            stretches.append(_stretch(name, parts, tpc, getattr(view, "SHAPE", None)))
            start += length
    return events


def _stretch(name: str, parts: list[np.ndarray], tpc: TPC, shape: tuple[int, ...] | None) -> Stretch:
    array = name.removeprefix("s2_")
    if array in ("top", "bottom"):
        return Stretch(name, *parts, tpc.pmt_positions_cm(array), tpc.radius_cm)
    return Stretch(name, *(part.reshape(shape) if shape else part for part in parts))
