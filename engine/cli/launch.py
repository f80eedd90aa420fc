"""`recoilscan launch`: a study on a cluster, begun, followed, asked after or stopped, always by the same identity."""

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import NoCode, Preset, Setting
from engine.errors import BadInput, Interrupted, TaskFailed, shown
from engine.launch.batch import MOST_ELEMENTS, MOST_NODES, Allocation
from engine.launch.command import Command
from engine.launch.manifests import Wishes
from engine.launch.state import FAILED, FINISHED, State
from engine.urls import hidden

ACTIONS = ("--dry-run", "--status", "--logs", "--stop")
MEANING = {FINISHED: "finished", FAILED: "failed", 2: "bad input", 3: "partial: launch again to resume"}

Overlay = Annotated[
    str | None, typer.Option("--overlay", help="Of the manifests: plain (the default), kind, gpu, ... or your own.")
]
Folder = Annotated[Path | None, typer.Option("--manifests", help="A folder of overlays; by default the shipped one.")]
Jobs = Annotated[
    str | None, typer.Option("--jobs", help="Job server of a Ray cluster that is there: http://host:8265.")
]
StoreUri = Annotated[str | None, typer.Option("--store", help="s3://bucket/prefix, which studies may share.")]
Tracking = Annotated[str | None, typer.Option("--tracking", help="MLflow's address, without a password.")]
Image = Annotated[str | None, typer.Option("--image", help="REPO:TAG or REPO@sha256:...; never latest.")]
GpuImage = Annotated[str | None, typer.Option("--gpu-image", help="Of nodes with GPUs; by default REPO-cuda:TAG.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Pods of the group cpu.")]
Gpus = Annotated[int | None, typer.Option("--gpus", min=1, help="GPUs of all nodes together.")]
Queue = Annotated[str | None, typer.Option("--queue", help="A LocalQueue of Kueue.")]
Namespace = Annotated[str | None, typer.Option("--namespace", help="By default the overlay's.")]
Deadline = Annotated[str | None, typer.Option("--deadline", help="End the job after so long: 90m, 6h, 2d.")]
Priority = Annotated[str | None, typer.Option("--priority", help="A PriorityClass, or in a queue one of Kueue's.")]
Slurm = Annotated[bool, typer.Option("--slurm", help="As a batch job of Slurm's, from a login node.")]
Nodes = Annotated[
    int | None, typer.Option("--nodes", min=1, max=MOST_NODES, help="Of Slurm: whole ones, if more than one; 1.")
]
Cpus = Annotated[int | None, typer.Option("--cpus", min=1, help="Of each of Slurm's nodes; by default as it gives.")]
Time = Annotated[str | None, typer.Option("--time", help="Until Slurm cuts the job and it queues again: 12:00:00.")]
Array = Annotated[
    int | None, typer.Option("--array", min=1, max=MOST_ELEMENTS, help="Elements of one CPU each, and no Ray.")
]
Container = Annotated[Path | None, typer.Option("--container", help="An Apptainer image with recoilscan in it.")]
Sbatch = Annotated[list[str] | None, typer.Option("--sbatch", help="Another option of sbatch: partition=long.")]
Tune = Annotated[bool, typer.Option("--tune", help="Tune it, instead of a scan.")]
Observe = Annotated[Path | None, typer.Option("--observe", help="Put this list of events to its finished scan.")]
Unblind = Annotated[bool, typer.Option("--unblind", help="With --observe: look into the signal region.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be submitted, and create nothing.")]
Status = Annotated[bool, typer.Option("--status", help="How the job stands; changes nothing.")]
Logs = Annotated[bool, typer.Option("--logs", help="What the job has said so far; changes nothing.")]
Stop = Annotated[bool, typer.Option("--stop", help="End the job; what was finished stays in the store.")]


