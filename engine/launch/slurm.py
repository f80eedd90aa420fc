"""The life of a study's batch job: submitted, asked after, stopped, by a name of its own; nobody has to wait for it."""

import getpass
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.errors import BadInput, TaskFailed, one_line
from engine.launch.batch import Script
from engine.launch.state import FAILED, FINISHED, State, meaning

ANSWER_S = 120.0
LIVE = ("PENDING", "RUNNING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "CONFIGURING", "COMPLETING", "SUSPENDED",
        "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT", "SPECIAL_EXIT", "PREEMPTED")  # fmt: skip
SAYS = re.compile(r"^recoilscan: job ([\d_]+) (begins|requeued|ended with exit code (\d+))", re.MULTILINE)
TAIL = 4096  # bytes of a log that hold its last word


@dataclass(frozen=True)
class Element:
    """A job, or an element of an array: its number, what Slurm or its log says of it, its exit code if it has ended."""

    number: str
    words: str
    exit_code: int | None = None
    runs: bool = False


@dataclass(frozen=True)
class SlurmJob:
    """A batch job by name; `say` takes lines for the user."""

    script: Script
    say: Callable[[str], None]

    @property
    def name(self) -> str:
        """The job's name in the queue."""
        return self.script.name

    def state(self) -> State | None:
        """How it stands: by the queue, by the accounts where there are any, else by what its log said last."""
        elements = self._queued() or self._accounted() or self._logged()
        if not elements:
            return None
        words = "; ".join(f"{one.number} {one.words}" for one in elements[:8])
        words += f"; and {len(elements) - 8} more" if len(elements) > 8 else ""
        if any(one.exit_code is None for one in elements):
            return State(words, elements[0].number, runs=any(one.runs for one in elements))
        return State(words, elements[0].number, exit_code=max(one.exit_code for one in elements))

    def start(self, text: str, entrypoint: str) -> None:
        """Writes the script and submits it, unless the job is there; raises BadInput where Slurm takes it not."""
        queued = [one for one in self._queued() if one.exit_code is None]
        if queued:
            self.say(f"job {self.name} is there already: {queued[0].number} {queued[0].words}")
            return
        path = Path(self.script.folder) / f"{self.name}.sh"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise BadInput(f"cannot write the batch script {str(path)!r}: {error.strerror}") from error
        done = _asked("sbatch", "--parsable", str(path))
        if done.returncode:
            raise BadInput(f"sbatch takes it not: {_why(done)}; the script is {path}")
        self.say(f"job {self.name} submitted: {done.stdout.strip().partition(';')[0]}; script: {path}")

    def stop(self) -> bool:
        """Ends the job, waiting or running; returns whether there was one. What was finished is in the store."""
        if not any(one.exit_code is None for one in self._queued()):
            return False
        done = _asked("scancel", f"--name={self.name}", f"--user={getpass.getuser()}")
        if done.returncode:
            raise TaskFailed(f"scancel: {_why(done)}")
        return True

    def follow(self) -> None:
        """Nothing: it may wait for days."""

    def logs(self) -> str:
        """What the job has said so far, of an array element by element; raises BadInput where it has not begun."""
        paths = self._log_paths()
        if not paths:
            raise BadInput(f"no log of job {self.name} yet in {self.script.folder}")
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in paths]
        if len(paths) == 1:
            return texts[0]
        return "".join(f"==> {path.name} <==\n{text}" for path, text in zip(paths, texts, strict=True))

    def _queued(self) -> list[Element]:
        """As squeue knows it: what waits and runs, and for some minutes what has ended."""
        done = _asked("squeue", "--me", "--noheader", "--states=all", f"--name={self.name}", "--array",
                      "--Format=JobArrayID:|,State:|,Reason:|,exit_code:|")  # fmt: skip
        if done.returncode:
            raise TaskFailed(f"squeue: {_why(done)}")
        rows = [line.split("|")[:4] for line in done.stdout.splitlines() if line.count("|") >= 4]
        return _newest([_element(*(text.strip() for text in row)) for row in rows])

    def _accounted(self) -> list[Element]:
        """As the accounts know it; nothing where a site keeps none."""
        if shutil.which("sacct") is None:
            return []
        done = _asked("sacct", "--allocations", "--noheader", "--parsable2", f"--name={self.name}",
                      "--starttime=now-30days", "--format=JobID,State,ExitCode")  # fmt: skip
        rows = [line.split("|") for line in done.stdout.splitlines() if line.count("|") == 2]
        return _newest([_element(number, state.split()[0], "None", code.partition(":")[0])
                        for number, state, code in rows])  # fmt: skip

    def _logged(self) -> list[Element]:
        """As its logs say at their ends, whatever Slurm has forgotten."""
        return _newest([found for path in self._log_paths() if (found := _last_word(path))])

    def _log_paths(self) -> list[Path]:
        found = Path(self.script.folder).glob(f"{self.name}*.log")
        return sorted(found, key=lambda path: (len(path.name), path.name))


def _element(number: str, state: str, reason: str, code: str) -> Element:
    words = f"{state} ({reason})" if reason not in ("None", "") else state
    if state in LIVE:
        return Element(number, words, runs=state == "RUNNING")
    if state == "COMPLETED":
        return Element(number, words, FINISHED)
    return Element(number, words, meaning(int(code) if state == "FAILED" and code.isdigit() else None))


def _newest(elements: list[Element]) -> list[Element]:
    """Those of the last submission."""
    last = max((int(one.number.partition("_")[0]) for one in elements), default=0)
    return [one for one in elements if int(one.number.partition("_")[0]) == last]


def _last_word(path: Path) -> Element | None:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - TAIL, 0))
        said = list(SAYS.finditer(file.read().decode(errors="replace")))
    if not said:
        return None
    number, word, code = said[-1].groups()
    if code is None:
        return Element(number, f"was cut short: the last line of {path} says {word!r}", FAILED)
    return Element(number, f"ended with exit code {code}", meaning(int(code)) if code != "0" else FINISHED)


def _asked(program: str, *words: str) -> subprocess.CompletedProcess:
    """What one of Slurm's programs says; raises BadInput where there is none, TaskFailed where it does not answer."""
    try:
        return subprocess.run([program, *words], capture_output=True, text=True, timeout=ANSWER_S)
    except FileNotFoundError:
        raise BadInput(f"no {program} on the path: launch --slurm from a login node of the cluster") from None
    except subprocess.TimeoutExpired as error:
        raise TaskFailed(f"{program} gave no answer within {ANSWER_S:g} s") from error


def _why(done: subprocess.CompletedProcess) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return one_line(lines[-1] if lines else f"exit code {done.returncode}", 200)
