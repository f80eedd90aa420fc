"""The battery: signals that a search knows nothing of, by every statistic on every score, beside an oracle."""

import numpy as np
import pytest

from engine import study
from engine.assembly import battery as arenas
from engine.assembly import battery_rows
from engine.errors import BadInput
from engine.inference import battery as laws
from engine.inference import reach
from engine.inference.cells import Choice
from engine.plan.battery_plan import chosen_scores, targets
from engine.plan.plan import Plan
from engine.plots import render
from engine.plots.battery import ratios
from engine.report import headline
from engine.run import pipeline
from engine.stages import battery, battery_schemas
from engine.store.scratch import Scratch
from engine.study.battery import BatteryScore

SIGNALS = {
    "wimp": {"spectrum": "wimp_si", "m_chi_GeV": 50, "size": 4e-47},
    "line": {"spectrum": "line", "options": {"at_keV": 6.0, "per_ty": 12.0}},
    "nothing": {"spectrum": "b8", "size": 1e-3},
    "xe124": {"spectrum": "xe124_ec", "options": {"charge_yield_ratio_LL": 0.4}, "replaces": "xe124_ec"},
}
STUDY = {
    "representation": {"name": "summary"},
    "models": {"vae": {"name": "dense_vae", "hidden": [8], "latent": 2, "epochs": 1, "batch_size": 50},
               "classifier": {"name": "summary_classifier", "epochs": 5}},
    "events": {"train_per_kind": 400, "test_per_kind": 100}, "score": {"R": [100.0]},
    "pool": {"er_events": 3000, "nr_events": 1000, "component_events": 400},
    "backgrounds": {"components": ["pp", "pb214", "xe124_ec", "atm"], "rates": "idealised"},
    "grid": {"m_chi_GeV": {"values": [50]}, "sigma_si_cm2": {"values": [1e-46]}, "exposure_ty": {"values": [1]}},
    "toys": {"null": 100, "signal": 100, "exact": "none", "statistics": ["count", "tail_count", "excess_scan"],
             "options": {"excess_scan": {"thresholds": 6}, "tail_count": {"b0": 2.0, "exposure_ty": 5.0}}},
    "reach": {"enabled": False, "exposure_ty": [0.25, 8], "p": 0.01, "groups": 2}, "limits": {"enabled": False},
    "battery": {"signals": SIGNALS, "events": 500, "scores": ["elbo", "two_dimensional"]},
}  # fmt: skip


def plan_of(**changed) -> Plan:
    return Plan(study.parse(STUDY | changed))


@pytest.fixture(scope="module")
def outcome():
    return pipeline.run(plan_of().study, Scratch(), workers=0)


@pytest.fixture(scope="module")
def rows(outcome):
    return outcome["battery"].table.to_pylist()


@pytest.fixture(scope="module")
def arena(outcome):
    return arenas.arena(outcome.plan, outcome.ledger, outcome.population)


def of(rows, signal, score, statistic):
    (row,) = (r for r in rows if (r["signal"], r["score"], r["statistic"]) == (signal, score, statistic))
    return row


class TestLadder:
    """Z(t) = slope ln(t / t0), of signals with exposures of their own."""

    T0 = {"early": 0.02, "soon": 3.3, "late": 171.0, "never": 1e9}

    def climbed(self):
        asked = []

        def read(exposure_ty, names):
            asked.append((exposure_ty, tuple(names)))
            return {name: 1.7 * np.log(exposure_ty / self.T0[name]) for name in names}

        return laws.climb(read, self.T0, (2.0, 3.0), 1.0, 2000.0), asked

    def test_it_finds_where_z_passes_and_says_where_it_does_not(self):
        z, _ = self.climbed()
        for wanted in (2.0, 3.0):
            for name in ("soon", "late"):
                found = laws.passed(z[name], wanted)
                assert found.status == reach.FOUND
                assert found.exposure_ty == pytest.approx(self.T0[name] * np.exp(wanted / 1.7), rel=1e-6)
                assert found.slope == pytest.approx(1.7)
                assert found.rung_ty in z[name] and 0.8 < found.rung_ty / found.exposure_ty < 1.2
            assert laws.passed(z["early"], wanted).status == reach.BELOW
            assert laws.passed(z["never"], wanted).status == reach.BEYOND

    def test_signals_share_an_exposure_and_none_climbs_further_than_it_must(self):
        z, asked = self.climbed()
        assert len({exposure_ty for exposure_ty, _ in asked}) == len(asked)
        assert max(z["never"]) == 2000 and max(z["soon"]) < 150

    def test_a_dip_after_the_first_passing_is_not_forgotten(self):
        z = {1.0: 2.0, 2.0: 3.5, 4.0: 2.9, 8.0: 3.3, 16.0: 4.0}
        assert 4 < laws.passed(z, 3.0).exposure_ty < 8


