"""Tables of a battery: as its exposures are sought, and as a study holds them."""

import pyarrow as pa

from engine.schemas import SETTING, column
from engine.size import Size

BATTERY_ROW = pa.schema([
    column("status", pa.string(), "", "found; beyond_range: not up to the range's end; below_range: at its beginning"),
    column("t3_ty", pa.float64(), "t y", "exposure from which on the signal is found; null beyond the range", True),
    column("t3_error_ty", pa.float64(), "t y", "jack-knife error, finite pool; null: not asked, or of a bound", True),
    column("t3_priced_ty", pa.float64(), "t y", "the same at p / n_choices; null beyond the range", True),
    column("from_ty", pa.float64(), "t y", "the range's beginning"),
    column("to_ty", pa.float64(), "t y", "the range's end"),
    column("p_false_alarm", pa.float64(), "", "p at or below which a search succeeds"),
    column("power", pa.float64(), "", "probability of that with the signal"),
    column("n_choices", pa.int64(), "", "statistics on scores that are tried together, of which this may be one"),
    column("groups", pa.int64(), "", "groups of the jack-knife"),
    column("n_background_per_ty", pa.float64(), "1/(t y)", "expected selected background events"),
    column("n_signal_per_ty", pa.float64(), "1/(t y)", "expected selected signal events"),
    column("signal_pool_size", pa.float64(), "", "effective signal events that experiments are drawn from"),
    column("er_leakage", pa.float64(), "", "selected electron recoils beyond the line of 30 % NR in (cS1, cS2)"),
    column("leakage_known", pa.float64(), "", "factor (1 sigma) to which the null knows er_leakage; 1: exactly"),
    column("pool_limited", pa.bool_(), "", "too few pool events behind the statistic there"),
    column("lineage", pa.string(), "", "digest of everything that made this row"),
])  # fmt: skip

WORDS = ("additive", "affine_invariant", "monotone_invariant", "score", "signal", "ts_unit")  # of one score and signal


def battery(size: Size) -> pa.Schema:
    """All exposures of a battery; `size`: that of the study's own signal, which is none of the battery's."""
    return pa.schema([
        column("signal", pa.string(), "", "name of the signal in the battery"),
        column("spectrum", pa.string(), "", "its spectrum"),
        column("kind", pa.string(), "", "ER, NR, or USER of a table of events"),
        column("m_chi_GeV", pa.float64(), "GeV/c2", "WIMP mass; null for a signal without one", True),
        column("size", pa.float64(), "", "what its rate is linear in, in the unit that size_name ends with"),
        column("size_name", pa.string(), "", "name of that: a cross-section, or a strength"),
        column("replaces", pa.string(), "", "component of the background that it stands in place of; null: none", True),
        column("score", pa.string(), "", "what the statistic looks at; null: at none, or at all that are tried", True),
        column("R", pa.float64(), "", "weight in the score, 0 where it has none; null without a score", True),
        column("statistic", pa.string(), "", "test statistic; known_signal: an oracle; combined: the smallest p"),
        *(field for field in BATTERY_ROW if field.name != "lineage"),
        column("t3_oracle_ty", pa.float64(), "t y", "that of the oracle in (cS1, cS2); null beyond the range", True),
        column("t3_oracle_error_ty", pa.float64(), "t y", "its jack-knife error", True),
        column("ratio", pa.float64(), "", "t3_ty over t3_oracle_ty, or where ratio_is a bound the least that it is; "
               "null without an oracle", True),
        column("ratio_error", pa.float64(), "", "both errors in squares, as if of different pools", True),
        column("ratio_is", pa.string(), "", "found; at_least, at_most: t3_ty is beyond the range, or below; no_oracle"),
        *(field for field in SETTING if field.name not in WORDS),
        BATTERY_ROW.field("lineage"),
    ])  # fmt: skip
