"""Anomaly scores: what each makes of per-event terms, one of a user's own through a scan, and what is refused."""

import numpy as np
import pytest
from studies import TINY

from engine import study
from engine.errors import BadInput
from engine.inference.scores import classifier, density, elbo, elbo_and_classifier, weighted_sum
from engine.plan.plan import Plan
from engine.run import pipeline
from engine.store.store import Store

SMALL = (
    "events.train_per_kind=100", "events.test_per_kind=100", "pool.er_events=1000", "pool.nr_events=600",
    "toys.null=100", "toys.signal=100", "toys.statistics=['tail_count']", "toys.options.tail_count={ b0 = 300.0 }",
    "grid.m_chi_GeV.values=[50]", "grid.sigma_si_cm2.values=[1e-47]", "grid.exposure_ty.values=[20]",
    "limits.enabled=false",
)  # fmt: skip
GRID = {"m_chi_GeV": {"values": [50]}, "sigma_si_cm2": {"values": [1e-47]}, "exposure_ty": {"values": [20]}}
VAE, MLP = {"name": "dense_vae"}, {"name": "mlp_classifier"}

OWN = '''
"""The stronger of two classifiers' logits, times a factor, plus R."""
import numpy as np
from engine.options import Options as Base

ROLES = {"first": ("classifier", "mlp_classifier"), "second": ("classifier", None)}
WEIGHTED = True

class Options(Base):
    factor: float = 2.0

def parameters(configs, options):
    return {"factor": options.factor, "epochs": configs["second"]["epochs"]}

def ts(terms, R, parameters):
    return R + parameters["factor"] * np.maximum(terms["first"]["logit"], terms["second"]["logit"])

def words(parameters):
    return f"factor {parameters['factor']:g}"
'''


def asked(score=None, models=None):
    """The plan of a study with this score and these models."""
    return Plan(study.parse({"grid": GRID, "score": score or {}, "models": models or {}}))


@pytest.fixture(scope="module")
def terms():
    """Terms of 50 events of two autoencoders and a classifier, whose logits reach where exp would end."""
    rng = np.random.default_rng(3)
    vae, other = ({"recon": rng.gamma(4, 100, 50), "kl": rng.gamma(2, 3, 50)} for _ in range(2))
    return {"vae": vae, "other": other, "classifier": {"logit": np.append(rng.normal(0, 8, 48), [-900.0, 900.0])}}


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "stronger.py"
    path.write_text(OWN)
    return path


