"""The tables of a scan as a HEPData submission, written and validated by hepdata_lib: plane, limits and T3.

Independent variables are where a row is; every number has its errors as labelled uncertainties; what a whole column
shares is a qualifier. Values have five significant digits.
"""

import contextlib
import io
import tempfile
from collections.abc import Iterable
from pathlib import Path

from engine.errors import BadInput
from engine.inference.significance import z_one_sided
from engine.lineage import label, row_label
from engine.run.pipeline import Outcome

TOYS, POOL, SEED = "toys: count and median, 68 %", "finite pool, jack-knife", "sd over training seeds"
KEYWORDS = {"phrases": ["Dark Matter", "WIMP", "Xenon", "Direct detection", "Anomaly detection", "Sensitivity"]}
NONE = "-"  # where there is no number
SHARED = ("rates", "detector", "signal", "nr_window", "er_window")  # qualifiers: what no row of a study differs in
OF_SCORE = ("score", "models", "tuned_on", "ts_unit")
LONGEST = 64  # characters of a table's name

Rows = list[dict]


def files(outcome: Outcome, name: str) -> dict[str, bytes]:
    """submission.yaml and its tables; raises BadInput without hepdata_lib."""
    try:
        import hepdata_lib
    except ImportError as error:
        raise BadInput(f"HEPData tables need hepdata_lib: pip install 'recoilscan[export]' ({error})") from error
    submission = hepdata_lib.Submission()
    submission.comment = _comment(outcome, name)
    for table in [*_planes(outcome), *_limits(outcome), *_reach(outcome)]:
        submission.add_table(table)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        submission.create_files("submission", validate=True)  # it leaves an archive in the working directory
        return {path.name: path.read_bytes() for path in sorted(Path("submission").iterdir())}


def _comment(outcome: Outcome, name: str) -> str:
    study = outcome.plan.study
    return (f"Median sensitivity of the study {name} of recoilscan (table {outcome.plan.table}): simulated, no data. "
            f"Rates: {study.backgrounds.rates}; the leakage of electron recoils is {study.backgrounds.leakage.words}. "
            "p and Z are one-sided and of the median experiment with signal; p is never 0, and where its tail is "
            "'bound' it is at most what is given.")  # fmt: skip


def _planes(outcome: Outcome) -> Iterable:
    """A table for every statistic and R, of all points that have an answer."""
    size, rows = outcome.plan.study.signal.size, outcome.table.to_pylist()
    for i, (R, statistic) in enumerate(outcome.plan.wanted, 1):
        mine = [row for row in rows if (row["R"], row["statistic"]) == (R, statistic) and row["p_median"] is not None]
        if not mine:
            continue
        shared = _qualifiers(mine[0], *SHARED, *([] if R is None else OF_SCORE), "R", "statistic", "leakage_known")
        axes = ", ".join(_axes(mine, size.name, "exposure_ty"))
        yield _table(
            f"Plane {i} {row_label(statistic, R)}",
            f"p of the median experiment with signal by {statistic}, over {axes}.",
            _where(mine, size, "exposure_ty"),
            [_variable("p_median", mine, shared, toys=_interval(mine, ("p_low", "p_high"), "p_median")),
             _variable("z_median", mine, shared, "sigma", toys=_interval(_z(mine), ("z_low", "z_high"), "z_median")),
             _variable("tail", mine, shared),
             *_of_law(mine, shared),
             *(_variable(name, mine, shared, unit) for name, unit in (("z_count", "sigma"), ("n_background", "events"),
               ("n_signal", "events"), ("er_leakage", ""))),
             _variable("pool_limited", _words(mine, "pool_limited"), shared)],
        )  # fmt: skip


def _of_law(rows: Rows, shared: dict) -> list:
    """Z by the exact law with what the finite pool and the training are worth, where there is any."""
    if all(row["z_exact"] is None for row in rows):
        return []
    return [_variable("z_exact", rows, shared, "sigma", pool=_column(rows, "z_pool_error"),
                      seed=_column(rows, "z_seed_error")), _variable("exact_tail", rows, shared)]  # fmt: skip


