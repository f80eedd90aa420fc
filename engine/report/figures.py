"""The figures and files that a finished scan is looked at by: names and bytes."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import zoo
from engine import plots
from engine.assembly import contours
from engine.assembly.fits import blob
from engine.assembly.population import benchmark_weights, choices, signal_weights, toys
from engine.errors import StoreFault, warn
from engine.inference.cells import q_values
from engine.lineage import digest, label, row_label
from engine.plan.plan import HYPOTHESES, Plan
from engine.plots import battery, exposure, leakage, losses, plane, q_distribution, reach, scores, systematics
from engine.plots._rows import number, words
from engine.report import headline, named_figures
from engine.report.diagnostics import diagnosed
from engine.run.executors import Executor, InProcess
from engine.run.pipeline import Outcome
from engine.store.parts import Part, encode, sha256
from engine.store.store import Store
from engine.study.figures import KINDS, Figures

FOLDER = "figures"
Curve = tuple[str, np.ndarray, np.ndarray]  # label, m_chi_GeV, sigma_si_cm2
Drawing = tuple[str, Callable]  # a figure's name, and what draws it
MOST = 12  # figures of a scan unless all are asked for
MOST_SCORES = 2  # of them, each of an R


@dataclass(frozen=True)
class Gallery:
    """What was drawn of a scan, in whatever format: SHA-256 by file name."""

    sha256: dict[str, str]


def place(plan: Plan) -> str:
    """The folder of a scan's figures: its table's; of a study that says what they show, one for each way to say it."""
    shown = plan.study.figures
    own = "" if shown == Figures() else f"-{digest('figures', 1, shown)[:8]}"
    return f"{FOLDER}/{plan.table}{own}"


def keep(store: Store, plan: Plan, files: dict[str, bytes]) -> str:
    """Writes the figures of a scan into the store, and beside them what they are known by; returns their folder."""
    folder = place(plan)
    for name, data in files.items():
        store.put(f"{folder}/{name}", data)
    known = store.kept(f"{folder}.json", Gallery) or Gallery({})
    store.keep(f"{folder}.json", Gallery(known.sha256 | {name: sha256(data) for name, data in files.items()}))
    return folder


def whole(outcome: Outcome, store: Store) -> dict[str, bytes]:
    """The figures of a scan by file name, as the store has them; drawn again where one is damaged or none is known."""
    folder, kept = place(outcome.plan), {}
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
    plan: Plan, outcome: Outcome, curves: tuple[Curve, ...] = (), format: str = "png", every: bool = False,
    on: Executor | None = None,
) -> dict[str, bytes]:  # fmt: skip
    """Figures of a scan by file name, MOST at most unless every one is wanted; of a WIMP also `contours.csv`, and the
    tables that have no other place. Raises BadInput for an unknown format.

    on: what draws several at a time, where it has started; else they are drawn here.
    """
    plots.check_format(format)
    lines = _contours(plan, outcome) if plan.study.grid.m_chi_GeV else None
    drawings, files = _drawings(plan, outcome, lines, curves), {}
    if lines is not None:
        files["contours.csv"] = contours.write_csv(lines)
    if outcome["systematics"] is not None:
        files["systematics.parquet"] = encode(Part("systematics.parquet", (), outcome["systematics"].table))
    if len(tried := outcome["combined"].table):
        files["combined.parquet"] = encode(Part("combined.parquet", (), tried))
    names, on = in_order(drawings) if every else _wanted(plan, outcome, drawings), _several(on)
    seen, n = on.share((plan, outcome, lines, curves, format)), min(on.width, len(names))
    drawn = dict(one for some in on.map(_drawn, [seen] * n, [names[i::n] for i in range(n)]) for one in some.items())
    return files | {f"{name}.{format}": drawn[name] for name in names}


def _several(on: Executor | None) -> Executor:
    """What draws: workers, where several are there already, else this process."""
    return on if on and on.width > 1 else InProcess()


def _drawn(seen: tuple, names: list[str]) -> dict[str, bytes]:
    """Some of the figures; seen: what `_drawings` takes, and the format."""
    *what, format = seen
    drawings = _drawings(*what)
    return {name: plots.render(drawings[name](), format) for name in names}


def _drawings(
    plan: Plan, outcome: Outcome, lines: pa.Table | None, curves: tuple[Curve, ...]
) -> dict[str, Callable]:  # fmt: skip
    """What draws each figure that there may be, by its name; lines: the contours of a plane, where there is one."""
    drawings = dict(_figures(plan, outcome))
    if lines is not None:
        grid = outcome.table.filter(pc.field("point") == "grid")
        # colours need a rectangle of points, which is what the study names
        drawings |= _planes(plan, outcome, grid.filter(pc.field("level") == 0), lines, curves)
    if outcome["systematics"] is not None:
        drawings |= _systematics(plan, outcome["systematics"].table)
    return drawings


def _wanted(plan: Plan, outcome: Outcome, names: Iterable[str]) -> list[str]:
    """The figures of a study that says which, or the usual ones."""
    if (kinds := plan.study.figures.kinds) is None:
        return usual((name for name in names if _has_points(plan, name)), headline.chosen(outcome))
    return [name for wanted in kinds for name in names if kind(name) == wanted]


def _has_points(plan: Plan, name: str) -> bool:
    """Whether a figure has more than one point: a plane of the grid, or a curve over its exposures."""
    grid = plan.study.grid
    if kind(name) == "plane":
        return len(grid.m_chi_GeV.points()) * np.count_nonzero(grid.size.points()) > 1
    return kind(name) != "p_against_exposure" or len(grid.exposure_ty.points()) > 1


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


def _contours(plan: Plan, outcome: Outcome) -> pa.Table:
    """Those of the study's figures; where points were spent on some, these too, by what they were spent by."""
    grid = outcome.table.filter(pc.field("point") == "grid")
    study, levels = plan.study, plan.study.figures.levels_sigma
    if not (refine := study.grid.refine):
        return contours.contours(grid, study.signal.size, levels)
    return contours.contours(contours.by_law(grid), study.signal.size, sorted({*levels, *refine.z}))


