"""Studies and tables as nobody should write them: exit code 0, or 2 with one line, and nothing else is said.

`-m slow -s` runs the long form and prints its counts, its slowest and its peak of memory.
"""

import contextlib
import io
import json
import os
import resource
import signal
import sys
import time
import tomllib
import traceback
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from studies import PAIRS, TINY

from engine import study
from engine.cli import app

SHORT, LONG = 60, 3000
HANGS_S = 120  # no study is read and planned for as long: this is an end, not a measure
MOST_GB = 4.0

OWN = """
[signal]
name = "user_table"
options = { path = "peak.csv", kind = "ER" }
[backgrounds]
components = ["pp", "pb214", "atm", "surface", "line", "xe124_ec"]
options.surface = { spectrum = "user_events", path = "surface.parquet", rate_per_ty = 0.5, relative_uncertainty = 0.3 }
options.line = { spectrum = "user_table", path = "line.parquet", kind = "NR" }
[grid]
strength = { values = [0.0, 2.0, 10.0] }
exposure_ty = [20, 50]
"""
CSV, PARQUETS = "peak.csv", ("surface.parquet", "line.parquet")
BASES = {name: tomllib.loads(study.text(name)) for name in study.shipped()}
BASES |= {path.stem: tomllib.loads(path.read_text()) for path in (TINY, PAIRS)}
BASES |= {"own": tomllib.loads(OWN)}

PLACES = st.integers(0, 10_000)  # of what is changed, modulo how many there are
STRANGE = st.sampled_from(
    ["", ".", "..", "../../etc/passwd", "a/b", "/dev/zero", "x" * 300, "y" * 10_000, "\x00", "a\nb", "\x1b[31m",
     "\u202e", "\U0001f600", "json.decoder", "no.such.module", "x.py", "name", "wimp_si", "dense_vae", "image",
     "s3:/bucket", "nan", "1e-46", "[", "'", '"', "{}", "%s", "-", "--set"]
)  # fmt: skip
NUMBERS = st.sampled_from(
    [0, -1, 1, 2, 3, 7, 101, 65_536, 2_000_001, 2**31, 2**62, 2**63, 10**30, int("9" * 4000), 0.0, -0.0, 0.5, 1e-320,
     1e-48, 1e-9, 6.5, 1e30, 1e308, float("inf"), float("-inf"), float("nan"), True, False]
)  # fmt: skip
PLAIN = st.one_of(STRANGE, NUMBERS, st.text(max_size=20), st.integers(), st.floats(), st.just(date(2020, 1, 1)))
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRANGE | st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
OPERATIONS = ("delete", "duplicate", "retype", "rename", "nest", "deepen", "swap", "axis", "spread")
CHANGES = st.lists(st.tuples(st.sampled_from(OPERATIONS), PLACES, PLACES, VALUES, STRANGE), min_size=1, max_size=3)
COMMANDS = st.sampled_from([("status",), ("status",), ("scan", "--plan"), ("status", "--tune")])


def nodes(value: object) -> list[tuple[object, object]]:
    """Every (container, key) in a study."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [pair for key in keys for pair in ((value, key), *nodes(value[key]))]


def change(raw: dict, operation: str, place: int, other: int, value: object, name: str) -> None:
    """One mutation, in place."""
    everywhere = nodes(raw)
    if not everywhere:
        return
    (inside, key), (there, its) = everywhere[place % len(everywhere)], everywhere[other % len(everywhere)]
    if operation == "delete":
        del inside[key]
    elif operation == "duplicate" and isinstance(inside, list):
        inside.extend(inside[key : key + 1] * 2)
    elif operation in ("duplicate", "spread"):
        there[its] = json.loads(json.dumps(inside[key], default=str))
    elif operation == "rename" and isinstance(inside, dict):
        inside[name] = inside.pop(key)
    elif operation == "nest":
        inside[key] = {name: inside[key]} if other % 2 else [inside[key]]
    elif operation == "deepen":
        for _ in range((3, 20, 150)[other % 3]):
            inside[key] = [inside[key]]
    elif operation == "swap":
        inside[key], there[its] = json.loads(json.dumps([there[its], inside[key]], default=str))
    elif operation == "axis":
        inside[key] = {"log": [1e-49, 1e-40], "n": (2, 3, 1_999_999, 2_000_001, 2**31, 10**40)[other % 6]}
    else:
        inside[key] = value


def toml(value: object) -> str:
    """A value as TOML, tables inline: also what no writer of TOML would write."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{text(key)} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return text(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def text(word: str) -> str:
    """A TOML string; controls are escaped."""
    escaped = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in word)
    return '"' + "".join(escaped) + '"'


