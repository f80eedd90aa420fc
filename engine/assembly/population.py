"""From parts to what the next stage needs: a scored population, signals on it, background toys by statistic."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from engine.assembly.foresight import MOST_EVENTS
from engine.assembly.samples import sample
from engine.errors import BadInput
from engine.inference.cells import BackgroundToys, Choice
from engine.inference.pools import Pool
from engine.inference.population import Background, Population, populate
from engine.plan import variations
from engine.plan.event_plan import Shard
from engine.plan.plan import Plan, Point, Wanted
from engine.store.store import Ledger
from engine.study import Backgrounds, SignalPoint


def choices(plan: Plan, wanted: list[Wanted]) -> list[Choice]:
    """The statistics behind pairs of R and name, with their options."""
    return [Choice(R, *plan.study.toys.statistic(name)) for R, name in wanted]


# what is read of every event: there may be millions
TRUTH = ["event", "energy_keV", "proposal_per_keV", "cs1_pe", "cs2_pe"]

Columns = dict[str, np.ndarray]


def scored_events(
    plan: Plan, ledger: Ledger, shards: list[Shard], roles: tuple[str, ...], kinds: tuple[str, ...]
) -> tuple[Columns, dict[str, int], dict[str, Columns]]:
    """Selected events of shards: TRUTH and `kind` (its place in `kinds`); how many of each were thrown; terms."""
    truth, terms, thrown = {}, {role: {} for role in roles}, dict.fromkeys(kinds, 0)
    for shard in shards:
        events = ledger.table(shard.item, [*TRUTH, "selected"])
        thrown[shard.kind] += shard.n_thrown
        events = events.filter(events["selected"])
        truth.setdefault("kind", []).append(np.full(len(events), kinds.index(shard.kind), np.int8))
        _append(truth, events.select(TRUTH))
        for role in roles:
            _append(terms[role], ledger.table(plan.score_item(shard, role)))
    return _joined(truth), thrown, {role: _joined(parts) for role, parts in terms.items()}


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
    weights_R: tuple[float, ...] | None = None,
    shift: variations.Shift = (),
    roles: tuple[str, ...] | None = None,
) -> Population:
    """A scored pool with its weights under every background, and f0 for every R: those of the study unless given.

    `shift`: of a pool that was thrown with other true constants; `roles`: whose terms are wanted, by default all.
    """
    roles = tuple(plan.fitted) if roles is None else roles
    truth, thrown, terms = scored_events(plan, ledger, plan.pool_shards(purpose, shift), roles, plan.kinds)
    chosen = plan.study.score.R if weights_R is None else weights_R
    return _populated(plan, truth, thrown, terms, {R: plan.ts(terms, R) for R in chosen}, plan.stream_key_of(purpose))


def scores_of_test(plan: Plan, ledger: Ledger, R: float) -> tuple[np.ndarray, np.ndarray]:
    """TS of the registered test events, (n,), and the kind of each by name, (n,)."""
    truth, _, terms = scored_events(plan, ledger, plan.shards["test"], tuple(plan.fitted), plan.kinds)
    return plan.ts(terms, R), np.array(plan.kinds)[truth["kind"]]


def unscored(plan: Plan, n_events: int) -> Population:
    """A population thrown here and now, without a scan, a network or a score: `n_events` of each kind of recoil.

    They are the first that a plain pool of the study has.
    """
    plain = _plain(plan, n_events)
    truth, thrown = _thrown(plain, plain.pool_shards())
    return _populated(plain, truth, thrown, {}, {}, ("unscored", plan.study.seed, n_events))


def own_events(
    plan: Plan, component: str, n_events: int, shift: variations.Shift
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """cS1 and cS2 in PE of selected events of a component that has its own, thrown as for `unscored` but for the shift,
    and how many per t y each stands for: (n,) each."""
    plain = _plain(plan, n_events)
    truth, thrown = _thrown(plain, [s for s in plain.pool_shards("pool", shift) if s.kind == component])
    rate = plan.study.backgrounds.rate(component)(truth["energy_keV"])
    return truth["cs1_pe"], truth["cs2_pe"], rate / truth["proposal_per_keV"] / thrown[component]


def _plain(plan: Plan, n_events: int) -> Plan:
    """The plan with a pool of so many events of each kind of recoil, and a tenth of that, or more, of each component
    that has its own."""
    pool = plan.study.pool
    own = max(pool.component_events, n_events // 10)
    sizes = {"tail": "plain", "er_events": n_events, "nr_events": n_events, "component_events": own}
    return Plan(plan.study.model_copy(update={"pool": pool.model_copy(update=sizes)}))


def _thrown(plan: Plan, shards: list[Shard]) -> tuple[Columns, dict[str, int]]:
    """Selected events of shards, and how many of each kind were thrown, as `scored_events` reads them from a store."""
    truth, thrown = {}, dict.fromkeys(plan.kinds, 0)
    for shard in shards:
        columns, _ = sample(plan, shard)
        thrown[shard.kind] += shard.n_thrown
        selected = columns["selected"]
        truth.setdefault("kind", []).append(np.full(selected.sum(), plan.kinds.index(shard.kind), np.int8))
        for name in TRUTH:
            truth.setdefault(name, []).append(columns[name][selected])
    return _joined(truth), thrown


def _populated(
    plan: Plan, truth: Columns, thrown: dict[str, int], terms: dict[str, Columns], ts: dict[float, np.ndarray],
    stream_key: tuple,
) -> Population:  # fmt: skip
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
    return populate(
        pool,
        ts,
        [_background(study.backgrounds, name) for name in study.backgrounds.components],
        idealised=study.backgrounds.rates == "idealised",
        **study.score.density,
        stream_key=stream_key,
        leakage_factor=study.backgrounds.leakage.factor,
        calibration_events=study.backgrounds.leakage.calibration_events,
        er_kinds=study.backgrounds.er_kinds,
    )


def _background(backgrounds: Backgrounds, name: str) -> Background:
    kind, uncertainty = backgrounds.pool_kind(name), backgrounds.relative_uncertainty(name)
    return Background(name, kind, backgrounds.rate(name), uncertainty)


def signal_weights(signal: SignalPoint, population: Population) -> np.ndarray:
    """(pool,) selected signal events per t y that each pool event stands for."""
    return population.pool.weights(signal.signal.kind, signal.rate)


def benchmark_weights(plan: Plan, population: Population) -> np.ndarray:
    """Those of the signal at the benchmark: a signal is linear in its size."""
    benchmark = plan.study.benchmark_signal
    return signal_weights(plan.study.signal.at(benchmark.m_chi_GeV), population) * benchmark.scale


def signals(plan: Plan, population: Population, missing: Iterable[Point]) -> dict[float | None, np.ndarray]:
    """Signal weights by mass for these points, at the size's reference.

    Raises BadInput where toys would be so full that a digit has slipped: the first such point in the plan's order.
    """
    signal, points = plan.study.signal, set(missing)
    weights = {mass: signal_weights(signal.at(mass), population) for mass in {point.m_chi_GeV for point in points}}
    for point in plan.points:
        if point in points:
            scale = point.exposure_ty * plan.signal_at(point).scale
            expected = {"signal": weights[point.m_chi_GeV].sum() * scale,
                        "background": population.n_background(point.exposure_ty)}  # fmt: skip
            for what, n_events in expected.items():
                if n_events > MOST_EVENTS:
                    raise BadInput(f"{plan.words(point)}: {n_events:.2g} {what} events are expected in a toy; "
                                   f"at most {MOST_EVENTS:.0e} are drawn")  # fmt: skip
    return weights


def toys(
    plan: Plan, ledger: Ledger, exposure_ty: float, hypothesis: str, wanted: list[Wanted] | None = None
) -> list[BackgroundToys]:
    """Background toys of one exposure and hypothesis for these (R, statistic), by default all; the first n that are
    asked for."""
    drawn = []
    for pair in plan.by_toys if wanted is None else wanted:
        rows = ledger.rows(plan.null_items(exposure_ty, hypothesis, *pair), "item").slice(0, plan.n_toys(hypothesis))
        totals = rows["totals"].combine_chunks()
        drawn.append(BackgroundToys(rows["n_events"].to_numpy(), totals.flatten().to_numpy().reshape(len(totals), -1)))
    return drawn
