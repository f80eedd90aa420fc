"""Every kind of object of a store damaged in every way, before a scan and during it: the table has the bytes of an
undisturbed scan, nothing is silent, and what cannot be mended is one line."""

import shutil
import tarfile
from collections import Counter
from pathlib import Path

import obstore
import pytest
from damage import UNREADABLE, WAYS, Others, damage
from obstore.exceptions import PermissionDeniedError
from scanned import computed
from studies import STUDIES, TINY

from engine import lineage, study
from engine.assembly import training
from engine.plan.plan import Plan
from engine.report.tracking import live, tracked
from engine.run import pipeline
from engine.run.state import Run
from engine.stages import models
from engine.store import checkpoints, heartbeat
from engine.store.store import Ledger, Store

SMALL = (
    "events.train_per_kind=100", "events.test_per_kind=100", "pool.er_events=1000", "pool.nr_events=1000",
    "toys.null=200", "toys.signal=200", "toys.statistics=['tail_count','count']", "toys.options.tail_count={b0=300.0}",
    "grid.exposure_ty.values=[20]", "grid.m_chi_GeV.values=[50]", "grid.sigma_si_cm2.values=[1e-48,1e-46]",
    "grid.refine={statistic='count',log10_sigma=0.5,max_rounds=1}", "models.vae.epochs=2", "models.classifier.epochs=1",
    "limits.toys=500", "systematics.rates=true", "reach.enabled=true", "reach.groups=2",
    "leakage_scan={factors=[1,1.5],calibration_events=[]}", "combined={statistics=['count']}",
)  # fmt: skip
TABLES = ("reach_tables", "leakage_tables", "combined_tables", "limit_tables", "diagnostic_tables", "tables")
# what is made of the parts of a kind: without it, a scan reads them again; what is read at the end alone has none
READERS = {"events": "models", "models": "scores", "pool": "nulls", "scores": "nulls", "nulls": "cells",
           "cells": "exact", "exact": "tables", "reach": "reach_tables", "limits": "limit_tables", "systematics": None,
           "leakage": "leakage_tables", "combined": "combined_tables",
           "diagnostics": "diagnostic_tables", **dict.fromkeys(TABLES)}  # fmt: skip
BESIDE = ("ledger", "plans", "timings", "journal", "drivers", "checkpoints", "figures", "mlflow")
SEEN = Counter()  # how cells of the matrix ended


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The store of an undisturbed scan of a small study that has parts of every kind; a copy may be damaged."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["recoilscan", *map(str, arguments(folder / "store", SMALL))])
        from engine.cli import app

        with pytest.raises(SystemExit) as ended:
            app.main()
    assert not ended.value.code
    place_beside(folder / "store")
    return folder / "store"


