"""The exposure for three sigma as a result of a scan: what is sought, kept, said and drawn."""

import pytest
from studies import TINY

from engine import stages, study
from engine.assembly.inputs import Inputs
from engine.assembly.population import choices, signal_weights
from engine.errors import BadInput
from engine.inference.reach import Aim, read
from engine.physics.spectra.wimp_si import SIZE
from engine.plan.plan import Plan
from engine.report.figures import draw
from engine.run import pipeline
from engine.stages import reach, reach_schemas
from engine.store.store import Ledger, Store

ON = "reach.enabled=true"

SMALL = (
    "events.train_per_kind=300", "pool.er_events=3000", "pool.nr_events=3000", "toys.null=7408", "toys.signal=1000",
    "grid.exposure_ty.values=[20]", "grid.m_chi_GeV.values=[50]", "grid.sigma_si_cm2.values=[1e-47]",
    "models.vae.epochs=1", "toys.statistics=['counting_veto','tail_count','template_likelihood']",
    "backgrounds.rates='idealised'", "reach.by_toys=true", "reach.toys_m_chi_GeV=[50,500]",
    "reach.enabled=true", "reach.m_chi_GeV=[100]", "reach.exposure_ty=[0.5,40]",
    "reach.sigma_si_cm2=3e-47", "reach.points=[{m_chi_GeV=50,sigma_si_cm2=6e-47,statistics=['tail_count']}]",
)  # fmt: skip


def load(path, *settings):
    return study.load(str(path), settings)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    store = Store(str(tmp_path_factory.mktemp("reach") / "store"))
    return pipeline.run(load(TINY, ON, *SMALL), store, workers=0), store


class TestScan:
    def test_every_statistic_stands_beside_the_oracle_and_the_count(self, scanned):
        table = scanned[0]["reach"].table
        assert table.schema.equals(reach_schemas.reach(SIZE))
        rows = {(row["statistic"], row["m_chi_GeV"]): row for row in table.to_pylist() if row["sigma_si_cm2"] == 3e-47}
        beside = {"known_signal", "count"}
        wanted = {(name, mass) for name in {"counting_veto", "tail_count"} | beside for mass in (50.0, 100.0)}
        wanted |= {(name, 500.0) for name in beside} | {("template_likelihood", mass) for mass in (50.0, 500.0)}
        assert set(rows) == wanted
        for (name, mass), row in rows.items():
            assert row["method"] == ("toys" if name == "template_likelihood" else "exact")
            assert (row["n_toys_null"], row["n_toys_signal"]) == ((7408, 1000) if row["method"] == "toys" else (0, 0))
            assert row["t3_oracle_ty"] == rows["known_signal", mass]["t3_ty"]
            assert row["t3_count_ty"] == rows["count", mass]["t3_ty"]
            assert (row["t3_ty"] is None) == (row["status"] == "beyond_range")

    def test_a_point_has_an_exposure_of_its_own_and_the_oracle_and_the_count_there(self, scanned):
        """At the benchmark's mass and twice its cross-section: named in lines and metrics, and not drawn over mass."""
        outcome = scanned[0]
        rows = {row["statistic"]: row for row in outcome["reach"].table.to_pylist() if row["sigma_si_cm2"] == 6e-47}
        assert set(rows) == {"tail_count", "known_signal", "count"}
        at_half = {row["statistic"]: row for row in outcome["reach"].table.to_pylist()
                   if row["sigma_si_cm2"] == 3e-47 and row["m_chi_GeV"] == 50}  # fmt: skip
        for row in rows.values():
            assert (row["t3_oracle_ty"], row["t3_count_ty"]) == (rows["known_signal"]["t3_ty"], rows["count"]["t3_ty"])
        found = {name: row["t3_ty"] for name, row in rows.items() if row["status"] == "found"}
        assert found and all(t3_ty < (at_half[name]["t3_ty"] or 40) for name, t3_ty in found.items())
        made = reach.metrics(outcome["reach"], outcome.plan.study)
        assert sorted(t3 for name, t3 in made.items() if name.endswith("_50GeV_6e-47")) == sorted(found.values())
        said = list(reach.lines(outcome["reach"], outcome.plan.study))
        assert sum("at 50 GeV, 6e-47 cm2: " in line for line in said) == len(rows)

    def test_the_veto_reaches_what_poisson_says(self, scanned):
        """From t3_ty on, 30 % of the signal stands out of what the veto leaves; a per cent before, it does not."""
        outcome = scanned[0]
        row = next(r for r in outcome["reach"].table.to_pylist() if r["statistic"] == "counting_veto")
        assert row["status"] == "found" and row["t3_error_ty"] > 0
        (choice,) = choices(outcome.plan, [(None, "counting_veto")])
        weights = signal_weights(outcome.plan.study.signal.at(row["m_chi_GeV"]), outcome.population)
        weights *= row["sigma_si_cm2"] / 1e-45
        aim = Aim(row["p_false_alarm"], row["power"])
        before, after = (read(outcome.population, choice, weights, row["t3_ty"] * f, aim).z for f in (0.99, 1.001))
        assert before < aim.z <= after

    def test_toys_give_an_interval_and_the_pool_an_error(self, scanned):
        outcome = scanned[0]
        found = {row["m_chi_GeV"]: row for row in outcome["reach"].table.to_pylist() if row["method"] == "toys"}
        row = found[50.0]
        assert row["status"] == "found"
        assert row["t3_low_ty"] < row["t3_ty"] < row["t3_high_ty"] and 0 < row["t3_error_ty"] < row["t3_ty"]
        interval = f"({row['t3_low_ty']:.4g} to {row['t3_high_ty']:.4g})"
        said = f"{row['t3_ty']:.4g} {interval} +- {row['t3_error_ty']:.2g} (pool) t y, by toys"
        assert any(said in line for line in reach.lines(outcome["reach"], outcome.plan.study))

    def test_what_exists_is_not_sought_again(self, scanned):
        outcome, store = scanned
        assert outcome.computed["reach"] == len(reach.items(outcome.plan)) == 15
        again = pipeline.run(outcome.plan.study, store, workers=0)
        assert not any(again.computed.values())
        assert again["reach"].table.equals(outcome["reach"].table) and again["reach"].path == outcome["reach"].path
        assert pipeline.finished(outcome.plan.study, store)["reach"].table.equals(outcome["reach"].table)

    @pytest.mark.parametrize("statistic", ["counting_veto", "template_likelihood"])
    def test_a_lost_row_is_sought_alone_and_comes_out_the_same(self, scanned, statistic):
        outcome, store = scanned
        sought = reach.targets(outcome.plan)
        item = next(item for item, (_, name, *_) in sought.items() if name == statistic)
        ledger = Ledger(store)
        ledger.set_aside(ledger.entries[item])
        ledger.flush()
        again = pipeline.run(outcome.plan.study, store, workers=0)
        assert {name: n for name, n in again.computed.items() if n} == {"reach": 1}
        assert reach.table(again.plan, Ledger(store)).equals(outcome["reach"].table)

    def test_it_is_said_and_drawn(self, scanned):
        outcome, _ = scanned
        said = list(reach.lines(outcome["reach"], outcome.plan.study))
        assert len(said) == 15 and all("t y" in line for line in said)
        veto = next(row for row in outcome["reach"].table.to_pylist() if row["statistic"] == "counting_veto")
        assert any(f"T3 at 50 GeV: counting_veto {veto['t3_ty']:.4g} +- " in line for line in said)
        assert reach.metrics(outcome["reach"], outcome.plan.study)["t3/ty_counting_veto_50GeV"] == veto["t3_ty"]
        assert draw(outcome.plan, outcome)["t3_against_mass.png"][:4] == b"\x89PNG"