def written(raw: dict) -> bytes:
    """A study's file."""
    return "".join(f"{text(key)} = {toml(value)}\n" for key, value in raw.items()).encode("utf-8", "surrogatepass")


class Tried:
    """Runs the command line here, keeps what is said otherwise than it may be, and counts."""

    def __init__(self, folder: Path):
        self.folder, self.codes, self.slowest, self.faults = folder, Counter(), (0.0, b"", ""), []

    def __call__(self, content: bytes, command: tuple[str, ...], note: str = "") -> None:
        path = self.folder / "fuzzed.toml"
        path.write_bytes(content)
        begun = time.process_time()
        code, out, err = said(command[0], path.name, *command[1:], "--store", "nowhere")
        took = time.process_time() - begun
        self.codes[code] += 1
        self.slowest = max(self.slowest, (took, content[:2000], note))
        lines, made = err.splitlines(), (self.folder / "nowhere").exists()
        as_it_should = code == 0 and not err or code == 2 and err.startswith("error: ") and len(lines) == 1 and not out
        if not as_it_should or made or max(map(len, lines), default=0) > 400:
            self.faults.append(f"{command} {note}: exit {code}\n{out[-300:]}\n{err[-1500:]}\n{content[:3000]!r}")

    @property
    def peak_GB(self) -> float:
        """Of this process, ever."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def said(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of `recoilscan`, run within this process; what libraries in C write, too."""
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["recoilscan", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            app.main()
    except SystemExit as ended:
        return ended.code or 0, out.getvalue(), err.getvalue()
    except Exception:  # as python would end
        return 1, out.getvalue(), traceback.format_exc()
    finally:
        sys.argv = argv
    return 0, out.getvalue(), err.getvalue()


def _hangs(*_: object) -> None:
    raise TimeoutError(f"no answer within {HANGS_S} s")


def fuzz(folder: Path, n: int) -> Tried:
    """n mutations, the same ones every time: half of studies, a quarter of their text, a quarter of tables."""
    tried = Tried(folder)
    common = settings(max_examples=n // 2, deadline=None, derandomize=True, database=None,
                      suppress_health_check=list(HealthCheck))  # fmt: skip
    part = settings(common, max_examples=n // 4)

    @common
    @given(st.sampled_from(sorted(BASES)), CHANGES, COMMANDS)
    def studies(base, changes, command):
        raw = tomllib.loads(written(BASES[base]).decode())
        for each in changes:
            change(raw, *each)
        with guarded():
            tried(written(raw), command, base)

    @part
    @given(st.sampled_from(sorted(BASES)), st.sampled_from(sorted(TEXTS)), PLACES, st.binary(max_size=20))
    def texts(base, how, place, noise):
        content = written(BASES[base])
        with guarded():
            tried(TEXTS[how](content, place % len(content), noise), ("status",), f"{base} {how}")

    @part
    @given(st.sampled_from(sorted(TABLES)), PLACES, st.binary(min_size=1, max_size=20))
    def tables(how, place, noise):
        tables_of(folder)
        TABLES[how](folder, place, noise)
        with guarded():
            tried(written(BASES["own"]), ("status",), f"{how} {place}")
        for name in (CSV, *PARQUETS):
            if os.path.isdir(folder / name):
                os.rmdir(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)

    tables_of(folder)
    with contextlib.chdir(folder):
        said("scan", str(TINY), "--plan", "--store", "nowhere")  # imports, and tables of spectra, are nobody's time
        studies()
        texts()
        tables()
    assert not tried.faults, f"{len(tried.faults)} of {n}\n" + "\n\n".join(tried.faults[:20])
    return tried


@contextlib.contextmanager
def guarded():
    """An answer that does not come is a failure."""
    signal.signal(signal.SIGALRM, _hangs)
    signal.alarm(HANGS_S)
    try:
        yield
    finally:
        signal.alarm(0)


def spliced(content: bytes, place: int, noise: bytes) -> bytes:
    """With some bytes in place of as many."""
    return content[:place] + noise + content[place + len(noise) :]


TEXTS = {
    "truncated": lambda content, place, noise: content[:place],
    "spliced": spliced,
    "inserted": lambda content, place, noise: content[:place] + noise + content[place:],
    "digits": lambda content, place, noise: content + b"\nseed = " + b"9" * (place + 1),
    "hexadecimal": lambda content, place, noise: content + b"\nseed2 = 0x" + b"f" * (place + 1),
    "nested": lambda content, place, noise: b"deep = " + b"[" * place + b"]" * place + b"\n" + content,
    "tables": lambda content, place, noise: b"deep" + b".a" * place + b" = 1\n" + content,
    "bom": lambda content, place, noise: b"\xef\xbb\xbf" + content,
    "utf16": lambda content, place, noise: content.decode().encode("utf-16"),
    "latin1": lambda content, place, noise: "# \u00e9\u00fc\n".encode("latin-1") + content,
    "crlf": lambda content, place, noise: content.replace(b"\n", b"\r\n"),
    "twice": lambda content, place, noise: content + content,
    "empty": lambda content, place, noise: b"",
}


def tables_of(folder: Path) -> None:
    """The user's tables, whole."""
    n, n_features = 20, 3835  # of the vector in DARWIN
    flat = pa.array(np.arange(n * n_features) % 7, pa.uint16())
    (folder / CSV).write_text("energy_keV,rate\n4.5,0\n5,2\n5.5,0\n")
    pq.write_table(pa.table({"energy_keV": [1.0, 5.0, 30.0], "rate": [0.0, 1.0, 0.0]}), folder / PARQUETS[1])
    events = {"features": pa.FixedSizeListArray.from_arrays(flat, n_features), "ces_keVee": np.linspace(2, 9, n),
              "weight": np.ones(n), "selected": np.ones(n, bool)}  # fmt: skip
    pq.write_table(pa.table(events), folder / PARQUETS[0])


def _bytes(change):
    """A change of the bytes of one of the files."""

    def changed(folder: Path, place: int, noise: bytes) -> None:
        path = folder / (CSV, *PARQUETS)[place % 3]
        content = path.read_bytes()
        path.write_bytes(change(content, place % (len(content) + 1), noise))

    return changed


def _retyped(folder: Path, place: int, noise: bytes) -> None:
    """Another type of one column, with a null among its values."""
    path = folder / PARQUETS[place % 2]
    table = pq.read_table(path)
    which, n = place // 2 % table.num_columns, table.num_rows
    kinds = [pa.array(["a"] * n), pa.array([b"\xff"] * n), pa.array([[1.0]] * n), pa.array([{"a": 1}] * n),
             pa.array([True] * n), pa.array([None] * n), pa.array([2**62] * n), pa.array([date(2020, 1, 1)] * n),
             pa.array([float("nan")] * n), pa.array([-1.0] * n), pa.array([1e300] * n),
             pa.array(["1"] * n).dictionary_encode(), pa.array([1] * n, pa.uint64()), pa.array([1.0] * n, pa.float16()),
             pa.array([[]] * n, pa.list_(pa.uint16(), 0)), pa.array([None] * n, pa.list_(pa.uint16(), 3835)),
             pa.array([1] * n).cast(pa.decimal128(30, 2))]  # fmt: skip
    column = kinds[place // 8 % len(kinds)]
    pq.write_table(table.set_column(which, table.column_names[which], column), path)


def _renamed(folder: Path, place: int, noise: bytes) -> None:
    """Another name of one column, which may be another's or no name at all."""
    path = folder / PARQUETS[place % 2]
    table = pq.read_table(path)
    names = list(table.column_names)
    names[place // 2 % len(names)] = ("", names[0], "x" * 5000, "a\x1b", noise.decode("latin-1"))[place // 8 % 5]
    pq.write_table(table.rename_columns(names), path)


def _csv(folder: Path, place: int, noise: bytes) -> None:
    """A CSV as spreadsheets and people write it."""
    rows = ["1,2 3,4", "1,2", "1,2 3", "1,2,3", "2,1 1,1", "1,nan 2,1", "1,1e400 2,1", "4,1 5,1", "4,0 5,0",
            "4000,1 5000,1", "0.004,1 0.005,1", "1,\x00 2,1", "1,1_0 2,\u0663", '1,"2 3,4', "1," + "2" * 140_000]
    names = ["energy_keV,rate", "\ufeffenergy_keV,rate", "energy_keV;rate", "rate,rate", "", "#"]
    forms = ["", *("\n".join([name, *row.split(), ""]) for row in rows for name in names)]
    (folder / CSV).write_text(forms[place % len(forms)], encoding="utf-8")


def _no_file(folder: Path, place: int, noise: bytes) -> None:
    """Something else where a file should be."""
    path = folder / (CSV, *PARQUETS)[place % 3]
    path.unlink()
    kind = place // 3 % 5
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        os.mkfifo(path)
    elif kind in (2, 3):
        path.symlink_to(("/dev/zero", path.name)[kind - 2])


def _many(folder: Path, place: int, noise: bytes) -> None:
    """More rows than anybody has, in few bytes."""
    n = (3_000_000, 30_000_000)[place % 2]
    pq.write_table(pa.table({"energy_keV": pa.array(np.zeros(n, np.int8)), "rate": pa.array(np.zeros(n, np.int8))}),
                   folder / PARQUETS[1])  # fmt: skip


TABLES = {
    "truncated": _bytes(lambda content, place, noise: content[:place]),
    "spliced": _bytes(spliced),
    "flipped at the end": _bytes(lambda content, place, noise: spliced(content, max(0, len(content) - 1 - place % 400),
                                                                       noise[:1])),
    "empty": _bytes(lambda content, place, noise: b""),
    "swapped": lambda folder, place, noise: os.rename(folder / PARQUETS[place % 2], folder / PARQUETS[1 - place % 2]),
    "of another format": lambda folder, place, noise: (folder / CSV).write_bytes((folder / PARQUETS[0]).read_bytes()),
    "retyped": _retyped, "retyped again": lambda folder, place, noise: _retyped(folder, place * 31 + 7, noise),
    "renamed": _renamed, "csv": _csv, "no file": _no_file,
}  # fmt: skip


def test_what_nobody_should_write_is_one_line(tmp_path):
    tried = fuzz(tmp_path, SHORT)
    assert tried.codes[2] > SHORT / 4 and tried.codes[0] > 3, tried.codes


@pytest.mark.slow
def test_thousands_of_them(tmp_path):
    tried = fuzz(tmp_path, LONG)
    took, content, note = tried.slowest
    print(f"\n{sum(tried.codes.values())} mutations, by exit code {dict(tried.codes)}; slowest {took:.2f} s of a "
          f"processor ({note}); peak {tried.peak_GB:.2f} GB\n{content[:600]!r}")  # fmt: skip
    assert tried.peak_GB < MOST_GB


@pytest.mark.slow
def test_more_rows_than_are_read_are_refused(tmp_path):
    tables_of(tmp_path)
    _many(tmp_path, 0, b"")
    (tmp_path / "own.toml").write_bytes(written(BASES["own"]))
    with contextlib.chdir(tmp_path):
        code, _, err = said("status", "own.toml", "--store", "nowhere")
    assert code == 2 and "3,000,000 rows" in err
