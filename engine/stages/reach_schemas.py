"""Tables of the exposure for three sigma: as they are sought, and as a study holds them."""

import pyarrow as pa

from engine.schemas import SETTING, column, place
from engine.size import Size

REACH_ROW = pa.schema([
    column("status", pa.string(), "", "found; beyond_range: not up to the range's end; below_range: at its beginning"),
    column("t3_ty", pa.float64(), "t y", "smallest exposure beyond which the power stays; null beyond the range", True),
    column("t3_error_ty", pa.float64(), "t y", "jack-knife error, finite pool; null: not asked, or of a bound", True),
    column("from_ty", pa.float64(), "t y", "the range's beginning"),
    column("to_ty", pa.float64(), "t y", "the range's end"),
    column("checked_to_ty", pa.float64(), "t y", "up to where the power was seen to stay, or to be too small"),
    column("p_false_alarm", pa.float64(), "", "p at or below which a search succeeds"),
    column("power", pa.float64(), "", "probability of that with the signal"),
    column("groups", pa.int64(), "", "groups of the jack-knife"),
    column("n_background", pa.float64(), "events", "expected selected background events at t3_ty, or the range's end"),
    column("n_signal", pa.float64(), "events", "expected selected signal events there"),
    column("er_leakage", pa.float64(), "", "selected electron recoils beyond the line of 30 % NR in (cS1, cS2)"),
    column("leakage_known", pa.float64(), "", "factor (1 sigma) to which the null knows er_leakage; 1: exactly"),
    column("pool_limited", pa.bool_(), "", "too few pool events there, or halves that differ beyond three errors"),
    column("lineage", pa.string(), "", "digest of everything that made this row"),
])  # fmt: skip

REACH_TOYS_ROW = pa.schema([
    *REACH_ROW,
    column("t3_low_ty", pa.float64(), "t y", "lower end of 68.27 % of t3_ty or more, from the finite toys", True),
    column("t3_high_ty", pa.float64(), "t y", "upper end of it; null: not by toys, or not within reach", True),
    column("n_toys_null", pa.int64(), "", "toys under background only at every exposure; 0: none were needed"),
    column("n_toys_signal", pa.int64(), "", "toys with signal at every exposure; 0: none were needed"),
])  # fmt: skip


def reach(size: Size) -> pa.Schema:
    """All exposures that a study seeks."""
    return pa.schema([
        *(field for field in place(size) if field.name != "exposure_ty"),
        *(field for field in REACH_TOYS_ROW if field.name != "lineage"),
        column("t3_seed_error_ty", pa.float64(), "t y", "sd of t3_ty over training seeds; null without any", True),
        column("t3_oracle_ty", pa.float64(), "t y", "that of known_signal on the same scores; null without one", True),
        column("t3_count_ty", pa.float64(), "t y", "that of the number of events alone", True),
        column("method", pa.string(), "", "exact: from laws of the statistic; toys: from its values in toys"),
        *SETTING,
        REACH_ROW.field("lineage"),
    ])  # fmt: skip
