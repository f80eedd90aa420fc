"""Every component with every overlay it makes sense with: built, held against the schemas, and what it is there for."""

import re
from pathlib import Path

import network_rules
import pod_rules
import pytest
from cluster_rules import cluster_faults, faults, job_faults, raycluster

yaml = pytest.importorskip("yaml")
K8S = Path(__file__).parents[2] / "k8s"
PLAIN = ("plain", "spot", "gpu", "spot-gpu", "kueue")
ALL = (*PLAIN, "kind")
SUITS = {
    "aws-irsa": PLAIN, "eks-pod-identity": PLAIN, "gke-workload-identity": PLAIN, "s3-port": PLAIN, "proxy": PLAIN,
    "private-ca": PLAIN, "openshift": PLAIN, "pull-secret": ALL, "keep-head": ALL, "pod-monitor": ALL,
    "mlflow-ingress": ALL, "spot": ("plain", "gpu", "kueue"), "gpu": ("plain", "spot", "kueue"),
    "kueue": ("plain", "spot", "gpu", "spot-gpu"),
}  # fmt: skip
PAIRS = [(component, overlay) for component, overlays in SUITS.items() for overlay in overlays]
TOGETHER = ("pull-secret", "s3-port", "private-ca", "proxy", "pod-monitor", "mlflow-ingress", "keep-head", "openshift")
VERSION = "1.35"  # of Kubernetes
# of the Prometheus operator's schema, what is used here: https://prometheus-operator.dev/docs/api-reference/api
MONITOR = {"selector": dict, "podTargetLabels": list, "podMetricsEndpoints": list}


@pytest.fixture(scope="module")
def with_components(build, tmp_path_factory):
    """The objects of an overlay with components."""

    def call(overlay: str, *components: str) -> list[dict]:
        folder = tmp_path_factory.mktemp("site")
        top = Path(*[".."] * (len(folder.resolve().parts) - 1), *K8S.resolve().parts[1:])
        parts = [str(top / "components" / name) for name in components]
        text = {"namespace": "recoilscan", "resources": [str(top / "overlays" / overlay)], "components": parts}
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(text))
        return build(folder)

    return call


def named(objects: list[dict], kind: str, name: str) -> dict:
    (found,) = [thing for thing in objects if (thing["kind"], thing["metadata"]["name"]) == (kind, name)]
    return found


def check(changed: list[dict], rayjob_validator, raycluster_validator) -> None:
    """That the API server and the operator would take all that is not as in the overlay, whose own tests see to it."""
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    assert changed
    for thing in changed:
        assert thing["metadata"]["labels"]["app.kubernetes.io/component"] in ("scan", "tracking", "platform")
        if thing["kind"] == "RayJob":
            assert faults(rayjob_validator, thing) == [] and faults(raycluster_validator, raycluster(thing)) == []
            assert job_faults(thing) == [] and cluster_faults(thing["spec"]["rayClusterSpec"]) == []
        elif thing["kind"] == "PodMonitor":
            assert {key: type(value) for key, value in thing["spec"].items()} == MONITOR
        else:
            kubernetes_validate.validate(thing, VERSION, strict=True)


def test_every_component_is_tried():
    assert set(SUITS) == {folder.name for folder in (K8S / "components").iterdir()}
    guide = (K8S / "README.md").read_text()
    assert [name for name in SUITS if f"| `{name}` |" not in guide] == [], "each has a line in the guide's table"


@pytest.mark.parametrize(("component", "overlay"), PAIRS)
def test_a_component_goes_with_an_overlay(
    with_components, build, component, overlay, rayjob_validator, raycluster_validator
):  # fmt: skip
    objects, before = with_components(overlay, component), build(f"overlays/{overlay}")

    check([thing for thing in objects if thing not in before], rayjob_validator, raycluster_validator)
    any_user = component == "openshift"
    assert [pod.where for pod in pod_rules.pods(objects) if pod_rules.restricted(pod.spec, any_user)] == []


@pytest.mark.parametrize("overlay", PLAIN)
def test_all_that_a_site_may_need_goes_together(with_components, overlay, rayjob_validator, raycluster_validator):
    objects = with_components(overlay, *TOGETHER)

    check(objects, rayjob_validator, raycluster_validator)
    assert all(pod_rules.restricted(pod.spec, any_user=True) == [] for pod in pod_rules.pods(objects))


def environment(objects: list[dict]) -> dict[str, str]:
    return named(objects, "ConfigMap", "object-store")["data"]


def ways(objects: list[dict], name: str) -> set[tuple[str, int]]:
    """The addresses and ports that a policy opens to pods that reach the bucket."""
    spec = named(objects, "NetworkPolicy", name)["spec"]
    assert spec["podSelector"] == {"matchLabels": {"recoilscan/object-store": "yes"}}
    assert spec["policyTypes"] == ["Egress"]
    return {(peer["ipBlock"]["cidr"], port["port"]) for rule in spec["egress"] for peer in rule["to"]
            for port in rule["ports"]}  # fmt: skip


def test_every_pod_pulls_with_the_secret(with_components):
    objects = with_components("kind", "pull-secret")

    accounts = {thing["metadata"]["name"]: thing for thing in objects if thing["kind"] == "ServiceAccount"}
    for pod in pod_rules.pods(objects):
        assert accounts[pod.spec["serviceAccountName"]]["imagePullSecrets"] == [{"name": "registry"}], pod.where


