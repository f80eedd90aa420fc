"""What README.md in k8s/ promises to whoever follows it, or writes a program that does."""

import importlib.resources
import re
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")
TOP = Path(__file__).parents[2]
K8S = TOP / "k8s"
COMPONENT = "app.kubernetes.io/component"
DIGEST = "sha256:" + 64 * "0"


@pytest.fixture(scope="module")
def guide() -> str:
    return (K8S / "README.md").read_text()


def test_the_scan_and_what_stays_are_apart(objects):
    part = {(thing["kind"], thing["metadata"]["name"]): thing["metadata"]["labels"][COMPONENT] for thing in objects}

    assert set(part.values()) == {"scan", "tracking", "platform"}
    assert [key for key in part if part[key] == "scan"] == [("ConfigMap", "study"), ("RayJob", "scan")]


def test_the_sites_overlay_changes_what_it_says(guide, build, tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    text = re.sub(r"(?m)^ {3}", "", block).replace("sha256:...", DIGEST).replace("../k8s", str(_relative(tmp_path)))
    (tmp_path / "kustomization.yaml").write_text(text)

    objects = build(tmp_path)

    (rayjob,) = [thing for thing in objects if thing["kind"] == "RayJob"]
    (server,) = [thing for thing in objects if thing["kind"] == "Deployment"]
    (store,) = [thing for thing in objects if thing["metadata"]["name"] == "object-store" and "data" in thing]
    cluster, pod = rayjob["spec"]["rayClusterSpec"], server["spec"]["template"]["spec"]["containers"][0]
    assert "s3://BUCKET/store" in rayjob["spec"]["entrypoint"]
    assert pod["args"][-1] == "--artifacts-destination=s3://BUCKET/mlflow" and pod["args"][-2] == "--serve-artifacts"
    assert store["data"] == {"AWS_REGION": "eu-central-1"}
    for template in (cluster["headGroupSpec"]["template"], rayjob["spec"]["submitterPodTemplate"]):
        assert template["spec"]["containers"][0]["image"] == f"REGISTRY/recoilscan@{DIGEST}"
    assert cluster["workerGroupSpecs"][0]["template"]["spec"]["nodeSelector"]["recoilscan/pool"] == "spot"


def _relative(folder: Path) -> Path:
    """The way from a folder to k8s/, which kustomize wants relative."""
    return Path(*[".."] * (len(folder.resolve().parts) - 1), *K8S.resolve().parts[1:])


def test_every_folder_and_file_that_the_guide_names_is_there(guide):
    named = set(re.findall(r"k8s/[\w/.-]*\w", guide))

    assert len(named) > 3
    assert [path for path in named if not (TOP / path).exists()] == []


def test_every_field_that_differs_from_study_to_study_is_there(build):
    (rayjob,) = [thing for thing in build("overlays/kueue") if thing["kind"] == "RayJob"]
    (study,) = [thing for thing in build("overlays/kueue") if thing["metadata"]["name"] == "study"]
    (with_gpu,) = [thing for thing in build("overlays/gpu") if thing["kind"] == "RayJob"]
    spec, cluster = rayjob["spec"], rayjob["spec"]["rayClusterSpec"]
    templates = [cluster["headGroupSpec"]["template"], *(group["template"] for group in cluster["workerGroupSpecs"])]
    gpu = {group["groupName"]: group for group in with_gpu["spec"]["rayClusterSpec"]["workerGroupSpecs"]}["gpu"]

    assert {"entrypoint", "activeDeadlineSeconds", "backoffLimit", "suspend", "submitterPodTemplate"} <= spec.keys()
    assert rayjob["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] and spec["suspend"] is True
    assert study["data"].keys() == {"study.toml"}
    for template in templates:
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        assert volumes["study"]["configMap"]["name"] == study["metadata"]["name"]
        assert {"medium", "sizeLimit"} == volumes["shm"]["emptyDir"].keys()
    assert gpu["template"]["spec"]["containers"][0]["resources"]["requests"]["nvidia.com/gpu"]


def test_parts_go_together_in_any_order(build, tmp_path):
    parts = ["kueue", "gpu", "spot"]
    counts = []
    for order in (parts, parts[::-1]):
        folder = tmp_path / order[0]
        folder.mkdir()
        way = _relative(folder)
        text = {"resources": [str(way / "base")], "components": [str(way / "components" / part) for part in order]}
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(text))
        (rayjob,) = [thing for thing in build(folder) if thing["kind"] == "RayJob"]
        counts.append([group["replicas"] for group in rayjob["spec"]["rayClusterSpec"]["workerGroupSpecs"]])

    assert counts == [[16, 2], [16, 2]]


def test_the_manifests_come_with_the_package():
    installed = importlib.resources.files("k8s")

    assert (installed / "overlays" / "kind" / "kustomization.yaml").is_file()
    assert (installed / "README.md").is_file()
