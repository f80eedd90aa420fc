"""Simulated events as rows of a list of observed ones: in its columns, units, digits and types, lest one stand out.

A column of the list that no simulation knows (widths of pulses, times) has no such rows.
"""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from engine.errors import BadInput, unknown
from engine.physics import event_list, event_pulses, events
from engine.physics.detectors import TPC
from engine.physics.event_list import Sources

LOOKED_AT = 10_000  # values of a column, for its digits
Columns = dict[str, np.ndarray]


def rows(path: str | Path, table: pa.Table, sources: Sources, tpc: TPC, columns: Columns) -> pa.Table:
    """Events in the columns of a list that are in `sources`, of its types.

    `columns`: of `engine.physics.events.simulate`, with fields (n, length) of a `Readout` where the list has pulses.
    Raises BadInput for pulses that no simulated one can be like.
    """
    made = {}
    for quantity, (name, source) in sources.items():
        given = table[source]
        if event_pulses.is_list(given.type):
            values = _pulses(path, quantity, source, given, _width(table, sources, quantity), tpc, columns)
        else:
            values = _like(given, _in_unit(quantity, name, given, tpc, columns))
        made[source] = _cast(values, given.type)
    return pa.table(made)


def _in_unit(quantity: str, name: str, given: pa.ChunkedArray, tpc: TPC, columns: Columns) -> np.ndarray:
    """(n,) values of a quantity under the name that says their unit."""
    if quantity in event_pulses.NAMES:  # the width of a sample, the same for all
        n = len(next(iter(columns.values())))
        return np.full(n, given[0].as_py(), np.float64)
    values = columns[quantity] / event_list.factor(name, events.mean_charge(tpc))
    if quantity == "z_cm" and given.to_numpy().max() <= 0:  # 0 at the top, as in straxen: here it is at the cathode
        values = values - tpc.drift_length_cm
    return np.log10(values) if name.startswith("log10_") else values


def _like(given: pa.ChunkedArray, values: np.ndarray) -> np.ndarray:
    """Values with no more digits than those given have: significant ones, and behind the point."""
    shown = given.slice(0, LOOKED_AT).to_numpy()
    if shown.dtype == np.float64 and (shown == shown.astype(np.float32)).all():
        shown = shown.astype(np.float32)
    numbers = [Decimal(str(value)).normalize().as_tuple() for value in shown]
    significant = max(len(number.digits) for number in numbers)
    decimals = max(max(0, -number.exponent) for number in numbers)
    rounded = [round(float(f"{value:.{significant - 1}e}"), decimals) for value in values.tolist()]
    return np.array(rounded, np.float64).astype(shown.dtype)


def _width(table: pa.Table, sources: Sources, quantity: str) -> np.ndarray | None:
    width = sources.get(f"{quantity[:2]}_sample_ns")
    return None if width is None or not quantity.endswith("waveform") else table[width[1]].to_numpy()


def _pulses(
    path: str | Path, quantity: str, source: str, given: pa.ChunkedArray, width_ns: np.ndarray | None, tpc: TPC,
    columns: Columns,
) -> np.ndarray:  # fmt: skip
    """(n, length) of a waveform in samples like the list's, or of an area per channel."""
    lengths = np.unique(pc.list_value_length(given).to_numpy())
    if len(lengths) > 1 or (width_ns is not None and len(np.unique(width_ns)) > 1):
        raise BadInput(f"{path}: {source} has waveforms of different lengths or widths of samples: by its own a hidden "
                       "event would stand out; write all events with the same")  # fmt: skip
    pulse = quantity[:2]
    if width_ns is None:
        return np.concatenate([columns[f"{pulse}_top"], columns[f"{pulse}_bottom"]], axis=1)
    own_ns = np.full(len(columns[quantity]), getattr(tpc, f"{pulse}_sample_ns"))
    return event_pulses.sampled(columns[quantity], own_ns, float(width_ns[0]), int(lengths[0]))


def _cast(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    if event_pulses.is_list(kind):
        flat = _cast(values.reshape(-1), kind.value_type)
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1]).cast(kind)
    return pa.array(np.rint(values) if pa.types.is_integer(kind) else values).cast(kind)


def write(path: str | Path, table: pa.Table) -> None:
    """A table of events as .csv, .parquet or .npy, by the end of its name; raises BadInput for another."""
    writers = {".csv": _csv, ".parquet": _parquet, ".npy": _structured}
    if (suffix := Path(path).suffix.lower()) not in writers:
        raise unknown("kind of an event list", suffix, writers)
    writers[suffix](table, path)


def _csv(table: pa.Table, path: str | Path) -> None:
    pyarrow.csv.write_csv(table, path)


def _parquet(table: pa.Table, path: str | Path) -> None:
    pq.write_table(table, path, compression="zstd")


def _structured(table: pa.Table, path: str | Path) -> None:
    arrays = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        lists = event_pulses.is_list(column.type)
        values = np.array(column.to_pylist()) if lists or pa.types.is_string(column.type) else column.to_numpy()
        arrays[name] = values.astype(column.type.value_type.to_pandas_dtype()) if lists else values
    made = np.zeros(len(table), [(name, values.dtype, values.shape[1:]) for name, values in arrays.items()])
    for name, values in arrays.items():
        made[name] = values
    with open(path, "wb") as file:
        np.save(file, made)
