"""Jobs of a Ray cluster that is there already, by way of its job server: found by their names, never begun twice."""

import time
from dataclasses import dataclass
from pathlib import Path

from ray.exceptions import RayError

from engine.errors import BadInput, TaskFailed

PATIENCE_S = 120.0  # a head that has just started answers before its agent can take jobs
STOP_S = 60.0
POLL_S = 2.0
LIVE = ("PENDING", "RUNNING")


@dataclass(frozen=True)
class SubmittedJob:
    """A submitted job as its server knows it; no exit code while it runs, or where its driver was killed."""

    status: str
    exit_code: int | None
    message: str
    entrypoint: str

    @property
    def live(self) -> bool:
        """Whether it waits or runs."""
        return self.status in LIVE


class JobServer:
    """The job server at `http://host:8265`; raises BadInput where none answers. A token comes from RAY_AUTH_TOKEN."""

    def __init__(self, address: str):
        try:
            from ray.job_submission import JobSubmissionClient  # a part of ray[default] alone

            self._client = JobSubmissionClient(address)
        except ImportError as error:
            raise BadInput(f"jobs need ray[default]: pip install 'recoilscan[cluster]' ({error})") from error
        except (RayError, RuntimeError, OSError) as error:  # a wrong token is a RayError
            raise BadInput(f"no job server answers at {address!r}: {_first_line(error)}") from error

    def find(self, name: str) -> SubmittedJob | None:
        """The job of this name, or None; raises TaskFailed where the server does not answer."""
        jobs = [job for job in self._ask(self._client.list_jobs) if job.submission_id == name]
        if not jobs:
            return None
        (job,) = jobs
        return SubmittedJob(job.status.value, job.driver_exit_code, job.message or "", job.entrypoint)

    def submit(self, name: str, entrypoint: str, folder: Path) -> None:
        """Starts a job in a copy of a folder; raises TaskFailed where the server takes none within PATIENCE_S."""
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._client.submit_job(
                    entrypoint=entrypoint, submission_id=name, runtime_env={"working_dir": str(folder)}
                )
                return
            except (RuntimeError, OSError) as error:
                if "No available agent" not in str(error) or time.monotonic() > end:
                    raise TaskFailed(f"the job server refused: {_first_line(error)}") from error
                time.sleep(POLL_S)

    def log(self, name: str) -> str:
        """All that the driver has said so far."""
        return self._ask(self._client.get_job_logs, name)

    def stop(self, name: str) -> None:
        """Ends a job's driver, and waits until it has ended; raises TaskFailed where it does not."""
        self._ask(self._client.stop_job, name)
        end = time.monotonic() + STOP_S
        while (job := self.find(name)) is not None and job.live:
            if time.monotonic() > end:
                raise TaskFailed(f"job {name} did not stop within {STOP_S:g} s")
            time.sleep(POLL_S)

    def forget(self, name: str) -> None:
        """Frees the name of a job that has ended; its supervisor may have a last word, which is forgotten too."""
        end = time.monotonic() + STOP_S
        while self.find(name) is not None:
            if time.monotonic() > end:
                raise TaskFailed(f"the job server does not forget job {name}")
            self._ask(self._client.delete_job, name)
            time.sleep(POLL_S)

    def _ask(self, call, *arguments: str):
        try:
            return call(*arguments)
        except (RayError, RuntimeError, OSError) as error:  # what requests raises is an OSError
            raise TaskFailed(f"the job server does not answer: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
