"""What a scan says of itself before it starts: the right counts, costs of the right size, and nothing left behind."""

import json
import time
from dataclasses import replace

import pytest
from numba import njit
from studies import PAIRS, TINY
from threadpoolctl import threadpool_limits

from engine import study
from engine.assembly import assemble
from engine.estimate import estimate
from engine.estimate import words as estimate_words
from engine.estimate.costs.clock import Clock, Cost, line
from engine.estimate.costs.events import EventCosts
from engine.estimate.costs.inference import InferenceCosts
from engine.plan.members import plan_of
from engine.plan.plan import Plan
from engine.stages import reach, work
from engine.store.parts import Entry, encode, sha256
from engine.store.store import Ledger, Store

WITH_LAWS = ("limits.enabled=false", "toys.statistics=['count']")
CHEAP = ("toys.exact=none", "limits.enabled=false", "toys.statistics=['count']")


def load(*settings):
    return study.load(str(TINY), settings)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The estimate for an empty store, as it is printed for machines."""
    folder = tmp_path_factory.mktemp("none") / "store"
    found = estimate.estimate(load(*CHEAP), str(folder))
    assert not folder.exists()
    return found


@pytest.fixture(scope="module")
def costs():
    plan, clock = Plan(load(*CHEAP)), Clock()
    events = EventCosts(plan, clock)
    return events, InferenceCosts(plan, clock, events.population)


@pytest.mark.parametrize("most", [0.0, 1e5, 1e6, 1e7, 1e9])
def test_toys_are_timed_at_exposures_that_the_study_has(costs, monkeypatch, most):
    _, known = costs
    monkeypatch.setattr("engine.estimate.costs.inference.MOST_DRAWN", most)
    fresh = replace(known, known={}, clock=Clock())
    assert set(fresh._ends) <= set(known.plan.study.grid.exposure_ty.points())
    assert fresh.cells(fresh._ends[0], 1).core_s > 0


def stages(found: estimate.Estimate) -> dict[str, estimate.Stage]:
    return {stage.name: stage for stage in found.stages}


class TestCounts:
    def test_items_are_the_plans_and_none_is_done(self, found):
        plan = Plan(load(*CHEAP))
        assert {name: stage.items for name, stage in stages(found).items()} == {
            name: len(items) for name, items in plan.items.items()
        }
        assert all(stage.done == 0 for stage in found.stages) and found.stored_bytes == 0

    def test_tasks_are_those_of_a_scan(self, found):
        tasks = {name: stage.tasks for name, stage in stages(found).items() if stage.tasks}
        # kinds; slots; 2 test, 3 ER and 2 NR pool shards; 2 exposures x 2 hypotheses; 2 masses at 2 exposures
        assert tasks == {"events": 2, "models": 2, "scores": 7, "nulls": 4, "cells": 4, "diagnostics": 3}

    def test_every_missing_task_costs_something(self, found):
        for stage in found.stages:
            assert (stage.core_s > 0) == (stage.n_bytes > 0) == (stage.tasks > 0)
        assert found.core_h == pytest.approx(sum(stage.core_s for stage in found.stages) / 3600)

    def test_what_is_stored_is_not_done_again(self, tmp_path):
        plan, store = Plan(load(*CHEAP)), Store(str(tmp_path / "store"))
        ledger = Ledger(store)
        for shard in plan.shards["train"]:
            (part,) = work.simulate(plan, shard)
            store.put_new(part.path, encode(part))
            ledger.add([Entry(part.path, sha256(encode(part)), part.items)])
        ledger.flush()
        before = sorted(path for path in (tmp_path / "store").rglob("*"))
        found = estimate.estimate(plan.study, store.uri)
        assert (stages(found)["events"].done, stages(found)["events"].core_s) == (2, 0.0)
        assert found.stored_bytes == sum(path.stat().st_size for path in (tmp_path / "store/events").iterdir())
        assert sorted(path for path in (tmp_path / "store").rglob("*")) == before
        (tmp_path / "store" / part.path).unlink()
        assert stages(estimate.estimate(plan.study, store.uri))["events"].done == 1

    def test_rounds_of_refinement_are_at_most_what_halving_takes(self):
        asked = load(*CHEAP, "grid.refine={log10_sigma=0.3}")
        stage = stages(estimate.estimate(asked, "nowhere"))["rounds"]
        assert stage.tasks == 2 * 2 * 2 and stage.items == 3 * stage.tasks  # a decade: halved twice
        assert stage.core_s > 0 and "at most" in stage.how


class TestSeveral:
    def test_of_two_seeds_all_items_are_counted_once(self):
        seeds = load(*WITH_LAWS, "training.n_seeds=2")
        found, one = stages(estimate.estimate(seeds, "nowhere")), stages(estimate.estimate(load(*WITH_LAWS), "nowhere"))
        assert {name: stage.items for name, stage in found.items()} == {
            name: len(items) for name, items in plan_of(seeds).items.items()
        }
        assert found["models"].tasks == 4 and found["cells"].items == one["cells"].items
        assert found["scores"].core_s > one["scores"].core_s > 0

    def test_of_a_comparison_the_pairs_share_events_and_no_cells(self):
        compared = study.load(str(PAIRS))
        plan, found = plan_of(compared), stages(estimate.estimate(compared, "nowhere"))
        assert {name: stage.items for name, stage in found.items()} == {
            name: len(items) for name, items in plan.items.items()
        }
        assert found["models"].tasks == len(plan.models) and found["paired"].tasks == len(plan.members)
        assert found["cells"].items == sum(len(one.cells) for one in plan.members.values())
        assert all((stage.core_s > 0) == (stage.tasks > 0) for stage in found.values())


class TestSize:
    """By processor time, within a factor of three: other programs may disturb, a wrong unit may not."""

    def test_of_simulated_events(self, costs):
        events, _ = costs
        shard = replace(events.plan.shards["train"][0], n_thrown=2000)
        assert_like(events.simulated(shard), lambda: work.simulate(events.plan, shard))

    def test_of_scored_events(self, costs):
        events, _ = costs
        shard = events.plan.shards["pool"][0]
        slots = list(events.plan.models)
        assert_like(events.scored(shard, slots), lambda: work.score(events.plan, shard, slots, events.models))

    def test_of_toys(self, costs):
        events, inference = costs
        drawn = inference.nulls(50.0, [0, 1])
        assert_like(drawn, lambda: work.background_toys(events.plan, events.population, 50.0, "null", [0, 1]))

    @pytest.mark.parametrize("statistic", ["tail_count", "extended_poisson"])
    def test_of_a_law_with_its_error(self, statistic):
        plan, clock = Plan(load(f"toys.statistics=['{statistic}']")), Clock()
        population = EventCosts(plan, clock).population
        costs = InferenceCosts(plan, clock, population)
        (point, *pair) = next(place for place in plan.exact.values() if plan.at_benchmark(place[0]))
        weights = {point.m_chi_GeV: costs._weights(point.m_chi_GeV)}
        cost = costs.exact(point.exposure_ty, tuple(pair), [point])

        def law():
            fresh = replace(population, laws={})
            return work.exact(plan, fresh, point.exposure_ty, tuple(pair), weights, [(point, None)])

        law()  # compiles what the jack-knife needs
        assert_like(cost, law)

    def test_of_an_exposure_sought_by_toys(self):
        settings = (
            "reach.enabled=true", "reach.by_toys=true", "reach.toys_m_chi_GeV=[50]", "reach.exposure_ty=[2,100]",
            "reach.sigma_si_cm2=3e-47", "toys.null=7408", "toys.signal=7408", "toys.statistics=['template_likelihood']",
        )  # fmt: skip
        plan, clock = Plan(load(*settings)), Clock()
        population = EventCosts(plan, clock).population
        ((item, (*pair, mass, size)),) = plan.reach_by_toys.items()
        weights = assemble.signal_weights(plan.study.signal, population, mass)
        cost = InferenceCosts(plan, clock, population).search_by_toys(tuple(pair), mass, size)
        assert_like(cost, lambda: reach.seek(plan, population, weights, item, (*pair, mass, size)))

    def test_the_pool_is_as_large_as_the_studys(self, costs):
        events, _ = costs
        assert events.population.pool.n_thrown.tolist() == [5000, 3000]
        ts = events.population.ts[1e4]
        assert len(set(ts.tolist())) == len(ts)


def assert_like(cost: Cost, make) -> None:
    with threadpool_limits(1):  # as a worker has it
        start = time.process_time()
        parts = make()
        n_bytes = sum(len(encode(part)) for part in parts)
        core_s = time.process_time() - start
    assert 1 / 3 < cost.core_s / core_s < 3
    assert 1 / 2 < cost.n_bytes / n_bytes < 2


class TestLine:
    def test_it_goes_through_both_ends(self):
        found = line((10, Cost(1.0, 50)), (30, Cost(2.0, 70)))
        assert found.at(10) == Cost(1.0, 50) and found.at(30) == Cost(2.0, 70)
        assert found.at(50).core_s == pytest.approx(3.0)

    def test_neither_part_is_negative(self):
        falling = line((10, Cost(2.0)), (30, Cost(1.0)))
        assert falling.at(100) == Cost(1.0) and falling.fixed.core_s == 1.0
        steep = line((10, Cost(0.1)), (30, Cost(9.0)))
        assert steep.at(0).core_s == 0.0 and steep.at(30).core_s == pytest.approx(9.0)

    def test_one_measurement_is_proportional(self):
        assert line((10, Cost(2.0)), (10, Cost(2.0))).at(25).core_s == pytest.approx(5.0)


def test_the_first_time_is_start_up():
    calls, clock = [], Clock()

    @njit
    def compiled(x):
        return x + 1

    def slow_at_first():
        calls.append(compiled(1))
        return []

    first = clock.time(slow_at_first)
    assert first.core_s < 0.01 < clock.start_up_s and len(calls) == 2
    clock.time(slow_at_first)
    assert len(calls) == 3  # what compiles nothing is done once


def test_bytes_are_read_in_their_unit():
    assert [estimate_words.words(n) for n in (0, 999, 1000, 2.5e6, 3e12)] == [
        "0 B", "999 B", "1 kB", "2.5 MB", "3e+03 GB",
    ]  # fmt: skip


def test_the_command_line_prints_it_and_writes_nothing(run_here, tmp_path):
    settings = [word for setting in CHEAP for word in ("--set", setting)]
    said = json.loads(run_here("scan", TINY, "--plan", "--json", *settings).stdout)
    assert said["core_h"] > 0 and {stage["name"] for stage in said["stages"]} >= {"events", "cells", "tables"}
    assert list(tmp_path.iterdir()) == []
    assert "--json goes with --plan" in run_here("scan", TINY, "--json", check=2).stderr


def test_the_lines_say_how(found):
    lines = list(estimate_words.lines(found))
    assert any(line.startswith("cells: estimated by ") for line in lines)
    assert "nothing was written" in lines[-1]
