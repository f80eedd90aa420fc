"""Models of one study that read different representations of the same events."""

import pytest

from engine import study
from engine.lineage import digest
from engine.physics import events
from engine.plan.plan import Plan
from engine.run import tasks
from engine.stages import work
from engine.store.parts import Entry, encode, sha256
from engine.store.store import Ledger, Store

SMALL = {
    "seed": 3,
    "events": {"train_per_kind": 100, "test_per_kind": 100},
    "pool": {"er_events": 200, "nr_events": 100},
    "score": {"R": [1e4]},
    "grid": {"m_chi_GeV": {"values": [50]}, "sigma_si_cm2": {"values": [1e-47]}, "exposure_ty": {"values": [5]}},
}
KNOWN = {
    "events": "098956341df877a3787f0fd2", "models": "4feaa44d27e411b9745ade23", "scores": "1758b0e23178527b2bca3fb4",
}  # fmt: skip
VAE = {"name": "dense_vae", "hidden": [8], "latent": 2, "batch_size": 50, "epochs": 1}
FLOOR = {"name": "summary_classifier", "hidden": [4], "epochs": 1}


def plan(vae=None, classifier=None, **changes) -> Plan:
    models = {"vae": VAE | (vae or {}), "classifier": classifier or FLOOR | {"representation": "summary"}}
    return Plan(study.parse(SMALL | changes | {"models": models}))


class TestDigests:
    def test_those_of_a_study_that_names_no_representation_are_as_ever(self, tiny):
        """Held as they were before models could name one: stores that exist stay of use."""
        items = Plan(study.load(str(tiny))).items
        held = {stage: digest("held", 1, None, items[stage]) for stage in ("events", "models", "scores")}
        assert held == KNOWN

    def test_to_name_what_is_the_studys_anyway_changes_nothing(self):
        implicit, named = plan(), plan(vae={"representation": "vector", "seed": 3})
        assert implicit.items == named.items

    def test_a_model_follows_its_own_representation_and_seed_alone(self):
        plain, other, seeded = plan(), plan(vae={"representation": "summary"}), plan(vae={"seed": 4})
        for changed in (other, seeded):
            assert changed.models["vae"] != plain.models["vae"]
            assert changed.models["classifier"] == plain.models["classifier"]
            assert changed.shards["pool"] == plain.shards["pool"]
        assert seeded.shards == plain.shards and seeded.study.seed_of(seeded.study.models.vae) == 4

    def test_the_studys_representation_is_no_concern_of_a_model_that_names_its_own(self):
        named = {"vae": {"representation": "image"}}
        assert plan(**named).items["models"] == plan(**named, representation={"name": "image"}).items["models"]

    def test_training_events_are_kept_for_those_who_look_at_them(self):
        train = plan().shards["train"]
        assert {(shard.representation, shard.kind) for shard in train} == {
            ("vector", "ER"), ("summary", "ER"), ("summary", "NR")
        }  # fmt: skip

    def test_words_say_who_sees_what(self):
        assert plan().study.views == "vector (vae), summary (classifier)"
        assert plan(vae={"representation": "summary"}).study.views == "summary"


class Bench:
    """Runs simulate, fit and score without a cluster, and counts simulations."""

    def __init__(self, plan: Plan, folder, monkeypatch):
        self.plan, self.store, self.simulated = plan, Store(str(folder)), 0
        self.ledger = Ledger(self.store)
        simulate = events.simulate

        def counting(*arguments):
            self.simulated += 1
            return simulate(*arguments)

        monkeypatch.setattr(events, "simulate", counting)

    def share(self, value):
        return value

    def add(self, parts) -> list:
        made = list(parts)
        for part in made:
            data = encode(part)
            self.store.put_new(part.path, data)
            self.ledger.add([Entry(part.path, sha256(data), part.items)])
        return made

    def score_pool(self) -> dict[str, bytes]:
        """Terms by slot of the first shard."""
        for unit in tasks.simulations(self, set(self.plan.items["events"])):
            self.add(work.simulate(*unit.arguments))
        for unit in tasks.fits(self, set(self.plan.items["models"])):
            self.add(work.fit(*unit.arguments))
        self.simulated = 0
        wanted = next(iter(tasks.scorings(self, set(self.plan.items["scores"]))))
        _, *terms = self.add(work.score(*wanted.arguments))
        return dict(zip(self.plan.models, (encode(part) for part in terms), strict=True))


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        bench = Bench(plan(), tmp_path_factory.mktemp("two"), patch)
        return bench, bench.score_pool()


def test_a_shard_is_simulated_once_for_all_representations(of_two):
    bench, terms = of_two
    assert bench.simulated == 1 and len(terms) == 2
    assert len({len(bench.ledger.table(shard.item, ["features"])) for shard in bench.plan.shards["train"][:2]}) == 1


def test_a_models_terms_are_those_of_a_study_that_has_its_representation_alone(of_two, tmp_path, monkeypatch):
    alone = plan(vae={"representation": "summary"})
    found = Bench(alone, tmp_path, monkeypatch).score_pool()
    assert found["classifier"] == of_two[1]["classifier"]
    assert found["vae"] != of_two[1]["vae"]
