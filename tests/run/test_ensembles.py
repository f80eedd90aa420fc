"""An ensemble in a scan: its members are fits of their own in the store, and its scores are the mean of theirs."""

import numpy as np
import pytest

import zoo
from engine import study
from engine.assembly.samples import sample
from engine.plan.plan import Plan
from engine.run.pipeline import FIRST
from engine.run.state import Run
from engine.store.store import Ledger, Store

SMALL = ("events.train_per_kind=100", "events.test_per_kind=100", "pool.er_events=1000", "pool.nr_events=1000",
         "models.vae.epochs=1", "models.classifier.ensemble=2")  # fmt: skip


@pytest.fixture(scope="module")
def scored(tiny, tmp_path_factory):
    """The plan and store of an ensemble of two, scored."""
    plan, store = Plan(study.load(str(tiny), SMALL)), Store(str(tmp_path_factory.mktemp("store")))
    through(plan, store)
    return plan, store


def through(plan, store) -> Run:
    run = Run(plan, store, Ledger(store))
    run.repair()
    for stage in FIRST:
        run.stage(stage)
    run.ledger.flush()
    return run


def test_its_scores_are_the_mean_of_its_members(scored):
    plan, store = scored
    ledger, shard = Ledger(store), plan.shards["pool"][0]
    columns, features = sample(plan, shard, [plan.view("classifier")])
    seen = features[plan.view("classifier")][columns["selected"]]
    members = [zoo.load(ledger.read(item), plan.family("classifier")) for item in plan.fits_of("classifier")]
    assert [member.seed for member in members] == [3, 4]
    wanted = np.mean([zoo.terms(member, seen)["logit"] for member in members], axis=0)
    found = ledger.table(plan.score_item(shard, "classifier"))["logit"].to_numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_member_that_is_lost_is_fitted_again_alone_to_the_same_bytes(scored):
    plan, store = scored
    assert sum(through(plan, store).computed.values()) == 0
    lost = list(plan.fits_of("classifier"))[1]
    path = store.folder() / f"models/{lost}.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    again = through(plan, store)
    assert again.computed["models"] == 1 and path.read_bytes() == whole


def test_a_fit_with_the_seed_of_a_member_is_that_member(scored, tiny):
    plan, store = scored
    alone = Plan(study.load(str(tiny), (*SMALL[:-1], "models.classifier.seed=4")))
    assert Ledger(store).read(alone.models["classifier"]) == Ledger(store).read(list(plan.fits_of("classifier"))[1])
