"""Ray with one-line functions: a bounded window, retries, idempotent commits, clear failures."""

import os
import time
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace

import pytest
import ray

from engine.cluster import fan_out as module
from engine.cluster import nodes
from engine.cluster.fan_out import WINDOW_PER_CPU
from engine.cluster.nodes import check_address, cluster, share
from engine.errors import BadInput, CorruptPart, ScanStalled, TaskFailed
from engine.store.parts import Entry, Failure, Part
from engine.store.store import Store, read
from engine.store.units import Job, Unit


def fan_out(work, tasks, store, cpus, **options):
    """Of plain tuples of arguments."""
    units = (task if isinstance(task, Unit) else Unit(task) for task in tasks)
    return module.fan_out(work, units, store, cpus, **options)


@pytest.fixture(scope="module")
def cpus():
    with cluster(None, 2) as n:
        yield n


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def attempted(monkeypatch):
    """Sets options of Ray for every attempt."""
    plain = module._attempt

    def call(**options):
        patched = SimpleNamespace(options=lambda **named: plain.options(**named, **options))
        monkeypatch.setattr(module, "_attempt", patched)

    return call


def square(x: int) -> list[Part]:
    return [Part(f"squares/{x}", (str(x),), str(x * x).encode())]


def add(x: int, shared: int) -> list[Part]:
    return [Part(f"sums/{x}", (str(x),), str(x + shared).encode())]


def grow(name: str, x: int, shared: list) -> list[Part]:
    """What only a test may do: changes what it shares, so that it is seen how often this process had it."""
    shared.append(x)
    return [Part(f"grown/{name}{x}", (f"{name}{x}",), f"{os.getpid()} {len(shared)} {len(module._last)}".encode())]


def die_elsewhere(here: int, numbers: list[int]) -> int:
    """Ends any other process."""
    if os.getpid() != here:
        os._exit(1)
    return sum(numbers)


def until(x: int, gate: str) -> list[Part]:
    """Waits for a file, a minute at most."""
    end = time.monotonic() + 60
    while not Path(gate).exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    return square(x)


def items(records: list[Entry | Failure]) -> list[str]:
    return [item for record in records for item in record.items]


def refuse(x: int) -> list[Part]:
    raise ValueError(f"{x} is not for me")


def look(store: Store, entry: Entry, log: str) -> list[Part]:
    with open(log, "a") as file:
        file.write("once\n")
    return [Part("seen", ("seen",), read(store, entry))]


def die_once(folder: str) -> list[Part]:
    flag = os.path.join(folder, "died")
    if not os.path.exists(flag):
        open(flag, "w").close()
        os._exit(1)
    return [Part("survivor", ("s",), b"alive")]


def inverses(shift: int, numbers: list[int]) -> list[Part]:
    """One part of many pieces, which has no answer at 0, and which says what was asked together."""
    found = [1 / (x + shift) for x in numbers]
    name = "-".join(map(str, numbers))
    return [Part(f"inverses/{name}", tuple(f"{shift}/{x}" for x in numbers), repr(found).encode())]


def slow(numbers: list[int]) -> list[Part]:
    time.sleep(0.05 * len(numbers))
    return [Part(f"slow/{numbers[0]}-{len(numbers)}", tuple(map(str, numbers)), b"x")]


def die_of(numbers: list[int]) -> list[Part]:
    """A process that ends when it has more than one piece, as if it needed too much memory; 13 is always too much."""
    if len(numbers) > 1 or numbers == [13]:
        os._exit(1)
    return [Part(f"small/{numbers[0]}", (str(numbers[0]),), b"x")]


def mistaken(x: int) -> list[Part]:
    raise KeyError("a mistake of the program")


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


def test_a_part_that_a_worker_finds_damaged_is_told_at_once_and_by_its_name(cpus, store, tmp_path):
    ((entry,),) = fan_out(square, [(3,)], store, cpus)
    store.put(entry.path, b"no square")
    with pytest.raises(CorruptPart, match="^squares/3 does not have the bytes that were committed$") as found:
        list(fan_out(look, [(store, entry, str(tmp_path / "log"))], store, cpus))
    assert found.value.entry == entry
    assert (tmp_path / "log").read_text() == "once\n"


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


def pieces(*numbers, shift=0):
    return [Unit((shift,), x, (f"{shift}/{x}",), f"1 / ({x} + {shift})") for x in numbers]


def done(found) -> tuple[list[str], list[Failure]]:
    records = [record for some in found for record in some]
    items = [item for record in records if isinstance(record, Entry) for item in record.items]
    return sorted(items), [record for record in records if isinstance(record, Failure)]


def test_what_has_no_answer_is_noted_and_costs_no_other_piece_its_own(cpus, store):
    units = [*pieces(*range(-3, 30)), *pieces(*range(-3, 4), shift=1)]
    items, failures = done(fan_out(inverses, units, store, cpus, n_items=40, tolerant=True))
    assert items == sorted({unit.items[0] for unit in units} - {"0/0", "1/-1"})
    said = {failure.name: (failure.items, failure.reason) for failure in failures}
    assert said == {
        "1 / (0 + 0)": (("0/0",), "ZeroDivisionError: division by zero"),
        "1 / (-1 + 1)": (("1/-1",), "ZeroDivisionError: division by zero"),
    }


