"""Which pods a drain may take: budgets as the eviction of pods applies them to pods of a RayCluster."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")
K8S = Path(__file__).parents[2] / "k8s"


@dataclass
class Running:
    """A pod that may be evicted."""

    labels: dict
    ready: bool = True


HEAD, WORKER = {"ray.io/node-type": "head"}, {"ray.io/node-type": "worker"}


@dataclass
class Namespace:
    """Budgets and pods; a pod's owner, a RayCluster, has no scale."""

    budgets: list[dict]
    pods: list[Running] = field(default_factory=list)

    def may_evict(self, pod: Running) -> bool:
        """As the API server decides, which refuses a pod of two budgets."""
        over = [each for each in self.budgets if each["selector"]["matchLabels"].items() <= pod.labels.items()]
        assert len(over) <= 1, "an eviction of a pod with several budgets is an error"
        return all(self._allows(budget, pod) for budget in over)

    def _allows(self, budget: dict, pod: Running) -> bool:
        if not pod.ready and budget.get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
            return True
        if "maxUnavailable" in budget:  # counted by the owner's scale: without one the budget fails, and is safe
            return False
        chosen = [each for each in self.pods if budget["selector"]["matchLabels"].items() <= each.labels.items()]
        return sum(each.ready for each in chosen) > budget["minAvailable"]


def budgets(objects: list[dict]) -> list[dict]:
    return [thing["spec"] for thing in objects if thing["kind"] == "PodDisruptionBudget"]


def test_a_raycluster_has_no_scale(crds):
    for crd in crds.values():
        assert all("scale" not in version["subresources"] for version in crd["spec"]["versions"])


def test_every_node_drains(objects):
    pods = [Running(HEAD), Running(WORKER), Running({"app.kubernetes.io/name": "mlflow"})]
    namespace = Namespace(budgets(objects), pods)

    assert all(namespace.may_evict(pod) for pod in pods)


def test_a_head_that_is_kept_holds_its_own_node_alone():
    budget = yaml.safe_load((K8S / "components" / "keep-head" / "budget.yaml").read_text())["spec"]
    heads = [Running(HEAD) for _ in range(3)]
    starting, worker = Running(HEAD, ready=False), Running(WORKER)
    namespace = Namespace([budget], [*heads, starting, worker])

    assert not any(namespace.may_evict(head) for head in heads), "however many scans there are"
    assert namespace.may_evict(worker) and namespace.may_evict(starting)


def test_a_head_is_kept_no_longer_than_its_scan(build, tmp_path):
    way = Path(*[".."] * (len(tmp_path.resolve().parts) - 1), *K8S.resolve().parts[1:])
    text = {"resources": [str(way / "base")], "components": [str(way / "components" / "keep-head")]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(text))

    (job,) = [thing["spec"] for thing in build(tmp_path) if thing["kind"] == "RayJob"]

    assert job["shutdownAfterJobFinishes"] and job["ttlSecondsAfterFinished"] <= 60 and job["activeDeadlineSeconds"]


def test_no_autoscaler_empties_the_heads_node(rayjob):
    annotations = rayjob["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["metadata"]["annotations"]

    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
    assert annotations["karpenter.sh/do-not-disrupt"] == "true"


def test_a_drained_head_is_what_retries_are_for(rayjob):
    assert rayjob["spec"]["backoffLimit"] >= 5
