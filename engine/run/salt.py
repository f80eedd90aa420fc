"""Salt: hidden events of a study's signal in a list of observed ones, under a key that is kept sealed until a reveal.

The list holds nothing that tells them: they have its columns, units, digits and labels, and all its rows are shuffled.
Beside it stands the SHA-256 of the key, which fixes what was hidden before anybody looks. Everything follows from a
seed, secret unless it is given, which only the key has.
"""

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from engine import files, lineage
from engine.errors import BadInput
from engine.physics import event_list, event_rows
from engine.run import drawn
from engine.store import sealed
from engine.study import Study

MOST_BYTES, MOST_EVENTS = 10_000_000, 1e5
STREAM = "salt"  # first word of the keys of its random streams


@dataclass(frozen=True)
class SaltKey:
    """What was hidden: `rows` of the salted list, from 1, are salt. seed: in hexadecimal digits; n_expected: the mean
    that their number was drawn from; signal: its place; data: SHA-256 of the list before."""

    seed: str
    rows: list[int]
    n_expected: float
    signal: dict[str, float]
    data: str


@dataclass(frozen=True)
class Salted:
    """What may be known of a salted list: the SHA-256 of its file, and of the key's."""

    list_sha256: str
    key_sha256: str


def beside(path: str | Path) -> Path:
    """Where it is said that a list is salted."""
    return Path(f"{path}.salted.json")


def key_of(path: str | Path) -> Path:
    """Where the key of a salted list is, unless it was taken elsewhere."""
    return Path(f"{path}.key.json")


def fresh_seed() -> int:
    """One that cannot be guessed."""
    return secrets.randbits(128)


def salt(
    study: Study, data: str | Path, into: str | Path, key: str | Path, exposure_ty: float,
    n_expected: float | None = None, seed: int | None = None,
) -> tuple[float, list[str]]:  # fmt: skip
    """Writes `into`, what stands beside it, and the key; n_expected: unless given, what the benchmark gives.

    Returns n_expected, and the columns that were left out since no simulated event has them. Raises BadInput.
    """
    constants, columns = study.detector.constants, study.data.columns
    suffixes = [Path(path).suffix.lower() for path in (data, into)]
    if suffixes[0] != suffixes[1]:
        raise BadInput(f"{into}: the name of a salted list ends as that of the list does, in {suffixes[0]}")
    if written := [str(path) for path in (into, beside(into), key) if Path(path).exists()]:
        raise BadInput(f"{written[0]} is there already; nothing is written over")
    table, array = event_list.open_table(data), study.detector.s2_array
    pulses = event_list.pulses_of(table, columns)
    event_list.read(data, constants, array, columns, pulses)
    sources = event_list.sources(data, table, array, columns, pulses)
    n_expected, seed = _mean(study, exposure_ty, n_expected), fresh_seed() if seed is None else seed
    rng, point = lineage.stream(STREAM, seed), study.benchmark_signal
    n = int(rng.poisson(n_expected))
    made = drawn.exactly(study, drawn.of_signal(study, point), n, (STREAM, seed), pulses)
    salted = _labelled(data, table, event_list.labelled(table, columns), n, rng)
    salted |= dict(_columns(event_rows.rows(data, table, sources, constants, made)))
    names = [name for name in table.column_names if name in salted]
    order, whole = _shuffled(table.select(names), pa.table(salted).select(names), rng)
    event_rows.write(into, whole)
    rows = (np.flatnonzero(order >= len(table)) + 1).tolist()
    kept = SaltKey(f"{seed:x}", rows, n_expected, point.place, _sha256(data))
    _seal(into, key, kept)
    return n_expected, [name for name in table.column_names if name not in names]


def _mean(study: Study, exposure_ty: float, n_expected: float | None) -> float:
    if n_expected is None:
        n_expected = exposure_ty * drawn.selected_per_ty(study, drawn.of_signal(study, study.benchmark_signal))
    if not 0 < n_expected <= MOST_EVENTS:
        raise BadInput(f"{n_expected:g} hidden events are expected; it must be above 0 and at most {MOST_EVENTS:g}")
    return n_expected


