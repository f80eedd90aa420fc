"""An operator, small but real: of a RayJob it makes a Ray cluster on loopback, submits the entrypoint, and retries.

A service's name is replaced by an address on loopback, as a cluster's DNS would; a volume by a folder.
"""

import os
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cluster_api import Cluster
from cluster_ray import POLL_S, RayCluster, marked
from cluster_volumes import made

TERMINAL = ("SUCCEEDED", "FAILED", "STOPPED")
LEAVE_S = 120  # Ray's agents outlive what started them by 40 s or more


class Operator:
    """Watches RayJobs and brings about what they ask for, one thread each."""

    def __init__(self, cluster: Cluster, services: dict[str, str]):
        self.cluster, self.mark = cluster, secrets.token_hex(8)
        self.running: dict[str, RayCluster] = {}
        self.attempts: dict[str, int] = {}
        self.errors: list[str] = []
        self._services, self._jobs = services, {}
        self._folder = Path(tempfile.mkdtemp(prefix="rs-op-"))
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self.cluster.stopping:
            with self.cluster.changed:
                self.cluster.changed.wait(POLL_S)
                jobs = [thing for key, thing in self.cluster.objects.items() if key[0] == "rayjobs"]
            for job in jobs:
                uid = job["metadata"]["uid"]
                if uid not in self._jobs:
                    self._jobs[uid] = threading.Thread(target=self._run, args=(job,), daemon=True)
                    self._jobs[uid].start()

    def _run(self, job: dict) -> None:
        try:
            self._attempts(job)
        except Exception as error:  # a thread's error is the test's to report
            self.errors.append(f"{type(error).__name__}: {error}")
            self._set(job, jobDeploymentStatus="Failed", message=str(error))
        self._wait_until_deleted(job)

    def _attempts(self, job: dict) -> None:
        for failed in range(job["spec"]["backoffLimit"] + 1):
            name = f"{job['metadata']['name']}-{failed}"
            self.attempts[job["metadata"]["name"]] = failed + 1
            self._set(job, jobDeploymentStatus="Initializing", jobId=name, failed=failed)
            status, message = self._attempt(job, name)
            if status == "SUCCEEDED":
                return self._set(job, jobDeploymentStatus="Complete", jobStatus=status, message=message)
            if self._deleted(job):
                return None
            self._set(job, jobDeploymentStatus="Retrying", jobStatus=status, message=message, failed=failed + 1)
        return self._set(job, jobDeploymentStatus="Failed", jobStatus=status, message=message, reason="AppFailed")

    def _attempt(self, job: dict, name: str) -> tuple[str, str]:
        metadata, log = job["metadata"], self._folder / f"{name}.log"
        resolve = self._resolver(metadata["namespace"])

        def held(name: str) -> dict:
            return self.cluster.get("configmaps", metadata["namespace"], name) or {}

        def mount(pod: dict, folder: Path) -> dict[str, Path]:
            return made(pod, held, resolve, folder)

        cluster = RayCluster(job["spec"]["rayClusterSpec"], resolve, self.mark, mount)
        try:
            cluster.start()
            cluster.submit(name, self._entrypoint(job, cluster))
            self.running[metadata["name"]] = cluster
            log.touch()
            self._submitter(job, name, log, "Running")
            self._set(job, jobDeploymentStatus="Running", jobStatus="RUNNING")
            status, message = self._until_it_ends(job, cluster, name, log)
            self._submitter(job, name, log, "Succeeded" if status == "SUCCEEDED" else "Failed")
            return status, message
        finally:
            self.running.pop(metadata["name"], None)
            cluster.stop()

    def _until_it_ends(self, job: dict, cluster: RayCluster, name: str, log: Path) -> tuple[str, str]:
        while True:
            if self._deleted(job):
                return "STOPPED", "deleted"
            if not cluster.head_lives:
                return "FAILED", "the head is gone"
            try:
                found, said = cluster.ask(f"/api/jobs/{name}"), cluster.ask(f"/api/jobs/{name}/logs")["logs"]
            except OSError:
                time.sleep(POLL_S)
                continue
            with log.open("ab") as file:
                file.write(said.encode()[log.stat().st_size :])
            if found["status"] in TERMINAL:
                return found["status"], found["message"]
            time.sleep(POLL_S)

    def _submitter(self, job: dict, name: str, log: Path, phase: str) -> None:
        """The Job by the RayJob's name, and its pod, whose log is the driver's."""
        place = {"namespace": job["metadata"]["namespace"]}
        labels = {"job-name": name}
        self.cluster.logs[name] = log
        pod = {"containers": [{"name": "ray-job-submitter"}]}
        metadata, status = place | {"name": name, "labels": labels}, {"phase": phase}
        thing = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod, "status": status}
        self.cluster.put("pods", thing)
        metadata = place | {"name": job["metadata"]["name"]}
        spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
        self.cluster.put("jobs", {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})

    def _entrypoint(self, job: dict, cluster: RayCluster) -> str:
        """The command, with the head's volumes and the services' names where they are on this machine."""
        program, scan, study, *words = job["spec"]["entrypoint"].split()
        folder = cluster.mounts[0][str(Path(study).parent)]
        command = " ".join([program, scan, str(folder / Path(study).name), *words])
        for service, address in self._services.items():
            command = command.replace(service, address)
        return command

    def _resolver(self, namespace: str) -> Callable[[dict], dict[str, str]]:
        """What a container's env and envFrom mean: literals, ConfigMaps, and secrets."""

        def held(plural: str, name: str) -> dict[str, str]:
            thing = self.cluster.get(plural, namespace, name)
            return thing["data"] if thing else {}

        def resolve(container: dict) -> dict[str, str]:
            found = {}
            for source in container.get("envFrom", []):
                plural = "configmaps" if "configMapRef" in source else "secrets"
                found |= held(plural, source.get("configMapRef", source.get("secretRef"))["name"])
            for each in container.get("env", []):
                if "value" in each:
                    found[each["name"]] = each["value"]
                elif (ref := each["valueFrom"]["secretKeyRef"])["key"] in held("secrets", ref["name"]):
                    found[each["name"]] = held("secrets", ref["name"])[ref["key"]]
            return found

        return resolve

    def _set(self, job: dict, **status: object) -> None:
        self.cluster.set_status("rayjobs", job["metadata"]["namespace"], job["metadata"]["name"], **status)

    def _deleted(self, job: dict) -> bool:
        metadata = job["metadata"]
        now = self.cluster.get("rayjobs", metadata["namespace"], metadata["name"])
        return self.cluster.stopping or now is None or "deletionTimestamp" in now["metadata"]

    def _wait_until_deleted(self, job: dict) -> None:
        while not self._deleted(job):
            time.sleep(POLL_S)
        self.cluster.remove("rayjobs", job["metadata"]["namespace"], job["metadata"]["name"])

    def close(self) -> list[int]:
        """Ends what it started; returns the processes that did not end by themselves, after it has ended them too."""
        self.cluster.stopping = True
        self._thread.join()
        for thread in self._jobs.values():
            thread.join()
        end = time.monotonic() + LEAVE_S
        while (left := marked(self.mark)) and time.monotonic() < end:
            time.sleep(POLL_S)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)
        return left
