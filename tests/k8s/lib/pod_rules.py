"""The pods that manifests ask for, and what the namespace demands of each: the Pod Security Standard "restricted"."""

from collections.abc import Iterator
from dataclasses import dataclass

VOLUMES = {"configMap", "emptyDir", "projected", "secret", "downwardAPI", "persistentVolumeClaim", "csi", "ephemeral"}


@dataclass(frozen=True)
class Pod:
    """A pod that the manifests ask for: where it stands, its labels and its specification."""

    where: str
    labels: dict
    spec: dict

    @property
    def containers(self) -> list[dict]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def pods(objects: list[dict]) -> list[Pod]:
    """Of all objects, those of a RayJob among them."""
    templates = [found for thing in objects for found in _templates(thing)]
    return [Pod(where, part["metadata"]["labels"], part["spec"]) for where, part in templates]


def _templates(thing: dict) -> Iterator[tuple[str, dict]]:
    spec, name = thing.get("spec", {}), f"{thing['kind']}/{thing['metadata']['name']}"
    if thing["kind"] == "RayJob":
        cluster = spec["rayClusterSpec"]
        yield f"{name} submitter", spec["submitterPodTemplate"]
        yield f"{name} head", cluster["headGroupSpec"]["template"]
        yield from ((f"{name} {group['groupName']}", group["template"]) for group in cluster["workerGroupSpecs"])
    elif "template" in spec:
        yield name, spec["template"]


def locked(context: dict) -> list[str]:
    """What a container's security context lacks of "restricted", and of a root file system that nobody writes."""
    capabilities = context.get("capabilities", {})
    checks = {
        "privileged": not context.get("privileged"),
        "escalation": context.get("allowPrivilegeEscalation") is False,
        "capabilities": capabilities.get("drop") == ["ALL"] and not capabilities.get("add"),
        "procMount": context.get("procMount", "Default") == "Default",
        "root": context.get("runAsUser", 1) != 0 and context.get("runAsNonRoot", True),
        "seccomp": context.get("seccompProfile", {}).get("type", "RuntimeDefault") == "RuntimeDefault",
        "read-only": context.get("readOnlyRootFilesystem") is True,
    }
    return [name for name, kept in checks.items() if not kept]


def restricted(spec: dict, any_user: bool = False) -> list[str]:
    """What a pod lacks of "restricted" (v1.34); empty for one that the namespace admits. any_user: the cluster says who
    it runs as, and the pod must not."""
    pod, containers = spec.get("securityContext", {}), [*spec.get("initContainers", []), *spec["containers"]]
    kinds = {kind for volume in spec.get("volumes", []) for kind in volume if kind != "name"}
    checks = {
        "host": not any(spec.get(field) for field in ("hostNetwork", "hostPID", "hostIPC")),
        "host ports": not any("hostPort" in port for each in containers for port in each.get("ports", [])),
        "volumes": kinds <= VOLUMES,
        "non-root": pod.get("runAsNonRoot") is True and (pod.get("runAsUser", 0) > 0) is not any_user,
        "seccomp": pod.get("seccompProfile", {}).get("type") == "RuntimeDefault",
        "sysctls": not pod.get("sysctls"),
    }
    faults = [name for name, kept in checks.items() if not kept]
    return faults + [fault for each in containers for fault in locked(each.get("securityContext", {}))]