def test_what_has_no_answer_ends_a_stage_that_others_build_on(cpus, store):
    with pytest.raises(TaskFailed, match=r"^1 / \(0 \+ 0\): ZeroDivisionError: division by zero$"):
        list(fan_out(inverses, pieces(0), store, cpus))


def test_what_a_task_raised_is_told_to_the_driver_with_its_traceback_in_the_store(cpus, store):
    units = [Unit((0,), x, (f"0/{x}",), f"1 / {x}") for x in (0,)]
    with pytest.raises(TaskFailed) as raised:
        list(fan_out(inverses, units, store, cpus))
    assert raised.value.failure == Failure(("0/0",), "1 / 0", "ZeroDivisionError: division by zero")
    text = Path(raised.value.details).read_text()
    assert text.startswith("1 / 0: ZeroDivisionError: division by zero\n") and "in inverses" in text


def named(numbers: list[int]) -> list[Part]:
    name = ray.get_runtime_context().get_task_name()
    return [Part(f"names/{numbers[0]}", tuple(map(str, numbers)), name.encode())]


def test_tasks_are_called_by_their_stage_and_their_first_unit(cpus, store, monkeypatch):
    monkeypatch.setattr(module.Grain, "size", 3)
    list(fan_out(named, [Unit((), x, (str(x),), f"{x} GeV") for x in range(4)], store, cpus, stage="cells"))
    assert [store.get(f"names/{x}") for x in (0, 3)] == [b"cells: 0 GeV and 2 more", b"cells: 3 GeV"]


def test_a_mistake_of_the_program_is_never_an_answer(cpus, store):
    with pytest.raises(TaskFailed, match="^KeyError: 'a mistake of the program'$"):
        list(fan_out(mistaken, [(1,)], store, cpus, tolerant=True))


def test_short_pieces_share_tasks_but_leave_four_for_every_cpu(cpus, store):
    units = [Unit((), x, (str(x),)) for x in range(200)]
    items, _ = done(fan_out(slow, units, store, cpus, n_items=200))
    assert items == sorted(map(str, range(200)))
    sizes = [int(path.split("-")[1]) for path in store.list("slow")]
    assert sizes.count(1) <= WINDOW_PER_CPU * cpus + 1
    assert max(sizes) == 200 // (4 * cpus)


def test_a_task_that_is_too_big_is_halved(cpus, store, monkeypatch, attempted):
    attempted(max_retries=0)
    monkeypatch.setattr(module.Grain, "size", 6)
    items, failures = done(fan_out(die_of, [Unit((), x, (str(x),)) for x in range(6)], store, cpus))
    assert (items, failures) == (sorted(map(str, range(6))), [])


def test_a_piece_that_is_too_big_alone_is_named(cpus, store, attempted):
    attempted(max_retries=0)
    with pytest.raises(TaskFailed, match="^cell 13: kills its process"):
        list(fan_out(die_of, [Unit((), 13, ("13",), "cell 13")], store, cpus))


def test_what_no_node_has_is_named_with_what_nodes_have(cpus):
    with pytest.raises(ScanStalled, match="no node can run a task that asks for CPU 64; nodes have: CPU 2$"):
        nodes.check({"CPU": 64.0})
    asked = {"CPU": 1.0, "memory": 2.0**50}
    words = r"asks for CPU 1, memory 1.05e\+06 GiB; nodes have: CPU 2, memory [\d.]+ GiB"
    with pytest.raises(ScanStalled, match=words):
        nodes.check(asked)
    nodes.check({"CPU": 1.0})


def test_a_task_that_no_node_can_run_is_an_error_and_not_a_wait(cpus, store, monkeypatch, attempted):
    attempted(num_cpus=64)
    monkeypatch.setattr(module._Tasks, "request", {"CPU": 64.0})
    start = time.monotonic()
    with pytest.raises(ScanStalled, match="no node can run a task that asks for CPU 64"):
        list(fan_out(square, [(1,)], store, cpus, nodes_s=1.0))
    assert time.monotonic() - start < 100  # not the minutes after which a stage counts as stalled


def test_a_gpu_that_no_node_has_is_said_at_once(cpus, store):
    with pytest.raises(BadInput, match=r"score.gpus_per_task = 0.5: the cluster has no GPU; give 0"):
        list(fan_out(square, [(1,)], store, cpus, gpus=0.5))


def test_a_process_that_held_much_has_its_memory_declared(cpus, store, monkeypatch):
    monkeypatch.setattr(module, "BIG_BYTES", 1000)
    tasks = module._Tasks(Job(square, [Unit((5,))], store, 0), cpus, SimpleQueue())
    assert tasks.start(raises=True) and not tasks.start(raises=True)
    (reference,) = tasks.running
    ray.wait([reference], timeout=30)
    list(tasks.result(reference))
    assert 1e7 < tasks.request["memory"] < nodes.largest_memory()


