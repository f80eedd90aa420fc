"""A study as one batch script of Slurm's: what is asked of Slurm, checked, before the text that is always the same."""

import importlib.resources
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from engine.errors import BadInput, shown
from engine.launch.command import Command

LEAD_S = 120  # before the wall time, when a job is told of it; Slurm may tell it a minute sooner
SHORTEST_S = 180
MOST_NODES, MOST_ELEMENTS = 10_000, 1000
TIME = re.compile(r"(?:(?P<d>\d+)-(?P<dh>\d+)(?::(?P<dm>\d+)(?::(?P<ds>\d+))?)?"
                  r"|(?:(?P<h>\d+):(?=\d+:))?(?P<m>\d+)(?::(?P<s>\d+))?)")  # fmt: skip
LINE = re.compile(r"(?P<key>[a-z][a-z0-9-]*)(=[!-~]*)?")  # what a line of #SBATCH takes without quotes
OURS = {"array": "--array", "cpus-per-task": "--cpus", "exclusive": "--nodes", "gpus-per-node": "--gpus",
        "nodes": "--nodes", "time": "--time"}  # fmt: skip
FIXED = ("job-name", "ntasks", "ntasks-per-node", "open-mode", "output", "requeue", "no-requeue", "signal")


@dataclass(frozen=True)
class Allocation:
    """What a user asks of Slurm; None and () leave what the partition has by default.

    cpus: of each node; gpus: of all nodes together; array: elements that work side by side, each on a CPU of its own;
    container: an Apptainer image with recoilscan in it; lines: other options of sbatch, `KEY=VALUE`.
    """

    nodes: int | None = None
    cpus: int | None = None
    gpus: int | None = None
    time: str | None = None
    array: int | None = None
    container: Path | None = None
    lines: tuple[str, ...] = ()

    def form(self, command: Command) -> str:
        """How the work is spread: `cluster`, `local`, `array` or `alone`; raises BadInput for what does not go."""
        if self.array and self.nodes:
            raise BadInput("--array starts elements of one CPU each: no --nodes with it")
        if self.array and (self.cpus or self.gpus):
            raise BadInput("--array starts elements of one CPU each: no --cpus and no --gpus with it")
        if self.array and command.verb != "scan":
            raise BadInput(f"--array shares a scan; for {command.verb} leave it out")
        if not command.computes and (self.nodes or 1) > 1:
            raise BadInput(f"--nodes {self.nodes}: {command.verb} works in one process")
        if not command.computes:
            return "alone"
        return "array" if self.array else "cluster" if (self.nodes or 1) > 1 else "local"

    def check(self) -> None:
        """Raises BadInput for what Slurm or the job would not take."""
        if self.time is not None and _seconds(self.time) < SHORTEST_S:
            raise BadInput(f"--time {shown(self.time)}: expected {SHORTEST_S // 60} minutes at least, of which the job "
                           "needs two to end in order")  # fmt: skip
        if self.gpus and self.gpus % (self.nodes or 1):
            raise BadInput(f"--gpus {self.gpus}: {self.nodes} nodes have as many each; expected a multiple")
        if self.container and not self.container.is_file():
            raise BadInput(f"--container {shown(str(self.container), 200)}: there is no such file")
        for line in self.lines:
            match = LINE.fullmatch(line)
            if not match:
                raise BadInput(f"--sbatch {shown(line)}: expected an option of sbatch, such as partition=long")
            if match["key"] in (*OURS, *FIXED):
                instead = OURS.get(match["key"], "no option of its own")
                raise BadInput(f"--sbatch {shown(line)}: launch says that itself; see {instead}")

    def directives(self, form: str) -> list[str]:
        """The options of sbatch that say this."""
        nodes = self.nodes or 1
        said = [f"nodes={nodes}", "ntasks-per-node=1"]
        if form == "cluster":  # Ray takes a node for its own: whatever other Ray is there, it would end
            said += ["exclusive", "mem=0"]
        cpus = 1 if form in ("array", "alone") and not self.cpus else self.cpus
        said += [f"cpus-per-task={cpus}"] if cpus else []
        said += [f"gpus-per-node={self.gpus // nodes}"] if self.gpus else []
        said += [f"time={self.time}"] if self.time else []
        said += [f"array=1-{self.array}"] if self.array else []
        return [*said, *self.lines]


def _seconds(time: str) -> int:
    """Of a time as Slurm writes it: minutes, minutes:seconds, hours:minutes:seconds, days-hours[:minutes[:seconds]]."""
    match = TIME.fullmatch(time)
    if not match:
        raise BadInput(f"--time {shown(time)}: expected minutes, H:M:S or D-H:M:S, such as 12:00:00")
    amount = {name: int(text or 0) for name, text in match.groupdict().items()}
    hours, minutes = amount["dh"] + amount["h"] + 24 * amount["d"], amount["dm"] + amount["m"]
    return 3600 * hours + 60 * minutes + amount["ds"] + amount["s"]


@dataclass(frozen=True)
class Script:
    """What a batch script runs and where: `title` names the study, `text` is its TOML, `folder` has log and script."""

    name: str
    title: str
    text: str
    command: Command
    store: str
    tracking: str | None
    folder: str
    allocation: Allocation

    @property
    def log(self) -> str:
        """Where its output goes; `%a` is the number of an element."""
        return f"{self.folder}/{self.name}{'-%a' if self.allocation.array else ''}.log"

    def render(self) -> str:
        """The script; same study, same bytes."""
        asked, form = self.allocation, self.allocation.form(self.command)
        said = [f"job-name={self.name}", *asked.directives(form), f"signal=B:USR1@{LEAD_S}", "requeue",
                "open-mode=append", f"output={self.log.replace('%', '%%').replace('%%a', '%a')}"]  # fmt: skip
        verb, study, *options = self.command.words(self.title, self.store, self.tracking)
        values = {"form": form, "title": study, "verb": verb, "elements": str(asked.array or 0), "study": self.text}
        lists = {"options": options, "enter": self._container(), "python": [self._python()]}
        body = importlib.resources.files("engine.launch").joinpath("batch.sh").read_text()
        lines = ["#!/bin/bash", *(f"#SBATCH --{one}" for one in said), ""]
        lines += [f"{name}=({shlex.join(words)})" for name, words in lists.items()]
        lines += [f"{name}={shlex.quote(value)}" for name, value in values.items()]
        if not asked.container:
            lines.append(f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"')
        return "\n".join([*lines, body])

    def _python(self) -> str:
        return "python" if self.allocation.container else sys.executable

    def _container(self) -> list[str]:
        image = self.allocation.container
        if not image:
            return []
        places = [self.store] if self.store.startswith("/") else []
        places += [str(self.command.data.parent)] if self.command.data else []
        return ["apptainer", "exec", *(["--nv"] if self.allocation.gpus else []),
                *(word for place in places for word in ("--bind", place)), str(image.absolute())]  # fmt: skip
