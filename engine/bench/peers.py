"""Null toys beside those of other tools, on the same two bands in (cS1, cS2) and 6500 events per toy.

blueice is what alea evaluates its likelihoods with (alea itself wants a pydantic that no study can be read with): its
toys are drawn from histograms, and each is one unbinned likelihood without a fit, or with its rates fitted. pyhf's are
of one bin with an uncertain background. What is compared is the price of a toy, not the same statistic.
"""

from importlib import import_module
from types import ModuleType

import numpy as np

from engine.bench import statistics
from engine.bench import toys as surrogate
from engine.bench.speed import Side, Work
from engine.errors import BadInput
from engine.inference import cells, toys
from engine.inference.hypothesis import Null
from engine.inference.teststats import template_likelihood
from engine.options import configure

BLOCK = 200  # of our toys, at a time
SPACE = [("cs1_pe", np.linspace(5, 80, 76)), ("log10_cs2", np.linspace(1.5, 5.5, 201))]
UNCERTAINTY = {"ER": 0.03, "NR": 0.3}  # of the rates, where they are fitted; of pyhf's background 3 %
N_PYHF = 50  # toys in one call


def sides() -> list[Side]:
    """Toys without a fit and with rates fitted; a count with an uncertain background. Raises BadInput without peers."""
    blueice, pyhf = (_package(name) for name in ("blueice.likelihood", "pyhf"))
    null, population = statistics.with_charges(surrogate.surrogate()), surrogate.surrogate()
    name = "null toys in (cS1, cS2), {}, blueice"
    return [
        Side(name.format("no fit"), "toys / s", Work(OwnToys(null, fitted=False), BLOCK),
             Work(BlueiceToy(blueice, null, fitted=False), 1)),
        Side(name.format("rates fitted"), "toys / s", Work(OwnToys(null, fitted=True), BLOCK),
             Work(BlueiceToy(blueice, null, fitted=True), 1)),
        Side("null toys of a count, background uncertain, pyhf", "toys / s",
             Work(lambda: cells.background_block(population, 1.0, "null", 0, surrogate.CHOICES[1:]), toys.BLOCK),
             Work(lambda: pyhf_toys(pyhf), N_PYHF)),
    ]  # fmt: skip


def _package(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise BadInput(f"--peers: {name.split('.')[0]} is not installed; pip install '.[bench]'") from error


class OwnToys:
    """Toys of the template likelihood of the same events: (BLOCK,) q, from counts of their events to the statistic."""

    def __init__(self, null: Null, fitted: bool):
        self.rng, self.weights = np.random.default_rng(1), null.drawn.weights
        self.statistic = template_likelihood.prepare(null, configure(template_likelihood, {"profiled": fitted}))
        columns = self.statistic.columns(null.drawn.events)
        self.wanted = toys.quantities([("sums", columns, columns.shape[1])])

    def __call__(self) -> np.ndarray:
        counts = self.rng.poisson(self.weights.sum(axis=1), (BLOCK, len(self.weights)))
        return self.statistic.q(counts.sum(axis=1), toys.background_totals(self.rng, counts, self.weights, self.wanted))


class BlueiceToy:
    """Draws an experiment, and gives -2 ln L of it: of the nominal rates, or of those that fit it best."""

    def __init__(self, likelihood: ModuleType, null: Null, fitted: bool):
        events, source = null.drawn.events, import_module("blueice.source")
        rows = np.column_stack([events.cs1_pe, np.log10(events.cs2_pe)])

        class Band(source.DensityEstimatingSource):
            """One kind's share of the events."""

            def get_events_for_density_estimate(self):
                mine = rows[events.kind == self.config["kind"]]
                return dict(zip((name for name, _ in SPACE), mine.T, strict=True)), len(mine)

        bands = [{"name": name, "kind": kind, "events_per_day": rate, "class": Band}
                 for kind, (name, rate) in enumerate(surrogate.RATES_PER_TY.items())]  # fmt: skip
        self.likelihood = likelihood.UnbinnedLogLikelihood({"analysis_space": SPACE, "sources": bands,
                                                            "pdf_interpolation_method": "piecewise"})  # fmt: skip
        for name, uncertainty in UNCERTAINTY.items() if fitted else ():
            self.likelihood.add_rate_uncertainty(name, uncertainty)
        self.likelihood.prepare()
        self.fit = self.likelihood.bestfit_scipy if fitted else None

    def __call__(self) -> float:
        self.likelihood.set_data(self.likelihood.base_model.simulate())
        with np.errstate(invalid="ignore"):  # where its fit tries a rate below zero
            return -2 * (self.fit()[1] if self.fit else self.likelihood())


def pyhf_toys(pyhf: ModuleType) -> np.ndarray:
    """(N_PYHF,) discovery test statistics of background toys of one bin."""
    model = pyhf.simplemodels.uncorrelated_background([5.0], [1.0], [UNCERTAINTY["ER"]])
    calculator = pyhf.infer.calculators.ToyCalculator(
        [1.0, *model.config.auxdata], model, test_stat="q0", ntoys=N_PYHF, track_progress=False
    )
    return np.asarray(calculator.distributions(0.0)[1].samples)
