"""p-values of background-only experiments: uniform where q is continuous, never too small where it is not."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from engine.inference.cells import background_block
from engine.inference.hypothesis import Scored
from engine.inference.pools import DENSITY_HALF, TOY_HALF
from engine.inference.significance import n_at_or_above
from engine.inference.teststats import centred, conditional, count, deviance, excess_scan, extended_poisson, tail_count

LEVELS = (0.5, 0.1587, 0.0228, 1.35e-3)  # 0, 1, 2 and 3 sigma
SMALLEST = 1e-3  # probability of a test that is failed by chance
RATES = {"idealised": (0.0, 0.0), "prior_predictive": (0.1, 0.3)}
N_BLOCKS = 20  # of a thousand toys, on either side
N_POOLS = 300
EXPECTED = (20.0, 1.0)  # ER and NR events of a true experiment


def short(module):
    return module.__name__.rpartition(".")[2]


def p_values(q, q_null):
    """(k + 1) / (n + 1) of each experiment under the same null toys."""
    ordered = np.sort(q_null)
    return np.array([(n_at_or_above(ordered, one) + 1) / (len(ordered) + 1) for one in q])


def toys_of(population, choice, hypothesis, blocks, exposure_ty=1.0):
    """q of blocks of toys without signal; "null" and "background" toys are drawn apart."""
    drawn = [background_block(population, exposure_ty, hypothesis, block, [choice]) for block in blocks]
    return np.concatenate([choice.prepare(None).q(n_events, totals) for n_events, (totals,) in drawn])


def kolmogorov(p, n_null=np.inf):
    """Probability of p being as far from uniform, where all of them share n_null toys of their own error."""
    effective = len(p) / (1 + len(p) / n_null)
    return stats.kstwobign.sf(stats.kstest(p, "uniform").statistic * np.sqrt(effective))


def excess(p, level, n_null=np.inf):
    """P(p <= level) less the level, in units of its error: of the experiments' number, and of the null's."""
    return (np.mean(p <= level) - level) / np.sqrt(level * (1 - level) * (1 / len(p) + 1 / n_null))


@pytest.mark.parametrize("relative_sd", RATES.values(), ids=RATES)
@pytest.mark.parametrize("module", [extended_poisson, centred, conditional], ids=short)
def test_p_of_a_continuous_statistic_is_uniform(make_population, once, module, relative_sd):
    population = make_population(relative_uncertainty=relative_sd)
    choice = once(module, population)
    q_null, q = (toys_of(population, choice, name, range(N_BLOCKS)) for name in ("null", "background"))
    assert kolmogorov(p_values(q, q_null), len(q_null)) > SMALLEST


@pytest.mark.parametrize("relative_sd", RATES.values(), ids=RATES)
@pytest.mark.parametrize("module", [count, tail_count, excess_scan, deviance], ids=short)
def test_p_of_a_discrete_statistic_is_never_too_small(make_population, once, module, relative_sd):
    population = make_population(relative_uncertainty=relative_sd)
    choice = once(module, population)
    q_null, q = (toys_of(population, choice, name, range(N_BLOCKS)) for name in ("null", "background"))
    p = p_values(q, q_null)
    assert max(excess(p, level, len(q_null)) for level in LEVELS) < 3


def judged_by_a_shorter_exposure(population, choice):
    """(p, number of null toys) of experiments that last a tenth longer than what they are judged by."""
    q_null = toys_of(population, choice, "null", range(N_BLOCKS))
    return p_values(toys_of(population, choice, "background", range(N_BLOCKS), 1.1), q_null), len(q_null)


@pytest.mark.parametrize("module", [extended_poisson, centred, count, tail_count], ids=short)
def test_q_of_another_exposure_is_found_out(population, once, module):
    """What coverage is asked above can be lost."""
    options = {"pool_error": False} if module is tail_count else {}  # which is as large as what is looked for
    p, n_null = judged_by_a_shorter_exposure(population, once(module, population, **options))
    if module in (count, tail_count):
        assert max(excess(p, level, n_null) for level in LEVELS) > 5
    else:
        assert kolmogorov(p, n_null) < SMALLEST


def test_given_the_number_of_events_the_exposure_does_not_matter(population, once):
    """The conditional statistic keeps its coverage where the rate is not what was stated."""
    assert kolmogorov(*judged_by_a_shorter_exposure(population, once(conditional, population))) > SMALLEST


# Pools that differ: experiments of events that no pool has seen


@pytest.fixture
def truth(make_pool, make_scores):
    """Events that nothing is made of: 50 000 of either kind."""
    pool = make_pool(50_000, seed=10**6)
    return Scored(make_scores(pool, seed=10**6), pool.kind, pool.cs1_pe, pool.cs2_pe)


def true_experiment(rng, truth):
    """Events of one experiment of EXPECTED ER and NR."""
    chosen = [rng.choice(np.flatnonzero(truth.kind == kind), rng.poisson(EXPECTED[kind])) for kind in (0, 1)]
    return truth[np.concatenate(chosen)]


def p_of_truth(truth, population_of, once, module):
    """(N_POOLS,) p of one true experiment under a thousand null toys of a small pool of its own."""
    rng, p = np.random.default_rng(8), []
    for seed in range(N_POOLS):
        population = population_of(seed)
        choice, events = once(module, population), true_experiment(rng, truth)
        statistic = choice.prepare(None)
        q = statistic.q(np.array([len(events)]), statistic.columns(events).sum(axis=0)[None])
        p.append(p_values(q, toys_of(population, choice, "null", [0]))[0])
    return np.array(p)


@pytest.fixture
def small_population(make_pool, make_scores, make_population):
    """By number: 250 pool events of either kind in either half."""

    def of(seed):
        pool = make_pool(500, seed)
        return make_population(pool, make_scores(pool, seed), EXPECTED, key=("truth", seed))

    return of


@pytest.mark.parametrize("module", [extended_poisson, centred, tail_count], ids=short)
def test_true_experiments_are_covered_by_small_pools(truth, small_population, once, module):
    """f0, thresholds and toys of 500 ER events, for experiments of 20: their errors are not seen beside those of p."""
    p = p_of_truth(truth, small_population, once, module)
    assert max(excess(p, level) for level in LEVELS) < 3
    assert module is tail_count or kolmogorov(p) > SMALLEST


def rough(population, f0_half):
    """With f0 of a bandwidth so small that it knows its events by heart: those of this half."""
    half = population.pool.half if f0_half == DENSITY_HALF else 1 - population.pool.half
    learned = dataclasses.replace(population, pool=dataclasses.replace(population.pool, half=half), bandwidth=0.1)
    return dataclasses.replace(population, f0=learned.with_scores(population.ts).f0)


@pytest.mark.parametrize(("f0_half", "covered"), [(DENSITY_HALF, True), (TOY_HALF, False)], ids=["apart", "shared"])
def test_toys_of_the_events_behind_f0_would_know_them_by_heart(truth, small_population, once, f0_half, covered):
    """Why the pool has two halves: a true event lies between those that f0 was made of, and would look like signal."""
    p = p_of_truth(truth, lambda seed: rough(small_population(seed), f0_half), once, centred)
    assert (kolmogorov(p) > SMALLEST) == covered