def test_what_ends_is_told_once_and_together(cpus, store, monkeypatch):
    flow, job = module.Flow(5), Job(square, (Unit((x,)) for x in range(20)), store, 0)
    tasks = flow.begun[job] = module._Tasks(job, 5, flow.ended)
    assert flow._fill(tasks) and len(tasks.running) == 5 * WINDOW_PER_CPU
    ray.wait(list(tasks.running), num_returns=len(tasks.running), timeout=60)
    time.sleep(0.5)  # Ray tells from a thread of its own
    monkeypatch.setattr(module, "AT_ONCE", 7)
    some, rest = flow._done(30.0), flow._done(30.0)
    assert len(some) == 7 and {*some, *rest} == {*tasks.running} and len(rest) == 3
    assert flow._done(0.0) == []
    flow.close()


def test_what_tasks_share_is_one_object_in_a_process_until_the_next_shares_others(cpus, store):
    for name in "ab":
        shared = share([name])
        list(fan_out(grow, [(name, x, shared) for x in range(20)], store, cpus))
    for name in "ab":
        said = [store.get(f"grown/{name}{x}").decode().split() for x in range(20)]
        seen: dict[str, list[int]] = {}
        for process, n, n_kept in said:
            assert n_kept == "1"  # nothing of what the tasks before shared
            seen.setdefault(process, []).append(int(n))
        assert all(sorted(some) == [*range(2, len(some) + 2)] for some in seen.values())


def test_a_map_on_a_cluster_is_the_builtin(cpus):
    assert list(module.mapped(max, [1, 5, 3], [4, 2, 3])) == [4, 5, 3]
    with pytest.raises(ZeroDivisionError):
        list(module.mapped(divmod, [1], [0]))


def test_what_a_cluster_loses_is_made_here(cpus, monkeypatch):
    monkeypatch.setattr(module, "_call", module._call.options(max_retries=0))
    assert list(module.mapped(die_elsewhere, [os.getpid()] * 2, [share([1, 2]), share([3])])) == [3, 3]


class TestAhead:
    """Jobs that begin while the last tasks of the one before them are under way."""

    @pytest.fixture
    def flow(self, cpus):
        flow = module.Flow(cpus)
        yield flow
        flow.close()

    def test_the_next_begins_when_nothing_more_of_the_first_can(self, flow, store, tmp_path):
        gate = tmp_path / "gate"
        first = Job(until, [Unit((1, str(gate)))], store, 1, "first")
        second, third = (Job(square, [Unit((x,)) for x in some], store, 3) for some in ((2, 3, 4), (5,)))
        came = []
        for records in flow.do(first, [second, third]):
            came += items(records)
            if {"2", "3", "4", "5"} <= set(came):
                gate.touch()  # the first waits for all of the others, which wait for none of their turns
        assert came[-1] == "1" and sorted(came) == ["1", "2", "3", "4", "5"]
        assert list(flow.do(second, [third])) == list(flow.do(third)) == [] and not flow.begun

    def test_what_an_early_one_raises_waits_for_its_turn(self, flow, store):
        first = Job(square, [Unit((x,)) for x in range(30)], store, 30)
        second = Job(refuse, [Unit((7,), name="the seventh")], store, 1)
        third = Job(square, (1 / 0 for _ in range(1)), store, 1)
        came = [int(item) for some in flow.do(first, [second, third]) for item in items(some)]
        assert sorted(came) == [*range(30)]
        with pytest.raises(TaskFailed, match="the seventh: .*7 is not for me"):
            list(flow.do(second, [third]))
        assert not flow.begun  # a scan that goes on after that begins anew

    def test_what_an_interrupted_pass_had_begun_is_dropped(self, flow, store, tmp_path):
        gate = str(tmp_path / "gate")
        waiting = [Job(until, [Unit((x, gate)) for x in some], store, 2) for some in ((1, 2), (3, 4))]
        flow.begun = {job: module._Tasks(job, 2, flow.ended) for job in waiting}
        assert flow._fill(flow.begun[waiting[0]]) and sum(len(tasks.running) for tasks in flow.begun.values()) == 4
        last = Job(square, [Unit((5,))], store, 1)
        assert [item for some in flow.do(last) for item in items(some)] == ["5"] and not flow.begun

    def test_what_makes_units_is_heard_in_its_turn(self, flow, store):
        first, second = Job(square, [Unit((1,))], store, 1), Job(square, (1 / 0 for _ in range(1)), store, 1)
        assert [item for some in flow.do(first, [second]) for item in items(some)] == ["1"]
        with pytest.raises(ZeroDivisionError):
            list(flow.do(second))


def test_keepalive_is_set_for_a_cluster_of_ours(cpus):
    assert os.environ["RAY_grpc_client_keepalive_time_ms"] == "10000"
    assert os.environ["RAY_grpc_client_keepalive_timeout_ms"] == "5000"
