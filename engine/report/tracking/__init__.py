"""MLflow: a run per scan, its fits nested in it, its models by name. The only home of mlflow.

**Runs.** A run is found again by its tag `lineage`, a fit's by that and by the scan that it is nested in
(`mlflow.parentRunId`). One that is RUNNING, FAILED or KILLED is gone on with, and gets what it lacks; one that is
FINISHED is whole, and stays as it is.

**Metrics.** `z`, with `R`, `beta` and `exposure_ty` of the row that it is from, is the number to sort models by:
`records` says which row. `z_STATISTIC_EXPOSURE` are those of all others at the benchmark. Curves against mass
have the place of the mass in the grid as their step, and the mass itself as the metric `m_chi_GeV` at the same steps:
on a chart of `z_by_mass_...` or `p_by_mass_...`, choose the metric `m_chi_GeV` as its x-axis, or stay with the step.
`seconds_STAGE` has a step per pass over the scan: a scan that was killed twice has three. `progress` is the share of
the scan's items that are done, its step their number.

**Fits.** `train_loss` and `validation_loss` come epoch by epoch while a fit runs (`epochs`), whatever else at the end.

**Models.** `recoilscan-FAMILY` has a version per fit; `engine.report.tracking.models` says which of them is `champion`.
"""

from engine.report.tracking.client import default_uri
from engine.report.tracking.live import Live
from engine.report.tracking.record import LoggedModel, Rank, Record
from engine.report.tracking.runs import log, show

__all__ = ["Live", "LoggedModel", "Rank", "Record", "default_uri", "log", "show"]
