"""Ray Train around the real loop: two processes give the curve of one, and a killed one costs no more than time."""

import importlib
import os
import signal
import threading
import time

import numpy as np
import pytest

import zoo
from engine.cluster import nodes, trainer
from engine.errors import BadInput, CorruptPart, TaskFailed
from engine.store import checkpoints
from engine.store.parts import Entry, Part
from engine.store.store import Store
from engine.store.units import Unit

EPOCHS = 12

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")  # Ray at odds with itself


@pytest.fixture(scope="module")
def cluster():
    with nodes.cluster(None, 2) as cpus:
        yield cpus


def events(n=211):
    """Counts whose last batch of 16 is a single event: one of two ranks has then none."""
    rng = np.random.default_rng(5)
    return rng.poisson(np.linspace(1, 12, 30) * rng.uniform(0.5, 2, (n, 1))), np.zeros(n)


def fit(folder: str, epoch_s: float, device: str) -> list[Part]:
    """Trains the dense autoencoder; notes who works and what was done, and keeps a checkpoint after every epoch."""
    family = importlib.import_module("zoo.dense_vae")
    fields = {"hidden": [16, 8], "latent": 4, "epochs": EPOCHS, "batch_size": 16, "learning_rate": 0.01}
    checkpoint = checkpoints.Checkpoint(Store(folder), "fit", every_s=0.0)
    open(f"{folder}/pid.{os.getpid()}", "w").close()

    told = []

    def note(history):
        if told:  # the first time, none has ended here
            with open(f"{folder}/epochs", "a") as file:
                file.write(f"{len(history['train_loss'])} {os.getpid()}\n")
            time.sleep(epoch_s)
        told.append(True)

    fitted = zoo.fit(
        family, zoo.configure(family, fields), *events(), seed=1, device=device, lineage="x", report=note,
        save=checkpoint.offer, resume=checkpoint.read(),
    )  # fmt: skip
    return [Part("models/fit.safetensors", ("fit",), zoo.save(fitted))]


def refuse(folder: str, device: str) -> list[Part]:
    raise ValueError(f"not on {device}")


def damaged(folder: str, device: str) -> list[Part]:
    raise CorruptPart(Entry("events/x.parquet", "", ("x",)), "is gone")


def train(work, *task, cpus=2, workers=2):
    store = Store(task[0])
    ((entry,),) = trainer.train(work, [Unit(task, items=("fit",))], store, cpus, workers=workers, gpus_per_worker=0)
    return zoo.load(store.get(entry.path), importlib.import_module("zoo.dense_vae"))


def is_that_of_one(found, folder) -> None:
    """Whether a fit has the curve of one process, and its weights."""
    (part,) = fit(str(folder), 0.0, "cpu")
    alone = zoo.load(part.content, importlib.import_module("zoo.dense_vae"))
    for name, curve in alone.history.items():
        np.testing.assert_allclose(found.history[name], curve, rtol=1e-5, err_msg=name)
    for name, tensor in alone.module.state_dict().items():
        np.testing.assert_allclose(found.module.state_dict()[name], tensor, rtol=1e-3, atol=1e-4, err_msg=name)


def kill_a_follower(folder, killed):
    """SIGKILL to the process that reports no epochs, once three have ended."""
    while not (folder / "epochs").exists() or len((folder / "epochs").read_text().splitlines()) < 3:
        time.sleep(0.02)
    leader = (folder / "epochs").read_text().split()[1]
    (follower,) = {path.suffix[1:] for path in folder.glob("pid.*")} - {leader}
    os.kill(int(follower), signal.SIGKILL)
    killed.append(follower)


@pytest.fixture(scope="module")
def disturbed(cluster, tmp_path_factory):
    """A fit of two processes of which one was killed, and its folder."""
    folder, killed = tmp_path_factory.mktemp("disturbed"), []
    watch = threading.Thread(target=kill_a_follower, args=(folder, killed), daemon=True)
    watch.start()
    found = train(fit, str(folder), 0.3)
    watch.join()
    assert killed and len(list(folder.glob("pid.*"))) > 2
    return found, folder


def test_two_workers_give_the_curve_of_one_though_one_of_them_is_killed(disturbed, tmp_path):
    is_that_of_one(disturbed[0], tmp_path)


def test_an_interrupt_is_still_the_programs(disturbed):
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_killed_worker_costs_no_epoch_that_was_kept(disturbed):
    lines = [line.split() for line in (disturbed[1] / "epochs").read_text().splitlines()]
    first, second = dict.fromkeys(pid for _, pid in lines)
    before, after = ([int(epoch) for epoch, pid in lines if pid == which] for which in (first, second))
    assert 3 <= before[-1] < EPOCHS
    assert after[0] in (before[-1], before[-1] + 1) and after[-1] == EPOCHS  # the last may not have been kept in time


@pytest.mark.slow
def test_an_undisturbed_fit_of_two_is_that_of_one_and_the_kill_changed_no_byte(disturbed, tmp_path):
    folder = tmp_path / "together"
    folder.mkdir()
    together = train(fit, str(folder), 0.0)
    assert len(list(folder.glob("pid.*"))) == 2
    is_that_of_one(together, tmp_path)
    assert zoo.save(disturbed[0]) == zoo.save(together)


def test_what_every_worker_refuses_is_refused_at_once(cluster, tmp_path):
    with pytest.raises(TaskFailed, match="^ValueError: not on cpu$"):
        train(refuse, str(tmp_path))


@pytest.mark.slow
def test_a_part_that_a_worker_finds_damaged_is_told_to_the_driver(cluster, tmp_path):
    with pytest.raises(CorruptPart, match="^events/x.parquet is gone$"):
        train(damaged, str(tmp_path))


def test_a_cluster_too_small_is_said_before_anything_waits(cluster, tmp_path):
    with pytest.raises(BadInput, match=r"training.workers = 3.*the cluster has 2 CPUs and 0 GPUs"):
        train(refuse, str(tmp_path), workers=3)
