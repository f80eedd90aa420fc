"""The figures of the diagnostics, by name."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from engine import plugins
from engine.inference.population import Population
from engine.inference.scores._terms import negative_elbo
from engine.physics.detectors import TPC
from engine.plan.plan import Plan
from engine.plots.confusion import confusion
from engine.plots.elbo import elbo_against_energy
from engine.plots.latent import latent
from engine.plots.posterior import posterior_predictive
from engine.plots.reconstruction import Stretch, reconstruction
from engine.plots.roc import roc
from engine.plots.sic import sic
from engine.stages.diagnostics import Autoencoder, Diagnostics


def diagnosed(plan: Plan, population: Population, diagnostics: Diagnostics, signals: dict[str, np.ndarray]) -> Iterator:
    """Name of each, and what draws it. signals: (pool,) weights by label; what precedes a comma is the signal."""
    if len(diagnostics.table):  # without a classifier there is none
        yield "roc", partial(roc, diagnostics.table)
        yield "sic", partial(sic, diagnostics.table)
        yield "confusion", partial(confusion, diagnostics.table)
    by_name = {label.partition(",")[0]: weights for label, weights in signals.items()}  # shares, whatever the size
    for role, one in diagnostics.autoencoders.items():
        end = f"_{role}" if len(diagnostics.autoencoders) > 1 else ""
        elbo = negative_elbo(population.pool.terms[role], one.beta)
        weights = population.weights.sum(axis=0)
        yield f"posterior_predictive{end}", partial(posterior_predictive, one.posterior)
        against = elbo_against_energy, population.pool.energy_keV, elbo, weights, by_name
        yield f"elbo_energy{end}", partial(*against)
        yield f"latent{end}", partial(latent, one.latent)
        yield f"reconstruction{end}", partial(_reconstructed, plan, role, one)


def _reconstructed(plan: Plan, role: str, autoencoder: Autoencoder):
    return reconstruction(_examples(plan, role, autoencoder))


def _examples(plan: Plan, role: str, autoencoder: Autoencoder) -> dict[str, list[Stretch]]:
    """The stored events by title, cut into the sections of their representation."""
    view = plugins.load("engine.physics.representations", plan.view(role))
    tpc = plan.study.detector.constants
    events = {}
    for row in autoencoder.examples.to_pylist():
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
    step = tpc.sample_step_pe if array.endswith("waveform") else 1.0
    return Stretch(name, *(part.reshape(shape) if shape else part * step for part in parts))
