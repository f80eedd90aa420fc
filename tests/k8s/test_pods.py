"""What every pod must be: restricted, pinned, sized, without a token, and with its secrets elsewhere."""

import copy
import re
from pathlib import Path

import pytest
from pod_rules import locked, restricted

from engine import study

K8S = Path(__file__).parents[2] / "k8s"
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
OBJECT_STORE = 0.3  # of the memory, Ray's default
KEEPALIVE = {"RAY_grpc_client_keepalive_time_ms": "10000", "RAY_grpc_client_keepalive_timeout_ms": "5000"}
SENSITIVE = re.compile(r"(?i)(password|secret|token|access_key|private_key)(?!_PATH)")


def size(quantity: str) -> int:
    """Bytes of a quantity such as 1536Mi."""
    number, unit = re.fullmatch(r"(\d+)(\w\w)", quantity).groups()
    return int(number) * UNITS[unit]


def test_the_namespace_admits_only_restricted_pods(objects):
    (namespace,) = [thing for thing in objects if thing["kind"] == "Namespace"]
    labels = namespace["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {thing["metadata"].get("namespace") for thing in objects if thing is not namespace} == {"recoilscan"}


def test_every_pod_is_restricted(pods, rayjob):
    assert {pod.where: restricted(pod.spec) for pod in pods} == {pod.where: [] for pod in pods}
    options = rayjob["spec"]["rayClusterSpec"].get("autoscalerOptions")
    assert options is None or locked(options["securityContext"]) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("hostNetwork",), True, "host"),
        (("securityContext", "runAsNonRoot"), False, "non-root"),
        (("securityContext", "seccompProfile"), {"type": "Unconfined"}, "seccomp"),
        (("volumes", 0), {"name": "x", "hostPath": {"path": "/"}}, "volumes"),
        (("containers", 0, "securityContext", "capabilities"), {"drop": ["ALL"], "add": ["KILL"]}, "capabilities"),
        (("containers", 0, "securityContext", "allowPrivilegeEscalation"), True, "escalation"),
        (("containers", 0, "securityContext", "runAsUser"), 0, "root"),
        (("containers", 0, "securityContext"), {}, "read-only"),
    ],
)
def test_a_pod_that_asks_for_more_is_found(build, path, value, fault):
    (server,) = [thing for thing in build("base") if thing["kind"] == "Deployment"]
    place = spec = copy.deepcopy(server["spec"]["template"]["spec"])
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value

    assert fault in restricted(spec)


