"""`fit`: rates and a charge yield of lists that were thrown with known ones, and of the public list."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from engine import study
from engine.assembly.population import own_events, unscored
from engine.inference import component_fit, observed, profile, toys
from engine.inference.component_fit import FittedRates
from engine.lineage import stream
from engine.plan.plan import Plan
from engine.run import list_fit, observation
from engine.run.list_fit import ListFit

DATA = Path(os.environ.get("RECOILSCAN_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
YIELD, N, N_LISTS, EXPOSURE_TY, TRUE = "xe124_ec.charge_yield_ratio_LL", 20_000, 100, 60.0, 0.757
SMALL, RANGE = ("pool.component_events=10000",), "=0.6:0.9"


@pytest.fixture(scope="module")
def parsed():
    return study.load("lz_ws2024", SMALL)


@pytest.fixture(scope="module")
def outside(parsed):
    """What is thrown outside the signal region, and beside it captures of the true charge yield."""
    plan = Plan(parsed)
    population = unscored(plan, N)
    *areas, weights = own_events(plan, "xe124_ec", N, list_fit._shift(parsed, list_fit.free(parsed, YIELD + RANGE),
                                                                      TRUE))  # fmt: skip
    kept = ~observed.in_region(population, *areas)[0]
    _, of_pool = observed.in_region(population, *(np.zeros((2, 0))))
    return population, population.only(~of_pool), (*(area[kept] for area in areas), weights[kept])


def a_list(outside, true, factors, rng):
    """cS1 and cS2 of an experiment: numbers by the true rates, captures by the true yield."""
    areas, drawn = (outside.pool.cs1_pe, outside.pool.cs2_pe), []
    for name, weights in zip(outside.names, outside.weights, strict=True):
        *of, weights = true if name == "xe124_ec" else (*areas, weights)
        n = rng.poisson(weights.sum() * EXPOSURE_TY * factors[name])
        drawn.append(np.array(of)[:, rng.choice(len(weights), n, p=weights / weights.sum())])
    return np.concatenate(drawn, axis=1)


def test_pulls_of_rates_and_yield_have_mean_0_and_width_1(parsed, outside):
    """Rates are drawn by their priors, list for list: by them the pulls are as wide as 1."""
    population, beyond, true = outside
    bins = component_fit.bins(beyond, EXPOSURE_TY)
    templates = list_fit._templates(Plan(parsed), population, beyond, EXPOSURE_TY, bins,
                                    list_fit.free(parsed, YIELD + RANGE), N)  # fmt: skip
    names, pulls, covered = templates.groups.names, [], []
    for i in range(N_LISTS):
        rng = stream("pulls", i)
        factor = toys.rate_factors(rng, templates.groups.relative_sd, 1)[0]
        of_each = dict(zip(beyond.names, factor @ templates.groups.member, strict=True))
        fitted = component_fit.fit(templates, bins.counts(*a_list(beyond, true, of_each, rng)))
        low, high = fitted.low or 0.6, fitted.high or 0.9
        of_yield = (fitted.value - TRUE) / (fitted.value - low if fitted.value > TRUE else high - fitted.value)
        pulls.append([*((fitted.factor - factor) / fitted.error), of_yield])
        covered.append(low < TRUE < high)
    places = [*(names.index(name) for name in ("betas", "er_solar", "er_intrinsic", "xe124_ec")), -1]
    pulls = np.array(pulls)[:, places]
    np.testing.assert_allclose(pulls.mean(axis=0), 0, atol=3.5 / np.sqrt(N_LISTS))
    np.testing.assert_allclose(pulls.std(axis=0), 1, atol=3.5 / np.sqrt(2 * N_LISTS))
    assert np.mean(covered) == pytest.approx(0.683, abs=3 * np.sqrt(0.683 * 0.317 / N_LISTS))


def test_without_an_option_the_likeliest_rate_of_one_component_is_the_count(outside):
    """A component without a prior takes what the others leave: its events are the list's."""
    _, beyond, _ = outside
    alone = beyond.pool.kind == 0
    of = dataclasses.replace(beyond.only(alone), weights=beyond.weights[:1, alone], names=("betas",),
                             relative_uncertainty=np.array([np.inf]))  # fmt: skip
    bins = component_fit.bins(of, 3.3)
    counts = np.random.default_rng(1).poisson(1.3 * bins.counts(of.pool.cs1_pe, of.pool.cs2_pe, 3.3 * of.weights[0]))
    fitted = component_fit.fit(component_fit.templates(of, 3.3, bins), counts.astype(float))
    total, error = fitted.total
    assert total == pytest.approx(counts.sum(), rel=1e-6) and error == pytest.approx(np.sqrt(counts.sum()), rel=1e-6)
    assert fitted.value is None and fitted.factor[0] == pytest.approx(1.3, abs=4 * fitted.error[0])


