"""What kubectl asks an API server before it asks for an object: what there is, and what it may."""

import json

KINDS = {  # group/version -> plural -> kind
    "v1": {"configmaps": "ConfigMap", "pods": "Pod"},
    "batch/v1": {"jobs": "Job"},
    "ray.io/v1": {"rayjobs": "RayJob"},
    "authorization.k8s.io/v1": {"selfsubjectaccessreviews": "SelfSubjectAccessReview"},
}
VERBS = ["create", "delete", "get", "list", "patch", "watch"]


def reviewed(body: bytes) -> tuple[str, str]:
    """Verb and resource of an access review: JSON, or Kubernetes' protobuf, as newer ones of kubectl send it."""
    if body.startswith(b"k8s\0"):
        asked = fields(fields(fields(fields(body[4:])[2])[2])[1])  # raw of an Unknown, its spec, resourceAttributes
        verb, resource, part = (asked.get(number, b"").decode() for number in (2, 5, 6))
    else:
        asked = json.loads(body)["spec"]["resourceAttributes"]
        verb, resource, part = asked["verb"], asked["resource"], asked.get("subresource", "")
    return verb, "/".join(filter(None, [resource, part]))


def fields(message: bytes) -> dict[int, bytes]:
    """The length-delimited fields of a protobuf message, by number; these messages have no others."""
    found, at = {}, 0
    while at < len(message):
        key, at = varint(message, at)
        length, at = varint(message, at)
        found[key >> 3] = message[at : at + length]
        at += length
    return found


def varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte, at = data[at], at + 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def discovery(path: str, groups: list[str]) -> dict | None:
    """What kubectl asks before it asks for anything: groups, their resources, and that fields are validated."""
    if path == "/version":
        return {"major": "1", "minor": "35", "gitVersion": "v1.35.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        names = [group.split("/")[0] for group in groups if "/" in group]
        versions = {name: {"groupVersion": f"{name}/v1", "version": "v1"} for name in names}
        listed = [{"name": name, "versions": [v], "preferredVersion": v} for name, v in versions.items()]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
    if path == "/openapi/v3":
        return {"paths": {_root(group)[1:]: {"serverRelativeURL": f"/openapi/v3{_root(group)}"} for group in groups}}
    for group in groups:
        if path == _root(group):
            return _resources(group)
        if path == f"/openapi/v3{_root(group)}":
            return _openapi(group)
    return None


def _root(group: str) -> str:
    return f"/apis/{group}" if "/" in group else f"/api/{group}"


def _resources(group: str) -> dict:
    inside = not group.startswith("authorization")
    listed = [{"name": plural, "singularName": kind.lower(), "kind": kind, "verbs": VERBS, "namespaced": inside}
              for plural, kind in KINDS[group].items()]  # fmt: skip
    if group == "v1":
        listed.append({"name": "pods/log", "singularName": "", "kind": "Pod", "verbs": ["get"], "namespaced": True})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": listed}


def _openapi(group: str) -> dict:
    name = group.split("/")[0] if "/" in group else ""
    asked = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
    paths = {}
    for plural, kind in KINDS[group].items():
        says = {"x-kubernetes-group-version-kind": {"group": name, "version": "v1", "kind": kind}}
        operation = says | {"parameters": [asked], "responses": {}}
        paths[f"{_root(group)}/namespaces/{{namespace}}/{plural}/{{name}}"] = {"patch": operation}
    return {"openapi": "3.0.0", "info": {"title": "small", "version": "v1"}, "paths": paths}
