"""The columns that describe a row of results beside its p: setting, expectation, and how far the pool carries it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from engine.assembly import assemble
from engine.inference.cells import Choice
from engine.inference.pools import TOY_HALF, effective_size
from engine.inference.population import Population
from engine.inference.significance import z_one_sided
from engine.inference.teststats import count
from engine.options import Options
from engine.plan.plan import Plan

FLAGS = ("ADDITIVE", "AFFINE_INVARIANT", "MONOTONE_INVARIANT", "MODEL_DEPENDENT")


@dataclass(frozen=True)
class Describer:
    """Describes the rows of one signal shape at one exposure; signal_weights (pool,): at the reference strength."""

    plan: Plan
    population: Population
    signal_weights: np.ndarray
    exposure_ty: float
    known: dict = field(default_factory=dict, compare=False)  # what rows share, by what it follows from

    def row(self, R: float | None, statistic: str, m_chi_GeV: float | None, size: float) -> dict:
        """Every descriptive column of one row but `half_shift`; `size`: what the signal is linear in."""
        axis = self.plan.study.signal.axes[-1]
        scale = size / assemble.REFERENCE[axis]
        n_signal = float(self.signal_weights.sum() * self.exposure_ty * scale)
        place = {"sigma_si_cm2": None, "strength": None, axis: size} | {
            "m_chi_GeV": m_chi_GeV, "exposure_ty": self.exposure_ty,
            "statistic": statistic, "R": R, "n_signal": n_signal,
            "z_count": self._once(("count", scale), lambda: self._z_count(scale)),
        }  # fmt: skip
        flags = self._once((R, statistic), lambda: self._of_statistic(R, statistic))
        return place | self.setting | flags | self._of_density(R, n_signal)

    def _once(self, key: tuple, make: Callable) -> object:
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    @cached_property
    def setting(self) -> dict:
        """The columns that follow from neither statistic, score nor size."""
        study, toy_half = self.plan.study, self.population.pool.half == TOY_HALF
        tpc = study.detector.constants
        coincidence = f"N{tpc.s1_coincidence}T{tpc.s1_coincidence_ns:g}"
        n_background = self.population.n_background(self.exposure_ty)
        return {
            "vae": study.models.vae.name, "classifier": study.models.classifier.name, "beta": self.plan.beta,
            "rates": study.backgrounds.rates, "n_background": n_background, "tuned_on": study.tuned_on,
            "nr_window": f"{coincidence}, {_words(self.plan.window('NR'))}",
            "er_window": f"{coincidence}, {_words(self.plan.window('ER'))}",
            "detector": study.detector.name, "representation": study.views, "signal": study.signal.name,
            "signal_pool_size": effective_size(self.signal_weights[toy_half]),
            "events_per_pool_event": n_background / np.count_nonzero(toy_half),
            "ts_unit": f"nat, preprocess = {study.models.vae.config['preprocess']}",
        }  # fmt: skip

    def _of_statistic(self, R: float | None, statistic: str) -> dict:
        module, options = self.plan.study.toys.statistic(statistic)
        prepared = Choice(R, module, options).prepare(self.population.null(R, self.exposure_ty))
        flags = {flag.lower(): getattr(module, flag) for flag in FLAGS}
        return flags | {"pool_limited": bool(getattr(prepared, "pool_limited", False))}

    def _of_density(self, R: float | None, n_signal: float) -> dict:
        """By the half of the pool that toys draw from, which f0 has not seen."""
        if R is None:
            return {"floor_events": None, "entropy_nat": None}
        background, share, entropy = self._once(R, lambda: self._floor(R))
        return {"floor_events": background + n_signal * share, "entropy_nat": entropy}

    def _floor(self, R: float) -> tuple[float, float, float]:
        """Expected background events on the floor of f0, share of the signal there, entropy."""
        null, signal = self.population.null(R, self.exposure_ty), self.population.signal(self.signal_weights)
        background, ts = null.drawn.total, null.drawn.events.ts
        floor = null.f0.on_floor(ts)
        share = signal[floor].sum() / (signal.sum() or 1.0)
        entropy = -(background @ null.f0.ln(ts)) / background.sum()
        return float(background[floor].sum()), float(share), float(entropy)

    def _z_count(self, scale: float) -> float:
        signal = self.population.signal(self.signal_weights) * self.exposure_ty * scale
        null, alternative = self._count.distributions(signal)
        return z_one_sided(null.sf(np.array([alternative.median()]))[0])

    @cached_property
    def _count(self):
        return count.prepare(self.population.null(None, self.exposure_ty), Options())


def _words(window: dict[str, tuple[float, float]]) -> str:
    said = {"ces_keVee": "CES {:g}-{:g} keVee", "energy_keV": "true {:g}-{:g} keVnr"}
    return ", ".join(said[name].format(*ends) for name, ends in window.items())
