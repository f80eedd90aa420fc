"""A pool with a tail: from the study to weights, beside a plain one."""

from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from engine import stages, study
from engine.assembly import samples
from engine.assembly.population import population
from engine.assembly.rows import Expectation
from engine.errors import BadInput
from engine.inference import jackknife
from engine.inference.pools import KINDS, TOY_HALF, effective_size
from engine.plan.plan import Plan
from engine.stages import scores
from engine.store.parts import Part
from engine.store.scratch import Scratch
from engine.store.store import Ledger
from engine.store.units import commit

SMALL = {
    "seed": 3,
    "representation": {"name": "summary"},
    "pool": {"er_events": 2000, "nr_events": 1000},
    "models": {"classifier": {"name": "summary_classifier", "epochs": 1}},
    "score": {"name": "classifier"},
    "grid": {"m_chi_GeV": {"values": [50]}, "sigma_si_cm2": {"values": [1e-47]}, "exposure_ty": {"values": [5]}},
}  # fmt: skip
RICH = {"tail": "enriched"}


@cache
def plan(seed=3, **pool):
    return Plan(study.parse(SMALL | {"seed": seed, "pool": SMALL["pool"] | pool}))


def er_shards(of):
    return [shard for shard in of.shards["pool"] if shard.kind == "ER"]


@cache
def pooled(seed=3, **pool):
    """A pool whose score is how far below the electron recoils' band an event is."""
    of, store = plan(seed, **pool), Scratch()
    ledger = Ledger(store)
    for shard in of.shards["pool"]:
        for part in scores.work(of, shard, [], {}):
            ledger.add(commit(store, [part]))
            truth = part.content.filter(part.content["selected"])
            logit = -np.log(truth["cs2_pe"].to_numpy()) + 0.4 * np.log(truth["cs1_pe"].to_numpy())
            item = of.score_item(shard, "classifier")
            ledger.add(commit(store, [Part(f"scores/{item}.parquet", (item,), pa.table({"logit": logit}))]))
    return population(of, ledger)


def er_weights(of):
    return of.weights[:, of.pool.kind == KINDS.index("ER")].sum(axis=0)


# What it depends on


def test_a_plain_pool_is_what_it_was():
    """Its items, and what is written of its study, know nothing of tails; nor does the rest of an enriched one's."""
    plain, rich = plan(), plan(**RICH)
    assert stages.items(plain) == stages.items(plan(tail="plain"))
    assert "tail" not in plain.study.model_dump()["pool"] and rich.study.model_dump()["pool"]["tail"] == "enriched"
    assert [s for s in rich.shards["pool"] if s.kind == "NR"] == [s for s in plain.shards["pool"] if s.kind == "NR"]
    assert [rich.shards[name] for name in ("train", "test")] == [plain.shards[name] for name in ("train", "test")]
    assert rich.models == plain.models and rich.stream_key != plain.stream_key
    assert not {shard.item for shard in er_shards(rich)} & {shard.item for shard in er_shards(plain)}


@pytest.mark.parametrize("other", [{"enrichment": 30}, {"nr_energy_keV": (2.0, 70.0)}, {"proposal": "mixture"}])
def test_what_its_probabilities_follow_from_is_in_its_digest(other):
    one, another = ({shard.item for shard in er_shards(plan(**RICH | more))} for more in ({}, other))
    assert not one & another


def test_an_enriched_pool_throws_so_many_times_its_events():
    shards = er_shards(plan(**RICH))
    assert sum(shard.n_thrown for shard in shards) == 40_000 == pooled(**RICH).pool.n_thrown[0]
    assert [shard.first for shard in shards] == [0, 20_000]
    (most,) = {shard.n_thrown for shard in er_shards(plan(**RICH, enrichment=1000))}
    assert most == 50_000
    assert sum(shard.n_whole for shard in shards) == pytest.approx(2.6 * 2000)


def test_an_enrichment_without_a_tail_is_refused():
    with pytest.raises(BadInput, match=r"enrichment = 30 goes with tail = 'enriched', and tail is 'plain'"):
        plan(enrichment=30)


def test_a_pilot_without_recoils_in_the_window_is_refused():
    empty = study.parse(SMALL | {"pool": SMALL["pool"] | RICH | {"nr_energy_keV": (1.0, 3.0)}})
    with pytest.raises(BadInput, match=r"pool.tail = 'enriched': 0 of 20000 NR recoils of 1 to 3 keV are in the"):
        samples.sample(Plan(empty), er_shards(Plan(empty))[0])


# What is made


