"""A launch as a user starts it: in a session of its own, followed until it says or does what a test waits for."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import engine

PATIENCE_S = 300.0
COUNT = Path(engine.__file__).parent / "inference" / "teststats" / "count.py"
OWN = """
[backgrounds]
components = ["pp", "pb214", "atm", "line"]
efficiency = "tables/efficiency.csv"
options.line = { spectrum = "user_table", path = "line.csv", kind = "ER" }
"""
SMALLER = {"m_chi_GeV = { values = [20, 50] }": "m_chi_GeV = [50]", "exposure_ty = { values = [20, 50] }":
           "exposure_ty = [50]", "null = 1500": "null = 300", "signal = 1500": "signal = 300",
           "er_events = 5000": "er_events = 1500", "nr_events = 3000": "nr_events = 1000"}  # fmt: skip
STATISTIC = 'statistics = ["tail_count", "mine"]\noptions.mine.statistic = "./code/mine.py"\n'


def own_study(tiny: Path, folder: Path, line_bytes: int = 0) -> Path:
    """A small study beside files of one's own: a statistic, a spectrum of at least so many bytes, an efficiency."""
    for name in ("code", "tables"):
        (folder / name).mkdir()
    (folder / "code" / "mine.py").write_text(COUNT.read_text())
    (folder / "line.csv").write_text("#" * line_bytes + "\nenergy_keV,rate\n1,0\n5,2\n14,0\n")
    (folder / "tables" / "efficiency.csv").write_text("cs1_phd,efficiency\n1,0.2\n10,0.8\n50,0.9\n")
    path = folder / "own.toml"
    text = tiny.read_text().replace("[toys]\n", f"[toys]\n{STATISTIC}")
    for old, new in SMALLER.items():
        text = text.replace(old, new)
    path.write_text(text + OWN)
    return path


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