def _limits(outcome: Outcome) -> Iterable:
    """The limits of the search that knows the signal."""
    size, rows = outcome.plan.study.signal.size, outcome["limits"].table.to_pylist()
    if not rows:
        return
    shared = _qualifiers(rows[0], *SHARED, "statistic", "level", "interval")
    names = [size.named(word) for word in ("90", "90_error", "low", "high", "power_constrained", "lower_end")]
    median, error, *others = names
    yield _table(
        "Limits", "Median upper limit without signal, and the band of its central 68.27 %, of a profile likelihood in "
        "(cS1, cS2) that knows the signal.",
        _where(rows, size, "exposure_ty", with_size=False),
        [_variable(median, rows, shared, size.unit, toys=_column(rows, error)),
         *(_variable(name, rows, shared, size.unit) for name in others),
         _variable("z_discovery", rows, shared, "sigma"), _variable("method", rows, shared),
         _variable("pool_limited", _words(rows, "pool_limited"), shared)],
    )  # fmt: skip


def _reach(outcome: Outcome) -> Iterable:
    """The exposures of three sigma; where there is none within the range, its end and what that means."""
    size, rows = outcome.plan.study.signal.size, outcome["reach"].table.to_pylist()
    if not rows:
        return
    shared = _qualifiers(rows[0], *SHARED, *OF_SCORE, "p_false_alarm", "power", "leakage_known")
    yield _table(
        "T3", "Smallest exposure beyond which the median experiment with signal stays beyond three sigma; status says "
        "where it lies outside the range that was looked at, checked_to_ty how far that went.",
        [*_where(rows, size), _axis("statistic", rows), _axis("R", rows)],
        [_variable("t3_ty", rows, shared, "t y", pool=_column(rows, "t3_error_ty"),
                   seed=_column(rows, "t3_seed_error_ty")),
         _variable("status", rows, shared), _variable("checked_to_ty", rows, shared, "t y"),
         _variable("method", rows, shared), _variable("pool_limited", _words(rows, "pool_limited"), shared)],
    )  # fmt: skip


def _table(name: str, description: str, where: list, variables: list):
    from hepdata_lib import Table

    table = Table(name[:LONGEST])
    table.description, table.location, table.keywords = description, "recoilscan", KEYWORDS
    for variable in (*where, *variables):
        table.add_variable(variable)
    return table


def _axes(rows: Rows, *others: str) -> list[str]:
    return [name for name in ("m_chi_GeV", *others) if any(row[name] is not None for row in rows)]


def _where(rows: Rows, size, *others: str, with_size: bool = True) -> list:
    """Independent variables: mass, where the signal has one, its size, and others."""
    units = {"m_chi_GeV": "GeV", size.name: size.unit, "exposure_ty": "t y"}
    return [_axis(name, rows, units[name]) for name in _axes(rows, *([size.name] if with_size else []), *others)]


def _axis(name: str, rows: Rows, unit: str = ""):
    from hepdata_lib import Variable

    return Variable(name, is_independent=True, is_binned=False, units=unit, values=_known(rows, name))


def _variable(name: str, rows: Rows, shared: dict, unit: str = "", **errors: list):
    """A dependent variable with its qualifiers; errors: symmetric ones, or (minus, plus), by what they come from."""
    from hepdata_lib import Uncertainty, Variable

    made = Variable(name, is_independent=False, is_binned=False, units=unit, values=_known(rows, name),
                    zero_uncertainties_warning=False)  # fmt: skip
    for key, value in shared.items():
        made.add_qualifier(key, value)
    for label_of, values in zip(({"toys": TOYS, "pool": POOL, "seed": SEED}[e] for e in errors), errors.values(),
                                strict=True):  # fmt: skip
        if any(value is not None for value in values):
            error = Uncertainty(label_of, is_symmetric=not isinstance(values[0], tuple))
            error.values = values
            made.add_uncertainty(error)
    return made


def _known(rows: Rows, name: str) -> list:
    return [NONE if row[name] is None else row[name] for row in rows]


def _column(rows: Rows, name: str) -> list:
    return [row[name] for row in rows]


def _words(rows: Rows, name: str) -> Rows:
    """Rows whose flag of this name is a word, for YAML knows no numbers that are true."""
    return [row | {name: "yes" if row[name] else "no"} for row in rows]


def _interval(rows: Rows, ends: tuple[str, str], of: str) -> list[tuple[float, float]]:
    """(minus, plus) of each row, signed."""
    return [(row[ends[0]] - row[of], row[ends[1]] - row[of]) for row in rows]


def _z(rows: Rows) -> Rows:
    """Rows with the ends of Z that belong to those of p."""
    return [row | {"z_low": z_one_sided(row["p_high"]), "z_high": z_one_sided(row["p_low"])} for row in rows]


def _qualifiers(row: dict, *names: str) -> dict[str, str | float]:
    return {name: label(row[name]) if name == "R" else row[name] for name in names if row[name] is not None}
