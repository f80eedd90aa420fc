"""The same counts in HS3, the statistics serialization standard of high-energy physics, as a `histfactory_dist` each.

`hi` and `lo` of a `histosys` are contents, not differences, as ROOT and pyhs3 read them; interpolations are left to
their defaults, which are pyhf's. https://hep-statistics-serialization-standard.github.io
"""

import importlib.metadata
import json

from engine.report.formats import _counting
from engine.report.formats._counting import SIGMAS, Counting, Sample
from engine.run.pipeline import Outcome

VERSION = "0.2"
DATA, LIKELIHOOD, DOMAIN, POINT = "asimov", "likelihood", "domain", "nominal"


def files(outcome: Outcome, name: str) -> dict[str, bytes]:
    """A document for every count and exposure, and a page that lists them."""
    counted = _counting.countings(outcome)
    made = {f"{one.name}.json": json.dumps(document(one), indent=1).encode() for one in counted}
    return made | {"README.md": _counting.readme(counted, name, "HS3")}


def document(of: Counting) -> dict:
    """A count with its data, likelihood, ranges of parameters and the analysis that asks for `mu`."""
    axes = [{"name": "bin", "min": 0.0, "max": 1.0, "nbins": 1}]
    mu = {"name": "mu", "parameter": "mu", "type": "normfactor"}
    signal = {"name": "signal", "data": {"contents": [of.signal]}, "modifiers": [mu]}
    ranges = [{"name": "mu", "min": 0.0, "max": of.largest_mu},
              *({"name": name, "min": -SIGMAS, "max": SIGMAS} for name in of.nuisances)]  # fmt: skip
    values = [{"name": "mu", "value": 1.0}, *({"name": name, "value": 0.0} for name in of.nuisances)]
    package = {"name": "recoilscan", "version": importlib.metadata.version("recoilscan")}
    return {
        "metadata": {"hs3_version": VERSION, "packages": [package], "description": f"{of.name}; mu = 1: {of.words}"},
        "distributions": [
            {"name": of.name, "type": "histfactory_dist", "axes": axes, "samples": [signal, *map(_sample, of.samples)]}
        ],
        "data": [{"name": DATA, "type": "binned", "axes": axes, "contents": [of.background]}],
        "likelihoods": [{"name": LIKELIHOOD, "distributions": [of.name], "data": [DATA]}],
        "domains": [{"name": DOMAIN, "type": "product_domain", "axes": ranges}],
        "parameter_points": [{"name": POINT, "parameters": values}],
        "analyses": [{"name": "benchmark", "likelihood": LIKELIHOOD, "parameters_of_interest": ["mu"],
                      "domains": [DOMAIN], "init": POINT}],
    }  # fmt: skip


def _sample(of: Sample) -> dict:
    modifiers = []
    if of.rate:
        name, sd = of.rate
        data = {"hi": {"contents": [of.expected * (1 + sd)]}, "lo": {"contents": [of.expected * (1 - sd)]}}
        modifiers.append(_modifier(name, "histosys", data))
    modifiers += [_modifier(name, "normsys", {"hi": high, "lo": low}) for name, (low, high) in of.ends.items()]
    return {"name": of.name, "data": {"contents": [of.expected]}, "modifiers": modifiers}


def _modifier(name: str, kind: str, data: dict) -> dict:
    return {"name": name, "parameter": name, "type": kind, "constraint": "Gauss", "data": data}
