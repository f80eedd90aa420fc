"""Models of the registry load without pickle and give the terms of the fit; the alias goes to the best, and stays."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest

import zoo
from engine import plugins
from engine.report.tracking import log

LOAD = """
import json, sys, warnings
warnings.simplefilter("ignore")
import mlflow, numpy as np
model = mlflow.pyfunc.load_model("models:/recoilscan-dense_vae@champion")
terms = model.predict(np.array(json.load(sys.stdin), np.float32))
print(json.dumps({name: values.tolist() for name, values in terms.items()}))
"""


def test_the_champion_loads_elsewhere_with_pickle_off_and_gives_the_terms_of_the_fit(sent, seen, uri, fitted):
    sent()
    x = np.random.default_rng(2).poisson(3, (5, 6))
    strict = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_TRACKING_URI": uri}
    done = subprocess.run(
        [sys.executable, "-c", LOAD], input=json.dumps(x.tolist()), env=os.environ | strict,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found, expected = json.loads(done.stdout.splitlines()[-1]), zoo.terms(fitted, x)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_its_folder_holds_no_pickle_a_signature_and_an_example(sent, seen):
    sent()
    folder = Path(seen().champion().source.removeprefix("file://"))
    files = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"MLmodel", "serving.py", "model.safetensors", "input_example.json", "requirements.txt"} <= files
    assert not [name for name in files if name.endswith((".pkl", ".pt", ".pth"))]
    signature = mlflow.models.Model.load(str(folder)).signature
    assert signature.inputs.to_dict()[0]["tensor-spec"] == {"dtype": "float32", "shape": (-1, 6)}
    assert signature.outputs.input_names() == ["recon", "kl"]
    assert seen().champion().description == "vae of scan0"
    assert "recoilscan" not in (folder / "requirements.txt").read_text(), "an index may have another of that name"


def test_a_family_of_the_users_comes_with_its_file(uri, make, fitted, tmp_path, monkeypatch):
    mine = tmp_path / "mine.py"
    mine.write_text(Path(zoo.dense_vae.__file__).read_text())
    family = plugins.load("zoo", str(mine))
    own = replace(fitted, family=family)
    record = make()
    (child,) = record.children
    model = replace(child.model, family=str(mine), short="mine", data=zoo.save(own))
    log([replace(record, children=(replace(child, model=model),))], uri)
    mine.unlink()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    x = np.ones((3, 6), np.float32)
    found = mlflow.pyfunc.load_model("models:/recoilscan-mine@champion").predict(x)
    np.testing.assert_array_equal(found["recon"], zoo.terms(fitted, x)["recon"])


@pytest.mark.parametrize(
    ("newcomer", "takes_it"),
    [
        ({"z": 3.0}, True),  # the same ground, better
        ({"z": 2.0}, False),  # as good
        ({"z": 1.0}, False),  # worse
        ({"z": 1.0, "ground": "other", "pool": 200}, True),  # a larger pool
        ({"z": 9.0, "ground": "other", "pool": 100}, False),  # not comparable
        ({"z": 1.0, "pool": 200}, False),  # worse on the same ground, whatever is said of its size
        ({"z": None}, False),  # nothing is known of it
    ],
)
def test_who_is_champion(sent, seen, newcomer, takes_it):
    sent(fit="first", z=2.0)
    sent(scan="scan1", fit="second", **newcomer)
    assert seen().champion().tags["lineage"] == ("second" if takes_it else "first")
    assert len(seen().client.search_model_versions("name = 'recoilscan-dense_vae'")) == 2


def test_a_fit_is_judged_by_the_best_scan_that_used_it(sent, seen):
    sent(scan="a", fit="first", z=2.0)
    sent(scan="b", fit="second", z=1.0)
    sent(scan="c", fit="second", z=2.5)
    sent(scan="d", fit="second", z=0.5)
    assert seen().champion().tags["lineage"] == "second"
    assert float(seen().champion().tags["z.g"]) == 2.5


def test_an_alias_set_by_hand_stands_until_it_is_beaten(sent, seen):
    sent(scan="a", fit="first", z=2.0)
    sent(scan="b", fit="second", z=1.0)
    seen().client.set_registered_model_alias("recoilscan-dense_vae", "champion", 2)
    sent(scan="c", fit="third", z=0.5)
    assert seen().champion().tags["lineage"] == "second"
    sent(scan="d", fit="fourth", z=1.5)
    assert seen().champion().tags["lineage"] == "fourth"
