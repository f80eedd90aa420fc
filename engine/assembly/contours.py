"""Contours: the cross-section at which the median significance reaches a level, mass by mass."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import scipy

from engine import files
from engine.errors import BadInput
from engine.schemas import column
from engine.size import Size

KEYS = ("exposure_ty", "statistic", "models", "score", "R", "rates", "m_chi_GeV")
MOST_BYTES = 10_000_000  # of a limit curve
READ = ("z_median", "p_low", "p_high", "tail")


def fields(size: Size) -> list[pa.Field]:
    """The columns of a contour beside KEYS."""
    return [
        column("level_sigma", pa.float64(), "1", "one-sided median significance of the contour"),
        column(size.name, pa.float64(), size.unit, "from here up z_median stays at or above the level", True),
        column(size.named("low"), pa.float64(), size.unit, "with p_low for p_median; null: off the grid", True),
        column(size.named("high"), pa.float64(), size.unit, "with p_high for p_median; null: off the grid", True),
        column("status", pa.string(), "", "found | above_grid | below_grid | bound_limited"),
        column("bracket_low", pa.float64(), size.unit, "the point below; null: none, or Z is a bound", True),
        column("bracket_high", pa.float64(), size.unit, "the point above, from which on Z stays; null: none", True),
    ]


def contours(table: pa.Table, size: Size, levels_sigma: Sequence[float] = (1.0, 2.0, 3.0)) -> pa.Table:
    """One row per setting, mass and level: where z_median, linear in log sigma, reaches the level for good.

    Status `found`: two grid points bracket the crossing. `above_grid`: z is below the level at the highest
    sigma. `below_grid`: the level is already reached at the smallest nonzero sigma. `bound_limited`: a
    bracketing row is a lower bound on z, so sigma is an upper estimate; it is null if the highest sigma is
    itself a bound below the level, where more toys help and more sigma does not.
    The errors are those of p, taken point by point; one may be null where sigma is not. The bracket is the error of
    the grid: points between which the contour lies, whatever Z does between them.
    Rows at sigma = 0 or without z_median take no part. Raises BadInput on two rows for one grid point.
    """
    rows = [row for cell in _curves(table, size.name) for row in _crossings(cell, size, levels_sigma)]
    schema = pa.schema([*(table.schema.field(key) for key in KEYS), *fields(size)])
    crossings = pa.Table.from_pylist(rows, schema=schema)
    return crossings.sort_by([(key, "ascending") for key in (*KEYS, "level_sigma")])


def by_law(table: pa.Table) -> pa.Table:
    """A table of results whose Z, and how it was obtained, is the exact law's wherever that was asked."""
    known = table["p_exact"].is_valid()
    instead = {"z_median": "z_exact", "p_median": "p_exact", "p_low": "p_exact", "p_high": "p_exact",
               "tail": "exact_tail"}  # fmt: skip
    for name, law in instead.items():
        chosen = pa.compute.if_else(known, table[law], table[name])
        table = table.set_column(table.column_names.index(name), table.schema.field(name), chosen)
    return table


def write_csv(contours: pa.Table) -> bytes:
    """The contour table as CSV with a header; null is an empty cell."""
    buffer = io.BytesIO()
    pa.csv.write_csv(contours, buffer)
    return buffer.getvalue()


def read_curve(path: Path, size: str = "sigma_si_cm2") -> tuple[np.ndarray, np.ndarray]:
    """A limit curve from a CSV of two columns, m_chi in GeV and what the signal is linear in, in the file's order.

    The header `m_chi_GeV,sigma_si_cm2` (or the signal's own name), blank lines and comments (#) are optional.
    Raises BadInput.
    """
    text = files.read(path, MOST_BYTES).decode("utf-8-sig", errors="replace")
    try:
        lines = [(n, [cell.strip() for cell in row]) for n, row in enumerate(csv.reader(text.splitlines()), start=1)]
    except csv.Error as error:
        raise BadInput(f"{path}: not a CSV table: {error}") from error
    lines = [(n, row) for n, row in lines if any(row) and not row[0].startswith("#")]
    names = "m_chi_GeV", size
    if lines and lines[0][1] == list(names):
        lines = lines[1:]
    if not lines:
        raise BadInput(f"{path}: no points; wanted lines of {','.join(names)}")
    points = np.array([_point(path, names, n, row) for n, row in lines])
    return points[:, 0], points[:, 1]


