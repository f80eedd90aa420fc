"""Rounds of trials: the same on any cluster, near the top, given up by their reports, and copied as they go."""

import json
import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from engine.cluster.sampler import COMPLETE, DIVERGED, PRUNED, TOGETHER, Copy, Objective, Rules, Search


@dataclass(frozen=True)
class Field:
    key: str
    space: Any
    whole: bool = False

    def value(self, drawn):
        return drawn


def axis(key, low, high, whole=False, log=True):
    return Field(key, SimpleNamespace(ends=(low, high), log=log or None, choices=None), whole)


def choice(key, *choices):
    return Field(key, SimpleNamespace(ends=None, log=None, choices=choices))


BETA, WIDTH, HIDDEN = axis("beta", 0.1, 100.0), axis("width", 4, 64, whole=True), choice("hidden", [32], [64, 32])
OWN = {"beta": 10.0, "width": 16, "hidden": [64, 32]}


class Hill:
    """-(ln beta/3)^2 at the last rung, and half of it at the others; remembers what it was asked."""

    def __init__(self):
        self.calls = []

    def __call__(self, asked, rung):
        self.calls.append((rung, [values["beta"] for values in asked]))
        return [self.told(values, rung) for values in asked]

    def told(self, values, rung):
        height = -(math.log(values["beta"] / 3) ** 2)
        return Objective(None, height) if rung == self.last else Objective(height / 2, None)

    last = 0


class Climb(Hill):
    last = 2


def search(evaluate, trials=20, seed=1, dimensions=(BETA, HIDDEN, WIDTH), own=OWN, copy=None, **rules):
    return Search(evaluate, dimensions, [own], Rules(trials, seed, rules.pop("larger", True), **rules), copy).run()


def test_the_study_as_it_is_comes_first_and_values_have_their_types():
    trials = search(Hill(), trials=7)
    assert trials[0].values == OWN
    assert [trial.number for trial in trials] == list(range(7))
    for trial in trials:
        assert type(trial.values["width"]) is int and trial.values["hidden"] in ([32], [64, 32])


def test_a_value_outside_its_space_is_not_forced_into_it():
    trials = search(Hill(), trials=3, own=OWN | {"beta": 1e6})
    assert trials[0].values["beta"] <= 100 and trials[0].values["width"] == 16


GRID = [0.1, 1.0, 4.0, 10.0, 50.0, 100.0]


def from_grid(evaluate, trials, seed=1, grid=GRID):
    """A search over beta alone, whose first trials are a grid."""
    return Search(evaluate, (BETA,), [{"beta": x} for x in grid], Rules(trials, seed, True)).run()


def test_a_grid_comes_first_and_untouched_in_a_round_of_its_own_then_rounds_of_a_fixed_size():
    hill = Hill()
    trials = from_grid(hill, len(GRID) + 2 * TOGETHER + 1)
    assert hill.calls[0] == (0, GRID)
    assert [len(asked) for _, asked in hill.calls[1:]] == [TOGETHER, TOGETHER, 1]
    assert [trial.values["beta"] for trial in trials[: len(GRID)]] == GRID
    assert all(GRID[0] <= trial.values["beta"] <= GRID[-1] for trial in trials)


@pytest.mark.parametrize("grid", [GRID[::-1], [4.0, 100.0, 0.1, 50.0, 10.0, 1.0], GRID[:2]])
def test_trials_of_the_grid_are_there_whatever_the_order(grid):
    first, other = from_grid(Hill(), len(grid), grid=sorted(grid)), from_grid(Hill(), len(grid), grid=grid)
    values, others = ({trial.values["beta"]: trial.value for trial in trials} for trials in (first, other))
    assert values == others and sorted(others) == sorted(grid)


def test_further_trials_come_nearer_to_the_top_than_the_grid():
    values = [trial.value for trial in from_grid(Hill(), len(GRID) + 30)]
    assert max(values) > -0.01 > -0.08 > max(values[: len(GRID)])


def test_a_second_pass_over_a_grid_asks_for_the_same_and_another_seed_for_others():
    first, again, other = Hill(), Hill(), Hill()
    for hill, seed in ((first, 1), (again, 1), (other, 2)):
        from_grid(hill, len(GRID) + 5, seed)
    assert first.calls == again.calls != other.calls


