"""Shard after shard in one process: what a worker holds does not grow with the pool."""

import os
import subprocess
import sys

import pytest
from studies import TINY

FIRST, SHARDS = 3, 12  # the first ones compile kernels and fill pools of memory

WORKER = """
import sys
import numpy as np
from engine import plugins, study
from engine.assembly.samples import sample
from engine.plan.plan import Plan
from engine.stages import scores
import zoo

path, first, shards, keep = sys.argv[1], *map(int, sys.argv[2:])
plan = Plan(study.load(path, ("pool.er_events=40000", "models.vae.epochs=1", "models.classifier.epochs=1")))
counts, models = np.random.default_rng(1).poisson(3, (90, 3835)), {}
for role, model in plan.fitted.items():
    family = plugins.load("zoo", model.name)
    labels = np.arange(90) % len(family.TRAINS_ON)
    models[role] = zoo.save(zoo.fit(family, zoo.configure(family, model.config), counts, labels, seed=1))
kept = []
for number, shard in enumerate(plan.shards["pool"][:shards], start=1):
    parts = scores.work(plan, shard, list(models), models)
    assert len(parts) == 3 and len(parts[0].content) == shard.n_thrown
    if keep:
        kept.append(sample(plan, shard, ["vector"])[1])
    if number in (first, shards):
        # of this process alone: getrusage hands down what the parent had before it was another program
        print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) // 1024)
"""


def peaks_MB(keep_features: bool) -> tuple[int, int]:
    """Peak memory of one process after FIRST and after SHARDS shards of a pool of electron recoils."""
    command = [sys.executable, "-W", "error", "-c", WORKER, TINY, FIRST, SHARDS, int(keep_features)]
    # what is freed goes back at once, whichever thread had asked for it: else the peak is also one of fragments
    given_back = os.environ | {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072"}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=given_back)
    assert done.returncode == 0, done.stderr
    first, last = (int(line) for line in done.stdout.split() if line.isdigit())
    return first, last


FEATURES_MB = (SHARDS - FIRST) * 2000 * 3835 * 2 / 2**20  # 132: what the shards in between bring, if it is kept


@pytest.mark.parametrize("keep_features", [False, True])
def test_scoring_holds_one_shard(keep_features):
    first, last = peaks_MB(keep_features)
    assert (last - first > 0.8 * FEATURES_MB) == keep_features
    assert keep_features or last - first < 0.4 * FEATURES_MB
    assert first < 2048
