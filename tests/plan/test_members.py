"""Several pairs, and several fits of one, as one plan: what they share by lineage, and what is refused."""

import copy
from pathlib import Path

import pytest

import zoo
from engine import study
from engine.errors import BadInput
from engine.plan.members import JointPlan, plan_of
from engine.plan.plan import Plan
from engine.plan.tune_plan import TunePlan
from engine.stages import items, reach

MLP, CNN = {"name": "mlp_classifier", "hidden": [8]}, {"name": "cnn_classifier", "representation": "image"}
RAW = {
    "models": {"vae": {"name": "dense_vae", "hidden": [8], "latent": 2}},
    "compare": {"classifier": {"mlp": MLP, "cnn": CNN}},
    "grid": {"m_chi_GeV": {"values": [50]}, "sigma_si_cm2": {"values": [1e-47]}, "exposure_ty": {"values": [5, 20]}},
}

ENSEMBLE = {"compare": None, "models": RAW["models"] | {"classifier": MLP | {"ensemble": 3}}}


def parsed(**changes) -> study.Study:
    return study.parse(copy.deepcopy(RAW) | changes)


def compare(**changes) -> dict:
    return {"compare": RAW["compare"] | changes}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (compare(vae={"a": {"name": "dense_vae"}}), ["models.vae and compare.vae are both given"]),
        (compare(classifier={"a": {"name": "dense_vae"}}), ["compare.classifier.a", "'dense_vae'", "autoencoder"]),
        (compare(classifier={"floor": MLP}), ["compare.classifier.floor", "kept for 'summary_classifier'"]),
        (compare(classifier={"a-b": MLP}), ["compare.classifier.a-b", "pattern"]),
        (compare(classifier={"a": {"name": "cnn_classifier"}}), ["compare.classifier.a", "3835", "would do: image"]),
        (compare(classifer={}), ["compare", "'classifer'", "did you mean 'classifier'"]),
        (compare(statistic="extended_poisson"), ["compare.statistic", "'extended_poisson'", "accepted: tail_count"]),
        (compare(R=3.0), ["compare.R", "'3.0'", "accepted: 250000.0"]),
        (compare(exposure_ty=7.0), ["compare.exposure_ty", "'7.0'", "20.0"]),
        ({"toys": {"statistics": ["extended_poisson"]}}, ["compare", "excess_scan or tail_count"]),
        ({"toys": {"exact": "none"}}, ["compare", "toys.exact"]),
        ({"compare": None, "toys": {"exact": "none"}, "training": {"n_seeds": 2}}, ["n_seeds = 2", "toys.exact"]),
        ({"training": {"n_seeds": 0}}, ["training.n_seeds", "0"]),
        ({"training": {"seed_error": "members"}}, ["seed_error = 'members'", "[models.classifier] ensemble = 3"]),
        (ENSEMBLE | {"training": {"seed_error": "members", "n_seeds": 2}}, ["seed_error", "n_seeds above 1"]),
        (ENSEMBLE | {"training": {"seed_error": "members"}, "combined": {}}, ["seed_error", "[combined]"]),
        ({"models": {"vae": {"name": "dense_vae", "ensemble": 0}}}, ["ensemble", "0"]),
    ],
)
def test_bad_comparisons_are_refused_in_one_line(changes, said):
    with pytest.raises(BadInput) as error:
        parsed(**changes)
    assert "\n" not in str(error.value)
    for words in said:
        assert words in str(error.value)


def test_r_is_not_tuned_for_many_pairs_at_once():
    with pytest.raises(BadInput, match="one pair of models"):
        TunePlan(parsed(tune={"R": {"values": [1, 10]}})).check()


class TestPairs:
    def test_every_pair_is_a_member_and_the_floor_is_always_among_them(self):
        assert list(parsed().members) == ["dense_vae-mlp", "dense_vae-cnn", "dense_vae-floor"]
        floor = parsed().members["dense_vae-floor"].fitted["classifier"]
        assert (floor.name, floor.representation) == ("summary_classifier", "summary")
        named = {"classifier": {"own": {"name": "summary_classifier", "representation": "summary", "epochs": 3}}}
        assert list(parsed(compare=named).members) == ["dense_vae-own"]

    def test_a_family_of_ones_own_gives_a_name_that_files_can_have(self, tmp_path):
        path = tmp_path / "my-vae.py"
        path.write_text((Path(zoo.__file__).parent / "dense_vae.py").read_text())
        found = parsed(models={"vae": {"name": str(path)}})
        assert list(found.members) == ["my_vae-mlp", "my_vae-cnn", "my_vae-floor"]

    def test_a_member_is_what_the_study_of_that_pair_alone_would_be(self):
        of_pair = {"vae": RAW["models"]["vae"], "classifier": CNN}
        alone = study.parse({"grid": RAW["grid"], "models": of_pair})
        assert items(Plan(parsed().members["dense_vae-cnn"])) == items(Plan(alone))

    def test_a_ranking_is_blind_and_invariant_and_the_studys_own(self):
        assert vars(parsed().ranking) == {"statistic": "tail_count", "R": 2.5e5, "exposure_ty": 20.0}
        both = {"statistics": ["tail_count", "known_signal", "excess_scan"]}
        assert parsed(toys=both).ranking.statistic == "excess_scan"
        assert parsed(toys=both, **compare(statistic="tail_count", exposure_ty=5)).ranking.exposure_ty == 5.0


