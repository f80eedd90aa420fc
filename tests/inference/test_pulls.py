"""Toys against exact laws over many lineages: what the columns `pull` and `pull_median` hold is a unit normal."""

import numpy as np
import pyarrow as pa
import pytest

from engine.assembly import results
from engine.assembly.columns import empty
from engine.inference.teststats import centred, extended_poisson, tail_count
from engine.stages import exact as stage

N_LINEAGES, N_TOYS = 200, 1000
SIGNAL = {extended_poisson: 10.0, centred: 3.0, tail_count: 6.0}  # events on 63: one to two sigma
RATES = {"idealised": (0.0, 0.0), "prior_predictive": (0.1, 0.3)}


def short(module):
    return module.__name__.rpartition(".")[2]


def pulls_of(population, choice, expected, cells_of):
    """Pull and pull_median of one cell each, (lineages, 2), as in rows of results; the exact median and its p."""
    weights = population.pool.weights("NR", np.ones_like)
    signal = population.signal(weights * (expected / weights.sum()))
    null, alternative = choice.prepare(population.null(choice.R, 1.0)).distributions(signal)
    found = []
    for i in range(N_LINEAGES):
        cell = cells_of(population, [choice], ("pulls", i), [expected])[0][0].significance
        found.append({"p_median": cell.p, "tail": cell.tail, "n_below": cell.n_below, "n_toys_null": N_TOYS,
                      "n_toys_signal": N_TOYS} | stage.values(null, alternative, cell.q_median))  # fmt: skip
    columns = results.pulls(as_columns(found), np.full(len(found), True))
    exact = stage.values(null, alternative, None)
    pulls = [np.where(column.known, column.values, np.nan) for column in columns]
    return np.transpose(pulls), exact["q_exact"], exact["p_exact"]


def as_columns(rows):
    table, columns = pa.Table.from_pylist(rows), {}
    for name in table.column_names:
        columns[name] = empty(table[name].type, len(rows))
        columns[name].put(np.arange(len(rows)), table[name])
    return columns


@pytest.mark.parametrize("relative_sd", RATES.values(), ids=RATES)
@pytest.mark.parametrize("module", SIGNAL, ids=short)
def test_toys_scatter_about_the_exact_law_by_their_counting_error(
    make_population, once, cells_of, assert_standard, module, relative_sd
):  # fmt: skip
    population = make_population(relative_uncertainty=relative_sd)
    pulls, _, p = pulls_of(population, once(module, population), SIGNAL[module], cells_of)
    assert 0.02 < p < 0.2
    for column in pulls.T:
        assert_standard(column)


def test_the_widened_null_of_a_thin_pool_is_what_its_toys_follow(
    make_pool, make_population, once, cells_of, assert_standard
):  # fmt: skip
    """Its own law, and not that of a pool taken for the truth, which the pulls would tell apart."""
    population = make_population(make_pool(200))
    choice = once(tail_count, population)
    assert max(k for k, _ in choice.prepare(None).pool) < 100
    pulls, median, p = pulls_of(population, choice, SIGNAL[tail_count], cells_of)
    assert p > 1.1 * choice.prepare(None).unwidened().sf(np.array([median]))[0]  # 4.6 counting errors of 1000 toys
    for column in pulls.T:
        assert_standard(column)
