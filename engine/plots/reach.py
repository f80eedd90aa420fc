"""The exposure for three sigma against the WIMP mass: every statistic beside the oracle on its score."""

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.plots import canvas, legend_below, plain_numbers, styled
from engine.plots._rows import column, describe, number, score_words, select, setting, wrapped
from engine.size import Size


@styled
def t3_against_mass(table: pa.Table, size: Size) -> Figure:
    """t3_ty with its error, or by toys its interval, for each statistic and R.

    `table`: `reach_schemas.reach`, of one value of `size`. An arrow upwards at the range's end marks an exposure
    beyond it, one downwards at its beginning one below; dashed is what looks at the signal model. BadInput names what
    differs between the rows.
    """
    shared = setting(table)
    figure, axes = canvas()
    axes.set(xscale="log", yscale="log", xlabel=r"$m_\chi$ [GeV]", ylabel="exposure [t y]")
    pairs = set(zip(table["statistic"].to_pylist(), table["R"].to_pylist(), strict=True))
    for statistic, R in sorted(pairs, key=lambda pair: (pair[1] is not None, pair[0], pair[1] or 0.0)):
        _series(axes, select(table, statistic=statistic, R=R).sort_by("m_chi_GeV"), score_words(statistic, R))
    first = {name: table[name][0].as_py() for name in (size.name, "p_false_alarm", "power")}
    axes.set_ylim(table["from_ty"][0].as_py() / 1.3, table["to_ty"][0].as_py() * 1.3)
    aim = f"power {first['power']:g} at p = {number(first['p_false_alarm'])}"
    size_words = size.of(number(first[size.name]))
    axes.set_title(wrapped(f"{size_words}; {aim}", describe(shared)))
    plain_numbers(axes.xaxis)
    legend_below(figure)
    return figure


def _series(axes: Axes, rows: pa.Table, label: str) -> None:
    names = "m_chi_GeV", "t3_ty", "t3_error_ty", "t3_low_ty", "t3_high_ty"
    mass, t3, error, low, high = (column(rows, name) for name in names)
    status, dashed = rows["status"].to_numpy(), rows["model_dependent"][0].as_py()
    reached = status == "found"
    t3[~reached] = float("nan")  # a limit is no point of the line
    by_toys = np.stack([t3 - low, high - t3])
    error = np.where(np.isfinite(by_toys), by_toys, np.where(reached, error, np.nan))
    style = {"ls": "--" if dashed else "-", "ms": 6, "lw": 1.8, "elinewidth": 1.5, "capsize": 3}
    drawn = axes.errorbar(mass, t3, error, marker="o", label=label, **style)
    colour = drawn.lines[0].get_color()
    for name, end, marker in (("beyond_range", "to_ty", "^"), ("below_range", "from_ty", "v")):
        limit = status == name
        axes.plot(mass[limit], column(rows, end)[limit], marker, color=colour, ms=9, fillstyle="none")
