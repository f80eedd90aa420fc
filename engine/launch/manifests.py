"""A study's ConfigMap and RayJob: an overlay as kustomize builds it, with what differs from study to study put in."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from engine.errors import BadInput, unknown
from engine.launch import checks, kubectl
from engine.launch.command import Command
from engine.launch.fetch import EVENTS
from engine.launch.fetch import STUDY as STUDY_FILE

COMPONENT, QUEUE = "app.kubernetes.io/component", "kueue.x-k8s.io/queue-name"
STUDY = "recoilscan/study"  # an annotation: the name under which the user knows it
GPU = "nvidia.com/gpu"
LINE = 4096  # an entrypoint is one line
PRIORITY = "kueue.x-k8s.io/priority-class"


@dataclass(frozen=True)
class Wishes:
    """What a user asks of an overlay; None leaves what the overlay says."""

    image: str | None = None
    gpu_image: str | None = None
    workers: int | None = None
    gpus: int | None = None
    queue: str | None = None
    namespace: str | None = None
    deadline: str | None = None
    priority: str | None = None


@dataclass
class Manifests:
    """The two objects of a scan, each with dictionaries of its own."""

    job: dict
    study: dict

    @property
    def cluster(self) -> dict:
        """The job's RayCluster, as KubeRay has it."""
        return self.job["spec"]["rayClusterSpec"]

    @property
    def groups(self) -> dict[str, dict]:
        """Its groups of workers by name."""
        return {group["groupName"]: group for group in self.cluster["workerGroupSpecs"]}

    def templates(self) -> Iterator[dict]:
        """Of the pods that have the study mounted."""
        yield self.cluster["headGroupSpec"]["template"]
        yield from (group["template"] for group in self.cluster["workerGroupSpecs"])

    def word(self, option: str) -> str | None:
        """What the overlay's own entrypoint says of an option."""
        words = shlex.split(self.job["spec"]["entrypoint"])
        return words[words.index(option) + 1] if option in words[:-1] else None

    def gpus(self) -> int:
        """GPUs of all nodes together."""
        return sum(group["replicas"] * _gpus(group) for group in self.groups.values())


def overlays(folder: Path) -> dict[str, Path]:
    """The overlays in a folder of manifests (`k8s`, or a site's own), by name."""
    inside = folder / "overlays" if (folder / "overlays").is_dir() else folder
    paths = sorted(inside.glob("*/kustomization.yaml")) if inside.is_dir() else []
    return {path.parent.name: path.parent for path in paths}


def read(folder: Path, overlay: str) -> Manifests:
    """The scan's objects of an overlay; raises BadInput that lists the overlays there are."""
    known = overlays(folder)
    if overlay not in known:
        raise unknown(f"overlay in {str(folder)!r}", overlay, known)
    objects = [thing for thing in yaml.safe_load_all(kubectl.kustomize(known[overlay])) if thing]
    mine = {}
    for thing in objects:
        if thing["metadata"].get("labels", {}).get(COMPONENT) == "scan":
            mine[thing["kind"]] = thing
    if mine.keys() != {"RayJob", "ConfigMap"}:
        raise BadInput(f"overlay {overlay!r}: expected one RayJob and one ConfigMap with the label {COMPONENT}: scan; "
                       f"found {', '.join(sorted(mine)) or 'none'}")  # fmt: skip
    return Manifests(mine["RayJob"], mine["ConfigMap"])


def fill(
    objects: Manifests, name: str, title: str, store: str, tracking: str, wishes: Wishes, command: Command
) -> None:
    """Puts into the objects what differs from study to study, but the study itself; raises BadInput before any is used.

    `title` is the user's name of it, `store` its own store, `name` that of both objects.
    """
    _name(objects, name, title, wishes.namespace)
    where = PurePosixPath(shlex.split(objects.job["spec"]["entrypoint"])[2])
    words = command.on_ray(str(where.with_name(STUDY_FILE)), store, tracking, str(where.with_name(EVENTS)))
    objects.job["spec"]["entrypoint"] = " ".join(words)
    _images(objects, wishes.image, wishes.gpu_image)
    _workers(objects, wishes.workers)
    _nodes_with_gpus(objects, wishes.gpus)
    _queue(objects, wishes.queue)
    _priority(objects, wishes.priority)
    if wishes.deadline is not None:
        objects.job["spec"]["activeDeadlineSeconds"] = checks.seconds("--deadline", wishes.deadline)


