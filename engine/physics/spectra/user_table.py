"""A spectrum from a file of the user's: CSV or Parquet with the columns `energy_keV` and `rate`.

`energy_keV` is the true recoil energy, `rate` in events / (t y keV); further columns are ignored, and in CSV lines
that begin with #. Between the rows the rate is linear, outside them 0. Errors count the rows from 1, below the
names.

As a background the table is taken as it stands, with `relative_uncertainty` of its rate. As a signal it is one for
a strength of 1 and grows linearly with the strength; a cross-section or a mass does not apply to it.
"""

import csv
import hashlib
import io
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from engine import files
from engine.errors import SHOWN, BadInput, listed, one_line, shown
from engine.physics.proposals import NEST_RANGE_KEV
from engine.physics.spectra._options import Options as Base
from engine.physics.spectra._tables import cells

LABEL = "user's table"
COLUMNS = ("energy_keV", "rate")
MOST_BYTES, MOST_ROWS = 100_000_000, 2_000_000  # a few thousand rows draw any spectrum


class Options(Base):
    """The file, and what cannot be seen from it. The file is read and checked with them; raises BadInput."""

    path: str = Field(description="a .csv or .parquet file")
    kind: Literal["ER", "NR"] = Field(description="kind of recoil")
    relative_uncertainty: float = Field(0.0, ge=0, description="1 sigma of the rate, as a fraction of it")

    @model_validator(mode="after")
    def _readable(self) -> "Options":
        _table(self.path)
        return self


def describe(options: Options) -> tuple[str, float]:
    """Kind and relative uncertainty, as the user gave them."""
    return options.kind, options.relative_uncertainty


def identity(options: Options) -> dict[str, Any]:
    """The options with the table's numbers, hashed, in place of the path; raises BadInput if it cannot be read."""
    content = hashlib.sha256(b"".join(column.tobytes() for column in _table(options.path))).hexdigest()
    return options.model_dump(mode="json", exclude={"path"}) | {"content": content}


def left_out(options: Options) -> str:
    """What of the table no event is made of; nothing where all of it lies within NEST's range."""
    energies, rates = _table(options.path)
    low, high = NEST_RANGE_KEV
    outside = energies[(rates > 0) & ((energies < low) | (energies > high))]
    if not len(outside):
        return ""
    return (f"{options.path} has a rate at {len(outside)} energies outside NEST's range, {low:g} to {high:g} keV "
            f"({outside.min():g} to {outside.max():g}): no event is made there")  # fmt: skip


def rate(energy_keV: np.ndarray, *, path: str, kind: str, relative_uncertainty: float = 0.0) -> np.ndarray:
    """Events / (t y keV) at true recoil energies; `kind` and `relative_uncertainty` do not enter.

    Raises BadInput in one line, with the row and its values, if the file is not such a table.
    """
    energy, (energies, rates) = np.asarray(energy_keV, dtype=np.float64), _table(path)
    return np.where(energy > 0, np.interp(energy, energies, rates, left=0.0, right=0.0), 0.0)


def energies_keV(options: Options) -> np.ndarray:
    """(rows,) true energies of the table."""
    return _table(options.path)[0]


def _table(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Checked energies and rates; a file is read every time, so that what counts is what it holds now."""
    content, suffix = files.read(path, MOST_BYTES), Path(path).suffix.lower()
    if suffix not in _READERS:
        raise BadInput(f"{path}: a table is one of {', '.join(_READERS)}")
    try:
        return _checked(content, suffix)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error


@lru_cache(maxsize=32)
def _checked(content: bytes, suffix: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        energies, rates = _READERS[suffix](content)
    except BadInput:
        raise
    except (pa.ArrowException, csv.Error, OSError, ValueError) as error:  # ValueError: of what is not UTF-8
        raise BadInput(f"not a {suffix[1:]} table: {error}") from error
    if len(energies) < 2:
        raise BadInput(f"a spectrum needs at least 2 rows, found {len(energies)}")
    for name, values in zip(COLUMNS, (energies, rates), strict=True):
        _refuse(~np.isfinite(values), name, values, "is not a finite number")
        _refuse(values < 0, name, values, "is negative")
    steps = np.diff(energies, prepend=-1.0)
    _refuse(steps == 0, "energy_keV", energies, "repeats the row before it")
    _refuse(steps < 0, "energy_keV", energies, "is below the row before it, {}")
    return energies, rates


def _refuse(bad: np.ndarray, name: str, values: np.ndarray, fault: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise BadInput(f"row {row + 1}: {name} {values[row]} {fault.format(values[row - 1])}")


def _from_csv(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    names, rows = cells(content.decode("utf-8-sig"))
    _need_columns(names)
    if bad := [i for i, row in enumerate(rows, 1) if len(row) != len(names)]:
        raise BadInput(f"row {bad[0]}: {len(rows[bad[0] - 1])} cells under {len(names)} column names")
    return tuple(_numbers(name, [row[names.index(name)] for row in rows]) for name in COLUMNS)


def _numbers(name: str, column: list[str]) -> np.ndarray:
    for row, cell in enumerate(column, 1):
        try:
            float(cell)
        except ValueError:
            raise BadInput(f"row {row}: {name} {shown(cell)} is not a number") from None
    return np.array([float(cell) for cell in column])


def _from_parquet(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    with pq.ParquetFile(io.BytesIO(content), pre_buffer=False) as file:  # without threads, see `store.parts`
        _need_columns(file.schema_arrow.names)
        if (n_rows := file.metadata.num_rows) > MOST_ROWS:
            raise BadInput(f"{n_rows:,} rows; at most {MOST_ROWS:,} are read")
        table = file.read(columns=list(COLUMNS), use_threads=False)
    return tuple(_floats(name, table[name]) for name in COLUMNS)


def _floats(name: str, column: pa.ChunkedArray) -> np.ndarray:
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise BadInput(f"{name} holds {one_line(str(column.type), SHOWN)}, not numbers")
    return column.cast(pa.float64()).to_numpy()


def _need_columns(names: list[str]) -> None:
    for name in COLUMNS:
        if names.count(name) != 1:
            raise BadInput(f"needs one column {name!r}; found: {listed(names) or 'none'}")


_READERS = {".csv": _from_csv, ".parquet": _from_parquet}