class TestNumbers:
    def test_the_papers_score_is_minus_elbo_plus_r_times_h_b(self, terms):
        """-ELBO = reconstruction + beta KL, H_B = -log(1 - p) of the probability p of a nuclear recoil."""
        plan, R = asked({"R": [7.0]}, {"vae": VAE | {"beta": 3.0}}), 7.0
        p = 1 / (1 + np.exp(-terms["classifier"]["logit"][:48]))
        minus_elbo = terms["vae"]["recon"] + 3.0 * terms["vae"]["kl"]
        expected = minus_elbo[:48] - R * np.log1p(-p)
        found = plan.ts(terms, R)
        assert plan.study.score.module is elbo_and_classifier
        np.testing.assert_allclose(found[:48], expected, rtol=1e-9)  # of 1 - p few digits are left
        # p -> 0 and p -> 1: H_B is nothing, and the logit itself
        np.testing.assert_allclose(found[48:], minus_elbo[48:] + R * np.array([0.0, 900.0]), rtol=1e-12)

    def test_without_a_weight_it_is_the_autoencoders_alone(self, terms):
        beta = {"vae": VAE | {"beta": 3.0}}
        alone = asked({"name": "elbo"}, beta)
        assert alone.study.score.module is elbo and list(alone.models) == ["vae"]
        np.testing.assert_array_equal(alone.ts(terms, 0.0), asked({"R": [0.0]}, beta).ts(terms, 0.0))
        np.testing.assert_allclose(alone.ts(terms, 0.0), terms["vae"]["recon"] + 3.0 * terms["vae"]["kl"], rtol=1e-14)

    def test_the_classifiers_alone_is_the_logit_and_orders_events_as_h_b_does(self, terms):
        plan = asked({"name": "classifier"})
        assert plan.study.score.module is classifier and list(plan.models) == ["classifier"]
        found = plan.ts(terms, 0.0)
        np.testing.assert_array_equal(found, terms["classifier"]["logit"])
        h_b = np.logaddexp(0, found)
        assert np.all(np.diff(h_b[np.argsort(found)]) >= 0)

    def test_a_densitys_is_minus_ln_p_alone_and_in_a_sum(self, terms):
        terms = terms | {"density": {"log_density": np.linspace(-40, 3, 50)}}
        models = {"density": {"name": "flow", "representation": "summary"}, "classifier": MLP}
        plan = asked({"name": "density"}, {"density": models["density"]})
        assert plan.study.score.module is density and list(plan.models) == ["density"]
        np.testing.assert_array_equal(plan.ts(terms, 0.0), np.linspace(40, -3, 50))
        plan = asked({"name": "weighted_sum", "options": {"weights": {"density": 2.0, "classifier": 1.0}}}, models)
        expected = 2 * np.linspace(40, -3, 50) + np.logaddexp(0, terms["classifier"]["logit"])
        np.testing.assert_allclose(plan.ts(terms, 0.0), expected, rtol=1e-12)

    def test_a_weighted_sum_takes_any_number_of_models(self, terms):
        weights = {"vae": 1.0, "other": -0.5, "classifier": 40.0}
        models = {"vae": VAE | {"beta": 3.0}, "other": VAE | {"beta": 10.0}, "classifier": MLP}
        plan = asked({"name": "weighted_sum", "options": {"weights": weights}}, models)
        assert plan.study.score.module is weighted_sum and len(set(plan.models.values())) == 3
        assert plan.study.roles == {name: name for name in weights}
        vae, other = (terms[name]["recon"] + beta * terms[name]["kl"] for name, beta in (("vae", 3.0), ("other", 10.0)))
        expected = vae - 0.5 * other + 40 * np.logaddexp(0, terms["classifier"]["logit"])
        np.testing.assert_allclose(plan.ts(terms, 0.0), expected, rtol=1e-12)
        assert plan.study.score.module.words(plan.score_parameters) == "1 vae + -0.5 other + 40 classifier"

    def test_of_two_models_the_weights_of_the_papers_score_make_the_papers_score(self, terms):
        models = {"vae": VAE | {"beta": 3.0}, "classifier": MLP}
        sum_of = asked({"name": "weighted_sum", "options": {"weights": {"vae": 1.0, "classifier": 7.0}}}, models)
        np.testing.assert_allclose(sum_of.ts(terms, 0.0), asked({"R": [7.0]}, models).ts(terms, 7.0), rtol=1e-14)


class TestItems:
    """What is computed again under another score, and what is not."""

    def test_another_score_of_the_same_models_keeps_their_fits_and_terms(self):
        models = {"vae": VAE, "classifier": MLP}
        one = asked({"R": [7.0]}, models)
        other = asked({"name": "weighted_sum", "options": {"weights": {"vae": 1.0, "classifier": 7.0}}}, models)
        assert one.models == other.models and one.scored_pool == other.scored_pool
        assert set(one.nulls).isdisjoint(other.nulls)

    def test_a_weight_is_part_of_the_score(self):
        def nulls(weight):
            score = {"name": "weighted_sum", "options": {"weights": {"vae": weight}}}
            return asked(score, {"vae": VAE}).nulls

        assert nulls(1.0) == nulls(1.0) and set(nulls(1.0)).isdisjoint(nulls(2.0))

    def test_the_text_of_ones_own_file_is_part_of_it_and_its_place_is_not(self, own, tmp_path):
        def nulls(path):
            score = {"name": str(path), "roles": {"second": "first"}}
            return asked(score, {"first": MLP}).nulls

        copy = tmp_path / "copy.py"
        copy.write_text(OWN)
        assert nulls(copy) == nulls(own)
        copy.write_text(OWN.replace("np.maximum", "np.minimum"))
        assert set(nulls(copy)).isdisjoint(nulls(own))


class TestOfADensity:
    def test_a_scan_without_an_autoencoder(self, tmp_path):
        flow = "{ name = 'flow', epochs = 1, batch_size = 50, hidden = [8], representation = 'summary' }"
        settings = *SMALL, "score={ name = 'density' }", f"models={{ density = {flow} }}"
        outcome = pipeline.run(study.load(str(TINY), settings), Store(str(tmp_path / "store")), workers=0)
        pool = outcome.population.pool
        np.testing.assert_array_equal(outcome.population.ts[0.0], -pool.terms["density"]["log_density"])
        assert {row["ts_unit"] for row in outcome.table.to_pylist()} == {"nat, preprocess = log1p_standard"}


