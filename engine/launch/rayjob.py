"""The life of a study's RayJob: created where there is none, followed while it runs, replaced when it failed."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import BadInput, TaskFailed
from engine.launch.kubectl import TO_RUN, TO_STOP, Namespace
from engine.launch.state import FINISHED, State, of_rayjob

POLL_S = 2.0
PATIENCE_S = 300.0  # of an API server that does not answer: it may be upgraded
LAST_WORDS_S = 20.0  # between the end of a job and that of its log


@dataclass(frozen=True)
class RayJob:
    """A RayJob by name; `say` takes lines for the user, the driver's log goes to standard output. `send` puts where the
    pods find it what of the study is too large for the cluster's own objects."""

    namespace: Namespace
    name: str
    say: Callable[[str], None]
    send: Callable[[], None] = lambda: None

    def state(self) -> State | None:
        """How it stands, or None where there is none; raises TaskFailed where the cluster does not answer."""
        resource = self.namespace.find(self.name)
        return of_rayjob(resource) if resource else None

    def start(self, text: str, entrypoint: str) -> None:
        """Sees to it that the job runs or has finished; raises BadInput where it runs for another store or tracking."""
        self.namespace.check_rights(TO_RUN)
        resource = self.namespace.find(self.name)
        state = of_rayjob(resource) if resource else None
        if state and not (state.ended and state.exit_code != FINISHED):
            if (other := resource["spec"]["entrypoint"]) != entrypoint:
                raise BadInput(f"job {self.name} is there with another store or tracking ({other}); --stop ends it")
            self.say(f"job {self.name} has finished" if state.ended else f"job {self.name} runs already: following it")
            return
        if state:
            self.say(f"job {self.name} ended with {state.words}: replaced by one that goes on from the store")
            self.namespace.delete(self.name)
        self.send()
        self.namespace.apply(text)
        self.say(f"job {self.name} created")

    def logs(self) -> str:
        """What the driver has said so far; raises BadInput where there is no job."""
        if self.state() is None:
            raise BadInput(f"no job {self.name}: no log")
        return self.namespace.log(self.name)

    def stop(self) -> bool:
        """Removes the job and its cluster; returns whether there was one. What was finished is in the store."""
        self.namespace.check_rights(TO_STOP)
        exists = self.state() is not None
        self.namespace.delete(self.name)
        return exists

    def follow(self) -> int:
        """Says every change of state and hands the log on until the job ends; returns what it ended with.

        Raises TaskFailed where the job is deleted meanwhile, or where the cluster does not answer for long.
        """
        log, status = _Log(self.namespace, self.name), ""
        try:
            while True:
                state = self._patient_state()
                if state.words != status:
                    status = state.words
                    self.say(f"job {self.name}: {status}")
                if state.ended:
                    log.finish(state.attempt)
                    return state.exit_code
                if state.runs:
                    log.follow(state.attempt)
                time.sleep(POLL_S)
        finally:
            log.close()

    def _patient_state(self) -> State:
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                state = self.state()
            except TaskFailed as error:
                if time.monotonic() > end:
                    raise TaskFailed(f"{error}; the job itself goes on") from error
                time.sleep(POLL_S)
                continue
            if state is None:
                raise TaskFailed(f"job {self.name} was deleted")
            return state


class _Log:
    """The log of one attempt after the other: asked for again until it comes, and never twice."""

    def __init__(self, namespace: Namespace, name: str):
        self._namespace, self._name = namespace, name
        self._process: subprocess.Popen | None = None
        self._attempt, self._whole = "", False

    def follow(self, attempt: str) -> None:
        """Starts where this attempt's log is not on its way."""
        if attempt != self._attempt:
            self.close()
            self._attempt, self._whole = attempt, False
        if self._process is not None and self._process.poll() is not None:
            self._whole, self._process = self._process.returncode == 0, None
        if self._process is None and not self._whole:
            self._process = self._namespace.logs(self._name, follow=True)

    def finish(self, attempt: str) -> None:
        """The rest of the log; all of it where the job was too short for it to be followed."""
        if attempt != self._attempt or (self._process is None and not self._whole):
            self.follow(attempt)
        if self._process is not None:
            try:
                self._process.wait(LAST_WORDS_S)
            except subprocess.TimeoutExpired:
                self.close()

    def close(self) -> None:
        """Ends the program that reads; the job knows nothing of it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None
