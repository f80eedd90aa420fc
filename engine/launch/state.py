"""How a launched job stands, in one form for Kubernetes and for a job server, and what that means for a caller."""

import re
from dataclasses import dataclass

FINISHED, FAILED, BAD_INPUT, PARTIAL = 0, 1, 2, 3
EXIT_CODE = re.compile(r"failed with exit code (\d+)")  # as Ray's job supervisor says it
ENDED = ("Complete", "Failed", "ValidationFailed")


@dataclass(frozen=True)
class State:
    """Words for a reader, the attempt that runs, and the exit code once there is none to come."""

    words: str
    attempt: str = ""
    runs: bool = False
    exit_code: int | None = None

    @property
    def ended(self) -> bool:
        """Whether it has an exit code."""
        return self.exit_code is not None


def of_rayjob(job: dict) -> State:
    """The state of a RayJob as the API server gives it; a retry is a new attempt, and the job goes on."""
    status = job.get("status") or {}
    deployment, ray = status.get("jobDeploymentStatus", ""), status.get("jobStatus", "")
    attempt, reason = status.get("jobId", ""), status.get("reason", "")
    failed = f"failed attempts: {n}" if (n := status.get("failed", 0)) else ""
    words = ", ".join(filter(None, [f"{deployment or 'Waiting'} {ray}".strip(), reason, failed]))
    if deployment not in ENDED:
        return State(words, attempt, runs=deployment == "Running")
    message = status.get("message", "")
    if ray == "SUCCEEDED":
        return State(words, attempt, exit_code=FINISHED)
    return State(f"{words}{_said(message)}", attempt, exit_code=meaning(_code(message)))


def of_submission(status: str, driver_exit_code: int | None, message: str) -> State:
    """The state of a job of a Ray cluster's job server."""
    if status in ("PENDING", "RUNNING"):
        return State(status, runs=status == "RUNNING")
    if status == "SUCCEEDED":
        return State(status, exit_code=FINISHED)
    code = _code(message) if driver_exit_code is None else driver_exit_code
    return State(f"{status}{_said(message)}", exit_code=meaning(code))


def _said(message: str) -> str:
    """The first line of why; what follows are the log's last lines, which were handed on."""
    first = message.strip().partition("\n")[0].partition(", last available logs")[0]
    return f": {first}" if first else ""


def _code(message: str) -> int | None:
    match = EXIT_CODE.search(message)
    return int(match[1]) if match else None


def meaning(driver_exit_code: int | None) -> int:
    """What the driver's own exit code says; whatever else ended it is a failure."""
    return driver_exit_code if driver_exit_code in (BAD_INPUT, PARTIAL) else FAILED
