"""The rows of the result table that one figure shows, and the words that name them."""

import math
import re
import textwrap
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from engine.errors import BadInput
from engine.size import Size

MODELS = ("models", "score", "rates")
SETTING = (*MODELS, "leakage_known", "nr_window")
FLOOR = "floor"  # a role in `engine.schemas.DIAGNOSTICS`: what every classifier must beat
SPELT = {"vae": "VAE", "mlp": "MLP", "cnn": "CNN", "elbo": "ELBO", "conv": "convolutional", "s1": "S1", "s2": "S2",
         "er": "ER", "nr": "NR", "z": "Z", "t3": "T3", "argos": "ARGOS",
         "xe124": "$^{124}$Xe", "ec": "captures"}  # fmt: skip
STATISTICS = {
    "extended_poisson": "extended Poisson", "centred": "centred extended Poisson", "count": "count of all events",
    "tail_count": "count above a threshold", "excess_scan": "scan over thresholds",
    "known_signal": "known signal (oracle)", "pearson": "Pearson", "binned_poisson": "Poisson in bins of (cS1, cS2)",
}  # fmt: skip
TITLE = 82  # characters of a title that fit above a figure of ordinary width


def select(table: pa.Table, **wanted) -> pa.Table:
    """Rows whose columns hold the values wanted (floats to 1e-9); BadInput lists the values there are."""
    for name, value in wanted.items():
        held = table[name].to_pylist()
        chosen = [_same(one, value) for one in held]
        if not any(chosen):
            raise BadInput(f"no row with {name} = {value!r}; there is {_listed(held)}")
        table = table.filter(pa.array(chosen))
    return table


def setting(table: pa.Table, names: Sequence[str] = SETTING) -> dict:
    """What all rows of a figure must share, by column; BadInput if they do not."""
    for name in names:
        if len(held := table[name].unique()) > 1:
            there = _listed(held.to_pylist())
            raise BadInput(f"one figure shows one {name}, the rows have {there}: filter the table")
    return {name: table[name][0].as_py() for name in names}


def column(table: pa.Table, name: str) -> np.ndarray:
    """A numeric column as float64, null as NaN."""
    return table[name].to_numpy().astype(float)


def number(value: float) -> str:
    """A number for a label: 200, or 2.5 x 10^5 in mathtext."""
    mantissa, _, exponent = f"{value:.4g}".partition("e")
    if not exponent:
        return mantissa
    power = rf"10^{{{int(exponent)}}}"
    return f"${mantissa[:-1]}{power}$" if mantissa in ("1", "-1") else rf"${mantissa}\times{power}$"


def few_numbers(axes: Axes) -> None:
    """A handful of ticks along x, each with its own power of ten: one for all would stand on the axis' label."""
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(lambda value, place: number(value))


def words(name: str) -> str:
    """A name of the code as words."""
    return STATISTICS.get(name) or " ".join(SPELT.get(word, word) for word in name.split("_"))


def wrapped(*lines: str, width: int = TITLE) -> str:
    """The lines of a title, each broken where it would be cut at the figure's edge."""
    return "\n".join(textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) for line in lines)


def model_words(row: dict) -> str:
    """The classifier of a row of `engine.schemas.DIAGNOSTICS`, and whether it is the floor."""
    return f"{row['role']}, {words(row['model'])}" if row["role"] == FLOOR else words(row["model"])


def population_words(name: str) -> str:
    """A population of `engine.schemas.DIAGNOSTICS` as words: uniform 1-100 keV."""
    kind, low, high, unit = name.split("_")
    return f"{kind} {low}–{high} {unit}"


def score_words(statistic: str, R: float | None) -> str:
    """A statistic and the R of its score, if it looks at one."""
    return words(statistic) if R is None else f"{words(statistic)}, R = {number(R)}"


def describe(shared: dict) -> str:
    """The setting as one line of a title."""
    known = f", leakage {leakage_words(shared['leakage_known'])}" if "leakage_known" in shared else ""
    window = re.sub(r"N(\d+)T([\d.]+)", r"\1 tubes in \2 ns", shared["nr_window"])
    return f"{describe_models(shared)}; NR: {window}; {words(shared['rates'])} rates{known}"


def describe_models(shared: dict) -> str:
    """The models of a setting and the numbers of their score."""
    models = " + ".join(words(pair.partition(" = ")[2]) for pair in shared["models"].split(", "))
    score = shared["score"].partition(", ")[2].replace("beta", r"$\beta$")
    return ", ".join(filter(None, [models, score]))


def leakage_words(known_to: float) -> str:
    """How well the leakage is known, by the factor that is one sigma of it."""
    return "exactly known" if known_to == 1 else f"known to a factor of {known_to:.3g}"


def place_words(size: Size, point: dict[str, float]) -> str:
    """A signal's mass, if it has one, and the value of its size, by their names."""
    mass = [rf"$m_\chi$ = {number(point['m_chi_GeV'])} GeV"] if "m_chi_GeV" in point else []
    return ", ".join([*mass, size.of(number(point[size.name]))])


def _same(one, value) -> bool:
    if isinstance(one, float) and isinstance(value, int | float):
        return math.isclose(one, value, rel_tol=1e-9)
    return one == value


def _listed(values: list) -> str:
    return ", ".join(str(value) for value in sorted(set(values) - {None})) or "nothing"