class TestOfAUsersOwn:
    def test_a_file_goes_through_a_scan(self, own, tmp_path):
        models = "{ first = { name = 'mlp_classifier', hidden = [8], epochs = 1 }, " \
                 "second = { name = 'mlp_classifier', hidden = [4], epochs = 2 } }"  # fmt: skip
        settings = (*SMALL, f"score={{ name = '{own}', options = {{ factor = 3.0 }}, R = [0.0, 5.0] }}",
                    f"models={models}")  # fmt: skip
        asked, store = study.load(str(TINY), settings), Store(str(tmp_path / "store"))
        outcome = pipeline.run(asked, store, workers=0)
        population = outcome.population
        logits = [population.pool.terms[role]["logit"] for role in ("first", "second")]
        assert outcome.computed["models"] == 2 and not np.array_equal(*logits)
        for R in (0.0, 5.0):
            np.testing.assert_array_equal(population.ts[R], R + 3.0 * np.maximum(*logits))
        assert set(outcome.table["score"].to_pylist()) == {f"{own}, factor 3"}
        assert set(outcome.table["models"].to_pylist()) == {"first = mlp_classifier, second = mlp_classifier"}
        zero, moved = (row for row in outcome.table.to_pylist() if row["point"] == "grid")
        assert (zero["R"], moved["R"]) == (0.0, 5.0) and zero["lineage"] != moved["lineage"]
        for name in ("q_median", "p_median"):  # a count of the tail knows no constant
            assert zero[name] == pytest.approx(moved[name], rel=1e-6)
        assert {row["role"] for row in outcome["diagnostics"].table.to_pylist()} == {"first", "second", "floor"}
        assert not outcome["diagnostics"].autoencoders
        assert not any(pipeline.run(asked, store, workers=0).computed.values())


@pytest.mark.parametrize(
    ("score", "models", "said"),
    [
        ({"roles": {"vea": "vae"}}, {}, ["unknown role of the score 'vea'", "did you mean 'vae'"]),
        ({"name": "elbo", "roles": {"classifier": "mlp"}}, {}, ["unknown role of the score 'classifier'"]),
        ({"name": "weighted_sum", "options": {"weights": {"vae": 1.0, "vea": 2.0}}}, {"vae": VAE},
         ["unknown model for the role 'vea' of the score", "did you mean 'vae'"]),
        ({"name": "weighted_sum", "options": {"weights": {}}}, {}, ["weighted_sum.weights"]),
        ({"name": "weighted_sum"}, {}, ["weighted_sum.weights", "required"]),
        ({}, {"extra": MLP}, ["models.extra plays no role in the score 'elbo_and_classifier'", "vae, classifier"]),
        ({}, {"classifier": VAE}, ["models.classifier", "'dense_vae' is an autoencoder, not a classifier"]),
        ({"name": "elbo", "R": [2.0]}, {}, ["R = [2.0]", "'elbo' has no weight"]),
        ({"name": "elbow"}, {}, ["'elbow'", "did you mean 'elbo'"]),
        ({"name": "elbo", "options": {"beta": 2.0}}, {}, ["unknown option of 'elbo' 'beta'"]),
    ],
)  # fmt: skip
def test_a_mistake_is_named_in_one_line(score, models, said):
    with pytest.raises(BadInput) as error:
        asked(score, models)
    assert "\n" not in str(error.value)
    for words in said:
        assert words in str(error.value)


def test_a_role_that_no_family_plays_by_itself_must_be_filled(own):
    with pytest.raises(BadInput, match="unknown model for the role 'second' of the score 'second'"):
        asked({"name": str(own)})
    with pytest.raises(BadInput, match="models.second: 'dense_vae' is an autoencoder, not a classifier"):
        asked({"name": str(own)}, {"second": VAE})


def test_a_file_that_is_no_score_is_refused(tmp_path):
    path = tmp_path / "half.py"
    path.write_text("ROLES = {}\nWEIGHTED = False\n")
    with pytest.raises(BadInput, match="half.py' is no choice for engine.inference.scores: it lacks parameters, ts"):
        asked({"name": str(path)})