class TestPlan:
    def test_a_study_without_a_known_law_seeks_nothing(self, tiny):
        plan = Plan(load(tiny, ON, "toys.statistics=['template_likelihood']"))
        asked = stages.items(plan)
        assert reach.targets(plan) == {} and asked["reach"] == asked["reach_tables"] == []

    def test_it_can_be_left_out_and_nothing_else_changes(self, tiny):
        on, off = Plan(load(tiny, ON)), Plan(load(tiny, ON, "reach.enabled=false"))
        assert len(reach.targets(on)) == 4 and reach.targets(off) == {}
        assert stages.items(on) | {"reach": [], "reach_tables": []} == stages.items(off)

    @pytest.mark.parametrize(
        "setting", ["exposure_ty=[20,60]", "power=0.8", "p=1e-4", "groups=3", "sigma_si_cm2=1e-47"]
    )
    def test_every_choice_has_its_own_row(self, tiny, setting):
        a, b = Plan(load(tiny, ON)), Plan(load(tiny, ON, f"reach.{setting}"))
        assert set(reach.items(a)).isdisjoint(reach.items(b)) and a.table == b.table

    def test_another_mass_leaves_the_first(self, tiny):
        a, b = Plan(load(tiny, ON)), Plan(load(tiny, ON, "reach.m_chi_GeV=[50,100]"))
        assert set(reach.items(a)) < set(reach.items(b)) and len(reach.items(b)) == 8

    def test_a_point_leaves_what_is_sought_and_is_sought_by_those_it_names(self, tiny):
        point = "reach.points=[{{m_chi_GeV=40,sigma_si_cm2=3e-49{}}}]"
        a = Plan(load(tiny, ON))
        every, one = (Plan(load(tiny, ON, point.format(of))) for of in ("", ",statistics=['tail_count']"))
        assert set(reach.items(a)) < set(reach.items(one)) < set(reach.items(every)) and len(reach.items(every)) == 8
        new = {target for item, target in reach.targets(one).items() if item not in reach.items(a)}
        assert {name for _, name, *_ in new} == {"tail_count", "known_signal", "count"}
        assert {(mass, size) for *_, mass, size in new} == {(40.0, 3e-49)}
        point = {"m_chi_GeV": 40.0, "sigma_si_cm2": 3e-49, "statistics": None}
        assert every.study.fields()["reach"]["points"] == [point]

    @pytest.mark.parametrize(
        ("point", "said"),
        [
            ("{m_chi_GeV=40,sigma_si_cm2=3e-49,statistics=['tale_count']}", "did you mean 'tail_count'"),
            ("{m_chi_GeV=40,size=3e-49}", "unknown key 'size'; the signal's is 'sigma_si_cm2'"),
            ("{m_chi_GeV=40,sigma_si_cm2=3e-3}", "reach.points.sigma_si_cm2 = 0.003: usual values"),
            ("{m_chi_GeV=40}", "reach.points.0.sigma_si_cm2: required"),
        ],
    )
    def test_a_point_that_is_none_is_one_line(self, tiny, point, said):
        with pytest.raises(BadInput, match=said):
            load(tiny, ON, f"reach.points=[{point}]")

    def test_toys_are_asked_for_and_seek_what_has_no_law(self, tiny):
        settings = ON, "toys.null=7408", "toys.statistics=['tail_count','template_likelihood']"
        off, on = (Plan(load(tiny, *settings, f"reach.by_toys={said}")) for said in ("false", "true"))
        assert reach.by_toys(off) == {} and set(reach.by_law(off)) < set(reach.by_law(on))
        assert [(name, mass) for _, name, mass, _ in reach.by_toys(on).values()] == [
            ("template_likelihood", mass) for mass in (20.0, 50.0, 500.0)]  # fmt: skip
        beside = {
            (name, mass) for item, (_, name, mass, _) in reach.by_law(on).items() if item not in reach.by_law(off)
        }
        assert beside == {(name, mass) for name in ("known_signal", "count") for mass in (20.0, 500.0)}
        at_benchmark = Plan(load(tiny, *settings, "reach.by_toys=true", "reach.toys_m_chi_GeV=[]"))
        assert len(reach.by_toys(at_benchmark)) == 1 and set(reach.by_toys(at_benchmark)) < set(reach.by_toys(on))

    def test_the_error_of_toys_is_a_choice_of_its_own(self, tiny):
        settings = ON, "toys.null=7408", "reach.by_toys=true", "toys.statistics=['template_likelihood']"
        three, five, without = (
            Plan(load(tiny, *settings, f"reach.{more}"))
            for more in ("groups=3", "groups=5", "toys_pool_error=false")
        )  # fmt: skip
        assert set(reach.by_toys(three)).isdisjoint(reach.by_toys(five)) and without.study.reach.toys_groups is None
        assert set(reach.by_toys(three)).isdisjoint(reach.by_toys(without))

    def test_toys_serve_a_study_without_any_law_and_change_with_their_number(self, tiny):
        settings = ON, "reach.by_toys=true", "toys.statistics=['template_likelihood']"
        few, many = (Plan(load(tiny, *settings, f"toys.null={n}")) for n in (7408, 9000))
        assert len(reach.by_toys(few)) == 3 and len(reach.by_law(few)) == 6
        assert set(reach.by_toys(few)).isdisjoint(reach.by_toys(many))
        assert set(reach.by_law(few)) == set(reach.by_law(many))


