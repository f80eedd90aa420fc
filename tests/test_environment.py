"""Where a batch node has no home, no user's name, no letters beyond ASCII: caches elsewhere, and no traceback."""

import getpass
import os
import resource
import subprocess
import sys
import tempfile

import pytest

from engine import environment
from engine.report.tracking import client

CACHES = "NUMBA_CACHE_DIR", "MPLCONFIGDIR", "XDG_CACHE_HOME"


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """An environment that names no cache and no home, and a folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in (*CACHES, "HOME"):
        monkeypatch.setenv(name, "x")  # so that it is restored
        monkeypatch.delenv(name)


def test_without_a_home_caches_are_in_a_folder_of_the_users_own(tmp_path):
    environment.prepare()
    own = tmp_path / f"recoilscan-{os.getuid()}"
    assert all(os.environ[name].startswith(f"{own}/") for name in CACHES) and os.environ["HOME"] == str(own)
    assert own.stat().st_mode & 0o077 == 0


def test_a_home_and_what_is_set_stay(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    environment.prepare()
    assert os.environ["HOME"] == str(tmp_path) and not set(CACHES) & os.environ.keys()
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "mine")
    environment.prepare()
    assert os.environ["NUMBA_CACHE_DIR"] == "mine"


@pytest.mark.parametrize("kind", ["open", "link"])
def test_a_folder_that_others_can_write_is_not_taken_for_code(tmp_path, kind):
    there = tmp_path / f"recoilscan-{os.getuid()}"
    if kind == "open":
        there.mkdir()
        there.chmod(0o777)
    else:
        (tmp_path / "theirs").mkdir()
        there.symlink_to(tmp_path / "theirs")
    environment.prepare()
    assert not os.environ["NUMBA_CACHE_DIR"].startswith(f"{there}/")


def test_a_user_id_without_a_name_gets_one(monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    monkeypatch.setenv("LOGNAME", "")
    environment.prepare()
    assert getpass.getuser() == f"uid-{os.getuid()}"


def test_a_command_in_a_bare_environment_runs(tmp_path):
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "LC_ALL": "C",
            "PYTHONIOENCODING": "ascii", "HOME": "/nonexistent", "TMPDIR": str(tmp_path)}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-O", "-m", "engine", "status", "quickstart", "--store", "Käse %?#\n'"], cwd=tmp_path,
        env=bare, capture_output=True, text=True, timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "K\\xe4se" in done.stdout


@pytest.mark.parametrize("name", ["p%20c", "q?x", "h#y", "quo'te", 'dq"u', "ümläut", "new\nline", "back\\slash"])
def test_the_database_of_a_store_at_any_path_is_in_it(tmp_path, name):
    from sqlalchemy import make_url

    (tmp_path / name).mkdir()
    uri = client.default_uri(tmp_path / name)
    assert make_url(uri).database == str(tmp_path / name / "mlflow" / "mlflow.db") and not make_url(uri).query
