"""The runs as a reader wants them: a saved view of the experiment, which MLflow keeps as a tag and opens by a link.

Best first, with the numbers that models are compared by and what they differ in as columns; as charts: Z of every run,
what led to it as parallel coordinates, Z and p against mass. Names of fields are those of MLflow's own UI (3.17).
"""

import json
import uuid

from engine.report.tracking.client import connect, experiment
from engine.report.tracking.record import FIELDS, HEADLINE, Record
from engine.urls import hidden

KEY, NAME = "best-first", "Best first"
LOCAL = "http://127.0.0.1:5000"  # where `mlflow ui` answers
TAG = f"mlflow.sharedViewState.{KEY}"
COLUMNS = {"z": 90, "z_error": 125, "behind_best": 160, "behind_best_error": 200, "z_seed_error": 165, "t3_ty": 120,
           "t3_error_ty": 160, "z_count": 130}  # of the headline, with widths in pixels  # fmt: skip
ATTRIBUTES = {"attributes.`Run Name`": 350, "runDateAndNestInfo": 70}  # what the UI always shows first
MASS = "by_mass/m_chi_GeV"
RUNS, MOST_AXES = 20, 5  # that charts show; of parallel coordinates, beside Z


def link(uri: str) -> str:
    """Where a browser shows the view, or all runs before there is one: at a server's own address, of a database at that
    of `mlflow ui`."""
    client = connect(uri)
    number = experiment(client, uri)
    view = f"&viewStateShareKey={KEY}" if TAG in client.get_experiment(number).tags else ""
    scheme, _, rest = uri.partition("://")
    host = f"{scheme}://{rest.rpartition('@')[2].rstrip('/')}" if scheme in ("http", "https") else LOCAL
    return f"{hidden(host)}/#/experiments/{number}/runs?workflowType=machine_learning{view}"


def keep(client, experiment_id: str, records: list[Record]) -> None:
    """Writes the view, with the parameters of these scans as columns and those of earlier ones after them."""
    scans = [record for record in records if record.tags.get("stage") == "scan"]
    if not scans:
        return
    earlier = client.search_runs([experiment_id], "tags.stage = 'scan'", max_results=100)
    found: dict[str, set[str]] = {}
    for parameters in (*(record.parameters for record in scans), *(run.data.params for run in earlier)):
        for name, value in parameters.items():
            found.setdefault(name, set()).add(str(value))
    state = json.dumps(_state(list(found), [name for name, values in found.items() if len(values) > 1]))
    known = client.get_experiment(experiment_id).tags.get(TAG, "{}")
    if json.loads(known).get("state") != state:
        made = json.dumps({"name": NAME, "createdAt": 0, "state": state})
        client.set_experiment_tag(experiment_id, TAG, made)


def _state(parameters: list[str], different: list[str]) -> dict:
    """What the UI restores: filter and order, columns, charts; of the parameters, some differ between runs."""
    widths = {_column("metrics", f"{HEADLINE}{name}"): width for name, width in COLUMNS.items()}
    columns = [*widths, *(_column("params", name) for name in parameters)]
    charts = _charts([name for name in different if name != FIELDS][:MOST_AXES] or parameters[:2])
    return {
        "searchFilter": "tags.stage = 'scan'", "orderByKey": _column("metrics", f"{HEADLINE}z"), "orderByAsc": False,
        "startTime": "ALL", "lifecycleFilter": "Active", "modelVersionFilter": "All Runs", "datasetsFilter": [],
        "selectedColumns": columns, "columnOrder": [*ATTRIBUTES, *columns], "columnWidths": ATTRIBUTES | widths,
        "compareRunCharts": charts, "compareRunSections": [_section()], "isAccordionReordered": True,
        "runsHiddenMode": f"FIRST_{RUNS}_RUNS", "hideEmptyCharts": True,
    }  # fmt: skip


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _charts(parameters: list[str]) -> list[dict]:
    z, behind = f"{HEADLINE}z", f"{HEADLINE}behind_best"
    against_mass = {"type": "LINE", "xAxisKey": "metric", "selectedXAxisMetricKey": MASS, "useGlobalXaxisKey": False,
                    "lineSmoothness": 0, "useGlobalLineSmoothing": False}  # fmt: skip
    charts = [
        {"type": "BAR", "metricKey": z}, {"type": "BAR", "metricKey": behind},
        {"type": "PARALLEL", "selectedParams": parameters, "selectedMetrics": [z]},
        against_mass | {"metricKey": "by_mass/z"}, against_mass | {"metricKey": "by_mass/p", "scaleType": "log"},
    ]  # fmt: skip
    shared = {"metricSectionId": _uuid("charts"), "runsCountToCompare": RUNS, "deleted": False, "isGenerated": False}
    return [chart | shared | {"uuid": _uuid(f"chart {place}")} for place, chart in enumerate(charts)]


def _section() -> dict:
    return {"uuid": _uuid("charts"), "name": NAME, "display": True, "isReordered": True, "columns": 2}


def _uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{KEY}/{name}"))