def dump(objects: Manifests) -> str:
    """Both as YAML: same objects, same bytes."""
    things = [objects.study, objects.job]
    return yaml.dump_all(things, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=LINE, explicit_start=True)


class _Dumper(yaml.SafeDumper):
    """Text of several lines stands as it is, and nothing refers to anything."""

    def ignore_aliases(self, data: object) -> bool:
        """True: what occurs twice is written twice."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _name(objects: Manifests, name: str, title: str, namespace: str | None) -> None:
    for thing in (objects.job, objects.study):
        thing["metadata"]["name"] = name
        thing["metadata"].setdefault("annotations", {})[STUDY] = title
        if namespace is not None:
            thing["metadata"]["namespace"] = checks.label("--namespace", namespace)
    for template in objects.templates():
        for volume in template["spec"]["volumes"]:
            if volume["name"] == "study":
                volume["configMap"]["name"] = name


def _images(objects: Manifests, image: str | None, gpu_image: str | None) -> None:
    pods = [objects.cluster["headGroupSpec"]["template"], objects.job["spec"]["submitterPodTemplate"]]
    pods += [group["template"] for group in objects.groups.values() if not _gpus(group)]
    with_gpus = [group["template"] for group in objects.groups.values() if _gpus(group)]
    if image is not None:
        _set_image(pods, checks.image("--image", image))
        if with_gpus and gpu_image is None:
            gpu_image = _cuda(image)
    if gpu_image is not None:
        if not with_gpus:
            raise BadInput(f"--gpu-image {gpu_image!r}: this overlay has no nodes with GPUs")
        _set_image(with_gpus, checks.image("--gpu-image", gpu_image))
    for pod in (*pods, *with_gpus):
        checks.image("image of the overlay:", pod["spec"]["containers"][0]["image"])


def _set_image(templates: list[dict], image: str) -> None:
    for template in templates:
        template["spec"]["containers"][0]["image"] = image


def _cuda(image: str) -> str:
    """The image with CUDA beside another, by the names that the guide gives them."""
    if "@" in image:
        raise BadInput(f"--image {image!r} is named by its hash: say which one has CUDA with --gpu-image")
    repository, _, tag = image.rpartition(":")
    return f"{repository}-cuda:{tag}"


def _gpus(group: dict) -> int:
    """GPUs of each of a group's nodes."""
    return int(group["template"]["spec"]["containers"][0]["resources"]["limits"].get(GPU, 0))


def _workers(objects: Manifests, workers: int | None) -> None:
    if workers is None:
        return
    if "cpu" not in objects.groups:
        raise BadInput(f"--workers: this overlay has no group 'cpu', but {', '.join(objects.groups)}")
    group = objects.groups["cpu"]
    group["replicas"] = group["maxReplicas"] = workers
    if not objects.cluster.get("enableInTreeAutoscaling"):
        group["minReplicas"] = workers


def _nodes_with_gpus(objects: Manifests, gpus: int | None) -> None:
    if gpus is None:
        return
    group = next((group for group in objects.groups.values() if _gpus(group)), None)
    if group is None:
        raise BadInput(f"--gpus {gpus}: this overlay has no nodes with GPUs")
    each = min(gpus, _gpus(group))
    if gpus % each:
        raise BadInput(f"--gpus {gpus}: the overlay's nodes have {each} each; expected a multiple of it, or fewer")
    group["replicas"] = group["minReplicas"] = group["maxReplicas"] = gpus // each
    resources = group["template"]["spec"]["containers"][0]["resources"]
    resources["requests"][GPU] = resources["limits"][GPU] = str(each)


def _queue(objects: Manifests, queue: str | None) -> None:
    if queue is None:
        return
    labels = objects.job["metadata"]["labels"]
    if QUEUE not in labels:
        raise BadInput(f"--queue {queue!r}: this overlay waits in no queue; take one with components/kueue")
    labels[QUEUE] = checks.label("--queue", queue)


def _priority(objects: Manifests, priority: str | None) -> None:
    """In a queue Kueue decides, else the scheduler."""
    if priority is None:
        return
    name, labels = checks.label("--priority", priority), objects.job["metadata"]["labels"]
    if QUEUE in labels:
        labels[PRIORITY] = name
        return
    for template in (*objects.templates(), objects.job["spec"]["submitterPodTemplate"]):
        template["spec"]["priorityClassName"] = name
