"""The curves of fits, in runs of their own nested in the scan's, while they are fitted."""

import time

from engine.progress import FitProgress
from engine.report.tracking import runs
from engine.report.tracking.record import Record


class Epochs:
    """Tells MLflow each epoch once, whoever told of those before; the rest of a fit's run comes at the scan's end.

    `items`: of the fits that have a run in the end.
    """

    def __init__(self, client, experiment_id: str, parent: str, items: set[str]):
        self.client, self.experiment_id, self.parent, self.items = client, experiment_id, parent, items
        self.open: dict[str, str] = {}  # run by item
        self.told: dict[str, int] = {}  # epochs by run

    def tell(self, under_way: dict[str, FitProgress]) -> None:
        """Logs what is new of these fits, by item. Raises what MLflow raises."""
        for item, fit in under_way.items():
            if item in self.items and fit.train:
                self._log(self.open[item] if item in self.open else self._opened(item, fit.name), fit)

    def end(self, status: str) -> None:
        """The runs of a scan that did not come to its end."""
        for run_id in self.open.values():
            self.client.set_terminated(run_id, status)

    def _opened(self, item: str, name: str) -> str:
        record = Record(item, name, {}, {}, {}, {}, {"stage": "fit"})
        run = runs.opened(self.client, self.experiment_id, record, self.parent)
        run_id = self.open[item] = run.info.run_id
        steps = runs.steps(self.client, run, ["validation_loss"])
        self.told[run_id] = max(steps.get("validation_loss", ()), default=0)
        return run_id

    def _log(self, run_id: str, fit: FitProgress) -> None:
        from mlflow.entities import Metric

        now, before = int(time.time() * 1000), self.told[run_id]
        curves = {"train_loss": fit.train, "validation_loss": fit.validation}
        new = [Metric(name, curve[step - 1], now, step) for step in range(before + 1, len(fit.train) + 1)
               for name, curve in curves.items()]  # fmt: skip
        for start in range(0, len(new), runs.POINTS):
            self.client.log_batch(run_id, metrics=new[start : start + runs.POINTS])
        self.told[run_id] = max(before, len(fit.train))
