"""Tables in CSV: a line of column names, then numbers; lines that begin with # are comments."""

import csv
import importlib.resources
from functools import cache

import numpy as np


def cells(text: str) -> tuple[list[str], list[list[str]]]:
    """Column names and rows of a CSV, as stripped strings; empty lines and comments are left out."""
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines)]
    return (rows[0], rows[1:]) if rows else ([], [])


@cache
def shipped(name: str) -> np.ndarray:
    """The columns of a table in `data`, shape (columns, rows), read-only; source and units stand in the file."""
    text = importlib.resources.files("engine.physics.spectra").joinpath("data", f"{name}.csv").read_text()
    columns = np.array(cells(text)[1], dtype=np.float64).T.copy()
    columns.flags.writeable = False
    return columns