@pytest.mark.parametrize(
    ("component", "key"),
    [("aws-irsa", "eks.amazonaws.com/role-arn"), ("gke-workload-identity", "iam.gke.io/gcp-service-account")],
)
def test_a_role_is_that_of_who_reaches_the_bucket_alone(with_components, component, key):
    objects = with_components("spot-gpu", component)

    accounts = {thing["metadata"]["name"]: thing for thing in objects if thing["kind"] == "ServiceAccount"}
    roles = {name for name, thing in accounts.items() if key in thing["metadata"].get("annotations", {})}
    pods = pod_rules.pods(objects)
    assert roles == {pod.spec["serviceAccountName"] for pod in pods if "recoilscan/object-store" in pod.labels}
    assert all(pod.spec["automountServiceAccountToken"] is False for pod in pods)


def test_what_gives_keys_on_a_node_is_reached_and_nothing_else_there(with_components):
    assert ways(with_components("plain", "eks-pod-identity"), "eks-pod-identity") == {
        ("169.254.170.23/32", 80), ("fd00:ec2::23/128", 80)
    }  # fmt: skip
    assert ways(with_components("plain", "gke-workload-identity"), "gke-metadata") == {
        ("169.254.169.252/32", 987), ("169.254.169.252/32", 988), ("169.254.169.254/32", 80)
    }  # fmt: skip


@pytest.mark.parametrize(("component", "variable"), [("s3-port", "AWS_ENDPOINT_URL"), ("proxy", "HTTPS_PROXY")])
def test_an_address_and_the_way_to_it_agree(with_components, component, variable):
    objects = with_components("plain", component)

    port = int(environment(objects)[variable].rpartition(":")[2])
    assert ways(objects, component) == {("0.0.0.0/0", port)}
    (block,) = named(objects, "NetworkPolicy", component)["spec"]["egress"][0]["to"]
    assert block["ipBlock"]["except"] == ["169.254.0.0/16"]


def test_no_proxy_is_asked_for_what_is_in_the_cluster(with_components):
    environment_ = environment(with_components("plain", "proxy"))

    direct = environment_["NO_PROXY"].split(",")
    assert {"mlflow", "localhost", ".svc", ".cluster.local"} <= set(direct)
    assert "AWS_REGION" in environment_, "what was there stays"


def test_the_sites_authorities_are_read_where_they_are_mounted(with_components):
    objects = with_components("spot-gpu", "private-ca")

    files = {value for key, value in environment(objects).items() if "CERT" in key or "BUNDLE" in key}
    (file,) = files
    for pod in pod_rules.pods(objects):
        if "recoilscan/object-store" in pod.labels:
            (volume,) = [each for each in pod.spec["volumes"] if each["name"] == "ca"]
            (mount,) = [each for each in pod.spec["containers"][0]["volumeMounts"] if each["name"] == "ca"]
            assert volume["configMap"] == {"name": "ca-bundle", "optional": True} and mount["readOnly"] is True
            assert str(Path(file).parent) == mount["mountPath"]
            assert {"configMapRef": {"name": "object-store"}} in pod.spec["containers"][0]["envFrom"]


def test_openshift_says_who_a_pod_is(with_components):
    objects = with_components("spot-gpu", "openshift")

    pods = pod_rules.pods(objects)
    contexts = [pod.spec["securityContext"] for pod in pods]
    assert len(pods) == 6 and all("fsGroup" not in each and "runAsGroup" not in each for each in contexts)
    dns = ("openshift-dns", {})
    for pod in pods:
        assert network_rules.may(objects, ("recoilscan", pod.labels), dns, 5353), pod.where
        assert not network_rules.may(objects, ("recoilscan", pod.labels), ("openshift-etcd", {}), 5353)


def test_prometheus_alone_reads_the_metrics_of_ray_alone(with_components):
    objects = with_components("kind", "pod-monitor")

    ray = ("recoilscan", {"ray.io/is-ray-node": "yes", "ray.io/node-type": "worker"})
    prometheus = ("monitoring", {"app.kubernetes.io/name": "prometheus"})
    assert network_rules.may(objects, prometheus, ray, 8080)
    assert not network_rules.may(objects, prometheus, ray, 6379)
    assert not network_rules.may(objects, prometheus, ("recoilscan", {"app.kubernetes.io/name": "mlflow"}), 8080)
    assert not network_rules.may(objects, ("default", prometheus[1]), ray, 8080)
    spec = named(objects, "PodMonitor", "ray")["spec"]
    assert spec["selector"]["matchLabels"].items() <= ray[1].items()
    assert [each["port"] for each in spec["podMetricsEndpoints"]] == ["metrics"]


def test_an_ingress_has_one_name_for_mlflow(with_components):
    objects = with_components("plain", "mlflow-ingress")

    host = named(objects, "ConfigMap", "mlflow-ingress")["data"]["host"]
    ingress = named(objects, "Ingress", "mlflow")["spec"]
    container = named(objects, "Deployment", "mlflow")["spec"]["template"]["spec"]["containers"][0]
    options = dict(word.removeprefix("--").partition("=")[::2] for word in container["args"])
    assert [rule["host"] for rule in ingress["rules"]] == ingress["tls"][0]["hosts"] == [host]
    assert options["allowed-hosts"].split(",")[-1] == host and "mlflow:*" in options["allowed-hosts"]
    assert options["cors-allowed-origins"] == f"https://{host}"
    assert not re.search("HOST", yaml.safe_dump(objects))
    mlflow = ("recoilscan", {"app.kubernetes.io/name": "mlflow"})
    assert network_rules.may(objects, ("ingress-nginx", {}), mlflow, 5000)
    assert not network_rules.may(objects, ("default", {}), mlflow, 5000)
