"""Measures the costs that ship: `python -m engine.estimate.measure > costs.toml`, some ten minutes on a quiet core.

A small study for every statistic and every family of the zoo; what a unit costs solves their stages' times together.
"""

import sys

import numpy as np
import tomlkit
from scipy.optimize import nnls

from engine import plugins
from engine.errors import BadInput
from engine.estimate.calibration import Row, shrunk, timed
from engine.estimate.costs import pace
from engine.study import parse, read

STATISTICS, ZOO = "engine.inference.teststats", "zoo"
LESS = {
    "score": {"R": [1e4]},
    "toys": {"null": 5000, "signal": 1000, "exact": "all"},
    "grid": {"m_chi_GeV": {"values": [50]}, "sigma_si_cm2": {"values": [1e-47]}, "exposure_ty": {"values": [20]}},
    "reach": {"enabled": True, "by_toys": True, "exposure_ty": [5, 50], "p": 0.02},
    "systematics": {"constants": {"g1": 0.02}},
}  # fmt: skip

SHARED = 0.03  # how much a cost that is as large as its row weighs against the row


def studies() -> list[dict]:
    """What is measured, as written: the shipped quickstart with one statistic, one family in its role, or a tail."""
    raw = {name: value for name, value in read("quickstart").items() if name != "tune"} | LESS
    made = [raw | {"toys": LESS["toys"] | {"statistics": [name]}} for name in plugins.names(STATISTICS)]
    count = {"toys": LESS["toys"] | {"statistics": ["count"]}}
    for name in plugins.names(ZOO):
        role = {"autoencoder": "vae", "classifier": "classifier"}.get(plugins.load(ZOO, name).KIND)
        if role:
            made.append(raw | count | {"models": {role: _readable(raw, role, name)}})
    return [*made, raw | count | {"pool": raw["pool"] | {"tail": "enriched"}}]


def _readable(raw: dict, role: str, name: str) -> dict:
    """A model of this family with a representation that it can read."""
    for view in ("vector", *plugins.names("engine.physics.representations")):
        model = {"name": name, "representation": view}
        try:
            parse(raw | {"models": {role: model}})
        except BadInput:
            continue
        return model
    raise BadInput(f"{name!r} reads none of the representations that ship")


def solved(rows: list[Row]) -> dict[str, float]:
    """Seconds of units, none negative, with which all rows' relative errors are least; what always comes together has
    equal shares.
    """
    names = sorted({name for amounts, _, _ in rows for name, amount in amounts.items() if amount})
    weights = np.array([1 / max(cost.core_s, 1e-3) for _, _, cost in rows])
    matrix = np.array([[amounts.get(name, 0.0) for name in names] for amounts, _, _ in rows]) * weights[:, None]
    scale = matrix.max(axis=0)
    equations = np.vstack([matrix / scale, SHARED * np.eye(len(names))])
    seconds = nnls(equations, np.append(np.ones(len(rows)), np.zeros(len(names))))[0] / scale
    return dict(zip(names, seconds.tolist(), strict=True))


def main() -> None:
    """Writes the costs to standard output, and what it is at to standard error."""
    of_stage: dict[str, list[Row]] = {}
    small = [parse(shrunk(raw, parse(raw))) for raw in studies()]
    timed(small[0])  # compiles what all need
    for number, study in enumerate(small, start=1):
        took, failed = timed(study)
        print(f"{number} of {len(small)}", *(f"{name}: {why}" for name, why in failed.items()), file=sys.stderr)
        for stage, row in took.items():
            of_stage.setdefault(stage, []).append(row)
    core_s = {stage: {name: float(f"{seconds:.3g}") for name, seconds in solved(rows).items()}
              for stage, rows in of_stage.items()}  # fmt: skip
    item_bytes = {stage: round(sum(cost.n_bytes for _, _, cost in rows) / sum(n for _, n, _ in rows))
                  for stage, rows in of_stage.items()}  # fmt: skip
    print("# By engine/estimate/measure.py: seconds of a unit, bytes of an item; pace: of the machine they are from.")
    print(tomlkit.dumps({"pace": round(pace(5.0), 1), "item_bytes": item_bytes, "core_s": core_s}), end="")


if __name__ == "__main__":
    main()