def test_a_value_may_be_minus_infinity():
    class Abyss(Hill):
        def told(self, values, rung):
            return Objective(None, -math.inf) if values["beta"] < 10 else super().told(values, rung)

    trials = from_grid(Abyss(), len(GRID) + 15)
    assert trials[0].value == -math.inf and trials[0].state == COMPLETE
    assert max(trials, key=lambda trial: trial.value).values["beta"] >= 10


def test_the_same_seed_asks_the_same_and_more_trials_begin_with_those_of_fewer():
    few, again, more, other = (search(Hill(), n, seed) for n, seed in ((8, 1), (8, 1), (14, 1), (8, 2)))
    assert few == again and more[:8] == few and other != few


def test_later_trials_come_nearer_to_the_top():
    def best(trials):
        return max(trial.value for trial in trials)

    trials = search(Hill(), 40, dimensions=(BETA,))
    assert best(trials) > -0.01 > best(trials[:5])


def test_small_may_be_good():
    class Valley(Hill):
        def told(self, values, rung):
            return Objective(None, -super().told(values, rung).value)

    trials = search(Valley(), 30, dimensions=(BETA,), larger=False)
    assert min(trial.value for trial in trials) < 0.01


@pytest.mark.parametrize("pruner", ["median", "halving"])
def test_what_is_worse_at_a_rung_is_given_up_and_costs_no_more(pruner):
    climb = Climb()
    trials = search(climb, 20, rungs=3, pruner=pruner)
    pruned = [trial for trial in trials if trial.state == PRUNED]
    complete = [trial for trial in trials if trial.state == COMPLETE]
    assert pruned and complete and len(pruned) + len(complete) == 20
    assert sum(len(asked) for rung, asked in climb.calls if rung == 2) == len(complete)
    assert all(len(trial.reports) == 2 and trial.value is not None for trial in complete)
    assert all(len(trial.reports) < 3 and trial.value is None for trial in pruned)
    heights = {trial.number: -(math.log(trial.values["beta"] / 3) ** 2) for trial in trials}
    assert max(heights, key=heights.get) in {trial.number for trial in complete}, "the best one is not given up"


def test_nothing_is_given_up_before_as_many_have_ended_as_asked_for():
    trials = search(Climb(), 10, rungs=3, pruner="median", startup_trials=10)
    assert {trial.state for trial in trials} == {COMPLETE}


def test_trials_of_a_round_stand_at_the_same_rung_and_decide_nothing_by_who_is_first():
    class Backwards(Climb):
        def __call__(self, asked, rung):
            return super().__call__(asked[::-1], rung)[::-1]  # as if the last were the fastest

    assert search(Climb(), 20, rungs=3, pruner="median") == search(Backwards(), 20, rungs=3, pruner="median")
    climb = Climb()
    search(climb, 2 * TOGETHER, rungs=3)
    assert [(rung, len(asked)) for rung, asked in climb.calls] == 2 * [(rung, TOGETHER) for rung in range(3)]


def test_a_fit_that_diverges_is_the_worst_and_the_search_goes_elsewhere():
    class Cliff(Hill):
        def told(self, values, rung):
            return Objective(None, None) if values["beta"] > 9 else super().told(values, rung)

    trials = search(Cliff(), 40, dimensions=(BETA,))
    assert trials[0].state == DIVERGED and trials[0].value is None
    states = [trial.state for trial in trials]
    assert states[20:].count(DIVERGED) < 20 / 3, "a third of the axis lies beyond the cliff"


def test_a_copy_hears_all_that_happens_in_order():
    class Heard(Copy):
        def __init__(self):
            self.said = []

        def begun(self, trial, drawn):
            assert json.loads(drawn["hidden"]) == trial.values["hidden"]
            self.said.append((trial.number, "begun"))

        def reported(self, trial, step):
            self.said.append((trial.number, step))

        def ended(self, trial):
            self.said.append((trial.number, trial.state))

    heard = Heard()
    trials = search(Climb(), 12, rungs=3, pruner="median", copy=heard)
    for trial in trials:
        mine = [what for number, what in heard.said if number == trial.number]
        assert mine == ["begun", *(1, 3)[: len(trial.reports)], trial.state]
