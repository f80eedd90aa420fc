"""A list of observed events: what was reconstructed of each, found by column names that carry their unit.

CSV with a line of names, Parquet, or a NumPy structured array. A study maps names to columns of other names:
`[data] columns = { cs1_phd = "s1c_phd", log10_cs2_phd = "log10_s2c_phd" }`. Names that are known need no map:

- corrected S1: `cs1` or `s1c`, with `_pe` or `_phd` (photons detected) behind it, and perhaps `log10_` before it;
- corrected S2: `cs2` or `s2c` alike; in a detector whose S2 is that of the bottom array, `cs2_bottom` or `s2c_bottom`;
- the others of `NAMES`, which a list need not have, and pulses by the names of strax (`engine.physics.event_pulses`),
  in Parquet or a structured array.
"""

import hashlib
import re
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from engine import files
from engine.errors import SHOWN, BadInput, listed, one_line, unknown
from engine.physics import event_pulses, events
from engine.physics.detectors import TPC, Readout, _collection

MOST_BYTES, MOST_ROWS = 1_000_000_000, 1_000_000
LARGEST_LOG10 = 9.0  # of an area
LEAST = {"cs1_pe": 2.0, "cs2_pe": 10.0}  # a list whose largest area is below is one of logarithms
DIGITS = 5  # of log10 of an area: by these, lists are told apart


def _forms(*stems: str) -> tuple[str, ...]:
    return tuple(f"{log}{stem}_{unit}" for log in ("", "log10_") for stem in stems for unit in ("pe", "phd"))


CS2_OF = {"both": _forms("cs2", "s2c"), "bottom": _forms("cs2_bottom", "s2c_bottom")}  # by the arrays that see the S2
NAMES = {
    "cs1_pe": _forms("cs1", "s1c"), "cs2_pe": (*CS2_OF["both"], *CS2_OF["bottom"]),
    "drift_us": ("drift_us", "drift_time_us", "drift_time_ns"), "s1_pe": ("s1_pe", "s1_phd"),
    "s2_pe": ("s2_pe", "s2_phd"), "x_cm": ("x_cm", "x"), "y_cm": ("y_cm", "y"), "z_cm": ("z_cm", "z"),
}  # fmt: skip
LABELS = ("run_id", "event_number")
KNOWN = NAMES | event_pulses.NAMES
ALL = (*(name for names in KNOWN.values() for name in names), *LABELS)
Sources = dict[str, tuple[str, str]]  # quantity -> its name, which says the unit, and the file's column


@dataclass(frozen=True)
class EventList:
    """Events of a list, (n,) each: `columns` by the names of NAMES, and `ces_keVee`, with fields (n, length) of a
    `Readout` that were asked for; `labels`: words by LABELS; row: from 1; data: by what the list is known, however it
    is written; n_listed: rows of the file."""

    columns: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    row: np.ndarray
    data: str
    n_listed: int

    def __len__(self) -> int:
        return len(self.row)

    def only(self, kept: np.ndarray) -> "EventList":
        """These of them."""
        columns = {name: values[kept] for name, values in self.columns.items()}
        labels = {name: values[kept] for name, values in self.labels.items()}
        return replace(self, columns=columns, labels=labels, row=self.row[kept])

    @property
    def readout(self) -> Readout:
        """What representations are made of; what the list has not, or was not asked for, is (n, 0)."""
        absent = np.zeros((len(self), 0), np.float32)
        return Readout(**{field.name: self.columns.get(field.name, absent) for field in fields(Readout)})

    @cached_property
    def content(self) -> str:
        """SHA-256 of the numbers."""
        made = hashlib.sha256()
        for name, values in sorted(self.columns.items()):
            made.update(name.encode() + np.ascontiguousarray(values).tobytes())
        return made.hexdigest()


def check_names(columns: dict[str, str]) -> None:
    """Raises BadInput for a name that a map of columns cannot have."""
    for name in columns:
        if name not in ALL:
            raise unknown("name of [data] columns", name, ALL)


