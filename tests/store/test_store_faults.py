"""A bucket that answers 500 and 503, answers late, cuts an answer short or takes a part and does not say so; a disk
that is full: a clear error at worst, nothing lost, and the bytes of an undisturbed run."""

import http.client
import os
import random
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import numpy as np
import pyarrow as pa
import pytest
from moto.server import ThreadedMotoServer

from engine.errors import StoreError, StoreFault
from engine.store import backend
from engine.store.parts import Part
from engine.store.store import Ledger, Store
from engine.store.units import Unit, commit, perform

SCAN = Path(__file__).parents[1] / "chaos" / "scan_of_cells.py"
SLOW_S = 0.5


class Faults(BaseHTTPRequestHandler):
    """Hands requests on to the real server, and now and then does wrong: `server.faults` are names, by chance."""

    protocol_version = "HTTP/1.1"

    def handle_one(self) -> None:
        """One request of any kind."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.next_fault()
        if fault in ("500", "503"):
            return self.reply(int(fault), [], b"<Error><Code>SlowDown</Code></Error>")
        if fault == "slow":
            time.sleep(SLOW_S)
        status, headers, answer = self.hand_on(body)
        if fault == "unsaid":  # done, and nobody is told
            return self.reply(500, [], b"")
        self.reply(status, headers, answer, cut=fault == "cut")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_one

    def hand_on(self, body: bytes) -> tuple[int, list, bytes]:
        """What the real server says."""
        real = http.client.HTTPConnection(*self.server.real)
        real.request(self.command, self.path, body, dict(self.headers))
        answer = real.getresponse()
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP]
        return answer.status, headers, answer.read()

    def reply(self, status: int, headers: list, body: bytes, cut: bool = False) -> None:
        """The answer; cut: the connection ends before its last byte."""
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        length = next((value for name, value in headers if name.lower() == "content-length"), None)
        if length is None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:-1] if cut and body else body)
        self.close_connection = self.close_connection or cut

    def log_message(self, *_: object) -> None:
        """Quiet."""


HOP = {"connection", "transfer-encoding", "server", "date"}


class Proxy(ThreadingHTTPServer):
    """A server in front of the real one at `real` (host, port), on a socket of its own."""

    daemon_threads = True

    def __init__(self, real: tuple[str, int]):
        super().__init__(("127.0.0.1", 0), Faults)
        self.real, self.faults, self.share, self.random = real, (), 0.0, random.Random(1)
        self.seen: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def do(self, *faults: str, share: float = 1.0) -> None:
        """From now on one of these faults for this share of all requests."""
        self.faults, self.share = faults, share

    def next_fault(self) -> str | None:
        """One of the faults, or None."""
        if not self.faults or self.random.random() >= self.share:
            return None
        self.seen.append(self.random.choice(self.faults))
        return self.seen[-1]

    def handle_error(self, *_: object) -> None:
        """A client that went away is no news."""


@pytest.fixture
def proxy(monkeypatch):
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    found = Proxy(server.get_host_and_port())
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{found.server_port}")
    bucket = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    bucket.create_bucket(Bucket="scans")
    yield found
    bucket.close()
    found.shutdown()
    found.server_close()
    server.stop()


def test_a_bucket_that_fails_now_and_then_loses_nothing(proxy):
    store = Store("s3://scans/now-and-then")
    proxy.do("500", "503", "slow", "unsaid", "cut", share=0.3)
    ledger = Ledger(store)
    for number in range(40):
        ledger.add(commit(store, [Part(f"cells/{number}.parquet", (str(number),), pa.table({"x": [number]}))]))
    ledger.flush()
    again = Ledger(store)
    assert [again.table(str(number))["x"].to_pylist() for number in range(40)] == [[number] for number in range(40)]
    assert not store.list("aside")
    assert set(proxy.seen) == {"500", "503", "slow", "unsaid", "cut"}


def test_a_scan_into_such_a_bucket_has_the_bytes_of_an_undisturbed_one(proxy, tmp_path):
    tables = []
    for name, share in (("undisturbed", 0.0), ("disturbed", 0.2)):
        proxy.do("500", "503", "slow", "unsaid", "cut", share=share)
        log = tmp_path / name
        subprocess.run([sys.executable, SCAN, "", f"s3://scans/{name}", log, "40"], check=True, timeout=300)
        proxy.do()
        store = Store(f"s3://scans/{name}")
        tables.append([store.get(path) for path in store.list("tables")])
        assert not store.list("aside")
    assert len(tables[0]) == 1 and tables[0] == tables[1]
    assert len(proxy.seen) > 5


@pytest.mark.slow
def test_a_users_scan_into_such_a_bucket_has_the_tables_of_a_folder(proxy, reference, tiny, recoilscan, tmp_path):
    proxy.do("500", "503", "slow", "unsaid", "cut", share=0.2)
    tracking = f"sqlite:///{tmp_path}/mlflow.db"
    recoilscan("scan", tiny, "--store", "s3://scans/tiny", "--workers", 0, "--tracking", tracking)
    proxy.do()
    store = Store("s3://scans/tiny")
    for folder in ("tables", "limit_tables", "diagnostic_tables"):
        wanted = {f"{folder}/{path.name}": path.read_bytes() for path in (reference.store / folder).iterdir()}
        assert {path: store.get(path) for path in store.list(folder)} == wanted
    assert not store.list("aside") and len(proxy.seen) > 5


def test_a_listing_that_is_cut_short_is_asked_for_again(proxy, monkeypatch):
    store = Store("s3://scans/listed")
    store.put_new("cells/a", b"x")
    faults = iter(["cut"] * 3)
    monkeypatch.setattr(proxy, "next_fault", lambda: next(faults, None))
    assert store.list("cells") == ["cells/a"] and next(faults, None) is None
    monkeypatch.setattr(proxy, "next_fault", lambda: "cut")
    with pytest.raises(StoreError, match=r"^cannot read the store 's3://scans/listed': .*list response body"):
        store.list("cells")


@pytest.mark.parametrize("fault", ["500", "503"])
def test_a_bucket_that_only_fails_is_one_clear_line(proxy, monkeypatch, fault):
    monkeypatch.setitem(backend.RETRIES, "max_retries", 2)
    store = Store("s3://scans/never")
    proxy.do(fault)
    with pytest.raises(StoreFault, match=r"^the store 's3://scans/never' failed to write 'cells/a': ") as error:
        store.put_new("cells/a", b"x")
    assert "\n" not in str(error.value) and fault in str(error.value)
    with pytest.raises(StoreFault, match="failed to read 'cells/a'"):
        store.get("cells/a")
    proxy.do()
    assert store.list("cells") == []


def test_an_object_that_is_shorter_than_what_was_committed_is_made_again(proxy):
    store = Store("s3://scans/short")
    ledger = Ledger(store)
    part = Part("cells/a.parquet", ("a",), pa.table({"x": np.arange(1000)}))
    (entry,) = commit(store, [part])
    ledger.add([entry])
    ledger.flush()
    whole = store.get(entry.path)
    store.put(entry.path, whole[: len(whole) // 2])
    again = Ledger(store)
    assert again.check(["a"]) == [entry]
    again.set_aside(entry)
    commit(store, [part])
    assert store.get(entry.path) == whole


FULL = """
import resource, sys
sys.path.insert(0, {folder!r})
from test_store_faults import fill
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    fill({store!r}, range(5))
except Exception as error:
    print(type(error).__name__, error)
