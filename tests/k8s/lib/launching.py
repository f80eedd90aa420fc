"""A launch as a user starts it: in a session of its own, followed until it says or does what a test waits for."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 300.0


def launch(study: Path, *words: object, environment: dict[str, str], folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "engine", "launch", *map(str, (study, *words))], env=environment, cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def said(process: subprocess.Popen, code: int = 0, beside: object = "") -> str:
    """What a launch said from its beginning to its end; a failure shows what else is known."""
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, f"{process.returncode}\n{out}\n{err}\n{beside}"
    return out + err


def until(true: Callable[[], bool], process: subprocess.Popen) -> None:
    """Waits; fails where the launch ends before."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "too late"
        time.sleep(0.1)
