"""Ray Train around the real loop: two processes give the curve of one, and a killed one costs no more than time."""

import glob
import importlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import zoo
from engine.cluster import nodes, trainer
from engine.errors import BadInput, CorruptPart, ScanStalled, TaskFailed
from engine.store import checkpoints
from engine.store.parts import Entry, Part
from engine.store.store import Store
from engine.store.units import Group, Unit
from zoo import Fitted

EPOCHS = 12

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")  # Ray at odds with itself


@pytest.fixture(scope="module")
def cluster():
    with nodes.cluster(None, 4) as cpus:
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


def train(work, *task, workers=2):
    store = Store(task[0])
    ((entry,),) = trainer.train(work, [Unit(task, items=("fit",))], store, Group(workers, 0))
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


def meet(folder: str, name: str, device: str) -> Iterator[Part]:
    """A fit that waits, for a while, until all of the other fit's members have begun as well."""
    open(f"{folder}/begun.{name}.{os.getpid()}", "w").close()
    until = time.monotonic() + 120
    while len(glob.glob(f"{folder}/begun.*")) < 4 and time.monotonic() < until:
        time.sleep(0.05)
    with open(f"{folder}/met", "a") as file:
        file.write(f"{len(glob.glob(f'{folder}/begun.*'))}\n")
    os.makedirs(f"{folder}/{name}", exist_ok=True)
    (part,) = fit(f"{folder}/{name}", 0.3 if name == "one" else 0.0, device)
    yield Part(f"models/{name}.safetensors", (name,), part.content)


@dataclass
class SideBySide:
    """What came of two fits: the disturbed one, the other, and the folder of both."""

    disturbed: Fitted
    other: Fitted
    folder: Path


@pytest.fixture(scope="module")
def fits(cluster, tmp_path_factory):
    """Two fits of two processes each, side by side, of which one was killed."""
    folder, killed = tmp_path_factory.mktemp("fits"), []
    watch = threading.Thread(target=kill_a_follower, args=(folder / "one", killed), daemon=True)
    watch.start()
    store = Store(str(folder))
    units = [Unit((nodes.share(str(folder)), name), items=(name,)) for name in ("one", "other")]
    entries = [entry for ended in trainer.train(meet, units, store, Group(2, 0)) for entry in ended]
    watch.join()
    assert killed and len(list((folder / "one").glob("pid.*"))) > 2
    family = importlib.import_module("zoo.dense_vae")
    made = {entry.items: zoo.load(store.get(entry.path), family) for entry in entries}
    assert made.keys() == {("one",), ("other",)}
    return SideBySide(made["one",], made["other",], folder)


def test_two_workers_give_the_curve_of_one_though_one_of_them_is_killed(fits, tmp_path):
    is_that_of_one(fits.disturbed, tmp_path)


def test_fits_side_by_side_are_one_and_the_kill_changed_no_byte(fits):
    assert (fits.folder / "met").read_text().split()[:4] == 4 * ["4"]
    assert len(list((fits.folder / "other").glob("pid.*"))) == 2
    assert zoo.save(fits.disturbed) == zoo.save(fits.other)


def test_an_interrupt_is_still_the_programs(fits):
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_killed_worker_costs_no_epoch_that_was_kept(fits):
    lines = [line.split() for line in (fits.folder / "one" / "epochs").read_text().splitlines()]
    first, second = dict.fromkeys(pid for _, pid in lines)
    before, after = ([int(epoch) for epoch, pid in lines if pid == which] for which in (first, second))
    assert 3 <= before[-1] < EPOCHS
    assert after[0] in (before[-1], before[-1] + 1) and after[-1] == EPOCHS  # the last may not have been kept in time


def test_what_every_worker_refuses_is_refused_at_once(cluster, tmp_path):
    with pytest.raises(TaskFailed, match="^ValueError: not on cpu$"):
        train(refuse, str(tmp_path))


@pytest.mark.slow
def test_a_part_that_a_worker_finds_damaged_is_told_to_the_driver(cluster, tmp_path):
    with pytest.raises(CorruptPart, match="^events/x.parquet is gone$"):
        train(damaged, str(tmp_path))


def test_a_cluster_too_small_is_said_before_anything_waits(cluster, tmp_path):
    with pytest.raises(BadInput, match=r"training.workers = 5.*the cluster has 4 CPUs and 0 GPUs"):
        train(refuse, str(tmp_path), workers=5)


# --- how many fits have room, without Ray


@pytest.fixture
def alive(monkeypatch):
    """What living nodes have, to which others may come, and what is wanted of an autoscaler."""
    there, wanted = [], []
    monkeypatch.setattr(nodes, "alive", lambda: there)
    monkeypatch.setattr(nodes, "may_grow", lambda: True)
    monkeypatch.setattr(nodes, "ask_for", lambda bundles, n: wanted.extend(n * [bundles]) or wanted)
    monkeypatch.setattr(nodes, "give_up", list.clear)
    return there, wanted


@pytest.mark.parametrize(("group", "n"), [
    (Group(1, 1), 6), (Group(1, 0.5), 12), (Group(1, 0.3), 18), (Group(2, 1), 3), (Group(4, 1), 1), (Group(8, 1), 0),
    (Group(2, 0), 9),
])  # fmt: skip
def test_as_many_fits_at_a_time_as_nodes_hold(alive, group, n):
    alive[0].extend([{"CPU": 16.0, "GPU": 4.0}, {"CPU": 2.0, "GPU": 2.0}, {"memory": 1e9}])
    alive[0][1]["CPU"] = 3.0 if group.gpus_per_worker == 0 else 8.0
    assert trainer._Room(group, 1, 300.0).n_fits() == n


def test_nodes_are_asked_for_and_waited_for(alive):
    there, wanted = alive
    room = trainer._Room(Group(2, 1), 3, 300.0)
    room.check()
    assert room.n_fits() == room.n_fits() == 0 and wanted == 3 * [2 * [{"CPU": 1.0, "GPU": 1.0}]]
    there.append({"CPU": 8.0, "GPU": 4.0})
    assert room.n_fits() == 2 and not wanted


def test_nodes_that_do_not_come_are_said(alive):
    alive[0].append({"CPU": 8.0})
    with pytest.raises(ScanStalled, match="training.gpus_per_worker = 0.5: the cluster has 8 CPUs and 0 GPUs; none"):
        trainer._Room(Group(1, 0.5), 1, 0.0).n_fits()