def _point(path: Path, names: tuple[str, str], n: int, row: list[str]) -> tuple[float, ...]:
    if len(row) != len(names):
        wanted = ",".join(names)
        raise BadInput(f"{path}, line {n}: {len(row)} columns in {','.join(row)!r}; wanted {wanted}")
    return tuple(_positive(path, n, name, cell) for name, cell in zip(names, row, strict=True))


def _positive(path: Path, n: int, name: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise BadInput(f"{path}, line {n}: {name} = {cell!r}; wanted a positive number")
    return value


def _curves(table: pa.Table, size: str) -> list[dict]:
    """Per setting and mass, the size and the columns READ as lists in order of the size."""
    kept = (pa.compute.field(size) > 0) & ~pa.compute.field("z_median").is_null(nan_is_null=True)
    points = table.select([*KEYS, size, *READ]).filter(kept).sort_by(size)
    groups = points.group_by(list(KEYS), use_threads=False)  # threads would lose the order within a group
    return groups.aggregate([(name, "list") for name in (size, *READ)]).to_pylist()


def _crossings(cell: dict, size: Size, levels_sigma: Sequence[float]) -> list[dict]:
    keys = {key: cell[key] for key in KEYS}
    log_sigma, z, p_low, p_high = (np.array(cell[f"{name}_list"], dtype=float) for name in (size.name, *READ[:3]))
    if np.any(np.diff(log_sigma) == 0):
        raise BadInput(f"two rows for one {size.name} at {keys}: take one study at a time")
    log_sigma, bound = np.log10(log_sigma), np.array(cell["tail_list"]) == "bound"
    return [
        keys
        | {
            "level_sigma": level,
            size.name: _crossing(log_sigma, z, level),
            size.named("low"): _crossing(log_sigma, scipy.stats.norm.isf(p_low), level),
            size.named("high"): _crossing(log_sigma, scipy.stats.norm.isf(p_high), level),
            "status": _status(z, bound, level),
            **_bracket(np.array(cell[f"{size.name}_list"]), z, bound, level),
        }
        for level in levels_sigma
    ]


def _last_below(z: np.ndarray, level: float) -> int:
    """Index of the last point that is not at or above the level, -1 if there is none; NaN is not above."""
    return int(np.flatnonzero(np.append(True, ~(z >= level)))[-1]) - 1


def _crossing(log_sigma: np.ndarray, z: np.ndarray, level: float) -> float | None:
    """sigma of the last upward crossing, None if two grid points do not bracket it.

    z is infinite where p is 0 or 1: from -inf the crossing is at the upper point, to +inf at the lower.
    """
    i = _last_below(z, level)
    if i in (-1, len(z) - 1) or math.isnan(z[i]):
        return None
    t = 1.0 if z[i] == -math.inf else (level - z[i]) / (z[i + 1] - z[i])
    return float(10 ** (log_sigma[i] + t * (log_sigma[i + 1] - log_sigma[i])))


def _status(z: np.ndarray, bound: np.ndarray, level: float) -> str:
    i = _last_below(z, level)
    if i == -1:
        return "below_grid"
    if bound[i : i + 2].any():
        return "bound_limited"
    return "above_grid" if i == len(z) - 1 else "found"


def _bracket(sigma: np.ndarray, z: np.ndarray, bound: np.ndarray, level: float) -> dict[str, float | None]:
    i = _last_below(z, level)
    return {
        "bracket_low": None if i == -1 or bound[i] or math.isnan(z[i]) else float(sigma[i]),
        "bracket_high": None if i == len(z) - 1 else float(sigma[i + 1]),
    }