def launch(
    study: Annotated[str, typer.Argument(help="A TOML file, or the name of a shipped study (scans list).")],
    overlay: Overlay = None,
    manifests: Folder = None,
    jobs: Jobs = None,
    store: StoreUri = None,
    tracking: Tracking = None,
    image: Image = None,
    gpu_image: GpuImage = None,
    workers: Workers = None,
    gpus: Gpus = None,
    queue: Queue = None,
    namespace: Namespace = None,
    deadline: Deadline = None,
    priority: Priority = None,
    slurm: Slurm = False,
    nodes: Nodes = None,
    cpus: Cpus = None,
    time: Time = None,
    array: Array = None,
    container: Container = None,
    sbatch: Sbatch = None,
    tune: Tune = False,
    observe: Observe = None,
    unblind: Unblind = False,
    settings: Setting = None,
    preset: Preset = None,
    dry_run: DryRun = False,
    status: Status = False,
    logs: Logs = False,
    stop: Stop = False,
    no_code: NoCode = False,
) -> None:
    """Runs a study on Kubernetes (--overlay), a Ray cluster (--jobs) or Slurm (--slurm); again to follow or to resume.

    Ctrl-C leaves the job running; of Slurm nothing is waited for. Exit codes: 0 finished, 3 partial, 1 failed, 2 bad
    input.
    """
    asked = [name for name, given in zip(ACTIONS, (dry_run, status, logs, stop), strict=True) if given]
    if len(asked) > 1:
        raise BadInput(f"{', '.join(ACTIONS)} are {len(ACTIONS)} different things: give one")
    if manifests is not None and not os.path.isdir(manifests):
        raise BadInput(f"--manifests: there is no folder {shown(str(manifests), 200)}")
    allocation = Allocation(nodes, cpus, None, time, array, container, tuple(sbatch or ()))
    if allocation != Allocation() and not slurm:
        raise BadInput("--nodes, --cpus, --time, --array, --container and --sbatch go with --slurm")
    launch_plan = _plan(
        (study, tuple(settings or ())), (store, tracking), Command.of(tune, observe, unblind),
        Wishes(image, gpu_image, workers, gpus, queue, namespace, deadline, priority),
        allocation if slurm else None, overlay, manifests, jobs,
    )  # fmt: skip
    for warning in launch_plan.warnings:
        _say(f"warning: {warning}")
    _act(launch_plan, study, *asked)


def _plan(
    named: tuple[str, tuple[str, ...]], where: tuple[str | None, str | None], command: Command, wishes: Wishes,
    allocation: Allocation | None, overlay: str | None, manifests: Path | None, jobs: str | None,
):  # fmt: skip
    from engine.launch import plan  # studies take seconds to import: only commands that use them pay

    where = plan.Where(*where)
    if allocation is not None:
        return plan.on_slurm(*named, where, allocation, wishes, overlay or manifests or jobs, command)
    if jobs is None:
        return plan.on_kubernetes(*named, overlay, manifests, where, wishes, command)
    return plan.on_ray(*named, jobs, where, wishes, overlay or manifests, command)


def _act(launch_plan, study: str, action: str | None = None) -> None:
    """Does one of ACTIONS; by default starts the job and follows it."""
    if action == "--dry-run":
        sys.stdout.write(launch_plan.manifest())
        return
    job = launch_plan.connect(_say)
    if action == "--status":
        raise typer.Exit(_report(job.state(), launch_plan))
    if action == "--logs":
        sys.stdout.write(job.logs())
        return
    if action == "--stop":
        print(f"job {launch_plan.name} stopped" if job.stop() else f"no job {launch_plan.name}: nothing to stop")
        return
    code = _attended(lambda: _run(job, launch_plan))
    print(f"store: {launch_plan.store}")
    if code is None:
        return print(f"next: {_again()} --status, --logs or --stop")
    print(f"{MEANING[code]}; look: recoilscan status {study} --store {launch_plan.store}")
    raise typer.Exit(code)


def _run(job, launch_plan) -> int | None:
    """What the job ended with; None where nobody waits for it."""
    job.start(launch_plan.text, launch_plan.entrypoint)
    return job.follow()


def _report(state: State | None, launch_plan) -> int:
    if state is None:
        raise BadInput(f"no job {launch_plan.name}; start it by the same command without --status")
    print(f"job: {launch_plan.name}\nstate: {state.words}\nstore: {launch_plan.store}")
    return state.exit_code if state.ended else FINISHED


def _again() -> str:
    return shlex.join(["recoilscan", *map(hidden, sys.argv[1:])])


def _attended(work: Callable[[], int | None]) -> int | None:
    """Ctrl-C, or the loss of the cluster's answers, ends the watching and not the job."""
    again = _again()
    try:
        return work()
    except KeyboardInterrupt:
        raise Interrupted(f"a job that was created goes on. Follow: {again}   Stop: {again} --stop") from None
    except TaskFailed as error:
        raise TaskFailed(f"{error}. Follow: {again}   Stop: {again} --stop") from error


def _say(line: str) -> None:
    """What is said about the job is no part of its log, nor of a manifest."""
    print(hidden(line), file=sys.stderr, flush=True)
