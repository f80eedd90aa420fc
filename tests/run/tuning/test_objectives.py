"""Objectives of a search, on a pool whose answers are known."""

import numpy as np
import pytest
from scipy.stats import norm

from engine import study
from engine.assembly import population as assembled
from engine.inference import reach
from engine.plan.search_plan import SearchPlan
from engine.plan.tune_plan import TunePlan
from engine.run.tuning import objectives, trials
from engine.run.tuning.objectives import argos, er_leakage, t3, worst_z

SETTINGS = (
    "tune.R={log=[1e-2,1e6],n=5}", "tune.m_chi_GeV=[30,50]", "toys.null=100", "toys.signal=100",
    "tune.search.models.vae.beta={log=[0.1,100]}", "toys.statistics=['tail_count']",
)  # fmt: skip


@pytest.fixture
def case(tiny, surrogate):
    def make(nr_recon, *settings):
        plan = SearchPlan(study.load(str(tiny), (*SETTINGS, *settings)))
        population = surrogate(nr_recon)
        return plan, population, assembled.signals(plan, population, plan.points)

    return make


def gaussians(weighted: bool):
    """TS and weights of two normal populations 2.5 sigma apart, drawn as they are or three times as broad."""
    rng, n, width = np.random.default_rng(2), 200_000, 3.0 if weighted else 1.0
    x = width * rng.standard_normal((2, n))
    weights = norm.pdf(x) / norm.pdf(x, scale=width)
    ts = np.concatenate([x[0], x[1] + 2.5])
    none = np.zeros(n)
    return ts, np.concatenate([weights[0], none]), np.concatenate([none, weights[1]])


@pytest.mark.parametrize("weighted", [False, True])
def test_leakage_is_that_of_two_gaussians_and_of_every_monotone_map(weighted):
    ts, er, nr = gaussians(weighted)
    found = er_leakage.leakage(ts, er, nr, 0.3)
    np.testing.assert_allclose(found, norm.sf(2.5 + norm.isf(0.3)), rtol=0.1)
    assert er_leakage.leakage(np.exp(ts), er, nr, 0.3) == found
    assert er_leakage.leakage(-ts, er, nr, 0.3) > 0.9


def test_the_error_of_a_leakage_is_about_binomial(case):
    plan, population, signals = case(150.0)  # of -ELBO alone: 1.5 sigma apart
    with_R = objectives.scored(plan, population, 1e-2)
    found = er_leakage.measure(plan, with_R, signals, 1e-2)
    assert found.value == -er_leakage.rank(plan, with_R, signals, 1e-2)
    np.testing.assert_allclose(found.value, norm.sf(1.5 + norm.isf(0.3)), rtol=0.25)
    binomial = np.sqrt(found.value / 8000)
    assert 0.3 * binomial < found.error < 3 * binomial and found.m_chi_GeV is None


def test_argos_knows_no_signal_and_falls_with_separation(case):
    values = []
    for nr_recon in (150.0, 300.0):
        plan, population, _ = case(nr_recon)
        found = argos.measure(plan, objectives.scored(plan, population, 1e-2), {}, 1e-2)
        assert found.value == argos.rank(plan, objectives.scored(plan, population, 1e-2), {}, 1e-2)
        assert 0 < found.error < found.value and found.m_chi_GeV is None
        values.append(found.value)
    assert values[0] != values[1]


@pytest.mark.parametrize("objective", [argos, er_leakage, worst_z])
def test_where_only_H_B_separates_a_large_R_is_chosen(case, objective):
    plan, population, signals = case(0.0)
    R, with_R = objectives.best_R(plan, population, signals, objective)
    assert R >= 1e2 and list(with_R.ts) == [R]
    small = objectives.scored(plan, population, 1e-2)
    assert objective.rank(plan, with_R, signals, R) > objective.rank(plan, small, signals, 1e-2)


@pytest.mark.parametrize(("own", "chosen"), [(3.0, 1e2), (1e4, 1e4)])
def test_of_equal_ranks_that_of_the_study_or_the_middle_R_is_chosen(case, own, chosen):
    plan, population, signals = case(0.0, f"score.R=[{own}]")

    class Flat:
        rank = staticmethod(lambda plan, population, signals, R: 1.0 if R >= 1.0 else 0.0)

    assert objectives.best_R(plan, population, signals, Flat)[0] == pytest.approx(chosen)


def test_the_worst_z_is_the_one_that_the_scan_over_R_finds(case):
    plan, population, signals = case(300.0)
    (part,) = trials.work(trials.TrialInputs(TunePlan(plan.study), population, signals), 100.0)
    found = worst_z.measure(plan, objectives.scored(plan, population, 100.0), signals, 100.0)
    assert (found.value, found.error, found.m_chi_GeV) == trials.objective(part.content, "tail_count")


def test_the_exposure_for_three_sigma_is_that_of_the_mass_that_needs_most(case):
    settings = "tune.objective='t3'", "reach.exposure_ty=[0.5,500]", "tune.m_chi_GeV=[15,50]"
    plan, population, signals = case(300.0, *settings)
    with_R = objectives.scored(plan, population, 100.0)
    found = t3.measure(plan, with_R, signals, 100.0)
    alone = []
    for point in plan.points:
        weights = signals[point.m_chi_GeV] * (point.size / plan.study.signal.size.reference)
        alone.append(reach.find(with_R, plan.choice(100.0), weights, reach.Aim(1.35e-3, 0.5), 0.5, 500)[0].exposure_ty)
    assert found.value == pytest.approx(max(alone), rel=2e-3) and min(alone) < 0.9 * max(alone)
    assert found.m_chi_GeV == plan.points[int(np.argmax(alone))].m_chi_GeV
    assert 0 < found.error < found.value


def test_an_exposure_beyond_the_range_is_infinite(case):
    plan, population, signals = case(0.0, "tune.objective='t3'", "reach.exposure_ty=[0.01,0.02]")
    found = t3.measure(plan, objectives.scored(plan, population, 1e-2), signals, 1e-2)
    assert np.isinf(found.value) and found.error is None


def test_names_lead_to_their_files():
    assert [objectives.of(name) for name in ("argos", "t3", "tail_count")] == [argos, t3, worst_z]
    assert [one.LARGER_IS_BETTER for one in (argos, er_leakage, t3, worst_z)] == [True, False, False, True]
