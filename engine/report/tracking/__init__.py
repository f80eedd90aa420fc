"""MLflow: a run per scan, its fits nested in it, its models by name. The only home of mlflow.

**Runs.** A run is found again by its tag `lineage`, a fit's by that and by the scan that it is nested in
(`mlflow.parentRunId`). One that is RUNNING, FAILED or KILLED is gone on with, and gets what it lacks; one that is
FINISHED is whole, and stays as it is.

**Metrics** are in sections. `headline/z`, with `R`, `beta` and `exposure_ty` of the row that it is from, is the number
to sort models by: `ranking` says which row, in a comparison its ranking. `z/STATISTIC_EXPOSURE` are those of all
others at the benchmark, `t3/` exposures of three sigma, `limits/` those of who knows the signal, `diagnostics/` what
the models are worth; a fit has `quality/`, and no Z. Curves `by_mass/` have the place of the mass in the grid as their
step, and the mass itself as the metric `by_mass/m_chi_GeV` at the same steps, to be chosen as x-axis. `seconds/STAGE`
has a step per pass over the scan: a scan that was killed twice has three. `progress` is the share of the scan's items
that are done, its step their number; `system/` what MLflow itself measures of the driver's machine meanwhile.

**View.** `views` keeps the columns, order and charts that a comparison needs as a saved view of the experiment.

**Fits.** `train_loss` and `validation_loss` come epoch by epoch while a fit runs (`epochs`), whatever else at the end.

**Models.** `recoilscan-FAMILY` has a version per fit; `engine.report.tracking.models` says which of them is `champion`.
"""

from engine.report.tracking.client import default_uri
from engine.report.tracking.live import Live
from engine.report.tracking.record import LoggedModel, Rank, Record
from engine.report.tracking.runs import log, show
from engine.report.tracking.views import link

__all__ = ["Live", "LoggedModel", "Rank", "Record", "default_uri", "link", "log", "show"]
