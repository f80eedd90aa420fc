"""The whole way with a real MLflow server, on PostgreSQL and on SQLite: a scan that loses its server loses nothing."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest

import zoo.dense_vae
from engine import study
from engine.plan.plan import Plan
from engine.report.tracking import log
from engine.store.store import Ledger, Store

SMALLER = ("grid.exposure_ty={values=[50]}", "limits.toys=500")
SETTINGS = [word for setting in SMALLER for word in ("--set", setting)]
SECRET = "hunter2secret"
Z = "z/tail_count_R10000_50ty"
LOAD = """
import json, warnings
warnings.simplefilter("ignore")
import mlflow, numpy as np
model = mlflow.pyfunc.load_model("models:/recoilscan-dense_vae@champion")
example = np.full((2, 3835), 2, np.float32)
print(json.dumps({name: values.tolist() for name, values in model.predict(example).items()}))
"""


@pytest.fixture
def scanned(tiny, scored, server, seen_at, start):
    """A scan whose server was killed when the toys began: its output, its store, and the study."""
    address = server.uri.replace("://", f"://scan:{SECRET}@")  # which this server does not ask for
    process = start("scan", tiny, "--store", scored, "--tracking", address, "--workers", 0, *SETTINGS)
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("nulls:"):
            break
    process.send_signal(signal.SIGSTOP)  # or it might end before its server does
    (run,) = seen_at(server.uri).runs()
    assert run.info.status == "RUNNING" and 0 < run.data.metrics["progress"] < 1
    server.stop()
    process.send_signal(signal.SIGCONT)
    said += process.stdout
    assert process.wait(timeout=300) == 0, "".join(said)
    return "".join(said), scored, study.load(str(tiny), SMALLER)


def test_a_scan_loses_its_server_and_track_completes_it(server, scanned, seen_at, make, run_here):
    said, store, parsed = scanned
    line = re.search(r"warning: MLflow at \S+ is not told .*; later: recoilscan (track .*)", said).group(1)
    line = shlex.split(line)
    assert "table: " in said and "scan:***@" in said

    server.start()
    before = seen_at(server.uri).runs()
    assert [run.info.status for run in before] == ["RUNNING"]
    assert "tracking: 3 new runs" in run_here(*line).stdout
    is_complete(seen_at(server.uri), before[0].info.run_id, Plan(parsed))
    points = seen_at(server.uri).points()
    assert "tracking: 0 new runs" in run_here(*line).stdout
    assert seen_at(server.uri).points() == points

    log([make(scan="better", fit="other", z=9.0)], server.uri)
    found = seen_at(server.uri)
    best = found.runs("metrics.`headline/z` > 8", "metrics.`headline/z` DESC")
    assert [run.info.run_name for run in best] == ["better"]
    ranked = [run.info.run_name for run in found.runs("tags.stage = 'scan'", f"metrics.`{Z}` DESC")]
    assert ranked == ["tiny dense_vae + mlp_classifier, seed 3", "better"], "runs without the metric come last"
    assert found.champion().tags["lineage"] == Plan(parsed).models["vae"], "the other pool is smaller"
    loads(server.uri, store, Plan(parsed))
    assert SECRET not in said + "".join(str(run.to_dictionary()) for run in found.runs())
    for folder in (store, server.folder):
        assert not [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def is_complete(found, run_id: str, plan: Plan) -> None:
    """The run that the scan began is whole, with its fits in it, and no point of it is doubled."""
    run = found.client.get_run(run_id)
    assert run.info.status == "FINISHED" and run.data.tags["lineage"] == plan.table
    nested = found.runs(f"tags.`mlflow.parentRunId` = '{run_id}'")
    assert {child.data.tags["lineage"] for child in nested} == set(plan.models.values())
    histories = {name: found.client.get_metric_history(run_id, name) for name in run.data.metrics}
    assert all(len({point.step for point in points}) == len(points) for points in histories.values())
    assert [point.value for point in histories["by_mass/m_chi_GeV"]] == [20.0, 50.0]
    assert len(histories["by_mass/z_tail_count_R10000_50ty"]) == 2
    assert histories["progress"][-1].value == 1.0 and histories["seconds/nulls"][0].value > 0
    files = {file.path for folder in ("", "tables", "figures") for file in found.client.list_artifacts(run_id, folder)}
    assert {"report.html", "study.json", "provenance.json", "figures/roc.png"} <= files
    assert {"tables/table.parquet", "tables/limits.parquet"} <= files
    assert "torch" in run.data.tags["versions"] and run.data.tags["machine"]


def loads(uri: str, store, plan: Plan) -> None:
    """The champion gives, in a process that refuses pickle, the terms of the fit in the store."""
    strict = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_TRACKING_URI": uri}
    done = subprocess.run([sys.executable, "-c", LOAD], env=os.environ | strict, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    fitted = zoo.load(Ledger(Store(str(store))).read(plan.models["vae"]), zoo.dense_vae)
    for name, values in zoo.terms(fitted, np.full((2, 3835), 2, np.float32)).items():
        np.testing.assert_array_equal(found[name], values)
