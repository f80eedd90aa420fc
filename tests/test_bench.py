"""The plain twins say the same as the fast kernels; how much slower they are is for `recoilscan bench` to show."""

import numpy as np
import pytest

from engine import bench
from engine.bench import budget, driver, painting, s2, simulation, toys
from engine.bench.speed import Work
from engine.inference import cells
from engine.inference.toys import stream
from engine.physics import events
from engine.physics.detectors import TPC, darwin, xenonnt

N_PLAIN = 600
ERRORS = 4.5  # standard errors that two samples may differ by


@pytest.fixture(scope="module")
def population():
    return toys.surrogate()


def background(population):
    """(3, toys): N, q and tail count of four blocks of background toys."""
    blocks = [cells.background_block(population, 1.0, "background", block, toys.CHOICES) for block in range(4)]
    n_events, sums = (np.concatenate(parts) for parts in zip(*((n, np.hstack(t)) for n, t in blocks), strict=True))
    return evaluate(population, n_events, sums)


def evaluate(population, n_events, sums):
    null = population.null(toys.R, 1.0)
    q = [choice.prepare(null).q(n_events, sums[:, i : i + 1]) for i, choice in enumerate(toys.CHOICES)]
    return np.array([n_events, *q])


def assert_same_distribution(population, fast, plain):
    """Mean and standard deviation of N, q, tail count and q - 2 N h; the latter sees f0 behind N's fluctuations."""
    h = -np.average(population.f0[toys.R].ln(population.ts[toys.R]), weights=population.weights.sum(axis=0))
    fast, plain = (np.vstack([rows, rows[1] - 2 * rows[0] * h]) for rows in (fast, plain))
    for one, other in zip(fast, plain, strict=True):
        mean_error = np.sqrt(one.var() / len(one) + other.var() / len(other))
        assert abs(one.mean() - other.mean()) < ERRORS * mean_error
        kurtosis = np.mean((one - one.mean()) ** 4) / one.var() ** 2
        relative_error = np.sqrt((kurtosis - 1) / 4 * (1 / len(one) + 1 / len(other)))
        assert abs(other.std() / one.std() - 1) < ERRORS * relative_error


def test_background_toys(population):
    plain = toys.plain_toys(np.random.default_rng(2), N_PLAIN, toys.plain_inputs(population), 0.0)
    assert_same_distribution(population, background(population), plain)


def test_signal_toys(population):
    """Nested increments on background toys, at the largest cross-section, against whole toys."""
    drawn = [cells.background_block(population, 1.0, "background", block, toys.CHOICES) for block in range(4)]
    drawn = [(n, np.hstack(totals)) for n, totals in drawn]
    signal = [toys.signal_toys(population, stream("signal", block)) for block in range(4)]
    n_events = np.concatenate([n + counts[:, -1] for (n, _), (counts, _) in zip(drawn, signal, strict=True)])
    sums = np.concatenate([a + b[:, -1] for (_, a), (_, b) in zip(drawn, signal, strict=True)])
    plain = toys.plain_toys(np.random.default_rng(3), N_PLAIN, toys.plain_inputs(population), toys.N_SIGNAL)
    assert_same_distribution(population, evaluate(population, n_events, sums), plain)
    assert abs(plain[0].mean() - background(population)[0].mean() - toys.N_SIGNAL) < ERRORS * np.sqrt(6670 / N_PLAIN)


def test_plain_vectors_follow_every_photon():
    """The same recoils, electrons and numbers of photons, but other charges."""
    energy_keV = np.full(400, 20.0)
    (fast, _), (plain, _) = simulation.vectors(energy_keV), simulation.plain_vectors(energy_keV)
    np.testing.assert_array_equal(fast["s1_pe"], plain["s1_pe"])
    assert np.all(fast["s2_pe"] != plain["s2_pe"])
    np.testing.assert_allclose(fast["s2_pe"], plain["s2_pe"], rtol=0.025)  # five sigma of the charges of 20 000 photons


def test_plain_images_show_the_same_events():
    """Truth but for the S2's charges, and pictures that differ by their noise alone."""
    energy_keV = np.array([3.0, 20.0, 60.0])
    (fast, painted), (plain, drawn) = simulation.images(energy_keV), simulation.plain_images(energy_keV)
    np.testing.assert_array_equal(fast["s1_pe"], plain["s1_pe"])
    np.testing.assert_allclose(fast["s2_pe"], plain["s2_pe"], rtol=0.05)
    assert painted.shape == drawn.shape and painted.dtype == drawn.dtype
    difference = np.abs(painted.astype(int) - drawn).mean(axis=1)
    assert np.all(difference < 5)
    assert np.all(np.abs(painted[[1, 2, 0]].astype(int) - drawn).mean(axis=1) > 2 * difference)


