"""Whatever becomes of what lies beside the parts, every command ends as it would without it, and says what it left out;
and whatever it is told, no secret is in what it prints or leaves."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from scanned import computed, tracked

from engine.run import request
from engine.store.store import Store

SECRET = "hunter2secret"
AWAY = f"postgresql://me:{SECRET}@127.0.0.1:1/mlflow?sslpassword={SECRET}&token={SECRET}"
SIDES = ("journal", "plans", "timings", "drivers", "figures")


@pytest.fixture
def copy(reference, tmp_path):
    """A copy of the finished store, to be damaged."""
    return shutil.copytree(reference.store, tmp_path / "store")


def flip(path):
    data = path.read_bytes()
    path.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])


def into_folder(path):
    path.unlink()
    path.mkdir()


def into_link(path):
    path.unlink()
    path.symlink_to(path.parents[2] / "nowhere")


DAMAGES = {
    "flip": flip, "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "deep": lambda path: path.write_bytes(b"[" * 100_000), "types": lambda path: path.write_text('{"began_s": []}'),
    "folder": into_folder, "link": into_link,
}  # fmt: skip


def side_files(store):
    (store / "drivers" / "x").mkdir(parents=True, exist_ok=True)
    (store / "drivers" / "x" / "elsewhere-1.json").write_text(f"{{}}{' ' * 40}")
    return [path for name in SIDES for path in (store / name).rglob("*.json")]


def test_a_store_says_of_every_side_file_what_it_is(reference):
    schemas = {name: {json.loads(path.read_text())["schema"] for path in (reference.store / name).glob("*.json")}
               for name in ("journal", "plans", "timings", "figures")}  # fmt: skip
    assert schemas == {"journal": {"page"}, "plans": {"request"}, "timings": {"timing"}, "figures": {"gallery"}}
    for path in (reference.store / "ledger").iterdir():
        assert json.loads(path.read_text().splitlines()[0]).keys() == {"schema", "version", "sha256"}


def test_flipped_bits_beside_the_parts_are_notes(copy, tiny, run_here):
    """As below, in the seconds that CI has: without figures, which would be drawn."""
    for path in side_files(copy):
        if path.parent.name != "figures":
            flip(path)
    for words, exit_code in ((("status",), 0), (("track", "--tracking", AWAY), 1)):
        done = run_here(words[0], tiny, *words[1:], "--store", copy, check=exit_code)
        assert "Traceback" not in done.stderr and SECRET not in done.stdout + done.stderr
        if words[0] == "status":
            assert done.stderr.startswith("note: plans/tiny.json is left out: ") and done.stderr.count("\n") == 1
        else:
            assert "warning: MLflow at postgresql://me:***@" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_side_files_and_an_outage_fail_no_command_and_show_no_secret(copy, tiny, run_here, damage, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", f"{SECRET}-too")
    damaged = side_files(copy)
    for path in damaged:
        DAMAGES[damage](path)
    said = []
    for words in (("status", tiny), ("gc", tiny), ("track", tiny), ("scan", tiny, "--workers", 0, "--tracking", AWAY)):
        done = run_here(*words, "--store", copy)
        said.append(done.stdout + done.stderr)
        assert "Traceback" not in said[-1]
    if damage not in ("folder", "link"):  # of which a listing knows nothing
        for kind, text in (("plans", said[0]), ("figures", said[2])):
            notes = [line for line in text.splitlines() if line.startswith(f"note: {kind}/")]
            assert notes and all(len(line) <= 400 for line in notes), text
    assert computed(said[3])[0] == 0 and "is not told" in said[3] and "me:***@" in said[3]
    assert SECRET not in "".join(said)
    for path in copy.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    assert not (copy.parent / "nowhere").exists()
    store = Store(str(copy))
    if damage not in ("folder",):  # which nobody removes
        assert request.last(store, "tiny") is not None


@pytest.mark.slow
def test_a_damaged_figure_is_drawn_again_before_it_is_sent(copy, tiny, run_here, tmp_path):
    (roc,) = (copy / "figures").glob("*/roc.png")
    whole = roc.read_bytes()
    flip(roc)
    shutil.rmtree(copy / "mlflow")
    done = run_here("track", tiny, "--store", copy)
    assert re.search(r"note: figures/\w+/roc.png does not verify \(1 of \d+\)", done.stderr)
    client, runs = tracked(copy)
    (scan,) = (run for run in runs if run.data.tags["stage"] == "scan")
    sent = client.download_artifacts(scan.info.run_id, "figures/roc.png", str(tmp_path))
    assert Path(sent).read_bytes() == whole != roc.read_bytes()


@pytest.mark.parametrize("store", ["s3://key:{}@bucket/x?token={}", "ftp://u:{}@h", "gs://u:{}@[h"])
def test_no_secret_of_a_stores_address_is_shown(run_here, tiny, monkeypatch, store):
    from engine.store import backend

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setitem(backend.RETRIES, "max_retries", 0)
    for words in (("scan", tiny, "--workers", 0), ("status", tiny), ("gc", tiny), ("plot", tiny)):
        done = run_here(*words, "--store", store.replace("{}", SECRET), check=None)
        assert done.returncode in (1, 2) and SECRET not in done.stdout + done.stderr
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--store", "--tracking", "--jobs"])
def test_no_secret_of_an_address_is_shown_or_launched(run_here, tiny, option):
    given = {"--jobs": "http://127.0.0.1:1", "--store": "/a", "--tracking": "/b"}
    for address in ("http://u:{}@h:1", "http://h:1/token={}", "http://h:1?sig={}", "http://u:{}@[h"):
        words = (given | {option: address.format(SECRET)}).items()
        done = run_here("launch", tiny, *(word for pair in words for word in pair), check=2)
        assert SECRET not in done.stdout + done.stderr and done.stderr.count("\n") == 1, done.stderr
