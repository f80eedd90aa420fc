"""What the driver costs: time lost beside the work, and deciding what is missing when very many cells are done."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import count, islice

import pyarrow as pa

from engine import schemas, study
from engine.bench import simulation
from engine.cluster.fan_out import WINDOW_PER_CPU, fan_out
from engine.cluster.nodes import cluster
from engine.plan.plan import Plan
from engine.stages import tables
from engine.store.parts import Entry, Part
from engine.store.store import Ledger, Store
from engine.store.units import Unit, commit

UNIT_S = 0.05
N_UNITS = 400
CELLS_PER_PART = 500
IN_FLIGHT = 1_000, 10_000  # tasks: of clusters of 500 and 5,000 CPUs
N_FOUND = 500  # tasks that the cost of one is the mean of
N_SEGMENTS = 5_000
SIDES = {1_000: (10, 10, 10), 100_000: (100, 100, 10)}  # masses, cross-sections, exposures
ONE = ("toys.statistics=['extended_poisson']", "toys.options={}", "score.R=[2.5e5]", "toys.exact='none'",
       "reach.points=[]")  # fmt: skip
WORDS = {pa.string(): "word", pa.float64(): 0.5, pa.int64(): 1000, pa.bool_(): False}


@dataclass(frozen=True)
class Overhead:
    """A stage of short units: seconds from its first task to its last, and those of its work on as many CPUs."""

    wall_s: float
    work_s: float

    @property
    def ratio(self) -> float:
        """1 were Ray free."""
        return self.wall_s / self.work_s


@dataclass(frozen=True)
class InFlight:
    """With so many tasks in flight: the driver's processor time to start one, and to learn what one did and start the
    next in its place."""

    n_tasks: int
    start_ms: float
    next_ms: float


@dataclass(frozen=True)
class Segments:
    """Seconds to open a ledger of so many segments in a folder: each by itself, and by the one that holds them all; and
    the bytes of that one."""

    n_segments: int
    each_s: float
    one_s: float
    one_bytes: int


@dataclass(frozen=True)
class Resumed:
    """A finished grid that is asked for again: seconds of the plan, of reading and verifying what is there, of the
    table; and the largest resident set of the process, beside what its imports take."""

    n_cells: int
    plan_s: float
    decide_s: float
    table_s: float
    peak_MB: float
    imports_MB: float


def wait(numbers: list[int]) -> list[Part]:
    """Work that costs no processor, so that a busy neighbour does not lengthen it."""
    time.sleep(UNIT_S * len(numbers))
    return [Part(f"waits/{numbers[0]}-{len(numbers)}", tuple(map(str, numbers)), b"")]


def overhead(n_units: int = N_UNITS, workers: int = 2) -> Overhead:
    """N_UNITS of UNIT_S on a local Ray that has started, in tasks of the default size."""
    return Overhead(_wall_s(wait, n_units, workers), UNIT_S * n_units / workers)


def throw(numbers: list[int]) -> list[Part]:
    """Work that keeps a processor busy: events of DARWIN with their vectors."""
    for _ in numbers:
        simulation.vectors(simulation.energies_keV())
    return [Part(f"throws/{numbers[0]}-{len(numbers)}", tuple(map(str, numbers)), b"")]


def speed_up(n_units: int = N_UNITS) -> float:
    """Wall time of the same events with one worker over that with two; 2 were Ray free and the cores idle."""
    return _wall_s(throw, n_units, 1) / _wall_s(throw, n_units, 2)


def _wall_s(work: Callable[[list[int]], list[Part]], n_units: int, workers: int) -> float:
    """From the first task to the last of a stage, on a local Ray whose processes have started."""
    units = [Unit((), number, (str(number),)) for number in range(n_units)]
    with tempfile.TemporaryDirectory() as folder, cluster(None, workers) as cpus:
        store = Store(folder)
        list(fan_out(work, units[: 2 * cpus], store, cpus))  # starts the processes
        start = time.monotonic()
        list(fan_out(work, units, store, cpus, n_items=n_units))
        return time.monotonic() - start


def nothing(number: int) -> list[Part]:
    """Work that is none: two processes then stand for as many as tasks are in flight."""
    return []


def in_flight(numbers: Iterable[int] = IN_FLIGHT) -> Iterator[InFlight]:
    """What a task costs the driver of a cluster on which half as many CPUs are busy, on a local Ray of two."""
    with tempfile.TemporaryDirectory() as folder, cluster(None, 2) as cpus:
        store = Store(folder)
        list(fan_out(nothing, [Unit((number,)) for number in range(20)], store, cpus))  # starts the processes
        for n_tasks in numbers:
            found = fan_out(nothing, (Unit((number,)) for number in count()), store, n_tasks // WINDOW_PER_CPU)
            clock = [time.process_time()]
            for n_found in (1, N_FOUND):
                list(islice(found, n_found))
                clock.append(time.process_time())
            found.close()
            start_s, next_s = (after - before for before, after in zip(clock, clock[1:], strict=False))
            yield InFlight(n_tasks, 1e3 * start_s / n_tasks, 1e3 * next_s / N_FOUND)


def segments(n_segments: int = N_SEGMENTS) -> Segments:
    """What a scan's opening costs when another has noted a part every other second: of 43,200 segments after a day."""
    with tempfile.TemporaryDirectory() as folder:
        store, clock = Store(folder), []
        for number in range(n_segments):
            ledger = Ledger(Store(f"{folder}/none", create=False))  # which knows nothing, and writes to the other
            ledger.store = store
            ledger.add([Entry(f"cells/{number}.parquet", "0" * 64, (f"{number:024d}",))])
            ledger.flush()
        for _ in range(2):
            clock.append(time.perf_counter())
            ledger = Ledger(store)
            clock.append(time.perf_counter())
            ledger.compact()
        one_bytes = max(store.sizes("ledger/").values())
    return Segments(n_segments, clock[1] - clock[0], clock[3] - clock[2], one_bytes)