def test_a_shard_is_the_same_before_and_after_others_and_for_any_network():
    of, (first, second) = plan(**RICH), er_shards(plan(**RICH))
    alone, _ = samples.sample(of, second, ["corrected"])
    samples._fitted.cache_clear()
    samples.sample(of, first)
    again, features = samples.sample(of, second, ["summary", "vector"])
    for name, column in alone.items():
        np.testing.assert_array_equal(again[name], column, name)
    assert features["vector"].shape == (len(alone["event"]), 3835)
    assert np.all(np.diff(alone["event"]) > 0) and 20_000 <= alone["event"].min() and alone["event"].max() < 40_000


def test_a_shifted_detectors_events_are_kept_by_the_nominal_tail_and_the_same_numbers():
    """The same recoils, and most of them kept again: two thirds, for what is detected of them is drawn anew."""
    of = plan(**RICH)
    nominal, shifted = (samples.sample(of, of.pool_shards("pool", shift)[0])[0] for shift in ((), (("g1", 0.02),)))
    shared, *places = np.intersect1d(nominal["event"], shifted["event"], return_indices=True)
    assert 0.6 * len(nominal["event"]) < len(shared) < 0.95 * len(nominal["event"])
    np.testing.assert_array_equal(nominal["energy_keV"][places[0]], shifted["energy_keV"][places[1]])


def test_a_shard_may_keep_nothing():
    of = plan(**RICH)
    columns, features = samples.sample(of, replace(er_shards(of)[0], n_thrown=1), ["vector", "corrected"])
    assert len(columns["event"]) == 0
    assert {name: seen.shape for name, seen in features.items()} == {"vector": (0, 3835), "corrected": (0, 2)}


# What it says


def test_no_event_weighs_more_than_in_a_plain_pool():
    """Of 1 keV's and of 14 keV's rates the larger over the density; and both pools expect as many events."""
    plain, rich = pooled(), pooled(**RICH)
    assert er_weights(rich).max() <= er_weights(plain).max() * 1.001
    error = np.hypot(*(np.sqrt(np.square(er_weights(of)).sum()) for of in (plain, rich)))
    assert abs(er_weights(rich).sum() - er_weights(plain).sum()) < 4 * error


def test_the_effective_size_of_each_tail_is_many_times_a_plain_pools():
    """Beyond thresholds with this many electron recoils of a plain pool above them, all of whom weigh alike."""
    rich = pooled(**RICH)
    ts, weight = rich.ts[0.0][rich.pool.kind == 0], er_weights(rich)
    order = np.argsort(-ts)
    above, unit = np.cumsum(weight[order]), er_weights(pooled()).mean()
    effective = {n: effective_size(weight[order][: np.searchsorted(above, n * unit)]) / n for n in (2, 10, 100)}
    assert effective[2] > 12 and effective[10] > 10 and effective[100] > 4
    assert effective[2] < 1.5 * 20
    told = rich.null(0.0, 5.0).effective_above(rich.ts[0.0][rich.pool.half == 1] > ts[order][200])
    assert told[0][0] > 60 and told[0][1] < 0.2 * unit * 5.0 * 2  # of the half that toys draw from


def test_errors_of_a_tail_are_those_of_its_weights():
    """By the Gamma law of statistics, of k events of weight w, and by the jack-knife: both have the sum of w^2."""
    rich = pooled(**RICH)
    pool, ts, weight = rich.pool, rich.ts[0.0], rich.weights.sum(axis=0)
    above = (pool.kind == 0) & (ts > np.quantile(ts[pool.kind == 0], 0.7))
    assert weight[above].max() > 3 * weight[above].min()
    square = np.square(weight[above]).sum()
    group, n = pool.groups(100), 100
    without = [weight[above & (group != one)].sum() * n / (n - 1) for one in range(n)]
    assert jackknife.error(without) == pytest.approx(np.sqrt(square), rel=0.25)
    drawn = rich.null(0.0, 1.0).drawn
    chosen = above[pool.half == TOY_HALF]
    k, w = rich.null(0.0, 1.0).effective_above(chosen)[0]
    assert (k * w, k * w**2) == pytest.approx((drawn.total[chosen].sum(), np.square(drawn.total[chosen]).sum()))


def test_a_row_counts_the_events_that_toys_draw_from_by_what_they_stand_for():
    plain, rich = (
        Expectation(plan(**pool), pooled(**pool), pooled(**pool).pool.weights("NR", np.ones_like), 5.0).of_pool
        for pool in ({}, RICH)
    )
    assert rich["events_per_pool_event"] == pytest.approx(plain["events_per_pool_event"], rel=0.5)