def read(
    path: str | Path, tpc: TPC, s2_array: str = "both", columns: dict[str, str] | None = None,
    needed: tuple[str, ...] = (),
) -> EventList:  # fmt: skip
    """The events of a file, areas in PE: a photon detected is as many as it is on average in this detector.

    `s2_array`: "both" or "bottom", the arrays that the detector's S2 is of; `columns`: names -> columns of the file;
    `needed`: of NAMES, beside cs1_pe and cs2_pe, or pulses, fields of a `Readout`. Raises BadInput, with the row, for
    what cannot be.
    """
    table = open_table(path)
    from_, pe_per_phd = sources(path, table, s2_array, columns, needed), events.mean_charge(tpc)
    found, raw = {}, []
    for quantity in NAMES:
        if quantity in from_:
            values = _in_its_unit(path, quantity, *from_[quantity], _numbers(path, table, from_[quantity][1]))
            raw += [values] if quantity in LEAST else []
            found[quantity] = values * factor(from_[quantity][0], pe_per_phd)
    areas = (found[name] / pe_per_phd for name in ("cs1_pe", "cs2_pe"))
    found["ces_keVee"] = _collection.combined_energy_keVee(tpc, *areas)
    found |= _pulses(path, table, tpc, from_, needed)
    labels = {name: _words(path, table, source) for name, source in labelled(table, columns).items()}
    return EventList(found, labels, np.arange(1, len(table) + 1), _known_by(raw), len(table))


def open_table(path: str | Path) -> pa.Table:
    """The file as it is; raises BadInput where it is no table, or one without an event."""
    table = _table(path)
    if not len(table):
        raise BadInput(f"{path}: it holds no event")
    if len(table) > MOST_ROWS:
        raise BadInput(f"{path}: {len(table):,} rows; at most {MOST_ROWS:,} are read")
    return table


def sources(
    path: str | Path, table: pa.Table, s2_array: str, columns: dict[str, str] | None, needed: tuple[str, ...] = ()
) -> Sources:
    """Where in the file every quantity is; of pulses those that are needed. Raises BadInput where one is not."""
    pulses = {quantity for field in needed for quantity in event_pulses.MADE_OF.get(field, ())}
    must, from_ = {"cs1_pe", "cs2_pe", *needed}, {}
    for quantity, names in (KNOWN | {"cs2_pe": CS2_OF[s2_array]}).items():
        if quantity in NAMES or quantity in pulses:
            asked = _asked(path, table, quantity, names, columns or {}, quantity in must or quantity in pulses)
            from_ |= {} if asked is None else {quantity: asked}
    return from_


def pulses_of(table: pa.Table, columns: dict[str, str] | None) -> tuple[str, ...]:
    """The fields of a `Readout` that the file has pulses for."""
    def has(quantity: str) -> bool:
        return any((columns or {}).get(name, name) in table.column_names for name in event_pulses.NAMES[quantity])

    return tuple(field for field, made_of in event_pulses.MADE_OF.items() if all(map(has, made_of)))


def labelled(table: pa.Table, columns: dict[str, str] | None) -> dict[str, str]:
    """The columns of the file that are labels, by LABELS."""
    named = {name: (columns or {}).get(name, name) for name in LABELS}
    return {name: source for name, source in named.items() if source in table.column_names}


