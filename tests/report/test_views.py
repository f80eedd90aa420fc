"""Models of one study that read different representations of the same events."""

import pyarrow as pa
import pytest

from engine import stages, study
from engine.lineage import digest
from engine.physics import events as physics
from engine.plan.plan import Plan
from engine.run.state import Run
from engine.stages import events, models, scores
from engine.store.store import Ledger, Store

SMALL = {
    "seed": 3,
    "events": {"train_per_kind": 100, "test_per_kind": 100},
    "pool": {"er_events": 200, "nr_events": 100},
    "score": {"R": [1e4]},
    "grid": {"m_chi_GeV": {"values": [50]}, "sigma_si_cm2": {"values": [1e-47]}, "exposure_ty": {"values": [5]}},
}
KNOWN = {
    "events": "998741c0c3edb0486a6c126a", "models": "fc7affc2e2bbbcfb92e1cae9", "scores": "01c50b9be2f35d015b981fe4",
}  # fmt: skip
VAE = {"name": "dense_vae", "hidden": [8], "latent": 2, "batch_size": 50, "epochs": 1}
FLOOR = {"name": "summary_classifier", "hidden": [4], "epochs": 1}


def plan(vae=None, classifier=None, **changes) -> Plan:
    models = {"vae": VAE | (vae or {}), "classifier": classifier or FLOOR | {"representation": "summary"}}
    return Plan(study.parse(SMALL | changes | {"models": models}))


class TestDigests:
    def test_those_of_a_study_that_names_no_representation_are_as_ever(self, tiny):
        """Held as they were before models could name one: stores that exist stay of use."""
        items = stages.items(Plan(study.load(str(tiny))))
        assert {stage: digest("held", 1, None, sorted(items[stage])) for stage in KNOWN} == KNOWN

    def test_to_name_what_is_the_studys_anyway_changes_nothing(self):
        implicit, named = plan(), plan(vae={"representation": "vector", "seed": 3})
        assert stages.items(implicit) == stages.items(named)

    def test_a_model_follows_its_own_representation_and_seed_alone(self):
        plain, other, seeded = plan(), plan(vae={"representation": "summary"}), plan(vae={"seed": 4})
        for changed in (other, seeded):
            assert changed.models["vae"] != plain.models["vae"]
            assert changed.models["classifier"] == plain.models["classifier"]
            assert changed.shards["pool"] == plain.shards["pool"]
        assert seeded.shards == plain.shards and seeded.study.seed_of(seeded.study.models["vae"]) == 4

    def test_the_studys_representation_is_no_concern_of_a_model_that_names_its_own(self):
        named = {"vae": {"representation": "image"}}
        assert plan(**named).models == plan(**named, representation={"name": "image"}).models

    def test_training_events_are_kept_for_those_who_look_at_them(self):
        train = plan().shards["train"]
        assert {(shard.representation, shard.kind) for shard in train} == {
            ("vector", "ER"), ("summary", "ER"), ("summary", "NR")
        }  # fmt: skip

    def test_words_say_who_sees_what(self):
        assert plan().study.views == "vector (vae), summary (classifier)"
        assert plan(vae={"representation": "summary"}).study.views == "summary"


class Scored:
    """Simulated, fitted and scored in this process; counts simulations while it scores."""

    def __init__(self, plan: Plan, folder, monkeypatch):
        self.plan, store, self.simulated = plan, Store(str(folder)), 0
        self.run = Run(plan, store, Ledger(store))
        self.run.stage(events)
        self.run.stage(models)
        simulate = physics.simulate

        def counting(*arguments, **named):
            self.simulated += 1
            return simulate(*arguments, **named)

        monkeypatch.setattr(physics, "simulate", counting)
        self.run.stage(scores)

    @property
    def terms(self) -> dict[str, list[pa.Table]]:
        """Of every shard, by role."""
        shards, ledger = scores.shards(self.plan), self.run.ledger
        return {role: [ledger.table(self.plan.score_item(shard, role)) for shard in shards] for role in self.plan.roles}


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return Scored(plan(), tmp_path_factory.mktemp("two"), patch)


def test_a_shard_is_simulated_once_for_all_representations(of_two):
    shards = scores.shards(of_two.plan)
    assert of_two.simulated == len(shards) == 4
    assert [len(tables) for tables in of_two.terms.values()] == [4, 4]
    held = [of_two.run.ledger.table(shard.item, ["features"]) for shard in of_two.plan.shards["train"]]
    assert len({len(table) for table in held[:2]}) == 1


def test_a_models_terms_are_those_of_a_study_that_has_its_representation_alone(of_two, tmp_path, monkeypatch):
    alone = Scored(plan(vae={"representation": "summary"}), tmp_path, monkeypatch).terms
    assert alone["classifier"] == of_two.terms["classifier"]
    assert alone["vae"] != of_two.terms["vae"]
