"""What a search is blind to: every signal of a battery by every statistic on every score."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from engine.plots import styled
from engine.plots._rows import describe, setting, words, wrapped

SHARED = ("models", "rates", "leakage_known", "nr_window")
BOUND = {"hatch": "///", "facecolor": "none", "edgecolor": "white", "linewidth": 0.0}
LEAST, MOST = 1.0, 100.0  # ratios at the ends of the colours
OUTLINE = [withStroke(linewidth=2.5, foreground="white")]


@styled
def ratios(table: pa.Table) -> Figure:
    """Exposure of three sigma over that of the oracle in (cS1, cS2), signals down and statistics on scores across.

    `table`: `battery_schemas.battery`. Hatched: the exposure is beyond the range, and the number a lower bound. Grey:
    the oracle's is not within it, and a number the exposure itself. BadInput names what differs between the rows.
    """
    shared = setting(table, SHARED)
    rows = table.filter(pc.field("score").is_null() | (pc.field("score") != "cs1_cs2")).to_pylist()
    names = list(dict.fromkeys(row["signal"] for row in rows))
    columns = _columns(rows)
    ratio, is_bound = np.full((len(names), len(columns)), np.nan), np.zeros((len(names), len(columns)), bool)
    t3_ty = np.full(ratio.shape, np.nan)
    for row in rows:
        place = names.index(row["signal"]), columns.index((row["score"], row["statistic"]))
        is_bound[place] = row["t3_ty"] is None
        if row["ratio"] is not None:
            ratio[place] = row["ratio"]
        elif not is_bound[place]:
            t3_ty[place] = row["t3_ty"]
    figure = Figure(layout="constrained", figsize=(3.5 + 0.62 * len(columns), 3.2 + 0.42 * len(names)))
    axes = figure.subplots()
    axes.set_facecolor("0.75")
    mesh = axes.imshow(ratio, cmap="viridis_r", norm=LogNorm(LEAST, MOST), aspect="auto")
    _numbers(axes, ratio, t3_ty, is_bound)
    axes.set_xticks(range(len(columns)), [_title(*column) for column in columns], rotation=90, fontsize=11)
    axes.set_yticks(range(len(names)), [_row_title(table, name) for name in names], fontsize=11)
    axes.tick_params(which="both", length=0)
    for place in _borders(columns):
        axes.axvline(place - 0.5, color="white", lw=3)
    figure.colorbar(mesh, extend="both", label="T3 over the oracle's in (cS1, cS2)", pad=0.01)
    first = rows[0]
    aim = f"power {first['power']:g} at p = {first['p_false_alarm']:.3g}"
    low, high = first["from_ty"], first["to_ty"]
    said = (f"hatched: beyond {high:g} t y, a lower bound; grey: the oracle's is not in {low:g} to {high:g} t y, and a "
            "number is T3 in t y")  # fmt: skip
    axes.set_title(wrapped(f"{aim}; {said}", describe(shared | {"score": ""}), width=60 + 5 * len(columns)))
    return figure


def _columns(rows: list[dict]) -> list[tuple[str | None, str]]:
    """What looks at a score side by side, of each score the search that is told the signal last; what looks at none,
    and `combined`, first."""
    found = dict.fromkeys((row["score"], row["statistic"]) for row in rows)
    scores = list(dict.fromkeys(score for score, _ in found))
    order = {"combined": 1, "known_signal": 2}
    return sorted(found, key=lambda one: (one[0] is not None, scores.index(one[0]), order.get(one[1], 0)))


def _borders(columns: list[tuple[str | None, str]]) -> list[int]:
    return [i for i in range(1, len(columns)) if columns[i][0] != columns[i - 1][0]]


def _title(score: str | None, statistic: str) -> str:
    of_score = {None: "", "elbo": "VAE: ", "classifier": "classifier: ", "elbo_and_classifier": "TS: ",
                "two_dimensional": "2-D: "}  # fmt: skip
    short = {"known_signal": "told", "excess_scan": "scan", "tail_count": "tail", "extended_poisson": "ext. Poisson"}
    return of_score.get(score, f"{score}: ") + short.get(statistic, statistic.replace("_", " "))


def _row_title(table: pa.Table, name: str) -> str:
    """A signal and its rate."""
    per_ty = table.filter(pc.field("signal") == name)["n_signal_per_ty"][0].as_py()
    return f"{words(name)} ({per_ty:.2g}/t y)"


def _numbers(axes: Axes, ratio: np.ndarray, t3_ty: np.ndarray, is_bound: np.ndarray) -> None:
    boxes = [Rectangle((j - 0.5, i - 0.5), 1, 1) for i, j in zip(*np.nonzero(is_bound), strict=True)]
    axes.add_collection(PatchCollection(boxes, **BOUND, alpha=0.25))
    for (i, j), value in np.ndenumerate(ratio):
        if np.isfinite(value) or np.isfinite(t3_ty[i, j]):
            number = f"{value:{'.2g' if value < 100 else '.0f'}}" if np.isfinite(value) else f"{t3_ty[i, j]:.2g} t y"
            axes.text(j, i, f"{'>' if is_bound[i, j] else ''}{number}", ha="center", va="center", fontsize=10,
                      color="black", path_effects=OUTLINE)  # fmt: skip
