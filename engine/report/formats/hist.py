"""Templates of the score as histograms of scikit-hep's UHI: what `hist`, `boost-histogram` and `mplhep` take.

The same as `observe --unblind` writes for XENON's tools, with the pool's error as the variance of every bin.
"""

import importlib.metadata
import json

import numpy as np

from engine.errors import BadInput
from engine.lineage import label, row_label
from engine.report.score_templates import templates
from engine.run.pipeline import Outcome


def files(outcome: Outcome, name: str) -> dict[str, bytes]:
    """A file for every R and exposure, with a histogram for every background, all of them, and every mass."""
    plan = outcome.plan
    if not any(R is not None for R, _ in plan.wanted):
        raise BadInput("no statistic of the study looks at a score, of which there are templates")
    return {f"{row_label('templates', R)}_{label(exposure)}ty.json": _file(outcome, name, exposure, R)
            for R in plan.study.score.R for exposure in plan.exposures}  # fmt: skip


def _file(outcome: Outcome, name: str, exposure_ty: float, R: float) -> bytes:
    plan, size = outcome.plan, outcome.plan.study.signal.size
    at, made = templates(plan, outcome.population, exposure_ty, R)
    words = {"study": name, "exposure_ty": exposure_ty, "R": R, "unit": "events",
             "signal": f"{size.name} = {size.reference:g}", "table": plan.table}  # fmt: skip
    return json.dumps({key: _histogram(key, at, *of, words) for key, of in made.items()}).encode()


def _histogram(name: str, edges: np.ndarray, expected: np.ndarray, variance: np.ndarray, words: dict) -> dict:
    """One in the schema 1 of `uhi.schema`; the pool's scores are all between the edges."""
    axis = {"type": "variable", "edges": edges.tolist(), "underflow": False, "overflow": False, "circular": False,
            "metadata": {"name": "TS", "label": "TS"}}  # fmt: skip
    storage = {"type": "weighted", "values": expected.tolist(), "variances": variance.tolist()}
    writer = {"recoilscan": {"version": importlib.metadata.version("recoilscan")}}
    return {"uhi_schema": 1, "writer_info": writer, "metadata": {"name": name, "label": name} | words,
            "axes": [axis], "storage": storage}  # fmt: skip
