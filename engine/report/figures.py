"""The figures and files that a finished scan is looked at by: names and bytes."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine import plots
from engine.assembly import contours
from engine.assembly.population import benchmark_weights, choices, signal_weights, toys
from engine.errors import StoreFault, warn
from engine.inference.cells import q_values
from engine.lineage import label, row_label
from engine.plan.plan import HYPOTHESES, Plan
from engine.plots import exposure, leakage, plane, q_distribution, reach, scores, systematics
from engine.plots._rows import number, words
from engine.report import headline
from engine.report.diagnostics import diagnosed
from engine.run.pipeline import Outcome
from engine.store.parts import Part, encode, sha256
from engine.store.store import Store

FOLDER = "figures"
Curve = tuple[str, np.ndarray, np.ndarray]  # label, m_chi_GeV, sigma_si_cm2
Drawing = tuple[str, Callable]  # a figure's name, and what draws it
KINDS = (  # what a figure's name begins with, first what a talk on the scan would begin with
    "plane", "p_against_exposure", "t3_against_mass", "scores", "q", "roc", "leakage", "systematics", "confusion",
    "posterior_predictive", "elbo_energy", "reconstruction", "sic", "latent",
)  # fmt: skip
MOST = 12  # figures of a scan unless all are asked for
MOST_SCORES = 2  # of them, each of an R
SIGNAL_MASSES_GEV = (20.0, 500.0)  # EPJC paper, Fig. 2


@dataclass(frozen=True)
class Gallery:
    """What was drawn of a scan, in whatever format: SHA-256 by file name."""

    sha256: dict[str, str]


def keep(store: Store, table: str, files: dict[str, bytes]) -> None:
    """Writes the figures of the scan with this table into the store, and beside them what they are known by."""
    for name, data in files.items():
        store.put(f"{FOLDER}/{table}/{name}", data)
    known = store.kept(f"{FOLDER}/{table}.json", Gallery) or Gallery({})
    store.keep(f"{FOLDER}/{table}.json", Gallery(known.sha256 | {name: sha256(data) for name, data in files.items()}))


def whole(outcome: Outcome, store: Store) -> dict[str, bytes]:
    """The figures of a scan by file name, as the store has them; drawn again where one is damaged or none is known."""
    folder, kept = f"{FOLDER}/{outcome.plan.table}", {}
    known = store.kept(f"{folder}.json", Gallery) or Gallery({})
    for name, expected in known.sha256.items():
        with suppress(FileNotFoundError, StoreFault):
            if sha256(data := store.get(f"{folder}/{name}")) == expected:
                kept[name] = data
    if lost := sorted(known.sha256.keys() - kept):
        warn(f"{folder}/{lost[0]} does not verify ({len(lost)} of {len(known.sha256)}): drawn again, or left out")
    if kept and not lost:
        return kept
    again = draw(outcome.plan, outcome, every=bool(lost))
    return {name: data for name, data in again.items() if not lost or name in known.sha256} | kept


def draw(
    plan: Plan, outcome: Outcome, curves: tuple[Curve, ...] = (), format: str = "png", every: bool = False
) -> dict[str, bytes]:
    """Figures of a scan by file name, MOST at most unless every one is wanted; of a WIMP also `contours.csv`, and the
    tables that have no other place. Raises BadInput for an unknown format."""
    drawings, files = dict(_figures(plan, outcome)), {}
    if plan.study.grid.m_chi_GeV:
        grid = outcome.table.filter(pc.field("point") == "grid")
        lines = _contours(plan, grid)
        files["contours.csv"] = contours.write_csv(lines)
        # colours need a rectangle of points, which is what the study names
        drawings |= _planes(plan, outcome, grid.filter(pc.field("level") == 0), lines, curves)
    if outcome["systematics"] is not None:
        varied = outcome["systematics"].table
        files["systematics.parquet"] = encode(Part("systematics.parquet", (), varied))
        drawings |= _systematics(plan, varied)
    if len(tried := outcome["combined"].table):
        files["combined.parquet"] = encode(Part("combined.parquet", (), tried))
    for name in in_order(drawings) if every else usual(drawings, headline.chosen(outcome)):
        files[f"{name}.{format}"] = plots.render(drawings[name](), format)
    return files


def kind(name: str) -> str:
    """The one of KINDS that a figure is of; nothing for another's."""
    return next((begins for begins in KINDS if name == begins or name.startswith(f"{begins}_")), "")


def in_order(names: Iterable[str]) -> list[str]:
    """Figures by their kind, of one kind as they come; what has none last."""
    return sorted(names, key=lambda name: [*KINDS, ""].index(kind(name)))


def usual(names: Iterable[str], row: dict) -> list[str]:
    """MOST figures at most; of planes, q and systematics the one of the headline (a row of the results)."""
    exposure_ty = f"{label(row['exposure_ty'])}ty"
    of_row = f"{row_label(row['statistic'], row['R'])}_{exposure_ty}"
    alone = {"plane": f"plane_{of_row}", "q": f"q_{of_row}", "systematics": f"systematics_{exposure_ty}"}
    kept = [name for name in names if name == alone.get(kind(name), name)]
    own = "" if row["R"] is None else f"scores_R{label(row['R'])}"
    of_scores = sorted((name for name in kept if kind(name) == "scores"), key=lambda name: name != own)
    return in_order(name for name in kept if name not in of_scores[MOST_SCORES:])[:MOST]


