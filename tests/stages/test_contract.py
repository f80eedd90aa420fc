"""Every file of STAGES is a stage as the contract has it, and together they say all that a finished scan holds."""

import importlib
import inspect
import pkgutil

import pyarrow as pa
import pytest

from engine import stages, study
from engine.assembly.results import Result
from engine.plan.members import JointPlan, plan_of
from engine.plan.plan import Plan
from engine.run import pipeline
from engine.size import STRENGTH
from engine.stages import DEFAULTS, STAGES, cells, diagnostics, reach, scores, systematics, trait
from engine.store.store import Ledger, Store

WORK = {"items": ["plan"], "units": ["inputs", "missing"], "amounts": ["plan", "missing"]}
TABLE = {"table_schema": ["size"], "table_item": ["plan"], "table": ["plan", "ledger"]}
SHOWN = {"lines": 2, "metrics": 2}
ON = ("reach.enabled=true", "reach.by_toys=true", "toys.null=7408", "systematics.rates=true", "training.n_seeds=2",
      "leakage_scan={}", "combined={}", "battery={signals={line={spectrum='line'}}}",
      "toys.statistics=['tail_count','count','template_likelihood']")  # fmt: skip


def name_of(stage):
    return stage.NAME


def required(function):
    """Names of the parameters without a default."""
    return [name for name, one in inspect.signature(function).parameters.items() if one.default is one.empty]


@pytest.fixture(scope="module")
def full(tiny):
    """A study that asks something of every stage but the comparison's."""
    return Plan(study.load(str(tiny), ON))


@pytest.fixture(scope="module")
def pairs(tiny):
    """A study that compares, which is the one that asks for `paired` and `together`."""
    return plan_of(study.load(str(tiny.with_name("pairs.toml")), ("combined={}",)))


@pytest.mark.parametrize("stage", STAGES, ids=name_of)
class TestContract:
    def test_it_has_a_version_and_its_schemas(self, stage):
        assert type(stage.VERSION) is int and stage.VERSION > 0
        found = stage.SCHEMA.values() if isinstance(stage.SCHEMA, dict) else [stage.SCHEMA]
        assert all(one is None or isinstance(one, pa.Schema) for one in found)

    def test_it_makes_items_in_units_of_work_or_is_a_table_alone(self, stage):
        has_work, has_table = hasattr(stage, "work"), hasattr(stage, "TABLES")
        assert has_work or has_table
        wanted = (WORK if has_work else {}) | (TABLE if has_table else {})
        assert {name: required(getattr(stage, name)) for name in wanted} == wanted
        absent = {*WORK, *TABLE} - set(wanted)
        assert not [name for name in absent if hasattr(stage, name)]

    def test_traits_are_those_with_a_default_and_differ_from_it_where_they_are_said(self, stage):
        said = {name for name in vars(stage) if name in DEFAULTS}
        assert all(getattr(stage, name) is not DEFAULTS[name] for name in said)
        assert {name: trait(stage, name) for name in DEFAULTS} == DEFAULTS | {name: not DEFAULTS[name] for name in said}

    def test_lines_and_metrics_are_of_a_result(self, stage):
        said = [name for name in SHOWN if hasattr(stage, name)]
        assert not said or stage in stages.shown()
        assert all(len(required(getattr(stage, name))) == SHOWN[name] for name in said)

    def test_its_table_has_one_schema_for_every_signal(self, stage):
        if not hasattr(stage, "TABLES"):
            pytest.skip("it makes no table")
        assert isinstance(stage.table_schema(STRENGTH), pa.Schema)

    def test_amounts_are_of_what_is_missing(self, stage, full, pairs):
        if not hasattr(stage, "work"):
            pytest.skip("it has no work")
        plan = pairs if stage.NAME in ("paired", "together") else full
        asked = stage.items(plan)
        assert asked and all(isinstance(item, str) for item in asked)
        whole, half = stage.amounts(plan, set(asked)), stage.amounts(plan, set(asked[::2]))
        assert all(isinstance(what, str) and 0 <= n for what, n in whole.items()) and sum(whole.values()) > 0
        assert sum(half.values()) <= sum(whole.values()) and set(half) <= set(whole)
        assert not any(stage.amounts(plan, set()).values())