def place_beside(folder: Path) -> None:
    """What a scan that died leaves: a sign of life, and the state of a fit."""
    plan, store = Plan(study.load(str(TINY), SMALL)), Store(str(folder))
    with heartbeat.beating(store, lineage.digest("driver", 1, plan.study), print):
        (sign,) = (folder / "drivers").rglob("*.json")
        shutil.copyfile(sign, sign.with_name("elsewhere-1.json"))
    entries = [Ledger(store).entries[shard.item] for shard in plan.training(plan.fitted["vae"])]
    state = checkpoints.Checkpoint(store, plan.models["vae"], every_s=0)
    models.train(plan, plan.models["vae"], *training.gather(store, entries), state, until=1)


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    folder = tmp_path_factory.mktemp("older")
    with tarfile.open(STUDIES.parent / "stores" / "archived.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    (store,) = {path.parent.parent for path in folder.rglob("models/*.safetensors")}
    return Others(store)


def arguments(store: Path, settings: tuple[str, ...]) -> list:
    return ["scan", TINY, *(word for one in settings for word in ("--set", one)), "--store", store, "--workers", 0]


class Room:
    """A copy of the store, and what is done to it."""

    def __init__(self, whole: Path, settings: tuple[str, ...], folder: Path, others: Others, patch, run_here):
        self.whole, self.settings, self.others, self.patch, self.run_here = whole, settings, others, patch, run_here
        self.store = shutil.copytree(whole, folder / "store", symlinks=True)
        self.hidden, get = set(), obstore.get

        def refusing(backend, path, **options):
            if path in self.hidden:
                raise PermissionDeniedError(f"Object at location {path} is not yours to read")
            return get(backend, path, **options)

        patch.setattr(obstore, "get", refusing)

    @property
    def tables(self) -> list[str]:
        """The folders of tables that the study has."""
        return [folder for folder in TABLES if (self.whole / folder).is_dir()]

    def target(self, kind: str) -> Path:
        """The object of a kind that is damaged."""
        plan = Plan(study.load(str(TINY), self.settings))
        ledger = Ledger(Store(str(self.whole)))
        items = {"events": plan.shards["train"][0].item, "pool": plan.shards["pool"][0].item}
        if kind in items:
            return self.store / ledger.entries[items[kind]].path
        files = [path for path in (self.store / kind).rglob("*") if path.is_file()]
        return max(sorted(files), key=lambda path: path.stat().st_size)

    def damage(self, kind: str, way: str) -> None:
        """One object, or skips where there is none of what the way needs."""
        path = self.target(kind)
        if way == UNREADABLE:
            self.hidden.add(str(path.relative_to(self.store)))
        elif not damage(way, path, self.store, self.others):
            pytest.skip(f"there is nothing to put in the place of one of {kind}")

    def without_views(self) -> None:
        """No figures and no MLflow, which take longer than the scan."""
        self.patch.setattr("engine.report.figures.draw", lambda *_, **__: {})
        self.patch.setattr(tracked, "send_scan", lambda *_: True)
        self.patch.setattr(live.Live, "_begin", lambda _: None)

    def scan(self):
        """Its exit code, what it printed; checked for what no scan may do."""
        done = self.run_here(*arguments(self.store, self.settings), check=None)
        said = done.stdout + done.stderr
        assert "Traceback" not in said, said
        if done.returncode:
            assert done.returncode in (1, 2), said
            (line,) = [line for line in done.stderr.splitlines() if not line.startswith(("warning: ", "note: "))]
            assert line.startswith("error: ") and len(line) <= 400, said
        return done

    def check(self, kind: str, way: str, done) -> str:
        """How it ended: what is there must be that of an undisturbed scan, and nothing silent."""
        if done.returncode:
            self.hidden.clear()
            assert way == UNREADABLE or kind in BESIDE, done.stderr
            again = self.scan()
            assert again.returncode == 0, again.stderr
            ended = "one line"
        elif any(word in done.stdout + done.stderr for word in ("corrupt: ", "note: ", "warning: ")):
            ended = "noted"
        else:
            ended = "made again" if computed(done.stdout)[0] else "nothing to do"
        for folder in self.tables:
            made, wanted = ({path.name: path.read_bytes() for path in (store / folder).iterdir()}
                            for store in (self.store, self.whole))  # fmt: skip
            assert made == wanted
        return ended


@pytest.fixture
def room(whole, others, tmp_path, monkeypatch, run_here):
    return Room(whole, SMALL, tmp_path, others, monkeypatch, run_here)


@pytest.fixture
def small_room(reference, others, tmp_path, monkeypatch, run_here):
    """The same of the study that other tests have scanned, without every kind of part."""
    return Room(reference.store, (), tmp_path, others, monkeypatch, run_here)


@pytest.fixture(scope="module", autouse=True)
def counts():
    """Says at the end how many cells of the matrix ended how."""
    SEEN.clear()
    yield
    for (when, kind, ended), n in sorted(SEEN.items()):
        print(f"{when} {kind}: {ended} {n}")


def damaged_before(room: Room, kind: str, way: str) -> None:
    if kind not in ("figures", "mlflow", "journal"):
        room.without_views()
    if kind == "checkpoints":  # of a fit that is under way
        (room.store / Ledger(Store(str(room.store))).entries[room.target(kind).stem].path).unlink()
    room.damage(kind, way)
    ended = room.check(kind, way, room.scan())
    assert ended != "nothing to do" or kind in BESIDE
    SEEN["before", kind, ended] += 1


def damaged_during(room: Room, kind: str, way: str) -> None:
    """When a scan that has verified what there is comes to where it is read."""
    room.without_views()
    reader, struck = READERS[kind], []
    shutil.rmtree(room.store / "ledger")
    if reader:
        shutil.rmtree(room.store / reader)

    def strike() -> None:
        if not struck:
            struck.append(True)
            room.damage(kind, way)

    stage, commit_table, outcome = Run.stage, pipeline._commit_table, pipeline._outcome

    def at_stage(run, module, **options):
        if module.NAME == reader:
            strike()
        return stage(run, module, **options)

    def at_table(run, module):
        commit_table(run, module)
        if module.TABLES == kind:
            strike()

    def at_end(run):
        if kind not in TABLES:
            strike()
        return outcome(run)

    room.patch.setattr(Run, "stage", at_stage)
    room.patch.setattr(pipeline, "_commit_table", at_table)
    room.patch.setattr(pipeline, "_outcome", at_end)
    first = room.scan()
    assert struck
    ended = room.check(kind, way, first)
    if ended in ("made again", "nothing to do"):  # it was not read again in that scan: the next one tells
        again = room.scan()
        assert room.check(kind, way, again) in ("noted", "one line")
        ended = "found by the next scan"
    SEEN["during", kind, ended] += 1


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [*READERS, *BESIDE])
def test_whatever_is_damaged_before_a_scan(room, kind, way):
    damaged_before(room, kind, way)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", READERS)
def test_whatever_is_damaged_during_a_scan(room, kind, way):
    damaged_during(room, kind, way)


# of the matrix, what costs little: the end of the way through the stages; links and folders once had no end
BEFORE = [("cells", "swapped with a sibling"), ("exact", "dangling link"), ("tables", "folder"),
          ("diagnostic_tables", "older version")]  # fmt: skip
DURING = [("tables", "flipped late"), ("limit_tables", "another kind"), ("diagnostic_tables", "deleted"),
          ("diagnostics", "truncated")]  # fmt: skip


@pytest.mark.parametrize(("kind", "way"), BEFORE)
def test_some_of_what_is_damaged_before_a_scan(small_room, kind, way):
    damaged_before(small_room, kind, way)


@pytest.mark.parametrize(("kind", "way"), DURING)
def test_some_of_what_is_damaged_during_a_scan(small_room, kind, way):
    damaged_during(small_room, kind, way)
