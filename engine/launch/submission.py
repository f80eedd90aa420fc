"""The life of a study's job on a Ray cluster that is there: submitted, followed, stopped, by a name of its own."""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.cluster.jobs import JobServer, SubmittedJob
from engine.errors import BadInput, TaskFailed
from engine.launch.carried import Files
from engine.launch.command import Command
from engine.launch.fetch import EVENTS, STUDY
from engine.launch.identity import SCAN
from engine.launch.state import FINISHED, State, of_submission

POLL_S = 2.0
PATIENCE_S = 60.0  # of a job server that does not answer: its head may be busy
MOST_BYTES = 500 * 10**6  # of a job's folder: Ray hands on 512 MiB at most


def check(files: Files) -> None:
    """Raises BadInput for files that are too large to travel with a job."""
    if files.size_bytes > MOST_BYTES:
        raise BadInput(f"the study's files have {files.size_bytes:,} bytes, and at most {MOST_BYTES:,} travel with a "
                       "job: put the largest where every node has it, and name it by its path there")  # fmt: skip


@dataclass(frozen=True)
class Submission:
    """A submitted job by name; `say` takes lines for the user, the driver's log goes to standard output."""

    server: JobServer
    name: str
    say: Callable[[str], None]
    files: Files
    command: Command = SCAN

    def state(self) -> State | None:
        """How it stands, or None where there is none; raises TaskFailed where the server does not answer."""
        job = self.server.find(self.name)
        return _state(job) if job else None

    def start(self, text: str, entrypoint: str) -> None:
        """Sees to it that the job runs or has finished; `text` is the study, which travels with its files."""
        job = self.server.find(self.name)
        if job and (job.live or _state(job).exit_code == FINISHED):
            if job.entrypoint != entrypoint:
                raise BadInput(f"job {self.name} is there with another store or tracking ({job.entrypoint}); "
                               "--stop ends it")  # fmt: skip
            self.say(f"job {self.name} runs already: following it" if job.live else f"job {self.name} has finished")
            return
        if job:
            self.say(f"job {self.name} ended with {job.status}: replaced by one that goes on from the store")
            self.server.forget(self.name)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / STUDY).write_text(text)
            for word in self.files.digests:
                (place := Path(folder) / word).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(word, place)
            if self.command.data:
                (Path(folder) / EVENTS).write_text(self.command.text(MOST_BYTES))
            self.server.submit(self.name, entrypoint, Path(folder))
        self.say(f"job {self.name} submitted")

    def logs(self) -> str:
        """What the driver has said so far; raises BadInput where there is no job."""
        if self.server.find(self.name) is None:
            raise BadInput(f"no job {self.name}: no log")
        return self.server.log(self.name)

    def stop(self) -> bool:
        """Ends the job and frees its name; returns whether there was one. What was finished is in the store."""
        job = self.server.find(self.name)
        if job is None:
            return False
        if job.live:
            self.server.stop(self.name)
        self.server.forget(self.name)
        return True

    def follow(self) -> int:
        """Says every change of state and hands the log on until the job ends; returns what it ended with."""
        status, shown = "", 0
        while True:
            job = self._patient(self.server.find)
            if job is None:
                raise TaskFailed(f"job {self.name} was deleted")
            state, log = _state(job), self._patient(self.server.log)
            if state.words != status:
                status = state.words
                self.say(f"job {self.name}: {status}")
            sys.stdout.write(log[shown:])
            sys.stdout.flush()
            shown = len(log)
            if state.ended:
                return state.exit_code
            time.sleep(POLL_S)

    def _patient(self, ask: Callable):
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                return ask(self.name)
            except TaskFailed:
                if time.monotonic() > end:
                    raise
                time.sleep(POLL_S)


def _state(job: SubmittedJob) -> State:
    return of_submission(job.status, job.exit_code, job.message)