def _planes(
    plan: Plan, outcome: Outcome, grid: pa.Table, lines: pa.Table, curves: tuple[Curve, ...]
) -> Iterator[Drawing]:
    study = plan.study
    if study.grid.size.points()[-1] == 0:  # a study of no signal has no plane
        return
    for R, statistic in plan.wanted:
        for exposure_ty in study.figures.exposure_ty or study.grid.exposure_ty.points():
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
    study, shown = plan.study, _exposures(plan)
    yield from _over_exposure(outcome)
    size = study.signal.size
    sought = outcome["reach"].table.filter(pc.field(size.name) == study.reach.size_at(study.at))
    if len(sought["m_chi_GeV"].unique()) > 1:
        yield "t3_against_mass", partial(reach.t3_against_mass, sought, size)
    if len(outcome["battery"].table):
        yield "battery", partial(battery.ratios, outcome["battery"].table)
    if len(outcome["leakage"].table):
        yield "leakage", partial(leakage.leakage, outcome["leakage"].table, study.signal.size)
    yield from diagnosed(plan, outcome.population, outcome["diagnostics"], _signals(outcome))
    for exposure_ty in shown:
        yield from _q_distributions(outcome, exposure_ty)
        end = f"_{label(exposure_ty)}ty" if len(shown) > 1 else ""
        for R in study.score.R:
            yield f"scores_R{label(R)}{end}", partial(_scores, outcome, R, exposure_ty)
    yield "losses", partial(_losses, outcome)
    yield from named_figures.drawings(outcome, _signals(outcome))
    for R in study.score.R:
        yield f"pure_scores_R{label(R)}", partial(_pure_scores, outcome, R)


def _losses(outcome: Outcome):
    plan = outcome.plan
    curves = {role: zoo.history(blob(plan, outcome.ledger, role)) for role in plan.fitted}
    return losses.losses({f"{role}, {words(plan.fitted[role].name)}": history for role, history in curves.items()})


def _exposures(plan: Plan) -> tuple[float, ...]:
    """At which q and scores are shown."""
    return plan.study.figures.exposure_ty or plan.study.grid.exposure_ty.points()[-1:]