def _pulses(
    path: str | Path, table: pa.Table, tpc: TPC, from_: Sources, needed: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """(n, length) float32 by field of a `Readout`, of those that are needed."""
    made = {}
    for quantity in (quantity for quantity in event_pulses.NAMES if quantity in from_):
        source = from_[quantity][1]
        if quantity.endswith("area_per_channel"):
            made |= event_pulses.arrays(path, tpc, quantity, _rows(path, table, source))
        elif quantity.endswith("waveform"):
            pulse, (_, width) = quantity[:2], from_[f"{quantity[:2]}_sample_ns"]
            sample_ns = _numbers(path, table, width)
            _refuse(path, sample_ns <= 0, width, sample_ns, "is no width of a sample in ns")
            wanted = getattr(tpc, f"{pulse}_sample_ns"), getattr(tpc, f"{pulse}_samples")
            made[quantity] = event_pulses.sampled(_rows(path, table, source), sample_ns, *wanted)
    return {field: values for field, values in made.items() if field in needed}


def _rows(path: str | Path, table: pa.Table, name: str) -> np.ndarray:
    column = table[name]
    if not event_pulses.is_list(column.type):
        raise BadInput(f"{path}: {name} holds {one_line(str(column.type), SHOWN)}, not lists of numbers, which a "
                       ".parquet or .npy file can have")  # fmt: skip
    _refuse(path, column.is_null().to_numpy(), name, column, "is empty")
    rows = event_pulses.rows(column)
    unfit = ~np.isfinite(rows)
    first = rows[np.arange(len(rows)), unfit.argmax(axis=1)] if rows.size else rows
    _refuse(path, unfit.any(axis=1), name, first, "is not a finite number")
    return rows


def _table(path: str | Path) -> pa.Table:
    files.check(path, MOST_BYTES)
    readers = {".csv": _csv, ".parquet": pq.read_table, ".npy": _structured}
    if (suffix := Path(path).suffix.lower()) not in readers:
        raise unknown("kind of an event list", suffix, readers)
    try:
        table = readers[suffix](path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadInput(f"{path}: not a table of events: {error}") from error
    return table.rename_columns([name.strip() for name in table.column_names])


def _csv(path: str | Path) -> pa.Table:
    held = pa.BufferOutputStream()  # memory of Arrow's: its threads then hold nothing of Python, see `store.parts`
    held.write(files.text(path, MOST_BYTES).encode())  # without its BOM
    return pyarrow.csv.read_csv(pa.BufferReader(held.getvalue()))


def _structured(path: str | Path) -> pa.Table:
    array = np.load(path, allow_pickle=False)
    if array.dtype.names is None or array.ndim != 1:
        raise ValueError(f"an array of {array.dtype} and shape {array.shape}, which is not structured")
    return pa.table({name: _column(array[name]) for name in array.dtype.names})


def _column(values: np.ndarray) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, int(np.prod(values.shape[1:])))


def _asked(
    path: str | Path, table: pa.Table, quantity: str, names: tuple[str, ...], columns: dict[str, str], needed: bool
) -> tuple[str, str] | None:
    """The name of a quantity and the file's column for it; None where there is none and none is needed."""
    there = table.column_names
    known = KNOWN[quantity]
    found = [(name, columns[name]) for name in known if name in columns]
    found = found or [(name, name) for name in names if name in there]
    if absent := [source for _, source in found if there.count(source) != 1]:
        raise BadInput(f"{path}: needs one column {absent[0]!r}; found: {listed(there)}")
    if len(found) > 1:
        raise BadInput(f"{path}: {found[0][1]} and {found[1][1]} are both {_called(quantity)}: say which by "
                       f"[data] columns = {{ {found[0][0]} = {found[0][1]!r} }}")  # fmt: skip
    if needed and not found:
        other = [name for name in known if name in there]
        if other:  # of S2, what the other array alone or both of them saw
            raise BadInput(f"{path}: {other[0]} is not what this detector sees of the S2 ({names[0]}); if it is meant: "
                           f"[data] columns = {{ {names[0]} = {other[0]!r} }}")  # fmt: skip
        raise BadInput(f"{path}: no column for {_called(quantity)}; would do: {', '.join(names)}, or another "
                       f"by [data] columns = {{ {names[0]} = '...' }}; found: {listed(there)}")  # fmt: skip
    return found[0] if found else None


def _called(quantity: str) -> str:
    return re.sub("_(pe|us|cm|ns)$", "", quantity)


def _numbers(path: str | Path, table: pa.Table, name: str) -> np.ndarray:
    column = table[name]
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise BadInput(f"{path}: {name} holds {one_line(str(column.type), SHOWN)}, not numbers")
    missing = column.is_null().to_numpy()
    _refuse(path, missing, name, column, "is empty")
    values = np.asarray(column.to_numpy(), np.float64)
    _refuse(path, ~np.isfinite(values), name, values, "is not a finite number")
    return values


def _in_its_unit(path: str | Path, quantity: str, name: str, source: str, values: np.ndarray) -> np.ndarray:
    """The values, of a logarithm what it is of; raises BadInput where they cannot be of that unit."""
    if quantity not in (*LEAST, "s1_pe", "s2_pe", "drift_us"):
        return values
    if name.startswith("log10_"):
        _refuse(path, values > LARGEST_LOG10, source, values, "is no log10 of an area")
        return 10.0**values
    _refuse(path, values < 0, source, values, "is negative")
    if values.max() < LEAST.get(quantity, 0.0):
        raise BadInput(f"{path}: {source} is {values.max():g} at most, as a log10 would be; if it is one: "
                       f"[data] columns = {{ log10_{name} = {source!r} }}")  # fmt: skip
    return values


def factor(name: str, pe_per_phd: float) -> float:
    """What a value under a name is multiplied by to be in PE, or in us."""
    return pe_per_phd if name.endswith("_phd") else 1e-3 if name.endswith("_ns") else 1.0


def _words(path: str | Path, table: pa.Table, name: str) -> np.ndarray:
    column = table[name]
    if column.null_count:
        _refuse(path, column.is_null().to_numpy(), name, column, "is empty")
    return np.array([str(value) for value in column.to_pylist()], dtype=object)


def _refuse(path: str | Path, bad: np.ndarray, name: str, values: np.ndarray | pa.ChunkedArray, fault: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        value = "" if fault == "is empty" else f" {values[row]}"
        raise BadInput(f"{path}: row {row + 1}: {name}{value} {fault}")


def _known_by(areas: list[np.ndarray]) -> str:
    """A digest of the areas in their own unit, in any order of rows, to so many digits."""
    rounded = np.round(np.log10(np.maximum(areas, 1e-9)), DIGITS) + 0.0
    return hashlib.sha256(rounded[:, np.lexsort(rounded)].tobytes()).hexdigest()[:24]
