"""Whatever a command raises is one line, an exit code and, of what nobody had thought of, a file with the traceback."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cli import failure
from engine.errors import BadInput, CorruptPart, ScanStalled, StoreFault, TaskFailed
from engine.run import status as statuses
from engine.store.parts import Entry
from engine.store.store import Store

SECRET = "postgresql://me:s3cret@host/db"
UNKNOWN = {
    "KeyError": KeyError("a column"),
    "MemoryError": MemoryError("Unable to allocate 7.45 GiB"),
    "RecursionError": RecursionError("maximum recursion depth exceeded"),
    "OSError": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/x"),
    "secret": RuntimeError(f"cannot reach {SECRET}\nin its second line"),
    "long": RuntimeError("x" * 5000),
}
KNOWN = {
    "input": (BadInput("no such key\nat all"), 2, "error: no such key at all"),
    "store": (StoreFault("the store is full."), 1, "error: the store is full; what was finished is kept"),
    "cluster": (ScanStalled("no task ended"), 1, "error: no task ended; what was finished is kept"),
    "task": (TaskFailed("cell 3: it says so"), 1, "error: cell 3: it says so; what was finished is kept"),
    "part": (
        CorruptPart(Entry("cells/x.parquet", "", ()), "is gone"), 1,
        "error: cells/x.parquet is gone; `recoilscan scan` of this study makes it anew",
    ),
    "interrupt": (KeyboardInterrupt(), 130, "interrupted; what was finished is kept. Resume with: recoilscan status"),
}  # fmt: skip


@pytest.fixture
def fails(tiny, run_here, tmp_path, monkeypatch):
    """`status` of a store in which this is raised: its exit code and its only line."""
    Store(str(tmp_path / "store"))

    def call(error: BaseException, store: Path = tmp_path / "store") -> tuple[int, str]:
        def raising(*_: object) -> None:
            raise error

        monkeypatch.setattr(statuses, "status", raising)
        done = run_here("status", tiny, "--store", store, check=None)
        assert not done.stdout
        (line,) = done.stderr.splitlines()
        assert len(line) <= failure.LONGEST or "interrupted" in line
        return done.returncode, line

    return call


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known_is_its_line_and_no_file(fails, tmp_path, name):
    error, code, line = KNOWN[name]
    found, said = fails(error)
    assert found == code and said.startswith(line)
    assert not (tmp_path / "store" / "errors").exists()


def kept(line: str) -> str:
    """The text of the file that a line names."""
    return Path(re.search(r"; details: (.*)$", line)[1]).read_text()


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_nobody_had_thought_of_is_a_line_and_a_traceback_in_the_store(fails, tmp_path, name):
    code, line = fails(UNKNOWN[name])
    assert code == 1 and line.startswith(f"error: {type(UNKNOWN[name]).__name__}: ")
    assert str(tmp_path / "store" / "errors") in line
    story = kept(line)
    assert "Traceback" in story and "recoilscan status" in story and "in raising" in story
    assert "s3cret" not in line + story


def test_a_mistake_in_a_task_has_its_own_traceback_kept(fails):
    def mistake() -> None:
        raise KeyError("of the user's")

    with pytest.raises(TaskFailed) as failed:
        try:
            mistake()
        except KeyError as error:
            raise TaskFailed("cell 3: KeyError: of the user's") from error
    code, line = fails(failed.value)
    assert code == 1 and "in mistake" in kept(line)


def test_without_a_store_that_can_be_written_the_file_is_a_temporary_one(fails, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert "Traceback" in kept(fails(KeyError("x"), tmp_path / "nowhere")[1])
    assert not (tmp_path / "nowhere").exists()

    def full(*_: object) -> None:
        raise StoreFault("full")

    monkeypatch.setattr(Store, "put", full)
    line = fails(KeyError("x"))[1]
    assert str(tmp_path / "recoilscan-") in line and "KeyError" in kept(line)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    assert fails(KeyError("x"))[1] == "error: KeyError: 'x'; what was finished is kept"


INTERRUPTED = """
import sys, time
from engine.cli import app

def command(obj):
    try:
        print("at work", flush=True)
        time.sleep(60)
    finally:
        print("ending", flush=True)
        time.sleep(float(sys.argv[1]))

app.app = command
app.main()
"""


@pytest.mark.parametrize(("times", "last"), [(1, "interrupted; what was finished is kept. Resume with: recoilscan"),
                                             (2, "interrupted twice: ended at once")])  # fmt: skip
def test_the_first_interrupt_ends_in_order_and_the_second_at_once(times, last):
    command = [sys.executable, "-c", INTERRUPTED, "0" if times == 1 else "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "at work\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "ending\n"
        if times == 2:
            process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=50)[1]
    assert process.returncode == 130
    assert said.startswith(last) and said.count("\n") == 1


def test_a_reader_that_leaves_is_no_news(tiny):
    command = f"{sys.executable} -m engine scans list"
    done = subprocess.run(["bash", "-c", f"{command} | true; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True)
    assert done.stdout in ("0\n", "1\n") and not done.stderr


def test_the_help_says_the_exit_codes(run_here):
    assert "2 bad input, 3 a partial table, 130 interrupted" in " ".join(run_here("--help").stdout.split())