class TestBounds:
    @pytest.mark.parametrize(
        ("values", "bounds", "wanted"),
        [([1, 2, 5], [0, 0, 0], (2, False)), ([1, 2, 50], [0, 0, 1], (2, False)), ([1, 20, 50], [0, 1, 1], (20, True)),
         ([1.0, 1.5, 3.0], [1, 0, 0], (1.5, True))],
    )  # fmt: skip
    def test_a_median_of_bounds_is_one_only_where_they_could_move_it(self, values, bounds, wanted):
        assert laws.median(values, [bool(one) for one in bounds]) == wanted

    def test_the_worst_is_a_bound_where_any_is(self):
        assert laws.worst([1.0, 4.0], [True, False]) == (4.0, True)


def test_every_row_once_with_units(outcome, rows):
    table, wanted = outcome["battery"].table, battery_schemas.battery(outcome.plan.study.signal.size)
    assert table.schema.equals(wanted)
    assert all(table.schema.field(name).metadata == wanted.field(name).metadata for name in wanted.names)
    assert len(rows) == len(targets(outcome.plan)) + len(SIGNALS) == len(SIGNALS) * (1 + 2 * 3 + 1 + 1)
    assert {row["n_choices"] for row in rows} == {1 + 2 * 2}


def test_an_exposure_is_that_of_a_search_of_one_signal_by_itself(outcome, rows, arena):
    section = outcome.plan.study.reach
    aim = reach.Aim(section.p, section.power)
    for score, statistic in ((None, "count"), ("two_dimensional", "excess_scan")):
        on = arena
        if score:
            one = BatteryScore.of(score, outcome.plan.study.score)
            on = arena.on(one.R, arenas.ts(outcome.plan, arena.population, one))
        choice = Choice(None if score is None else 0.0, *outcome.plan.study.toys.statistic(statistic))
        alone, search = reach.find(on.population, choice, on.alternatives["wimp"].weights, aim, *section.exposure_ty)
        row = of(rows, "wimp", score, statistic)
        assert row["status"] == alone.status == reach.FOUND
        assert search.at(row["t3_ty"]).smooth_z == pytest.approx(aim.z, abs=0.12)  # a count of few events takes steps
        error, _ = reach.pool_error(on.population, choice, on.alternatives["wimp"].weights, aim, search, alone, 2)
        assert 0.2 < row["t3_error_ty"] / error < 5, "of two groups: an error of an error"


def test_a_median_experiment_without_an_event_says_nothing(outcome, arena):
    (score,) = (one for one in chosen_scores(outcome.plan) if one.name == "elbo")
    on = arena.on(0.0, arenas.ts(outcome.plan, arena.population, score))
    choice = Choice(0.0, *outcome.plan.study.toys.statistic("tail_count"))
    for exposure_ty in (1e-3, 1e-2):  # a twelfth of an event of the line, of which none is above the threshold yet
        found = laws.readings(on.population, choice, on.alternatives, exposure_ty, reach.Aim(0.01, 0.5))
        assert set(found.values()) == {0.0}


def test_signals_have_events_of_their_own_which_stand_for_no_background(outcome, rows, arena):
    nominal, pool = outcome.population, arena.population
    assert pool.n_background(1.0) == pytest.approx(nominal.n_background(1.0), rel=1e-12)
    assert pool.er_leakage == pytest.approx(nominal.er_leakage, rel=1e-12)
    for name, one in arena.alternatives.items():
        mine = pool.pool.kind == pool.pool.kinds.index(name)
        assert (one.weights[~mine] == 0).all() and not pool.weights[:, mine].any()
        assert not pool.leaks[mine].any()
    by_pool = outcome.plan.study.signal.at(50.0, 4e-47)
    wanted = nominal.pool.weights("NR", by_pool.rate).sum()
    assert of(rows, "wimp", None, "count")["n_signal_per_ty"] == pytest.approx(wanted, rel=0.15)


