"""What of the events passes: windows in what is seen of them, and an efficiency that the simulation does not know.

A window or a curve is in the true energy (`energy_keV`), the combined one (`ces_keVee`), or an area (`s1`, `s2`, `cs1`,
`cs2`) with its unit: photoelectrons (`cs1_pe`) or photons detected (`cs1_phd`), as a publication has it.
"""

import csv
import hashlib
from functools import lru_cache

import numpy as np

from engine import files
from engine.errors import BadInput, unknown
from engine.physics.spectra._tables import cells

AREAS = tuple(f"{area}_{unit}" for area in ("s1", "s2", "cs1", "cs2") for unit in ("pe", "phd"))
MOST_BYTES = 10_000_000  # of a curve
AXES = ("energy_keV", "ces_keVee", *AREAS)

Columns = dict[str, np.ndarray]


def values(columns: Columns, name: str, pe_per_phd: float) -> np.ndarray:
    """(n,) values of one of AXES from the columns of `engine.physics.events.simulate` and true energies."""
    if name.endswith("_phd"):
        return columns[name.removesuffix("_phd") + "_pe"] / pe_per_phd
    return columns[name]


def passes(columns: Columns, windows: dict[str, tuple[float, float]], pe_per_phd: float) -> np.ndarray:
    """(n,) bool: whether an event is registered and within every window, its lower end included."""
    passed = columns["registered"].copy()
    for name, (low, high) in windows.items():
        value = values(columns, name, pe_per_phd)
        passed &= (value >= low) & (value < high)
    return passed


def efficiency(of: float | str, columns: Columns, pe_per_phd: float) -> np.ndarray:
    """(n,) share of such events that are kept: a number, or a curve from a CSV, flat beyond its ends.

    Raises BadInput in one line, with the row and its values, if the file is not such a table.
    """
    if not isinstance(of, str):
        return np.full(len(columns["registered"]), of)
    axis, at, kept = curve(of)
    return np.interp(values(columns, axis, pe_per_phd), at, kept)


def identity(of: float | str) -> float | str:
    """What a digest is made of: the number, or the hash of a curve's numbers."""
    if not isinstance(of, str):
        return of
    axis, *numbers = curve(of)
    return hashlib.sha256(axis.encode() + b"".join(column.tobytes() for column in numbers)).hexdigest()


def curve(path: str) -> tuple[str, np.ndarray, np.ndarray]:
    """One of AXES, its ascending values, and the efficiency at each; raises BadInput."""
    text = files.text(path, MOST_BYTES)
    try:
        return _checked(text)
    except (ValueError, csv.Error) as error:
        raise BadInput(f"{path}: {error}") from error


@lru_cache(maxsize=8)
def _checked(text: str) -> tuple[str, np.ndarray, np.ndarray]:
    names, rows = cells(text)
    if len(names) != 2 or names[1] != "efficiency":
        raise BadInput(f"needs two columns, one of {', '.join(AXES)} and efficiency; found: "
                       f"{', '.join(names) or 'none'}")  # fmt: skip
    if names[0] not in AXES:
        raise unknown("axis of an efficiency", names[0], AXES)
    if bad := [i for i, row in enumerate(rows, 1) if len(row) != 2]:
        raise BadInput(f"row {bad[0]}: {len(rows[bad[0] - 1])} cells under 2 column names")
    if len(rows) < 2:
        raise BadInput(f"a curve needs at least 2 rows, found {len(rows)}")
    at, kept = np.array(rows, dtype=np.float64).T
    faults = {"is no finite number": ~np.isfinite(at) | ~np.isfinite(kept), "has an efficiency outside 0 to 1":
              (kept < 0) | (kept > 1), "does not ascend": np.diff(at, prepend=-np.inf) <= 0}  # fmt: skip
    for fault, where in faults.items():
        if where.any():
            row = int(np.argmax(where))
            raise BadInput(f"row {row + 1}: {at[row]:g}, {kept[row]:g} {fault}")
    return names[0], at, kept
