"""Every object against its schema, strictly: a field that the API server does not know is an error here as there."""

import copy

import pytest

jsonschema = pytest.importorskip("jsonschema")
VERSION = "1.35"  # of Kubernetes
RAY = "ray.io/v1"


def strict(schema: dict) -> dict:
    """A CRD's OpenAPI schema as JSON Schema that refuses what the API server would drop."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    kept = {key: value for key, value in schema.items() if key not in ("properties", "items", "additionalProperties")}
    if "properties" in schema:
        kept["properties"] = {name: strict(child) for name, child in schema["properties"].items()}
        kept["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    if isinstance(schema.get("additionalProperties"), dict):
        kept["additionalProperties"] = strict(schema["additionalProperties"])
    if "items" in schema:
        kept["items"] = strict(schema["items"])
    if schema.get("nullable"):
        kept = {"anyOf": [kept, {"type": "null"}]}
    return kept


@pytest.fixture(scope="session")
def rayjob_validator(crds):
    (version,) = [found for found in crds["RayJob"]["spec"]["versions"] if found["name"] == RAY.split("/")[1]]
    return jsonschema.Draft202012Validator(strict(version["schema"]["openAPIV3Schema"]))


@pytest.fixture(scope="session")
def raycluster_validator(crds):
    (version,) = [found for found in crds["RayCluster"]["spec"]["versions"] if found["name"] == RAY.split("/")[1]]
    return jsonschema.Draft202012Validator(strict(version["schema"]["openAPIV3Schema"]))


def faults(validator, thing: dict) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(thing)]


def raycluster(rayjob: dict) -> dict:
    """The cluster that the operator makes of a job."""
    metadata = {"name": rayjob["metadata"]["name"], "namespace": rayjob["metadata"]["namespace"]}
    spec = rayjob["spec"]["rayClusterSpec"]
    return {"apiVersion": RAY, "kind": "RayCluster", "metadata": metadata, "spec": spec}


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
        ("PodDisruptionBudget", "spec.maxUnavailble", 0),
    ],
)
def test_a_mistake_in_a_core_object_is_found(build, kind, path, value):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    (thing,) = [thing for thing in build("base") if thing["kind"] == kind]

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
