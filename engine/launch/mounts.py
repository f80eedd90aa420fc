"""How a study and its files come into the pods: by a ConfigMap, or the files by the store where they are too large.

Either way they lie below one folder, in which Ray starts, so that a path from there is the user's own word.
"""

import base64
import copy
import json
import os
from pathlib import Path, PurePosixPath

from engine.errors import BadInput
from engine.launch.carried import Files
from engine.launch.command import Command
from engine.launch.fetch import EVENTS, LIST, STUDY
from engine.launch.manifests import Manifests

MOST_BYTES = 900_000  # of a ConfigMap, which may hold 1 MiB in all
MOST_STORED_BYTES = 4 * 2**30  # beside what Ray spills onto a pod's disk
KEY = 32  # digits of a file's SHA-256 that are its key in the ConfigMap, where a path cannot be one
SOURCE = "/configmap"
MEMORY, ROOM = "512Mi", 64  # of the pod's first container; MiB of its volume beside the files


def by_store(text: str, files: Files) -> bool:
    """Whether a study, observed events with it, and its files are too large for a ConfigMap.

    Raises BadInput where files are too large for a pod, too, or the text alone for a ConfigMap.
    """
    if files.size_bytes > MOST_STORED_BYTES:
        raise BadInput(f"the study's files have {files.size_bytes:,} bytes, and at most {MOST_STORED_BYTES:,} travel: "
                       "put the largest into the image, and name it by its path there")  # fmt: skip
    if (size := len(text.encode())) > MOST_BYTES:
        raise BadInput(f"the study is longer than the {MOST_BYTES:,} bytes that a ConfigMap holds: {size:,}")
    return bool(files.digests) and size + files.size_bytes > MOST_BYTES


def mount(objects: Manifests, text: str, files: Files, store: str, command: Command) -> None:
    """Puts a study, its files and observed events into the objects; `store` is where large files are fetched from."""
    events = {EVENTS: command.text(MOST_BYTES - len(text.encode()))} if command.data else {}
    objects.study["data"] = {STUDY: text} | events
    stored = by_store("".join(objects.study["data"].values()), files)
    if not files.digests:
        return
    paths = {os.path.normpath(word): digest for word, digest in files.digests.items()}
    if stored:
        objects.study["data"][LIST] = json.dumps(paths, sort_keys=True)
    else:
        objects.study["binaryData"] = {digest[:KEY]: _base64(path) for path, digest in paths.items()}
    for template in objects.templates():
        container = template["spec"]["containers"][0]
        (at,) = [each for each in container["volumeMounts"] if each["name"] == "study"]
        container["workingDir"] = at["mountPath"]
        if stored:
            _fetched(template["spec"], at, store, files.size_bytes)
        else:
            _listed(template["spec"], [STUDY, *events], paths)


def _base64(path: str) -> str:
    return base64.b64encode(Path(path).read_bytes()).decode()


def _listed(pod: dict, texts: list[str], paths: dict[str, str]) -> None:
    (volume,) = [each for each in pod["volumes"] if each["name"] == "study"]
    items = {name: name for name in texts} | {str(PurePosixPath(path)): digest[:KEY] for path, digest in paths.items()}
    volume["configMap"]["items"] = [{"key": key, "path": path} for path, key in items.items()]


def _fetched(pod: dict, at: dict, store: str, size_bytes: int) -> None:
    """A first container, with the image and the rights of Ray's, fills a volume in the ConfigMap's place."""
    ray = pod["containers"][0]
    at |= {"name": "files"}
    kept = ("image", "imagePullPolicy", "env", "envFrom", "securityContext", "volumeMounts")
    first = copy.deepcopy({key: ray[key] for key in kept if key in ray})
    for each in first["volumeMounts"]:
        each |= {"readOnly": False} if each["name"] == "files" else {}
    first["volumeMounts"].append({"name": "study", "mountPath": SOURCE, "readOnly": True})
    command = ["python", "-m", "engine.launch.fetch", store, SOURCE, at["mountPath"]]
    resources = {"requests": {"cpu": "250m", "memory": MEMORY}, "limits": {"memory": MEMORY}}
    first |= {"name": "fetch-files", "command": command, "resources": resources}
    pod["initContainers"] = [*pod.get("initContainers", []), first]
    pod["volumes"].append({"name": "files", "emptyDir": {"sizeLimit": f"{size_bytes // 2**20 + ROOM}Mi"}})
