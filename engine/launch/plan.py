"""All that a launch will create, decided and checked before any of it is."""

import importlib.resources
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import tomlkit

from engine import study as studies
from engine.errors import BadInput
from engine.launch import carried, checks, fetch, identity, kubectl, manifests, mounts, rayjob, submission
from engine.launch.batch import Allocation, Script
from engine.launch.command import Command
from engine.launch.identity import SCAN
from engine.launch.manifests import Manifests, Wishes
from engine.launch.slurm import SlurmJob
from engine.store.backend import checked, is_local
from engine.study import Study

SERVED, SLURM = "jobs", "slurm"  # in the place of an overlay
PLAIN = "plain"  # the overlay where none is named: neither GPUs, nor a queue, nor a bucket of its own


@dataclass(frozen=True)
class Launch:
    """A job with its identity; `text` is what is handed to the cluster, and `connect` the only way to it."""

    name: str
    store: str
    entrypoint: str
    text: str
    manifest: Callable[[], str]
    connect: Callable[[Callable[[str], None]], rayjob.RayJob | submission.Submission | SlurmJob]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Where:
    """Where results go, of all studies that are launched there alike: what two of them share is computed once.
    None: as the overlay says."""

    store: str | None = None
    tracking: str | None = None

    def place(self, check: Callable[[str], str], default: Callable[[], str]) -> str:
        """The store's URI, checked; raises BadInput."""
        return check((default() if self.store is None else self.store).rstrip("/"))


def on_kubernetes(
    name: str, settings: tuple[str, ...], overlay: str | None, folder: Path | None,
    where: Where, wishes: Wishes, command: Command = SCAN,
) -> Launch:  # fmt: skip
    """A RayJob for a study by an overlay; raises BadInput. Renders, and asks the cluster nothing."""
    source = folder or Path(str(importlib.resources.files("k8s")))
    overlay = PLAIN if overlay is None else overlay
    objects = manifests.read(source, overlay)
    text, study, files = _study(name, settings)
    named = files.named(study)
    store_uri = where.place(checks.store, lambda: _said("--store", objects))
    uri = checks.tracking(_said("--tracking", objects) if where.tracking is None else where.tracking)
    job = identity.job_name(named, overlay, command)
    manifests.fill(objects, job, Path(name).stem, store_uri, uri, wishes, command)
    mounts.mount(objects, text, files, store_uri, command)
    _fit_to_gpus(study, objects, overlay)
    rendered, namespace = manifests.dump(objects), kubectl.Namespace(objects.job["metadata"]["namespace"])

    entrypoint, connect = objects.job["spec"]["entrypoint"], partial(rayjob.RayJob, namespace, job)
    warnings = _about_gpus(study, objects)
    if mounts.by_store(text, files):
        connect = partial(connect, send=partial(fetch.send, files.digests, store_uri))
        warnings += (f"{files.size_bytes:,} bytes of files go by {store_uri}/{fetch.INPUTS}",)
    return Launch(job, store_uri, entrypoint, rendered, lambda: rendered, connect, warnings)


def on_ray(
    name: str, settings: tuple[str, ...], address: str, where: Where, wishes: Wishes, manifests_given: object,
    command: Command = SCAN,
) -> Launch:  # fmt: skip
    """A job for a Ray cluster that is there; raises BadInput. Here a store and MLflow may be local, as it may be."""
    if wishes != Wishes() or manifests_given:
        raise BadInput("--jobs takes a cluster as it is: no --overlay, --manifests, --image, --gpu-image, --workers, "
                       "--gpus, --queue, --namespace, --deadline or --priority with it")  # fmt: skip
    address, here = checks.job_server(address), checks.is_local(urlsplit(address).hostname)
    text, study, files = _study(name, settings)
    submission.check(files)
    named = files.named(study)
    store_uri = where.place(partial(checks.plain, "--store") if here else checks.store, lambda: _unknown("--store"))
    tracking = _unknown("--tracking") if where.tracking is None else where.tracking
    uri = checks.plain("--tracking", tracking) if here else checks.tracking(tracking)
    job = identity.job_name(named, SERVED, command)
    entrypoint = " ".join(command.on_ray(fetch.STUDY, store_uri, uri, fetch.EVENTS))

    def manifest() -> str:
        raise BadInput("--dry-run prints manifests; a job server takes none")

    def connect(say: Callable[[str], None]) -> submission.Submission:
        from engine.cluster.jobs import JobServer  # Ray takes a second to import

        return submission.Submission(JobServer(address), job, say, files, command)

    return Launch(job, store_uri, entrypoint, text, manifest, connect)