"""


def big(sizes: list[int]) -> list[Part]:
    """A part each; the fourth is larger than the disk of the test."""
    noise = np.random.default_rng(1)
    return [Part(f"cells/{n}.parquet", (str(n),), pa.table({"x": noise.random(10 + 3000 * (n == 3))})) for n in sizes]


def fill(store: str, numbers) -> None:
    """Does what is missing in a store, as a run does."""
    place = Store(store)
    ledger = Ledger(place)
    ledger.add(ledger.orphans("cells")[0])
    units = [Unit((), n, (str(n),)) for n in numbers if str(n) not in ledger.entries]
    for unit in units:
        ledger.add(perform(big, place, [unit], (), False).entries)
    ledger.flush()


def test_a_full_disk_is_one_clear_line_and_costs_nothing_that_was_there(tmp_path):
    full, roomy = (str(tmp_path / name) for name in ("full", "roomy"))
    code = FULL.format(folder=str(Path(__file__).parent), store=full)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("StoreFault the store") and done.stdout.count("\n") == 1, done.stdout + done.stderr
    assert "failed to write 'cells/3.parquet'" in done.stdout and "too large" in done.stdout
    assert Store(full).list("cells") == [f"cells/{n}.parquet" for n in range(3)]
    for place in (full, roomy):
        fill(place, range(5))
    assert [Store(full).get(f"cells/{n}.parquet") for n in range(5)] == [
        Store(roomy).get(f"cells/{n}.parquet") for n in range(5)
    ]
    assert sorted(path.name for path in Path(full, "cells").iterdir()) == [f"{n}.parquet" for n in range(5)]
