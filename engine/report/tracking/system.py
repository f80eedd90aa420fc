"""Processor, memory, disk and network of the driver's machine while a scan runs, as MLflow itself measures them."""

import logging

INTERVAL_S, SAMPLES = 10.0, 3  # a point is the mean of three samples


class System:
    """A thread that sends `system/` metrics of a run until it is stopped, the run ends or MLflow does not answer."""

    def __init__(self, run_id: str, uri: str):
        from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING as WANTED
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)  # an outage is told once, by the scan
        self.monitor = None
        if WANTED.get() or not WANTED.defined:  # MLflow's own switch, by which nothing is measured unless asked for
            self.monitor = SystemMetricsMonitor(run_id, INTERVAL_S, SAMPLES, resume_logging=True, tracking_uri=uri)
            self.monitor.start()

    def stop(self) -> None:
        """Sends what was measured and waits for the thread to end."""
        if self.monitor:
            self.monitor.finish()
