"""The columns of a row of results beside its p: where it is, its setting, expectation, and how far the pool carries it.

Numbers that follow from the pool are computed with the row and stored; words, which a study may change at will, are
joined when a table is made.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from engine.inference.cells import Choice
from engine.inference.pools import TOY_HALF, effective_size
from engine.inference.population import Population
from engine.inference.significance import z_one_sided
from engine.inference.teststats import count
from engine.options import Options
from engine.physics import selection
from engine.plan.plan import Plan, Point
from engine.study import Backgrounds

FLAGS = ("ADDITIVE", "AFFINE_INVARIANT", "MONOTONE_INVARIANT", "MODEL_DEPENDENT")


def joined(plan: Plan, point: Point, R: float | None, statistic: str) -> dict:
    """What a row says of its place and setting: columns that follow from the plan alone."""
    place = plan.signal_at(point).columns | {"exposure_ty": point.exposure_ty, "statistic": statistic, "R": R}
    return place | setting(plan) | flags(plan, statistic)


def setting(plan: Plan) -> dict:
    """The columns that all rows of a study share (`engine.schemas.SETTING`, but for those of `flags`)."""
    study, tpc = plan.study, plan.study.detector.constants
    coincidence = f"N{tpc.s1_coincidence}T{tpc.s1_coincidence_ns:g}"
    scales = {model.config["preprocess"]: None for role, model in study.fitted.items()
              if plan.family(role).KIND in ("autoencoder", "density")}  # fmt: skip
    return {
        "models": ", ".join(f"{role} = {model.name}" for role, model in study.fitted.items()),
        "score": ", ".join(filter(None, [study.score.name, study.score.module.words(plan.score_parameters)])),
        "rates": study.backgrounds.rates, "tuned_on": study.tuned_on,
        "nr_window": _words(coincidence, study.backgrounds, "NR"),
        "er_window": _words(coincidence, study.backgrounds, "ER"),
        "detector": study.detector.name, "representation": study.views, "signal": study.signal.name,
        "ts_unit": ", ".join(["nat", *(f"preprocess = {scale}" for scale in scales)]),
    }  # fmt: skip


def flags(plan: Plan, statistic: str) -> dict[str, bool]:
    """What a statistic is, by column."""
    module, _ = plan.study.toys.statistic(statistic)
    return {flag.lower(): getattr(module, flag) for flag in FLAGS}


def _words(coincidence: str, backgrounds: Backgrounds, kind: str) -> str:
    formats = {"ces_keVee": "CES {:g}-{:g} keVee", "energy_keV": "true {:g}-{:g} keVnr"}
    windows = [formats.get(name, name.replace("_", " {:g}-{:g} ")).format(*ends)
               for name, ends in backgrounds.windows(kind).items()]  # fmt: skip
    kept = selection.identity(backgrounds.efficiency_of(kind))
    curve = f"efficiency curve {kept[:6]}" if isinstance(kept, str) else f"efficiency {kept:g}"
    return ", ".join([coincidence, *windows, *([] if kept == 1 else [curve])])


@dataclass(frozen=True)
class Expectation:
    """What the pool says of the rows of one mass at one exposure; signal_weights (pool,): at the size's reference."""

    plan: Plan
    population: Population
    signal_weights: np.ndarray
    exposure_ty: float
    known: dict = field(default_factory=dict, compare=False)  # what rows share, by what it follows from

    def row(self, R: float | None, statistic: str, size: float) -> dict:
        """The columns of `engine.schemas.EXPECTED` but `half_shift`, at a value of what the signal is linear in."""
        scale = self.plan.study.signal.at(None, size).scale
        n_signal = float(self.signal_weights.sum() * self.exposure_ty * scale)
        return {
            "n_signal": n_signal, "z_count": self._once(("count", scale), lambda: self._z_count(scale)),
            "pool_limited": self.pool_limited(R, statistic),
        } | self.of_pool | self._of_density(R, n_signal)  # fmt: skip

    def _once(self, key: tuple, make: Callable) -> object:
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    @cached_property
    def of_pool(self) -> dict:
        """The columns that follow from neither statistic, score nor size."""
        toy_half = self.population.pool.half == TOY_HALF
        n_background = self.population.n_background(self.exposure_ty)
        n_pool = np.count_nonzero(toy_half)
        if self.plan.study.pool.tail == "enriched":  # most of its events stand for next to nothing
            n_pool = effective_size(self.population.weights[:, toy_half].sum(axis=0))
        return {
            "n_background": n_background, "er_leakage": self.population.er_leakage,
            "leakage_known": self.population.leakage.known_to,
            "signal_pool_size": effective_size(self.signal_weights[toy_half]),
            "events_per_pool_event": n_background / n_pool,
        }  # fmt: skip

    def pool_limited(self, R: float | None, statistic: str) -> bool:
        """Whether too few pool events stand behind a statistic on a score."""
        return self._once((R, statistic), lambda: self._pool_limited(R, statistic))

    def _pool_limited(self, R: float | None, statistic: str) -> bool:
        choice = Choice(R, *self.plan.study.toys.statistic(statistic))
        prepared = choice.prepare(self.population.null(R, self.exposure_ty))
        return bool(getattr(prepared, "pool_limited", False))

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
        return Choice(None, count, Options()).laws(self.population.null(None, self.exposure_ty))
