"""A pod's volumes as folders, and what its first containers put there, as the kubelet would see to it."""

import base64
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Held = Callable[[str], dict]  # a ConfigMap by its name


def made(pod: dict, held: Held, resolve: Callable[[dict], dict[str, str]], folder: Path) -> dict[str, Path]:
    """By the path at which Ray's container has it, the folder of every volume; raises where a first container fails."""
    folders = {volume["name"]: folder / volume["name"] for volume in pod.get("volumes", [])}
    for volume in pod.get("volumes", []):
        folders[volume["name"]].mkdir(parents=True)
        if "configMap" in volume:
            _fill(folders[volume["name"]], volume["configMap"], held(volume["configMap"]["name"]))
    for container in pod.get("initContainers", []):
        _run(container, _mounts(container, folders), resolve(container))
    return _mounts(pod["containers"][0], folders)


def _fill(folder: Path, volume: dict, config_map: dict) -> None:
    binary = {key: base64.b64decode(value) for key, value in config_map.get("binaryData", {}).items()}
    content = {key: text.encode() for key, text in config_map.get("data", {}).items()} | binary
    items = volume.get("items", [{"key": key, "path": key} for key in content])
    for item in items:
        place = folder / item["path"]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content[item["key"]])


def _mounts(container: dict, folders: dict[str, Path]) -> dict[str, Path]:
    return {each["mountPath"]: folders[each["name"]] for each in container.get("volumeMounts", [])
            if each["name"] in folders}  # fmt: skip


def _run(container: dict, mounts: dict[str, Path], environment: dict[str, str]) -> None:
    words = [str(mounts.get(word, word)) for word in container["command"]]
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    own = {"PATH": path, "PYTHONPATH": os.environ.get("PYTHONPATH", "")} | environment
    done = subprocess.run(words, env=own, cwd="/", capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{container['name']}: {done.stderr}")
