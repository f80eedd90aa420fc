"""A scan's parameters are few, and tell studies apart; its name says its models."""

import pytest
from studies import TINY

from engine import study
from engine.plan.plan import Plan
from engine.report.tracking import records, words


@pytest.fixture(scope="module")
def told():
    """The parameters of the tiny study with some settings."""

    def call(*settings: str) -> dict[str, str]:
        plan = Plan(study.load(str(TINY), settings))
        return {name: str(value) for name, value in words.parameters(plan, words.labels(plan.study)).items()}

    return call


def test_models_and_what_else_studies_differ_in_come_first(told):
    expected = {
        "vae": "dense_vae", "classifier": "mlp_classifier", "score": "elbo_and_classifier", "representation": "vector",
        "R": "10000", "beta": "10.0", "detector": "darwin", "exposure": "20, 50 t y",
        "signal": "wimp_si, 50 GeV, 6.5e-48 cm2", "seed": "3",
    }  # fmt: skip
    found = told()
    assert list(found.items())[:-1] == list(expected.items())
    assert found["with"].startswith("vae.hidden = [32]; vae.latent = 4; ") and "beta" not in found["with"]
    assert max(found) == "with", "MLflow's comparison shows the first three names that differ"


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("models.vae.beta=2.0", "beta", "2.0"),
        ("training.n_seeds=3", "seed", "3 (3 fits)"),
        ("score.R=[0.0,5.0]", "R", "0, 5"),
        ("models.vae.activation='relu'", "with", "vae.activation = relu; "),
    ],
)
def test_a_study_that_differs_has_another_value(told, setting, name, value):
    found, usual = told(setting), told()
    assert value in found[name] and found[name] != usual[name]


def test_a_role_of_another_score_is_a_parameter_of_its_name(told):
    found = told("score.name='density'", "models={density={name='flow',representation='summary'}}", "score.R=[0.0]")
    assert found["density"] == "flow" and not {"vae", "classifier", "beta"} & found.keys()


def test_a_run_is_named_by_study_models_and_seed():
    plan = Plan(study.load(str(TINY)))
    opened = records.opening("mine", plan)
    assert opened.name == "mine dense_vae + mlp_classifier, seed 3"
    labels = {"vae": "wide dense_vae", "classifier": "mlp_classifier"}
    assert records.opening("mine", plan, labels).name == "mine wide dense_vae + mlp_classifier, seed 3"
    assert set(opened.tags) == {"stage", "study", "versions", "machine"}


@pytest.mark.parametrize("family", ["mine", "/a/b/mine.py", "a.b.mine"])
def test_a_family_is_called_by_its_last_name(family):
    assert words.short(family) == "mine"
