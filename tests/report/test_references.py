"""What the papers on DARWIN print is what the darwin_* studies ask, and what their reports are held against."""

import tomllib

import pytest
from scipy.stats import norm

from engine import study
from engine.report import references


@pytest.fixture(scope="module")
def printed(request):
    return tomllib.loads((request.config.rootpath / "tests" / "references" / "darwin_papers.toml").read_text())


@pytest.fixture(scope="module")
def plane():
    return study.load("darwin_plane")


def published(name):
    """(table, column, statistic, exposure) -> the number, of a study."""
    return {(one.column, one.where.get("statistic"), one.where.get("exposure_ty")): one.published
            for one in references.known()[name]}  # fmt: skip


def test_networks_and_events_are_as_printed(printed, plane):
    config = {role: plane.fitted[role].config for role in ("vae", "classifier")}
    for role, table in (("vae", "table_1"), ("classifier", "table_2")):
        said = {key: list(value) if isinstance(value, tuple) else value for key, value in config[role].items()}
        assert {key: said[key] for key in printed[table]} == printed[table]
        assert said["validation_fraction"] == printed["training"]["validation_fraction"]
    assert plane.events.train_per_kind == printed["training"]["per_kind"]
    assert plane.backgrounds.rates == "idealised"


def test_the_search_is_as_printed(printed, plane):
    search, at = printed["search"], plane.at
    assert at == {"m_chi_GeV": search["m_chi_GeV"], "sigma_si_cm2": search["sigma_si_cm2"]}
    assert search["R"] in plane.score.R and plane.toys.null == plane.toys.signal == search["n_toys"]
    tune = study.load("darwin_weight").tune
    assert list(tune.m_chi_GeV) == search["tuned_at_GeV"] and tune.exposure_ty == search["exposure_ty"]
    shown = study.load("darwin_scores")
    assert list(shown.figures.m_chi_GeV) == printed["scores"]["m_chi_GeV"]
    assert shown.figures.size == printed["scores"]["sigma_si_cm2"]
    options = [study.load("darwin_exposure").toys.statistic(name)[1] for name in ("veto_99", "veto_9998")]
    assert [one.er_rejection for one in options] == printed["veto"]["er_rejection"]
    assert {one.nr_acceptance for one in options} == {printed["veto"]["nr_acceptance"]}


def test_uncertainties_of_rates_are_those_of_table_3(printed, plane):
    sd = {name: plane.backgrounds.relative_uncertainty(name) for name in printed["table_3"]}
    assert sd == pytest.approx(printed["table_3"])


def test_reports_compare_with_what_is_printed(printed):
    search, classifier = printed["search"], printed["classifier"] | printed["talk_classifier"]
    for name in ("darwin_plane", "darwin_q", "darwin_exposure"):
        found = published(name)
        assert found["n_background", "extended_poisson", 200.0] == search["n_background"]
        assert found["z_exact", "extended_poisson", 200.0] == search["z_literal"]
    ratio = norm.sf(published("darwin_q")["z_median", "template_likelihood", 200.0]) / norm.sf(search["z_literal"])
    assert ratio == pytest.approx(search["p_ratio_to_likelihood"], rel=0.02)
    at = "z_median", "template_likelihood", search["z_likelihood_exposure_ty"]
    assert published("darwin_exposure")[at] == search["z_likelihood"]
    assert {column: number for (column, _, _), number in published("darwin_training").items()} == classifier
    known = references.known()
    assert all(one.why for name in known if name.startswith("darwin_") for one in known[name])
