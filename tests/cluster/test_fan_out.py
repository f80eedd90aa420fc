"""Ray with one-line functions: a bounded window, retries, idempotent commits, clear failures."""

import os
import time

import pytest

from engine.cluster.fan_out import WINDOW_PER_CPU, check_address, cluster, fan_out, share
from engine.cluster.parts import Part
from engine.cluster.store import Store
from engine.errors import BadInput, ScanStalled, TaskFailed


@pytest.fixture(scope="module")
def cpus():
    with cluster(None, 2) as n:
        yield n


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


def square(x: int) -> list[Part]:
    return [Part(f"squares/{x}", (str(x),), str(x * x).encode())]


def add(x: int, shared: int) -> list[Part]:
    return [Part(f"sums/{x}", (str(x),), str(x + shared).encode())]


def refuse(x: int) -> list[Part]:
    raise ValueError(f"{x} is not for me")


def die_once(folder: str) -> list[Part]:
    flag = os.path.join(folder, "died")
    if not os.path.exists(flag):
        open(flag, "w").close()
        os._exit(1)
    return [Part("survivor", ("s",), b"alive")]


def sleep(seconds: float) -> list[Part]:
    time.sleep(seconds)
    return []


def test_every_task_commits_its_part(cpus, store):
    entries = [entry for found in fan_out(square, [(x,) for x in range(20)], store, cpus) for entry in found]
    assert sorted(entry.items for entry in entries) == sorted((str(x),) for x in range(20))
    assert {store.get(f"squares/{x}") for x in range(20)} == {str(x * x).encode() for x in range(20)}


def test_a_shared_input_reaches_the_tasks(cpus, store):
    list(fan_out(add, [(1, share(41))], store, cpus))
    assert store.get("sums/1") == b"42"


def test_the_same_work_twice_changes_nothing(cpus, store):
    first = list(fan_out(square, [(3,)], store, cpus))
    assert list(fan_out(square, [(3,)], store, cpus)) == first
    assert not store.list("aside")


def test_a_mistake_in_the_work_is_raised_as_itself(cpus, store):
    with pytest.raises(TaskFailed, match="^ValueError: 7 is not for me$"):
        list(fan_out(refuse, [(7,)], store, cpus))


def test_a_worker_that_dies_is_replaced(cpus, store, tmp_path):
    ((entry,),) = fan_out(die_once, [(str(tmp_path),)], store, cpus)
    assert store.get(entry.path) == b"alive"
    assert (tmp_path / "died").exists()


def test_no_progress_is_an_error_and_not_a_wait(cpus, store):
    with pytest.raises(ScanStalled, match="no task ended within 0.5 s"):
        list(fan_out(sleep, [(60.0,)], store, cpus, stall_s=0.5))


def test_one_long_task_is_no_stall_where_none_is_declared(cpus, store):
    assert list(fan_out(sleep, [(1.0,)], store, cpus, stall_s=None)) == [[]]


def test_tasks_are_made_as_the_window_empties(cpus, store):
    made = []

    def tasks():
        for x in range(40):
            made.append(x)
            yield (x,)

    found = fan_out(square, tasks(), store, cpus)
    next(found)
    assert len(made) <= WINDOW_PER_CPU * cpus + 1
    assert len(list(found)) == 39


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "127.0.0.1:port"])
def test_an_address_where_nobody_answers_is_one_clear_line(address):
    with pytest.raises(BadInput, match=f"no Ray cluster answers at '{address}'"):
        check_address(address)
