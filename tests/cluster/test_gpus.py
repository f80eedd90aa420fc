"""Tasks and fits that ask for GPUs, on a Ray that is told of GPUs which are not there."""

import os

import pytest
import ray

from engine.cluster import local, nodes, trainer
from engine.cluster.fan_out import fan_out
from engine.store.parts import Part
from engine.store.store import Store
from engine.store.units import Group, Unit

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")  # Ray at odds with itself


@pytest.fixture(scope="module")
def cpus():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(local.QUIET, "num_gpus", 1)
        with nodes.cluster(None, 2) as n:
            yield n


def place(x: int) -> list[Part]:
    (gpu,) = ray.get_gpu_ids()
    return [Part(f"places/{x}", (str(x),), f"{gpu} {os.getpid()}".encode())]


def fit(name: str, device: str) -> list[Part]:
    return [Part(f"fits/{name}", (name,), device.encode())]


def test_tasks_share_a_gpu_and_none_is_done_where_another_was(cpus, tmp_path):
    store = Store(str(tmp_path))
    done = list(fan_out(place, [Unit((x,), items=(str(x),)) for x in range(3)], store, cpus, gpus=0.5))
    places = [store.get(entry.path).decode().split() for entries in done for entry in entries]
    assert [gpu for gpu, _ in places] == ["0", "0", "0"] and len({pid for _, pid in places}) == 3


@pytest.mark.slow
def test_a_fit_is_told_of_the_gpu_that_its_process_has(cpus, tmp_path):
    """And without one that torch finds, the zoo refuses it: see tests/zoo/test_device.py."""
    store = Store(str(tmp_path))
    ((entry,),) = trainer.train(fit, [Unit(("one",), items=("one",))], store, Group(1, 0.5))
    assert store.get(entry.path) == b"cuda:0"
