"""The studies of the XENONnT paper are as it prints them, and share their fits."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from engine import study
from engine.assembly.population import signal_weights, unscored
from engine.physics import events, proposals
from engine.plan.plan import Plan
from engine.report import references

PAPER = tomllib.loads((Path(__file__).parent / "references/xenonnt_images.toml").read_text(encoding="utf-8"))
STUDIES = ["xenonnt_images", "xenonnt_scores", "xenonnt_weight", "xenonnt_exposure", "xenonnt_discovery"]


@pytest.fixture(scope="module")
def plan():
    return Plan(study.load("xenonnt_images"))


@pytest.mark.parametrize("preset", ["paper", "medium", "small"])
def test_all_of_them_stand_on_one_pair_of_fits_and_one_scored_pool(preset):
    plans = [Plan(study.load(name, (f"preset={preset}",))) for name in STUDIES]
    assert len({(*plan.models.values(), plan.scored_pool) for plan in plans}) == 1


def test_networks_are_those_that_are_printed(plan):
    vae, classifier = plan.study.models["vae"], plan.study.models["classifier"]
    printed = PAPER["autoencoder"]
    same = {name: printed[name] for name in ("filters", "beta", "batch_size", "epochs")}
    assert {name: vae.config[name] for name in same} == same and 2 * vae.config["filters"] == printed["latent"]
    assert (vae.name, classifier.name, plan.study.representation.name) == ("conv_vae", "cnn_classifier", "image")
    assert 1 - vae.config["validation_fraction"] == printed["n_train"] / PAPER["images"]["per_kind"]


def test_as_many_images_are_registered_as_are_printed(plan):
    masses = plan.study.events.nr.m_chi_GeV
    assert list(masses.ends) == PAPER["images"]["masses_GeV"]
    low, high = plan.study.events.nr.energy_keV
    spectra = proposals.of_spectra([plan.study.signal.at(mass).rate for mass in masses.points()], low, high)
    thrown = {"ER": proposals.draw("uniform", *plan.study.events.energy_keV, 10_000, np.random.default_rng(1)),
              "NR": spectra.draw(10_000, np.random.default_rng(2))}  # fmt: skip
    for kind, energy in thrown.items():
        share = events.charged(plan.study.detector.constants, kind, energy, "images")["registered"].mean()
        for purpose, wanted in (("train", "per_kind"), ("test", "test_per_kind")):
            n = sum(shard.n_thrown for shard in plan.shards[purpose] if shard.kind == kind)
            assert share * n == pytest.approx(PAPER["images"][wanted], rel=0.05), (kind, purpose)


def test_as_many_wimps_are_expected_as_are_printed(plan):
    printed = PAPER["events"]
    assert list(plan.study.grid.masses) == printed["m_chi_GeV"]
    population = unscored(plan, 20_000)
    for mass, n, rel in zip(printed["m_chi_GeV"], printed["n_signal"], printed["rel"], strict=True):
        signal = plan.study.signal.at(mass)
        assert signal.value == printed["sigma_si_cm2"]
        assert signal_weights(signal, population).sum() * printed["exposure_ty"] == pytest.approx(n, rel=rel)


def test_the_report_has_these_numbers_beside_ours():
    printed = PAPER["events"]
    told = {one.where["m_chi_GeV"]: one.published for one in references.known()["xenonnt_scores"]}
    assert told == dict(zip(printed["m_chi_GeV"], printed["n_signal"], strict=True))


def test_figures_show_what_is_printed():
    assert study.load("xenonnt_images").score.R == (0.0, PAPER["score"]["R"])
    band = study.load("xenonnt_discovery")
    assert [band.score.R[0], band.score.R[-1]] == PAPER["score"]["band_R"]
    assert band.grid.masses == (PAPER["score"]["band_m_chi_GeV"],)
    scanned = np.array(study.load("xenonnt_weight").score.R)
    inside = (scanned >= PAPER["score"]["best_R"][0]) & (scanned <= PAPER["score"]["best_R"][1])
    assert inside.sum() >= 3 and scanned.min() == 0 and scanned.max() >= 1e3, "the plateaus, and what lies between"
