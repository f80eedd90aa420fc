"""An API server, small but enough for kubectl: it holds objects, checks them, lets them be watched, hands logs on.

It is honest about what it is not: no admission, no scheduling, no network's rules; rights are a set that a test gives.
"""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import yaml
from cluster_discovery import KINDS, discovery, reviewed

PATH = re.compile(r"/(?:api|apis)/((?:[\w.]+/)?v1)/namespaces/([\w-]+)/(\w+)(?:/([\w.-]+))?(?:/(\w+))?")
OVER = ("Succeeded", "Failed")


@dataclass
class Cluster:
    """What the API server holds; `changed` is notified of every change. `faults` says what it refuses, by kind."""

    faults: dict[str, Callable[[dict], list[str]]] = field(default_factory=dict)
    forbidden: set[tuple[str, str]] = field(default_factory=set)  # verb and resource
    groups: list[str] = field(default_factory=lambda: list(KINDS))
    finalized: tuple[str, ...] = ("rayjobs",)  # what an operator must clean up before it goes
    objects: dict[tuple[str, str, str], dict] = field(default_factory=dict)  # plural, namespace, name
    events: list[tuple[str, str, dict]] = field(default_factory=list)
    logs: dict[str, Path] = field(default_factory=dict)  # by pod
    writes: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    stopping: bool = False

    def get(self, plural: str, namespace: str, name: str) -> dict | None:
        with self.changed:
            return self.objects.get((plural, namespace, name))

    def put(self, plural: str, thing: dict) -> dict:
        with self.changed:
            key = (plural, thing["metadata"]["namespace"], thing["metadata"]["name"])
            old, number = self.objects.get(key), len(self.events) + 1
            uid = old["metadata"]["uid"] if old else f"{number:08d}-0000-4000-8000-000000000000"
            facts = {"uid": uid, "resourceVersion": str(number), "creationTimestamp": "2026-01-01T00:00:00Z"}
            whole = {**({"status": old["status"]} if old and "status" in old else {}), **thing}
            whole["metadata"] = {**thing["metadata"], **facts}
            self.objects[key] = whole
            self.events.append(("MODIFIED" if old else "ADDED", plural, whole))
            self.changed.notify_all()
            return whole

    def set_status(self, plural: str, namespace: str, name: str, **status: object) -> None:
        """Merges into an object's status; nothing where the object is gone."""
        with self.changed:
            if thing := self.objects.get((plural, namespace, name)):
                self.put(plural, {**thing, "status": {**thing.get("status", {}), **status}})

    def delete(self, plural: str, namespace: str, name: str) -> dict | None:
        with self.changed:
            thing = self.objects.get((plural, namespace, name))
            if thing is None:
                return None
            if plural in self.finalized:
                metadata = {**thing["metadata"], "deletionTimestamp": "2026-01-01T00:00:01Z"}
                return self.put(plural, {**thing, "metadata": metadata})
            return self.remove(plural, namespace, name)

    def remove(self, plural: str, namespace: str, name: str) -> dict | None:
        """Takes the object away; a finalizer's last step."""
        with self.changed:
            if thing := self.objects.pop((plural, namespace, name), None):
                self.events.append(("DELETED", plural, thing))
                self.changed.notify_all()
            return thing


