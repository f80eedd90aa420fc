"""Who may speak to whom: the policies as the cluster would apply them, pod by pod."""

import network_rules
import pytest
from network_rules import NAMESPACE

ELSEWHERE = "default"
OPERATOR = ("kuberay-system", {"app.kubernetes.io/component": "kuberay-operator"})
DNS = ("kube-system", {"k8s-app": "kube-dns"})
RAY = {"ray.io/is-ray-node": "yes", "recoilscan/object-store": "yes"}
PODS = {
    "head": (NAMESPACE, RAY | {"ray.io/node-type": "head"}),
    "worker": (NAMESPACE, RAY | {"ray.io/node-type": "worker"}),
    "submitter": (NAMESPACE, {"app.kubernetes.io/component": "submitter"}),
    "mlflow": (NAMESPACE, {"app.kubernetes.io/name": "mlflow", "recoilscan/object-store": "yes"}),
    "postgres": (NAMESPACE, {"app.kubernetes.io/name": "postgres"}),
    "s3": (NAMESPACE, {"app.kubernetes.io/name": "s3"}),
    "stranger": (ELSEWHERE, {"app.kubernetes.io/component": "kuberay-operator"}),
    "neighbour": (NAMESPACE, {}),
    "operator": OPERATOR,
    "dns": DNS,
}


def may(objects: list[dict], source: str, target: str, port: int) -> bool:
    return network_rules.may(objects, PODS[source], PODS[target], port)


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    [
        ("worker", "head", 6379, True),
        ("head", "worker", 30000, True),
        ("worker", "worker", 45678, True),
        ("submitter", "head", 8265, True),
        ("submitter", "head", 6379, False),
        ("submitter", "mlflow", 5000, False),
        ("operator", "head", 8265, True),
        ("operator", "head", 6379, False),
        ("stranger", "head", 8265, False),
        ("neighbour", "head", 8265, False),
        ("head", "mlflow", 5000, True),
        ("worker", "mlflow", 5000, False),
        ("stranger", "mlflow", 5000, False),
        ("mlflow", "postgres", 5432, True),
        ("head", "postgres", 5432, False),
        ("worker", "postgres", 5432, False),
        *((pod, "dns", 53, True) for pod in ("head", "worker", "submitter", "mlflow")),
    ],
)
def test_who_may_speak_to_whom(objects, source, target, port, allowed):
    assert may(objects, source, target, port) is allowed


@pytest.mark.parametrize(
    ("source", "allowed"),
    [("head", True), ("worker", True), ("mlflow", True), ("submitter", False), ("stranger", False)],
)
def test_who_may_reach_the_bucket_of_a_laptop(build, source, allowed):
    assert may(build("overlays/kind"), source, "s3", 9000) is allowed


def test_nothing_is_open_that_no_policy_opens(objects):
    (deny,) = [thing["spec"] for thing in objects if thing["metadata"]["name"] == "default-deny"]

    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_no_way_leads_to_the_nodes_metadata(objects):
    policies = [thing["spec"] for thing in objects if thing["kind"] == "NetworkPolicy"]
    rules = [rule for spec in policies for rule in spec.get("egress", [])]
    blocks = [peer["ipBlock"] for rule in rules for peer in rule["to"] if "ipBlock" in peer]

    wide = [block for block in blocks if block["cidr"].endswith("/0")]

    assert wide and all("169.254.0.0/16" in block["except"] for block in wide)


def test_the_pods_have_the_labels_that_the_policies_select(pods):
    by_container = {pod.spec["containers"][0]["name"]: pod.labels for pod in pods}

    assert by_container["ray-job-submitter"]["app.kubernetes.io/component"] == "submitter"
    assert by_container["mlflow"]["app.kubernetes.io/name"] == "mlflow"
    assert by_container["postgres"]["app.kubernetes.io/name"] == "postgres"
    for name in ("ray-head", "ray-worker", "mlflow"):
        assert by_container[name]["recoilscan/object-store"] == "yes"