def test_only_the_autoscaler_speaks_to_the_api_server(pods, objects):
    accounts = {thing["metadata"]["name"]: thing for thing in objects if thing["kind"] == "ServiceAccount"}

    for pod in pods:
        mounted = {mount["name"] for each in pod.containers for mount in each.get("volumeMounts", [])}
        assert pod.spec["automountServiceAccountToken"] is False, pod.where
        assert accounts[pod.spec["serviceAccountName"]]["automountServiceAccountToken"] is False
        assert "api-access" not in mounted, pod.where
    assert {thing["kind"] for thing in objects}.isdisjoint({"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})


def test_what_may_be_written_is_a_volume_with_a_limit(pods):
    for pod in pods:
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
        assert all("sizeLimit" in volume["emptyDir"] for volume in volumes.values() if "emptyDir" in volume), pod.where
        for each in pod.spec["containers"]:
            at = {mount["mountPath"]: volumes.get(mount["name"], {}) for mount in each["volumeMounts"]}
            assert "emptyDir" in at["/tmp"], pod.where


def test_every_volume_that_is_mounted_is_there(pods):
    for pod in pods:
        there = {volume["name"] for volume in pod.spec.get("volumes", [])} | {"data"}  # a claim of the stateful ones
        mounted = {mount["name"] for each in pod.containers for mount in each.get("volumeMounts", [])}
        assert mounted <= there, pod.where


def test_memory_asked_for_is_memory_granted(pods):
    for pod in pods:
        for each in pod.containers:
            requests, limits = each["resources"]["requests"], each["resources"]["limits"]
            assert requests["memory"] == limits["memory"] and "cpu" in requests, pod.where
            if each["name"] in ("ray-head", "ray-worker"):
                assert requests == limits, "Ray's pods are the last to be evicted"


def test_rays_object_store_fits_into_shared_memory(pods):
    ray = [pod for pod in pods if pod.spec["containers"][0]["name"] in ("ray-head", "ray-worker")]
    assert len(ray) >= 2
    for pod in ray:
        (shm,) = [volume["emptyDir"] for volume in pod.spec["volumes"] if volume["name"] == "shm"]
        memory = size(pod.spec["containers"][0]["resources"]["limits"]["memory"])
        assert shm["medium"] == "Memory"
        assert OBJECT_STORE * memory <= size(shm["sizeLimit"]) <= memory / 2, pod.where


def test_a_vanished_host_is_noticed_by_all_of_ray(pods, rayjob):
    ray = [pod.spec["containers"][0] for pod in pods if "ray-" in pod.spec["containers"][0]["name"]]
    ray = [each for each in ray if each["name"] != "ray-job-submitter"]
    options = rayjob["spec"]["rayClusterSpec"].get("autoscalerOptions")

    for each in [*ray, *([options] if options else [])]:
        assert KEEPALIVE.items() <= {env["name"]: env.get("value") for env in each["env"]}.items()


def test_images_have_a_version(pods):
    for image in {each["image"] for pod in pods for each in pod.containers}:
        assert re.search(r":(v?\d|RELEASE\.)|@sha256:", image) and "latest" not in image, image


def literals(objects: list[dict], pods: list) -> list[tuple[str, str]]:
    """What is said in the open: the values of configuration, and of variables that do not refer to a secret."""
    data = [pair for thing in objects if thing["kind"] == "ConfigMap" for pair in thing["data"].items()]
    env = [each for pod in pods for container in pod.containers for each in container.get("env", [])]
    return data + [(each["name"], each["value"]) for each in env if "value" in each]


def test_no_secret_is_held(objects, pods):
    assert "Secret" not in {thing["kind"] for thing in objects}
    for name, value in literals(objects, pods):
        assert not SENSITIVE.search(name), name
        assert not re.search(r"(?im)^\s*\w*(password|secret|access_key)\w*\s*[=:]", value), name
        assert not re.search(r"://[^/\s@]+:[^/\s@]+@", value), f"{name} has a password in its address"


def test_secrets_are_those_that_the_guide_makes(pods):
    env = [each for pod in pods for container in pod.containers for each in container.get("env", [])]
    named = [each["valueFrom"]["secretKeyRef"] for each in env if "secretKeyRef" in each.get("valueFrom", {})]
    whole = [source["secretRef"] for pod in pods for each in pod.containers for source in each.get("envFrom", [])
             if "secretRef" in source]  # fmt: skip

    made = guided_secrets()
    assert {(ref["name"], ref["key"]) for ref in named} <= made
    assert {ref["name"] for ref in whole} == {"object-store"} <= {name for name, _ in made}


def guided_secrets() -> set[tuple[str, str]]:
    """Name and key of what the guide's fourth step makes."""
    text = (K8S / "README.md").read_text().replace("\\\n", " ")
    lines = re.findall(r"create secret generic (\S+)(.*)", text)
    return {(name, key) for name, rest in lines for key in re.findall(r"--from-literal=([\w-]+)=", rest)}


@pytest.mark.parametrize("name", ["overlays/gpu", "overlays/spot-gpu"])
def test_nodes_with_gpus_have_a_fit_for_each_and_all_their_cpus_score_on_them(build, name):
    entrypoint, used = (thing["spec"]["entrypoint"] for folder in ("base", name) for thing in build(folder)
                        if thing["kind"] == "RayJob")  # fmt: skip
    options, settings = (used.removeprefix(entrypoint).split()[at::2] for at in (0, 1))
    parsed = study.load(str(K8S / "base" / "study.toml"), tuple(settings))
    (rayjob,) = (thing for thing in build(name) if thing["kind"] == "RayJob")
    *_, nodes = rayjob["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    limits = nodes["template"]["spec"]["containers"][0]["resources"]["limits"]

    assert used.startswith(entrypoint) and set(options) == {"--set"}
    assert (parsed.training.workers, parsed.training.gpus_per_worker) == (1, 1)
    assert int(limits["cpu"]) * parsed.score.gpus_per_task == int(limits["nvidia.com/gpu"])


@pytest.mark.parametrize("name", ["overlays/spot", "overlays/spot-gpu"])
def test_the_head_stays_where_nodes_stay(build, name):
    (rayjob,) = [thing for thing in build(name) if thing["kind"] == "RayJob"]
    cluster = rayjob["spec"]["rayClusterSpec"]
    head, workers = cluster["headGroupSpec"]["template"]["spec"], cluster["workerGroupSpecs"][0]["template"]["spec"]
    affinity = head["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]

    (rule,) = affinity["nodeSelectorTerms"][0]["matchExpressions"]

    assert rule == {"key": "recoilscan/pool", "operator": "NotIn", "values": ["spot"]}
    assert "tolerations" not in head
    assert workers["nodeSelector"]["recoilscan/pool"] == "spot"
    assert workers["terminationGracePeriodSeconds"] >= 60


def test_gpu_nodes_are_there_from_the_start_to_the_end(build):
    (rayjob,) = [thing for thing in build("overlays/spot-gpu") if thing["kind"] == "RayJob"]
    cpu, gpu = rayjob["spec"]["rayClusterSpec"]["workerGroupSpecs"]

    assert gpu["minReplicas"] == gpu["replicas"] == gpu["maxReplicas"]
    assert cpu["minReplicas"] == 0 < cpu["replicas"] == cpu["maxReplicas"]
    assert int(gpu["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]) > 1


def test_pods_of_the_image_keep_off_other_processors(pods):
    for pod in pods:
        if any(each["image"].startswith("recoilscan") for each in pod.containers):
            assert pod.spec["nodeSelector"]["kubernetes.io/arch"] == "amd64", pod.where
