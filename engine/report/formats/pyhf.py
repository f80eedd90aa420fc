"""Counts as workspaces of pyhf: one JSON file for each, whose only channel has one bin.

A rate's Gaussian is a `histosys`, which moves a sample linearly; the leakage and the pool's error are a `normsys`.
"""

import json

from engine.report.formats import _counting
from engine.report.formats._counting import Counting, Sample
from engine.run.pipeline import Outcome


def files(outcome: Outcome, name: str) -> dict[str, bytes]:
    """A workspace for every count and exposure, and a page that lists them."""
    counted = _counting.countings(outcome)
    made = {f"{one.name}.json": json.dumps(workspace(one), indent=1).encode() for one in counted}
    return made | {"README.md": _counting.readme(counted, name, "pyhf workspaces")}


def workspace(of: Counting) -> dict:
    """A count as pyhf's schema 1.0.0 has it; the parameter of interest is `mu`."""
    signal = {"name": "signal", "data": [of.signal], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]}
    parameter = {"name": "mu", "inits": [1.0], "bounds": [[0.0, of.largest_mu]]}
    return {
        "channels": [{"name": of.name, "samples": [signal, *map(_sample, of.samples)]}],
        "observations": [{"name": of.name, "data": [of.background]}],
        "measurements": [{"name": of.words, "config": {"poi": "mu", "parameters": [parameter]}}],
        "version": "1.0.0",
    }


def _sample(of: Sample) -> dict:
    modifiers = []
    if of.rate:
        name, sd = of.rate
        data = {"hi_data": [of.expected * (1 + sd)], "lo_data": [of.expected * (1 - sd)]}
        modifiers.append({"name": name, "type": "histosys", "data": data})
    for name, (low, high) in of.ends.items():
        modifiers.append({"name": name, "type": "normsys", "data": {"hi": high, "lo": low}})
    return {"name": of.name, "data": [of.expected], "modifiers": modifiers}