def _columns(table: pa.Table) -> list[tuple[str, pa.ChunkedArray]]:
    return list(zip(table.column_names, table.columns, strict=True))


def _shuffled(table: pa.Table, salted: pa.Table, rng: np.random.Generator) -> tuple[np.ndarray, pa.Table]:
    """Which row stands where, and the rows of both in that order."""
    both = pa.concat_tables([table.cast(table.schema.remove_metadata()), salted.cast(table.schema.remove_metadata())])
    order = rng.permutation(len(both))
    return order, both.take(order)


def _seal(into: str | Path, key: str | Path, kept: SaltKey) -> None:
    Path(key).write_bytes(sealed.dumped(kept))
    beside(into).write_bytes(sealed.dumped(Salted(_sha256(into), _sha256(key))))


def _sha256(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _labelled(
    path: str | Path, table: pa.Table, labels: dict[str, str], n: int, rng: np.random.Generator
) -> dict[str, pa.Array]:
    """Labels of n events: a run of the list, and a number that it has not, between the first and last that it has.

    Numbers that are no integers are left out. Raises BadInput where every number is taken.
    """
    run, number = labels.get("run_id"), labels.get("event_number")
    if number is None or not pa.types.is_integer(table[number].type):
        return {} if run is None else {run: _taken(table[run], rng.integers(len(table), size=n))}
    runs = np.zeros(len(table)) if run is None else np.array(table[run].to_pylist(), dtype=str)
    names, of_row = np.unique(runs, return_inverse=True)
    taken = [set(table[number].to_numpy()[of_row == i].tolist()) for i in range(len(names))]
    ends, rows, numbers = [(min(one), max(one)) for one in taken], [], []
    for _ in range(n):
        has_room = np.array([len(one) <= high - low for one, (low, high) in zip(taken, ends, strict=True)])
        if not has_room.any():
            raise BadInput(f"{path}: no run has a number in {number} between its first and its last event that is not "
                           "taken, so that hidden events would stand out; leave that column out")  # fmt: skip
        rows.append(int(rng.choice(np.flatnonzero(has_room[of_row]))))
        numbers.append(_unused(taken[of_row[rows[-1]]], *ends[of_row[rows[-1]]], rng))
    made = {number: pa.array(np.array(numbers, np.int64)).cast(table[number].type)}
    return made if run is None else made | {run: _taken(table[run], np.array(rows, np.int64))}


def _unused(taken: set[int], low: int, high: int, rng: np.random.Generator) -> int:
    """A number that is not taken, which it is from then on."""
    while (one := int(rng.integers(low, high))) in taken:
        continue
    taken.add(one)
    return one


def _taken(column: pa.ChunkedArray, rows: np.ndarray) -> pa.ChunkedArray:
    return column.take(pa.array(rows, pa.int64()))


def reveal(path: str | Path, key: str | Path) -> SaltKey:
    """What was hidden in a list; raises BadInput where list and key are not those that were sealed."""
    known = _opened(Salted, beside(path), f"{path} is not said to be salted")
    if _sha256(path) != known.list_sha256:
        raise BadInput(f"{path} is not as it was salted: its SHA-256 is not the one in {beside(path)}")
    kept = _opened(SaltKey, key, "its key")
    if _sha256(key) != known.key_sha256:
        raise BadInput(f"{key} is not the key that was sealed: its SHA-256 is not the one in {beside(path)}")
    return kept


def _opened(kind: type, path: str | Path, what: str):
    if not Path(path).is_file():
        raise BadInput(f"{what}: no such file: {path}")
    try:
        return sealed.parsed(kind, files.read(path, MOST_BYTES))
    except ValueError as error:
        raise BadInput(f"{path}: {error}") from error


def notes(path: str | Path) -> list[str]:
    """What must be said of a list that is known to be salted."""
    if not beside(path).is_file():
        return []
    is_it = _opened(Salted, beside(path), "").list_sha256 == _sha256(path)
    return ["this list is salted with hidden events of a signal: no number of it is one of the data" if is_it else
            f"{beside(path)} is of another list than this one"]  # fmt: skip