def _contours(plan: Plan, grid: pa.Table) -> pa.Table:
    """Those of 1, 2 and 3 sigma; where points were spent on some, these too, by what they were spent by."""
    refine, size = plan.study.grid.refine, plan.study.signal.size
    if not refine:
        return contours.contours(grid, size)
    return contours.contours(contours.by_law(grid), size, sorted({1.0, 2.0, 3.0, *refine.z}))


def _planes(
    plan: Plan, outcome: Outcome, grid: pa.Table, lines: pa.Table, curves: tuple[Curve, ...]
) -> Iterator[Drawing]:
    study = plan.study
    if study.grid.size.points()[-1] == 0:  # a study of no signal has no plane
        return
    for R, statistic in plan.wanted:
        for exposure_ty in study.grid.exposure_ty.points():
            where = {"exposure_ty": exposure_ty, "statistic": statistic, "R": R}
            name = f"plane_{row_label(statistic, R)}_{label(exposure_ty)}ty"
            yield name, partial(
                plane.plane, grid, lines, study.signal.size, **where, curves=curves,
                benchmark=tuple(study.at.values()), limits=outcome["limits"].table,
            )  # fmt: skip


def _systematics(plan: Plan, table: pa.Table) -> Iterator[Drawing]:
    for exposure_ty in plan.study.grid.exposure_ty.points():
        yield f"systematics_{label(exposure_ty)}ty", partial(systematics.inflation, table, exposure_ty)


def _figures(plan: Plan, outcome: Outcome) -> Iterator[Drawing]:
    study, smallest = plan.study, outcome["combined"].table
    followed = partial(exposure.p_against_exposure, outcome.table, study.signal.size, smallest, **study.at)
    yield "p_against_exposure", followed
    size = study.signal.size
    sought = outcome["reach"].table.filter(pc.field(size.name) == study.reach.size_at(study.at))
    if len(sought["m_chi_GeV"].unique()) > 1:
        yield "t3_against_mass", partial(reach.t3_against_mass, sought, size)
    if len(outcome["leakage"].table):
        yield "leakage", partial(leakage.leakage, outcome["leakage"].table, study.signal.size)
    yield from diagnosed(plan, outcome.population, outcome["diagnostics"], _signals(outcome))
    yield from _q_distributions(outcome, study.grid.exposure_ty.points()[-1])
    for R in study.score.R:
        yield f"scores_R{label(R)}", partial(_scores, outcome, R, study.grid.exposure_ty.points()[-1])


def _signals(outcome: Outcome) -> dict[str, np.ndarray]:
    """(pool,) selected events per t y of the signals that figures show, each at its own size."""
    population, signal = outcome.population, outcome.plan.study.signal
    if not signal.size.has_mass:
        at = outcome.plan.study.benchmark_signal.value
        shown = {f"{words(signal.name)}, {signal.size.of(number(at))}": signal.at(None, at)}
    else:
        shown = {f"{mass:g} GeV, {signal.size.of(number(signal.size.shown))}": signal.at(mass, signal.size.shown)
                 for mass in SIGNAL_MASSES_GEV}  # fmt: skip
    return {title: one.scale * signal_weights(signal.at(one.m_chi_GeV), population) for title, one in shown.items()}


def _q_distributions(outcome: Outcome, exposure_ty: float) -> Iterator[Drawing]:
    for R, statistic in outcome.plan.by_toys:
        name = f"q_{row_label(statistic, R)}_{label(exposure_ty)}ty"
        yield name, partial(_q_distribution, outcome, R, statistic, exposure_ty)


def _q_distribution(outcome: Outcome, R: float | None, statistic: str, exposure_ty: float):
    plan, population = outcome.plan, outcome.population
    weights, key = benchmark_weights(plan, population), plan.study.benchmark_signal.key
    wanted = [(R, statistic)]
    drawn = [toys(plan, outcome.ledger, exposure_ty, hypothesis, wanted) for hypothesis in HYPOTHESES]
    ((null, with_signal),) = q_values(
        population, weights, key, np.ones(1), exposure_ty, choices(plan, wanted), *drawn
    )  # fmt: skip
    where = {"statistic": statistic, "R": R, "exposure_ty": exposure_ty}
    return q_distribution.q_distribution(
        null, with_signal[:, 0], **where, size=plan.study.signal.size, at=plan.study.at
    )  # fmt: skip


def _scores(outcome: Outcome, R: float, exposure_ty: float):
    population = outcome.population
    expected = population.weights.sum(axis=0) * exposure_ty
    kinds = enumerate(map(words, population.pool.kinds))
    backgrounds = {kind: expected * (population.pool.kind == code) for code, kind in kinds}
    signals = {title: exposure_ty * weights for title, weights in _signals(outcome).items()}
    options = {"exposure_ty": exposure_ty, "R": R, "f0": population.f0[R]}
    return scores.score_distribution(population.ts[R], backgrounds, signals, **options)