def test_what_stands_in_place_of_a_component_moves_no_count(rows, arena):
    captures = arena.population.weights[arena.population.names.index("xe124_ec")].sum()
    assert arena.alternatives["xe124"].weights.sum() == pytest.approx(captures, rel=0.2)
    assert of(rows, "xe124", None, "count")["status"] == reach.BEYOND
    assert of(rows, "line", None, "count")["status"] == reach.FOUND  # as many events again, beside the others


def test_a_signal_that_no_oracle_finds_has_no_ratio_and_one_beyond_the_range_a_bound(rows):
    assert {row["ratio_is"] for row in rows if row["signal"] == "nothing"} == {battery_rows.NO_ORACLE}
    bounds = [row for row in rows if row["ratio_is"] == battery_rows.AT_LEAST]
    assert bounds
    for row in bounds:
        assert row["t3_ty"] is None and row["ratio"] == row["to_ty"] / row["t3_oracle_ty"]
    assert of(rows, "wimp", "cs1_cs2", "known_signal")["ratio"] == 1


def test_combined_pays_for_what_it_tries(rows):
    for name in SIGNALS:
        names = "count", "tail_count", "excess_scan"
        tried = [row for row in rows if row["signal"] == name and row["statistic"] in names]
        combined = of(rows, name, None, "combined")
        priced = [row["t3_priced_ty"] for row in tried if row["t3_priced_ty"] is not None]
        assert combined["t3_ty"] == (min(priced) if priced else None)
        alone = [row["t3_ty"] for row in tried if row["t3_ty"] is not None]
        assert combined["t3_ty"] is None or combined["t3_ty"] >= min(alone)


def test_it_is_told_logged_and_drawn(outcome):
    found = outcome["battery"]
    said = list(battery.lines(found, outcome.plan.study))
    ranking = battery_rows.ranking(found.table)
    assert len(said) == len(ranking) + len(SIGNALS) + 1
    assert len(ranking) == 1 + 2 * 2 + 1 and [len(one.blind_to) for one in ranking] == sorted(
        len(one.blind_to) for one in ranking
    )
    simulated, answer, sure = headline.lines(outcome)
    assert said[-1] == f"battery: {answer}" and f"{len(SIGNALS)} signals" in simulated and "by exact laws" in sure
    rows, blind_of = found.table.to_pylist(), {}
    for one in ranking:
        mine = [row for row in rows if (row["score"], row["statistic"]) == one.place]
        blind_of[one.words] = [row["signal"] for row in mine if row["status"] == reach.BEYOND]
        assert set(one.blind_to) <= set(blind_of[one.words])
    best = min((one for one in ranking if not one.is_combined), key=lambda one: len(blind_of[one.words]))
    blind = blind_of[best.words]
    assert f"{best.words} finds most: {len(SIGNALS) - len(blind)} of {len(SIGNALS)} within" in answer
    assert f"It is blind to {', '.join(blind)}." in answer
    logged = battery.metrics(found, outcome.plan.study)
    assert sum(name.startswith(("battery/worst_ratio", "battery/median_ratio")) for name in logged) == 2 * len(ranking)
    assert any(name in logged for name in ("battery/worst_ratio", "battery/worst_ratio_at_least"))
    figure = ratios(found.table)
    assert len(figure.axes[0].get_yticks()) == len(SIGNALS)
    assert render(figure, "png")


def test_another_signal_leaves_the_others_as_they_are():
    more = {"signals": SIGNALS | {"tritium": {"spectrum": "tritium"}}}
    assert set(battery.items(plan_of())) < set(battery.items(plan_of(battery=STUDY["battery"] | more)))
    without = Plan(study.parse({key: value for key, value in STUDY.items() if key != "battery"}))
    assert battery.items(without) == [] and without.table == plan_of().table


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"signals": {"a": {"spectrum": "wimp_si"}}}, "m_chi_GeV is missing"),
        ({"signals": {"a": {"spectrum": "line", "m_chi_GeV": 3}}}, "m_chi_GeV is not among"),
        ({"signals": {"a": {"spectrum": "line", "replaces": "kr85"}}}, "battery.signals.a replaces.*'kr85'"),
        ({"signals": {"atm": {"spectrum": "b8"}}}, "'atm' is a component"),
        ({"scores": ["density"]}, "'density' needs the role 'density'"),
        ({"statistics": ["centred"]}, "battery: statistic with a law.*'centred'"),
    ],
)
def test_a_mistake_is_named(changed, said):
    with pytest.raises(BadInput, match=said):
        plan_of(battery=STUDY["battery"] | changed)
