"""Fits that were killed go on from the run's store, end with the same bytes, and leave nothing behind."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load, save
from studies import TINY

from engine import study
from engine.errors import BadInput
from engine.plan.plan import Plan
from engine.stages import events, models, scores
from engine.store import checkpoints
from engine.store.checkpoints import Checkpoint, discard
from engine.store.store import Store
from engine.store.units import Group, commit
from zoo._checkpoint import KEY
from zoo._fitted import metadata

SETTINGS = ("events.train_per_kind=100", "models.vae.epochs=25", "models.vae.batch_size=10")


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """The training parts of a small study, in a store."""
    path = str(TINY)
    plan, store = Plan(study.load(path, SETTINGS)), Store(str(tmp_path_factory.mktemp("simulated")))
    shards = plan.training(plan.study.models["vae"])
    entries = [entry for shard in shards for entry in commit(store, events.work(plan, shard))]
    return path, plan, store, entries


FIT = """
import json, sys
from engine import study
from engine.errors import BadInput
from engine.stages import models
from engine.store import checkpoints
from engine.store.parts import Entry
from engine.store.store import Store
from engine.plan.plan import Plan
path, settings, uri, entries = json.loads(sys.argv[1])
checkpoints.EVERY_S = 0.0
entries = [Entry(path, digest, tuple(items)) for path, digest, items in entries]
plan = Plan(study.load(path, tuple(settings)))
models.work(plan, plan.models["vae"], Store(uri), entries)
"""


def test_a_killed_fit_goes_on_from_the_store_to_the_same_bytes(simulated, monkeypatch):
    path, plan, store, entries = simulated
    (undisturbed,) = models.work(plan, plan.models["vae"], store, entries)
    assert store.list("checkpoints") == []  # it took less than EVERY_S
    checkpoint = Checkpoint(store, plan.models["vae"])
    arguments = json.dumps([path, SETTINGS, store.uri, [[e.path, e.sha256, e.items] for e in entries]])
    with subprocess.Popen([sys.executable, "-c", FIT, arguments]) as process:
        while (state := checkpoint.read()) is None or epochs(state) < 2:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    done, offered = epochs(checkpoint.read()), []
    assert 2 <= done < 25
    monkeypatch.setattr(Checkpoint, "offer", lambda self, state: offered.append(epochs(state())))
    (resumed,) = models.work(plan, plan.models["vae"], store, entries)
    assert offered == list(range(done + 1, 26))
    assert resumed == undisturbed
    discard(store, models.items(plan))
    assert store.list("checkpoints") == []


def epochs(state: bytes) -> int:
    return len(metadata(state, KEY)["history"]["train_loss"])


def test_a_checkpoint_that_cannot_be_read_is_set_aside(simulated):
    _, plan, store, entries = simulated
    (wanted,) = models.work(plan, plan.models["vae"], store, entries)
    store.put(f"checkpoints/{plan.models['vae']}.safetensors", b"half of i")
    (found,) = models.work(plan, plan.models["vae"], store, entries)
    assert found == wanted
    assert store.list("checkpoints") == [] and len(store.list("aside/checkpoints")) == 1


def test_a_state_is_made_and_written_at_most_every_so_often(store, monkeypatch):
    now, made = [1000.0], []
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    checkpoint = Checkpoint(store, "abc")
    for at_s in (1001, 1059, 1061, 1062, 1121, 1130):
        now[0] = float(at_s)
        checkpoint.offer(lambda at_s=at_s: made.append(at_s) or save({"at_s": np.array([at_s])}))
    assert made == [1061, 1121] and load(checkpoint.read())["at_s"].tolist() == [1121]


def test_only_what_was_committed_is_removed(store):
    for path in ("checkpoints/abc.safetensors", "checkpoints/ray/abc/note", "checkpoints/other.safetensors"):
        store.put(path, b"state")
    discard(store, ["abc"])
    assert store.list("checkpoints") == ["checkpoints/other.safetensors"]


def test_how_a_model_is_trained_is_part_of_it_where_it_moves_bits(tiny):
    plain = Plan(study.load(str(tiny))).models
    settings = ("training.precision='bf16'", "training.workers=2", "training.gpus_per_worker=1",
                "training.compile=true")  # fmt: skip
    others = [Plan(study.load(str(tiny), (setting,))).models["vae"] for setting in settings]
    assert len({plain["vae"], *others}) == 5
    for same in ("training.workers=1", "training.compile=false"):
        assert Plan(study.load(str(tiny), (same,))).models == plain


@pytest.mark.parametrize("given", ["1", "1.0", "0.5", "0.125"])
def test_a_model_is_that_of_a_gpu_whatever_part_of_one_it_had(tiny, given):
    loaded = study.load(str(tiny), (f"training.gpus_per_worker={given}",))
    as_ever = '{"training": {"workers": 1, "gpus_per_worker": 1, "precision": "float32"}}'
    assert json.dumps(loaded.training.of_each_fit) == as_ever


def test_where_scores_are_made_is_part_of_them_and_not_by_which_share_of_it(tiny):
    plain, part, whole = (Plan(study.load(str(tiny), (f"score.gpus_per_task={share}",))) for share in (0, 0.25, 1))
    shard = plain.shards["pool"][0]
    assert [scores.gpus(plan) for plan in (plain, part, whole)] == [0, 0.25, 1]
    assert plain.score_item(shard, "vae") == Plan(study.load(str(tiny))).score_item(shard, "vae")
    assert part.score_item(shard, "vae") == whole.score_item(shard, "vae") != plain.score_item(shard, "vae")
    assert part.table == whole.table != plain.table
    assert part.models == plain.models and part.score == plain.score


@pytest.mark.parametrize(("settings", "said"), [
    (("score.gpus_per_task=1.5",), "less than or equal to 1"),
    (("training.gpus_per_worker=2",), "2: a process trains on one GPU"),
    (("training.gpus_per_worker=-0.5",), "greater than or equal to 0"),
    (("training.gpus_per_worker=0.5", "training.workers=2"), "gpus_per_worker = 0.5 with workers = 2"),
])  # fmt: skip
def test_gpus_that_a_fit_cannot_use_are_refused(tiny, settings, said):
    with pytest.raises(BadInput, match=said):
        study.load(str(tiny), settings)


def test_one_process_never_pays_for_a_group(tiny):
    def group(*settings):
        return models.group(Plan(study.load(str(tiny), settings)))

    assert group() is group("training.workers=1") is None
    assert group("training.workers=2") == Group(2, 0)
    assert group("training.gpus_per_worker=1") == Group(1, 1)
    assert group("training.gpus_per_worker=0.5") == Group(1, 0.5)
