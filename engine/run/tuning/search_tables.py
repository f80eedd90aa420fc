"""Tables of a search over the models' fields: what a task says of a trial at a rung, and all trials."""

import pyarrow as pa

from engine.schemas import column

_MEASURED = [
    column("state", pa.string(), "", "complete; pruned: given up; diverged; underway: at an earlier rung"),
    column("objective", pa.float64(), "", "see objective_is; null where the trial did not end", True),
    column("objective_error", pa.float64(), "", "its jack-knife error from the finite pool", True),
    column("R", pa.float64(), "", "weight of H_B in the score, of the grid the one that serves best", True),
    column("m_chi_GeV", pa.float64(), "GeV/c2", "the WIMP mass where the objective is worst", True),
    column("er_leakage", pa.float64(), "", "ER above the TS of 30 % of NR, least over R; prunes trials", True),
    column("epochs", pa.string(), "", "epochs that each model was trained by this search; null: it diverged", True),
    column("reason", pa.string(), "", "why a trial diverged", True),
    column("lineage", pa.string(), "", "digest of everything that made this row"),
]

RUNGS = pa.schema(_MEASURED)

SEARCHED = pa.schema([
    column("trial", pa.int64(), "", "its number, from 0: the study as it is, where its values lie in the spaces"),
    column("best", pa.bool_(), "", "whether this trial was chosen: the study as it is, where it ties with the best"),
    column("ties", pa.bool_(), "", "whether it is as good as the best within the error of that one's objective"),
    column("objective_is", pa.string(), "", "worst Z of a statistic (sigma), er_leakage, argos, or t3 (t y)"),
    column("rungs", pa.int64(), "", "comparisons that it took part in"),
    *_MEASURED,
])  # fmt: skip


def searched(values: dict[str, list]) -> pa.Schema:
    """SEARCHED with a column per field of the search, by its whole name: numbers as they are, else words."""
    kinds = {name: pa.array(column).type for name, column in values.items()}
    return pa.schema([*SEARCHED, *(column(name, kind, "", "value of this field") for name, kind in kinds.items())])
