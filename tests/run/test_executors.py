"""Work without a cluster: unit after unit in this process, with the bytes of a cluster, and open to a debugger."""

import os
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from scanned import SECONDS

from engine import study
from engine.errors import BadInput, StoreFault, TaskFailed
from engine.run import executors, pipeline
from engine.run.executors import InProcess, OnRay, executor
from engine.store.parts import Entry, Failure, Part
from engine.store.store import Ledger, Store
from engine.store.units import Group, Job, Unit

TABLES = ("tables", "limit_tables", "diagnostic_tables")

SCAN = """
import sys
from engine import study
from engine.run import pipeline
from engine.store.store import Store
pipeline.run(study.load(sys.argv[1]), Store(sys.argv[2]), workers=0)
print("ray" in sys.modules)
"""


@pytest.fixture(scope="module")
def alone(tiny, tmp_path_factory):
    """The store of the tiny study's scan without a cluster, in a process of its own, and what that said at its end."""
    store = tmp_path_factory.mktemp("alone") / "store"
    done = subprocess.run(
        [sys.executable, "-c", SCAN, str(tiny), str(store)], capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    return store, done.stdout


class TestBytes:
    @pytest.mark.parametrize("folder", TABLES)
    def test_tables_are_those_of_a_cluster(self, alone, reference, folder):
        stores = alone[0], reference.store
        mine, theirs = ({path.name: path for path in (store / folder).iterdir()} for store in stores)
        assert len(mine) == 1 and mine.keys() == theirs.keys()
        for name, path in mine.items():
            assert path.read_bytes() == theirs[name].read_bytes()
            assert pq.read_table(path)["lineage"].equals(pq.read_table(theirs[name])["lineage"])

    def test_every_item_of_a_cluster_is_there_under_its_digest(self, alone, reference):
        mine, theirs = (Ledger(Store(str(store))) for store in (alone[0], reference.store))
        assert mine.entries.keys() == theirs.entries.keys()

    def test_ray_was_not_even_imported(self, alone):
        assert alone[1].splitlines()[-1] == "False"


# A statistic of a user's: the count, which notes where it works, and does as it is told there.
MINE = """
import os
from pathlib import Path
from engine.inference.teststats.count import *
from engine.inference.teststats.count import Count

EXACT = False
FOLDER = Path({folder!r})


def prepare(null, options):
    with open(FOLDER / "pids", "a") as file:
        print(os.getpid(), file=file)
    if (FOLDER / "stop").exists():
        breakpoint()
    if (FOLDER / "fail").exists():
        raise KeyError("a mistake of the user's")
    return Count(null)
"""

SMALL = (
    "events.train_per_kind=100", "events.test_per_kind=100", "pool.er_events=1000", "pool.nr_events=1000",
    "toys.null=1000", "toys.signal=1000", "toys.exact='none'", "grid.exposure_ty.values=[5]",
    "grid.m_chi_GeV.values=[50]", "grid.sigma_si_cm2.values=[1e-47]", "models.vae.epochs=1",
    "models.classifier.epochs=1", "limits.enabled=false",
)  # fmt: skip


@pytest.fixture(scope="module")
def scored(tiny, tmp_path_factory):
    """A store in which all is there but what a user's statistic says."""
    store = tmp_path_factory.mktemp("scored") / "store"
    pipeline.run(study.load(str(tiny), (*SMALL, "toys.statistics=['count']")), Store(str(store)), workers=0)
    return store


@pytest.fixture
def scan(scored, tiny, tmp_path):
    """Scans with the user's statistic, which is `mine.py` in the test's folder, on a copy of the store."""
    (tmp_path / "mine.py").write_text(MINE.format(folder=str(tmp_path)))
    shutil.copytree(scored, tmp_path / "store")
    mine = "toys.statistics=['count','mine']", f"toys.options.mine={{statistic='{tmp_path}/mine.py'}}"
    return lambda: pipeline.run(study.load(str(tiny), (*SMALL, *mine)), Store(str(tmp_path / "store")), workers=0)


def pids(folder) -> set[str]:
    return set((folder / "pids").read_text().split())


class TestDebugger:
    def test_a_breakpoint_in_a_users_statistic_stops_the_scan_here(self, scan, tmp_path, monkeypatch):
        stopped = []

        def hook():
            frame = sys._getframe(1)
            stopped.append((os.getpid(), frame.f_code.co_filename, "null" in frame.f_locals))

        monkeypatch.setattr(sys, "breakpointhook", hook)
        (tmp_path / "stop").touch()
        rows = {row["statistic"]: row for row in scan().table.to_pylist() if row["point"] == "grid"}
        assert set(stopped) == {(os.getpid(), str(tmp_path / "mine.py"), True)}
        assert pids(tmp_path) == {str(os.getpid())}
        assert rows["mine"]["p_median"] == rows["count"]["p_median"]  # and it goes on to its end

    def test_an_exception_in_it_is_raised_here_with_the_place(self, scan, tmp_path):
        (tmp_path / "fail").touch()
        with pytest.raises(TaskFailed, match='KeyError: "a mistake of the user\'s"') as error:
            scan()
        *_, last = traceback.extract_tb(error.value.__cause__.__traceback__)
        assert (last.filename, last.name) == (str(tmp_path / "mine.py"), "prepare")
        assert pids(tmp_path) == {str(os.getpid())}
        text = Path(error.value.details).read_text()
        assert str(error.value) in text and f'{tmp_path}/mine.py", line' in text
        store = Store(str(tmp_path / "store"))
        assert error.value.failure.items[0] in Ledger(store).failures and len(store.list("errors")) == 1
        (tmp_path / "fail").unlink()
        assert scan().n_failed == 0
        assert store.list("errors") == [], "what has an answer now is not explained any more"


def inverse(numbers: list[int]) -> list[Part]:
    found = [1 / x for x in numbers]
    return [Part(f"inverses/{'-'.join(map(str, numbers))}", tuple(map(str, numbers)), repr(found).encode())]


def refuse(error: Exception) -> list[Part]:
    raise error


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


def units(*numbers: int) -> list[Unit]:
    return [Unit((), x, (str(x),), f"1 / {x}") for x in numbers]


class TestInProcess:
    def test_what_has_no_answer_is_noted_and_costs_no_other_unit_its_own(self, store):
        job = Job(inverse, units(*range(-2, 80)), store, 82, tolerant=True)
        records = [record for some in InProcess().do(job) for record in some]
        failures = [record for record in records if isinstance(record, Failure)]
        assert failures == [Failure(("0",), "1 / 0", "ZeroDivisionError: division by zero")]
        items = [item for record in records if isinstance(record, Entry) for item in record.items]
        assert sorted(items, key=int) == [str(x) for x in range(-2, 80) if x]

    def test_where_others_build_on_it_it_ends_the_stage(self, store):
        with pytest.raises(TaskFailed, match="^1 / 0: ZeroDivisionError: division by zero$"):
            list(InProcess().do(Job(inverse, units(0), store, 1)))

    @pytest.mark.parametrize("error", [BadInput("a digit has slipped"), StoreFault("the disk is full")])
    def test_what_a_user_is_told_in_a_line_stays_as_it_is(self, store, error):
        with pytest.raises(type(error)) as raised:
            list(InProcess().do(Job(refuse, [Unit((error,))], store, 1, tolerant=True)))
        assert raised.value is error

    def test_a_mistake_of_the_program_is_never_an_answer(self, store):
        with pytest.raises(TaskFailed, match="^KeyError: 'x'$"):
            list(InProcess().do(Job(refuse, [Unit((KeyError("x"),))], store, 1, tolerant=True)))

    def test_units_are_made_as_they_are_needed(self, store, monkeypatch):
        monkeypatch.setattr(executors, "AT_ONCE", 4)
        made = []
        found = InProcess().do(Job(inverse, (made.append(unit) or unit for unit in units(*range(1, 13))), store, 12))
        next(found)
        assert len(made) == 1
        next(found)
        assert len(made) == 5
        assert len(list(found)) == 2 and len(made) == 12

    def test_units_that_take_long_are_committed_one_by_one(self, store, monkeypatch):
        monkeypatch.setattr(executors, "TARGET_S", 0.0)
        assert [len(some) for some in InProcess().do(Job(inverse, units(*range(1, 6)), store, 5))] == [1] * 5

    def test_a_group_of_processes_needs_a_cluster_and_so_does_a_gpu(self, store):
        with pytest.raises(BadInput, match=r"training.workers = 2, .* need Ray: give --workers 1 or more"):
            list(InProcess().do(Job(inverse, units(1), store, 1, group=Group(2, 0))))
        with pytest.raises(BadInput, match=r"score.gpus_per_task = 0.5 needs Ray: give --workers 1 or more"):
            list(InProcess().do(Job(inverse, units(1), store, 1, gpus=0.5)))


def test_no_workers_and_a_cluster_exclude_each_other():
    assert isinstance(executor(None, 0), InProcess)
    for workers in (3, None):
        found = executor(None, workers)
        assert isinstance(found, OnRay) and (found.address, found.n, found.cpus) == (None, workers, 0)
    with pytest.raises(BadInput, match="--workers 0 works in this process, --address on a cluster"):
        executor("127.0.0.1:1", 0)
