"""A background that is a table of the user's events: calibration data, accidental pairs, surface events, neutrons.

A Parquet file with the columns of `engine.schemas.USER_EVENTS`, of which `features` is needed and so is `ces_keVee`,
unless `window = "none"` says that every event of the table passes the selection. Where there is a column `selected`,
as in the tables of a scan, its false rows never pass. `rate_per_ty` is the rate of the events that pass, each in
proportion to its `weight`; the networks score them like any other event.

To make a table of simulated or recorded readouts: `engine.physics.event_table.write`.
"""

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from engine import files, schemas
from engine.errors import SHOWN, BadInput, listed, one_line
from engine.physics.spectra._options import Options as Base

LABEL = "user's events"
MOST_ROWS = 20_000_000
KIND = "USER"  # no recoil of either kind: `rate` would have no meaning


class Options(Base):
    """The file, the rate of its events, and which of them count. Its columns are checked with them; BadInput."""

    path: str = Field(description="a .parquet file")
    rate_per_ty: float = Field(gt=0, description="events per t y that pass the selection")
    relative_uncertainty: float = Field(0.0, ge=0, description="1 sigma of the rate, as a fraction of it")
    window: Literal["ces", "none"] = Field("ces", description="er_window_keVee applied to ces_keVee, or nothing")

    @model_validator(mode="after")
    def _readable(self) -> "Options":
        _check_columns(self)
        return self


def describe(options: Options) -> tuple[str, float]:
    """KIND and relative uncertainty, as the user gave it."""
    return KIND, options.relative_uncertainty


def identity(options: Options) -> dict[str, Any]:
    """The options with the file's hash in place of its path."""
    return options.model_dump(mode="json", exclude={"path"}) | source(options)


def source(options: Options) -> dict[str, Any]:
    """What of `identity` the events depend on: another rate leaves them and their scores as they are."""
    content = hashlib.sha256(Path(options.path).read_bytes()).hexdigest()
    return {"content": content, "window": options.window}


def n_rows(options: Options) -> int:
    """Events in the table, selected or not."""
    return pq.read_metadata(options.path).num_rows


def n_features(options: Options) -> int:
    """Length of every event's features."""
    return pq.read_schema(options.path).field("features").type.list_size


def weights(options: Options, window_keVee: tuple[float, float]) -> np.ndarray:
    """(rows,) share of `rate_per_ty` of each event, 0 for those that do not pass; the sum is 1.

    Raises BadInput for numbers that cannot be, and where fewer than two events pass: one half of them makes f0,
    the other the toys.
    """
    columns = {name: _column(options, name) for name in ("weight", "ces_keVee", "selected")}
    weight, ces = columns["weight"], columns["ces_keVee"]
    share = np.ones(n_rows(options)) if weight is None else weight
    _refuse(options, share < 0, "weight", share, "is negative")
    if columns["selected"] is not None:
        share = share * (columns["selected"] == 1)
    if options.window == "ces":
        share = share * ((ces >= window_keVee[0]) & (ces < window_keVee[1]))
    if np.count_nonzero(share) < 2:
        condition = "" if options.window == "none" else f" with ces_keVee in [{window_keVee[0]:g}, {window_keVee[1]:g})"
        raise BadInput(f"{options.path}: needs at least 2 events{condition}, found {np.count_nonzero(share)} "
                       f"of {len(share)}")  # fmt: skip
    return share / share.sum()


def read(options: Options, start: int, n: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Truth and ces_keVee of n rows from `start`, NaN where the table has no such column, and features (n, length)."""
    try:
        there = pq.read_schema(options.path).names
        names = [name for name in ("features", "ces_keVee", *schemas.TRUTH) if name in there]
        table = _rows(options.path, names, start, n)
    except (pa.ArrowException, OSError) as error:  # of a fixed-size list, Parquet cannot read back one that is null
        raise BadInput(f"{options.path}: the {n} rows from {start + 1} cannot be read: {error}") from error
    features = table["features"].combine_chunks().flatten()
    if features.null_count:
        raise BadInput(f"{options.path}: features has a null within the {n} rows from {start + 1}")
    columns = {
        name: table[name].cast(pa.float64()).to_numpy() if name in names else np.full(len(table), np.nan)
        for name in ("ces_keVee", *schemas.TRUTH)
    }
    return columns, features.to_numpy().reshape(len(table), -1)


def _rows(path: str, names: list[str], start: int, n: int) -> pa.Table:
    """Rows of a file, from the row groups that hold them: features of many events are large."""
    with pq.ParquetFile(path) as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        ends = np.cumsum(sizes)
        wanted = [i for i, end in enumerate(ends) if end > start and end - sizes[i] < start + n]
        table = file.read_row_groups(wanted, columns=names)
    return table.slice(start - int(ends[wanted[0]] - sizes[wanted[0]]), n)


def _check_columns(options: Options) -> None:
    files.check(options.path)
    try:
        schema, n_rows = pq.read_schema(options.path), pq.read_metadata(options.path).num_rows
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: names that are not in UTF-8
        raise BadInput(f"{options.path}: not a Parquet file: {error}") from error
    if n_rows > MOST_ROWS:
        raise BadInput(f"{options.path}: {n_rows:,} rows; at most {MOST_ROWS:,} are read")
    needed = ["features"] + ["ces_keVee"] * (options.window == "ces")
    for name in ("features", "ces_keVee", "weight", "selected", *schemas.TRUTH):
        if (n := schema.names.count(name)) > 1 or (name in needed and n == 0):
            raise BadInput(f"{options.path}: needs one column {name!r}; found: {listed(schema.names) or 'none'}")
    _check_features(options.path, schema.field("features").type)
    for name in ("ces_keVee", "weight", *schemas.TRUTH):
        if name in schema.names and not _is_number(schema.field(name).type):
            raise BadInput(f"{options.path}: {name} holds {one_line(str(schema.field(name).type), SHOWN)}, not numbers")
    if "selected" in schema.names and not pa.types.is_boolean(kind := schema.field("selected").type):
        raise BadInput(f"{options.path}: selected holds {one_line(str(kind), SHOWN)}; expected bool: true or false")


def _check_features(path: str, kind: pa.DataType) -> None:
    if not (pa.types.is_fixed_size_list(kind) and pa.types.is_unsigned_integer(kind.value_type)):
        raise BadInput(f"{path}: features holds {one_line(str(kind), SHOWN)}; expected a fixed_size_list of unsigned "
                       "integers, as uint16")  # fmt: skip


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _column(options: Options, name: str) -> np.ndarray | None:
    """(rows,) a column as float64, all finite; None where the table has none. ces_keVee only if it is needed."""
    if name not in pq.read_schema(options.path).names or (name == "ces_keVee" and options.window == "none"):
        return None
    try:
        values = pq.read_table(options.path, columns=[name])[name].cast(pa.float64()).to_numpy()
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{options.path}: {name} cannot be read: {error}") from error
    _refuse(options, ~np.isfinite(values), name, values, "is not a finite number")
    return values


def _refuse(options: Options, bad: np.ndarray, name: str, values: np.ndarray, fault: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise BadInput(f"{options.path}: row {row + 1}: {name} {values[row]} {fault}")
