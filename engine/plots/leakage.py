"""What is left of a search by how well the leakage is known: Z and the exposure of three sigma."""

import itertools

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from engine.plots import styled
from engine.plots._rows import SETTING, describe, number, score_words, setting, wrapped
from engine.size import Size

LINES = ("-", "--", ":", "-.")  # by exposure, the largest first
KNOWN = "leakage_known"
LABELS = {KNOWN: "leakage known to a factor (1: exactly)", "calibration_events": "calibration events"}


@styled
def leakage(table: pa.Table, size: Size) -> Figure:
    """Z at the benchmark (above) and the exposure of three sigma (below) against the factor to which the leakage is
    known (left) and against the number of calibration events that tell it (right).

    `table`: `engine.schemas.leakage`. An arrow marks a bound: Z is larger, the exposure beyond the range that was
    searched. One colour per statistic and R, one line per exposure.
    """
    shared = setting(table, [name for name in SETTING if name != KNOWN])
    rows = table.to_pylist()
    of = {KNOWN: [row for row in rows if row["calibration_events"] is None],
          "calibration_events": [row for row in rows if row["calibration_events"] is not None]}  # fmt: skip
    of = {name: mine for name, mine in of.items() if mine}
    colours = {pair: f"C{i}" for i, pair in enumerate(_series(rows))}
    sought = any(row["exposure_ty"] is None for row in rows)
    figure = Figure(layout="constrained", figsize=(2.5 + 5.0 * len(of), 6.0 + 4.5 * sought))
    panels = figure.subplots(1 + sought, len(of), sharey="row", squeeze=False)
    for axes, (name, mine) in zip(panels.T, of.items(), strict=True):
        _significances(axes[0], [row for row in mine if row["exposure_ty"] is not None], name, colours)
        if sought:
            _exposures(axes[1], [row for row in mine if row["exposure_ty"] is None], name, colours)
        axes[-1].set_xlabel(LABELS[name])
        for one in axes:
            one.set_xscale("linear" if name == KNOWN else "log")
    panels[0, 0].set_ylabel("Z, one-sided")
    if sought:
        panels[1, 0].set_ylabel(r"exposure for 3$\sigma$ [t y]")
        panels[1, 0].set_yscale("log" if any(row["t3_ty"] is not None for row in rows) else "linear")
    first = rows[0]
    place = size.of(number(first[size.name])) if first[size.name] is not None else ""
    mass = "" if first["m_chi_GeV"] is None else rf"$m_\chi$ = {first['m_chi_GeV']:g} GeV, "
    title = wrapped(f"{mass}{place}; {first['er_leakage']:.2g} of ER leak", describe(shared), width=30 + 45 * len(of))
    figure.suptitle(title, fontsize=13, x=0.02, ha="left")
    figure.legend(handles=_handles(rows, colours), loc="outside lower center", ncols=1 + len(of))
    return figure


def _series(rows: list[dict]) -> dict[tuple, list[dict]]:
    made: dict[tuple, list[dict]] = {}
    for row in rows:
        made.setdefault((row["statistic"], row["R"]), []).append(row)
    return made


def _line_of(rows: list[dict]) -> dict[float, str]:
    """A style for each exposure, the largest first; beyond the fourth they come again."""
    exposures = sorted({row["exposure_ty"] for row in rows} - {None}, reverse=True)
    return dict(zip(exposures, itertools.cycle(LINES)))


def _handles(rows: list[dict], colours: dict[tuple, str]) -> list[Line2D]:
    """Colours of statistics, styles of exposures, and the mark of a bound."""
    named = [Line2D([], [], color=colour, marker="o", label=score_words(*pair)) for pair, colour in colours.items()]
    styles = [Line2D([], [], color="black", ls=line, label=f"{exposure_ty:g} t y")
              for exposure_ty, line in _line_of(rows).items()]  # fmt: skip
    bound = Line2D([], [], color="black", ls="", marker="^", ms=10, fillstyle="none", label="a bound: more than this")
    return [*named, *styles, bound]


def _significances(axes: Axes, rows: list[dict], name: str, colours: dict[tuple, str]) -> None:
    for pair, mine in _series(rows).items():
        for exposure_ty, line in _line_of(rows).items():
            some = [row for row in mine if row["exposure_ty"] == exposure_ty]
            x, z = (np.array([row[key] for row in some]) for key in (name, "z"))
            axes.plot(x, z, ls=line, marker="o", ms=5, color=colours[pair])
            bound = np.array([row["tail"] == "bound" for row in some], bool)
            axes.plot(x[bound], z[bound], "^", ms=10, color=colours[pair], fillstyle="none")
    for level in (3, 5):
        axes.axhline(level, color="black", ls="--", lw=1, zorder=0)


def _exposures(axes: Axes, rows: list[dict], name: str, colours: dict[tuple, str]) -> None:
    for pair, mine in _series(rows).items():
        x = np.array([row[name] for row in mine])
        t3 = np.array([np.nan if row["t3_ty"] is None else row["t3_ty"] for row in mine])
        axes.plot(x, t3, "-", marker="o", ms=5, color=colours[pair])
        known = t3[np.isfinite(t3)]
        beyond = ~np.isfinite(t3)
        if len(known) and beyond.any():
            axes.plot(x[beyond], np.full(beyond.sum(), 1.3 * known.max()), "^", ms=10, color=colours[pair],
                      fillstyle="none")  # fmt: skip
