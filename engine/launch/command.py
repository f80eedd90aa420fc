"""What is launched: a scan, a search for the best values, or a look at observed events."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from engine import files
from engine.errors import BadInput, shown


@dataclass(frozen=True)
class Command:
    """One of the commands that a job may run; data: a list of observed events here, for `observe`."""

    verb: str = "scan"
    data: Path | None = None
    unblind: bool = False

    @classmethod
    def of(cls, tune: bool, data: Path | None, unblind: bool) -> "Command":
        """As the options say; raises BadInput where they do not go together."""
        if tune and data:
            raise BadInput("--tune and --observe are two different things: give one")
        if unblind and not data:
            raise BadInput("--unblind goes with --observe")
        if data and not data.is_file():
            raise BadInput(f"--observe {shown(str(data), 200)}: there is no such file")
        return cls("tune" if tune else "observe" if data else "scan", data and data.absolute(), unblind)

    @property
    def computes(self) -> bool:
        """Whether it has work for several processes."""
        return self.verb != "observe"

    @property
    def key(self) -> list[object]:
        """What names its job beside the study and the place: nothing more for a scan."""
        if not self.data:
            return [] if self.verb == "scan" else [self.verb]
        return [self.verb, hashlib.sha256(self.data.read_bytes()).hexdigest(), self.unblind]

    def words(self, study: str, store: str, tracking: str | None, data: str | None = None) -> list[str]:
        """The command line after the program; data: where the list of events will be, if not here."""
        words = [self.verb, study, *([data or str(self.data)] if self.data else []), "--store", store]
        words += ["--tracking", tracking] if tracking else []
        return [*words, *(["--unblind"] if self.unblind else [])]

    def on_ray(self, study: str, store: str, tracking: str, data: str) -> list[str]:
        """The entrypoint of a job in a Ray cluster."""
        words = ["recoilscan", *self.words(study, store, tracking, data)]
        return [*words, "--address", "auto"] if self.computes else words

    def text(self, longest: int) -> str:
        """The list of events, for what takes text alone; raises BadInput for what is none, or too long."""
        if self.data.suffix != ".csv":
            raise BadInput(f"--observe {shown(str(self.data), 200)}: a cluster is handed .csv; expected a list as text")
        return files.text(self.data, longest)
