"""A pool with a tail beside a plain one: what it costs, and what its tail costs; and S1 and S2 beside whole events."""

from functools import partial

import numpy as np

from engine import study
from engine.assembly import samples
from engine.bench.simulation import N_EVENTS
from engine.bench.speed import Side, Work
from engine.physics import events
from engine.physics.detectors import darwin
from engine.plan.plan import Plan

ER_EVENTS = 300  # of the study's pool: vectors of DARWIN in the window of 2 to 10 keVee
TAIL = 1e-3  # share of the electron recoils, those most like nuclear ones: some times as many as pass 30 % of NR
THROWN = 20_000  # as far as S1 and S2


def sides() -> list[Side]:
    """Price of a pool, price of its tail, and events as far as S1 and S2."""
    plain, rich = (_work(tail) for tail in ("plain", "enriched"))
    energy_keV = np.random.default_rng(1).uniform(1, 14, THROWN)
    charged, whole = (partial(made, darwin.CONSTANTS, "ER", energy_keV[:n], "bench")
                      for made, n in ((events.charged, THROWN), (events.simulate, N_EVENTS)))  # fmt: skip
    return [
        Side("a pool with a tail, by its er_events", "events / s", Work(rich, ER_EVENTS), Work(plain, ER_EVENTS)),
        Side("its tail, by effective electron recoils", "thrown / s",
             Work(rich, round(ER_EVENTS * gain())), Work(plain, ER_EVENTS)),
        Side("S1 and S2 alone, DARWIN, ER 1-14 keV", "events / s", Work(charged, THROWN), Work(whole, N_EVENTS)),
    ]  # fmt: skip


def gain() -> float:
    """Effective events in the TAIL of a pool with a tail, over those of a plain one of as many er_events."""
    plan, shard = _first("enriched")
    tail = samples.tail(plan, shard)
    columns = events.charged(darwin.CONSTANTS, "ER", np.random.default_rng(2).uniform(1, 14, THROWN), "gain")
    window = plan.window("ER")["ces_keVee"]
    inside = (columns["ces_keVee"] >= window[0]) & (columns["ces_keVee"] < window[1])
    cs1, cs2 = columns["cs1_pe"][inside], columns["cs2_pe"][inside]
    likeness, probability = tail.likeness(cs1, cs2), tail.probability(cs1, cs2)
    beyond = likeness > np.quantile(likeness, 1 - TAIL)
    return shard.enrichment / float(np.mean(1 / probability[beyond]))


def _first(tail: str) -> tuple:
    plan = Plan(study.load("quickstart", (f"pool.tail={tail}", f"pool.er_events={ER_EVENTS}")))
    return plan, plan.shards["pool"][0]


def _work(tail: str) -> partial:
    return partial(samples.sample, *_first(tail), ["vector"])