def on_slurm(
    name: str, settings: tuple[str, ...], where: Where, asked: Allocation, wishes: Wishes, others: object,
    command: Command = SCAN,
) -> Launch:  # fmt: skip
    """A batch job for a study; raises BadInput. Asks Slurm nothing. Nodes share this one's files, so that a study may
    name some, and the store may be a folder."""
    if wishes != Wishes(gpus=wishes.gpus) or others:
        raise BadInput("--slurm goes without --overlay, --manifests, --jobs, --image, --gpu-image, --workers, --queue "
                       "and --namespace; see --nodes, --cpus, --time, --array, --container and --sbatch")  # fmt: skip
    asked = replace(asked, gpus=wishes.gpus)
    asked.check()
    asked.form(command)
    text, study = _text(name, settings)
    store_uri = where.place(_store_of_nodes, lambda: str(Path("recoilscan-store").absolute()))
    uri = where.tracking and checks.plain("--tracking", where.tracking)
    folder = f"{store_uri}/slurm" if store_uri.startswith("/") else str(Path.cwd())
    checks.plain("the folder of the log", folder)
    job = identity.job_name(study, SLURM, command)
    script = Script(job, Path(name).stem, text, command, store_uri, uri, folder, asked)
    rendered, needed = script.render(), _gpus(study)
    if asked.array and study.training.workers > 1:
        raise BadInput(f"[training] workers = {study.training.workers} are of one fit, which an array has none for")
    if command.computes and needed > (asked.gpus or 0):
        raise BadInput(f"the study asks for {needed} GPUs at once, the job would have {asked.gpus or 0}: see --gpus")
    return Launch(job, store_uri, "", rendered, lambda: rendered, partial(SlurmJob, script))


def _store_of_nodes(uri: str) -> str:
    """A store that every node reaches, as a folder of a shared file system or a bucket; raises BadInput."""
    if not is_local(checked(uri)):
        return checks.store(uri)
    return checks.plain("--store", str(Path(uri).absolute()))


def _study(name: str, settings: tuple[str, ...]) -> tuple[str, Study, carried.Files]:
    """The study as another machine will read it, its overrides in it; parsed; and its files. Raises BadInput."""
    text, study = _text(name, settings)
    return text, study, carried.of(studies.read(name, settings), study)


def _text(name: str, settings: tuple[str, ...]) -> tuple[str, Study]:
    study = studies.load(name, settings)
    return tomlkit.dumps(studies.document(name, settings)) if settings else studies.text(name), study


def _said(option: str, objects: Manifests) -> str:
    value = objects.word(option)
    if value is None:
        raise BadInput(f"{option} is neither given nor said by the overlay")
    return value


def _unknown(option: str) -> str:
    raise BadInput(f"--jobs needs {option}: the cluster's own is not known")


def _fit_to_gpus(study: Study, objects: Manifests, overlay: str) -> None:
    """Raises BadInput for work that would wait for GPUs for ever, and for GPUs that would wait for work."""
    needed, there = _gpus(study), objects.gpus()
    if there < needed and there:
        raise BadInput(f"the study asks for {needed} GPUs at once, the job would have {there}: see --gpus")
    if there and not needed:
        raise BadInput(f"--overlay {overlay} asks for {there} GPUs and [training] uses none: take an overlay without, "
                       "or set training.gpus_per_worker=1: as many fits as GPUs run side by side; and where its CPUs "
                       "simulate, score.gpus_per_task=0.25 has four of them score on one")  # fmt: skip


def _about_gpus(study: Study, objects: Manifests) -> tuple[str, ...]:
    """What does not quite fit between a study's fits and an overlay's nodes."""
    needed, there = _gpus(study), objects.gpus()
    if there < needed:
        return (f"the study asks for {needed} GPUs and this overlay has none: the job will end where it needs one",)
    several = study.training.gpus_per_worker and there > needed
    return (f"{there} GPUs, of which each fit uses {needed}: fits run side by side",) if several else ()


def _gpus(study: Study) -> int:
    """Whole GPUs that one fit needs, or a task that scores."""
    return max(study.training.workers * math.ceil(study.training.gpus_per_worker), math.ceil(study.score.gpus_per_task))