def resumed(n_cells: int) -> Resumed:
    """What a resume costs, in a process of its own and on a store that is made first; n_cells is one of SIDES."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Store(folder), plan(n_cells))
        command = [sys.executable, "-m", "engine.bench.driver", str(n_cells), folder]
        stdout = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return Resumed(**json.loads(stdout.splitlines()[-1]))


def plan(n_cells: int) -> Plan:
    """A study whose grid has so many cells, of one score and statistic."""
    masses, sizes, exposures = SIDES[n_cells]
    grid = {
        "m_chi_GeV": f"{{log=[10,1000],n={masses}}}", "sigma_si_cm2": f"{{log=[1e-49,1e-46],n={sizes}}}",
        "exposure_ty": f"{{log=[20,1000],n={exposures}}}",
    }  # fmt: skip
    settings = [f"grid.{name}={value}" for name, value in grid.items()]
    return Plan(study.load("quickstart", (*settings, *ONE)))


def fill(store: Store, plan: Plan) -> None:
    """Parts with a row for every cell, whatever it says."""
    cells, ledger = list(plan.cells.items()), Ledger(store)
    for start in range(0, len(cells), CELLS_PER_PART):
        some = dict(cells[start : start + CELLS_PER_PART])
        rows = [_row(item) for item in some]
        columns = {name: [row[name] for row in rows] for name in schemas.CELLS.names}
        part = Part(f"cells/{start}.parquet", tuple(some), schemas.table(schemas.CELLS, columns))
        ledger.add(commit(store, [part]))
    ledger.flush()


def _row(item: str) -> dict:
    return {field.name: WORDS[field.type] for field in schemas.CELLS} | {"lineage": item}


def resume(n_cells: int, folder: str) -> Resumed:
    """What a driver does before it knows that nothing is missing, and the table after."""
    imports_MB = _peak_MB()
    clock = [time.perf_counter()]
    grid_plan = plan(n_cells)
    items = list(grid_plan.cells)
    clock.append(time.perf_counter())
    ledger = Ledger(Store(folder))
    damaged: list[Entry] = ledger.check(items)
    missing = [item for item in items if item not in ledger.entries]
    clock.append(time.perf_counter())
    if damaged or missing or ledger.orphans("cells/")[1]:
        raise RuntimeError(f"the store at {folder} is not whole")
    exact = dict.fromkeys(grid_plan.exact, "not computed here")
    tables.table(grid_plan, ledger, exact)
    clock.append(time.perf_counter())
    plan_s, decide_s, table_s = (after - before for before, after in zip(clock, clock[1:], strict=False))
    return Resumed(n_cells, plan_s, decide_s, table_s, _peak_MB(), imports_MB)


def _peak_MB() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def rows() -> Iterator[tuple[str, ...]]:
    """What was measured, in lines of a table: what, value."""
    yield "wall time of a stage over its work, two workers", f"{overhead().ratio:.3f}"
    yield "wall time with one worker over that with two", f"{speed_up():.2f}"
    for one in in_flight():
        yield f"driver's CPU to start a task, {one.n_tasks:,} in flight", f"{one.start_ms:.2f} ms"
        yield "to learn what one did and start the next", f"{one.next_ms:.2f} ms"
    opened = segments()
    yield f"a ledger of {opened.n_segments:,} segments, each read by itself", f"{opened.each_s:.2f} s"
    yield "by the one that holds them all", f"{opened.one_s:.2f} s; {opened.one_bytes / 1e6:.2f} MB"
    for n_cells in SIDES:
        one = resumed(n_cells)
        yield f"plan of {n_cells:,} cells", f"{one.plan_s:.2f} s"
        yield "what of them is missing, all verified", f"{one.decide_s:.2f} s"
        yield "their table", f"{one.table_s:.2f} s"
        yield "largest memory of the driver; imports alone", f"{one.peak_MB:.0f} MB; {one.imports_MB:.0f} MB"


if __name__ == "__main__":
    print(json.dumps(asdict(resume(int(sys.argv[1]), sys.argv[2]))))
