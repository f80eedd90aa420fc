"""The rules of the operator that no schema holds (KubeRay 1.7, its validation in Go), as it would apply them."""

import copy
import json

import pytest
from cluster_rules import SWITCH_V2, cluster_faults, job_faults


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
