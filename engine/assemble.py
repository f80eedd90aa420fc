"""From parts to what the next stage needs: a scored population, toys by statistic, the table."""

from functools import partial
from types import ModuleType

import numpy as np
import pyarrow as pa

from engine import plugins, schemas, scores
from engine.cluster.store import Ledger
from engine.diagnostics import Diagnostics
from engine.inference.cells import Background, Population, Toys, populate
from engine.inference.pools import KINDS, Pool
from engine.physics import spectra
from engine.plan import SLOTS, Plan
from engine.study import Backgrounds, Signal

REFERENCE_SIGMA_CM2 = 1e-45  # the signal is linear in sigma_SI: weights are kept for this one


def statistics(plan: Plan) -> list[tuple[float, ModuleType]]:
    """Every (R, statistic module) of the study, in the plan's order."""
    return [(R, plugins.load("engine.inference.teststats", name)) for R, name in plan.wanted]


TRUTH = ["event", "energy_keV", "proposal_per_keV"]  # what is read of every event: there may be millions

Columns = dict[str, np.ndarray]


def _scored(plan: Plan, ledger: Ledger, purpose: str) -> tuple[Columns, dict[str, int], Columns]:
    """Selected events of a purpose, TRUTH and `kind` (0 ER, 1 NR), the number thrown of each kind, and their terms."""
    truth, terms, thrown = {}, {}, dict.fromkeys(KINDS, 0)
    for shard in plan.shards[purpose]:
        events = ledger.table(shard.item, [*TRUTH, "selected"])
        thrown[shard.kind] += len(events)
        events = events.filter(events["selected"])
        truth.setdefault("kind", []).append(np.full(len(events), KINDS.index(shard.kind), np.int8))
        _append(truth, events.select(TRUTH))
        for slot in SLOTS:
            _append(terms, ledger.table(plan.score_item(shard, slot)))
    return _joined(truth), thrown, _joined(terms)


def _append(parts: dict[str, list[np.ndarray]], table: pa.Table) -> None:
    for name in table.column_names:
        parts.setdefault(name, []).append(table[name].to_numpy())


def _joined(parts: dict[str, list[np.ndarray]]) -> Columns:
    """Column by column, each of whose parts are let go before the next is joined."""
    return {name: np.concatenate(parts.pop(name)) for name in list(parts)}


def population(plan: Plan, ledger: Ledger) -> Population:
    """The scored pool with its weights under every background, and f0 for every R."""
    truth, thrown, terms = _scored(plan, ledger, "pool")
    pool = Pool(
        kind=truth["kind"],
        energy_keV=truth["energy_keV"],
        proposal_per_keV=truth["proposal_per_keV"],
        half=(truth["event"] % 2).astype(np.int8),
        n_thrown=np.array([thrown[kind] for kind in KINDS]),
        terms=terms,
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
    kind, uncertainty = spectra.describe(spectrum, options)
    return Background(name, kind, partial(spectrum.rate, **options.model_dump()), uncertainty)


def signal_weights(signal: Signal, population: Population, m_chi_GeV: float) -> np.ndarray:
    """(pool,) selected WIMP events per t y that each pool event stands for, at the reference cross-section."""
    spectrum, options = signal.spectrum()
    point = {"m_chi_GeV": m_chi_GeV, "sigma_si_cm2": REFERENCE_SIGMA_CM2}
    return population.pool.weights(spectrum.KIND, partial(spectrum.rate, **point, **options.model_dump()))


def diagnostics(plan: Plan, ledger: Ledger) -> Diagnostics:
    """The test events as the fitted models see them."""
    truth, _, terms = _scored(plan, ledger, "test")
    return Diagnostics(
        is_nr=truth["kind"] == KINDS.index("NR"),
        energy_keV=truth["energy_keV"],
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
