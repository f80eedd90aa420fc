"""How long the stages of a scan took, and where: kept in the store, a page for every pass that computed something."""

import importlib.metadata
import os
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path

from engine.progress import Relay, Silent
from engine.store.store import Store

FOLDER = "journal"
PACKAGES = ("recoilscan", "mlflow", "nestpy", "numpy", "pyarrow", "ray", "torch", "wimprates")


def environment() -> dict[str, str]:
    """Versions beside which a result was made, and the driver's machine; no digest depends on them."""
    versions = {f"version.{package}": importlib.metadata.version(package) for package in PACKAGES}
    machine = {"machine": platform.machine(), "cpu": _cpu(), "cpus": str(os.cpu_count())}
    return versions | {"python": platform.python_version()} | machine


def in_words(environment: dict[str, str]) -> dict[str, str]:
    """An environment as `environment()` gives it, in two tags: versions and machine."""
    versions = [f"{name.removeprefix('version.')} {value}" for name, value in environment.items()
                if name.startswith("version.")]  # fmt: skip
    machine = f"{environment['cpus']} x {environment['cpu']}, {environment['machine']}, Python {environment['python']}"
    return {"versions": ", ".join(versions), "machine": machine}


def _cpu() -> str:
    """The processor's name as Linux has it, or as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


@dataclass(frozen=True)
class Page:
    """One pass: when it began (s since 1970), the time of every stage that it computed to its end, and where."""

    began_s: float
    seconds: dict[str, float] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=environment)


class Journal(Relay):
    """Passes on what a scan reports, and writes the page of this pass: anew after every stage that had work."""

    def __init__(self, inner: Silent, store: Store, item: str):
        super().__init__(inner)
        self.store, self.page = store, Page(time.time())
        self.path = f"{FOLDER}/{item}-{time.time_ns()}.json"

    def stage(self, name: str, total: int, reused: int) -> None:
        """Its time begins."""
        super().stage(name, total, reused)
        self.name, self.has_work, self.stage_began_s = name, reused < total, time.monotonic()

    def done(self) -> None:
        """Its time ends."""
        super().done()
        if self.has_work:
            self.page.seconds[self.name] = round(time.monotonic() - self.stage_began_s, 3)
            self.store.keep(self.path, self.page)


def pages(store: Store, item: str) -> list[Page]:
    """What is written of an item's passes, the first of them first."""
    paths = [path for path in store.list(FOLDER) if path.startswith(f"{FOLDER}/{item}-")]
    return [page for path in paths if (page := store.kept(path, Page))]
