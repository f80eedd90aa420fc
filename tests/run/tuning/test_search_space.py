"""The section `tune.search`: what may be searched, what is refused, and what a value makes of a study."""

import re

import pytest

from engine import stages, study
from engine.errors import BadInput
from engine.plan.tune_plan import TunePlan
from engine.study.models import Model
from engine.study.search import changed, epochs_at

GRID = "tune.R={log=[1,1e6],n=4}"
BETA = "tune.search.models.vae.beta={log=[0.1,100]}"


def load(tiny, *settings):
    return study.load(str(tiny), (GRID, *settings))


def test_a_field_may_be_named_in_quotes_or_as_a_path(tiny):
    quoted = load(tiny, 'tune.search={"models.vae.beta"={log=[0.1,100]}}')
    assert quoted == load(tiny, BETA)
    (beta,) = quoted.tune.dimensions(quoted.models)
    assert (beta.key, beta.space.ends, beta.whole) == ("models.vae.beta", (0.1, 100.0), False)


def test_a_value_is_short_and_within_its_ends(tiny):
    parsed = load(tiny, "tune.search.models.vae.beta={log=[0.12345,98.765]}")
    (beta,) = parsed.tune.dimensions(parsed.models)
    assert [beta.value(drawn) for drawn in (0.12345, 3.14159, 98.765)] == [0.12345, 3.14, 98.765]


@pytest.mark.parametrize(("setting", "said"), [
    ("tune.search.models.vae.bta={log=[0.1,100]}", "did you mean 'models.vae.beta'"),
    ("tune.search.models.vae.beta={lgo=[0.1,100]}", "did you mean 'log'"),
    ("tune.search.models.vae.beta={log=[-1,100]}", "cannot reach zero"),
    ("tune.search.models.vae.beta={linear=[3,1]}", "low < high"),
    ("tune.search.models.vae.beta={linear=[1,3],choices=[1,2]}", "exactly one of"),
    ("tune.search.models.vae.beta={linear=[-1,3]}", "beta = -1.0 is not accepted"),
    ("tune.search.models.vae.latent={linear=[0,8]}", "latent = 0 is not accepted"),
    ("tune.search.models.vae.latent={linear=[1.5,8]}", "must be integers"),
    ("tune.search.models.vae.latent={choices=[4,4]}", "twice"),
    ("tune.search.models.vae.preprocess={linear=[0,1]}", "give choices"),
    ("tune.search.models.vae.preprocess={choices=['max','mxa']}", "'mxa' is not accepted"),
    ("tune.objective='er_leakage'", "unknown tune.objective"),
    ("tune.pruning={}", "goes with tune.search"),
])  # fmt: skip
def test_what_cannot_be_searched_is_refused_with_the_reason(tiny, setting, said):
    with pytest.raises(BadInput, match=re.escape(said)) as error:
        load(tiny, setting)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("setting", "said"), [
    ("tune.objective='er_leakge'", "did you mean 'er_leakage'"),
    ("score.gpus_per_task=0.5", "score.gpus_per_task = 0.5 asks for a GPU there, give training.gpus_per_worker"),
    ("tune.pruning={prunr='median'}", "did you mean 'pruner'"),
    ("tune.pruning={rungs=[0.5,0.2]}", "must ascend"),
])  # fmt: skip
def test_what_does_not_go_with_a_search_is_refused(tiny, setting, said):
    with pytest.raises(BadInput, match=re.escape(said)):
        load(tiny, BETA, setting)


def test_exposures_for_three_sigma_want_a_statistic_that_no_unit_moves(tiny):
    load(tiny, BETA, "tune.objective='t3'")
    with pytest.raises(BadInput, match=r"tune\.t3_of.*changes its unit"):
        load(tiny, BETA, "tune.objective='t3'", "tune.t3_of='extended_poisson'")


def test_a_search_changes_no_item_of_the_scan_over_R(tiny):
    plain, searched = TunePlan(load(tiny)), TunePlan(load(tiny, BETA, "tune.pruning={}", "tune.trials=3"))
    assert stages.items(searched) == stages.items(plain)


def test_changed_models_are_those_of_a_study_with_these_values(tiny):
    parsed = load(tiny)
    values = {"models.vae.beta": 3.0, "models.vae.hidden": [16], "models.classifier.epochs": 1}
    by_hand = load(tiny, *(f"{key}={value}" for key, value in values.items()))
    assert changed(parsed.models, values) == by_hand.models


@pytest.mark.parametrize(("fraction", "warm_up", "epochs"), [(0.25, 0, 3), (0.25, 6, 7), (0.5, 0, 5), (0.5, 12, 10)])
def test_a_rung_lies_above_the_warm_up(fraction, warm_up, epochs):
    model = Model.model_validate({"name": "dense_vae", "epochs": 10, "warm_up_epochs": warm_up})
    assert epochs_at(model, fraction) == epochs
