"""What the API server and KubeRay's operator (1.7) refuse: schemas made strict, and rules that no schema holds."""

import re

import yaml

RAY = "ray.io/v1"
LONGEST_NAME = 47  # of a RayJob; its cluster's has six more
MODES = ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
GATED = ("networkPolicy", "tlsOptions", "historyServerOptions")
FROM_RESOURCES = ("num-cpus", "num-gpus", "memory", "resources")
SWITCH_V2 = "RAY_enable_autoscaler_v2"
NO_RESTART = ("Never", None)


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


def schema(crd: dict) -> dict:
    """The strict JSON Schema of a CRD's objects."""
    (version,) = [found for found in crd["spec"]["versions"] if found["name"] == RAY.split("/")[1]]
    return strict(version["schema"]["openAPIV3Schema"])


def faults(validator, thing: dict) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(thing)]


def raycluster(rayjob: dict) -> dict:
    """The cluster that the operator makes of a job."""
    metadata = {"name": rayjob["metadata"]["name"], "namespace": rayjob["metadata"]["namespace"]}
    spec = rayjob["spec"]["rayClusterSpec"]
    return {"apiVersion": RAY, "kind": "RayCluster", "metadata": metadata, "spec": spec}


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