def _over_exposure(outcome: Outcome) -> Iterator[Drawing]:
    """p against exposure, a figure for each group of statistics."""
    study, smallest = outcome.plan.study, outcome["combined"].table
    beside = [dict(zip(study.signal.axes, (point.m_chi_GeV, point.size)[-len(study.signal.axes) :], strict=True))
              for point in study.figures.points]  # fmt: skip
    for place_no, group in enumerate(study.figures.panels or (None,), start=1):
        yield f"p_against_exposure{f'_{place_no}' if place_no > 1 else ''}", partial(
            exposure.p_against_exposure, outcome.table, study.signal.size, smallest if group is None else None,
            beside=beside, statistics=group, levels_sigma=study.figures.levels_sigma, **study.at,
        )  # fmt: skip


def _signals(outcome: Outcome) -> dict[str, np.ndarray]:
    """(pool,) selected events per t y of the signals that figures show, each at its own size."""
    population, signal, figures = outcome.population, outcome.plan.study.signal, outcome.plan.study.figures
    size = signal.size.shown if figures.size is None else figures.size
    if not signal.size.has_mass:
        at = outcome.plan.study.benchmark_signal.value if figures.size is None else size
        shown = {f"{words(signal.name)}, {signal.size.of(number(at))}": signal.at(None, at)}
    else:
        shown = {f"{mass:g} GeV, {signal.size.of(number(size))}": signal.at(mass, size)
                 for mass in figures.m_chi_GeV}  # fmt: skip
    return {title: one.scale * signal_weights(signal.at(one.m_chi_GeV), population) for title, one in shown.items()}


def _q_distributions(outcome: Outcome, exposure_ty: float) -> Iterator[Drawing]:
    by_toys, end = outcome.plan.by_toys, f"{label(exposure_ty)}ty"
    for R, statistic in by_toys:
        yield f"q_{row_label(statistic, R)}_{end}", partial(_q_panels, outcome, [(R, statistic)], exposure_ty)
    for place_no, group in enumerate(outcome.plan.study.figures.panels, start=1):
        if wanted := [(R, statistic) for name in group for R, statistic in by_toys if statistic == name]:
            last = f"_{place_no}" if place_no > 1 else ""
            yield f"q_panels_{end}{last}", partial(_q_panels, outcome, wanted, exposure_ty)


def _q_panels(outcome: Outcome, wanted: list, exposure_ty: float):
    """The figure of q, with a panel for each R and statistic."""
    plan, population = outcome.plan, outcome.population
    weights, key = benchmark_weights(plan, population), plan.study.benchmark_signal.key
    drawn = [toys(plan, outcome.ledger, exposure_ty, hypothesis, wanted) for hypothesis in HYPOTHESES]
    q_of = q_values(population, weights, key, np.ones(1), exposure_ty, choices(plan, wanted), *drawn)
    panels = [q_distribution.Panel(statistic, R, null, with_signal[:, 0])
              for (R, statistic), (null, with_signal) in zip(wanted, q_of, strict=True)]  # fmt: skip
    return q_distribution.q_distribution(panels, exposure_ty=exposure_ty, size=plan.study.signal.size, at=plan.study.at)


def _scores(outcome: Outcome, R: float, exposure_ty: float):
    population = outcome.population
    expected = population.weights.sum(axis=0) * exposure_ty
    kinds = enumerate(map(words, population.pool.kinds))
    backgrounds = {kind: expected * (population.pool.kind == code) for code, kind in kinds}
    signals = {title: exposure_ty * weights for title, weights in _signals(outcome).items()}
    options = {"exposure_ty": exposure_ty, "R": R, "f0": population.f0[R]}
    return scores.score_distribution(population.ts[R], backgrounds, signals, **options)


def _pure_scores(outcome: Outcome, R: float):
    """TS of each kind of recoil as background has it, each of area one."""
    population = outcome.population
    weights = population.weights.sum(axis=0)
    kinds = {words(kind): weights * (population.pool.kind == code) for code, kind in enumerate(population.pool.kinds)}
    return scores.pure_scores(population.ts[R], {kind: one for kind, one in kinds.items() if one.sum() > 0}, R=R)
