"""How much a task carries: seconds to a minute of work, never fewer than four tasks for each processor."""

import numpy as np
import pytest

from engine.cluster.grain import TASKS_PER_CPU, Grain


def run(cpus: int, n_units: int, start_s: float, unit_s: float, items_per_unit: int = 1) -> list[tuple[int, float]]:
    """(units, seconds) of every task, with one in flight for each processor, of which every other one is late."""
    grain, tasks, left, flight = Grain(cpus, n_units * items_per_unit), [], n_units, []
    while left or flight:
        while left and len(flight) < 2 * cpus:
            units = min(grain.size, left)
            left -= units
            flight.append((units, start_s + units * unit_s))
        units, seconds = flight.pop(0)
        tasks.append((units, seconds))
        grain.learn(units, units * items_per_unit, seconds)
    return tasks


@pytest.mark.parametrize("items_per_unit", [1, 12])
@pytest.mark.parametrize(("start_s", "unit_s"), [(0.0, 0.01), (2.0, 0.1), (0.5, 1.5), (0.0, 7.0)])
def test_long_stages_have_tasks_of_five_to_sixty_seconds(start_s, unit_s, items_per_unit):
    tasks = run(2, 20_000, start_s, unit_s, items_per_unit)
    seconds = np.array([seconds for _, seconds in tasks])
    work = seconds * (seconds >= 5) * (seconds <= 60)
    assert work.sum() > 0.9 * seconds.sum()  # the rest is what learning took
    assert sum(units for units, _ in tasks) == 20_000


@pytest.mark.parametrize("cpus", [1, 2, 64])
@pytest.mark.parametrize("unit_s", [1e-4, 0.1])
def test_short_stages_have_four_tasks_for_every_processor(cpus, unit_s):
    tasks = run(cpus, 1000, 0.0, unit_s)
    assert len(tasks) >= TASKS_PER_CPU * cpus


def test_units_of_minutes_go_one_by_one():
    assert {units for units, _ in run(2, 40, 1.0, 90.0)} == {1}


def test_nothing_learnt_is_nothing_joined():
    assert Grain(2, 10**6).size == 1


def test_starting_up_is_not_taken_for_pace():
    """A law of eight seconds serves as many points as one likes."""
    tasks = run(2, 5000, 8.0, 0.01)
    assert len(tasks) < 32 and max(seconds for _, seconds in tasks) < 30