def test_what_was_fitted_becomes_the_studys_prior(parsed, tmp_path):
    """The options that are printed give a study whose rates, and their errors, are those of the fit."""
    groups = profile.nuisances(*zip(*((name, parsed.backgrounds.relative_uncertainty(name))
                                      for name in parsed.backgrounds.components), strict=True))  # fmt: skip
    factor = np.where(np.array(groups.names) == "betas", 1.2, 1.0)
    covariance = np.diag([*(np.where(factor > 1, 0.04, groups.relative_sd) ** 2), 0.03**2])
    fitted = FittedRates(groups, factor, covariance, np.ones(len(factor)), 0.0, 0.7, 0.66, None)
    of = ListFit(parsed, 10, 9.0, 1000, fitted, list_fit.free(parsed, YIELD + RANGE))
    assert list_fit.priors(of) == {
        "betas": {"rate_factor": 1.2, "relative_uncertainty": 0.03333},
        "xe124_ec": {"charge_yield_ratio_LL": 0.7, "charge_yield_sd": 0.12},
    }
    said = list(list_fit.lines(of))
    assert "68 % interval 0.6600 to beyond 0.9" in " ".join(said)
    study_file = tmp_path / "mine.toml"
    text = (Path(study.__file__).parents[2] / "scans" / "lz_ws2024.toml").read_text()
    study_file.write_text(text.replace("[backgrounds]", "\n".join(said[said.index("[backgrounds]"):-1])))
    by_set = study.load("lz_ws2024", tuple(said[-1].removeprefix("--set ").split(" --set ")))
    for mine in (study.load(str(study_file)), by_set):
        assert mine.backgrounds.relative_uncertainty("betas") == 0.03333
        energy = np.array([5.0])
        assert mine.backgrounds.rate("betas")(energy) == 1.2 * parsed.backgrounds.rate("betas")(energy)
        assert mine.backgrounds.spectrum("xe124_ec")[1].charge_yield_ratio_LL == 0.7
        assert Plan(mine).components != Plan(parsed).components


def test_the_charge_yield_of_captures_in_the_public_list_is_the_published_one():
    """0.69 +- 0.03 and 0.70 +- 0.04 (arXiv:2410.17036); ours by the profile likelihood."""
    path = DATA / "lz_ws2024.csv"
    if not path.is_file():
        pytest.skip(f"no {path}: the public list of events is not there")
    asked = study.load("lz_ws2024")
    seen = observation.selected_of(asked, path)
    of = list_fit.fit(asked, seen, 3.3, list_fit.free(asked, f"{YIELD}=0.5:1"), 20_000)
    assert of.n_events == 1218  # what `observe` counts outside the signal region
    low, high = of.fitted.low, of.fitted.high
    assert low < 0.70 and 0.69 < high and 0.03 < (high - low) / 2 < 0.09
    total, error = of.fitted.total
    assert total == pytest.approx(of.n_events, abs=error) and error < 40


@pytest.mark.parametrize("words, said", [
    ("xe124_ec.width_keV=0.1:0.2", "option to fit 'xe124_ec.width_keV'"),
    (f"{YIELD}=0.9", "expected xe124_ec.charge_yield_ratio_LL=LOW:HIGH"),
    (f"{YIELD}=0.9:0.7", "must ascend"),
    (f"{YIELD}=0.9:1.7", "less than or equal to 1"),
])  # fmt: skip
def test_bad_input_is_one_line_before_any_work(run_here, tmp_path, words, said):
    done = run_here("fit", "lz_ws2024", tmp_path / "none.csv", "--free", words, check=2)
    assert said in done.stderr and done.stderr.count("\n") == 1