def test_a_plain_image_is_white_where_there_is_nothing():
    _, readout = events.simulate(xenonnt.CONSTANTS, "ER", np.array([10.0]), "plain")
    drawn = painting.plain_image(readout, 0, xenonnt.CONSTANTS)
    assert np.all(drawn[painting.PANEL] == 255) and drawn.min() < 100


def test_every_comparison_has_a_ratio():
    found = bench.run(seconds=0.02)
    assert len({comparison.name for comparison in found}) == len(found) == sum(len(r.sides()) for r in bench.ROOMS)
    for comparison in found:
        assert comparison.ratio == comparison.fast_per_s / comparison.slow_per_s > 0
        assert comparison.unit.endswith("/ s")


def test_per_second_counts_units():
    calls = []
    rate = Work(lambda: calls.append(sum(range(1000))), 7).per_second(0.01)
    assert rate > 7 * (len(calls) - 1) / 0.1


@pytest.fixture(scope="module")
def budgets():
    return budget.run()


def test_a_budget_is_whole(budgets):
    assert [each.name for each in budgets] == [name for name, *_ in budget.CASES]
    for each in budgets:
        assert min(each.stages.values()) > 0 and len(each.stages) == len(budget.STAGES) + 2
        assert each.total_s == sum(each.stages.values()) > each.random_s > 0
        assert each.ratio == each.total_s / each.random_s
        assert each.stages["S2 light"] > each.stages["collection"]


def test_its_rows_show_every_stage_and_the_ratio(budgets):
    rows = budget.rows(budgets)
    assert [name for name, *_ in rows][-3:] == ["all", "its random numbers alone", "ratio"]
    assert all(len(row) == 1 + len(budgets) for row in rows)
    shown = [sum(float(row[1 + i]) for row in rows[:-3]) for i in range(len(budgets))]
    np.testing.assert_allclose(shown, [float(text) for _, *texts in rows[-3:-2] for text in texts], atol=0.4)


def test_a_budget_leaves_the_simulation_as_it_was(budgets):
    for functions in budget.STAGES.values():
        for module, name in functions:
            assert getattr(module, name).__module__ == module.__name__


def test_s2_draws_are_those_of_every_photon_where_photons_are_followed():
    tpc = TPC(**darwin.CONSTANTS.model_dump() | {"double_pe_probability": 0.0, "spe_resolution": 0.0})
    light = s2.s2_light(n_events=20, electrons=30)
    waveform, hits, charge = s2.fast_s2(tpc, light)
    photons = int(charge.sum())
    assert budget.s2_draws(light.electrons, waveform, hits, charge, 1.0) == 2 * 30 * 20 + photons


def test_s2_draws_are_few_where_light_is_shared_out():
    tpc, light = darwin.CONSTANTS, s2.s2_light(n_events=20, electrons=1000)
    waveform, hits, charge = s2.fast_s2(tpc, light)
    found = budget.s2_draws(light.electrons, waveform, hits, charge, events.mean_charge(tpc)) / 20
    shares = np.count_nonzero(waveform) / 20 + hits.shape[1]
    assert 2000 + shares < found < 2000 + 1.5 * shares < charge.mean() / 4


def test_the_driver_finds_a_finished_grid_finished_and_says_what_that_took():
    found = driver.resumed(1000)
    assert found.n_cells == 1000 and min(found.plan_s, found.decide_s, found.table_s) > 0
    assert found.peak_MB >= found.imports_MB > 50


def test_what_a_task_costs_the_driver_is_said_for_each_number_in_flight():
    few, more = driver.in_flight((20, 200))
    assert (few.n_tasks, more.n_tasks) == (20, 200)
    assert 0 < min(few.start_ms, few.next_ms, more.start_ms, more.next_ms)


def test_a_ledger_is_opened_by_each_of_its_segments_and_by_one():
    found = driver.segments(150)
    assert found.n_segments == 150 and min(found.each_s, found.one_s) > 0
    assert found.one_bytes > 150 * 100  # an entry has a hash, an item and a path


def test_what_keeps_a_processor_busy_is_events():
    (part,) = driver.throw([3, 4])
    assert part.items == ("3", "4")


def test_a_stage_takes_at_least_the_time_of_its_work():
    found = driver.overhead(n_units=40)
    assert found.work_s == 40 * driver.UNIT_S / 2
    assert 1 < found.ratio < 20
