"""The shipped studies of published sensitivities: that they ask what was published, and how near their medians come."""

import csv
import os
import tomllib
from pathlib import Path

import pytest
from scipy import stats
from scipy.optimize import brentq

from engine import study
from engine.assembly.population import signal_weights
from engine.inference import experiments, limits
from engine.inference.pools import DENSITY_HALF
from engine.run import pipeline
from engine.store.store import Store

TOP = Path(__file__).parents[1]
DATA = Path(os.environ.get("RECOILSCAN_DATA", TOP.parent / "shared" / "data"))
PUBLISHED = tomllib.loads((TOP / "tests" / "references" / "published_limits.toml").read_text())
FACTOR = 1.3  # within which a median is the published one
POOL = 0.15  # relative, of what another pool does to a median; seeds give 5 % in these studies


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_study_asks_what_was_published_and_says_so(name):
    asked, published = study.load(name), PUBLISHED[name]
    assert list(asked.grid.masses) == published["m_chi_GeV"] == sorted(published["m_chi_GeV"])
    assert asked.grid.exposure_ty.points() == (published["exposure_ty"],)
    assert asked.benchmark_signal.m_chi_GeV in published["m_chi_GeV"] and asked.limits.enabled
    assert len(published["sigma_si_90_cm2"]) == len(published["m_chi_GeV"])
    opening = (TOP / "scans" / f"{name}.toml").read_text().split("\nseed")[0]
    assert opening.startswith(f"# {name}: ") and f"recoilscan scan {name}" in opening
    assert all(word in opening for word in ("Cost: ", "Expected: ", published["source"].split(",")[0]))


def test_xenon1ts_medians_are_those_of_its_file():
    path = DATA / "xenon1t_sr0_result.csv"
    if not path.is_file():
        pytest.skip(f"no {path}: the published sensitivity is not there")
    with path.open() as file:
        of_file = {float(row["mass_gev"]): 1e-45 * float(row["sensitivity_median_zb"]) for row in csv.DictReader(file)}
    published = PUBLISHED["limit_xenon1t_sr0"]
    for mass, sigma_cm2 in zip(published["m_chi_GeV"], published["sigma_si_90_cm2"], strict=True):
        assert sigma_cm2 == pytest.approx(of_file[mass], rel=1e-3)


def counted(background: float) -> float:
    """The median 90 % CL upper limit on the events of a signal among `background` expected ones, counted."""
    n = stats.poisson.ppf(0.5, background)
    return brentq(lambda signal: stats.poisson.cdf(n, background + signal) - 0.1, 0, 100)


@pytest.mark.parametrize(
    ("background", "events"), [(0.0, 2.303), (2.37, 2.952), (6.0, 4.532)]
)  # ln 10; the others solve P(n or fewer | b + s) = 0.1 for n = 2 and 6, b + s = 5.322 and 10.532 (PDG, Table of n)
def test_a_count_has_the_limit_of_the_tables(background, events):
    assert counted(background) == pytest.approx(events, abs=0.002)


def found(asked, store):
    """Of every mass, the experiment that its limit is of, and the events that 1 cm2 would give in it."""
    outcome = pipeline.run(asked, store, workers=0)
    pool, (exposure_ty,) = outcome.population, asked.grid.exposure_ty.points()
    background = experiments.backgrounds(pool.null(None, exposure_ty))
    for mass in asked.grid.masses:
        weights = signal_weights(asked.signal.at(mass), pool)
        halves = weights[pool.pool.half == DENSITY_HALF], pool.signal(weights) * exposure_ty
        where = experiments.settled(background.unbinned(*halves))
        yield where, where.expected[-1] / asked.signal.size.reference


def median_cm2(experiment, per_cm2, **level):
    """The asymptotic median, one-sided, whatever method the study's own limits have."""
    return limits.median_limit(experiment, **level).mu_90 * experiment.expected[-1] / per_cm2


def because(reason, experiment, per_cm2):
    """The limit with the one change that the reason names."""
    if "level" in reason:
        return median_cm2(experiment, per_cm2, level=reason["level"])
    return counted(reason["background"]) / reason["acceptance"] / per_cm2


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_median_is_the_published_one_or_the_reason_is_known(name, tmp_path):
    published = PUBLISHED[name]
    made = [*found(study.load(name), Store(str(tmp_path / "store")))]
    columns = published["m_chi_GeV"], published["sigma_si_90_cm2"], published["ours"]
    for one, mass, theirs_cm2, ours_cm2 in zip(made, *columns, strict=True):
        median = median_cm2(*one)
        assert median == pytest.approx(ours_cm2, rel=POOL)
        if mass not in published.get("open_m_chi_GeV", []):
            explained = because(published["reason"], *one) if "reason" in published else median
            assert 1 / FACTOR < explained / theirs_cm2 < FACTOR