def test_names_and_folders_are_different():
    names = [stage.NAME for stage in STAGES]
    folders = [stage.TABLES for stage in STAGES if hasattr(stage, "TABLES")]
    assert len(set(names)) == len(names) and len(set(folders)) == len(folders)
    beside = [stage.TABLES for stage in STAGES if getattr(stage, "TABLES", stage.NAME) != stage.NAME]
    assert not set(beside) & set(names)


def test_every_file_that_says_it_is_a_stage_is_in_the_list():
    files = [importlib.import_module(f"{stages.__name__}.{one.name}") for one in pkgutil.iter_modules(stages.__path__)]
    assert {one for one in files if hasattr(one, "NAME")} == set(STAGES)


class TestItems:
    def test_they_are_each_once_and_by_folder_in_the_order_of_the_work(self, full):
        asked = stages.items(full)
        order = [folder for stage in STAGES
                 for folder in dict.fromkeys((stage.NAME, getattr(stage, "TABLES", stage.NAME)))]  # fmt: skip
        assert list(asked) == order
        of_pairs = {"paired", "together"}
        assert {name for name in order if not asked[name]} == of_pairs
        everything = [item for some in asked.values() for item in some]
        assert len(set(everything)) == len(everything)

    def test_those_of_a_comparison_are_its_members_and_what_they_share(self, pairs):
        assert isinstance(pairs, JointPlan)
        asked = stages.items(pairs)
        assert asked["paired"] == list(pairs.paired.values()) and len(asked["tables"]) == len(pairs.members)
        assert asked["scores"] == scores.items(pairs)
        further = [sibling for plan in pairs.members.values() for sibling in plan.siblings]
        assert {one.has(stage.NAME) for one in further for stage in (cells, diagnostics)} == {False} and further
        for stage, parts in ((diagnostics, pairs.members.values()), (reach, pairs.parts)):
            wanted = dict.fromkeys(item for plan in parts for item in stage.items(plan))
            assert asked[stage.NAME] == list(wanted)

    def test_they_are_what_a_finished_scan_holds(self, tiny, reference):
        """By folder: the truth of scored events lies with the events, and all else where its stage says."""
        plan, store = Plan(study.load(str(tiny))), Store(str(reference.store))
        ledger, asked = Ledger(store), stages.items(plan)
        truths = {shard.item for shard in scores.shards(plan)}
        wanted = {folder: set(some) for folder, some in asked.items() if some}
        wanted["events"], wanted["scores"] = wanted["events"] | truths, wanted["scores"] - truths
        held = {}
        for item, entry in ledger.entries.items():
            held.setdefault(entry.path.split("/")[0], set()).add(item)
        assert held == wanted
        assert {*wanted} == {"events", "models", "scores", "nulls", "cells", "exact", "limits", "limit_tables",
                             "diagnostics", "diagnostic_tables", "tables"}  # fmt: skip
        for folder in wanted:
            on_disk = {f"{folder}/{path.name}" for path in (reference.store / folder).iterdir() if path.is_file()}
            paths = {ledger.entries[item].path for item in wanted[folder]}
            assert {path for path in on_disk if path.endswith((".parquet", ".safetensors"))} == paths

    def test_a_finished_scan_has_a_result_of_every_stage_that_shows_one(self, tiny, reference):
        outcome = pipeline.finished(study.load(str(tiny)), Store(str(reference.store)))
        assert set(outcome.results) == {stage.NAME for stage in stages.shown()}
        for stage in stages.shown():
            if stage in (diagnostics, systematics):
                continue
            found = outcome[stage.NAME]
            assert isinstance(found, Result) and (found.path is None) == (len(found.table) == 0)
            assert found.table.schema.equals(stage.table_schema(outcome.plan.study.signal.size))
        assert outcome["systematics"] is None and len(outcome["diagnostics"].table) == 4