class TestJointPlan:
    def test_what_members_share_is_asked_for_once(self):
        plan = JointPlan(parsed())
        assert set(plan.models.values()) == {item for one in plan.members.values() for item in one.models.values()}
        assert len(plan.models) == 4
        of_members = [items(one) for one in plan.members.values()]
        for stage, some in items(plan).items():
            assert len(some) == len(set(some)), stage
            wanted = {item for one in of_members for item in one.get(stage, ())}
            assert wanted == set(some) or stage == "paired"
        events = {shard.item for purpose in ("test", "pool") for shard in plan.shards[purpose]}
        assert len(items(plan)["scores"]) == len(events) * (1 + 4)

    def test_events_are_kept_as_each_model_sees_them(self):
        seen = {(shard.representation, shard.kind) for shard in JointPlan(parsed()).shards["train"]}
        assert seen == {(view, kind) for view in ("vector", "image", "summary") for kind in ("ER", "NR")}

    def test_the_ruler_is_no_concern_of_what_is_measured(self):
        one, other = JointPlan(parsed()), JointPlan(parsed(**compare(exposure_ty=5)))
        assert set(one.paired.values()).isdisjoint(other.paired.values()) and one.comparison != other.comparison
        assert items(one) | {"paired": None} == items(other) | {"paired": None}


class TestSeeds:
    def test_more_fits_leave_the_first_as_it_is(self):
        one, three = (Plan(parsed(compare=None, training={"n_seeds": n})) for n in (1, 3))
        assert one.models == three.models and items(one)["cells"] == items(three)["cells"]
        assert one.table != three.table and reach.table_item(one) != reach.table_item(three)
        assert items(plan_of(one.study)) == items(one)

    def test_further_fits_differ_in_their_seed_and_ask_for_laws_alone(self):
        plan = Plan(parsed(compare=None, training={"n_seeds": 3}))
        assert [s.study.seed_of(s.study.models["vae"]) for s in plan.siblings] == [2, 3]
        first, second = plan.siblings
        assert not {*first.models.values(), *plan.models.values()} & {*second.models.values()}
        assert first.stream_key == plan.stream_key and first.shards == plan.shards
        assert len(first.exact) == 2 * 2 and not first.cells  # two exposures, two statistics, at the benchmark
        assert list(reach.by_law(first).values()) == list(reach.by_law(plan).values())
        assert set(plan_of(plan.study).models.values()) == {
            item for one in (plan, first, second) for item in one.models.values()
        }  # fmt: skip


class TestEnsembles:
    def test_members_are_the_fits_of_further_seeds_and_the_first_is_what_it_was(self):
        alone = [Plan(parsed(compare=None, models=RAW["models"] | {"classifier": MLP | {"seed": seed}}))
                 for seed in (1, 2, 3)]  # fmt: skip
        plan = Plan(parsed(**ENSEMBLE))
        assert list(plan.fits_of("classifier")) == [one.models["classifier"] for one in alone]
        assert plan.models["classifier"] not in plan.fits and plan.models["vae"] == alone[0].models["vae"]
        assert items(plan)["models"] == [plan.models["vae"], *plan.fits_of("classifier")]
        of_one = Plan(parsed(compare=None, models=RAW["models"] | {"classifier": MLP | {"ensemble": 1}}))
        assert items(of_one) == items(alone[0]), "an ensemble of one is the fit"

    def test_its_seed_error_may_be_that_of_its_members_at_no_further_fit(self):
        plan = Plan(parsed(**ENSEMBLE, training={"seed_error": "members"}))
        assert [s.models["classifier"] for s in plan.siblings] == list(plan.fits_of("classifier"))
        assert {s.models["vae"] for s in plan.siblings} == {plan.models["vae"]}
        assert set(plan_of(plan.study).fits) == set(plan.fits) and plan_of(plan.study).shards == plan.shards
        assert items(Plan(parsed(**ENSEMBLE)))["exact"] == items(plan)["exact"]

    def test_further_ensembles_have_no_member_in_common(self):
        plan = Plan(parsed(**ENSEMBLE, training={"n_seeds": 2}))
        (second,) = plan.siblings
        assert [model.seed for model in second.fits_of("classifier").values()] == [4, 5, 6]
        assert second.study.seed_of(second.study.models["vae"]) == 2


def test_only_fits_of_a_family_whose_arithmetic_changed_have_another_name(monkeypatch):
    models = {"vae": {"name": "conv_vae"}, "classifier": CNN}
    fields = {"compare": None, "representation": {"name": "image"}, "models": models}
    before = Plan(parsed(**copy.deepcopy(fields))).models
    monkeypatch.setattr(zoo.declared("conv_vae"), "VERSION", 3)
    after = Plan(parsed(**fields)).models
    assert before["vae"] != after["vae"] and before["classifier"] == after["classifier"]
