"""Which row models are compared by, and when two of them stand on the same ground."""

import math

import pyarrow as pa
import pytest
from studies import TINY

from engine import study
from engine.plan.plan import Plan
from engine.report.tracking import masses, ranking

AT = {"m_chi_GeV": 50.0, "sigma_si_cm2": 6.5e-48}


@pytest.fixture(scope="module")
def plan_of():
    return lambda *settings: Plan(study.load(str(TINY), settings))


def row(statistic="tail_count", R: float | None = 1e4, z=1.0, **other) -> dict:
    monotone = statistic in ("tail_count", "excess_scan")
    return AT | {
        "exposure_ty": 50.0, "statistic": statistic, "R": R, "model_dependent": statistic == "known_signal",
        "monotone_invariant": monotone, "z_median": z, "z_exact": None, "p_median": 0.1, "point": "benchmark",
    } | other  # fmt: skip


def headline(plan: Plan, *rows: dict) -> dict | None:
    return ranking.headline(plan, pa.Table.from_pylist(list(rows)))


def test_it_is_the_best_R_of_tail_count_at_the_largest_exposure(plan_of):
    best = row(R=2e4, z=2.0)
    others = [row(), row(exposure_ty=20.0, z=9.0), row("excess_scan", z=8.0), row("extended_poisson", z=7.0),
              row("known_signal", z=9.0), row("count", R=None, z=9.0), row(m_chi_GeV=20.0, z=9.0)]  # fmt: skip
    assert headline(plan_of(), *others, best) == best


def test_an_exact_z_goes_before_that_of_toys(plan_of):
    found = headline(plan_of(), row(z=3.0, z_exact=1.0), row(R=2e4, z=2.0, z_exact=2.5))
    assert found["R"] == 2e4 and ranking.z(found) == 2.5


def test_without_tail_count_an_invariant_statistic_goes_before_the_others(plan_of):
    assert headline(plan_of(), row("extended_poisson", z=7.0), row("excess_scan", z=1.0))["statistic"] == "excess_scan"


def test_without_a_score_or_a_finite_z_there_is_none(plan_of):
    assert headline(plan_of(), row("count", R=None), row(z=-math.inf)) is None
    assert ranking.rank(plan_of(), None) is None


SAME = ["models.vae.latent=2", "score.R=[5e4]", "grid.m_chi_GeV.values=[20,50,100]", "toys.null=2000"]
OTHER = ["seed=4", "pool.er_events=6000", "benchmark.sigma_si_cm2=1e-47", "backgrounds.rates='idealised'",
         "toys.options.tail_count={b0=3.0}"]  # fmt: skip


def test_the_ground_is_the_pool_and_the_question_and_neither_model_nor_R(plan_of):
    ground = ranking.rank(plan_of(), row()).ground
    assert {ranking.rank(plan_of(setting), row()).ground for setting in SAME} == {ground}
    assert ground not in {ranking.rank(plan_of(setting), row()).ground for setting in OTHER}
    assert ranking.rank(plan_of(), row()).pool_events == 8000


def test_curves_stand_at_the_cross_section_next_to_the_benchmarks(plan_of):
    assert masses.nearest(plan_of()) == 1e-47
    assert masses.nearest(plan_of("benchmark.sigma_si_cm2=1e-50")) == 1e-48, "zero is no neighbour"
    assert masses.nearest(plan_of("grid.sigma_si_cm2.values=[0.0]")) == 0.0
