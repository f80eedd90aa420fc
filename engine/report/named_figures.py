"""Figures that a study has which names their kind, as those that reproduce the XENONnT paper do (arXiv:2110.12248)."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pyarrow.compute as pc

from engine.assembly import contours
from engine.assembly.population import scores_of_test
from engine.inference.pools import KINDS
from engine.lineage import label
from engine.plots.discovery import size_against_exposure
from engine.plots.images import Composite, reduction
from engine.plots.injected import injected_scores
from engine.plots.scores import pure_scores
from engine.plots.weight import p_against_R
from engine.report import event_display, physics_page
from engine.run.pipeline import Outcome

LOWEST_P = 1e-100  # of a formula, not a rate of false alarms: nothing else is flattened by what is below


def drawings(outcome: Outcome, signals: dict[str, np.ndarray]) -> Iterator[tuple[str, Callable]]:
    """Name of each, and what draws it. signals: (pool,) selected events per t y by label."""
    made = {"size_against_exposure": _contours, "p_against_R": _over_R, "reduction": _reduction,
            "test_scores": _test_scores, "injected_scores": partial(_injected, signals)}  # fmt: skip
    for kind in outcome.plan.study.figures.kinds or ():
        if kind in made:
            yield from made[kind](outcome)


def _contours(outcome: Outcome) -> Iterator[tuple[str, Callable]]:
    """A figure for every mass and level."""
    study = outcome.plan.study
    grid = outcome.table.filter(pc.field("point") == "grid")
    size, levels = study.signal.size, study.figures.levels_sigma
    lines = contours.contours(contours.by_law(grid), size, levels)
    for mass in study.grid.masses:
        for level in levels:
            name = f"size_against_exposure_{label(mass)}GeV_{label(level)}sigma"
            yield name, partial(size_against_exposure, lines, size, mass, level)


def _over_R(outcome: Outcome) -> Iterator[tuple[str, Callable]]:
    """A figure for every exposure and size of the signal."""
    grid, size = outcome.plan.study.grid, outcome.plan.study.signal.size
    rows = outcome.table.filter(pc.field("R").is_valid())
    for exposure_ty in grid.exposure_ty.points():
        for value in grid.size.points():
            at = (pc.field("exposure_ty") == exposure_ty) & (pc.field(size.name) == value)
            name = f"p_against_R_{label(value)}_{label(exposure_ty)}ty"
            yield name, partial(p_against_R, rows.filter(at), size, lowest_p=LOWEST_P)


def _reduction(outcome: Outcome) -> Iterator[tuple[str, Callable]]:
    yield "reduction", partial(_events_and_images, outcome)


def _events_and_images(outcome: Outcome):
    """An event of each kind, those of the physics page: what tubes recorded of it, and its image."""
    plan, tpc, events = outcome.plan, outcome.plan.study.detector.constants, {}
    for kind in KINDS:
        truth, readout = physics_page.display(plan, kind)
        hits = {"S1, bottom array": (tpc.pmt_positions_cm("bottom"), readout.s1_bottom[0]),
                "S2, top array": (tpc.pmt_positions_cm("top"), readout.s2_top[0])}  # fmt: skip
        pulses = {"S1": (readout.s1_waveform[0], tpc.s1_sample_ns), "S2": (readout.s2_waveform[0], tpc.s2_sample_ns)}
        image = event_display.image(readout, tpc)
        events[f"{kind}, {truth['energy_keV']:.1f} keV"] = Composite(hits, pulses, image, tpc.radius_cm)
    return reduction(events)


def _test_scores(outcome: Outcome) -> Iterator[tuple[str, Callable]]:
    for R in outcome.plan.study.score.R:
        yield f"test_scores_R{label(R)}", partial(_scores_of_kinds, outcome, R)


def _scores_of_kinds(outcome: Outcome, R: float):
    """TS of test events of each kind, as they were thrown and no spectrum has them."""
    ts, kind = scores_of_test(outcome.plan, outcome.ledger, R)
    return pure_scores(ts, {name: (kind == name).astype(float) for name in KINDS}, R=R)


def _injected(signals: dict[str, np.ndarray], outcome: Outcome) -> Iterator[tuple[str, Callable]]:
    """A figure for every R, at the exposure of the figures' or the largest."""
    study, population = outcome.plan.study, outcome.population
    for exposure_ty in study.figures.exposure_ty or study.grid.exposure_ty.points()[-1:]:
        expected = population.weights.sum(axis=0) * exposure_ty
        on_top = {title: weights * exposure_ty for title, weights in signals.items()}
        for R in study.score.R:
            where = {"exposure_ty": exposure_ty, "R": R}
            name = f"injected_scores_R{label(R)}_{label(exposure_ty)}ty"
            yield name, partial(injected_scores, population.ts[R], expected, on_top, **where)
