"""The rules of the operator that no schema holds (KubeRay 1.7, its validation in Go), as it would apply them."""

import copy
import json
import re

import pytest

yaml = pytest.importorskip("yaml")
LONGEST_NAME = 47  # of a RayJob; its cluster's has six more
MODES = ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
GATED = ("networkPolicy", "tlsOptions", "historyServerOptions")
FROM_RESOURCES = ("num-cpus", "num-gpus", "memory", "resources")
SWITCH_V2 = "RAY_enable_autoscaler_v2"
NO_RESTART = ("Never", None)


def job_faults(rayjob: dict) -> list[str]:
    """What the operator would say of a RayJob; empty for one that it takes."""
    spec, name = rayjob["spec"], rayjob["metadata"]["name"]
    shuts, ttl = spec.get("shutdownAfterJobFinishes"), spec.get("ttlSecondsAfterFinished", 0)
    mode = spec["submissionMode"]
    selects, deletes = "clusterSelector" in spec, "deletionStrategy" in spec
    retries = spec.get("backoffLimit", 0)
    positive = ("activeDeadlineSeconds", "preRunningDeadlineSeconds")
    checks = {
        "name": len(name) <= LONGEST_NAME and re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name),
        "submissionMode": mode in MODES,
        "ttl": ttl >= 0 and (shuts or not ttl),
        "rules or shutdown": not (deletes and shuts),
        "suspend": shuts or not spec.get("suspend"),
        "deadlines": all(spec.get(field, 1) > 0 for field in positive),
        "backoffLimit": retries >= 0 and not (retries and (selects or mode == "InteractiveMode")),
        "cluster": selects != ("rayClusterSpec" in spec),
        "sidecar": mode != "SidecarMode" or not ({"submitterPodTemplate", "submitterConfig"} & spec.keys()),
        "runtimeEnvYAML": isinstance(yaml.safe_load(spec.get("runtimeEnvYAML", "{}")), dict),
    }
    return [name for name, kept in checks.items() if not kept]


def cluster_faults(spec: dict) -> list[str]:
    """What the operator would say of a RayCluster's specification; empty for one that it takes."""
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    scales, v2 = spec.get("enableInTreeAutoscaling", False), spec.get("autoscalerOptions", {}).get("version") == "v2"
    pods = [group["template"]["spec"] for group in groups]
    set_in_env = any(each["name"] == SWITCH_V2 for pod in pods for each in pod["containers"][0].get("env", []))
    release = tuple(int(part) for part in spec.get("rayVersion", "0.0.0").split("."))
    names = [group["groupName"] for group in spec["workerGroupSpecs"]]
    checks = {
        "auth needs a version": spec.get("authOptions", {}).get("mode") != "token" or release >= (2, 52, 0),
        "no token of Kubernetes": "enableK8sTokenAuth" not in spec.get("authOptions", {}),
        "replicas": all(_sized(group, scales) for group in spec["workerGroupSpecs"]),
        "restartPolicy": not (scales and v2) or all(pod.get("restartPolicy") in NO_RESTART for pod in pods),
        "v2 by its field": not set_in_env,
        "suspended group": not (scales and any(group.get("suspend") for group in spec["workerGroupSpecs"])),
        "resources once": not any(_told_twice(group) for group in groups),
        "labels": not any("labels" in group["rayStartParams"] for group in groups),
        "gated": not any(block in spec for block in GATED),
        "group names": len(set(names)) == len(names),
        "redis": not any(each["name"].startswith(("RAY_REDIS", "REDIS_")) for pod in pods for each in _env(pod)),
    }
    return [name for name, kept in checks.items() if not kept]


def _env(pod: dict) -> list[dict]:
    return pod["containers"][0].get("env", [])


def _sized(group: dict, scales: bool) -> bool:
    least, most = group.get("minReplicas"), group.get("maxReplicas")
    if least is None or most is None:
        return scales and "replicas" in group
    return 0 <= least <= group["replicas"] <= most


def _told_twice(group: dict) -> bool:
    return bool(group.get("resources")) and any(field in group["rayStartParams"] for field in FROM_RESOURCES)


def test_the_operator_takes_the_job(rayjob):
    assert job_faults(rayjob) == []
    assert cluster_faults(rayjob["spec"]["rayClusterSpec"]) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"shutdownAfterJobFinishes": False}, "ttl"),
        ({"activeDeadlineSeconds": 0}, "deadlines"),
        ({"submissionMode": "K8sJob"}, "submissionMode"),
        ({"submissionMode": "InteractiveMode"}, "backoffLimit"),
        ({"submissionMode": "SidecarMode"}, "sidecar"),
        ({"deletionStrategy": {"deletionRules": []}}, "rules or shutdown"),
        ({"clusterSelector": {"ray.io/cluster": "other"}}, "cluster"),
        ({"runtimeEnvYAML": "- pip"}, "runtimeEnvYAML"),
    ],
)
def test_a_job_that_breaks_a_rule_is_refused(build, change, fault):
    (rayjob,) = [thing for thing in build("base") if thing["kind"] == "RayJob"]
    rayjob["spec"].update(change)

    assert fault in job_faults(rayjob)


@pytest.mark.parametrize("name", ["7days", "s" * 48, "Scan", "scan-"])
def test_a_name_that_makes_no_host_is_refused(build, name):
    (rayjob,) = [thing for thing in build("base") if thing["kind"] == "RayJob"]
    rayjob["metadata"]["name"] = name

    assert job_faults(rayjob) == ["name"]


@pytest.mark.parametrize(
    ("where", "change", "fault"),
    [
        ((), {"rayVersion": "2.51.0"}, "auth needs a version"),
        ((), {"networkPolicy": {"mode": "DenyAll"}}, "gated"),
        (("workerGroupSpecs", 0), {"minReplicas": 9}, "replicas"),
        (("workerGroupSpecs", 0, "template", "spec"), {"restartPolicy": "Always"}, "restartPolicy"),
        (("workerGroupSpecs", 0), {"suspend": True}, "suspended group"),
        (("headGroupSpec",), {"resources": {"CPU": "0"}}, "resources once"),
        (("headGroupSpec", "rayStartParams"), {"labels": "a=b"}, "labels"),
        (
            ("headGroupSpec", "template", "spec", "containers", 0),
            {"env": [{"name": SWITCH_V2, "value": "true"}]},
            "v2 by its field",
        ),
    ],
)
def test_a_cluster_that_breaks_a_rule_is_refused(build, where, change, fault):
    (rayjob,) = [thing for thing in build("base") if thing["kind"] == "RayJob"]
    place = spec = copy.deepcopy(rayjob["spec"]["rayClusterSpec"])
    for part in where:
        place = place[part]
    place.update(change)

    assert cluster_faults(spec) == [fault]


def test_without_an_autoscaler_both_limits_are_needed(build):
    (rayjob,) = [thing for thing in build("overlays/kueue") if thing["kind"] == "RayJob"]
    spec = rayjob["spec"]["rayClusterSpec"]
    assert not spec["enableInTreeAutoscaling"] and "autoscalerOptions" not in spec

    del spec["workerGroupSpecs"][0]["minReplicas"]

    assert cluster_faults(spec) == ["replicas"]


def test_the_manifests_are_json_too(objects):
    assert json.loads(json.dumps(objects)) == objects, "a date or a key that is no string got into the YAML"
