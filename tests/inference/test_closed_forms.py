"""What p must be where no toy is needed to know it: without signal, and from less signal to more."""

import pkgutil
from importlib import import_module

import numpy as np
import pytest
from scipy import stats

from engine.inference import teststats
from engine.inference.pools import TOY_HALF
from engine.inference.teststats import centred, conditional, count, extended_poisson, tail_count

N_LINEAGES, N_TOYS = 100, 1000
ADDITIVE = [
    module
    for _, name, _ in pkgutil.iter_modules(teststats.__path__)
    if (module := import_module(f"{teststats.__name__}.{name}")).ADDITIVE
]


def short(module):
    return module.__name__.rpartition(".")[2]


def without_signal(cells_of, population, choice, exposure_ty=1.0):
    """(lineages,) p_median and q_median of toys that carry nothing."""
    found = [cells_of(population, [choice], ("nothing", i), [0.0], exposure_ty)[0][0] for i in range(N_LINEAGES)]
    return np.array([(cell.significance.p, cell.significance.q_median) for cell in found]).T


@pytest.mark.parametrize("module", [extended_poisson, centred, conditional], ids=short)
@pytest.mark.parametrize("relative_sd", [(0.0, 0.0), (0.1, 0.3)], ids=["idealised", "prior_predictive"])
def test_without_signal_a_continuous_statistic_gives_one_half(
    make_population, once, cells_of, assert_standard, module, relative_sd
):  # fmt: skip
    """Null toys beyond the median of as many like them: of either sample's error, nothing else is seen."""
    population = make_population(relative_uncertainty=relative_sd)
    p, _ = without_signal(cells_of, population, once(module, population))
    assert_standard((p - 0.5) / np.sqrt(0.25 / N_TOYS + 0.25 / N_TOYS))


@pytest.mark.parametrize(("module", "exposure_ty"), [(count, 0.1), (tail_count, 1.0)], ids=["count", "tail_count"])
def test_without_signal_a_count_gives_the_poisson_tail_at_its_median(
    population, once, cells_of, assert_standard, module, exposure_ty
):  # fmt: skip
    """P(N >= median) exceeds one half, by much where few events are expected; the toys' median is the law's."""
    mean = population.n_background(exposure_ty)
    if module is tail_count:
        threshold, half = once(module, population).prepare(None).threshold, population.pool.half == TOY_HALF
        above = (population.ts[1.0] > threshold)[half]
        mean = population.null(1.0, exposure_ty).drawn.total[above].sum()
    median = stats.poisson.median(mean)
    expected = stats.poisson.sf(median - 1, mean)
    assert expected > 0.52
    options = {"pool_error": False} if module is tail_count else {}
    p, q = without_signal(cells_of, population, once(module, population, exposure_ty, **options), exposure_ty)
    assert (q == median).all()
    assert_standard((p - expected) / np.sqrt(expected * (1 - expected) / N_TOYS))


@pytest.mark.parametrize("module", ADDITIVE, ids=short)
def test_p_falls_as_the_signal_grows(population, once, cells_of, module):
    """From nothing to forty events on 63, until no null toy is left that reaches the median."""
    rows = cells_of(population, [once(module, population)], ("grows",), [0.0, 5.0, 10.0, 20.0, 40.0], blocks=2)
    p = np.array([row[0].significance.p for row in rows])
    smallest = 1 / (2 * N_TOYS + 1)
    assert p[0] > 0.4 and p[-1] < 2 * smallest
    assert (np.diff(p)[p[:-1] > smallest] < 0).all() and (np.diff(p) <= 0).all()
