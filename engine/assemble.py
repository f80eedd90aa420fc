"""From parts to what the next stage needs: a scored population, toys by statistic, the table."""

from collections.abc import Iterable
from functools import partial
from types import ModuleType

import numpy as np
import pyarrow as pa

from engine import plugins, schemas, scores
from engine.cluster.store import Ledger
from engine.diagnostics import Diagnostics
from engine.errors import BadInput
from engine.inference.cells import Background, Population, Toys, populate
from engine.inference.pools import Pool
from engine.physics import spectra
from engine.plan import SLOTS, Plan, Point
from engine.study import Backgrounds, Signal

REFERENCE = {"sigma_si_cm2": 1e-45, "strength": 1.0}  # a signal is linear in these: weights are kept for one value
MOST_EVENTS = 1e6  # expected in a toy, of a kind: ten thousand such toys take minutes on a core


def statistics(plan: Plan) -> list[tuple[float, ModuleType]]:
    """Every (R, statistic module) of the study, in the plan's order."""
    return [(R, plugins.load("engine.inference.teststats", name)) for R, name in plan.wanted]


def _scored(plan: Plan, ledger: Ledger, purpose: str) -> tuple[pa.Table, dict[str, int], dict[str, np.ndarray]]:
    """Selected events of a purpose, the number thrown of each kind, and their terms."""
    truth, terms, thrown = [], {}, dict.fromkeys(plan.kinds, 0)
    for shard in plan.shards[purpose]:
        events = ledger.table(shard.item)
        thrown[shard.kind] += len(events)
        truth.append(events.filter(events["selected"]))
        for slot in SLOTS:
            columns = ledger.table(plan.score_item(shard, slot))
            for name in columns.column_names:
                terms.setdefault(name, []).append(columns[name].to_numpy())
    return pa.concat_tables(truth), thrown, {name: np.concatenate(parts) for name, parts in terms.items()}


def population(plan: Plan, ledger: Ledger) -> Population:
    """The scored pool with its weights under every background, and f0 for every R."""
    events, thrown, terms = _scored(plan, ledger, "pool")
    names = events["kind"].to_numpy()
    pool = Pool(
        kind=sum(code * (names == kind) for code, kind in enumerate(plan.kinds)).astype(np.int8),
        energy_keV=events["energy_keV"].to_numpy(),
        proposal_per_keV=events["proposal_per_keV"].to_numpy(),
        half=(events["event"].to_numpy() % 2).astype(np.int8),
        n_thrown=np.array(list(thrown.values())),
        terms=terms,
        kinds=plan.kinds,
    )
    study = plan.study
    return populate(
        pool,
        {R: scores.anomaly_score(terms, plan.beta, R) for R in study.score.R},
        [_background(study.backgrounds, name) for name in study.backgrounds.components],
        idealised=study.backgrounds.rates == "idealised",
        tail_b0=study.toys.tail_b0,
        tail_exposure_ty=study.toys.tail_exposure_ty,
        bandwidth=study.score.bandwidth,
        relative_floor=study.score.relative_floor,
        stream_key=plan.stream_key,
    )


def _background(backgrounds: Backgrounds, name: str) -> Background:
    spectrum, options = backgrounds.spectrum(name)
    _, uncertainty = spectra.describe(spectrum, options)
    if hasattr(spectrum, "read"):
        rate = partial(np.full_like, fill_value=options.rate_per_ty)
    else:
        rate = partial(spectrum.rate, **options.model_dump())
    return Background(name, backgrounds.pool_kind(name), rate, uncertainty)


def signal_weights(signal: Signal, population: Population, m_chi_GeV: float | None) -> np.ndarray:
    """(pool,) selected signal events per t y that each pool event stands for, at the value of REFERENCE."""
    size = signal.axes[-1]
    at = {"m_chi_GeV": m_chi_GeV, size: REFERENCE[size]}
    kind, _ = spectra.describe(*signal.spectrum())
    return population.pool.weights(kind, signal.rate(**{name: at[name] for name in signal.axes}))


def signals(plan: Plan, population: Population, cells: Iterable[str]) -> dict[float | None, np.ndarray]:
    """Signal weights by mass for these cells.

    Raises BadInput where toys would be so full that a digit has slipped: the first such point in the plan's order.
    """
    signal, points = plan.study.signal, {plan.cells[item][0] for item in cells}
    weights = {mass: signal_weights(signal, population, mass) for mass in {point.m_chi_GeV for point in points}}
    for point in plan.points:
        if point in points:
            scale = point.exposure_ty * point.size / REFERENCE[signal.axes[-1]]
            expected = {"signal": weights[point.m_chi_GeV].sum() * scale,
                        "background": population.n_background(point.exposure_ty)}  # fmt: skip
            for what, n_events in expected.items():
                if n_events > MOST_EVENTS:
                    raise BadInput(f"{_words(signal, point)}: {n_events:.2g} {what} events are expected in a toy; "
                                   f"at most {MOST_EVENTS:.0e} are drawn")  # fmt: skip
    return weights


def _words(signal: Signal, point: Point) -> str:
    at = {"m_chi_GeV": point.m_chi_GeV, signal.axes[-1]: point.size}
    values = {name: at[name] for name in signal.axes} | {"exposure_ty": point.exposure_ty}
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())


def diagnostics(plan: Plan, ledger: Ledger) -> Diagnostics:
    """The test events as the fitted models see them."""
    events, _, terms = _scored(plan, ledger, "test")
    return Diagnostics(
        is_nr=events["kind"].to_numpy() == "NR",
        energy_keV=events["energy_keV"].to_numpy(),
        logit=terms["logit"],
        negative_elbo=scores.negative_elbo(terms, plan.beta),
    )


def toys(plan: Plan, ledger: Ledger, exposure_ty: float, hypothesis: str) -> list[Toys]:
    """Background toys of one exposure and hypothesis for every (R, statistic); the first n that are asked for."""
    found = []
    for pair in plan.wanted:
        rows = ledger.rows(plan.null_items(exposure_ty, hypothesis, *pair), "item").slice(0, plan.n_toys(hypothesis))
        found.append(Toys(rows["n_events"].to_numpy(), rows["total"].to_numpy()))
    return found


def table(plan: Plan, ledger: Ledger) -> pa.Table:
    """All rows of the study, sorted; `point` says whether the grid or the benchmark asked for the row."""
    rows = ledger.rows(list(plan.cells), "lineage")
    origin = [plan.cells[item][0].origin for item in rows["lineage"].to_pylist()]
    columns = {name: rows[name] for name in rows.column_names} | {"point": origin}
    return schemas.table(schemas.RESULTS, columns).sort_by([(name, "ascending") for name in schemas.ROW_ORDER])
