"""Every object against its schema, strictly: a field that the API server does not know is an error here as there."""

import copy

import pytest
from cluster_rules import RAY, faults, raycluster

VERSION = "1.35"  # of Kubernetes


def set_in(thing: dict, path: str, value: object) -> dict:
    """A copy with the value at a dotted path; numbers are places in lists."""
    changed = copy.deepcopy(thing)
    *folders, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = changed
    for part in folders:
        place = place[part]
    place[last] = value
    return changed


def test_core_objects_are_valid(objects):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    core = [thing for thing in objects if thing["apiVersion"] != RAY]

    for thing in core:
        kubernetes_validate.validate(thing, VERSION, strict=True)

    assert len(core) == len(objects) - 1, "only the RayJob has a schema of its own"


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", "spec.replica", 1),
        ("Deployment", "spec.replicas", "one"),
        ("StatefulSet", "spec.template.spec.containers.0.imagePullPolcy", "Always"),
        ("NetworkPolicy", "spec.podSelectr", {}),
    ],
)
def test_a_mistake_in_a_core_object_is_found(build, kind, path, value):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    thing = next(thing for thing in build("base") if thing["kind"] == kind)

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(set_in(thing, path, value), VERSION, strict=True)


def test_the_rayjob_is_valid(rayjob, rayjob_validator):
    assert faults(rayjob_validator, rayjob) == []


def test_its_cluster_is_valid(rayjob, raycluster_validator):
    assert faults(raycluster_validator, raycluster(rayjob)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.backofLimit", 2),
        ("spec.backoffLimit", "two"),
        ("spec.submitterConfig.backofLimit", 5),
        ("spec.rayClusterSpec.autoscalerOptions.versoin", "v2"),
        ("spec.rayClusterSpec.workerGroupSpecs.0.replicas", "x"),
        ("spec.rayClusterSpec.workerGroupSpecs.0.template.spec.containers.0.resource", {}),
        ("spec.rayClusterSpec.headGroupSpec.rayStartParams.num-cpus", 0),
        ("spec.rayClusterSpec.headGroupSpec.template.spec.securityContext.runAsNonRoot", "yes"),
    ],
)
def test_a_mistake_in_the_rayjob_is_found(build, rayjob_validator, path, value):
    (rayjob,) = [thing for thing in build("base") if thing["kind"] == "RayJob"]

    found = faults(rayjob_validator, set_in(rayjob, path, value))

    assert len(found) == 1, found
    assert path.split(".")[-1] in found[0]