class Handler(BaseHTTPRequestHandler):
    """One request of kubectl's."""

    protocol_version = "HTTP/1.1"

    @property
    def cluster(self) -> Cluster:
        return self.server.cluster

    def log_message(self, *_: object) -> None:
        """Silent: what is asked is seen by its effects."""

    def _answer(self, body: object, code: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, code: int, reason: str, message: str) -> None:
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message}
        self._answer(body | {"code": code, "metadata": {}}, code)

    def _body(self) -> dict:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return yaml.safe_load(data) or {}

    def _place(self) -> tuple[str, str, str, str | None, str | None] | None:
        found = PATH.fullmatch(urlsplit(self.path).path)
        return found.groups() if found and found[3] in KINDS.get(found[1], {}) else None

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if (known := discovery(path, self.cluster.groups)) is not None:
            return self._answer(known)
        place = self._place()
        if place is None:
            return self._refuse(404, "NotFound", f"nothing at {path}")
        group, namespace, plural, name, part = place
        if part == "log":
            return self._log(name, "true" in query.get("follow", ()))
        if name:
            thing = self.cluster.get(plural, namespace, name)
            return self._answer(thing) if thing else self._refuse(404, "NotFound", f'{plural} "{name}" not found')
        if "sendInitialEvents" in query:  # as servers without WatchList say: kubectl lists instead
            return self._refuse(422, "Invalid", "sendInitialEvents is forbidden")
        if "watch" in query:
            return self._watch(plural, namespace, query)
        with self.cluster.changed:
            items = [thing for key, thing in self.cluster.objects.items() if key[:2] == (plural, namespace)]
            facts = {"resourceVersion": str(len(self.cluster.events))}
        items = [thing for thing in items if selected(thing, query)]
        self._answer({"kind": f"{KINDS[group][plural]}List", "apiVersion": group, "metadata": facts, "items": items})

    def do_PATCH(self) -> None:
        """Server-side apply, the only patch that is asked for here."""
        body, (group, namespace, plural, name, _) = self._body(), self._place()
        if "apply-patch" not in self.headers["Content-Type"]:
            return self._refuse(415, "UnsupportedMediaType", "only apply")
        kind = KINDS[group][plural]
        if faults := self.cluster.faults.get(kind, lambda thing: [])(body):
            return self._refuse(422, "Invalid", f"{kind} {name} is invalid: {'; '.join(faults)}")
        self.cluster.writes.append(f"{kind} {name}")
        there = self.cluster.get(plural, namespace, name)
        self._answer(self.cluster.put(plural, body), 200 if there else 201)

    def do_POST(self) -> None:
        """Access reviews: what is not forbidden is allowed."""
        verb, resource = reviewed(self.rfile.read(int(self.headers["Content-Length"])))
        kind = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}, "spec": {}}
        self._answer(kind | {"status": {"allowed": (verb, resource) not in self.cluster.forbidden}}, 201)

    def do_DELETE(self) -> None:
        self._body()
        _, namespace, plural, name, _ = self._place()
        thing = self.cluster.delete(plural, namespace, name)
        self.cluster.writes.append(f"delete {plural} {name}")
        self._answer(thing) if thing else self._refuse(404, "NotFound", f'{plural} "{name}" not found')

    def _stream(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def _watch(self, plural: str, namespace: str, query: dict) -> None:
        seen = int(query.get("resourceVersion", ["0"])[0] or 0)
        self._stream("application/json")
        while not self.cluster.stopping:
            with self.cluster.changed:
                if len(self.cluster.events) <= seen:
                    self.cluster.changed.wait(0.5)
                new, seen = self.cluster.events[seen:], len(self.cluster.events)
            for kind, where, thing in new:
                if (where, thing["metadata"]["namespace"]) == (plural, namespace) and selected(thing, query):
                    if not self._write(json.dumps({"type": kind, "object": thing}).encode() + b"\n"):
                        return

    def _log(self, pod: str, follow: bool) -> None:
        if pod not in self.cluster.logs:
            return self._refuse(404, "NotFound", f'pods "{pod}" not found')
        self._stream("text/plain")
        with self.cluster.logs[pod].open("rb") as file:
            over = False
            while not self.cluster.stopping:
                if data := file.read():
                    if not self._write(data):
                        return
                elif over or not follow:
                    return
                else:
                    over = self._is_over(pod)
                    threading.Event().wait(0.1)

    def _is_over(self, pod: str) -> bool:
        with self.cluster.changed:
            found = [thing for key, thing in self.cluster.objects.items() if key[0] == "pods" and key[2] == pod]
        return not found or found[0]["status"]["phase"] in OVER

    def _write(self, data: bytes) -> bool:
        try:
            self.wfile.write(data)
            self.wfile.flush()
        except OSError:  # whoever watched has gone
            return False
        return True


def selected(thing: dict, query: dict) -> bool:
    """Whether an object is what labelSelector and fieldSelector=metadata.name ask for; both know only key=value."""
    labels, metadata = thing["metadata"].get("labels", {}), thing["metadata"]
    wanted = [pair.split("=") for text in query.get("labelSelector", []) for pair in text.split(",")]
    fields = [pair.split("=") for text in query.get("fieldSelector", []) for pair in text.split(",")]
    named = all(metadata[key.removeprefix("metadata.")] == value for key, value in fields)
    return named and all(labels.get(key) == value for key, value in wanted)


class Api:
    """The server on loopback, and the configuration by which kubectl finds it."""

    def __init__(self, cluster: Cluster, folder: Path):
        self.cluster = cluster
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads, self._server.cluster = True, cluster
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.config = folder / "kubeconfig"
        self.config.write_text(json.dumps(_kubeconfig(self.url)))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.cluster.stopping = True
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _kubeconfig(url: str) -> dict:
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": url}}], "users": [{"name": "me", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
    }  # fmt: skip