def test_too_few_toys_for_three_sigma_are_named(tiny):
    settings = ON, "reach.by_toys=true", "toys.null=7407"
    load(tiny, *settings)  # every statistic has a law
    without = "toys.statistics=['template_likelihood']"
    load(tiny, *settings, without, "reach.p=0.01")
    with pytest.raises(BadInput, match="toys.null = 7407 .* at least 7408 are needed"):
        load(tiny, *settings, without)


def of(plan, population):
    """What a stage is given of this plan, with a population that no store holds."""
    inputs = Inputs(plan, None, None)
    inputs.population = population
    return inputs


def test_toys_that_would_be_too_full_are_named(tiny, surrogate):
    statistics = "toys.statistics=['tail_count', 'template_likelihood']"
    settings = ON, "toys.null=7408", statistics, "reach.sigma_si_cm2=1e-38", "confirm=['sigma_si_cm2']"
    by_law, by_toys = (Plan(load(tiny, *settings, f"reach.by_toys={said}")) for said in ("false", "true"))
    population = surrogate(0.0)
    assert len(list(reach.units(of(by_law, population), set(reach.items(by_law))))) == 3  # a law has no toys
    with pytest.raises(BadInput, match="sigma_si_cm2 = 1e-38.* signal events are expected in a toy"):
        next(iter(reach.units(of(by_toys, population), set(reach.items(by_toys)))))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("exposure_ty=[50,20]", "low < high"), ("exposure_ty=[0,20]", "greater than 0"), ("p=0.7", "less than 0.5"),
        ("power=1.0", "less than or equal to 0.9"), ("groups=1", "greater than or equal to 2"),
        ("m_chi_GeV=[50,50]", "twice"), ("toys_m_chi_GeV=[0]", "greater than 0"),
        ("strength=2.0", "unknown key 'strength' .*sigma_si_cm2"), ("exposures=[1,2]", "exposure_ty"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(tiny, setting, said):
    with pytest.raises(BadInput, match=said):
        load(tiny, ON, f"reach.{setting}")
