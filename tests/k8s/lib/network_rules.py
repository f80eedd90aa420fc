"""Who may speak to whom: network policies as the cluster would apply them. A pod is its namespace and its labels."""

NAMESPACE = "recoilscan"


def selects(selector: dict, labels: dict) -> bool:
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return wanted and all(
        each["operator"] == "In" and labels.get(each["key"]) in each["values"]
        for each in selector.get("matchExpressions", [])
    )


def is_peer(peer: dict, pod: tuple[str, dict]) -> bool:
    """Whether a pod is meant; an address is none."""
    if "ipBlock" in peer:
        return False
    namespace, labels = pod
    there = {"kubernetes.io/metadata.name": namespace}
    if not selects(peer["namespaceSelector"], there) if "namespaceSelector" in peer else namespace != NAMESPACE:
        return False
    return selects(peer.get("podSelector", {}), labels)


def passes(policies: list[dict], pod: tuple, other: tuple, port: int, way: str) -> bool:
    """Whether one side's policies let the other through: all is open where no policy selects the pod."""
    namespace, labels = pod
    if namespace != NAMESPACE:
        return True
    bound = [each["spec"] for each in policies if selects(each["spec"]["podSelector"], labels)]
    rules = [rule for spec in bound if way in spec["policyTypes"] for rule in spec.get(way.lower(), [])]
    side = {"Ingress": "from", "Egress": "to"}[way]
    return any(
        any(is_peer(peer, other) for peer in rule[side])
        and ("ports" not in rule or port in [each["port"] for each in rule["ports"]])
        for rule in rules
    )


def may(objects: list[dict], source: tuple[str, dict], target: tuple[str, dict], port: int) -> bool:
    """Whether the policies among the objects let one pod reach another's port."""
    policies = [thing for thing in objects if thing["kind"] == "NetworkPolicy"]
    return passes(policies, source, target, port, "Egress") and passes(policies, target, source, port, "Ingress")
