"""Classifiers trained on a simulation that is off, and brought to the detector: their events and their names."""

import copy
import re

import numpy as np
import pytest

import zoo
from engine import study
from engine.errors import BadInput
from engine.plan.members import JointPlan
from engine.plan.plan import Plan
from engine.stages import events, models
from engine.store.store import Store
from engine.store.units import commit

OFF = {"g1": 0.1, "electron_lifetime_us": -0.3}
SUMMARY = {"name": "summary_classifier", "representation": "summary", "epochs": 2, "batch_size": 50}
RAW = {
    "events": {"train_per_kind": 400, "test_per_kind": 100},
    "score": {"name": "classifier"},
    "models": {"classifier": SUMMARY},
    "grid": {"m_chi_GeV": [50], "sigma_si_cm2": [1e-47], "exposure_ty": [20]},
}


def plan(**changes) -> Plan:
    return Plan(study.parse(copy.deepcopy(RAW) | {"models": {"classifier": SUMMARY | changes}}))


def fit(of: Plan) -> str:
    return of.models["classifier"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"simulation": {"g2": 0.1}}, ["unknown detector constant to vary 'g2'"]),
        ({"simulation": {"g1": 0.7}}, ["simulation.g1", "0.5"]),
        ({"simulation": {"s1_noise": 0.1}}, ["models.classifier.simulation.s1_noise = 0.1", "is 0"]),
        ({"simulation": {"extraction": 0.5}}, ["models.classifier.simulation.extraction = 0.5", "is not valid"]),
        ({"adapt": {"unlabelled": 400}}, ["adapt", "simulation = { g1 = 0.03 }"]),
        ({"simulation": {"g1": 0.0}, "adapt": {"unlabelled": 400}}, ["adapt", "the detector's own"]),
        ({"simulation": OFF, "adapt": {}}, ["adapt", "{ unlabelled = 8000 }"]),
        ({"simulation": OFF, "adapt": {"coral": 1}}, ["adapt", "coral"]),
        ({"simulation": OFF, "adapt": {"unlabelled": 99}}, ["adapt.unlabelled = 99", "at least 100, or 0"]),
        ({"simulation": OFF, "adapt": {"calibration": 30}}, ["adapt.calibration = 30", "42 events", "batch of 50"]),
        ({"name": "boosted_trees", "simulation": OFF, "adapt": {"unlabelled": 900}}, ["'boosted_trees' is none"]),
    ],
)  # fmt: skip
def test_what_cannot_be_adapted_is_refused_in_one_line(changes, said):
    own = {} if changes.get("name") == "boosted_trees" else SUMMARY
    with pytest.raises(BadInput) as error:
        study.parse(copy.deepcopy(RAW) | {"models": {"classifier": own | changes}})
    assert "\n" not in str(error.value)
    for words in said:
        assert words in str(error.value)


def test_an_autoencoder_is_not_adapted():
    vae = {"name": "dense_vae", "simulation": OFF, "adapt": {"unlabelled": 400}}
    with pytest.raises(BadInput, match="'dense_vae' is none"):
        study.parse({"grid": RAW["grid"], "models": {"vae": vae}})


def test_a_fit_is_named_by_what_it_is_adapted_by_and_only_then():
    plain, still, off = plan(), plan(simulation={"g1": 0.0}), plan(simulation=OFF)
    assert fit(plain) == fit(still)
    others = [plan(simulation=OFF, adapt=by) for by in ({"unlabelled": 300}, {"unlabelled": 400}, {"calibration": 100},
                                                        {"calibration": 100, "epochs": 3})]  # fmt: skip
    assert len({fit(one) for one in (plain, off, *others)}) == 6
    assert fit(off) == fit(plan(simulation=dict(reversed(OFF.items()))))
    assert plain.stream_key == off.stream_key == others[0].stream_key  # the pool is the detector's, whoever looks at it


def test_training_events_are_of_the_simulation_and_calibration_of_the_detector():
    off = plan(simulation=OFF, adapt={"unlabelled": 300, "calibration": 100})
    assert {shard.shift for shard in off.shards["train"]} == {tuple(sorted(OFF.items()))}
    assert [(s.kind, s.n_thrown, s.shift) for s in off.shards["calibration"]] == [("ER", 300, ()), ("NR", 100, ())]
    assert {shard.item for shard in off.shards["train"]}.isdisjoint(shard.item for shard in plan().shards["train"])
    assert events.items(off) == [shard.item for some in ("train", "calibration") for shard in off.shards[some]]
    plain = plan(simulation=OFF)
    more, less = (models.amounts(one, {fit(one)}) for one in (off, plain))
    batch_size, epochs = off.fitted["classifier"].config["batch_size"], 10
    assert more["steps taken"] - less["steps taken"] == -(-2 * 100 // batch_size) * epochs
    assert more["values read"] - less["values read"] == 3 * (300 + 3 * 2 * 100 * epochs)


def test_in_a_comparison_each_model_has_its_simulation():
    of_each = {"right": SUMMARY, "off": SUMMARY | {"simulation": OFF},
               "more": SUMMARY | {"simulation": OFF, "adapt": {"unlabelled": 300}}}  # fmt: skip
    raw = {key: value for key, value in RAW.items() if key != "models"}
    joint = JointPlan(study.parse(copy.deepcopy(raw) | {"compare": {"classifier": of_each}}))
    assert len(joint.shards["train"]) == 4 and len(joint.shards["calibration"]) == 1
    for name, model in of_each.items():
        alone = Plan(study.parse(copy.deepcopy(RAW) | {"models": {"classifier": model}}))
        assert joint.members[name].models["classifier"] == fit(alone)
    assert len({shard.item for shard in joint.training(joint.fitted[joint.members["right"].models["classifier"]])}) == 2


def test_a_model_is_fitted_adapted_and_the_same_each_time(tmp_path):
    store = Store(str(tmp_path / "store"))

    def fitted(of: Plan) -> zoo.Fitted:
        stored = {item: entry for shard in of.shards["train"] + of.shards["calibration"]
                  for entry in commit(store, events.work(of, shard)) for item in entry.items}  # fmt: skip
        model = of.fitted["classifier"]
        shown = [[stored[s.item] for s in shards] for shards in (of.training(model), of.watched(model))]
        shown += [[stored[s.item] for s in of.adapting(model)]]
        (part,) = models.work(of, fit(of), store, *shown)
        (again,) = models.work(of, fit(of), store, *shown)
        assert part == again
        return zoo.load(part.content, of.family("classifier"))

    readout = np.random.default_rng(1).uniform([5, 500, 10], [100, 5000, 1000], (50, 3)).astype(np.float32)
    plain, aligned, tuned = (fitted(plan(simulation=OFF, **by)) for by in (
        {}, {"adapt": {"unlabelled": 300}}, {"adapt": {"calibration": 100, "epochs": 3}}))  # fmt: skip
    logits = [zoo.terms(one, readout)["logit"] for one in (plain, aligned, tuned)]
    assert all(not np.array_equal(logits[0], other) for other in logits[1:])
    assert aligned.history == plain.history
    assert {name: values[:2] for name, values in tuned.history.items()} == plain.history
    assert {len(values) for values in tuned.history.values()} == {5}
    assert tuned.config == plain.config
    same = {name for name, weight in plain.module.state_dict().items()
            if bool((weight == aligned.module.state_dict()[name]).all())}  # fmt: skip
    assert {re.match(r"\d+", name)[0] for name in plain.module.state_dict().keys() - same} == {"4"}  # its last layer
