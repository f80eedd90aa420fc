"""From parts to what the next stage needs: a scored population, toys by statistic, the table."""

from collections.abc import Iterable
from functools import partial

import numpy as np
import pyarrow as pa

from engine.assembly import results, scores
from engine.errors import BadInput
from engine.inference.cells import Choice, Toys
from engine.inference.pools import Pool
from engine.inference.population import Background, Population, populate
from engine.inference.significance import z_one_sided
from engine.physics import spectra
from engine.plan import variations
from engine.plan.event_plan import SLOTS, Shard
from engine.plan.plan import Cell, Plan, Point, Wanted
from engine.store.store import Ledger
from engine.study import Backgrounds, Signal

REFERENCE = {"sigma_si_cm2": 1e-45, "strength": 1.0}  # a signal is linear in these: weights are kept for one value
MOST_EVENTS = 1e6  # expected in a toy, of a kind: ten thousand such toys take minutes on a core


def choices(plan: Plan, wanted: list[Wanted]) -> list[Choice]:
    """The statistics behind pairs of R and name, with their options."""
    return [Choice(R, *plan.study.toys.statistic(name)) for R, name in wanted]


# what is read of every event: there may be millions
TRUTH = ["event", "energy_keV", "proposal_per_keV", "cs1_pe", "cs2_pe"]

Columns = dict[str, np.ndarray]


def _scored(
    plan: Plan, ledger: Ledger, shards: list[Shard], slots: tuple[str, ...] = SLOTS
) -> tuple[Columns, dict[str, int], Columns]:
    """Selected events of shards, TRUTH and `kind` (its place in the plan's), the number thrown of each, terms."""
    truth, terms, thrown = {}, {}, dict.fromkeys(plan.kinds, 0)
    for shard in shards:
        events = ledger.table(shard.item, [*TRUTH, "selected"])
        thrown[shard.kind] += len(events)
        events = events.filter(events["selected"])
        truth.setdefault("kind", []).append(np.full(len(events), plan.kinds.index(shard.kind), np.int8))
        _append(truth, events.select(TRUTH))
        for slot in slots:
            _append(terms, ledger.table(plan.score_item(shard, slot)))
    return _joined(truth), thrown, _joined(terms)


def _append(parts: dict[str, list[np.ndarray]], table: pa.Table) -> None:
    for name in table.column_names:
        parts.setdefault(name, []).append(table[name].to_numpy())


def _joined(parts: dict[str, list[np.ndarray]]) -> Columns:
    """Column by column, each of whose parts are let go before the next is joined."""
    return {name: np.concatenate(parts.pop(name)) for name in list(parts)}


def population(
    plan: Plan,
    ledger: Ledger,
    purpose: str = "pool",
    weights_of_H_B: tuple[float, ...] | None = None,
    shift: variations.Shift = (),
    slots: tuple[str, ...] = SLOTS,
) -> Population:
    """A scored pool with its weights under every background, and f0 for every R: those of the study unless given.

    `shift`: of a pool that was thrown with other true constants; `slots`: whose terms are wanted.
    """
    truth, thrown, terms = _scored(plan, ledger, plan.pool_shards(purpose, shift), slots)
    pool = Pool(
        kind=truth["kind"],
        energy_keV=truth["energy_keV"],
        proposal_per_keV=truth["proposal_per_keV"],
        half=(truth["event"] % 2).astype(np.int8),
        n_thrown=np.array(list(thrown.values())),
        cs1_pe=truth["cs1_pe"],
        cs2_pe=truth["cs2_pe"],
        terms=terms,
        kinds=plan.kinds,
    )
    study = plan.study
    chosen = study.score.R if weights_of_H_B is None else weights_of_H_B
    return populate(
        pool,
        {R: scores.anomaly_score(terms, plan.beta, R) for R in chosen},
        [_background(study.backgrounds, name) for name in study.backgrounds.components],
        idealised=study.backgrounds.rates == "idealised",
        bandwidth=study.score.bandwidth,
        relative_floor=study.score.relative_floor,
        stream_key=plan.stream_key_of(purpose),
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


def signals(plan: Plan, population: Population, missing: Iterable[Point]) -> dict[float | None, np.ndarray]:
    """Signal weights by mass for these points.

    Raises BadInput where toys would be so full that a digit has slipped: the first such point in the plan's order.
    """
    signal, points = plan.study.signal, set(missing)
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


def toys(plan: Plan, ledger: Ledger, exposure_ty: float, hypothesis: str) -> list[Toys]:
    """Background toys of one exposure and hypothesis for every (R, statistic); the first n that are asked for."""
    found = []
    for pair in plan.by_toys:
        rows = ledger.rows(plan.null_items(exposure_ty, hypothesis, *pair), "item").slice(0, plan.n_toys(hypothesis))
        totals = rows["totals"].combine_chunks()
        found.append(Toys(rows["n_events"].to_numpy(), totals.flatten().to_numpy().reshape(len(totals), -1)))
    return found


def table(
    plan: Plan, ledger: Ledger, failed: dict[str, str] | None = None, only: Wanted | None = None
) -> pa.Table:
    """All rows of the study, or of one statistic, sorted; `point` says whether the grid or the benchmark asked for
    the row, and `level` in which round of refinement.

    failed: items that have no answer, and why; their rows have a `reason`, and null for what is not known.
    By column: a grid may have very many rows.
    """
    failed = failed or {}
    rows = results.asked(plan, only)
    found = results.gathered(ledger, rows, failed)
    results.conclude(found, rows.has_toys(failed), plan.study.toys.tail)
    found["z_seed_error"] = results.seed_errors(rows, found, _z_of_seeds(plan, ledger))
    return results.arranged(plan, rows, found, failed)


def _z_of_seeds(plan: Plan, ledger: Ledger) -> dict[Cell, list[float | None]]:
    """Z by further training seeds; None where it is only a bound."""
    found = {}
    for sibling in plan.siblings:
        exact = ledger.rows(list(sibling.exact), "lineage").to_pylist() if sibling.exact else ()
        for row in exact:
            z = z_one_sided(row["p_exact"]) if row["exact_tail"] == "exact" else None
            found.setdefault(sibling.exact[row["lineage"]], []).append(z)
    return found
